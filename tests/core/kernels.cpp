// SPDX-License-Identifier: Apache-2.0
#include "core/kernels.hpp"

#include "kernel_matrix.hpp"

#include <bit>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

using namespace dunlin;
using namespace dunlin::testing;

namespace {

std::vector<double> numbers(int count, Stream& random) {
    std::vector<double> values(static_cast<std::size_t>(count));
    for (double& value : values) value = static_cast<double>(random.normal() * 0.5f);
    return values;
}

std::vector<float> narrowed(const std::vector<double>& values) {
    return {values.begin(), values.end()};
}

/// The largest difference as a multiple of what rounding explains for sums of `depth` terms.
double excess(double found, double expected, int depth) {
    const double allowed = 3e-7 * (1.0 + std::abs(expected)) + 6e-8 * depth;
    return std::isfinite(found) ? std::abs(found - expected) / allowed : 1e9;
}
double excess(const std::vector<float>& found, const std::vector<double>& expected, int depth) {
    double worst = 0;
    for (std::size_t k = 0; k < found.size(); ++k) {
        worst = std::max(worst, excess(static_cast<double>(found[k]), expected[k], depth));
    }
    return worst;
}
double excess(Matrix<float>& found, Matrix<double>& expected, int depth) {
    if (!found.gap_untouched()) return 1e9;
    double worst = 0;
    for (int r = 0; r < found.rows; ++r) {
        for (int c = 0; c < found.columns; ++c) {
            worst = std::max(worst, excess(static_cast<double>(found.at(r, c)), expected.at(r, c), depth));
        }
    }
    return worst;
}

/// Every width up to 20, then both sides of every multiple of 16.
std::vector<int> widths() {
    std::vector<int> list;
    for (int width = 1; width <= 130; ++width) {
        if (width <= 20 || (width + 1) % 16 <= 2) list.push_back(width);
    }
    return list;
}

/// Calls body(inputs, outputs, columns, random) for all pairs of small widths and every third pair of large ones;
/// the number of columns goes round. In an emulator (DUNLIN_EMULATED) one pair in 13: the rest would take
/// minutes.
template <class Body>
void each_shape(Body body) {
    const bool emulated = std::getenv("DUNLIN_EMULATED") != nullptr;
    int turn = 0;
    for (int inputs : widths()) {
        for (int outputs : widths()) {
            if (inputs + outputs > 40 && (inputs + outputs) % 3 != 0) continue;
            if (emulated && (3 * inputs + outputs) % 13 != 0) continue;
            Stream random(7, static_cast<std::uint32_t>(turn), Purpose::data);
            const int columns = column_multiple * (1 + turn++ % 9);
            INFO("inputs " << inputs << " outputs " << outputs << " columns " << columns);
            body(inputs, outputs, columns, random);
        }
    }
}

}  // namespace

TEST_CASE("layers and single samples agree with double to rounding in every set of kernels") {
    const Kernels<double>& exact = generic_kernels<double>();
    each_shape([&](int inputs, int outputs, int columns, Stream& random) {
        Matrix<double> X(inputs, columns), Y(outputs, columns), sum(outputs, columns);
        X.fill(random);
        sum.fill(random);
        const auto W = numbers(inputs * outputs, random), b = numbers(outputs, random);
        const Activation activation = activations[(inputs + outputs) % 4];
        const bool biased = (inputs + outputs) / 4 % 3 != 0;
        const Matrix<float> x(X), before(sum);
        const auto w = narrowed(W), bias = narrowed(b);
        exact.affine(W.data(), biased ? b.data() : nullptr, X.constant(), Y.view(), inputs, outputs, columns,
                     activation);
        exact.accumulate(W.data(), X.constant(), sum.view(), inputs, outputs, columns);
        std::vector<float> sample(static_cast<std::size_t>(inputs)), answer(static_cast<std::size_t>(outputs));
        std::vector<double> expected(static_cast<std::size_t>(outputs));
        for (int i = 0; i < inputs; ++i) sample[static_cast<std::size_t>(i)] = static_cast<float>(X.at(i, 3));
        for (int o = 0; o < outputs; ++o) expected[static_cast<std::size_t>(o)] = Y.at(o, 3);

        each_set([&](const Kernels<float>& fast) {
            Matrix<float> y(outputs, columns), total(outputs, columns);
            std::memcpy(total.data.get(), before.data.get(),
                        sizeof(float) * static_cast<std::size_t>(outputs * total.stride));
            fast.affine(w.data(), biased ? bias.data() : nullptr, x.constant(), y.view(), inputs, outputs, columns,
                        activation);
            fast.accumulate(w.data(), x.constant(), total.view(), inputs, outputs, columns);
            fast.affine_one(w.data(), biased ? bias.data() : nullptr, sample.data(), answer.data(), inputs, outputs,
                            activation);
            CHECK(excess(y, Y, inputs) < 1.0);
            CHECK(excess(total, sum, inputs) < 1.0);
            CHECK(excess(answer, expected, inputs) < 1.0);
        });
    });
}

