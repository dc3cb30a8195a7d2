// SPDX-License-Identifier: Apache-2.0
#include "training/simulation/gossip_absences.hpp"

#include "fleet_saving.hpp"
#include "gossip_scenario.hpp"

using namespace dunlin;
using namespace dunlin::test;

namespace {

const char* const graph_kinds[] = {"directed-ring", "ring", "exponential", "complete", "erdos-renyi"};

Scenario absence_scenario(std::uint32_t seed) {
    Stream random(12, seed, Purpose::user);
    const GraphRecipe recipe{.kind = graph_kinds[random.below(5)],
                             .nodes = random.below(2) == 0 ? 4u : 8u,
                             .probability = 0.4,
                             .path = {}};
    Scenario scenario{*build_graph(recipe, seed), {}, {}, 1 + random.below(2)};
    GossipSettings& s = scenario.settings;
    s.seed = seed;
    s.theta = {.scale = 0.02, .offset = 0, .longest_gap = 3};
    s.link = simulation::LinkProfile::rounds(1 + random.below(4), 20, 0.5f * random.uniform());
    s.link.duplication = 0.3f * random.uniform();
    s.wake_gap = 1 + random.below(2);
    AbsenceSettings& a = s.absences;
    a.graph = recipe;
    a.share = 0.25f + 0.25f * random.uniform();
    a.before = 60;
    a.times = 1 + static_cast<int>(random.below(2));
    a.longest = random.below(4) == 0 ? 0 : 1 + random.below(50);
    a.stays = random.below(2) == 0 ? 0.0f : 0.5f;
    a.forgets = random.below(3) == 0 ? 0.0f : random.uniform();
    a.noticed = 1 + random.below(10);
    a.removal = 5 + random.below(40);
    a.reclaims = random.below(2) == 0;
    s.learn_until = 100;
    s.calm_from = 130;
    for (std::size_t k = 0; k < scenario.graph.nodes() * scenario.dimension; ++k)
        scenario.start.push_back(2.0f * random.normal());
    return scenario;
}

std::unique_ptr<AbsentGossip> absent_fleet(const Scenario& scenario, bool learns) {
    LearnerOf learner_of;
    if (learns) learner_of = quadratics(scenario.dimension, 1);
    auto fleet = AbsentGossip::make(scenario.graph, scenario.settings, scenario.start, learner_of);
    if (!fleet) FAIL(fleet.error().text);
    return *std::move(fleet);
}

float distance_of_present(const GossipFleet& fleet) {
    const std::vector<float> mean = fleet.mean();
    std::vector<float> z(mean.size());
    float largest = 0;
    for (std::uint32_t i = 0; i < fleet.nodes(); ++i) {
        if (!fleet.present(i)) continue;
        fleet.estimate(i, z);
        for (std::size_t k = 0; k < z.size(); ++k) {
            const float off = std::abs(z[k] - mean[k]);
            largest = std::isfinite(off) ? std::max(largest, off) : INFINITY;
        }
    }
    return largest;
}

struct Count {
    int failed = 0;
    std::int64_t kills = 0, epochs = 0, withheld = 0, reclaiming = 0;
};

/// One in four of 1,000 scenarios.
Count live_through(std::uint32_t quarter) {
    Count count;
    for (std::uint32_t seed = quarter; seed < 1000; seed += 4) {
        const Scenario scenario = absence_scenario(seed);
        const auto fleet = absent_fleet(scenario, seed % 8 < 4);
        std::vector<float> low(scenario.dimension, INFINITY), high(scenario.dimension, -INFINITY);
        for (std::size_t k = 0; k < scenario.start.size(); ++k) {
            low[k % low.size()] = std::min(low[k % low.size()], scenario.start[k]);
            high[k % low.size()] = std::max(high[k % low.size()], scenario.start[k]);
        }
        bool exact = true, positive = true, inside = true;
        std::vector<float> z(scenario.dimension);
        const Outcome<void> lived = fleet->run(130, [&] {
            exact = exact && fleet->mass_error() == 0u;
            for (std::uint32_t i = 0; i < fleet->nodes(); ++i) {
                if (!fleet->present(i)) continue;
                const float y = fleet->weight(i);
                positive = positive && y > 0.0f;
                if (seed % 8 < 4) continue;  // with gradients there is no hull
                fleet->estimate(i, z);
                for (std::size_t k = 0; k < z.size(); ++k) {
                    const float slack = 0x1p-40f / y + 1e-6f * (1.0f + std::abs(z[k]));
                    inside = inside && z[k] >= low[k] - slack && z[k] <= high[k] + slack;
                }
            }
        });
        bool settled = false;
        for (int until = 230; lived && !settled && until <= 2130; until += 100)
            settled = fleet->run(until) && distance_of_present(*fleet) < 1e-4f;
        exact = exact && fleet->mass_error() == 0u;
        const bool good = lived && exact && positive && inside && settled;
        if (!good)
            UNSCOPED_INFO("seed " << seed << ": lived " << bool(lived) << ", exact " << exact << ", positive "
                                  << positive << ", inside " << inside << ", settled " << settled);
        count.failed += !good;
        count.kills += fleet->counters().crashes;
        count.epochs += fleet->counters().epochs;
        count.withheld += fleet->counters().withheld;
    }
    return count;
}

}  // namespace

