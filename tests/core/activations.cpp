// SPDX-License-Identifier: Apache-2.0
// The functions behind the layers: tanh, the logistic function, softmax.
#include "kernel_matrix.hpp"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

using namespace dunlin;
using namespace dunlin::testing;

namespace {

/// Units in the last place between a float and the true value.
double units(float found, double exact) {
    int exponent = 0;
    std::frexp(exact, &exponent);
    return std::abs(static_cast<double>(found) - exact) / std::ldexp(1.0, std::max(exponent, -125) - 24);
}

/// Many floats of both signs with magnitudes from 1e-38 to 1e38, most of them where the functions bend.
std::vector<float> sweep() {
    std::vector<float> list;
    for (std::uint32_t bits = 0x00800000u;
         bits<0x7f000000u; bits += bits> 0x38000000u && bits < 0x43000000u ? 997 : 99991) {
        list.push_back(std::bit_cast<float>(bits));
        list.push_back(-list.back());
    }
    list.resize(list.size() / column_multiple * column_multiple);
    return list;
}

/// act(x) of every element, through a layer of one input, one output and weight 1.
std::vector<float> activated(const Kernels<float>& set, const std::vector<float>& x, Activation activation) {
    const int columns = static_cast<int>(x.size());
    Matrix<float> X(1, columns), Y(1, columns);
    std::memcpy(X.data.get(), x.data(), sizeof(float) * x.size());
    const float one = 1.0f;
    set.affine(&one, nullptr, X.constant(), Y.view(), 1, 1, columns, activation);
    return {Y.data.get(), Y.data.get() + columns};
}

}  // namespace

TEST_CASE("tanh is within 2.5 units in the last place and the logistic function within 3 in every set") {
    const std::vector<float> x = sweep();
    each_set([&](const Kernels<float>& set) {
        const auto tangents = activated(set, x, Activation::tanh);
        const auto logistics = activated(set, x, Activation::sigmoid);
        double worst_tangent = 0, worst_logistic = 0;
        for (std::size_t k = 0; k < x.size(); ++k) {
            const double exact = static_cast<double>(x[k]);
            worst_tangent = std::max(worst_tangent, units(tangents[k], std::tanh(exact)));
            if (std::abs(x[k]) < 87.0f) {
                worst_logistic = std::max(worst_logistic, units(logistics[k], 1.0 / (1.0 + std::exp(-exact))));
            }
            if (!(std::abs(tangents[k]) <= 1.0f) || !(logistics[k] >= 0.0f && logistics[k] <= 1.0f)) FAIL(x[k]);
        }
        CHECK(worst_tangent < 2.5);
        CHECK(worst_logistic < 3.0);
    });
}

TEST_CASE("no activation makes a NaN of an infinity, and none hides a NaN") {
    const float infinity = std::numeric_limits<float>::infinity();
    std::vector<float> x(16, std::numeric_limits<float>::quiet_NaN());
    x[0] = infinity;
    x[1] = -infinity;
    x[2] = std::numeric_limits<float>::max();
    x[3] = -x[2];
    each_set([&](const Kernels<float>& set) {
        for (Activation activation : activations) {
            const auto y = activated(set, x, activation);
            for (std::size_t k = 0; k < 16; ++k) CHECK(std::isnan(y[k]) == (k >= 4));
        }
        const auto tangents = activated(set, x, Activation::tanh);
        const auto logistics = activated(set, x, Activation::sigmoid);
        for (std::size_t k = 0; k < 4; ++k) {
            CHECK(tangents[k] == (k % 2 == 0 ? 1.0f : -1.0f));
            CHECK(std::abs(logistics[k] - (k % 2 == 0 ? 1.0f : 0.0f)) < 1e-30f);
        }
    });
}

TEST_CASE("softmax gives probabilities right to a relative 1e-6, also for logits that differ by thousands") {
    for (int classes : {1, 2, 4, 5, 9, 100}) {
        Stream random(3, 0, Purpose::data);
        Matrix<double> Z(classes, 48), P(classes, 48);
        Z.fill(random);
        for (int c = 0; c < 48; ++c) Z.at(c % classes, c) *= c < 24 ? 10.0 : 5000.0;
        Matrix<float> z(Z);
        for (int k = 0; k < classes; ++k) {
            for (int c = 0; c < 48; ++c) Z.at(k, c) = static_cast<double>(z.at(k, c));
        }
        generic_kernels<double>().softmax(Z.constant(), P.view(), classes, 48);
        each_set([&](const Kernels<float>& set) {
            Matrix<float> p(classes, 48);
            set.softmax(z.constant(), p.view(), classes, 48);
            double worst = p.gap_untouched() ? 0.0 : 1e9;
            for (int k = 0; k < classes; ++k) {
                for (int c = 0; c < 48; ++c) {
                    const double error = std::abs(static_cast<double>(p.at(k, c)) - P.at(k, c));
                    worst = std::max(worst, error / (P.at(k, c) + 1e-30));
                }
            }
            CHECK(worst < 1e-6);
        });
    }
}
