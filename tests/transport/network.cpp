// SPDX-License-Identifier: Apache-2.0
#include "transport/simulation/network_state.hpp"

#include <algorithm>
#include <cstring>
#include <thread>
#include <vector>

using namespace dunlin;
using namespace dunlin::simulation;

namespace {

LinkProfile faulty() {
    LinkProfile profile;
    profile.latency = Latency::uniform(1, 3);
    profile.loss = 0.3f;
    profile.loss_limit = 4;
    profile.duplication = 0.1f;
    return profile;
}

std::uint64_t scramble(std::uint64_t state, std::uint64_t word) {
    return (state ^ word) * 0xd6e8feb86659fd93ull + 1;
}

/// A fleet whose nodes mix what they hear into a number and tell it to their neighbours when their timer rings.
struct Gossip {
    Network network;
    std::vector<std::uint64_t> state;
    Time end;

    Gossip(const Graph& graph, const LinkProfile& profile, std::uint64_t seed, Time end_time)
        : network(*Network::create(graph, profile, settings(seed))), state(graph.nodes(), 1), end(end_time) {
        for (std::uint32_t i = 0; i < graph.nodes(); ++i) REQUIRE(network.set_timer(i, i % 3));
    }

    static NetworkSettings settings(std::uint64_t seed) {
        NetworkSettings settings;
        settings.seed = seed;
        settings.trace_payloads = true;
        return settings;
    }

    void hear(const Event& event) {
        state[event.node] = scramble(state[event.node], event.payload.as<std::uint64_t>()[0]);
    }

    Payload speak(std::uint32_t node) {
        Payload payload = *network.allocate(sizeof(std::uint64_t));
        payload.writable<std::uint64_t>()[0] = state[node] = scramble(state[node], node);
        return payload;
    }

    void send(std::uint32_t node, const Payload& payload) {
        REQUIRE(network.broadcast(node, payload));
        if (network.now() < end) REQUIRE(network.set_timer(node, network.now() + 1 + node % 3));
    }

    void run() {
        for (Event event; network.next(event);) {
            if (event.kind == Event::Kind::delivery)
                hear(event);
            else
                send(event.node, speak(event.node));
        }
    }

    /// The nodes of a batch are shared out among threads; what they say is sent afterwards, in order.
    void run_in_parallel(std::size_t threads) {
        Batch batch;
        while (network.pop_batch(batch)) {
            std::vector<Payload> said(batch.groups.size());
            const auto serve = [&](std::size_t worker) {
                for (std::size_t g = worker; g < batch.groups.size(); g += threads) {
                    for (const Event& event : batch.of(batch.groups[g])) {
                        if (event.kind == Event::Kind::delivery)
                            hear(event);
                        else
                            said[g] = speak(event.node);
                    }
                }
            };
            std::vector<std::thread> workers;
            for (std::size_t w = 1; w < threads; ++w) workers.emplace_back(serve, w);
            serve(0);
            for (std::thread& worker : workers) worker.join();
            for (std::size_t g = 0; g < said.size(); ++g) {
                if (said[g].size() > 0) send(batch.groups[g].node, said[g]);
            }
        }
    }
};

}  // namespace

TEST_CASE("the same seed gives the same trace, another seed another [invariant 11]") {
    const Graph graph = *exponential_graph(12);
    const auto trace = [&](std::uint64_t seed) {
        Gossip gossip(graph, faulty(), seed, 300);
        gossip.run();
        return gossip.network.trace();
    };
    CHECK(trace(1) == trace(1));
    CHECK(trace(1) != trace(2));
    CHECK(trace(1) != trace(std::uint64_t{1} << 32 | 1));
}

