// SPDX-License-Identifier: Apache-2.0
// Draws docs/push-sum-drift.svg: ten nodes that only agree, on a directed graph with 30 % loss, 5 % duplicates,
// sleeping and crashing nodes, for ten million wake-ups; once with exact mass and once with float sums.
//
//     dunlin_push_sum_drift docs/push-sum-drift.svg
#include "apps/report/run_files.hpp"
#include "apps/report/svg_plot.hpp"
#include "training/simulation/gossip_simulation.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace {

using namespace dunlin;

constexpr std::int64_t wake_ups = 10'000'000;
constexpr std::uint32_t nodes = 10;
constexpr std::size_t dimension = 3;

/// The worst node's distance from the true mean, relative to it, at growing numbers of wake-ups.
template <class Node>
report::Series drift(const char* name, const Graph& graph) {
    GossipSettings settings;
    settings.weight_floor = 0.01f;
    settings.link = simulation::LinkProfile::rounds(3, 20, 0.3f);
    settings.link.duplication = 0.05f;
    settings.wake_gap = 2;
    settings.lives = {.awake_mean = 100, .asleep_mean = 10, .up_mean = 1000, .down_mean = 10};
    settings.trace_payloads = false;
    std::vector<float> start;
    std::vector<double> mean(dimension);
    Stream random(1, 0, Purpose::user);
    for (std::size_t k = 0; k < nodes * dimension; ++k) {
        start.push_back(1.0f + random.normal());
        mean[k % dimension] += static_cast<double>(start[k]) / nodes;
    }
    double size = 0;
    for (const double x : mean) size += x * x;
    auto fleet = SimulatedGossip<Node>::make(graph, settings, start, {}, 1);
    report::Series series{.name = name, .x = {}, .y = {}};
    if (!fleet) return series;
    std::int64_t shown = 1000;
    for (simulation::Time round = 0; (*fleet)->counters().wake_ups < wake_ups; ++round) {
        if (!(*fleet)->run(round, {})) break;
        if ((*fleet)->counters().wake_ups < shown) continue;
        const std::vector<float> z = (*fleet)->estimates();
        double worst = 0;
        for (std::size_t i = 0; i < nodes; ++i) {
            double square = 0;
            for (std::size_t k = 0; k < dimension; ++k) {
                const double off = static_cast<double>(z[i * dimension + k]) - mean[k];
                square += off * off;
            }
            worst = std::max(worst, std::sqrt(square / size));
        }
        series.x.push_back(static_cast<double>((*fleet)->counters().wake_ups));
        series.y.push_back(worst);
        shown = shown * 6 / 5;
    }
    const std::optional<std::uint64_t> mass_error = (*fleet)->mass_error();
    std::printf(
        "%s: %lld wake-ups, %lld crashes, %llu messages lost, distance %.3g, mass error %s\n", name,
        static_cast<long long>((*fleet)->counters().wake_ups), static_cast<long long>((*fleet)->counters().crashes),
        static_cast<unsigned long long>((*fleet)->messages().lost), series.y.empty() ? NAN : series.y.back(),
        !mass_error        ? "not defined"
        : *mass_error == 0 ? "0"
                           : "not 0");
    return series;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fprintf(stderr, "usage: dunlin_push_sum_drift FILE.svg\n");
        return 2;
    }
    const Result<Graph> graph =
        build_graph({.kind = "erdos-renyi", .nodes = nodes, .probability = 0.3, .path = {}}, 1);
    if (!graph) return 1;
    report::LineChart chart;
    chart.title = "Distance from the true mean, 30 % of messages lost";
    chart.x = {"wake-ups of all nodes", true};
    chart.y = {"worst node, relative", true};
    chart.series.push_back(drift<ParsPush<>>("exact mass", *graph));
    chart.series.push_back(drift<ParsPush<FloatMass>>("float sums", *graph));
    const Result<void> written = report::write_file(argv[1], report::line_chart(chart));
    if (!written) std::fprintf(stderr, "cannot write %s\n", argv[1]);
    return written ? 0 : 1;
}
