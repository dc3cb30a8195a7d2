// SPDX-License-Identifier: Apache-2.0
#include "core/adapt/implicit_maml.hpp"
#include "core/adapt/meta_sgd.hpp"
#include "core/distance_over_gradients.hpp"

#include <array>
#include <cmath>
#include <vector>

#include <catch2/catch.hpp>

using namespace dunlin;

namespace {

using Numbers = std::vector<double>;

/// f(w) = (w - c)' A (w - c) / 2 + q/4 sum of w_k^4 - noise_slot' w, with noise drawn per batch.
struct Bent {
    std::array<std::array<double, 3>, 3> a{{{1.0, 0.3, -0.2}, {0.3, 0.8, 0.1}, {-0.2, 0.1, 1.5}}};
    Numbers centre{1.0, -2.0, 0.5};
    double q = 0.3, noise_size = 0.0;
    std::vector<Numbers> noise = std::vector<Numbers>(8, Numbers(3));

    std::size_t dimension() const { return 3; }
    int slots() const { return 8; }
    void draw(int slot, ConstVector<double>, Stream& random) {
        random.next_epoch();
        for (double& n : noise[static_cast<std::size_t>(slot)])
            n = noise_size * static_cast<double>(random.normal());
    }
    double value(int slot, ConstVector<double> w) const {
        double sum = 0;
        for (std::size_t i = 0; i < 3; ++i) {
            for (std::size_t j = 0; j < 3; ++j) sum += a[i][j] * (w[i] - centre[i]) * (w[j] - centre[j]) / 2;
            sum += q / 4 * std::pow(w[i], 4) - noise[static_cast<std::size_t>(slot)][i] * w[i];
        }
        return sum;
    }
    void gradient(int slot, ConstVector<double> w, Vector<double> out) const {
        for (std::size_t i = 0; i < 3; ++i) {
            out[i] = q * std::pow(w[i], 3) - noise[static_cast<std::size_t>(slot)][i];
            for (std::size_t j = 0; j < 3; ++j) out[i] += a[i][j] * (w[j] - centre[j]);
        }
    }
    void hessian_vector(int, ConstVector<double> w, ConstVector<double> v, Vector<double> out) const {
        for (std::size_t i = 0; i < 3; ++i) {
            out[i] = 3 * q * w[i] * w[i] * v[i];
            for (std::size_t j = 0; j < 3; ++j) out[i] += a[i][j] * v[j];
        }
    }
};

const Numbers start{0.3, -0.8, 1.1}, sizes{0.5, 1.7, -0.4};

/// The loss after `steps` steps with step sizes of their own, on the batches that the task holds.
double after(const Bent& task, int steps, double rate, Numbers w, const Numbers& s) {
    Numbers g(3);
    for (int r = 0; r < steps; ++r) {
        task.gradient(r, w, g);
        for (std::size_t k = 0; k < 3; ++k) w[k] -= rate * s[k] * g[k];
    }
    return task.value(steps, w);
}

}  // namespace

TEST_CASE("Meta-SGD's gradients are the derivatives by parameters and step sizes, for 0 to 5 steps") {
    for (int steps = 0; steps <= 5; ++steps) {
        Bent task;
        task.noise_size = 0.4;
        const MetaSgd meta{{.steps = steps, .inner_rate = 0.15f}};
        Numbers scratch(meta.scratch(3)), by_w(3), by_s(3);
        Stream random(3, 1, Purpose::samples);
        CHECK(meta.gradient<double>(task, start, sizes, random, by_w, by_s, scratch) == 3 * steps + 1);
        const double rate = static_cast<double>(0.15f), h = 1e-5;
        for (std::size_t k = 0; k < 3; ++k) {
            const auto moved = [&](Numbers numbers, double by) {
                numbers[k] += by;
                return numbers;
            };
            CHECK(by_w[k] == Approx((after(task, steps, rate, moved(start, h), sizes) -
                                     after(task, steps, rate, moved(start, -h), sizes)) /
                                    (2 * h))
                                 .epsilon(1e-6));
            CHECK(by_s[k] == Approx((after(task, steps, rate, start, moved(sizes, h)) -
                                     after(task, steps, rate, start, moved(sizes, -h))) /
                                    (2 * h))
                                 .epsilon(1e-6)
                                 .margin(1e-9));
        }
    }
}

