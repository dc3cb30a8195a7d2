// SPDX-License-Identifier: Apache-2.0
#include "aggregate_memory.hpp"
#include "core/aggregate/dpsgd.hpp"

#include <cmath>
#include <vector>

using namespace dunlin;
using namespace dunlin::test;

namespace {

/// A path 0 - 1 - 2 - 3: degrees 1, 2, 2, 1.
const std::vector<std::vector<std::uint32_t>> path = {{1}, {0, 2}, {1, 3}, {2}};
const std::vector<std::vector<std::uint32_t>> path_degrees = {{2}, {1, 2}, {2, 1}, {2}};

DpsgdSettings settings_of(std::uint32_t node, std::size_t dimension, StepSchedule theta) {
    return {node, 4, dimension, path[node], path_degrees[node], theta};
}

struct Fleet {
    std::vector<Memory> memory;
    std::vector<Dpsgd> nodes;

    explicit Fleet(const std::vector<float>& start, StepSchedule theta) {
        for (std::uint32_t i = 0; i < 4; ++i) {
            memory.emplace_back(Dpsgd::memory(1, path[i].size()));
            Arena arena = memory.back().arena();
            auto node = Dpsgd::make(settings_of(i, 1, theta), std::span(start).subspan(i, 1), arena);
            REQUIRE(node);
            nodes.push_back(std::move(*node));
        }
    }
    float at(std::uint32_t i) const {
        float x = 0;
        nodes[i].estimate({&x, 1});
        return x;
    }
    void exchange() {
        for (std::uint32_t i = 0; i < 4; ++i) {
            for (const std::uint32_t j : path[i]) {
                REQUIRE(nodes[i].receive(nodes[j].share()));
            }
        }
    }
};

}  // namespace

TEST_CASE("D-PSGD mixes with Metropolis weights and keeps the mean") {
    Fleet fleet({8.0f, 2.0f, -4.0f, 6.0f}, {});
    for (auto& node : fleet.nodes) REQUIRE(node.wake(0, {}));  // nothing heard yet: everybody keeps its own
    CHECK(fleet.at(0) == 8.0f);
    fleet.exchange();
    for (auto& node : fleet.nodes) REQUIRE(node.wake(1, {}));
    CHECK(fleet.at(0) == Approx(8.0 + (2.0 - 8.0) / 3));
    CHECK(fleet.at(1) == Approx(2.0 + (8.0 - 2.0) / 3 + (-4.0 - 2.0) / 3));
    CHECK(fleet.at(2) == Approx(-4.0 + (2.0 + 4.0) / 3 + (6.0 + 4.0) / 3));
    for (std::int64_t tick = 2; tick < 200; ++tick) {
        fleet.exchange();
        for (auto& node : fleet.nodes) REQUIRE(node.wake(tick, {}));
    }
    for (std::uint32_t i = 0; i < 4; ++i) CHECK(fleet.at(i) == Approx(3.0));
}

TEST_CASE("D-PSGD finds the minimiser of a sum of quadratics") {
    Fleet fleet({0, 0, 0, 0}, {.scale = 1.0, .offset = 20.0, .longest_gap = 0});
    const float center[] = {1.0f, -2.0f, 5.0f, 8.0f};
    for (std::int64_t tick = 0; tick < 5000; ++tick) {
        for (std::uint32_t i = 0; i < 4; ++i) {
            const float gradient[] = {fleet.at(i) - center[i]};
            REQUIRE(fleet.nodes[i].wake(tick, gradient));
        }
        fleet.exchange();
    }
    for (std::uint32_t i = 0; i < 4; ++i) CHECK(fleet.at(i) == Approx(3.0).margin(0.02));
}

TEST_CASE("D-PSGD refuses what is stale, strange or not finite, and restores its state") {
    Fleet fleet({1, 2, 3, 4}, {});
    Dpsgd& node = fleet.nodes[1];
    const float one[] = {1.0f}, bad[] = {NAN}, two[] = {1.0f, 2.0f};
    CHECK(node.receive({0, 5, one, 0}) == Receipt::accepted);
    const std::vector<std::byte> before(node.state().begin(), node.state().end());
    CHECK(node.receive({0, 5, one, 0}) == Receipt::stale);
    CHECK(node.receive({3, 6, one, 0}).error() == Error{Code::unknown_sender, 3});
    CHECK(node.receive({0, 6, bad, 0}).error().code == Code::not_finite);
    CHECK(node.receive({0, 6, two, 0}).error() == Error{Code::shape_mismatch, 2, 1});
    CHECK(node.wake(0, bad).error().code == Code::not_finite);
    REQUIRE(node.wake(0, one));
    CHECK(node.wake(0, one).error().code == Code::tick_not_newer);
    const float after = fleet.at(1);
    REQUIRE(node.restore(before));
    CHECK(fleet.at(1) == 2.0f);
    REQUIRE(node.wake(0, one));
    CHECK(fleet.at(1) == after);
    CHECK(node.restore(fleet.nodes[2].state()).error().code == Code::state_mismatch);

    Arena arena = fleet.memory[1].arena();
    DpsgdSettings settings = settings_of(1, 1, {});
    settings.degrees = settings.degrees.first(1);
    CHECK(Dpsgd::make(settings, one, arena).error().code == Code::bad_setting);
    settings = settings_of(1, 1, {});
    settings.node = 2;
    CHECK(Dpsgd::make(settings, one, arena).error() == Error{Code::bad_neighbours, 1});
    CHECK(Dpsgd::make(settings_of(1, 1, {}), bad, arena).error().code == Code::not_finite);
}