TEST_CASE(
    "whoever is killed, and however they come back, mass is exact and the rest agree on its mean [invariants 1 to "
    "6]") {
    const Count count = live_through(static_cast<std::uint32_t>(GENERATE(0, 1, 2, 3)));
    CHECK(count.failed == 0);
    CHECK(count.kills > 400);
    CHECK(count.epochs > 200);
    CHECK(count.withheld > 1000);
}

namespace {

/// Quadratics c_i = (i, i + 1) on n nodes, of which half are killed at an instant of the first 600 ticks for up to
/// `longest` ticks (0: for good).
Scenario learning_scenario(const std::string& kind, std::uint32_t nodes, std::uint64_t seed, int longest,
                           float forgets) {
    const GraphRecipe recipe{.kind = kind, .nodes = nodes, .path = {}};
    Scenario scenario{*build_graph(recipe, seed), {}, std::vector<float>(nodes * 2), 2};
    GossipSettings& s = scenario.settings;
    s.seed = seed;
    s.theta = {.scale = 10, .offset = 500, .longest_gap = 3};
    s.link = simulation::LinkProfile::rounds(5, 20, 0.1f);
    s.absences = {.share = 0.5f,
                  .before = 600,
                  .times = 1,
                  .longest = longest,
                  .forgets = forgets,
                  .noticed = 150,
                  .removal = 400,
                  .reclaims = seed % 2 == 0,
                  .graph = recipe};
    s.learn_until = 3000;
    return scenario;
}

/// The largest distance of a node that is there at the end from what the nodes in the job should learn, relative to
/// how far their own optima are apart.
float missed(const Scenario& scenario, bool stay_away) {
    const auto fleet = absent_fleet(scenario, true);
    if (auto lived = fleet->run(3600); !lived) {
        UNSCOPED_INFO(lived.error().text);
        return INFINITY;
    }
    std::vector<float> wanted(2), z(2);
    float there = 0;
    for (std::uint32_t i = 0; i < fleet->nodes(); ++i) {
        if (!fleet->present(i) && stay_away) continue;
        REQUIRE(fleet->present(i));
        ++there;
        for (std::uint32_t k = 0; k < 2; ++k) wanted[k] += static_cast<float>(i + k);
    }
    CHECK(fleet->mass_error() == 0u);
    float largest = 0;
    for (std::uint32_t i = 0; i < fleet->nodes(); ++i) {
        if (!fleet->present(i)) continue;
        fleet->estimate(i, z);
        for (std::size_t k = 0; k < 2; ++k) largest = std::max(largest, std::abs(z[k] - wanted[k] / there));
    }
    return largest / static_cast<float>(fleet->nodes() - 1);
}

}  // namespace

TEST_CASE("half the nodes are killed, and every survivor learns what the fleet should") {
    float worst = 0;
    for (const char* kind : {"directed-ring", "exponential", "complete"}) {
        for (const std::uint32_t nodes : {4u, 8u}) {
            for (std::uint64_t seed = 1; seed <= 5; ++seed) {
                for (const float forgets : {0.0f, 1.0f}) {
                    const float off = missed(learning_scenario(kind, nodes, seed, 300, forgets), false);
                    INFO(kind << ", " << nodes << " nodes, seed " << seed << ", forgets " << forgets);
                    CHECK(off < 0.05f);
                    worst = std::max(worst, off);
                }
                const float off = missed(learning_scenario(kind, nodes, seed, 0, 0.0f), true);
                INFO(kind << ", " << nodes << " nodes, seed " << seed << ", for good");
                CHECK(off < 0.05f);
                worst = std::max(worst, off);
            }
        }
    }
    CHECK(worst < 0.005f);
}

TEST_CASE("without a limit on what is unconfirmed, a kill ruins who was pushing to the dead") {
    int ruined = 0;
    for (const char* kind : {"directed-ring", "exponential", "complete"}) {
        for (std::uint64_t seed = 1; seed <= 5; ++seed) {
            Scenario scenario = learning_scenario(kind, 4, seed, 300, 1.0f);
            scenario.settings.absences.outstanding_limit = PushSumSettings::unlimited;
            const float off = missed(scenario, false);
            UNSCOPED_INFO(kind << " " << seed << ": " << off);
            ruined += !(off < 0.05f);
        }
    }
    CHECK(ruined >= 10);
}

