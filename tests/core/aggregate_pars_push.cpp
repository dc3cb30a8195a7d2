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

/// Algorithm 1 line by line, in double, one scalar parameter, with rho and rho* kept per in-neighbour.
struct AlgorithmOne {
    struct Edge {
        double rho_x = 0, rho_y = 0, star_x = 0, star_y = 0;
        std::int64_t kappa = -1;
    };
    double x = 0, y = 1, phi_x = 0, phi_y = 0;
    std::int64_t kappa = -1;
    std::vector<Edge> in;

    void receive(Edge& edge, double sent_x, double sent_y, std::int64_t counter) {
        if (counter <= edge.kappa) return;
        edge.star_x = sent_x;
        edge.star_y = sent_y;
        edge.kappa = counter;
    }
    void wake(std::int64_t t, double gradient, const StepSchedule& theta, std::uint32_t out_degree) {
        double eta = 0;
        for (std::int64_t r = kappa + 1; r <= t; ++r) eta += theta.at(r);
        x -= eta * gradient;
        kappa = t;
        x /= out_degree + 1;
        y /= out_degree + 1;
        phi_x += x;
        phi_y += y;
        for (Edge& edge : in) {
            x += edge.star_x - edge.rho_x;
            y += edge.star_y - edge.rho_y;
            edge.rho_x = edge.star_x;
            edge.rho_y = edge.star_y;
        }
    }
};

}  // namespace

TEST_CASE("a node does what Algorithm 1 says, line by line, on the same messages") {
    constexpr std::uint32_t nodes = 5;
    Stream random(30, 0, Purpose::user);
    const Graph graph = random_graph(nodes, 0.4f, random);
    const Quadratics task(nodes);
    ParsPushSettings settings;
    settings.theta = {.scale = 1.0, .offset = 40.0, .longest_gap = 0};
    settings.network.nodes = nodes;
    settings.network.dimension = 1;
    settings.network.largest_value = 50.0f;
    std::vector<Memory> memory;
    std::vector<ParsPush<>> fleet;
    std::vector<AlgorithmOne> reference(nodes);
    for (std::uint32_t i = 0; i < nodes; ++i) {
        settings.network.node = i;
        settings.network.in_neighbours = graph.in[i];
        settings.network.out_degree = graph.out_degree(i);
        const float start[] = {static_cast<float>(i)};
        memory.emplace_back(ParsPush<>::memory(1, graph.in[i].size()));
        Arena arena = memory.back().arena();
        fleet.push_back(std::move(*ParsPush<>::make(settings, start, arena)));
        reference[i].x = start[0];
        reference[i].in.resize(graph.in[i].size());
    }
    struct Flying {
        std::uint32_t receiver, edge, sender;
        std::int64_t kappa;
        Mass mass_x, mass_y;
        double x, y;
    };
    std::vector<Flying> flying;
    double largest = 0;
    for (std::int64_t t = 0; t < 400; ++t) {
        for (std::uint32_t i = 0; i < nodes; ++i) {
            for (std::size_t m = 0; m < flying.size();) {
                if (flying[m].receiver != i || random.uniform() < 0.4f) {  // arrives at some later tick
                    ++m;
                    continue;
                }
                const Flying message = flying[m];
                flying.erase(flying.begin() + static_cast<std::ptrdiff_t>(m));
                REQUIRE(fleet[i].receive({message.sender, message.kappa, {&message.mass_x, 1}, message.mass_y}));
                reference[i].receive(reference[i].in[message.edge], message.x, message.y, message.kappa);
            }
            if (random.uniform() < 0.3f && t - reference[i].kappa < 3) continue;
            float z = 0;
            fleet[i].estimate({&z, 1});
            largest = std::max(largest, std::abs(double{z} - reference[i].x / reference[i].y));
            const float gradient[] = {task.curvature[i] * (z - task.center[i])};
            const auto woken = fleet[i].wake(t, gradient);
            REQUIRE(woken);
            REQUIRE_FALSE(woken->waited);
            reference[i].wake(t, gradient[0], settings.theta, graph.out_degree(i));
            for (std::uint32_t receiver = 0; receiver < nodes; ++receiver) {
                const auto& sources = graph.in[receiver];
                const auto edge = std::find(sources.begin(), sources.end(), i);
                if (edge == sources.end() || random.uniform() < 0.25f) continue;
                flying.push_back({receiver, static_cast<std::uint32_t>(edge - sources.begin()), i, t,
                                  woken->share.values[0], woken->share.weight, reference[i].phi_x,
                                  reference[i].phi_y});
            }
        }
    }
    CHECK(largest < 2e-5);  // floats: the gradient's product with eta, and z itself
}

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
        CHECK(network.conserved() == std::is_integral_v<typename decltype(network)::Value>);
        return network.distance({1.25f});
    };
    ParsPushSettings settings;
    settings.network.largest_value = 10.0f;
    const Stream links(9, 0, Purpose::links);
    CHECK(error(Network<ParsPush<>>(graph, start, settings, links)) < 1e-5f);
    CHECK(error(Network<ParsPush<FloatMass>>(graph, start, settings, links)) > 1e-4f);
}
