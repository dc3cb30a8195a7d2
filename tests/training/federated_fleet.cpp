// SPDX-License-Identifier: Apache-2.0
#include "federated_fixtures.hpp"

#include <algorithm>

#include <catch2/catch.hpp>

using namespace dunlin;
using namespace dunlin::test;

namespace {

constexpr Method methods[] = {preset::persafl,
                              preset::persafl_maml,
                              preset::persafl_me,
                              preset::fedavg,
                              preset::per_fedavg,
                              preset::pfedme,
                              preset::fedprox,
                              preset::fedasync,
                              preset::fedbuff,
                              {Objective::plain, AggregationName::scaffold},
                              {Objective::plain, AggregationName::fedadam}};

FederatedSettings settings_of(Method method) {
    FederatedSettings settings;
    settings.method = method;
    settings.local_steps = 3;
    settings.buffer_size = 3;
    settings.adam_rate = 0.1f;
    settings.clock.budget_s = 600.0f;
    settings.personal.steps = 3;
    return settings;
}

std::vector<float> model_after(const FederatedSettings& settings, double until_s, int threads) {
    BowlFleet fleet(settings, spread_centres(7), 5, threads, 0.5f);
    REQUIRE(fleet.made);
    REQUIRE(fleet.advance(until_s));
    return {fleet->model().begin(), fleet->model().end()};
}

}  // namespace

TEST_CASE("every federated method brings the shared model near the mean of the centres") {
    for (const Method method : methods) {
        INFO(name_of(method));
        BowlFleet fleet(settings_of(method), spread_centres(8), 3);
        REQUIRE(fleet.made);
        REQUIRE(fleet.advance(600.0));
        float mean[2] = {};
        for (const auto& centre : spread_centres(8)) {
            for (std::size_t k = 0; k < 2; ++k) mean[k] += centre[k] / 8.0f;
        }
        const float off = std::hypot(fleet->model()[0] - mean[0], fleet->model()[1] - mean[1]);
        CHECK(off < 0.7f);  // it starts 2.2 away; fast clients count more with an asynchronous server
        CHECK(fleet->counters().refused == 0);
    }
}

TEST_CASE("synchronous FedAvg of identical clients is plain gradient descent") {
    FederatedSettings settings = settings_of(preset::fedavg);
    settings.local_rate = 0.25f;
    BowlFleet fleet(settings, {{1.0f, 2.0f}, {1.0f, 2.0f}, {1.0f, 2.0f}}, 2);
    REQUIRE(fleet.made);
    REQUIRE(fleet.advance(100.0));
    const std::uint64_t rounds = fleet->version();
    REQUIRE(rounds >= 2);
    float x = 0.0f;
    for (std::uint64_t step = 0; step < 3 * rounds; ++step) x -= 0.25f * (x - 1.0f);
    CHECK(fleet->model()[0] == Approx(x).epsilon(1e-5));
    CHECK(fleet->model()[1] == Approx(2.0f * x).epsilon(1e-5));
}

TEST_CASE("the clock charges download, every gradient and upload") {
    // One client, 3 local steps: down 1 s, 3 gradients of 2 s, up 4.4 s make 11.4 s a turn.
    FederatedSettings settings = settings_of(preset::persafl);
    settings.clock.speed_spread = 0.0f;
    settings.clock.gradient_s = 2.0f;
    const auto updates = [&](double until_s) {
        BowlFleet fleet(settings, {{1.0f, 1.0f}});
        REQUIRE(fleet.made);
        REQUIRE(fleet.advance(until_s));
        return fleet->counters().applied;
    };
    CHECK(updates(11.39) == 0);
    CHECK(updates(11.41) == 1);
    CHECK(updates(22.79) == 1);
    CHECK(updates(22.81) == 2);

    settings.method = preset::persafl_maml;  // four gradients a step: 1 + 24 + 4.4
    CHECK(updates(29.39) == 0);
    CHECK(updates(29.41) == 1);
    settings.method = preset::persafl_me;  // as many as its inner steps: 1 + 30 + 4.4
    CHECK(updates(35.39) == 0);
    CHECK(updates(35.41) == 1);
}

TEST_CASE("a round waits for its slowest client, and an asynchronous server for none") {
    FederatedSettings settings = settings_of(preset::fedavg);
    BowlFleet rounds(settings, spread_centres(6), 4);
    REQUIRE(rounds.made);
    const double slowest = *std::ranges::max_element(rounds->gradient_s());
    const double fastest = *std::ranges::min_element(rounds->gradient_s());
    REQUIRE(slowest > 2.0 * fastest);
    const double round_s = 1.0 + 3.0 * slowest + 4.4;
    REQUIRE(rounds.advance(round_s - 0.01));
    CHECK(rounds->version() == 0);
    REQUIRE(rounds.advance(round_s + 0.01));
    CHECK(rounds->version() == 1);

    settings.method = preset::persafl;
    BowlFleet free(settings, spread_centres(6), 4);
    REQUIRE(free.made);
    REQUIRE(free.advance(1.0 + 3.0 * fastest + 4.4 + 0.01));
    CHECK(free->version() == 1);
    REQUIRE(free.advance(20.0 * round_s));
    CHECK(free->counters().applied > 20 * 6);
    CHECK(free->counters().staleness > 0);
    CHECK(rounds->counters().staleness == 0);
}