TEST_CASE("with step sizes of 1 Meta-SGD is MAML to the bit, first-order too, and clipped alike") {
    for (const bool first_order : {false, true}) {
        for (const float clip : {0.0f, 0.1f}) {
            Bent task;
            task.noise_size = 0.4;
            const Maml maml{.steps = 3, .inner_rate = 0.2f, .first_order = first_order, .step_clip = clip};
            const MetaSgd meta{maml};
            Numbers scratch(std::max(maml.scratch(3), meta.scratch(3))), one(3), other(3), by_s(3);
            const Numbers ones(3, 1.0);
            Stream random(3, 1, Purpose::samples), same = random;
            maml.gradient<double>(task, start, random, one, scratch);
            meta.gradient<double>(task, start, ones, same, other, by_s, scratch);
            CHECK(one == other);
        }
    }
}

TEST_CASE("the first-order derivative by step sizes is exact for one step") {
    Bent task;
    Numbers exact(3), first(3), out(3);
    for (const bool first_order : {false, true}) {
        const MetaSgd meta{{.steps = 1, .inner_rate = 0.2f, .first_order = first_order}};
        Numbers scratch(meta.scratch(3));
        Stream random(3, 1, Purpose::samples);
        meta.gradient<double>(task, start, sizes, random, out, first_order ? first : exact, scratch);
    }
    CHECK(exact == first);
}

TEST_CASE("step sizes of 0 and 1 are ANIL: MAML whose inner steps move some layers alone") {
    const MlpShape shape = *MlpShape::make(1, std::vector<int>{1}, 1, Activation::tanh, false, false);
    const std::vector<int> last{-1};
    const LayerSplit split = *LayerSplit::make(shape, last, 1);  // w_0 and w_2 are shared
    Bent task;
    const Maml maml{.steps = 2, .inner_rate = 0.2f, .personal = &split};
    const MetaSgd meta{{.steps = 2, .inner_rate = 0.2f}};
    Numbers scratch(std::max(maml.scratch(3), meta.scratch(3))), one(3), other(3);
    const Numbers marks{0.0, 1.0, 0.0};
    Stream random(3, 1, Purpose::samples), same = random;
    maml.gradient<double>(task, start, random, one, scratch);
    meta.gradient<double>(task, start, marks, same, other, {}, scratch);
    for (std::size_t k = 0; k < 3; ++k) CHECK(other[k] == Approx(one[k]));
}

TEST_CASE("implicit MAML's gradient is the derivative of the loss where the proximal problem is solved") {
    Bent task;
    const ImplicitMaml implicit{{.prox_weight = 0.8f, .inner_rate = 0.2f, .accuracy = 1e-12f, .step_limit = 4000},
                                3};
    const auto solved = [&](const Numbers& w) {
        Numbers theta(3), scratch(3);
        Stream random(1, 0, Purpose::samples);
        implicit.inner.solve<double>(task, w, random, theta, scratch);
        return task.value(0, theta);
    };
    Numbers out(3), scratch(ImplicitMaml::scratch(3));
    Stream random(1, 0, Purpose::samples);
    implicit.gradient<double>(task, start, random, out, scratch);
    for (std::size_t k = 0; k < 3; ++k) {
        Numbers up = start, down = start;
        up[k] += 1e-4;
        down[k] -= 1e-4;
        CHECK(out[k] == Approx((solved(up) - solved(down)) / 2e-4).epsilon(1e-5));
    }
}

TEST_CASE("of a quadratic, implicit MAML's gradient is lambda (A + lambda)^-1 times the gradient at its solution") {
    Bent task;
    task.q = 0;
    task.a = {{{2.0, 0, 0}, {0, 0.5, 0}, {0, 0, 1.0}}};
    const double lambda = 0.5;
    const ImplicitMaml implicit{{.prox_weight = 0.5f, .inner_rate = 0.2f, .accuracy = 1e-12f, .step_limit = 4000},
                                3};
    Numbers out(3), scratch(ImplicitMaml::scratch(3));
    Stream random(1, 0, Purpose::samples);
    const int taken = implicit.gradient<double>(task, start, random, out, scratch);
    CHECK(taken > 6);
    for (std::size_t k = 0; k < 3; ++k) {
        const double a = task.a[k][k], theta = (a * task.centre[k] + lambda * start[k]) / (a + lambda);
        CHECK(scratch[k] == Approx(theta));
        CHECK(out[k] == Approx(lambda / (a + lambda) * a * (theta - task.centre[k])));
    }
}

