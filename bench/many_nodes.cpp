// SPDX-License-Identifier: Apache-2.0
// A hundred thousand nodes in one process, exact PARS-Push (40 fraction bits) on a random graph of as many in- as
// out-neighbours, which loses 30 % of its messages and delays them by one or two rounds.
//
//     dunlin_bench_many_nodes cost [NODES [REPEATS]]
//         What a wake-up takes at 1,000 nodes and at NODES where nobody learns, in processor time, and the ratio: rounds
//         of both take turns, and of each the fastest is taken, since other programs share the machine.
//     dunlin_bench_many_nodes learn [NODES [ROUNDS [THREADS]]]
//         The same with navigation tasks, each a policy 2-16-5 of coordinates (d = 133), with nodes that crash and
//         restart: wake-ups a second, peak memory, mass error and trace. By mpirun: over ranks.
//
// Measured on two busy cores of an EPYC, 32 MB of L3: learning, 100,000 nodes take 3.3 GB, with mass error 0 and one trace
// for one and two threads. Without learning a wake-up takes 3.0 times as long at 100,000 nodes as at 1,000 for d = 30 with
// two neighbours, 1.7 times for d = 133 with sixteen; 1.5 is wanted.
#include "apps/dunlin/ranks.hpp"
#include "apps/output.hpp"
#include "core/random.hpp"
#include "training/problems/navigation_fleet.hpp"
#include "training/simulation/gossip_fleet.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <numeric>
#include <string_view>
#include <vector>

#include <sys/resource.h>

namespace {

using namespace dunlin;

double cpu_seconds() {
    return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

double peak_gigabytes() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<double>(usage.ru_maxrss) * 1024e-9;
}

/// Cycles through all nodes in random order, `degree` of them.
Graph random_cycles(std::uint32_t nodes, std::uint32_t degree) {
    Stream random(1, 0, Purpose::graph);
    std::vector<std::vector<std::uint32_t>> out(nodes);
    std::vector<std::uint32_t> order(nodes);
    std::iota(order.begin(), order.end(), 0u);
    for (std::uint32_t k = 0; k < degree; ++k) {
        for (std::uint32_t i = nodes - 1; i > 0; --i) std::swap(order[i], order[random.below(i + 1)]);
        for (std::uint32_t i = 0; i < nodes; ++i) {
            const std::uint32_t from = order[i], to = order[(i + 1) % nodes];
            if (std::ranges::find(out[from], to) == out[from].end()) out[from].push_back(to);
        }
    }
    std::vector<Edge> edges;
    for (std::uint32_t i = 0; i < nodes; ++i) {
        for (const std::uint32_t to : out[i]) edges.push_back({i, to});
    }
    return *Graph::from_edges(nodes, edges);
}

GossipSettings settings_of() {
    GossipSettings settings;
    settings.format.fraction_bits = 40;
    settings.largest_value = 60.0f;
    settings.weight_floor = 0.01f;
    settings.link = simulation::LinkProfile::rounds(2, simulation::LinkProfile::unbounded, 0.3f);
    return settings;
}

struct Measured {
    std::unique_ptr<GossipFleet> fleet;
    simulation::Time round = 4;
    double best_ns = 1e18;

