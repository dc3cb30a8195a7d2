// SPDX-License-Identifier: Apache-2.0
#include "core/layer_split.hpp"

#include "core/adapt/maml.hpp"
#include "core/network/network_shape.hpp"
#include "core/random.hpp"

#include <numeric>
#include <vector>

using namespace dunlin;

namespace {

MlpShape three_layers() {
    const int hidden[] = {3, 4};
    return *MlpShape::make(2, hidden, 5);  // 9, 16 and 25 parameters
}

LayerSplit split_of(std::vector<int> personal) {
    const auto split = LayerSplit::make(three_layers(), personal);
    REQUIRE(split);
    return *split;
}

std::vector<double> numbered(std::size_t count) {
    std::vector<double> w(count);
    std::iota(w.begin(), w.end(), 0.0);
    return w;
}

/// f(w) = sum of (1 + k) w_k^2 / 2 plus w_0 w_last.
struct Bowl {
    std::size_t d;
    std::size_t dimension() const { return d; }
    int slots() const { return 4; }
    void draw(int, ConstVector<double>, Stream&) {}
    double value(int, ConstVector<double> w) const {
        double sum = w[0] * w[d - 1];
        for (std::size_t k = 0; k < d; ++k) sum += 0.5 * (1.0 + static_cast<double>(k)) * w[k] * w[k];
        return sum;
    }
    void gradient(int, ConstVector<double> w, Vector<double> out) const {
        for (std::size_t k = 0; k < d; ++k) out[k] = (1.0 + static_cast<double>(k)) * w[k];
        out[0] += w[d - 1];
        out[d - 1] += w[0];
    }
    void hessian_vector(int, ConstVector<double>, ConstVector<double> v, Vector<double> out) const {
        gradient(0, v, out);
    }
};

}  // namespace

TEST_CASE("a layer split takes a model apart and puts it together again") {
    for (const std::vector<int>& personal : {std::vector<int>{-1}, {0}, {1}, {0, 2}, {1, -1}, {}}) {
        const LayerSplit split = split_of(personal);
        const std::vector<double> w = numbered(50);
        REQUIRE(split.dimension() == w.size());
        std::vector<double> x(split.shared_size()), y(split.personal_size()), again(w.size(), -1.0);
        split.take_shared<double>(w, x);
        split.take_personal<double>(w, y);
        split.put_shared<double>(x, again);
        split.put_personal<double>(y, again);
        CHECK(again == w);
        std::vector<double> cleared = w;
        split.clear_shared<double>(cleared);
        for (const double value : x) CHECK(cleared[static_cast<std::size_t>(value)] == 0.0);
        for (const double value : y) CHECK(cleared[static_cast<std::size_t>(value)] == value);
    }
}

TEST_CASE("the personal part is the layers that were named, weights and biases") {
    const LayerSplit last = split_of({-1});
    CHECK(last.personal_size() == 25);
    CHECK(last.personal()[0].first == 25);
    const LayerSplit first = split_of({0});
    CHECK(first.personal_size() == 9);
    CHECK(first.shared()[0].first == 9);
    CHECK(first.shared().size() == 1);  // neighbouring layers are one range
    CHECK(split_of({1}).shared().size() == 2);
    CHECK_FALSE(split_of({}).has_personal());
    CHECK(LayerSplit(7).shared_size() == 7);
}

TEST_CASE("layers that do not exist, and a split that shares nothing, are refused with the figures") {
    const int beyond[] = {3}, before[] = {-4}, all[] = {0, 1, 2};
    CHECK(LayerSplit::make(three_layers(), beyond).error() == Error{Code::no_such_layer, 3, 3});
    CHECK(LayerSplit::make(three_layers(), before).error() == Error{Code::no_such_layer, -4, 3});
    CHECK(LayerSplit::make(three_layers(), all).error() == Error{Code::nothing_shared, 3, 0});
}

TEST_CASE("inner steps that move the personal layers alone have the gradient of what they lead to") {
    Bowl task{50};
    const LayerSplit split = split_of({-1});
    const Maml anil{.steps = 3, .inner_rate = 0.01f, .personal = &split};
    std::vector<double> scratch(anil.scratch(50)), out(50), moved(50);
    Stream random;
    std::vector<double> w(50);
    for (std::size_t k = 0; k < w.size(); ++k) w[k] = 0.1 * random.normal();
    const auto value = [&](const std::vector<double>& from) {
        std::vector<double> here = from, g(50);
        for (int r = 0; r < anil.steps; ++r) {
            task.gradient(0, here, g);
            split.each_personal([&](std::size_t k) { here[k] -= static_cast<double>(anil.inner_rate) * g[k]; });
        }
        return task.value(0, here);
    };
    anil.gradient<double>(task, w, random, out, scratch);
    for (const std::size_t k : {0u, 12u, 24u, 25u, 40u, 49u}) {
        std::vector<double> up = w, down = w;
        up[k] += 1e-4;
        down[k] -= 1e-4;
        CHECK(out[k] == Approx((value(up) - value(down)) / 2e-4).epsilon(1e-6));
    }
}

TEST_CASE("of any network the layers that have parameters are split") {
    const std::vector<LayerSpec> layers{
        {.kind = LayerKind::convolution, .outputs = 2, .kernel_height = 3, .kernel_width = 3},
        {.kind = LayerKind::maximum_pool,
         .kernel_height = 2,
         .kernel_width = 2,
         .stride_height = 2,
         .stride_width = 2},
        {.kind = LayerKind::normalise},
        {.kind = LayerKind::dense, .outputs = 3}};
    const NetworkShape shape = *NetworkShape::make({6, 6, 1}, false, layers);  // 20, 0, 4 and 27 parameters
    const int second = 1, last = -1, fourth = 3;
    const LayerSplit middle = *LayerSplit::make(shape, std::span(&second, 1)),
                     end = *LayerSplit::make(shape, std::span(&last, 1));
    CHECK(middle.personal_size() == 4);
    CHECK(middle.personal().front().first == 20);
    CHECK(end.personal_size() == 27);
    CHECK(LayerSplit::make(shape, std::span(&fourth, 1)).error() == Error{Code::no_such_layer, 3, 3});
}
