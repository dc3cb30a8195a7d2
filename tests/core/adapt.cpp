// SPDX-License-Identifier: Apache-2.0
#include "core/adapt/maml.hpp"
#include "core/adapt/moreau_envelope.hpp"
#include "core/adapt/plain.hpp"

#include <cmath>
#include <vector>

using namespace dunlin;

namespace {

/// f(w) = sum over k of a_k/2 (w_k - c_k)^2 + q/4 w_k^4 - noise_k w_k, with noise drawn per batch.
struct Quartic {
    std::vector<double> curvature{0.5, 1.0, 2.0}, centre{1.0, -2.0, 0.5};
    double q = 0.3, noise_size = 0.0;
    std::vector<std::vector<double>> noise = std::vector<std::vector<double>>(8, std::vector<double>(3));

    std::size_t dimension() const { return 3; }
    int slots() const { return 8; }
    void draw(int slot, ConstVector<double>, Stream& random) {
        random.next_epoch();
        for (double& n : noise[static_cast<std::size_t>(slot)]) n = noise_size * random.normal();
    }
    double value(int slot, ConstVector<double> w) const {
        double sum = 0;
        for (std::size_t k = 0; k < 3; ++k) {
            const double e = w[k] - centre[k];
            sum += curvature[k] / 2 * e * e + q / 4 * std::pow(w[k], 4) -
                   noise[static_cast<std::size_t>(slot)][k] * w[k];
        }
        return sum;
    }
    void gradient(int slot, ConstVector<double> w, Vector<double> out) const {
        for (std::size_t k = 0; k < 3; ++k) {
            out[k] = curvature[k] * (w[k] - centre[k]) + q * std::pow(w[k], 3) -
                     noise[static_cast<std::size_t>(slot)][k];
        }
    }
    void hessian_vector(int, ConstVector<double> w, ConstVector<double> v, Vector<double> out) const {
        for (std::size_t k = 0; k < 3; ++k) out[k] = (curvature[k] + 3 * q * w[k] * w[k]) * v[k];
    }
};

/// One number x ~ N(w, 1) a sample, loss E x^2, differentiated through its samples' scores only: the smallest task
/// whose sampling depends on the parameters.
struct Sampled {
    static constexpr int batch = 2;
    double x[8][batch] = {};

    std::size_t dimension() const { return 1; }
    int slots() const { return 8; }
    void draw(int slot, ConstVector<double> w, Stream& random) {
        random.next_epoch();
        for (double& sample : x[slot]) sample = w[0] + random.normal();
    }
    double value(int slot, ConstVector<double>) const {
        double sum = 0;
        for (double sample : x[slot]) sum += sample * sample / batch;
        return sum;
    }
    void gradient(int slot, ConstVector<double> w, Vector<double> out) const {
        out[0] = 0;
        for (double sample : x[slot]) out[0] += sample * sample * (sample - w[0]) / batch;
    }
    void hessian_vector(int slot, ConstVector<double>, ConstVector<double> v, Vector<double> out) const {
        out[0] = -value(slot, v) * v[0];
    }
    void score_sum(int slot, ConstVector<double> w, Vector<double> out) const {
        out[0] = 0;
        for (double sample : x[slot]) out[0] += sample - w[0];
    }
};
static_assert(Task<Quartic, double> && !ScoredTask<Quartic, double> && ScoredTask<Sampled, double>);

const std::vector<double> start{0.3, -0.8, 1.1};

}  // namespace

TEST_CASE("plain adaptation is the task's own gradient") {
    Quartic task;
    Stream random(1, 0, Purpose::samples);
    std::vector<double> out(3), expected(3);
    CHECK(Plain{}.gradient<double>(task, start, random, out, {}) == 1);
    task.gradient(0, start, expected);
    CHECK(out == expected);
}

TEST_CASE("MAML's gradient is the derivative of the loss after its steps, for 0 to 5 steps") {
    for (int steps = 0; steps <= 5; ++steps) {
        Quartic task;
        task.noise_size = 0.4;
        const Maml maml{.steps = steps, .inner_rate = 0.15f};
        std::vector<double> scratch(maml.scratch(3)), out(3);
        const Stream random(3, 1, Purpose::samples);
        Stream used = random;
        maml.gradient<double>(task, start, used, out, scratch);
        for (std::size_t k = 0; k < 3; ++k) {
            const auto value = [&](double h) {
                std::vector<double> w = start, g(3);
                w[k] += h;
                for (int r = 0; r < steps; ++r) {
                    task.gradient(r, w, g);
                    for (std::size_t j = 0; j < 3; ++j) w[j] -= static_cast<double>(0.15f) * g[j];
                }
                return task.value(steps, w);
            };
            CHECK(out[k] == Approx((value(1e-5) - value(-1e-5)) / 2e-5).epsilon(1e-6));
        }
    }
}