TEST_CASE("the trace covers payloads, tags and times") {
    const Graph graph = *ring(2);
    const auto trace = [&](std::uint64_t word, std::uint64_t tag, Time time) {
        Network network = *Network::create(graph, {}, Gossip::settings(1));
        Payload payload = *network.allocate(12);
        std::memset(payload.writable().data(), 0, 12);
        payload.writable<std::uint64_t>()[0] = word;
        Event event;
        REQUIRE(network.set_timer(0, time));
        REQUIRE(network.next(event));
        REQUIRE(network.send(0, 1, payload, tag));
        REQUIRE(network.next(event));
        return network.trace();
    };
    CHECK(trace(1, 2, 3) == trace(1, 2, 3));
    CHECK(trace(1, 2, 3) != trace(4, 2, 3));
    CHECK(trace(1, 2, 3) != trace(1, 4, 3));
    CHECK(trace(1, 2, 3) != trace(1, 2, 4));
}

TEST_CASE("any number of threads gives the same trace and the same states as one") {
    const Graph graph = *exponential_graph(24);
    Gossip one(graph, faulty(), 5, 60);
    one.run_in_parallel(1);
    for (const std::size_t threads : {2, 3, 8}) {
        Gossip many(graph, faulty(), 5, 60);
        many.run_in_parallel(threads);
        CHECK(many.network.trace() == one.network.trace());
        CHECK(many.state == one.state);
    }
}

TEST_CASE("a batch holds all events of one time, together for each node and in order within it") {
    const Graph graph = *complete_graph(6);
    Network single = *Network::create(graph, faulty(), {});
    Network batched = *Network::create(graph, faulty(), {});
    for (Network* network : {&single, &batched}) {
        for (std::uint64_t round = 0; round < 50; ++round) {
            for (std::uint32_t i = 0; i < 6; ++i) {
                REQUIRE(network->broadcast(i, {}, round));
                REQUIRE(network->set_timer(i, static_cast<Time>(round / 4), round));
            }
        }
    }
    Batch batch;
    std::size_t batches = 0;
    Time last = -1;
    for (; batched.pop_batch(batch); ++batches) {
        CHECK(batch.time > last);
        last = batch.time;
        std::vector<std::vector<std::uint64_t>> expected(6), found(6);
        for (std::size_t k = 0; k < batch.events.size(); ++k) {
            Event event;
            REQUIRE(single.next(event));
            REQUIRE(event.time == batch.time);
            expected[event.node].push_back(event.tag * 1000 + event.link);
        }
        std::size_t covered = 0;
        REQUIRE(batch.by_node.size() == batch.groups.size());
        std::uint32_t above = 0;
        for (const std::uint32_t index : batch.by_node) {  // the events lie in the order of nodes
            const Batch::Group& group = batch.groups[index];
            CHECK(group.node >= above);
            above = group.node + 1;
            CHECK(group.first == covered);
            covered += group.count;
            REQUIRE(found[group.node].empty());
            for (const Event& event : batch.of(group)) {
                CHECK(event.node == group.node);
                found[group.node].push_back(event.tag * 1000 + event.link);
            }
        }
        CHECK(covered == batch.events.size());
        CHECK(found == expected);
    }
    Event event;
    CHECK(!single.next(event));
    CHECK(batches == 13);
    CHECK(batched.counters().timers == 300);
    CHECK(batched.counters().delivered == single.counters().delivered);
}

TEST_CASE("a message without delay, sent while a batch is served, makes another batch of the same time") {
    const Graph graph = *ring(2);
    LinkProfile profile;
    profile.latency = Latency::constant(0);
    Network network = *Network::create(graph, profile, {});
    REQUIRE(network.set_timer(0, 5));
    Batch batch;
    REQUIRE(network.pop_batch(batch));
    REQUIRE(network.send(0, 1, {}));
    REQUIRE(network.pop_batch(batch));
    CHECK(batch.time == 5);
    CHECK(batch.events.at(0).kind == Event::Kind::delivery);
    CHECK(!network.pop_batch(batch));
    CHECK(batch.events.empty());
}

