// SPDX-License-Identifier: Apache-2.0
// The simulated network alone: events per second (items_per_second), with nodes that only wake up and send.
#include "transport/simulation/network.hpp"

#include <benchmark/benchmark.h>

namespace {

using namespace dunlin;
using namespace dunlin::simulation;

/// Rounds, as in PARS-Push: each node of an exponential graph wakes up every other tick and sends to all
/// out-neighbours; a fifth of the messages is lost, delays are 1 to 3 ticks.
void rounds(benchmark::State& state) {
    const Graph graph = *exponential_graph(static_cast<std::uint32_t>(state.range(0)));
    Network network = *Network::create(graph, LinkProfile::rounds(3, 2, 0.2f), {});
    for (std::uint32_t i = 0; i < graph.nodes(); ++i) (void)network.set_timer(i, i % 2);
    const std::size_t bytes = static_cast<std::size_t>(state.range(1));
    std::int64_t events = 0;
    Batch batch;
    for (auto _ : state) {
        network.pop_batch(batch);
        events += std::ssize(batch.events);
        for (const Event& event : batch.events) {
            if (event.kind == Event::Kind::delivery) continue;
            const Payload payload = bytes > 0 ? *network.allocate(bytes) : Payload{};
            (void)network.broadcast(event.node, payload);
            (void)network.set_timer(event.node, network.now() + 2);
        }
    }
    state.SetItemsProcessed(events);
    state.counters["payload_MB"] = static_cast<double>(network.payload_bytes()) * 1e-6;
}
BENCHMARK(rounds)
    ->ArgNames({"nodes", "bytes"})
    ->Args({10, 0})
    ->Args({1000, 0})
    ->Args({10000, 0})
    ->Args({10000, 256});

/// Seconds, as in PersA-FL: clients of a star answer the server after a log-normal time; one event at a time.
void seconds_on_a_star(benchmark::State& state) {
    const Graph graph = *star(static_cast<std::uint32_t>(state.range(0)));
    LinkProfile profile;
    profile.latency = Latency::log_normal(seconds(0.001), seconds(0.02), 1.0f);
    Network network = *Network::create(graph, profile, {});
    (void)network.broadcast(0, {});
    Event event;
    for (auto _ : state) {
        network.next(event);
        (void)network.send(event.node, event.from, {});
    }
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(seconds_on_a_star)->ArgName("nodes")->Arg(10)->Arg(1000)->Arg(100000);

struct Bare {
    Time time;
    std::uint64_t rest[3];
};

/// The queue alone, with a constant number of events pending: take one, push one up to `spread` ticks later.
void hold(benchmark::State& state) {
    Stream random(1, 0, Purpose::user);
    EventQueue<Bare> queue;
    std::vector<Time> later(1 << 16);
    for (Time& time : later)
        time = 1 + static_cast<Time>(random.uniform_double() * static_cast<double>(state.range(1)));
    std::size_t k = 0;
    for (std::int64_t j = 0; j < state.range(0); ++j) queue.push({later[k++ % later.size()], {}});
    for (auto _ : state) {
        queue.advance(time_limit);
        Bare item = queue.take();
        item.time += later[k++ % later.size()];
        queue.push(item);
    }
    state.SetItemsProcessed(state.iterations());
}
BENCHMARK(hold)
    ->ArgNames({"pending", "spread"})
    ->Args({1000, 3})
    ->Args({1000000, 3})
    ->Args({1000, 1000000000})
    ->Args({1000000, 1000000000});

}  // namespace

BENCHMARK_MAIN();
