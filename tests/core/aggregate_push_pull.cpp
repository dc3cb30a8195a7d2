// SPDX-License-Identifier: Apache-2.0
#include "aggregate_memory.hpp"
#include "core/aggregate/push_pull.hpp"
#include "core/random.hpp"

#include <algorithm>
#include <cmath>
#include <deque>
#include <vector>

using namespace dunlin;
using namespace dunlin::test;

namespace {

using Vectors = std::vector<std::vector<double>>;

constexpr std::uint32_t nodes = 6;
constexpr std::size_t d = 2;

/// Who hears whom: a directed ring with two chords, so that neither degrees in nor out are all the same.
const std::vector<std::vector<std::uint32_t>> heard_by = {{5}, {0, 4}, {0, 1}, {2}, {3}, {4}};

std::uint32_t out_degree(std::uint32_t i) {
    std::uint32_t count = 0;
    for (const auto& sources : heard_by) count += std::count(sources.begin(), sources.end(), i) > 0 ? 1 : 0;
    return count;
}

/// Gradient of (1 + 0.3 i)/2 |x - c_i|^2.
std::vector<double> pull(std::uint32_t i, const std::vector<double>& x) {
    std::vector<double> g(d);
    for (std::size_t k = 0; k < d; ++k) g[k] = (1.0 + 0.3 * i) * (x[k] - std::sin(static_cast<double>(7 * i + k)));
    return g;
}

std::vector<double> optimum() {
    std::vector<double> best(d);
    double weight = 0;
    for (std::uint32_t i = 0; i < nodes; ++i) {
        weight += 1.0 + 0.3 * i;
        for (std::size_t k = 0; k < d; ++k) best[k] += (1.0 + 0.3 * i) * std::sin(static_cast<double>(7 * i + k));
    }
    for (double& value : best) value /= weight;
    return best;
}

double worst(const Vectors& models) {
    const std::vector<double> best = optimum();
    double largest = 0;
    for (const auto& x : models) {
        for (std::size_t k = 0; k < d; ++k) largest = std::max(largest, std::abs(x[k] - best[k]));
    }
    return largest;
}

Vectors scattered() {
    Vectors start(nodes, std::vector<double>(d));
    Stream random(3, 0, Purpose::user);
    for (auto& x : start) {
        for (double& value : x) value = static_cast<double>(random.normal());
    }
    return start;
}

struct Fleet {
    using Node = PushPull<double>;

    std::deque<Memory> memory;
    std::vector<Node> all;
    std::int64_t tick = -1;

    Fleet(const Vectors& start, double step) {
        for (std::uint32_t i = 0; i < nodes; ++i) {
            memory.emplace_back(Node::memory(d, heard_by[i].size()));
            Arena arena = memory.back().arena();
            auto node = Node::make({.node = i,
                                    .nodes = nodes,
                                    .dimension = d,
                                    .in_neighbours = heard_by[i],
                                    .out_degree = out_degree(i),
                                    .theta = {.scale = step, .longest_gap = 1}},
                                   start[i], arena);
            REQUIRE(node);
            all.push_back(std::move(*node));
        }
    }

    template <class Arrives>
    void exchange(Arrives&& arrives) {
        for (std::uint32_t i = 0; i < nodes; ++i) {
            for (const std::uint32_t j : heard_by[i]) {
                if (arrives(j, i)) REQUIRE(all[i].receive(all[j].share()));
            }
        }
    }

    Vectors models() const {
        Vectors list(nodes, std::vector<double>(d));
        for (std::uint32_t i = 0; i < nodes; ++i) all[i].estimate(list[i]);
        return list;
    }
    void wake(std::uint32_t i) {
        std::vector<double> x(d);
        all[i].estimate(x);
        const std::vector<double> g = pull(i, x);
        REQUIRE(all[i].wake(tick, g));
    }
    void round() {
        ++tick;
        for (std::uint32_t i = 0; i < nodes; ++i) wake(i);
        exchange([](auto, auto) { return true; });
    }
};

Vectors pulled(const Vectors& v) {
    Vectors x = v;
    for (std::uint32_t i = 0; i < nodes; ++i) {
        for (std::size_t k = 0; k < d; ++k) {
            for (const std::uint32_t j : heard_by[i]) x[i][k] += v[j][k];
            x[i][k] /= static_cast<double>(heard_by[i].size() + 1);
        }
    }
    return x;
}

}  // namespace