TEST_CASE("the clock stops before `until`, and every message is accounted for at every moment") {
    const Graph graph = *exponential_graph(8);
    LinkProfile profile = faulty();
    profile.ticks_per_byte = 0.5;
    profile.queue_limit = 2;
    Gossip gossip(graph, profile, 3, 400);
    const std::uint32_t group[] = {0, 1, 2};
    REQUIRE(gossip.network.cut_off(group, 100, 150));
    for (Time until = 10; until < 400; until += 10) {
        for (Event event; gossip.network.next(event, until);) {
            REQUIRE(event.time <= until);
            if (event.kind == Event::Kind::timer) gossip.send(event.node, gossip.speak(event.node));
        }
        REQUIRE(gossip.network.now() <= until);
    }
    gossip.end = 0;
    gossip.run();
    const Counters& counters = gossip.network.counters();
    CHECK(counters.cut > 0);
    CHECK(counters.lost > 0);
    CHECK(counters.overflowed > 0);
    CHECK(counters.sent + counters.duplicated ==
          counters.delivered + counters.lost + counters.cut + counters.overflowed);
    CHECK(gossip.network.pending() == 0);
}

TEST_CASE("too much under way is an error and sends nothing") {
    const Graph graph = *ring(2);
    NetworkSettings settings;
    settings.event_limit = 100;
    Network network = *Network::create(graph, {}, settings);
    int sent = 0;
    while (sent < 1000 && network.send(0, 1, {})) ++sent;
    CHECK(sent > 90);
    CHECK(sent <= 100);
    CHECK(network.send(0, 1, {}).error().code == Code::network_full);
    CHECK(network.set_timer(0, 5).error().code == Code::network_full);
    CHECK(network.counters().sent == static_cast<std::uint64_t>(sent));
    Event event;
    for (int k = 0; k < 10; ++k) REQUIRE(network.next(event));
    CHECK(network.send(0, 1, {}));
}

TEST_CASE("wrong links, nodes and times are refused") {
    const Graph graph = *directed_ring(4);
    Network network = *Network::create(graph, {}, {});
    CHECK(network.send(1, 0, {}).error() == Error{Code::unknown_link, 1, 0});
    CHECK(network.send(4u, Payload{}).error() == Error{Code::unknown_link, 4, -1});
    CHECK(network.broadcast(4, {}).error() == Error{Code::graph_node, 0, 4});
    CHECK(network.set_timer(4, 1).error() == Error{Code::graph_node, 0, 4});
    CHECK(network.set_profile(4, {}).error() == Error{Code::unknown_link, 4, -1});
    CHECK(network.set_timer(0, time_limit + 1).error().code == Code::bad_time);
    REQUIRE(network.set_timer(0, 10));
    Event event;
    REQUIRE(network.next(event));
    CHECK(network.set_timer(0, 9).error() == Error{Code::bad_time, 9, 10});
    const std::uint32_t links[] = {0, 4}, nodes[] = {0, 9};
    CHECK(network.cut({links, 1}, 9, 20).error() == Error{Code::bad_time, 9, 10});
    CHECK(network.cut({links, 1}, 20, 20).error() == Error{Code::bad_time, 20, 21});
    CHECK(network.cut(links, 20, 30).error() == Error{Code::unknown_link, 4, -1});
    CHECK(network.cut_off(nodes, 20, 30).error() == Error{Code::graph_node, 1, 9});
}

