// SPDX-License-Identifier: Apache-2.0
#include "aggregate_memory.hpp"
#include "core/aggregate/federated_client.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include <catch2/catch.hpp>

using namespace dunlin;
using namespace dunlin::test;

namespace {

const std::vector<float> first_model = {1.0f, -2.0f};

}  // namespace

TEST_CASE("a client whose gradient, or whose step, is not finite anywhere is unchanged [invariant 9]") {
    constexpr std::size_t d = 200;
    Memory memory(FederatedClient::memory(d));
    Arena arena = memory.arena();
    auto made =
        FederatedClient::make({.dimension = d, .local_steps = 9, .local_rate = 1e3f, .prox_weight = 5e-4f}, arena);
    REQUIRE(made);
    const std::vector<float> model(d, 1.0f), far(d, 3e38f);
    std::vector<float> gradient(d, 0.5f);
    const auto refuses = [&](std::size_t at) {
        const std::vector<std::byte> before(made->state().begin(), made->state().end());
        CHECK(made->step(gradient).error() == Error{Code::not_finite, static_cast<std::int64_t>(at)});
        CHECK(std::ranges::equal(made->state(), before));
    };
    for (const std::vector<float>& from : {model, far}) {
        REQUIRE(made->download(from, 1));
        for (const std::size_t at : {std::size_t{0}, std::size_t{64}, d - 1}) {
            for (const float bad : {NAN, INFINITY, -3e38f}) {  // of the last 1000 times as much would be stepped
                gradient[at] = bad;
                refuses(at);
            }
            gradient[at] = 0.5f;
        }
        REQUIRE(made->step(gradient));
    }
    // A large step is taken as long as it leads somewhere, and the next is looked at as closely.
    REQUIRE(made->download(model, 2));
    gradient[5] = -3e35f;
    REQUIRE(made->step(gradient));
    CHECK(made->parameters()[5] == Approx(3e38f));
    gradient[5] = -1e29f;
    REQUIRE(made->step(gradient));
    gradient[5] = -3e35f;
    refuses(5);
}

TEST_CASE("a client that remembers the front of its state alone goes on as one that kept it all") {
    Memory whole(FederatedClient::memory(2)), kept(FederatedClient::memory(2)), other(FederatedClient::memory(2));
    const ClientSettings settings{.node = 4, .incarnation = 2, .dimension = 2, .local_rate = 0.5f};
    const float gradient[] = {1.0f, -3.0f};
    Arena arena = whole.arena(), arena_kept = kept.arena();
    auto first = FederatedClient::make(settings, arena);
    REQUIRE(first);
    const auto fresh = FederatedClient::remembered(settings);
    REQUIRE(fresh);
    CHECK(std::ranges::equal(first->state().first(fresh->size()), *fresh));
    REQUIRE((first->download(first_model, 3) && first->step(gradient)));
    const auto update = first->upload();
    REQUIRE(update);

    // Its update sent again, from the front of the state and the message.
    const std::span<std::byte> block = arena_kept.take<std::byte>(FederatedClient::memory(2));
    std::ranges::copy(first->state().first(fresh->size()), block.begin());
    FederatedClient::recall(block, update->values);
    auto again = FederatedClient::resume(settings, block);
    REQUIRE(again);
    const auto repeated = again->upload();
    REQUIRE(repeated);
    CHECK(repeated->sequence == update->sequence);
    CHECK(repeated->base_version == 3);
    CHECK(repeated->incarnation == 2);
    CHECK(std::ranges::equal(repeated->values, update->values));

    // The next one, from the front alone, with anything behind it.
    std::fill(block.begin() + std::ssize(*fresh), block.end(), std::byte{0x7f});
    auto next = FederatedClient::resume(settings, block);
    REQUIRE(next);
    for (FederatedClient* client : {&*first, &*next})
        REQUIRE((client->download(first_model, 5) && client->step(gradient) && client->upload()));
    CHECK(std::ranges::equal(first->state().first(fresh->size()), next->state().first(fresh->size())));
    CHECK(std::ranges::equal(first->parameters(), next->parameters()));
    CHECK(std::ranges::equal(first->upload()->values, next->upload()->values));
}