TEST_CASE("first-order MAML is the gradient at the adapted parameters") {
    Quartic task;
    const Maml maml{.steps = 2, .inner_rate = 0.1f, .first_order = true};
    std::vector<double> scratch(maml.scratch(3)), out(3), w = start, g(3);
    Stream random(3, 1, Purpose::samples);
    CHECK(maml.gradient<double>(task, start, random, out, scratch) == 3);
    for (int r = 0; r < 3; ++r) {
        task.gradient(0, w, g);
        for (std::size_t j = 0; j < 3; ++j) w[j] -= static_cast<double>(0.1f) * g[j];
    }
    for (std::size_t k = 0; k < 3; ++k) CHECK(out[k] == Approx(g[k]));
}

TEST_CASE("MAML's score-function term makes the gradient unbiased where sampling depends on the parameters") {
    // V(w) = E over x_1, x_2 ~ N(w, 1) of 1 + (w - alpha mean(x^2 (x - w)))^2; with e = x - w,
    // E[x^2 e] = 2w and Var(x^2 e) = E[(w^2 + 2we + e^2)^2 e^2] - 4w^2 = w^4 + 14w^2 + 15, halved by two samples.
    const double w = 0.7, alpha = 0.1;
    const double slope = 2 * w * (1 - 2 * alpha) * (1 - 2 * alpha) + alpha * alpha / 2 * (4 * w * w * w + 28 * w);
    const Maml exact{.steps = 1, .inner_rate = 0.1f, .score_term = true, .score_baseline = 1.5f};
    const Maml biased{.steps = 1, .inner_rate = 0.1f};
    const auto mean_and_error = [&](const Maml& maml) {
        Sampled task;
        Stream random(17, 0, Purpose::samples);
        std::vector<double> scratch(maml.scratch(1)), at{w}, out(1);
        const int count = 200000;
        double sum = 0, square = 0;
        for (int k = 0; k < count; ++k) {
            maml.gradient<double>(task, at, random, out, scratch);
            sum += out[0];
            square += out[0] * out[0];
        }
        const double mean = sum / count;
        return std::pair{mean, std::sqrt((square / count - mean * mean) / count)};
    };
    const auto [mean, error] = mean_and_error(exact);
    CHECK(std::abs(mean - slope) < 4 * error);
    const auto [other_mean, other_error] = mean_and_error(biased);
    CHECK(std::abs(other_mean - slope) > 8 * other_error);
}

TEST_CASE("the Moreau envelope's gradient agrees with its closed form on a quadratic") {
    Quartic task;
    task.q = 0;
    const MoreauEnvelope envelope{.prox_weight = 2.0f, .inner_rate = 0.2f, .accuracy = 1e-6f, .step_limit = 1000};
    std::vector<double> scratch(MoreauEnvelope::scratch(3)), out(3);
    Stream random(1, 0, Purpose::samples);
    CHECK(envelope.gradient<double>(task, start, random, out, scratch) < 200);
    for (std::size_t k = 0; k < 3; ++k) {
        const double a = task.curvature[k];
        CHECK(out[k] == Approx(2 * a / (2 + a) * (start[k] - task.centre[k])).epsilon(1e-5));
    }
}

TEST_CASE("the inner solver stops at its limit, clips its steps, and never takes silence for convergence") {
    Quartic task;
    std::vector<double> scratch(3), personal(3);
    Stream random(1, 0, Purpose::samples);
    const MoreauEnvelope capped{
        .prox_weight = 1, .inner_rate = 0.01f, .accuracy = 0, .step_limit = 4, .step_clip = 0.01f};
    CHECK(capped.solve<double>(task, start, random, personal, scratch) == 4);
    double moved = 0;
    for (std::size_t k = 0; k < 3; ++k) moved += (personal[k] - start[k]) * (personal[k] - start[k]);
    CHECK(std::sqrt(moved) < 0.0401);
    CHECK(std::sqrt(moved) > 0.035);

    Quartic flat;
    flat.q = 0;
    flat.curvature = {0, 0, 0};
    const MoreauEnvelope fresh{.accuracy = 0.5f, .step_limit = 6, .fresh_batches = true};
    CHECK(fresh.solve<double>(flat, start, random, personal, scratch) == 6);
}