TEST_CASE("concurrency bounds how many clients work at a time") {
    FederatedSettings settings = settings_of(preset::persafl);
    settings.clock.concurrency = 0.5f;
    BowlFleet fleet(settings, spread_centres(8), 6);
    REQUIRE(fleet.made);
    REQUIRE(fleet.advance(500.0));
    CHECK(fleet->counters().busy_s <= 4.0 * 500.0);
    CHECK(fleet->counters().busy_s > 0.5 * 500.0);
}

TEST_CASE("the numbers of a fleet do not depend on threads, and the seed gives the trace again [invariant 11]") {
    for (const Method method : methods) {
        INFO(name_of(method));
        FederatedSettings settings = settings_of(method);
        settings.moreau.accuracy = 0.05f;  // then the cost of a step is not known beforehand
        CHECK(model_after(settings, 300.0, 1) == model_after(settings, 300.0, 3));

        BowlFleet one(settings, spread_centres(7), 5, 1, 0.5f), two(settings, spread_centres(7), 5, 2, 0.5f),
            other(settings, spread_centres(7), 6, 1, 0.5f);
        REQUIRE((one.advance(200.0) && two.advance(200.0) && other.advance(200.0)));
        CHECK(one->trace() == two->trace());
        CHECK(one->trace() != other->trace());
    }
}

TEST_CASE("looking at a fleet on the way changes nothing") {
    const FederatedSettings settings = settings_of(preset::persafl_me);
    BowlFleet looked_at(settings, spread_centres(5), 8, 1, 0.5f),
        left_alone(settings, spread_centres(5), 8, 1, 0.5f);
    for (int k = 1; k <= 30; ++k) REQUIRE(looked_at.advance(10.0 * k));
    REQUIRE(left_alone.advance(300.0));
    CHECK(std::ranges::equal(looked_at->model(), left_alone->model()));
    CHECK(looked_at->trace() == left_alone->trace());
}

TEST_CASE("links that lose and repeat messages stop nobody, and no update counts twice [invariant 7]") {
    for (const Method method : methods) {
        INFO(name_of(method));
        FederatedSettings settings = settings_of(method);
        settings.clock.loss = 0.3f;
        settings.clock.duplication = 0.5f;
        settings.clock.patience_s = 60.0f;
        BowlFleet fleet(settings, spread_centres(6), 9);
        REQUIRE(fleet.made);
        REQUIRE(fleet.advance(3000.0));
        const FleetCounters& counters = fleet->counters();
        CHECK(counters.repeated > 0);
        CHECK(counters.refused == 0);
        CHECK(counters.applied > 20);
        // Every update that was computed is the fruit of its own gradients: applied ones never exceed them.
        const int per_update = settings.local_steps * settings.least_gradients();
        CHECK(static_cast<std::int64_t>(counters.applied) * per_update <= counters.gradients);
        std::uint64_t counted = 0;
        for (const std::uint64_t bin : fleet->staleness_counts()) counted += bin;
        CHECK(counted == counters.applied);
    }
}

TEST_CASE("updates that are too stale are refused with a reason, and the fleet goes on [invariant 9]") {
    FederatedSettings settings = settings_of(preset::persafl);
    settings.staleness_limit = 2;
    BowlFleet fleet(settings, spread_centres(8), 3);
    REQUIRE(fleet.made);
    REQUIRE(fleet.advance(500.0));
    CHECK(fleet->counters().refused > 0);
    CHECK(fleet->counters().last_refusal.code == Code::update_too_stale);
    CHECK(fleet->counters().applied > 0);
    CHECK(fleet->staleness_counts().size() <= 3);
}

TEST_CASE("steps that diverge end a fleet with the client's name, before the model is touched [invariant 9]") {
    FederatedSettings settings = settings_of(preset::persafl);
    settings.local_rate = 900.0f;
    settings.local_steps = 40;
    BowlFleet fleet(settings, spread_centres(3));
    REQUIRE(fleet.made);
    const auto done = fleet.advance(1000.0);
    REQUIRE_FALSE(done);
    CHECK(done.error().text.find("client ") != std::string::npos);
    CHECK(fleet->model()[0] == 0.0f);
}

TEST_CASE("settings that do not fit a fleet are refused by name") {
    const auto text = [](const FederatedSettings& settings) {
        BowlFleet fleet(settings, spread_centres(4));
        return fleet.made ? std::string() : fleet.made.error().text;
    };
    FederatedSettings settings = settings_of(preset::fedbuff);
    settings.buffer_size = 5;
    CHECK(text(settings).find("federated.buffer_size") != std::string::npos);
    settings.buffer_size = 4;
    CHECK(text(settings).empty());
    settings.method = preset::pfedme;
    settings.moreau_local_rate = 2.0f;
    CHECK(text(settings).find("moreau.local_rate") != std::string::npos);
    settings.moreau_local_rate = 0.1f;
    settings.moreau.inner_rate = 1.0f;
    CHECK(text(settings).find("moreau.inner_rate") != std::string::npos);
    settings.method = preset::fedprox;
    settings.fedprox_weight = 10.0f;
    CHECK(text(settings).find("fedprox_weight") != std::string::npos);
}