TEST_CASE("backpropagation and weight gradients agree with double to rounding in every set of kernels") {
    const Kernels<double>& exact = generic_kernels<double>();
    each_shape([&](int inputs, int outputs, int columns, Stream& random) {
        Matrix<double> X(inputs, columns), D(outputs, columns), E(inputs, columns);
        X.fill(random);
        D.fill(random);
        const auto W = numbers(inputs * outputs, random);
        auto dW = numbers(inputs * outputs, random), db = numbers(outputs, random);
        const auto weights_before = narrowed(dW), bias_before = narrowed(db);
        const Activation activation = activations[(inputs + outputs) % 4];
        const bool biased = (inputs + outputs) / 4 % 3 != 0;
        const Matrix<float> x(X), d(D);
        const auto w = narrowed(W);
        const bool linear = activation == Activation::identity;
        exact.backpropagate(W.data(), D.constant(), linear ? Columns<const double>{} : X.constant(), E.view(),
                            inputs, outputs, columns, activation);
        exact.weight_gradient(X.constant(), D.constant(), dW.data(), biased ? db.data() : nullptr, inputs, outputs,
                              columns);

        each_set([&](const Kernels<float>& fast) {
            Matrix<float> e(inputs, columns);
            auto gradient = weights_before, bias_gradient = bias_before;
            fast.backpropagate(w.data(), d.constant(), linear ? Columns<const float>{} : x.constant(), e.view(),
                               inputs, outputs, columns, activation);
            fast.weight_gradient(x.constant(), d.constant(), gradient.data(),
                                 biased ? bias_gradient.data() : nullptr, inputs, outputs, columns);
            CHECK(excess(e, E, outputs) < 1.0);
            CHECK(excess(gradient, dW, columns) < 1.0);
            CHECK(excess(bias_gradient, db, columns) < 1.0);
        });
    });
}

