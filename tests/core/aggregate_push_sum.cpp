// SPDX-License-Identifier: Apache-2.0
#include "push_sum_scenarios.hpp"

using namespace dunlin;
using namespace dunlin::test;

namespace {

/// Breaks the remainder rule: what the division leaves over is dropped.
struct LeakyMass : ExactMass {
    using ExactMass::ExactMass;
    ShareDivision::Split split(Mass mass) const {
        const Mass share = ExactMass::split(mass).share;
        return {share, share};
    }
};

constexpr std::uint32_t scenarios = 1000;

/// Runs one scenario with gradients and answers whether mass was conserved after every event.
template <class Node>
bool conserves(const Scenario& scenario, int ticks, int* stale = nullptr) {
    auto network = network_for<Node>(scenario);
    bool conserved = true;
    const auto audit = [&](const auto& fleet) { conserved = conserved && fleet.conserved(); };
    for (int tick = 0; tick < ticks; ++tick) network.tick(scenario.faults, pull, audit);
    network.drain(audit);
    if (stale != nullptr) *stale += network.stale;
    return conserved;
}

/// How far the nodes are from the true mean of the starting values when faults have stopped.
template <class Node>
float consensus_error(const Scenario& scenario, int faulty_ticks, int quiet_ticks) {
    auto network = network_for<Node>(scenario);
    const std::vector<float> mean = network.mean();
    for (int tick = 0; tick < faulty_ticks; ++tick) network.tick(scenario.faults, nullptr, no_audit);
    for (int tick = 0; tick < quiet_ticks; ++tick) network.tick({}, nullptr, no_audit);
    return network.distance(mean);
}

}  // namespace

TEST_CASE("mass is conserved to the bit after every event, whatever the network does [invariant 1]") {
    std::uint32_t failed = 0;
    int stale = 0;
    for (std::uint32_t seed = 0; seed < scenarios; ++seed) {
        failed += !conserves<ParsPush<>>(random_scenario(seed), 60, &stale);
    }
    CHECK(failed == 0);
    CHECK(stale > 10000);
}

TEST_CASE(
    "with equally many parts on an undirected graph all nodes weigh the same, and learn as D-PSGD [invariant 1]") {
    // A star: by their degrees its middle would hold six times what the others do.
    Graph star{std::vector<std::vector<std::uint32_t>>(7)};
    for (std::uint32_t leaf = 1; leaf < 7; ++leaf) {
        star.in[0].push_back(leaf);
        star.in[leaf] = {0};
    }
    const std::vector<std::vector<float>> start(7, std::vector<float>{0.0f});
    const auto own_goal = [](std::uint32_t node, const std::vector<float>& z, std::vector<float>& out) {
        out[0] = z[0] - static_cast<float>(node);
    };
    const auto spread = [&](std::uint32_t least_parts, bool edges_close) {
        ParsPushSettings settings = settings_for();
        settings.network.least_parts = least_parts;
        settings.network.edges_close = edges_close;
        Network<ParsPush<>> network(star, start, settings, Stream(1, 1, Purpose::links));
        for (int tick = 0; tick < 400; ++tick) network.tick({}, own_goal, no_audit);
        CHECK(network.conserved());
        float least = network.node(0).weight(), most = least;
        for (std::uint32_t i = 1; i < 7; ++i) {
            least = std::min(least, network.node(i).weight());
            most = std::max(most, network.node(i).weight());
        }
        CHECK(network.estimate(1)[0] == Approx(3.0f).margin(1.0));  // their goals' mean, up to the step
        return most / least;
    };
    CHECK(spread(7, false) == Approx(1.0f).margin(1e-4));
    CHECK(spread(0, false) > 3.0f);
    Faults faults;
    faults.loss = 0.4f;
    faults.longest_delay = 3;
    ParsPushSettings settings = settings_for();
    settings.network.least_parts = 7;
    settings.network.edges_close = true;
    Network<ParsPush<>> network(star, start, settings, Stream(1, 2, Purpose::links));
    bool conserved = true;
    const auto audit = [&](const auto& fleet) { conserved = conserved && fleet.conserved(); };
    for (int tick = 0; tick < 200; ++tick) network.tick(faults, own_goal, audit);
    CHECK(conserved);
    settings.network.least_parts = ShareDivision::most_parts;
    CHECK_FALSE(settings.network.check());
}

TEST_CASE(
    "edges that close and open conserve mass, and a fleet with dead neighbours keeps its weight [invariant 1]") {
    std::uint32_t failed = 0;
    for (std::uint32_t seed = 0; seed < 300; ++seed) {
        const Scenario scenario = random_scenario(seed);
        ParsPushSettings settings = settings_for();
        settings.network.edges_close = true;
        Network<ParsPush<>> network(scenario.graph, scenario.start, settings, scenario.random);
        Faults faults = scenario.faults;
        faults.close = 0.1f;
        bool conserved = true;
        const auto audit = [&](const auto& fleet) { conserved = conserved && fleet.conserved(); };
        for (int tick = 0; tick < 60; ++tick) network.tick(faults, pull, audit);
        network.drain(audit);
        failed += !conserved;
    }
    CHECK(failed == 0);
}

