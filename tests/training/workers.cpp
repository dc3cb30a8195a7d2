// SPDX-License-Identifier: Apache-2.0
#include "training/host/workers.hpp"

#include <catch2/catch.hpp>

using dunlin::Workers;

TEST_CASE("workers do every piece once, round after round") {
    for (const int threads : {1, 2, 5}) {
        Workers workers(threads);
        CHECK(workers.count() == threads);
        std::vector<std::atomic<int>> done(37), by_worker(static_cast<std::size_t>(threads));
        for (int round = 0; round < 200; ++round) {
            const int pieces = round % 38;
            workers.run(pieces, [&](int piece, int worker) {
                ++done[static_cast<std::size_t>(piece)];
                ++by_worker[static_cast<std::size_t>(worker)];
            });
        }
        int total = 0, expected = 0;
        for (int piece = 0; piece < 37; ++piece) {
            int rounds = 0;
            for (int round = 0; round < 200; ++round) rounds += round % 38 > piece ? 1 : 0;
            CHECK(done[static_cast<std::size_t>(piece)] == rounds);
            expected += rounds;
        }
        for (const auto& count : by_worker) total += count;
        CHECK(total == expected);
    }
}

TEST_CASE("a round has ended when run returns") {
    Workers workers(4);
    std::vector<int> values(64);  // not atomic: the end of a round orders them
    for (int round = 1; round <= 100; ++round) {
        workers.run(64, [&](int piece, int) { values[static_cast<std::size_t>(piece)] += round; });
        for (const int value : values) REQUIRE(value == round * (round + 1) / 2);
    }
}

TEST_CASE("one worker is the calling thread") {
    Workers workers(1);
    std::thread::id id;
    workers.run(1, [&](int, int worker) {
        CHECK(worker == 0);
        id = std::this_thread::get_id();
    });
    CHECK(id == std::this_thread::get_id());
}
