// SPDX-License-Identifier: Apache-2.0
#include "core/aggregate/server_rules.hpp"
#include "core/random.hpp"
#include "core/robust/private_sum.hpp"
#include "training/axes/update_limits.hpp"
#include "training/host/host_memory.hpp"
#include "training/privacy/privacy_loss.hpp"
#include "training/problems/classification_fleet.hpp"
#include "training/runs/federated_training.hpp"

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

namespace dunlin {
namespace {

Stream injected;  ///< in place of the operating system's generator
std::uint64_t next_bits() {
    return static_cast<std::uint64_t>(injected.bits()) << 32 | injected.bits();
}

/// One release of a sum of numbers.
struct Release {
    HostMemory memory;
    Arena arena{memory.bytes()};
    PrivateSum sum;

    Release(const PrivateSum::Settings& settings, std::size_t dimension)
        : memory(PrivateSum::memory(dimension, 1)), sum(settings, dimension, 1, arena, arena) {}
    std::vector<float> take() {
        std::vector<float> out;
        sum.take(0, 0, 0, [&](float, ConstVector<float> values) { out.assign(values.begin(), values.end()); });
        return out;
    }
};

/// Exact 95 % bound of a chance by Clopper and Pearson: the p at which so few, or so many, of `trials` have chance 2.5 %.
double bound(std::int64_t hits, std::int64_t trials, bool upper) {
    // By the normal quantile of Wilson's interval with a continuity correction, which is wider for such counts.
    const double z = 1.96, n = static_cast<double>(trials);
    const double p = (static_cast<double>(hits) + (upper ? 0.5 : -0.5)) / n;
    const double middle = p + z * z / (2 * n), half = z * std::sqrt(p * (1 - p) / n + z * z / (4 * n * n));
    return (upper ? middle + half : middle - half) / (1 + z * z / n);
}

/// How much the sum tells, at least, of a canary that gave all it may: 95 % sure, by counting (Jagielski, Ullman, Oprea
/// 2020). The threshold is fixed before.
double audited_epsilon(double noise, double delta, std::int64_t trials) {
    std::int64_t with = 0, without = 0;
    const std::vector<float> canary{5.0f};
    // Whatever the mechanism says: above it lie 1 % of what a sum of nothing gives with the noise that it has.
    const double threshold = 2.33 * noise;
    Release release({.clip = 1, .noise = noise, .expected = 1, .rate = 1, .random = next_bits}, 1);
    for (std::int64_t k = 0; k < trials; ++k) {
        without += static_cast<double>(release.take()[0]) > threshold;
        release.sum.add(0, 0, 1, 1, canary);
        with += static_cast<double>(release.take()[0]) > threshold;
    }
    return std::log((bound(with, trials, false) - delta) / bound(without, trials, true));
}

Outcome<FederatedResult> trained(const std::vector<std::string>& assignments,
                                 std::uint64_t (*random)() = secret_random) {
    ClassificationSettings settings;
    Settings list = classification_settings(settings);
    std::vector<std::string> all{"federated.method=fedavg", "data.clients=10",         "data.split=uniform",
                                 "model.hidden=[16]",       "report.evaluations=1",    "clock.budget_s=150",
                                 "clock.speed_spread=0",    "federated.local_rate=0.3"};
    all.insert(all.end(), assignments.begin(), assignments.end());
    if (auto read = list.set(all); !read) return tl::unexpected(read.error());
    settings.federated.privacy.random = random;
    auto problem = make_classification_problem(settings, 1);
    REQUIRE(problem);
    Workers workers(1);
    FederatedResult result;
    const auto done = train_federated(
        **problem, settings.federated, 3, workers, RunPauses{},
        [](const FederatedResult&) { return Outcome<void>{}; }, result);
    if (!done) return tl::unexpected(done.error());
    return result;
}

}  // namespace

TEST_CASE("the discrete Gaussian has the moments and the chances of its equation") {
    injected = Stream(7, 0, Purpose::user);
    for (const double sigma : {1.0, 3.5, 1000.0}) {
        INFO("sigma " << sigma);
        DiscreteGaussian noise(sigma, next_bits);
        constexpr int count = 40'000;
        double sum = 0, squares = 0;
        int zeros = 0;
        for (int k = 0; k < count; ++k) {
            const auto x = static_cast<double>(noise());
            sum += x;
            squares += x * x;
            zeros += x == 0;
        }
        double all = 0;
        for (int x = -20'000; x <= 20'000; ++x) all += std::exp(-x * static_cast<double>(x) / (2 * sigma * sigma));
        CHECK(std::abs(sum / count) < 4 * sigma / std::sqrt(count));
        CHECK(squares / count == Approx(sigma * sigma).epsilon(4 * std::sqrt(2.0 / count)));
        CHECK(std::abs(zeros - count / all) < 4 * std::sqrt(count / all) + 1);
    }
}

TEST_CASE("one member moves a private sum by its clip at most, in the integers that are summed") {
    constexpr std::size_t dimension = 1000;
    Stream random(8, 0, Purpose::user);
    Release release({.clip = 0.25, .noise = 0, .expected = 1, .rate = 1, .random = next_bits}, dimension);
    for (const float size : {1e-6f, 0.01f, 1.0f, 1e5f}) {
        std::vector<float> update(dimension);
        for (float& value : update) value = size * random.normal();
        release.sum.add(0, 0, 1, 1, update);
        const std::vector<float> moved = release.take();
        const double norm = std::sqrt(squared_norm(update)), found = std::sqrt(squared_norm(moved));
        CHECK(found <= 0.25 * (1 + 1e-6));
        if (norm < 0.24 && size > 1e-3f) CHECK(found == Approx(norm).epsilon(1e-3));
        if (norm > 0.26) CHECK(found == Approx(0.25).epsilon(1e-3));
    }
}

TEST_CASE("a canary audit stays below the promise, and finds out noise that is half of it [invariant 13]") {
    injected = Stream(9, 0, Purpose::user);
    constexpr double delta = 1e-5;
    const auto noise = noise_for({.rate = 1, .steps = 1}, 1.0, delta);
    REQUIRE(noise);
    REQUIRE(epsilon_pld({.noise = *noise, .rate = 1, .steps = 1}, delta) <= 1.0);
    const double found = audited_epsilon(*noise, delta, 60'000);
    CHECK(found < 1.0);
    CHECK(found > 0.3);  // or it looks at nothing
    CHECK(audited_epsilon(*noise / 2, delta, 60'000) > 1.0);
}

TEST_CASE("private rounds learn, with noise of their own that no seed gives, and count every version") {
    const auto plain = trained({}), clipped = trained({"privacy.clip=1"});
    const auto noisy = trained({"privacy.clip=1", "privacy.noise=0.3"}),
               again = trained({"privacy.clip=1", "privacy.noise=0.3"});
    REQUIRE((plain && clipped && noisy && again));
    CHECK(clipped->history.back().version == plain->history.back().version);
    CHECK(noisy->trace != again->trace);
    CHECK(noisy->history.back().shared.front() > 0.4);
    CHECK(noisy->history.back().version > 5);
    // Sampled rounds draw in secret too.
    const auto sampled = trained({"privacy.clip=1", "privacy.noise=0.3", "clock.concurrency=0.3"});
    REQUIRE(sampled);
    CHECK(sampled->history.back().version > 5);
    injected = Stream(10, 0, Purpose::user);
    const auto one = trained({"privacy.clip=1", "privacy.noise=0.3", "clock.concurrency=0.3"}, next_bits);
    injected = Stream(10, 0, Purpose::user);
    const auto two = trained({"privacy.clip=1", "privacy.noise=0.3", "clock.concurrency=0.3"}, next_bits);
    REQUIRE((one && two));
    CHECK(one->shared_model == two->shared_model);
}

TEST_CASE("privacy where it is not there, or promises nothing, is refused by name") {
    const auto refusal = [](const std::vector<std::string>& assignments) -> std::string {
        ClassificationSettings settings;
        Settings list = classification_settings(settings);
        REQUIRE(list.set(assignments));
        const auto fits = settings.federated.check(10);
        return fits ? "" : fits.error().text;
    };
    for (const char* method : {"persafl", "fedasync", "fedbuff", "scaffold", "pars-push", "local"}) {
        INFO(method);
        CHECK(refusal({std::string("federated.method=") + method, "privacy.clip=1"}).find(method) !=
              std::string::npos);
    }
    CHECK(refusal({"federated.method=fedavg", "privacy.noise=1"}).find("privacy.clip") != std::string::npos);
    CHECK(refusal({"federated.method=fedavg", "privacy.clip=1", "privacy.noise=0.01"}).find("0.1") !=
          std::string::npos);
    CHECK(refusal({"federated.method=fedavg", "privacy.clip=1", "defence.name=krum"}).find("single updates") !=
          std::string::npos);
    CHECK(refusal({"federated.method=fedavg", "privacy.clip=1", "federated.weigh_by_samples=true"}).find("alike") !=
          std::string::npos);
    for (const char* method : {"fedavg", "fedprox", "per-fedavg", "pfedme", "ditto"})
        CHECK(refusal({std::string("federated.method=") + method, "privacy.clip=1", "privacy.noise=1"}).empty());
}

TEST_CASE("the limit of norms is the median's over members, and grows to twice as much at most") {
    NormWatch watch({.component = 1, .norm = 1e9f, .factor = 10}, 5);
    CHECK(watch.limit() == 1e9);
    for (int round = 0; round < 4; ++round) {
        for (std::uint32_t member = 0; member < 5; ++member) watch.took(member, member + 1.0);
    }
    CHECK(watch.limit() == 30);
    for (int k = 0; k < 1000; ++k) watch.took(4, watch.limit());
    CHECK(watch.limit() == 30);
    CHECK(watch.check(31).error() == Error{Code::update_too_large, -1});
    // Of all of them together it grows, but not at once.
    double before = watch.limit();
    for (int round = 0; round < 10; ++round) {
        for (std::uint32_t member = 0; member < 5; ++member) watch.took(member, watch.limit());
        CHECK(watch.limit() <= 2 * before);
        before = watch.limit();
    }
    CHECK(before > 300);
    NormWatch few({.component = 1, .norm = 7, .factor = 10}, 2);
    for (int k = 0; k < 20; ++k) few.took(static_cast<std::uint32_t>(k % 2), 0.1);
    CHECK(few.limit() == 7);
}

}  // namespace dunlin