TEST_CASE("seconds are nanoseconds, and what makes no sense is harmless") {
    CHECK(seconds(1.5) == 1'500'000'000);
    CHECK(seconds(1e-9) == 1);
    CHECK(seconds(-1.0) == 0);
    CHECK(seconds(0.0 / 0.0) == 0);
    CHECK(seconds(1e300) == time_limit);
    CHECK(to_seconds(seconds(0.25)) == 0.25);
}

TEST_CASE("10,000 nodes on an exponential graph exchange over a million messages in a moment") {
    const Graph graph = *exponential_graph(10'000);
    Network network = *Network::create(graph, LinkProfile::rounds(3, 2, 0.2f), {});
    for (std::uint32_t i = 0; i < graph.nodes(); ++i) REQUIRE(network.set_timer(i, i % 2));
    Batch batch;
    while (network.pop_batch(batch, 15)) {
        for (const Event& event : batch.events) {
            if (event.kind != Event::Kind::timer) continue;
            REQUIRE(network.broadcast(event.node, {}));
            REQUIRE(network.set_timer(event.node, network.now() + 2));
        }
    }
    CHECK(network.counters().sent == 10'000 * 14 * 8);
    const Counters& counters = network.counters();
    CHECK(counters.delivered > 700'000);
    CHECK(counters.sent == counters.delivered + counters.lost + network.pending() - graph.nodes());
}

TEST_CASE("a network that is saved goes on as if nothing had been, with queues, cuts and copies under way") {
    const Graph graph = *ring(5);
    LinkProfile profile = faulty();
    profile.ticks_per_byte = 0.4;
    profile.queue_limit = 2;
    profile.in_order = true;
    for (const Time saved_at : {0, 1, 17, 55}) {
        INFO(saved_at);
        const auto begin = [&] {
            auto gossip = std::make_unique<Gossip>(graph, profile, 7, 90);
            const std::uint32_t links[] = {1, 3};
            REQUIRE(gossip->network.cut(links, 20, 60));
            return gossip;
        };
        const auto live = [](Gossip& gossip, Time until) {
            for (Event event; gossip.network.next(event, until);) {
                if (event.kind == Event::Kind::delivery)
                    gossip.hear(event);
                else
                    gossip.send(event.node, gossip.speak(event.node));
            }
        };
        const auto whole = begin(), first = begin(), second = begin();
        live(*whole, 200);
        live(*first, saved_at);
        const NetworkState state = first->network.save();
        REQUIRE(second->network.restore(state));
        second->state = first->state;
        CHECK(second->network.pending() == first->network.pending());
        CHECK(second->network.payloads_in_use() == state.payloads.size());
        live(*second, 200);
        CHECK(second->network.trace() == whole->network.trace());
        CHECK(second->state == whole->state);
        CHECK(second->network.counters().overflowed == whole->network.counters().overflowed);
        CHECK(second->network.counters().cut == whole->network.counters().cut);
        REQUIRE(whole->network.counters().overflowed > 0);
        REQUIRE(whole->network.counters().cut > 0);
    }
}

TEST_CASE("a network refuses a state that is not its own") {
    const Graph graph = *ring(4), larger = *ring(5);
    Gossip gossip(graph, faulty(), 7, 90);
    const NetworkState good = gossip.network.save();
    CHECK(Network::create(larger, faulty(), {})->restore(good).error().code == Code::shape_mismatch);
    const auto refusal = [&](auto change) {
        NetworkState state = good;
        change(state);
        const auto restored = Gossip(graph, faulty(), 7, 90).network.restore(state);
        return restored ? Code{} : restored.error().code;
    };
    CHECK(refusal([](NetworkState& state) { state.queue.front().time = -1; }) == Code::bad_time);
    CHECK(refusal([](NetworkState& state) { state.queue.front().subject = 4; }) == Code::unknown_link);
    CHECK(refusal([](NetworkState& state) { state.queue.front().payload = 1; }) == Code::out_of_range);
    CHECK(refusal([](NetworkState& state) { state.queue.front().kind = 9; }) == Code::out_of_range);
    CHECK(refusal([](NetworkState& state) { state.queue.push_back({5, 0, 0, 0, 2}); }) == Code::unknown_link);
    CHECK(refusal([](NetworkState& state) { state.waiting.push_back({0, 0, 0, 99, 0}); }) == Code::unknown_link);
    CHECK(refusal([](NetworkState& state) { state.cuts.push_back({99, 0, 1}); }) == Code::unknown_link);
}
