// SPDX-License-Identifier: Apache-2.0
#include "aggregate_bilevel.hpp"
#include "core/aggregate/synchronous.hpp"
#include "core/random.hpp"

#include <cmath>
#include <deque>
#include <vector>

using namespace dunlin;
using namespace dunlin::test;

namespace {

using Vectors = std::vector<std::vector<double>>;

/// Gradient of |x - c_i|^2 (1 + i) / 2.
void pull(std::uint32_t i, const std::vector<double>& x, std::vector<double>& g) {
    for (std::size_t k = 0; k < x.size(); ++k)
        g[k] = (1.0 + 0.3 * i) * (x[k] - std::sin(static_cast<double>(7 * i + k)));
}
const auto pull_all = [](std::uint32_t i, const std::vector<double>& x, std::vector<double>& g) { pull(i, x, g); };

Vectors scattered(std::size_t nodes, std::size_t dimension) {
    Vectors start(nodes, std::vector<double>(dimension));
    Stream random(3, 0, Purpose::user);
    for (auto& x : start) {
        for (double& value : x) value = random.normal();
    }
    return start;
}

/// The largest component of the mean gradient at the mean.
template <class Fleet>
double slope(const Fleet& fleet) {
    const std::vector<double> mean = fleet.mean();
    std::vector<double> sum(mean.size()), g(mean.size());
    for (std::uint32_t i = 0; i < fleet.nodes.size(); ++i) {
        pull(i, mean, g);
        for (std::size_t k = 0; k < g.size(); ++k) sum[k] += g[k] / static_cast<double>(fleet.nodes.size());
    }
    double largest = 0;
    for (const double value : sum) largest = std::max(largest, std::abs(value));
    return largest;
}

}  // namespace

TEST_CASE("the primal-dual nodes follow equation 5 of SPDB") {
    const std::size_t n = 6, d = 3;
    const auto mixing = ring_mixing(n, 0.3);
    const Vectors start = scattered(n, d);
    LockStep<PrimalDual<double>> fleet(mixing, start, 0.1);
    Vectors now = start, before = start, last(n, std::vector<double>(d));
    for (int r = 0; r < 200; ++r) {
        Vectors next(n, std::vector<double>(d)), g(n, std::vector<double>(d));
        for (std::uint32_t i = 0; i < n; ++i) {
            pull(i, now[i], g[i]);
            for (std::size_t k = 0; k < d; ++k) {
                for (std::size_t j = 0; j < n; ++j) {
                    const double said = r == 0 ? now[j][k] : 2 * now[j][k] - before[j][k];
                    next[i][k] += mixing[i][j] * said;
                }
                next[i][k] -= 0.1 * (g[i][k] - last[i][k]);
            }
        }
        before = now;
        now = next;
        last = g;
        fleet.round(pull_all);
        for (std::size_t i = 0; i < n; ++i) {
            for (std::size_t k = 0; k < d; ++k) REQUIRE(fleet.at(i)[k] == Approx(now[i][k]).margin(1e-11));
        }
    }
}

TEST_CASE("gradient tracking and primal-dual nodes end where plain descent with its bias does not") {
    const auto mixing = ring_mixing(8, 0.3);
    LockStep<SynchronousDescent<double>> descent(mixing, scattered(8, 2), 0.05);
    LockStep<PrimalDual<double>> dual(mixing, scattered(8, 2), 0.05);
    LockStep<GradientTracking<double>> tracking(mixing, scattered(8, 2), 0.05);
    for (int r = 0; r < 3000; ++r) {
        descent.round(pull_all);
        dual.round(pull_all);
        tracking.round(pull_all);
    }
    CHECK(dual.disagreement() < 1e-9);
    CHECK(slope(dual) < 1e-9);
    CHECK(tracking.disagreement() < 1e-9);
    CHECK(slope(tracking) < 1e-9);
    CHECK(descent.disagreement() > 1e-3);
}

TEST_CASE("below -1/3 the spectrum of the mixing matrix makes the primal-dual recursion diverge") {
    const auto disagreement = [](double c) {
        LockStep<PrimalDual<double>> fleet(ring_mixing(6, c), scattered(6, 1), 0.01);  // least eigenvalue 1 - 4 c
        for (int r = 0; r < 2000; ++r) fleet.round([](auto, const auto&, auto& g) { g.assign(g.size(), 0.0); });
        return fleet.disagreement();
    };
    CHECK(disagreement(0.33) < 1e-3);
    CHECK(disagreement(0.34) > 1e3);
}