TEST_CASE(
    "a node whose only neighbour is dead keeps all its weight once the edge is closed, and gives what is due when "
    "it opens") {
    const std::uint32_t other = 1;
    PushSumSettings settings{.node = 0, .nodes = 2, .dimension = 1, .in_neighbours = {&other, 1}, .out_degree = 1};
    settings.edges_close = true;
    settings.outstanding_limit = PushSumSettings::unlimited;
    settings.largest_value = 10.0f;
    const std::vector<float> start{4.0f};
    Memory memory(PushSum<>::memory(1, 1, 1));
    Arena arena = memory.arena();
    auto node = PushSum<>::make(settings, start, arena);
    REQUIRE(node);
    Mass scratch[1];
    REQUIRE(node->wake(0, 0.0f, {}));
    CHECK(node->weight() == 0.5f);
    node->close_edge(0);
    for (int tick = 1; tick < 50; ++tick) REQUIRE(node->wake(tick, 0.0f, {}));
    CHECK(node->weight() == 0.5f);
    CHECK(settings.format.to_float<float>(node->share_to(0, scratch).weight) == 0.5f);
    node->open_edge(0);
    REQUIRE(node->wake(50, 0.0f, {}));
    CHECK(node->weight() == 0.25f);
    const Share<Mass> told = node->share_to(0, scratch);
    CHECK(settings.format.to_float<float>(told.weight) == 0.75f);
    CHECK(settings.format.to_float<float>(told.values[0]) == 3.0f);
}

TEST_CASE("a node carried over to a new graph holds what it held, to the bit") {
    const std::uint32_t other = 1, others[] = {1, 2};
    PushSumSettings settings{.node = 0, .nodes = 3, .dimension = 2, .in_neighbours = {&other, 1}, .out_degree = 2};
    settings.largest_value = 10.0f;
    const std::vector<float> start{1.0f, -3.0f};
    Memory memory(PushSum<>::memory(2, 1)), next_memory(PushSum<>::memory(2, 2));
    Arena arena = memory.arena(), next_arena = next_memory.arena();
    auto node = PushSum<>::make(settings, start, arena);
    REQUIRE(node);
    const Mass given[] = {5, 7};
    REQUIRE(node->receive({.sender = 1, .kappa = 3, .values = given, .weight = 11}));
    REQUIRE(node->wake(4, 0.0f, {}));
    REQUIRE(node->receive({.sender = 1, .kappa = 5, .values = given, .weight = 12}));

    std::vector<Mass> before(2);
    Mass before_weight = 0;
    node->add_mass(before, before_weight);
    node->absorb();
    std::vector<Mass> same(2);
    Mass same_weight = 0;
    node->add_mass(same, same_weight);
    CHECK(same == before);
    CHECK(same_weight == before_weight);
    const std::vector<Mass> held(node->held().begin(), node->held().end());
    const Mass weight = node->held_weight();
    settings.in_neighbours = others;
    auto next = PushSum<>::carry_over(settings, held, weight, node->tick(), node->owed(), next_arena);
    REQUIRE(next);
    std::vector<Mass> after(2);
    Mass after_weight = 0;
    next->add_mass(after, after_weight);
    CHECK(after == held);
    CHECK(after_weight == weight);
    CHECK(next->tick() == 4);
    CHECK(next->heard(0) == -1);
    CHECK(PushSum<>::carry_over(settings, held, -1, 4, 0.0, next_arena).error().code == Code::impossible_weight);
}

TEST_CASE("a division that drops its remainder is caught [invariant 1]") {
    for (std::uint32_t seed = 0; seed < 50; ++seed)
        CHECK_FALSE(conserves<ParsPush<LeakyMass>>(random_scenario(seed), 60));
}

TEST_CASE("weights stay positive and estimates in the hull of the starting values [invariant 2]") {
    std::uint32_t failed = 0;
    for (std::uint32_t seed = 0; seed < scenarios; ++seed) {
        const Scenario scenario = random_scenario(seed);
        auto network = network_for<ParsPush<>>(scenario);
        const auto inside = [&](const auto& fleet) {
            for (std::uint32_t i = 0; i < fleet.size(); ++i) {
                const float y = fleet.node(i).weight();
                if (!(y > 0.0f)) return false;
                const std::vector<float> z = fleet.estimate(i);
                for (std::size_t k = 0; k < z.size(); ++k) {
                    float low = scenario.start[0][k], high = low;
                    for (const auto& start : scenario.start) {
                        low = std::min(low, start[k]);
                        high = std::max(high, start[k]);
                    }
                    // A few units of fixed point divided by y, and the rounding of a float.
                    const float slack = 0x1p-40f / y + 1e-6f * (1.0f + std::abs(z[k]));
                    if (z[k] < low - slack || z[k] > high + slack) return false;
                }
            }
            return true;
        };
        bool held = true;
        for (int tick = 0; tick < 60; ++tick) {
            network.tick(scenario.faults, nullptr, [&](const auto& fleet) { held = held && inside(fleet); });
        }
        failed += !held;
    }
    CHECK(failed == 0);
}

