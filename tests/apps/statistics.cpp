// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/statistics.hpp"

#include <cmath>

#include <catch2/catch.hpp>

using namespace dunlin::app;

TEST_CASE("the interquartile mean leaves a quarter out at each end") {
    const std::vector<double> values{100, 1, 2, 3, 4, 5, 6, -100};
    CHECK(interquartile_mean(values) == Approx(3.5));
    CHECK(mean_of(values) == Approx(21.0 / 8));
    CHECK(interquartile_mean(std::vector<double>{2.0}) == 2.0);
}

TEST_CASE("an improvement's probability counts all pairs of runs, ties half") {
    CHECK(probability_of_improvement(std::vector<double>{1, 2}, std::vector<double>{0, 2}) == Approx(2.5 / 4));
    CHECK(probability_of_improvement(std::vector<double>{1}, std::vector<double>{2}) == 0.0);
}

TEST_CASE("a bootstrap interval is that of the mean, and nothing is claimed of one run") {
    // 50 values of mean 0 and variance 1: the mean's deviation is 1/sqrt(50), its 95 % interval 1.96 of it to each side.
    std::vector<double> values;
    for (int k = 0; k < 50; ++k) values.push_back(k % 2 == 0 ? 1.0 : -1.0);
    const Estimate estimate = bootstrap(values, mean_of);
    CHECK(estimate.value == Approx(0.0).margin(1e-12));
    CHECK(estimate.low == Approx(-1.96 / std::sqrt(50.0)).margin(0.04));
    CHECK(estimate.high == Approx(1.96 / std::sqrt(50.0)).margin(0.04));
    CHECK_FALSE(estimate.significant());
    for (double& value : values) value += 1.0;
    CHECK(bootstrap(values, mean_of).significant());
    CHECK(bootstrap(values, mean_of).low == Approx(estimate.low + 1.0));
    CHECK(std::isnan(bootstrap(std::vector<double>{3.0}, mean_of).low));
    CHECK_FALSE(bootstrap(std::vector<double>{3.0}, mean_of).significant());
}

TEST_CASE("a profile is the share of values above each threshold") {
    CHECK(profile(std::vector<double>{0.1, 0.5, 0.9}, std::vector<double>{0.0, 0.5, 1.0}) ==
          std::vector<double>{1.0, 1.0 / 3, 0.0});
}
