// SPDX-License-Identifier: Apache-2.0
// Fleets where nobody learns, so that what is measured is the method and not the task.
//
// Without a server, on the simulated network: wake-ups per second (items_per_second) of exact PARS-Push, and what a
// node holds. Every node has `degree` in- and out-neighbours; messages take one or two rounds and a fifth of them
// is lost. By rounds: what an agent sends in an iteration.
//
// With one: updates per second that PersA-FL's server checks and applies, beside a x + y on the same memory: a loop
// as this build compiles it (share), and the server's own kernel without any check (share_of_kernel).
#include "core/aggregate/server_rules.hpp"
#include "training/host/host_memory.hpp"
#include "training/simulation/gossip_fleet.hpp"
#include "transport/graph.hpp"

#include <algorithm>
#include <ctime>
#include <vector>

#include <benchmark/benchmark.h>

namespace {

using namespace dunlin;

/// Of this process, so that other programs on the machine do not count.
double cpu_seconds() {
    return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

/// Bytes a second that one thread moves, reading and writing: a x + y on vectors too long for any cache, best of
/// five. Measured once, in the same run.
double bandwidth() {
    static const double best = [] {
        constexpr std::size_t size = std::size_t{1} << 24;
        std::vector<std::int64_t> x(size, 1), y(size, 2);
        double most = 0;
        for (int repeat = 0; repeat < 5; ++repeat) {
            const double start = cpu_seconds();
            for (std::size_t k = 0; k < size; ++k) y[k] += x[k];
            benchmark::DoNotOptimize(y.data());
            benchmark::ClobberMemory();
            most = std::max(most, 3.0 * 8.0 * static_cast<double>(size) / (cpu_seconds() - start));
        }
        return most;
    }();
    return best;
}

/// i sends to the `degree` nodes after it.
Graph circulant(std::uint32_t nodes, std::uint32_t degree) {
    std::vector<Edge> edges;
    for (std::uint32_t i = 0; i < nodes; ++i) {
        for (std::uint32_t k = 1; k <= degree; ++k) edges.push_back({i, (i + k) % nodes});
    }
    return *Graph::from_edges(nodes, edges);
}

void wake_ups(benchmark::State& state) {
    const auto nodes = static_cast<std::uint32_t>(state.range(0)),
               degree = static_cast<std::uint32_t>(state.range(2));
    const auto dimension = static_cast<std::size_t>(state.range(1));
    GossipSettings settings;
    settings.format.fraction_bits = 40;
    settings.largest_value = 100.0f;
    settings.link = simulation::LinkProfile::rounds(2, 1, 0.2f);
    settings.audit = settings.trace_payloads = false;
    std::vector<float> start(nodes * dimension);
    for (std::size_t k = 0; k < start.size(); ++k) start[k] = static_cast<float>(k % 7);
    auto fleet = make_gossip_fleet(AggregationName::pars_push, circulant(nodes, degree), settings, start, {}, 1);
    if (!fleet) return state.SkipWithError(fleet.error().text.c_str());
    simulation::Time round = 4;
    (void)(*fleet)->run(round);  // memory has been touched, and messages are under way
    const GossipCounters before = (*fleet)->counters();
    const std::uint64_t heard_before = (*fleet)->messages().delivered;
    const double begin = cpu_seconds();
    for (auto _ : state) {
        if (auto lived = (*fleet)->run(++round); !lived) return state.SkipWithError(lived.error().text.c_str());
    }
    const double spent = cpu_seconds() - begin;
    const auto woken = static_cast<double>((*fleet)->counters().wake_ups - before.wake_ups);
    const auto heard = static_cast<double>((*fleet)->messages().delivered - heard_before);
    // In bytes per component. A wake-up reads x for z and writes z (12), looks at x and what is pending (16), reads
    // and writes x, phi and pending (48) and copies phi into the message (16); a message is read, and pending and
    // rho are read and written (40).
    const double moved = (woken * 92.0 + heard * 40.0) * static_cast<double>(dimension);
    state.SetItemsProcessed(static_cast<std::int64_t>(woken));
    state.counters["bytes_per_node"] = (*fleet)->bytes_per_node();
    state.counters["ns_per_word"] =
        spent * 1e9 / (woken * static_cast<double>((degree + 3) * dimension));  // (in-degree + 3) d
    state.counters["bandwidth_share"] = moved / spent / bandwidth();
}
BENCHMARK(wake_ups)
    ->ArgNames({"nodes", "d", "degree"})
    ->Args({10, 30, 2})
    ->Args({100, 30, 2})
    ->Args({1000, 30, 2})
    ->Args({10000, 30, 2})
    ->Args({10, 1317, 2})
    ->Args({100, 1317, 2})
    ->Args({1000, 1317, 2})
    ->Args({10000, 1317, 2})
    ->Args({1000, 1317, 1})
    ->Args({1000, 1317, 4})
    ->Args({1000, 1317, 8})
    ->Args({10, 100000, 2})
    ->Args({100, 100000, 2});

/// What an agent sends per iteration to two neighbours, in bytes, by the methods that mix by rounds.
void bytes_of_rounds(benchmark::State& state) {
    constexpr std::pair<AggregationName, const char*> methods[] = {
        {AggregationName::dsgd, "DSGD"}, {AggregationName::spd, "SPDB, SPD/D2"}, {AggregationName::gnsd, "GNSD"}};
    const auto& [method, name] = methods[static_cast<std::size_t>(state.range(0))];
    const auto dimension = static_cast<std::size_t>(state.range(1));
    constexpr std::uint32_t nodes = 9;
    const auto graph = build_graph({.kind = "ring", .nodes = nodes, .path = {}}, 1);
    const std::vector<float> start(nodes * dimension);
    auto fleet = make_gossip_fleet(method, *graph, {.trace_payloads = false}, start, {}, 1);
    if (!fleet) return state.SkipWithError(fleet.error().text.c_str());
    simulation::Time round = 0;
    for (auto _ : state) {
        if (auto lived = (*fleet)->run(++round); !lived) return state.SkipWithError(lived.error().text.c_str());
    }
    state.SetLabel(name);
    state.counters["bytes_per_iteration"] =
        static_cast<double>((*fleet)->messages().sent_bytes) / (static_cast<double>(round + 1) * nodes);
}
BENCHMARK(bytes_of_rounds)->ArgNames({"method", "d"})->ArgsProduct({{0, 1, 2}, {25120}});

[[gnu::noinline]] void add_scaled(float a, ConstVector<float> x, Vector<float> y) {
    for (std::size_t k = 0; k < y.size(); ++k) y[k] += a * x[k];
}

/// Seconds that a call of `body` takes.
template <class Body>
double timed(const Body& body) {
    const double start = cpu_seconds();
    body();
    return cpu_seconds() - start;
}

/// Blocks of updates and blocks of a x + y take turns; the fastest of each are compared, since other programs share
/// the machine. Each block undoes what the other did to the model.
void server_updates(benchmark::State& state) {
    const auto dimension = static_cast<std::size_t>(state.range(0));
    const std::size_t block = std::max<std::size_t>(4, 20'000'000 / dimension);
    constexpr float rate = 0.01f;
    const std::vector<float> first(dimension, 1.0f);
    HostMemory values_memory(Arena::bytes<float>(dimension)),
        memory(FederatedServer<PersaflRule>::memory(dimension, 1));
    Arena values_arena(values_memory.bytes()), arena(memory.bytes());
    const std::span<float> values = values_arena.take<float>(dimension);
    std::fill(values.begin(), values.end(), 0.5f);
    auto server =
        FederatedServer<PersaflRule>::make({.nodes = 1, .dimension = dimension}, PersaflRule{rate}, first, arena);
    if (!server) return state.SkipWithError("the server's settings");
    const auto at = reinterpret_cast<const std::byte*>(server->model().data()) - memory.bytes().data();
    const Vector<float> model(reinterpret_cast<float*>(memory.bytes().data() + at), dimension);

    std::uint64_t sequence = 0, refused = 0;
    double receiving = 1e9, adding = 1e9, adding_by_kernel = 1e9;
    for (auto _ : state) {
        const double spent = timed([&] {
            for (std::size_t k = 0; k < block; ++k) {
                const Update update{.sequence = ++sequence, .base_version = server->version(), .values = values};
                refused += server->receive(update).outcome != Reception::applied;
            }
        });
        receiving = std::min(receiving, spent);
        adding = std::min(adding, timed([&] {
                              for (std::size_t k = 0; k < block; ++k) add_scaled(rate, values, model);
                          }));
        adding_by_kernel = std::min(adding_by_kernel, timed([&] {
                                        for (std::size_t k = 0; k < block; ++k) {
                                            flat_kernels().add_scaled(k % 2 ? rate : -rate, values.data(),
                                                                      model.data(), dimension);
                                        }
                                    }));
        state.SetIterationTime(spent);
    }
    if (refused > 0) return state.SkipWithError("the server refused updates");
    state.counters["updates_per_s"] = static_cast<double>(block) / receiving;
    state.counters["axpy_per_s"] = static_cast<double>(block) / adding;
    state.counters["share"] = adding / receiving;
    state.counters["share_of_kernel"] = adding_by_kernel / receiving;
}
BENCHMARK(server_updates)->ArgName("d")->Arg(1000)->Arg(100000)->Arg(1000000)->UseManualTime()->Iterations(60);

}  // namespace

BENCHMARK_MAIN();