TEST_CASE("with loss, the nodes agree on the true mean, soon after faults stop [invariants 5 and 6]") {
    std::uint32_t failed = 0;
    for (std::uint32_t seed = 0; seed < scenarios; ++seed) {
        failed += !(consensus_error<ParsPush<>>(random_scenario(seed), 60, 400) < 1e-4f);
    }
    CHECK(failed == 0);
}

TEST_CASE("without running sums a lost message moves the consensus [invariant 5]") {
    int missed = 0, lossy = 0;
    for (std::uint32_t seed = 0; seed < 100; ++seed) {
        Scenario scenario = random_scenario(seed);
        scenario.faults.loss = 0;
        scenario.faults.crash = 0;
        CHECK(consensus_error<StochasticGradientPush>(scenario, 60, 400) < 1e-4f);  // fine where nothing is lost
        scenario.faults.loss = 0.3f;
        ++lossy;
        missed += !(consensus_error<StochasticGradientPush>(scenario, 60, 400) < 1e-2f);
        CHECK_FALSE(conserves<StochasticGradientPush>(scenario, 60));
    }
    CHECK(missed > lossy * 9 / 10);
}

TEST_CASE("running sums wrap around many times and stay right [invariants 1 and 5]") {
    Stream random(12, 0, Purpose::user);
    ParsPushSettings settings = settings_for(1.0f);
    settings.network.format.fraction_bits = 60;  // range 8: phi wraps every few ticks
    const std::vector<std::vector<float>> start = {{1.0f}, {-1.0f}, {0.75f}};
    Network<ParsPush<>> network(random_graph(3, 0.5f, random), start, settings, Stream(12, 0, Purpose::links));
    const std::vector<float> mean = network.mean();
    const Faults faults{.sleep = 0.2f, .loss = 0.4f, .duplication = 0.1f, .longest_delay = 3, .crash = 0.05f};
    int wraps = 0;
    Mass last = 0;
    for (int tick = 0; tick < 2000; ++tick) {
        network.tick(faults, nullptr, [](const auto& fleet) { REQUIRE(fleet.conserved()); });
        const Mass now = network.node(0).share().weight;
        wraps += now < last;
        last = now;
    }
    CHECK(wraps > 20);
    for (int tick = 0; tick < 100; ++tick) network.tick({}, nullptr, no_audit);
    CHECK(network.distance(mean) < 1e-6f);
}

TEST_CASE("duplicates, stale and reordered messages change nothing [invariant 3]") {
    Memory memory(ParsPush<>::memory(2, 1));
    Arena arena = memory.arena();
    const std::uint32_t sources[] = {1};
    ParsPushSettings settings = settings_for();
    settings.network.node = 0;
    settings.network.nodes = 2;
    settings.network.dimension = 2;
    settings.network.in_neighbours = sources;
    settings.network.out_degree = 1;
    const float start[] = {1.0f, 2.0f};
    auto node = ParsPush<>::make(settings, start, arena);
    REQUIRE(node);

    const Mass one = Mass{1} << 48;
    const Mass first[] = {one, one}, second[] = {3 * one, -one};
    CHECK(node->receive({1, 4, second, one}) == Receipt::accepted);
    const std::vector<std::byte> before(node->state().begin(), node->state().end());
    const auto unchanged = [&] { return std::equal(before.begin(), before.end(), node->state().begin()); };
    CHECK(node->receive({1, 4, second, one}) == Receipt::stale);
    CHECK(node->receive({1, 3, first, one / 2}) == Receipt::stale);
    CHECK(node->receive({2, 9, first, one}).error() == Error{Code::unknown_sender, 2});
    CHECK(node->receive({1, 9, std::span(first, 1), one}).error() == Error{Code::shape_mismatch, 1, 2});
    CHECK(node->receive({1, 9, first, one - 1}).error().code == Code::impossible_weight);
    CHECK(node->receive({1, 9, first, 4 * one}).error().code == Code::impossible_weight);
    CHECK(unchanged());

    const float bad[] = {0.0f, NAN}, wide[] = {1e9f, 0.0f}, small[] = {0.0f};
    CHECK(node->wake(0, bad).error() == Error{Code::not_finite, 1});
    CHECK(node->wake(0, wide).error() == Error{Code::mass_overflow, 0});
    CHECK(node->wake(0, small).error() == Error{Code::shape_mismatch, 1, 2});
    CHECK(unchanged());

    const auto woken = node->wake(0, {});
    REQUIRE(woken);
    CHECK(woken->share.kappa == 0);
    CHECK(woken->share.values[1] == one);
    CHECK(woken->share.weight == one / 2);
    float z[2];
    node->estimate(z);
    CHECK(z[0] == (0.5f + 3.0f) / 1.5f);  // half of its own, and all that it was given
    CHECK(z[1] == (1.0f - 1.0f) / 1.5f);
    CHECK(node->wake(0, {}).error() == Error{Code::tick_not_newer, 0, 0});
}