TEST_CASE("SPDB with the exact correction reaches the KKT point of a bilevel problem in closed form") {
    std::vector<QuadraticBilevel> tasks;
    for (std::uint32_t i = 0; i < 6; ++i) tasks.push_back(QuadraticBilevel::draw(i));
    const Bilevel exact{
        .personal_rate = 0.3f, .hyper_gradient = HyperGradient::neumann, .neumann_terms = 60, .neumann_rate = 0.5f};
    QuadraticFleet spdb(ring_mixing(6, 0.3), tasks, exact, 0.1);
    Bilevel cheap = exact;
    cheap.hyper_gradient = HyperGradient::cheap;
    QuadraticFleet without(ring_mixing(6, 0.3), tasks, cheap, 0.1);
    for (int r = 0; r < 4000; ++r) {
        spdb.round();
        without.round();
    }
    CHECK(spdb.stationarity() < 1e-9);
    CHECK(spdb.fleet.disagreement() < 1e-9);
    for (std::size_t i = 0; i < tasks.size(); ++i) {
        std::vector<double> w(7);
        spdb.split.put_shared<double>(spdb.fleet.at(i), w);
        spdb.split.put_personal<double>(spdb.personal[i], w);
        for (const double value : tasks[i].residual(w, 1)) CHECK(std::abs(value) < 1e-9);  // y is y*(x)
    }
    CHECK(without.fleet.disagreement() < 1e-9);
    CHECK(without.stationarity() > 1e-2);  // agreed, elsewhere
}

TEST_CASE("a longer Neumann series brings SPDB's fixed point nearer") {
    std::vector<QuadraticBilevel> tasks;
    for (std::uint32_t i = 0; i < 4; ++i) tasks.push_back(QuadraticBilevel::draw(i));
    double before = 1;
    for (const int terms : {0, 2, 5, 10}) {
        QuadraticFleet spdb(complete_mixing(4), tasks,
                            {.personal_rate = 0.3f,
                             .hyper_gradient = HyperGradient::neumann,
                             .neumann_terms = terms,
                             .neumann_rate = 0.5f},
                            0.1);
        for (int r = 0; r < 2000; ++r) spdb.round();
        CHECK(spdb.stationarity() < 0.6 * before);
        before = spdb.stationarity();
    }
    CHECK(before < 1e-3);
}

TEST_CASE("SPDB's variance falls linearly with the number of nodes") {
    const auto mean_square = [](std::size_t n) {
        std::vector<QuadraticBilevel> tasks(n, QuadraticBilevel::draw(0));
        for (QuadraticBilevel& task : tasks) task.noise = 1;
        const Bilevel exact{.personal_rate = 0.05f,
                            .hyper_gradient = HyperGradient::neumann,
                            .neumann_terms = 10,
                            .neumann_rate = 0.5f};
        QuadraticFleet noisy(complete_mixing(n), tasks, exact, 0.05);
        for (QuadraticBilevel& task : tasks) task.noise = 0;
        QuadraticFleet quiet(complete_mixing(n), tasks, exact, 0.05);
        double sum = 0;
        constexpr int warm_up = 400, rounds = 6000;
        for (int r = 0; r < warm_up; ++r) quiet.round();
        const std::vector<double> optimum = quiet.fleet.mean();
        for (int r = 0; r < rounds; ++r) {
            noisy.round();
            const std::vector<double> mean = noisy.fleet.mean();
            for (std::size_t k = 0; r >= warm_up && k < mean.size(); ++k)
                sum += (mean[k] - optimum[k]) * (mean[k] - optimum[k]);
        }
        return sum / (rounds - warm_up);
    };
    const double two = mean_square(2), four = mean_square(4), eight = mean_square(8);
    CHECK(two / four == Approx(2).epsilon(0.25));
    CHECK(four / eight == Approx(2).epsilon(0.25));
}

