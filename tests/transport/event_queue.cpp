// SPDX-License-Identifier: Apache-2.0
#include "transport/simulation/event_queue.hpp"

#include "core/random.hpp"

#include <set>
#include <tuple>

using namespace dunlin;
using namespace dunlin::simulation;

namespace {

struct Numbered {
    Time time;
    std::uint64_t number;
};

}  // namespace

TEST_CASE("events come in the order of time, and of insertion among equals, as an ordered set says") {
    for (const Time spread : {Time{0}, Time{3}, Time{1000}, Time{1} << 40}) {
        Stream random(17, 0, Purpose::user);
        EventQueue<Numbered> queue;
        std::set<std::tuple<Time, std::uint64_t>> expected;
        std::uint64_t number = 0;
        for (int step = 0; step < 30000; ++step) {
            const bool grow = step < 15000 ? random.below(8) < 5 : random.below(8) < 3;
            if (grow) {
                const Time later = static_cast<Time>(random.uniform_double() * static_cast<double>(spread + 1));
                queue.push({queue.now() + later, number});
                expected.insert({queue.now() + later, number++});
            } else if (queue.advance(time_limit)) {
                const Numbered item = queue.take();
                REQUIRE(std::tuple{item.time, item.number} == *expected.begin());
                REQUIRE(queue.now() == item.time);
                expected.erase(expected.begin());
            }
            REQUIRE(queue.size() == expected.size());
        }
        for (; queue.advance(time_limit); expected.erase(expected.begin()))
            REQUIRE(queue.take().number == std::get<1>(*expected.begin()));
        CHECK(expected.empty());
    }
}

TEST_CASE("the clock stays where it is when nothing is due, so earlier events may still be pushed") {
    EventQueue<Numbered> queue;
    CHECK(!queue.advance(time_limit));
    queue.push({100, 0});
    CHECK(!queue.advance(99));
    CHECK(queue.now() == 0);
    queue.push({50, 1});
    CHECK(queue.advance(99));
    CHECK(queue.take().number == 1);
    CHECK(!queue.advance(99));
    CHECK(queue.now() == 50);
    CHECK(queue.advance(100));
    CHECK(queue.take().time == 100);
    CHECK(queue.size() == 0);
}

TEST_CASE("what was not taken can be visited") {
    EventQueue<Numbered> queue;
    for (std::uint64_t k = 0; k < 10; ++k) queue.push({static_cast<Time>(k / 3), k});
    for (int k = 0; k < 4; ++k) {
        REQUIRE(queue.advance(time_limit));
        queue.take();
    }
    std::set<std::uint64_t> left;
    queue.for_each([&](const Numbered& item) { left.insert(item.number); });
    CHECK(left == std::set<std::uint64_t>{4, 5, 6, 7, 8, 9});
}
