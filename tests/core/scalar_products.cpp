// SPDX-License-Identifier: Apache-2.0
#include "core/kernels/scalar_products.hpp"

#include "core/random.hpp"

#include <cstring>
#include <tuple>
#include <vector>

#include <catch2/catch.hpp>

using namespace dunlin;

namespace {

std::vector<float> draw(std::size_t count, Stream& random) {
    std::vector<float> numbers(count);
    for (float& x : numbers) x = random.normal();
    return numbers;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

}  // namespace

TEST_CASE("microcontrollers' products have the bits of plain loops, for any shape") {
    Stream random(3, 0, Purpose::user);
    constexpr std::tuple<int, int, int> shapes[] = {{2, 64, 1}, {64, 5, 1}, {7, 29, 1}, {16, 16, 16},
                                                    {5, 13, 6}, {9, 4, 3},  {1, 1, 1},  {31, 47, 11}};
    for (const auto& [inputs, outputs, columns] : shapes) {
        CAPTURE(inputs, outputs, columns);
        const auto size = [](int a, int b) { return static_cast<std::size_t>(a) * static_cast<std::size_t>(b); };
        const std::vector<float> W = draw(size(inputs, outputs), random), X = draw(size(inputs, columns), random),
                                 D = draw(size(outputs, columns), random);
        const auto at = [](const std::vector<float>& v, int row, int width, int column) {
            return v[static_cast<std::size_t>(row * width + column)];
        };
        const Columns<const float> x{X.data(), columns}, d{D.data(), columns};

        std::vector<float> Y = draw(size(outputs, columns), random), Y_plain = Y;
        scalar::accumulate<float>(W.data(), x, {Y.data(), columns}, inputs, outputs, columns);
        std::vector<float> E = draw(size(inputs, columns), random), E_plain = E;
        scalar::backpropagate<float>(W.data(), d, {E.data(), columns}, inputs, outputs, columns);
        std::vector<float> G = draw(size(inputs, outputs), random), G_plain = G;
        scalar::weight_gradient<float>(x, d, G.data(), inputs, outputs, columns);

        for (int c = 0; c < columns; ++c) {
            for (int i = 0; i < inputs; ++i) {
                for (int o = 0; o < outputs; ++o) {
                    float& y = Y_plain[static_cast<std::size_t>(o * columns + c)];
                    y = portable::fma(at(W, i, outputs, o), at(X, i, columns, c), y);
                    float& e = E_plain[static_cast<std::size_t>(i * columns + c)];
                    e = portable::fma(at(W, i, outputs, o), at(D, o, columns, c), e);
                    float& g = G_plain[static_cast<std::size_t>(i * outputs + o)];
                    g = portable::fma(at(X, i, columns, c), at(D, o, columns, c), g);
                }
            }
        }
        CHECK(same_bits(Y, Y_plain));
        CHECK(same_bits(E, E_plain));
        CHECK(same_bits(G, G_plain));
    }
}