TEST_CASE("losses, repetitions and restarts delay a synchronous fleet and change no number") {
    const auto mixing = ring_mixing(5, 0.3);
    const Vectors start = scattered(5, 2);
    LockStep<GradientTracking<double>> calm(mixing, start, 0.05), rough(mixing, start, 0.05);
    constexpr std::int64_t rounds = 40;
    for (int r = 0; r < rounds; ++r) calm.round(pull_all);

    struct Message {
        std::uint32_t to, from;
        std::int64_t kappa;
        std::vector<double> values;
    };
    Stream random(17, 0, Purpose::user);
    std::deque<Message> flying;
    std::vector<std::vector<std::byte>> stored(5);
    const auto store = [&](std::uint32_t i) {
        stored[i].assign(rough.nodes[i].state().begin(), rough.nodes[i].state().end());
    };
    for (std::uint32_t i = 0; i < 5; ++i) store(i);
    int waits = 0;
    for (std::int64_t tick = 1; tick < 4000; ++tick) {
        for (std::uint32_t i = 0; i < 5; ++i) {
            auto& node = rough.nodes[i];
            if (random.uniform() < 0.02f) REQUIRE(node.restore(stored[i]));
            for (std::size_t m = 0; m < flying.size();) {
                if (flying[m].to != i || random.uniform() < 0.5f) {
                    ++m;
                    continue;
                }
                REQUIRE(node.receive({flying[m].from, flying[m].kappa, flying[m].values, 0}));
                flying.erase(flying.begin() + static_cast<std::ptrdiff_t>(m));
            }
            if (node.round() == rounds && node.ready()) continue;
            std::vector<double> x(2), g(2);
            node.estimate(x);
            pull(i, x, g);
            const auto woken = node.wake(tick, g);
            REQUIRE(woken);
            waits += woken->waited;
            store(i);
            for (const std::uint32_t j : rough.neighbours[i]) {
                for (int copy = 0; copy < 2; ++copy) {
                    if (random.uniform() < 0.5f) continue;
                    flying.push_back(
                        {j, i, woken->share.kappa, {woken->share.values.begin(), woken->share.values.end()}});
                }
            }
        }
    }
    CHECK(waits > 100);
    for (std::size_t i = 0; i < 5; ++i) {
        CHECK(rough.nodes[i].round() == rounds);
        CHECK(rough.at(i) == calm.at(i));
    }
}

TEST_CASE("synchronous nodes refuse what is strange, early, not finite or backwards") {
    LockStep<SynchronousDescent<float>> fleet(ring_mixing(4, 0.25), {{1}, {2}, {3}, {4}}, 0.1);
    auto& node = fleet.nodes[1];
    const float one[] = {1.0f}, bad[] = {NAN}, two[] = {1.0f, 2.0f};
    CHECK(node.receive({3, 1, one, 0}).error() == Error{Code::unknown_sender, 3});
    CHECK(node.receive({0, 2, one, 0}).error() == Error{Code::round_ahead, 0, 2});
    CHECK(node.receive({0, 1, two, 0}).error() == Error{Code::shape_mismatch, 2, 1});
    CHECK(node.receive({0, 1, bad, 0}).error().code == Code::not_finite);
    CHECK(node.receive({0, 0, one, 0}) == Receipt::stale);
    CHECK(node.wake(1, two).error() == Error{Code::shape_mismatch, 2, 1});
    CHECK(node.wake(1, bad).error().code == Code::not_finite);
    CHECK(node.wake(-1, one).error().code == Code::tick_not_newer);
    CHECK(fleet.at(1) == std::vector<float>{2.0f});
    CHECK(node.wake(1, one)->step_size == 0.1f);
    CHECK(node.wake(2, one)->waited);
    CHECK(node.restore(fleet.nodes[2].state()).error().code == Code::state_mismatch);

    Arena arena = fleet.memory[1].arena();
    const std::uint32_t others[] = {0, 2};
    const double weights[] = {0.3, 0.0}, few[] = {0.3};
    CHECK(SynchronousDescent<>::make({1, 4, 1, others, weights, {}}, one, arena).error() ==
          Error{Code::bad_setting, 4});
    CHECK(SynchronousDescent<>::make({1, 4, 1, others, few, {}}, one, arena).error() ==
          Error{Code::bad_setting, 4});
    CHECK(SynchronousDescent<>::make({2, 4, 1, others, weights, {}}, one, arena).error() ==
          Error{Code::bad_neighbours, 1});
    CHECK(SynchronousDescent<>::make({1, 4, 1, {}, {}, {}}, one, arena).error().code == Code::no_neighbours);
}