TEST_CASE("implicit MAML without conjugate steps, or where the loss curves downwards, is first-order") {
    Bent task;
    task.q = 0;
    Numbers first(3), out(3), scratch(ImplicitMaml::scratch(3));
    ImplicitMaml implicit{{.prox_weight = 1.0f, .inner_rate = 0.2f, .accuracy = 0.0f, .step_limit = 3}, 0};
    Stream random(1, 0, Purpose::samples);
    CHECK(implicit.gradient<double>(task, start, random, first, scratch) == 4);
    const Numbers theta(scratch.begin(), scratch.begin() + 3);
    Numbers expected(3);
    task.gradient(1, theta, expected);
    CHECK(first == expected);
    task.a = {{{-3.0, 0, 0}, {0, -3.0, 0}, {0, 0, -3.0}}};
    implicit.conjugate_steps = 4;
    implicit.gradient<double>(task, start, random, out, scratch);
    task.gradient(1, ConstVector<double>(scratch).first(3), expected);
    CHECK(out == expected);
}

TEST_CASE("distance over gradients takes the steps of its formula, and says nothing to gradients of zero") {
    const DistanceOverGradients dog{.first = 0.01f};
    Numbers w{3.0, -4.0}, start_of(2), sums(2);
    const double first = static_cast<double>(0.01f) * 6;
    dog.step<double>(w, Numbers{0.0, 0.0}, start_of, sums, true);
    CHECK(w == Numbers{3.0, -4.0});
    dog.step<double>(w, Numbers{3.0, 4.0}, start_of, sums, false);
    CHECK(w[0] == Approx(3 - first * 3 / 5));
    CHECK(w[1] == Approx(-4 - first * 4 / 5));
    // Now it came `first` far, and has seen |g|^2 = 25; with another of 75 the step is first / 10 times g.
    const double before = w[0];
    dog.step<double>(w, Numbers{std::sqrt(75.0), 0.0}, start_of, sums, false);
    CHECK(w[0] == Approx(before - first / 10 * std::sqrt(75.0)));
}

TEST_CASE("distance over gradients finds a bowl's bottom without a rate") {
    const DistanceOverGradients dog;
    Numbers w{10.0, -20.0}, g(2), start_of(2), sums(2);
    for (int k = 0; k < 3000; ++k) {
        for (std::size_t i = 0; i < 2; ++i) g[i] = (i == 0 ? 0.1 : 1.0) * (w[i] - 3.0);
        dog.step<double>(w, g, start_of, sums, k == 0);
    }
    CHECK(w[0] == Approx(3.0).margin(0.2));
    CHECK(w[1] == Approx(3.0).margin(0.2));
}

TEST_CASE(
    "conjugate gradients solve as many equations in as many products, and end where a direction curves downwards") {
    const double a[3][3] = {{4, 1, 0}, {1, 3, -1}, {0, -1, 2}};
    const auto multiply = [&](double sign) {
        return [&a, sign](ConstVector<double> v, Vector<double> out) {
            for (std::size_t i = 0; i < 3; ++i) {
                out[i] = 0;
                for (std::size_t k = 0; k < 3; ++k) out[i] += sign * a[i][k] * v[k];
            }
        };
    };
    const std::vector<double> b{1, -2, 3};
    std::vector<double> x(3), residual = b, direction(3), product(3), again(3);
    CHECK(conjugate_gradients<double>(10, 0.0, x, residual, direction, product, multiply(1)) == 3);
    multiply(1)(x, again);
    for (std::size_t k = 0; k < 3; ++k) CHECK(again[k] == Approx(b[k]).margin(1e-9));
    residual = b;
    CHECK(conjugate_gradients<double>(10, 0.0, x, residual, direction, product, multiply(-1)) == 1);
    CHECK(x == b);
    residual = b;
    CHECK(conjugate_gradients<double>(0, 0.0, x, residual, direction, product, multiply(1)) == 0);
    CHECK(x == b);
}
