// SPDX-License-Identifier: Apache-2.0
#include "aggregate_network.hpp"

using namespace dunlin;
using namespace dunlin::test;

namespace {

/// f_i(z) = curvature_i/2 |z - center_i|^2; the mean is least at the centres' mean weighted by curvature.
struct Quadratics {
    std::vector<float> curvature, center;

    explicit Quadratics(std::uint32_t nodes) {
        Stream random(21, 0, Purpose::user);
        for (std::uint32_t i = 0; i < nodes; ++i) {
            curvature.push_back(0.5f + random.uniform());
            center.push_back(3.0f * random.normal());
        }
    }
    float minimiser() const {
        float top = 0, bottom = 0;
        for (std::size_t i = 0; i < center.size(); ++i) {
            top += curvature[i] * center[i];
            bottom += curvature[i];
        }
        return top / bottom;
    }
    void operator()(std::uint32_t node, const std::vector<float>& z, std::vector<float>& out) const {
        for (std::size_t k = 0; k < z.size(); ++k) out[k] = curvature[node] * (z[k] - center[node]);
    }
};

template <class Node>
float distance_after_training(float loss) {
    Stream random(4, 0, Purpose::user);
    const Graph graph = random_graph(6, 0.2f, random);
    const Quadratics task(6);
    const std::vector<std::vector<float>> start(6, std::vector<float>(2, 0.0f));
    ParsPushSettings settings;
    settings.network.largest_value = 100.0f;
    settings.theta = {.scale = 2.0, .offset = 60.0, .longest_gap = 4};
    settings.network.weight_floor = 0.01f;  // losses in a row are not bounded here
    Network<Node> network(graph, start, settings, Stream(4, 0, Purpose::links));
    const Faults faults{.sleep = 0.3f, .loss = loss, .duplication = 0, .longest_delay = 2, .crash = 0};
    for (int tick = 0; tick < 6000; ++tick) network.tick(faults, task, no_audit);
    return network.distance(std::vector<float>(2, task.minimiser()));
}

}  // namespace

TEST_CASE("PARS-Push finds the minimiser of the mean objective under loss, plain gradient push does not") {
    CHECK(distance_after_training<ParsPush<>>(0.0f) < 0.02f);
    CHECK(distance_after_training<ParsPush<>>(0.3f) < 0.02f);
    CHECK(distance_after_training<StochasticGradientPush>(0.0f) < 0.02f);
    CHECK(distance_after_training<StochasticGradientPush>(0.3f) > 0.2f);
}

TEST_CASE("the step size is summed over missed rounds and capped") {
    Memory memory(ParsPush<>::memory(1, 1));
    const std::uint32_t sources[] = {1};
    const float start[] = {0.0f}, gradient[] = {1.0f};
    ParsPushSettings settings;
    settings.network.nodes = 2;
    settings.network.dimension = 1;
    settings.network.in_neighbours = sources;
    settings.network.out_degree = 1;
    settings.theta = {.scale = 3.0, .offset = 10.0, .longest_gap = 4};
    Arena arena = memory.arena();
    auto node = ParsPush<>::make(settings, start, arena);
    REQUIRE(node);
    CHECK(node->step_size(0) == Approx(0.3));
    CHECK(node->step_size(2) == Approx(3.0 / 10 + 3.0 / 11 + 3.0 / 12));
    CHECK(node->step_size(5) == Approx(3.0 / 12 + 3.0 / 13 + 3.0 / 14 + 3.0 / 15));
    REQUIRE(node->wake(2, gradient));
    const auto woken = node->wake(4, gradient);
    REQUIRE(woken);
    CHECK(woken->step_size == Approx(3.0 / 13 + 3.0 / 14));
    // A wake-up without a gradient shares and makes up for nothing.
    REQUIRE(node->wake(5, {}));
    CHECK(node->step_size(6) == Approx(3.0 / 16));
}

TEST_CASE("a step that had to wait for weight is owed") {
    Memory memory(ParsPush<>::memory(1, 1));
    const std::uint32_t sources[] = {1};
    const float start[] = {0.0f}, gradient[] = {1.0f};
    ParsPushSettings settings;
    settings.network.nodes = 2;
    settings.network.dimension = 1;
    settings.network.in_neighbours = sources;
    settings.network.out_degree = 1;
    settings.network.weight_floor = 0.25f;
    settings.theta = {.scale = 0.5, .offset = 0, .longest_gap = 1};
    Arena arena = memory.arena();
    auto node = ParsPush<>::make(settings, start, arena);
    REQUIRE(node);
    for (const bool waited : {false, false, true, true}) {  // y = 1/2, 1/4, and there it stays
        const auto woken = node->wake(node->tick() + 1, gradient);
        REQUIRE(woken);
        CHECK(woken->waited == waited);
        CHECK(woken->step_size == (waited ? 0.0f : 0.5f));
    }
    CHECK(node->weight() == 0.25f);
    const Mass given[] = {0};
    REQUIRE(node->receive({1, 0, given, Mass{1} << 48}));
    REQUIRE(node->wake(4, gradient)->waited);  // absorbed after the decision to share
    const auto woken = node->wake(5, gradient);
    REQUIRE(woken);
    CHECK(woken->step_size == 2.0f);
}

TEST_CASE("a schedule's sum over a long gap agrees with adding it up") {
    const StepSchedule schedule{.scale = 2.0, .offset = 50.0, .longest_gap = 0};
    double added = 0;
    for (std::int64_t r = 7; r <= 1000000; ++r) added += schedule.at(r);
    CHECK(schedule.sum(7, 1000000) == Approx(added).epsilon(1e-7));
    CHECK(schedule.sum(999'000, 1'000'000) + schedule.sum(7, 998'999) == Approx(added).epsilon(1e-7));
    CHECK(schedule.sum(900'000'000, 900'002'000) == Approx(2.0 * 2001 / 900'001'050.0).epsilon(1e-7));
    CHECK(schedule.sum(8, 7) == 0.0);
    CHECK(StepSchedule{.scale = 0.5}.sum(1, 4'000'000'000) == 2e9);
}

TEST_CASE("float running sums drift where exact ones do not") {
    Stream random(9, 0, Purpose::user);
    const Graph graph = random_graph(4, 0.3f, random);
    const std::vector<std::vector<float>> start = {{1.0f}, {2.0f}, {-3.0f}, {5.0f}};
    const Faults faults{.sleep = 0.2f, .loss = 0.3f, .duplication = 0, .longest_delay = 2, .crash = 0};
    const auto error = [&](auto network) {
        for (int tick = 0; tick < 20000; ++tick) network.tick(faults, nullptr, no_audit);
        return network.distance({1.25f});
    };
    ParsPushSettings settings;
    settings.network.largest_value = 10.0f;
    const Stream links(9, 0, Purpose::links);
    CHECK(error(Network<ParsPush<>>(graph, start, settings, links)) < 1e-5f);
    CHECK(error(Network<ParsPush<FloatMass>>(graph, start, settings, links)) > 1e-4f);
}