TEST_CASE("push-pull follows its recursion by a row-stochastic and a column-stochastic matrix") {
    const Vectors start = scattered();
    constexpr double alpha = 0.05;
    Fleet fleet(start, alpha);
    Vectors x = start, y(nodes, std::vector<double>(d)), last = y;
    for (int t = 0; t < 200; ++t) {
        for (std::uint32_t i = 0; i < nodes; ++i) {
            const std::vector<double> g = pull(i, x[i]);
            for (std::size_t k = 0; k < d; ++k) y[i][k] += g[k] - last[i][k];
            last[i] = g;
        }
        Vectors v = x, next(nodes, std::vector<double>(d));
        for (std::uint32_t i = 0; i < nodes; ++i) {
            for (std::size_t k = 0; k < d; ++k) {
                v[i][k] -= static_cast<double>(static_cast<float>(alpha)) * y[i][k];
                next[i][k] += y[i][k] / (out_degree(i) + 1);
                for (const std::uint32_t j : heard_by[i]) next[i][k] += y[j][k] / (out_degree(j) + 1);
            }
        }
        x = pulled(v);
        y = next;
        fleet.round();
        const Vectors models = fleet.models();
        for (std::uint32_t i = 0; i < nodes; ++i) {
            for (std::size_t k = 0; k < d; ++k) REQUIRE(models[i][k] == Approx(x[i][k]).margin(1e-9));
        }
    }
}

TEST_CASE(
    "on a directed graph push-pull reaches the exact optimum linearly, and descent by its pulls another place") {
    Fleet fleet(scattered(), 0.05);
    std::vector<double> errors;
    for (int t = 0; t < 600; ++t) {
        fleet.round();
        if (t % 100 == 99) errors.push_back(worst(fleet.models()));
    }
    for (std::size_t k = 1; k < 4; ++k) CHECK(errors[k] < 0.2 * errors[k - 1]);
    CHECK(errors.back() < 1e-9);

    Vectors x = scattered();
    for (int t = 0; t < 3000; ++t) {
        for (std::uint32_t i = 0; i < nodes; ++i) {
            const std::vector<double> g = pull(i, x[i]);
            for (std::size_t k = 0; k < d; ++k) x[i][k] -= 0.05 / (1 + 0.01 * t) * g[k];
        }
        x = pulled(x);
    }
    CHECK(worst(x) > 0.02);
}

TEST_CASE("push-pull reaches the exact optimum through losses, repetitions and nodes that sleep") {
    Fleet fleet(scattered(), 0.02);
    Stream random(5, 0, Purpose::user);
    for (int t = 0; t < 6000; ++t) {
        ++fleet.tick;
        for (std::uint32_t i = 0; i < nodes; ++i) {
            if (fleet.all[i].tick() < 0 || random.uniform() < 0.7f) fleet.wake(i);
        }
        fleet.exchange([&](auto, auto) { return random.uniform() < 0.6f; });
        fleet.exchange([&](auto, auto) { return random.uniform() < 0.2f; });
    }
    CHECK(worst(fleet.models()) < 1e-8);
}

TEST_CASE("push-pull without gradients agrees, and what is wrong changes nothing") {
    Fleet fleet(scattered(), 0.05);
    for (int t = 0; t < 300; ++t) {
        ++fleet.tick;
        for (auto& node : fleet.all) REQUIRE(node.wake(fleet.tick, {}));
        fleet.exchange([](auto, auto) { return true; });
    }
    const Vectors models = fleet.models();
    for (const auto& x : models) CHECK(x[0] == Approx(models[0][0]).margin(1e-9));

    PushPull<double>& node = fleet.all[0];
    const std::vector<double> broken = {NAN, 0.0}, values(4), short_one(3), bad = {0.0, 0.0, 0.0, INFINITY};
    CHECK(node.wake(fleet.tick, {}).error().code == Code::tick_not_newer);
    CHECK(node.wake(fleet.tick + 1, broken).error().code == Code::not_finite);
    CHECK(node.receive({3, 400, values, 0}).error().code == Code::unknown_sender);
    CHECK(node.receive({5, 400, short_one, 0}).error().code == Code::shape_mismatch);
    CHECK(node.receive({5, 400, bad, 0}).error().code == Code::not_finite);
    CHECK(*node.receive({5, 0, values, 0}) == Receipt::stale);
    CHECK(fleet.models() == models);
    CHECK(node.share().kappa == fleet.tick);
    const Vectors start = scattered();
    Arena arena = fleet.memory[1].arena();
    const GossipPlace lonely{.node = 0, .nodes = nodes, .dimension = d, .in_neighbours = {}, .out_degree = 1};
    CHECK(PushPull<double>::make(lonely, start[0], arena).error().code == Code::no_neighbours);
}
