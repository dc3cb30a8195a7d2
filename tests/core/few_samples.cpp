// SPDX-License-Identifier: Apache-2.0
#include "core/few_samples.hpp"

#include "kernel_matrix.hpp"

#include <vector>

#include <catch2/catch.hpp>

using namespace dunlin;
using namespace dunlin::testing;

namespace {

std::vector<float> numbers(int count, Stream& random) {
    std::vector<float> made(static_cast<std::size_t>(count));
    for (float& x : made) x = random.normal() * 0.5f;
    return made;
}

/// Samples as columns, padded with zeros.
Matrix<float> columns_of(const std::vector<float>& samples, int features, int count) {
    Matrix<float> made(features, pad_columns(count));
    for (int f = 0; f < features; ++f) {
        for (int c = 0; c < count; ++c) made.at(f, c) = samples[static_cast<std::size_t>(c * features + f)];
    }
    return made;
}

/// Are these the same numbers, bit for bit? Zero has one sign here.
bool same(const std::vector<float>& samples, Matrix<float>& columns, int features, int count) {
    bool equal = true;
    for (int f = 0; f < features; ++f) {
        for (int c = 0; c < count; ++c)
            equal = equal && samples[static_cast<std::size_t>(c * features + f)] == columns.at(f, c);
    }
    return equal;
}

}  // namespace

TEST_CASE("few samples give the bits that columns give, in every set of kernels that knows them") {
    CHECK(generic_kernels<float>().few == nullptr);
    CHECK(generic_kernels<double>().few == nullptr);
    each_set([](const Kernels<float>& kernels) {
        if (kernels.few == nullptr) return;
        Stream random(3, 0, Purpose::user);
        for (const auto& [inputs, outputs] :
             {std::pair{16, 9}, {64, 10}, {77, 64}, {33, 70}, {130, 33}, {17, 140}}) {
            for (const int count : {1, 3, 8, 10, 13, 16, 25, 32}) {
                INFO(inputs << " x " << outputs << ", " << count << " samples");
                REQUIRE(SampleKernels<float>::fit(inputs, outputs, count));
                const Activation activation = activations[(inputs + outputs + count) % 4];
                const std::vector<float> W = numbers(inputs * outputs, random), b = numbers(outputs, random),
                                         x = numbers(inputs * count, random), d = numbers(outputs * count, random);
                const float* bias = count % 3 == 0 ? nullptr : b.data();
                Matrix<float> X = columns_of(x, inputs, count), D = columns_of(d, outputs, count);
                const int columns = X.columns;
                Matrix<float> Y(outputs, columns), E(inputs, columns);
                std::vector<float> dW(W.size()), db(b.size());
                kernels.affine(W.data(), bias, X.constant(), Y.view(), inputs, outputs, columns, activation);
                kernels.backpropagate(W.data(), D.constant(), X.constant(), E.view(), inputs, outputs, columns,
                                      activation);
                kernels.weight_gradient(X.constant(), D.constant(), dW.data(), db.data(), inputs, outputs, columns);

                // What was there before is not read; what is beyond is not written.
                std::vector<float> y(d.size() + 1, NAN), e(x.size() + 1, NAN), dw(W.size() + 1, NAN),
                    dbias(b.size() + 1, NAN);
                for (auto* made : {&y, &e, &dw, &dbias}) made->back() = 7.0f;
                kernels.few->affine(W.data(), bias, {x.data(), inputs}, {y.data(), outputs}, inputs, outputs, count,
                                    activation);
                kernels.few->backpropagate(W.data(), {d.data(), outputs}, {x.data(), inputs}, {e.data(), inputs},
                                           inputs, outputs, count, activation);
                kernels.few->weight_gradient({x.data(), inputs}, {d.data(), outputs}, dw.data(), dbias.data(),
                                             inputs, outputs, count);
                for (auto* made : {&y, &e, &dw, &dbias}) {
                    CHECK(made->back() == 7.0f);
                    made->pop_back();
                }
                CHECK(same(y, Y, outputs, count));
                CHECK(same(e, E, inputs, count));
                CHECK(dw == dW);
                CHECK(dbias == db);
            }
        }
    });
}
