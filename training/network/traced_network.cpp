// SPDX-License-Identifier: Apache-2.0
#include "training/network/traced_network.hpp"

#include "training/settings/reading.hpp"
#include "training/settings/settings.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace dunlin {
namespace {

using simulation::Time;

template <class Number>
Number median_of(std::vector<Number> values) {
    const auto middle = values.begin() + std::ssize(values) / 2;
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

/// What was measured from one node to another, in milliseconds, in the order of slices.
std::vector<float> measured(const NetworkTrace& trace, std::size_t from, std::size_t to) {
    std::vector<float> found;
    const std::size_t n = trace.nodes;
    for (std::size_t slice = 0; slice < trace.slices; ++slice) {
        const float ms = trace.round_trip_ms[(slice * n + from) * n + to];
        if (ms > 0.0f) found.push_back(ms);
    }
    return found;
}

/// The largest product of probabilities of any way from one node to all others (E. W. Dijkstra: A note on two
/// problems in connexion with graphs, 1959).
std::vector<float> best_ways(const NetworkTrace& trace, std::size_t from) {
    const std::size_t n = trace.nodes;
    std::vector<float> best(n);
    std::vector<std::uint8_t> done(n);
    best[from] = 1.0f;
    for (;;) {
        std::size_t next = n;
        for (std::size_t k = 0; k < n; ++k) {
            if (done[k] == 0 && best[k] > 0.0f && (next == n || best[k] > best[next])) next = k;
        }
        if (next == n) return best;
        done[next] = 1;
        for (std::size_t k = 0; k < n; ++k) best[k] = std::max(best[k], best[next] * trace.delivered(next, k));
    }
}

std::string range_text(std::uint32_t nodes) {
    return nodes == 1 ? "node 0" : fmt::format("nodes 0 to {}", nodes - 1);
}

}  // namespace

Outcome<std::shared_ptr<const TracedNetwork>> TracedNetwork::lay(const NetworkTrace& trace,
                                                                 const TracedFleet& fleet, DataNotes* notes) {
    auto laid = std::make_shared<TracedNetwork>();
    laid->nodes_ = fleet.nodes + (fleet.server ? 1 : 0);
    DataNotes found;
    if (trace.kind != NetworkTrace::Kind::speeds && laid->nodes_ > trace.nodes)
        return refuse(fmt::format("network.trace: {}: it has {} nodes, and the fleet {}{}; use at most {}{}",
                                  trace.path, trace.nodes, laid->nodes_, fleet.server ? " with its server" : "",
                                  trace.nodes - (fleet.server ? 1 : 0), fleet.server ? " and the server" : ""));
    switch (trace.kind) {
        case NetworkTrace::Kind::latency:
            laid->take_latency(trace, fleet.tick_s, found);
            break;
        case NetworkTrace::Kind::radio:
            if (auto taken = laid->take_losses(trace, found); !taken) return tl::unexpected(taken.error());
            break;
        case NetworkTrace::Kind::speeds:
            laid->take_paces(trace, fleet, found);
            break;
    }
    for (DataNote& note : found) note.text = fmt::format("{}: {}", trace.path, note.text);
    if (notes != nullptr) notes->insert(notes->end(), found.begin(), found.end());
    return laid;
}

void TracedNetwork::take_latency(const NetworkTrace& trace, double tick_s, DataNotes& notes) {
    std::vector<float> medians;
    for (std::size_t i = 0; i < trace.nodes; ++i) {
        for (std::size_t j = 0; j < trace.nodes; ++j) {
            const std::vector<float> found = i == j ? std::vector<float>{} : measured(trace, i, j);
            if (!found.empty()) medians.push_back(median_of(found));
        }
    }
    const float usual = medians.empty() ? 0.0f : median_of(std::move(medians));
    std::int64_t turned = 0, missing = 0;
    for (std::size_t i = 0; i < nodes_; ++i) {
        for (std::size_t j = 0; j < nodes_; ++j) {
            first_time_.push_back(times_.size());
            if (i == j) continue;
            std::vector<float> trips = measured(trace, i, j);
            if (trips.empty()) {
                trips = measured(trace, j, i);
                ++(trips.empty() ? missing : turned);
            }
            if (trips.empty()) trips = {usual};
            for (const float ms : trips) {
                const double ticks = std::ceil(static_cast<double>(ms) / 2000.0 / tick_s - 1e-6);
                times_.push_back(std::clamp<Time>(static_cast<Time>(std::min(ticks, 0x1p52)), 1, Time{1} << 52));
                longest_ = std::max(longest_, times_.back());
            }
        }
    }
    first_time_.push_back(times_.size());
    notes.push_back({"trace_nodes", trace.nodes,
                     fmt::format("round trips between {} nodes in {} slice{}; {} are the fleet's", trace.nodes,
                                 trace.slices, trace.slices == 1 ? "" : "s", range_text(nodes_))});
    if (turned > 0)
        notes.push_back({"trace_turned_pairs", turned,
                         fmt::format("{} of the fleet's pairs were measured in the other direction only and have "
                                     "the same in both",
                                     turned)});
    if (missing > 0)
        notes.push_back({"trace_missing_pairs", missing,
                         fmt::format("{} of the fleet's pairs were never measured and have the median round trip "
                                     "of all pairs, {:.4g} ms",
                                     missing, usual)});
}

Outcome<void> TracedNetwork::take_losses(const NetworkTrace& trace, DataNotes& notes) {
    constexpr float least_delivered = 1e-3f;
    std::int64_t relayed = 0, faint = 0;
    for (std::size_t i = 0; i < nodes_; ++i) {
        const std::vector<float> best = best_ways(trace, i);
        for (std::size_t j = 0; j < nodes_; ++j) {
            if (!(best[j] > 0.0f))
                return refuse(
                    fmt::format("network.trace: {}: nothing that node {} says ever reaches node {}, not "
                                "over others either; such nodes cannot learn together",
                                trace.path, i, j));
            float delivered = i == j ? 1.0f : trace.delivered(i, j);
            if (!(delivered > 0.0f)) {
                delivered = best[j];
                ++relayed;
            }
            // One that delivers next to nothing would make who waits for it wait for ever.
            faint += delivered < least_delivered ? 1 : 0;
            loss_.push_back(1.0f - std::max(delivered, least_delivered));
            largest_loss_ = std::max(largest_loss_, loss_.back());
        }
    }
    notes.push_back(
        {"trace_nodes", trace.nodes,
         fmt::format("radio links between {} nodes; {} are the fleet's", trace.nodes, range_text(nodes_))});
    if (relayed > 0)
        notes.push_back(
            {"trace_relayed_pairs", relayed,
             fmt::format("{} of the fleet's {} pairs have no link; what they say goes over other nodes, "
                         "along the way that most arrives on",
                         relayed, std::int64_t{nodes_} * (nodes_ - 1))});
    if (faint > 0)
        notes.push_back(
            {"trace_faint_pairs", faint,
             fmt::format("{} pairs deliver less than one message in a thousand; they are taken to deliver "
                         "that",
                         faint)});
    return {};
}

void TracedNetwork::take_paces(const NetworkTrace& trace, const TracedFleet& fleet, DataNotes& notes) {
    const std::uint64_t n = fleet.nodes, m = trace.nodes;
    std::vector<float> speeds;
    for (std::uint64_t i = 0; i < n; ++i)
        speeds.push_back(trace.speed[static_cast<std::size_t>(n < m ? i * m / n : i % m)]);
    const float one = fleet.fastest_is_one ? *std::ranges::max_element(speeds) : median_of(trace.speed);
    for (const float speed : speeds) paces_.push_back(one / speed);
    notes.push_back(
        {"trace_nodes", trace.nodes,
         fmt::format("speeds of {} devices; {}; the slowest node takes {:.3g} times as long as the fastest", m,
                     n < m ? fmt::format("{} of them, evenly over the file, are the fleet's", n)
                           : std::string("all are in the fleet"),
                     *std::ranges::max_element(speeds) / *std::ranges::min_element(speeds))});
    if (n > m)
        notes.push_back({"trace_repeated_nodes", static_cast<std::int64_t>(n - m),
                         fmt::format("{} nodes more than devices; devices are taken again in turn", n - m)});
}

simulation::LinkProfile TracedNetwork::profile(std::uint32_t from, std::uint32_t to,
                                               simulation::LinkProfile usual) const {
    const std::size_t pair = std::size_t{from} * nodes_ + to;
    if (has_latency()) {
        const std::span<const Time> times =
            std::span(times_).subspan(first_time_[pair], first_time_[pair + 1] - first_time_[pair]);
        usual.latency = simulation::Latency::listed(usual.latency.minimum, times);
        usual.delay_limit = std::max(usual.delay_limit, usual.latency.minimum + longest_);
    }
    if (has_losses()) {
        usual.loss = loss_[pair];
        usual.loss_limit = simulation::LinkProfile::unbounded;
    }
    return usual;
}

Result<void> TracedNetwork::shape(simulation::Network& network, const simulation::LinkProfile& usual) const {
    if (!has_latency() && !has_losses()) return {};
    const Graph& graph = network.graph();
    for (std::uint32_t i = 0; i < graph.nodes(); ++i) {
        for (const std::uint32_t j : graph.out(i)) {
            if (auto set = network.set_profile(*graph.find(i, j), profile(i, j, usual)); !set) return set;
        }
    }
    return {};
}

Outcome<std::shared_ptr<const TracedNetwork>> read_trace(const std::string& path, const TracedFleet& fleet,
                                                         DataNotes* notes) {
    const FileResult<NetworkTrace> trace = load_network_trace(path);
    if (!trace) return refuse(fmt::format("network.trace: {}", refuse(trace.error()).value().text));
    return TracedNetwork::lay(*trace, fleet, notes);
}

void add_trace_setting(Settings& list, std::string& path) {
    list.add_path("network.trace", path,
                  "file of measured round trips, radio links or speeds that the simulated network follows "
                  "(docs/simulation.md); empty: none");
}

}  // namespace dunlin
