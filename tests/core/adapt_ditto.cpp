// SPDX-License-Identifier: Apache-2.0
#include "core/adapt/ditto.hpp"

#include <cmath>
#include <vector>

#include <catch2/catch.hpp>

using namespace dunlin;

namespace {

/// sum over k of a_k / 2 (w_k - c_k)^2, with noise on the gradient.
struct Bowl {
    std::vector<double> curvature{0.5, 2.0, 3.0}, centre{1.0, -2.0, 0.5};
    double noise = 0;
    double shift = 0;

    std::size_t dimension() const { return 3; }
    int slots() const { return 1; }
    void draw(int, ConstVector<double>, Stream& random) {
        random.next_epoch();
        shift = noise * static_cast<double>(random.normal());
    }
    double value(int, ConstVector<double> w) const {
        double sum = 0;
        for (std::size_t k = 0; k < 3; ++k) sum += curvature[k] / 2 * (w[k] - centre[k]) * (w[k] - centre[k]);
        return sum;
    }
    void gradient(int, ConstVector<double> w, Vector<double> out) const {
        for (std::size_t k = 0; k < 3; ++k) out[k] = curvature[k] * (w[k] - centre[k]) + shift;
    }
    void hessian_vector(int, ConstVector<double>, ConstVector<double> v, Vector<double> out) const {
        for (std::size_t k = 0; k < 3; ++k) out[k] = curvature[k] * v[k];
    }
};

const std::vector<double> shared = {5.0, 4.0, -3.0};

/// v after so many steps beside a shared model that stays.
std::vector<double> followed(const Ditto& ditto, std::vector<double> v) {
    Bowl task;
    std::vector<double> scratch(Ditto::scratch(3));
    Stream random(1, 0, Purpose::samples);
    CHECK(ditto.follow<double>(task, shared, random, v, scratch) == ditto.steps);
    return v;
}

}  // namespace

TEST_CASE("Ditto's personal model comes to its closed form between the node's own optimum and the shared model") {
    const Bowl task;
    for (const float lambda : {0.0f, 0.3f, 2.0f, 50.0f}) {
        const Ditto ditto{.prox_weight = lambda, .personal_rate = 0.9f / (3.0f + lambda), .steps = 2000};
        const std::vector<double> v = followed(ditto, {9.0, 9.0, 9.0});
        const auto l = static_cast<double>(lambda);
        for (std::size_t k = 0; k < 3; ++k) {
            const double a = task.curvature[k];
            CHECK(v[k] == Approx((a * task.centre[k] + l * shared[k]) / (a + l)).margin(1e-6));
        }
    }
}

TEST_CASE("without a pull Ditto is the node alone, and with a large one the shared model") {
    const Bowl task;
    const std::vector<double> alone = followed({0.0f, 0.3f, 500}, shared),
                              pulled = followed({1e4f, 5e-5f, 500}, shared);
    for (std::size_t k = 0; k < 3; ++k) {
        CHECK(alone[k] == Approx(task.centre[k]).margin(1e-6));
        CHECK(pulled[k] == Approx(shared[k]).margin(3e-3));
    }
}

TEST_CASE("Ditto's personal model goes on from where it was, by one fresh batch a step") {
    Bowl task;
    task.noise = 1;
    std::vector<double> scratch(3), once(shared), twice(shared);
    Stream one(3, 0, Purpose::samples), two = one;
    Ditto{.steps = 6}.follow<double>(task, shared, one, once, scratch);
    Ditto{.steps = 2}.follow<double>(task, shared, two, twice, scratch);
    Ditto{.steps = 4}.follow<double>(task, shared, two, twice, scratch);
    CHECK(once == twice);
    CHECK(one.epoch() == two.epoch());
    CHECK(Ditto{.steps = 0}.follow<double>(task, shared, one, once, scratch) == 0);
    CHECK(once == twice);
}