TEST_CASE("tangents of layers and of backpropagation agree with double to rounding in every set of kernels") {
    const Kernels<double>& exact = generic_kernels<double>();
    each_shape([&](int inputs, int outputs, int columns, Stream& random) {
        Matrix<double> X(inputs, columns), RX(inputs, columns), H(outputs, columns), RY(outputs, columns);
        Matrix<double> D(outputs, columns), RD(outputs, columns), E(inputs, columns), RE(inputs, columns);
        for (Matrix<double>* matrix : {&X, &RX, &H, &D, &RD}) matrix->fill(random);
        const auto W = numbers(inputs * outputs, random), V = numbers(inputs * outputs, random);
        const auto b = numbers(outputs, random);
        const Activation activation = activations[(inputs + outputs) % 4];
        const bool biased = (inputs + outputs) / 4 % 3 != 0, first = inputs % 5 == 0;
        const Matrix<float> x(X), rx(RX), h(H), d(D), rd(RD);
        const auto w = narrowed(W), v = narrowed(V), bias = narrowed(b);
        const Columns<const double> none{};
        const Columns<const float> nothing{};
        exact.tangent(V.data(), biased ? b.data() : nullptr, X.constant(), W.data(), first ? none : RX.constant(),
                      H.constant(), RY.view(), inputs, outputs, columns, activation);
        exact.tangent_backpropagate(W.data(), V.data(), D.constant(), RD.constant(), X.constant(), RX.constant(),
                                    E.view(), RE.view(), inputs, outputs, columns, activation);
        each_set([&](const Kernels<float>& fast) {
            Matrix<float> ry(outputs, columns), e(inputs, columns), re(inputs, columns);
            fast.tangent(v.data(), biased ? bias.data() : nullptr, x.constant(), w.data(),
                         first ? nothing : rx.constant(), h.constant(), ry.view(), inputs, outputs, columns,
                         activation);
            fast.tangent_backpropagate(w.data(), v.data(), d.constant(), rd.constant(), x.constant(), rx.constant(),
                                       e.view(), re.view(), inputs, outputs, columns, activation);
            CHECK(excess(ry, RY, 6 * inputs) < 1.0);
            CHECK(excess(e, E, outputs) < 1.0);
            CHECK(excess(re, RE, 6 * outputs) < 1.0);
        });
    });
}

TEST_CASE("one-hot inputs give what dense ones give") {
    each_shape([&](int inputs, int outputs, int columns, Stream& random) {
        Matrix<float> X(inputs, columns), D(outputs, columns);
        std::vector<std::int32_t> index(static_cast<std::size_t>(columns));
        for (int c = 0; c < columns; ++c) {
            const auto row = static_cast<std::int32_t>(random.bits() % static_cast<std::uint32_t>(inputs));
            index[static_cast<std::size_t>(c)] = row;
            X.at(row, c) = 1.0f;
        }
        D.fill(random);
        const auto w = narrowed(numbers(inputs * outputs, random)), b = narrowed(numbers(outputs, random));
        const Activation activation = activations[(inputs + outputs) % 4];
        const float* bias = inputs % 3 == 0 ? nullptr : b.data();
        each_set([&](const Kernels<float>& set) {
            Matrix<float> selected(outputs, columns), dense(outputs, columns);
            set.select_rows(w.data(), bias, index.data(), selected.view(), outputs, columns, activation);
            set.affine(w.data(), bias, X.constant(), dense.view(), inputs, outputs, columns, activation);
            std::vector<float> scattered(w), gradient(w), db(b), dense_db(b);
            set.scatter_rows(index.data(), D.constant(), scattered.data(), db.data(), outputs, columns);
            set.weight_gradient(X.constant(), D.constant(), gradient.data(), dense_db.data(), inputs, outputs,
                                columns);
            double worst = selected.gap_untouched() ? 0.0 : 1e9;
            for (int o = 0; o < outputs; ++o) {
                for (int c = 0; c < columns; ++c) {
                    worst = std::max(worst, excess(static_cast<double>(selected.at(o, c)),
                                                   static_cast<double>(dense.at(o, c)), 1));
                }
            }
            CHECK(worst < 1.0);
            CHECK(excess(scattered, {gradient.begin(), gradient.end()}, columns) < 1.0);
            CHECK(excess(db, {dense_db.begin(), dense_db.end()}, columns) < 1.0);
        });
    });
}

TEST_CASE("padding columns with a zero gradient change no gradient") {
    constexpr int columns = 32, samples = 21;
    for (int outputs : {1, 5, 17, 64}) {
        for (int inputs : {1, 2, 7, 64}) {
            Stream random(11, 0, Purpose::data);
            Matrix<float> X(inputs, columns), D(outputs, columns);
            X.fill(random);
            D.fill(random);
            for (int c = samples; c < columns; ++c) {
                for (int o = 0; o < outputs; ++o) D.at(o, c) = 0.0f;
            }
            each_set([&](const Kernels<float>& set) {
                std::vector<float> gradients[2], biases[2];
                for (int k = 0; k < 2; ++k) {
                    for (int i = 0; i < inputs; ++i) {
                        for (int c = samples; c < columns; ++c) X.at(i, c) = k == 0 ? 0.0f : 1e30f;
                    }
                    gradients[k].resize(static_cast<std::size_t>(inputs * outputs));
                    biases[k].resize(static_cast<std::size_t>(outputs));
                    set.weight_gradient(X.constant(), D.constant(), gradients[k].data(), biases[k].data(), inputs,
                                        outputs, columns);
                }
                CHECK(gradients[0] == gradients[1]);
                CHECK(biases[0] == biases[1]);
            });
        }
    }
}

