// SPDX-License-Identifier: Apache-2.0
// What messages under way take, and when it is free again.
#include "transport/simulation/network_state.hpp"

#include <cstring>
#include <vector>

using namespace dunlin;
using namespace dunlin::simulation;

TEST_CASE("a broadcast stores its bytes once, and they are freed with the last delivery") {
    const Graph graph = *star(50);
    Network network = *Network::create(graph, LinkProfile::rounds(4, 1, 0.5f), {});
    const auto broadcast = [&] {
        Payload payload = *network.allocate(10'000);
        REQUIRE(network.broadcast(0, payload));
    };
    broadcast();
    CHECK(network.payloads_in_use() == 1);
    const std::size_t memory = network.payload_bytes();
    CHECK(memory >= 10'000);
    CHECK(memory < 20'000);
    for (Event event; network.next(event);) CHECK(event.payload.size() == 10'000);
    CHECK(network.payloads_in_use() == 0);

    for (int k = 0; k < 100; ++k) {
        broadcast();
        Payload kept;
        for (Event event; network.next(event);) kept = event.payload;
        CHECK(network.payloads_in_use() == 1);
    }
    CHECK(network.payload_bytes() == memory);
}

TEST_CASE("a network that is thrown away with messages under way and waiting frees them") {
    const Graph graph = *ring(2);
    LinkProfile profile;
    profile.ticks_per_byte = 100.0;
    Network network = *Network::create(graph, profile, {});
    for (int k = 0; k < 5; ++k) REQUIRE(network.send(0, 1, *network.allocate(100)));
    CHECK(network.payloads_in_use() == 5);
    Network moved = std::move(network);
    CHECK(moved.payloads_in_use() == 5);
    // The leak checker of the sanitized build has the last word.
}

TEST_CASE("payloads of every size are aligned and hold what they are given") {
    PayloadPool pool(std::size_t{1} << 30);
    for (std::size_t size = 0; size < 5000; size = size * 5 / 4 + 1) {
        Payload payload = *pool.allocate(size);
        REQUIRE(payload.size() == size);
        REQUIRE(reinterpret_cast<std::uintptr_t>(payload.as().data()) % 64 == 0);
        std::memset(payload.writable().data(), 0xab, size);
        const Payload copy = payload;
        CHECK(copy.as().data() == payload.as().data());
    }
    CHECK(pool.in_use() == 0);
}

TEST_CASE("memory has a limit, and what is free makes room for other sizes before it is an error") {
    PayloadPool pool(100'000);
    CHECK(pool.allocate(PayloadPool::payload_limit_bytes + 1).error().code == Code::payload_too_large);
    {
        std::vector<Payload> held;
        for (int k = 0; k < 40; ++k) held.push_back(*pool.allocate(2000));
        CHECK(pool.allocate(30'000).error().code == Code::payloads_full);
    }
    CHECK(pool.allocate(60'000));
    CHECK(pool.reserved_bytes() <= 100'000);
}

TEST_CASE("many small payloads lie in large pages, which make room for other sizes once none of theirs is in use") {
    constexpr std::size_t limit = 6'000'000;
    PayloadPool pool(limit);
    {
        std::vector<Payload> held;
        for (int k = 0; k < 2500; ++k) {
            held.push_back(*pool.allocate(2000));
            REQUIRE(reinterpret_cast<std::uintptr_t>(held.back().as().data()) % 64 == 0);
            std::memset(held.back().writable().data(), k & 0xff, 2000);
        }
        CHECK(pool.allocate(2'000'000).error().code == Code::payloads_full);
        for (int k = 0; k < 2500; ++k) {
            const auto bytes = held[static_cast<std::size_t>(k)].as();
            REQUIRE(std::ranges::all_of(bytes, [&](std::byte byte) { return byte == std::byte(k & 0xff); }));
        }
    }
    CHECK(pool.allocate(4'000'000));
    CHECK(pool.reserved_bytes() <= limit);
}
