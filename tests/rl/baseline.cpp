// SPDX-License-Identifier: Apache-2.0
#include "rl/baseline.hpp"

#include "fixtures.hpp"

using namespace dunlin;
using namespace dunlin::testing;

namespace {

/// Three trajectories of lengths 3, 1 and 2, rewards 1, 2, 4 / 8 / 16, 32.
struct Batch {
    Memory memory{1 << 16};
    Arena arena{memory.bytes()};
    Rollout<double> rollout{3, 5, arena};

    Batch() {
        const std::vector<std::vector<int>> running{{0, 1, 2}, {0, 2}, {0}};
        const std::vector<std::vector<float>> rewards{{1, 8, 16}, {2, 32}, {4}};
        for (std::size_t h = 0; h < 3; ++h) {
            const int first = rollout.open(static_cast<int>(running[h].size()));
            for (std::size_t k = 0; k < running[h].size(); ++k) {
                rollout.trajectory(first + static_cast<int>(k)) = running[h][k];
                rollout.reward(first + static_cast<int>(k)) = rewards[h][k];
            }
        }
    }
    double weight(int h, int k) const { return rollout.weight(rollout.first(h) + k); }
};

}  // namespace

TEST_CASE("rewards to go are discounted from time 0, and padding counts for nothing") {
    Batch batch;
    CHECK(batch.rollout.weigh_by_reward_to_go(0.5f) == Approx((3.0 + 8 + 32) / 3));
    CHECK(batch.weight(0, 0) == 3);  // 1 + 2/2 + 4/4
    CHECK(batch.weight(0, 1) == 8);
    CHECK(batch.weight(0, 2) == 32);
    CHECK(batch.weight(1, 0) == 2);
    CHECK(batch.weight(1, 1) == 16);
    CHECK(batch.weight(2, 0) == 1);
    CHECK(batch.rollout.steps() == 6);
    for (int h = 0; h < 3; ++h) {
        for (int k = batch.rollout.active(h); k < batch.rollout.width(h); ++k) CHECK(batch.weight(h, k) == 0);
    }
}

TEST_CASE("the leave-one-out baseline is the mean of the others that still run") {
    Batch batch;
    batch.rollout.weigh_by_reward_to_go(0.5f);
    subtract_leave_one_out(batch.rollout);
    CHECK(batch.weight(0, 0) == 3 - 20);
    CHECK(batch.weight(0, 1) == 8 - 17.5);
    CHECK(batch.weight(1, 1) == 16 - 2);
    CHECK(batch.weight(2, 0) == 1);
}

TEST_CASE("the linear baseline removes what is linear in its features") {
    Memory memory(1 << 20);
    Arena arena(memory.bytes());
    Rollout<double> rollout(20, 10, arena);
    std::vector<double> observations(2 * Rollout<double>::capacity(20, 10));
    std::vector<double> features(static_cast<std::size_t>(linear_features(2)) * Rollout<double>::capacity(20, 10));
    Stream random(1, 0, Purpose::user);
    for (int h = 0; h < 10; ++h) {
        const int first = rollout.open(20);
        double* matrix = observations.data() + 2 * first;
        for (int k = 0; k < 20; ++k) {
            const double x = random.normal(), y = random.normal(), t = h / 10.0;
            matrix[k] = x;
            matrix[rollout.width(h) + k] = y;
            rollout.weight(first + k) = 3 * x - y * y + 2 * t * t * t - 0.5;
        }
    }
    subtract_linear_fit(rollout, observations.data(), 2, features.data());
    for (int h = 0; h < 10; ++h) {
        for (int k = 0; k < 20; ++k)
            CHECK(std::abs(rollout.weight(rollout.first(h) + k)) < 5e-3);  // what the ridge leaves
    }
}