TEST_CASE("a set of kernels is found by its name, and one that is missing is never replaced") {
    const Kernels<float>* best = available_kernels()[0];
    CHECK(find_kernels("fast").value() == best);
    CHECK(find_kernels("reference").value() == &generic_kernels<float>());
    each_set([&](const Kernels<float>& set) { CHECK(find_kernels(set.name).value() == &set); });
    for (std::string name : {"baseline", "avx2", "avx512", "neon"}) {
        bool available = false;
        each_set([&](const Kernels<float>& set) { available = available || name == set.name; });
        if (!available) CHECK(find_kernels(name).error().code == Code::unsupported_kernels);
    }
    CHECK(find_kernels("sse9").error().code == Code::unknown_kernels);
    CHECK(find_kernels("").error().code == Code::unknown_kernels);
}

TEST_CASE("reference kernels give the same bits on every platform") {
    constexpr int inputs = 7, outputs = 5, columns = 37;
    std::uint64_t checksum = 0xcbf29ce484222325u;
    const auto add = [&](const float* values, std::size_t count) {
        for (std::size_t k = 0; k < count; ++k) {
            checksum = (checksum ^ std::bit_cast<std::uint32_t>(values[k])) * 0x100000001b3u;
        }
    };
    const Kernels<float>& reference = generic_kernels<float>();
    Stream random(5, 0, Purpose::data);
    std::vector<float> X(inputs * columns), D(outputs * columns), W(inputs * outputs), b(outputs);
    for (auto* list : {&X, &D, &W, &b}) {
        for (float& value : *list) value = random.normal();
    }
    std::vector<float> Y(outputs * columns), E(inputs * columns), dW(W), db(b), y(outputs);
    std::vector<std::int32_t> index(columns);
    for (auto& row : index) row = static_cast<std::int32_t>(random.bits() % inputs);
    const Columns<const float> x{X.data(), columns}, d{D.data(), columns};
    for (Activation activation : activations) {
        reference.affine(W.data(), b.data(), x, {Y.data(), columns}, inputs, outputs, columns, activation);
        add(Y.data(), Y.size());
        reference.backpropagate(W.data(), d, x, {E.data(), columns}, inputs, outputs, columns, activation);
        add(E.data(), E.size());
        reference.select_rows(W.data(), b.data(), index.data(), {Y.data(), columns}, outputs, columns, activation);
        add(Y.data(), Y.size());
        reference.affine_one(W.data(), b.data(), X.data(), y.data(), inputs, outputs, activation);
        add(y.data(), y.size());
    }
    reference.accumulate(W.data(), x, {Y.data(), columns}, inputs, outputs, columns);
    reference.softmax({Y.data(), columns}, {Y.data(), columns}, outputs, columns);
    add(Y.data(), Y.size());
    reference.weight_gradient(x, d, dW.data(), db.data(), inputs, outputs, columns);
    reference.scatter_rows(index.data(), d, dW.data(), db.data(), outputs, columns);
    add(dW.data(), dW.size());
    add(db.data(), db.size());
    CHECK(checksum == 0x1a597573196a57e5u);
}

#if defined(__aarch64__) || defined(__arm__)
TEST_CASE("an ARM processor with NEON and fused products runs the NEON kernels") {
    CHECK((*find_kernels("fast"))->name == std::string("neon"));
}
#endif
