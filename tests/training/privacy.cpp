// SPDX-License-Identifier: Apache-2.0
#include "measured_file.hpp"
#include "training/privacy/privacy_loss.hpp"
#include "training/privacy/renyi.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

namespace dunlin {
namespace {

double normal(double x) {
    return 0.5 * std::erfc(-x / M_SQRT2);
}

/// The analytic Gaussian mechanism (Balle, Wang 2018, theorem 8): delta of `steps` releases at rate 1.
double exact_delta(double noise, double steps, double epsilon) {
    const double mean = std::sqrt(steps) / noise;  // of all releases together, in standard deviations
    return normal(mean / 2 - epsilon / mean) - std::exp(epsilon) * normal(-mean / 2 - epsilon / mean);
}

double exact_epsilon(double noise, double steps, double delta) {
    double low = 0, high = 1000;
    for (int k = 0; k < 200; ++k) {
        const double between = (low + high) / 2;
        (exact_delta(noise, steps, between) > delta ? low : high) = between;
    }
    return high;
}

void check_against(double found, double reference, double below, double above) {
    CHECK(found >= reference * (1 - below));
    CHECK(found <= reference * (1 + above));
}

}  // namespace

TEST_CASE("the privacy of unsampled Gaussian noise is the closed form's, never less [invariant 13]") {
    struct Case {
        double noise;
        std::int64_t steps;
        double delta;
    };
    for (const auto& [noise, steps, delta] : std::vector<Case>{
             {0.7, 1, 1e-5}, {1, 1, 1e-5}, {5, 1, 1e-3}, {4, 10, 1e-7}, {20, 1000, 1e-5}, {300, 5000, 1e-6}}) {
        INFO(noise << " " << steps << " " << delta);
        const double exact = exact_epsilon(noise, static_cast<double>(steps), delta);
        check_against(epsilon_pld({noise, 1, steps}, delta), exact, 0, 0.005);
        CHECK(epsilon_rdp({noise, 1, steps}, delta).epsilon >= exact);
    }
}

TEST_CASE("the privacy of sampled Gaussian noise is what other accountants find") {
    // The tutorial case of 256 of 60,000 rows; a large rate; little noise. By numerical integration, apart from ours.
    struct Case {
        SampledGaussian mechanism;
        double delta, rdp, pld;
    };
    for (const auto& [mechanism, delta, rdp, pld] :
         std::vector<Case>{{{1.1, 256.0 / 60000, 14062}, 1e-5, 2.59698, 2.38164},
                           {{1, 0.5, 3}, 1e-5, 6.53999, 5.84084},
                           {{0.6, 0.01, 1000}, 1e-5, 9.10263, 7.43361}}) {
        INFO(mechanism.noise << " " << mechanism.rate << " " << mechanism.steps);
        check_against(epsilon_rdp(mechanism, delta).epsilon, rdp, 0.06, 0.001);
        check_against(epsilon_pld(mechanism, delta), pld, 0.002, 0.01);
    }
}

TEST_CASE("every reference value of privacy is met") {
    const std::string path = test::measured_file("privacy-reference/epsilon.csv");
    if (path.empty()) return;
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    int rows = 0;
    while (std::getline(file, line)) {
        INFO(line);
        std::istringstream text(line);
        char comma{};
        double rate{}, noise{}, steps{}, delta{}, rdp{}, pld{};
        text >> rate >> comma >> noise >> comma >> steps >> comma >> delta >> comma >> rdp >> comma >> pld;
        REQUIRE(text);
        const SampledGaussian mechanism{noise, rate, static_cast<std::int64_t>(steps)};
        check_against(epsilon_rdp(mechanism, delta).epsilon, rdp, 0.06, 0.001);
        check_against(epsilon_pld(mechanism, delta), pld, 0.002, 0.01);
        ++rows;
    }
    CHECK(rows > 20);
}

TEST_CASE("the integral of fractional orders meets the sum of whole ones") {
    for (double noise : {0.3, 1.0, 8.0}) {
        for (double rate : {1e-4, 0.02, 0.7}) {
            for (int order : {2, 5, 11}) {
                INFO(noise << " " << rate << " " << order);
                const SampledGaussian mechanism{noise, rate, 1};
                const double whole = renyi_divergence(mechanism, order);
                CHECK(mechanism.log_moment(order) / (order - 1) == Approx(whole).epsilon(1e-6).margin(1e-12));
            }
        }
    }
    CHECK(SampledGaussian{1, 0.3, 1}.log_moment(1) == Approx(0).margin(1e-12));  // P is a density
    CHECK(SampledGaussian{1, 0.3, 1}.log_moment(0) == Approx(0).margin(1e-12));
}

TEST_CASE("less noise, more steps, a larger rate and a smaller delta spend more") {
    const SampledGaussian base{1, 0.05, 200};
    const double spent = epsilon_pld(base, 1e-5);
    CHECK(epsilon_pld({0.9, 0.05, 200}, 1e-5) > spent);
    CHECK(epsilon_pld({1, 0.06, 200}, 1e-5) > spent);
    CHECK(epsilon_pld({1, 0.05, 250}, 1e-5) > spent);
    CHECK(epsilon_pld(base, 1e-6) > spent);
    CHECK(spent <= epsilon_rdp(base, 1e-5).epsilon);
    CHECK(epsilon_pld({1e4, 0.001, 1}, 0.1) == Approx(0).margin(1e-3));
}

TEST_CASE("the noise of a budget spends it") {
    for (double epsilon : {0.5, 8.0}) {
        const Outcome<double> noise = noise_for({.rate = 0.1, .steps = 50}, epsilon, 1e-5);
        REQUIRE(noise);
        const SampledGaussian found{*noise, 0.1, 50};
        const double spent = std::min(epsilon_pld(found, 1e-5), epsilon_rdp(found, 1e-5).epsilon);
        CHECK(spent <= epsilon);
        CHECK(spent > epsilon * 0.995);
    }
    CHECK(!noise_for({.rate = 1, .steps = 1}, 1e-9, 1e-5));
    CHECK(!noise_for({.rate = 1, .steps = 1}, -1, 1e-5));
}

TEST_CASE("privacy of what cannot be is refused") {
    CHECK(!SampledGaussian{.noise = 0}.check());
    CHECK(!SampledGaussian{.noise = std::nan("")}.check());
    CHECK(!SampledGaussian{.rate = 0}.check());
    CHECK(!SampledGaussian{.rate = 1.1}.check());
    CHECK(!SampledGaussian{.steps = 0}.check());
    CHECK(!check_delta(0));
    CHECK(!check_delta(1));
}

}  // namespace dunlin
