// SPDX-License-Identifier: Apache-2.0
#include "core/flat_kernels.hpp"

#include "core/random.hpp"

#include <cmath>
#include <limits>
#include <vector>

#include <catch2/catch.hpp>

using namespace dunlin;

namespace {

std::vector<const FlatKernels*> every_set() {
    std::vector<const FlatKernels*> sets;
    for (auto set = available_flat_kernels(); *set != nullptr; ++set) sets.push_back(*set);
    return sets;
}

constexpr std::size_t sizes[] = {0, 1, 15, 16, 17, 63, 64, 65, 200};

}  // namespace

TEST_CASE("any set of flat kernels finds a magnitude beyond the limit, wherever it is") {
    constexpr float infinity = std::numeric_limits<float>::infinity();
    for (const FlatKernels* set : every_set()) {
        for (const std::size_t size : sizes) {
            std::vector<float> x(size, -2.5f);
            CHECK_FALSE(set->any_beyond(x.data(), size, 2.5f));
            for (std::size_t k = 0; k < size; ++k) {
                for (const float bad : {std::nextafter(2.5f, 3.0f), -3.0f, infinity, -infinity, NAN, -NAN}) {
                    x[k] = bad;
                    CHECK(set->any_beyond(x.data(), size, 2.5f));
                }
                x[k] = 0.0f;
            }
            CHECK_FALSE(set->any_beyond(x.data(), size, 0.0f));
        }
    }
}

TEST_CASE("every set of flat kernels adds with the same bits, and rounds the product first") {
    for (const FlatKernels* set : every_set()) {
        for (const std::size_t size : sizes) {
            std::vector<float> x(size), y(size), expected(size);
            for (std::size_t k = 0; k < size; ++k) {
                x[k] = 1.0f + static_cast<float>(k) * 0x1p-23f;
                y[k] = -1.0f;
                const float product = x[k] * 1.0000001f;
                expected[k] = y[k] + product;
            }
            set->add_scaled(1.0000001f, x.data(), y.data(), size);
            CHECK(y == expected);
        }
    }
}

TEST_CASE("every set of flat kernels steps with the same bits, with and without a pull to where it began") {
    Stream random(5, 0, Purpose::user);
    for (const FlatKernels* set : every_set()) {
        for (const std::size_t size : sizes) {
            for (const float pull : {0.0f, 0.3f}) {
                std::vector<float> g(size), first(size), w(size), expected(size);
                for (std::size_t k = 0; k < size; ++k) {
                    g[k] = random.normal();
                    first[k] = random.normal();
                    w[k] = random.normal();
                    const float towards = pull * (w[k] - first[k]);
                    const float way = 0.1f * (g[k] + towards);
                    expected[k] = w[k] - way;
                }
                set->descend(0.1f, g.data(), pull, first.data(), w.data(), size);
                CHECK(w == expected);
            }
        }
    }
}

TEST_CASE("every set of flat kernels adds mass with wrap-around and tells when a sum left the range") {
    constexpr Mass largest = std::numeric_limits<Mass>::max();
    for (const FlatKernels* set : every_set()) {
        for (const std::size_t size : sizes) {
            const std::vector<Mass> x(size, 5);
            std::vector<Mass> y(size, largest - 5);
            CHECK_FALSE(set->add_masses(x.data(), y.data(), size));
            CHECK(y == std::vector<Mass>(size, largest));
            for (std::size_t k = 0; k < size; ++k) {
                std::vector<Mass> term(size, 0), sum(size, largest);
                term[k] = 1;
                CHECK(set->add_masses(term.data(), sum.data(), size));
                CHECK(sum[k] == std::numeric_limits<Mass>::min());
            }
            std::vector<Mass> negative(size, std::numeric_limits<Mass>::min());
            CHECK(set->add_masses(negative.data(), std::vector<Mass>(size, -1).data(), size) == (size > 0));
        }
    }
}
