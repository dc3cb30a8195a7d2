// SPDX-License-Identifier: Apache-2.0
#include "aggregate_memory.hpp"
#include "allocations.hpp"
#include "core/aggregate/dpsgd.hpp"
#include "core/aggregate/federated_client.hpp"
#include "core/aggregate/gradient_push.hpp"
#include "core/aggregate/hyper_gradient_push.hpp"
#include "core/aggregate/pars_push.hpp"
#include "core/aggregate/server_rules.hpp"
#include "core/aggregate/synchronous.hpp"

#include <vector>

using namespace dunlin;
using namespace dunlin::test;

TEST_CASE("aggregation allocates nothing, and takes from its arena what it said") {
    const std::size_t bytes = ParsPush<>::memory(5, 2) + Dpsgd::memory(5, 2) + GradientTracking<>::memory(5, 2) +
                              FederatedServer<FedAvgRule>::memory(5, 3) + FederatedClient::memory(5) +
                              GradientPush::memory(5, 2) + HyperGradientPush::memory(5, 2, 2);
    Memory memory(bytes);
    const std::uint32_t others[] = {1, 2}, degrees[] = {2, 2};
    const float start[5] = {1, 2, 3, 4, 5}, gradient[5] = {1, 1, 1, 1, 1}, both[10] = {};
    const double weights[] = {0.3, 0.3};
    const Mass sums[5] = {};

    const std::size_t before = allocations();
    Arena arena = memory.arena();
    ParsPushSettings settings;
    settings.network.nodes = 3;
    settings.network.dimension = 5;
    settings.network.in_neighbours = others;
    settings.network.out_degree = 2;
    settings.network.largest_value = 10.0f;
    auto push = ParsPush<>::make(settings, start, arena);
    auto mixing = Dpsgd::make({0, 3, 5, others, degrees, {}}, start, arena);
    auto tracking = GradientTracking<>::make({0, 3, 5, others, weights, {}}, start, arena);
    auto server = FederatedServer<FedAvgRule>::make({.nodes = 3, .dimension = 5}, {}, start, arena);
    auto client = FederatedClient::make({.node = 1, .dimension = 5}, arena);
    auto random_push = GradientPush::make({.nodes = 3, .dimension = 5, .neighbours = others}, start, arena);
    auto hyper = HyperGradientPush::make({0, 3, 5, 2, others}, arena);
    const ConstVector<float> outer = std::span(start).first(2);
    bool done = push && mixing && tracking && tracking->wake(0, {}) && server && client &&
                server->begin_round({others, 1}) && random_push && hyper &&
                hyper->begin(0, start, outer, 1.0f, 0.5f, outer);
    for (int tick = 0; done && tick < 3; ++tick) {
        done = push->receive({1, tick, sums, 0}) && push->wake(tick, gradient) &&
               mixing->receive({2, tick, start, 0}) && mixing->wake(tick, gradient) &&
               tracking->receive({1, tick, both, 0}) && tracking->receive({2, tick, both, 0}) &&
               tracking->wake(tick, gradient) && !tracking->ready() && push->restore(push->state()) &&
               random_push->open(others, 0.1f) && random_push->wake(tick, gradient) &&
               random_push->receive({1, tick, sums, 0}) && random_push->restore(random_push->state()) &&
               hyper->receive({1, tick, start}) && hyper->outer_step(outer, 0.1f) &&
               hyper->inner_step(gradient, 0.1f);
    }
    done = done && client->download(server->model(), 0) && client->step(gradient) &&
           server->receive(*client->upload()).outcome == Reception::applied;
    const std::size_t after = allocations();

    CHECK(done);
    CHECK(after == before);
    CHECK(arena.used() == bytes);
    const std::vector<int> probe(100);
#if !defined(__SANITIZE_ADDRESS__)
    CHECK(allocations() > after);  // the counter counts
#endif
}