    bool make(std::uint32_t nodes, std::size_t dimension, std::uint32_t degree) {
        GossipSettings settings = settings_of();
        settings.audit = settings.trace_payloads = false;
        std::vector<float> start(nodes * dimension);
        for (std::size_t k = 0; k < start.size(); ++k) start[k] = static_cast<float>(k % 7);
        auto made =
            make_gossip_fleet(AggregationName::pars_push, random_cycles(nodes, degree), settings, start, {}, 1);
        if (!made) return std::fprintf(stderr, "%s\n", made.error().text.c_str()), false;
        fleet = *std::move(made);
        return fleet->run(round).has_value();  // memory has been touched, and messages are under way
    }
    void measure(simulation::Time rounds) {
        const std::int64_t before = fleet->counters().wake_ups;
        const double start = cpu_seconds();
        if (!fleet->run(round += rounds)) std::exit(1);
        const double spent = cpu_seconds() - start;
        best_ns = std::min(best_ns, 1e9 * spent / static_cast<double>(fleet->counters().wake_ups - before));
    }
};

int cost(std::uint32_t nodes, int repeats) {
    std::printf("%8s %4s %8s %14s %14s %7s\n", "d", "in", "nodes", "ns, 1000 nodes", "ns, all nodes", "ratio");
    constexpr std::pair<std::size_t, std::uint32_t> shapes[] = {{30, 2}, {133, 16}};
    for (const auto& [dimension, degree] : shapes) {
        constexpr std::uint32_t few = 1000;
        Measured small, large;
        if (!small.make(few, dimension, degree) || !large.make(nodes, dimension, degree)) return 1;
        for (int repeat = 0; repeat < repeats; ++repeat) {
            small.measure(std::max(1u, nodes / few / 4));
            large.measure(1);
        }
        std::printf("%8zu %4u %8u %14.0f %14.0f %7.2f\n", dimension, degree, nodes, small.best_ns, large.best_ns,
                    large.best_ns / small.best_ns);
        std::fflush(stdout);
    }
    std::printf("peak memory %.2f GB\n", peak_gigabytes());
    return 0;
}

int learn(std::uint32_t nodes, simulation::Time rounds, int threads, RankGroup& ranks) {
    FleetNavigationSettings tasks;
    tasks.nodes = static_cast<int>(nodes);
    tasks.hidden = {16};
    tasks.input = PolicyInput::coordinates;
    tasks.inner.step_limit = 1;
    tasks.rollout.trajectories = 4;
    auto made = make_navigation_fleet(tasks, threads);
    if (!made) return std::fprintf(stderr, "%s\n", made.error().text.c_str()), 1;
    FederatedProblem& learners = **made;
    const std::size_t d = learners.dimension();
    GossipSettings settings = settings_of();
    settings.theta = {.scale = 0.05f, .offset = 0.0, .longest_gap = 1};
    settings.lives.up_mean = 20;
    settings.lives.down_mean = 3;
    settings.lives.awake_mean = 30;
    settings.lives.asleep_mean = 3;
    std::vector<float> start;
    std::vector<float> first(d);
    learners.initialise(first);
    for (std::uint32_t i = 0; i < nodes; ++i) start.insert(start.end(), first.begin(), first.end());
    const LearnerOf learner_of = [&](std::uint32_t node, int worker) -> Learner& {
        return learners.learner(node, worker);
    };
    auto fleet = make_gossip_fleet(AggregationName::pars_push, random_cycles(nodes, 16), settings, start,
                                   learner_of, threads, ranks);
    if (!fleet) return std::fprintf(stderr, "%s\n", fleet.error().text.c_str()), 1;
    start = {};
    const auto begin = std::chrono::steady_clock::now();
    const double cpu = cpu_seconds();
    if (auto lived = (*fleet)->run(rounds - 1); !lived)
        return std::fprintf(stderr, "%s\n", lived.error().text.c_str()), 1;
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    const double spent = cpu_seconds() - cpu;
    const GossipCounters counters = (*fleet)->counters();
    const auto woken = static_cast<double>(counters.wake_ups);
    const auto error = (*fleet)->mass_error();
    app::say("{} nodes, d = {}, {} threads, {} ranks: {} wake-ups, {} crashes, {} gradients\n", nodes, d, threads,
             ranks.count(), counters.wake_ups, counters.crashes, counters.gradients);
    app::say("{:.0f} wake-ups/s, {:.0f} ns of processor time each on rank 0; peak memory {:.2f} GB of rank 0\n",
             woken / seconds, 1e9 * spent / woken, peak_gigabytes());
    app::say("mass error {}, trace {:016x}\n", error ? static_cast<std::int64_t>(*error) : -1, (*fleet)->trace());
    return error == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    const std::string_view what = argc > 1 ? argv[1] : "";
    const auto number = [&](int at, int usual) { return argc > at ? std::atoi(argv[at]) : usual; };
    const auto nodes = static_cast<std::uint32_t>(number(2, 100000));
    if (what == "cost") return cost(nodes, number(3, 12));
    if (what != "learn") return std::fprintf(stderr, "dunlin_bench_many_nodes cost|learn ...\n"), 2;
    auto ranks = app::Ranks::join();
    if (!ranks) return std::fprintf(stderr, "%s\n", ranks.error().text.c_str()), 2;
    RankGroup& group = ranks->together();
    app::mute_output(!group.leads());
    const int code = learn(nodes, number(3, 5), number(4, 1), group);
    ranks->end(code, code == 0 ? "" : "failed");
    return code;
}
