// SPDX-License-Identifier: Apache-2.0
#include "training/network/lives.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

using namespace dunlin;
using simulation::Time;

TEST_CASE("a node's life depends on seed and node alone") {
    const LifeSettings settings{
        .pace_sigma = 0.5f, .awake_mean = 30, .asleep_mean = 10, .up_mean = 100, .down_mean = 5};
    Life one(settings, 1, 7), same(settings, 1, 7), other(settings, 1, 8);
    CHECK(one.pace == same.pace);
    CHECK(one.pace != other.pace);
    for (Time t = 0; t < 1000; t += 13) {
        CHECK(one.sleeps.at(t).from == same.sleeps.at(t).from);
        CHECK(one.crashes.at(t).until == same.crashes.at(t).until);
    }
    CHECK(one.crashes.at(1000).from != other.crashes.at(1000).from);
}

TEST_CASE("windows follow each other without touching, in the stated means") {
    Windows windows(40, 10, Stream(3, 0, Purpose::lives));
    Time end = 0, asleep = 0;
    int count = 0;
    for (Windows::Window w = windows.at(0); w.from < 1'000'000; w = windows.at(w.until), ++count) {
        REQUIRE(w.from > end);
        REQUIRE(w.until > w.from);
        asleep += w.until - w.from;
        end = w.until;
    }
    CHECK(static_cast<double>(asleep) / count == Approx(10).epsilon(0.05));
    CHECK(static_cast<double>(end) / count == Approx(50).epsilon(0.05));
    const Windows::Window next = windows.at(end);
    CHECK_FALSE(next.holds(next.from - 1));
    CHECK(next.holds(next.from));
    CHECK_FALSE(next.holds(next.until));
}

TEST_CASE("who never sleeps and never crashes has no windows") {
    Life life({}, 1, 0);
    CHECK(life.awake_from(12345) == 12345);
    CHECK(life.crashes.at(0).from == simulation::time_limit);
    CHECK(life.duration(3) == 3);
}

TEST_CASE("paces are log-normal with median one") {
    std::vector<double> logs;
    for (std::uint32_t node = 0; node < 4001; ++node) {
        logs.push_back(std::log(static_cast<double>(Life({.pace_sigma = 0.7f}, 5, node).pace)));
    }
    std::ranges::sort(logs);
    CHECK(logs[2000] == Approx(0).margin(0.05));
    CHECK(logs[3365] == Approx(0.7).epsilon(0.1));  // one deviation above
}

TEST_CASE("lives out of range are refused") {
    CHECK(LifeSettings{}.check());
    CHECK(LifeSettings{.pace_sigma = NAN}.check().error() == Error{Code::bad_setting, 0});
    CHECK(LifeSettings{.down_mean = -1}.check().error() == Error{Code::bad_setting, 4});
}