TEST_CASE("a run with absences is the same run twice, and without any it is the one of before [invariant 11]") {
    const Scenario scenario = absence_scenario(4);
    const auto one = absent_fleet(scenario, true), two = absent_fleet(scenario, true);
    REQUIRE(one->run(200));
    for (int until = 10; until <= 200; until += 10) REQUIRE(two->run(until));
    CHECK(one->trace() == two->trace());
    CHECK(one->estimates() == two->estimates());
    CHECK(one->counters().crashes > 0);

    GossipSettings settings = scenario.settings;
    settings.absences = {};
    settings.absences.longest = 7;  // says nothing where nobody is killed
    auto made = make_gossip_fleet(AggregationName::pars_push, scenario.graph, settings, scenario.start, {}, 1);
    REQUIRE(made);
    auto before = SimulatedGossip<ParsPush<>>::make(scenario.graph, settings, scenario.start, {}, 1);
    REQUIRE(before);
    REQUIRE((*made)->run(100));
    REQUIRE((*before)->run(100, {}));
    CHECK((*made)->trace() == (*before)->trace());
}

TEST_CASE("who cannot lose nodes says so") {
    Scenario scenario = absence_scenario(1);
    const auto refusal = [&](AggregationName method) {
        const auto made =
            make_gossip_fleet(method, *complete_graph(4), scenario.settings, std::vector<float>(4), {}, 1);
        return made ? std::string() : made.error().text;
    };
    CHECK(refusal(AggregationName::pars_push).empty());
    CHECK_THAT(refusal(AggregationName::dpsgd), Catch::StartsWith("network.gone: only"));
    CHECK_THAT(refusal(AggregationName::sgp), Catch::StartsWith("network.gone: only"));
    scenario.settings.lives.up_mean = 10;
    CHECK_THAT(refusal(AggregationName::pars_push), Catch::StartsWith("network.gone and network.crash_gap"));
}

TEST_CASE("a consensus error is 0 where all agree, finite about zero, and infinite where a node has diverged") {
    struct Fixed final : GossipFleet {
        std::vector<std::vector<float>> z;
        Outcome<void> run(Time, const std::function<void()>&) override { return {}; }
        std::uint32_t nodes() const override { return static_cast<std::uint32_t>(z.size()); }
        std::size_t dimension() const override { return z[0].size(); }
        void estimate(std::uint32_t i, Vector<float> out) const override { std::ranges::copy(z[i], out.begin()); }
        float weight(std::uint32_t) const override { return 1.0f; }
        bool present(std::uint32_t i) const override {
            return z[i][0] < 1e6f || std::isnan(z[i][0]) || std::isinf(z[i][0]);
        }
        std::optional<std::uint64_t> mass_error() const override { return {}; }
        std::vector<float> mean() const override { return {}; }
        GossipCounters counters() const override { return {}; }
        const simulation::Counters& messages() const override { return counted; }
        void set_tap(simulation::Network::Tap) override {}
        Time now() const override { return 0; }
        std::uint64_t trace() const override { return 0; }
        double bytes_per_node() const override { return 0; }
        void save(Saver&) const override {}
        Result<void> restore(Loader&) override { return {}; }
        simulation::Counters counted;
    };
    const auto error = [](std::vector<std::vector<float>> z) {
        Fixed fleet;
        fleet.z = std::move(z);
        return fleet.consensus_error();
    };
    CHECK(error({{0, 0}, {0, 0}}) == 0.0);
    CHECK(error({{3, 4}, {3, 4}}) == 0.0);
    CHECK(error({{1, 0}, {-1, 0}}) == 1.0);
    CHECK(error({{1, 0}, {3, 0}}) == 0.5);
    CHECK(error({{1, 0}, {3, 0}, {1e7f, 0}}) == 0.5);  // not present
    CHECK(error({{1, 0}, {NAN, 0}, {1, 0}}) == INFINITY);
    CHECK(error({{1, 0}, {INFINITY, 0}}) == INFINITY);
}

TEST_CASE("a fleet that loses nodes, saved at any moment, goes on as if nothing had been") {
    std::int64_t epochs = 0;
    for (std::uint32_t seed = 1; seed <= 40; ++seed) {
        INFO("seed " << seed);
        const Scenario scenario = absence_scenario(seed);
        for (const simulation::Time saved_at : {1, 40, 75, 140})
            goes_on_the_same([&](int) { return absent_fleet(scenario, true); }, saved_at, 220);
        const auto fleet = absent_fleet(scenario, true);
        REQUIRE(fleet->run(75));
        epochs += fleet->counters().epochs;
    }
    CHECK(epochs > 0);
}
