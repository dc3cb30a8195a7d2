// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "aggregate_memory.hpp"
#include "core/adapt/bilevel.hpp"
#include "core/aggregate/synchronous.hpp"

#include <array>
#include <cmath>
#include <vector>

namespace dunlin::test {

/// Nodes of a synchronous method that all exchange and wake in turn, without faults.
template <class Node>
struct LockStep {
    using S = typename Node::Value;

    std::vector<std::vector<std::uint32_t>> neighbours;
    std::vector<std::vector<double>> weights;
    std::vector<Memory> memory;
    std::vector<Node> nodes;
    std::int64_t tick = 0;

    /// `mixing` is symmetric and doubly stochastic; its zeros are the pairs without an edge.
    LockStep(const std::vector<std::vector<double>>& mixing, const std::vector<std::vector<S>>& start, double step,
             const SeriesPlan& series = {}) {
        const auto count = static_cast<std::uint32_t>(mixing.size());
        neighbours.resize(count);
        weights.resize(count);
        for (std::uint32_t i = 0; i < count; ++i) {
            for (std::uint32_t j = 0; j < count; ++j) {
                if (j == i || mixing[i][j] == 0) continue;
                neighbours[i].push_back(j);
                weights[i].push_back(mixing[i][j]);
            }
            memory.emplace_back(Node::memory(start[i].size(), neighbours[i].size()));
            Arena arena = memory.back().arena();
            auto node = Node::make({i, count, start[i].size(), neighbours[i], weights[i], {.scale = step}, series},
                                   start[i], arena);
            REQUIRE(node);
            nodes.push_back(std::move(*node));
        }
        for (Node& node : nodes) REQUIRE(node.wake(0, {}));
        exchange();
    }

    void exchange() {
        for (std::uint32_t i = 0; i < nodes.size(); ++i) {
            for (const std::uint32_t j : neighbours[i]) REQUIRE(nodes[i].receive(nodes[j].share()));
        }
    }

    std::vector<S> at(std::size_t i) const {
        std::vector<S> x(nodes[i].dimension());
        nodes[i].estimate(x);
        return x;
    }

    /// gradient(i, x, out)
    template <class Gradient>
    void round(Gradient&& gradient) {
        ++tick;
        for (std::uint32_t i = 0; i < nodes.size(); ++i) {
            const std::vector<S> x = at(i);
            std::vector<S> g(x.size());
            gradient(i, x, g);
            REQUIRE(nodes[i].wake(tick, g));
        }
        exchange();
    }

    std::vector<S> mean() const {
        std::vector<S> mean(nodes[0].dimension());
        for (std::size_t i = 0; i < nodes.size(); ++i) {
            const std::vector<S> x = at(i);
            for (std::size_t k = 0; k < x.size(); ++k) mean[k] += x[k] / static_cast<S>(nodes.size());
        }
        return mean;
    }
    /// The largest distance of any component of any node from the mean.
    S disagreement() const {
        const std::vector<S> middle = mean();
        S largest = 0;
        for (std::size_t i = 0; i < nodes.size(); ++i) {
            const std::vector<S> x = at(i);
            for (std::size_t k = 0; k < x.size(); ++k) largest = std::max(largest, std::abs(x[k] - middle[k]));
        }
        return largest;
    }
};

/// Everybody hears everybody.
inline std::vector<std::vector<double>> complete_mixing(std::size_t count) {
    return std::vector(count, std::vector<double>(count, 1.0 / static_cast<double>(count)));
}
/// A ring; its spectrum is 1 - 2 c + 2 c cos(2 pi k / n).
inline std::vector<std::vector<double>> ring_mixing(std::size_t count, double c) {
    std::vector mixing(count, std::vector<double>(count));
    for (std::size_t i = 0; i < count; ++i) {
        mixing[i][i] = 1 - 2 * c;
        mixing[i][(i + 1) % count] = mixing[i][(i + count - 1) % count] = c;
    }
    return mixing;
}

/// A bilevel problem whose every part is quadratic, so that all of it has a closed form: x has 3 components, y has
/// 4,
///
///     f = p/2 |x - a|^2 + 1/2 |y - b|^2,   g = 1/2 r' G r,   r = y - C x - e,   y*(x) = C x + e
///     dF = p (x - a) + C' (C x + e - b)
///
/// Slot 0 of the task is g and slot 1 is f.
struct QuadraticBilevel {
    static constexpr std::size_t shared = 3, own = 4;

    double p = 1;
    std::array<double, shared> a{};
    std::array<double, own> b{}, e{}, G{};
    std::array<std::array<double, shared>, own> C{};
    double noise = 0;  ///< deviation of every component of a gradient
    std::array<double, shared + own> error{};

    static LayerSplit split() {
        const int hidden[] = {1}, personal[] = {-1};
        return *LayerSplit::make(*MlpShape::make(2, hidden, 2), personal);  // 2 x 1 + 1 and 1 x 2 + 2
    }
    /// One that belongs to node `node`.
    static QuadraticBilevel draw(std::uint32_t node) {
        QuadraticBilevel task;
        Stream random(5, node, Purpose::user);
        task.p = 0.5 + random.uniform();
        for (double& value : task.a) value = random.normal();
        for (double& value : task.b) value = 2 * random.normal();
        for (double& value : task.e) value = random.normal();
        for (double& value : task.G) value = 1 + random.uniform();
        for (auto& row : task.C) {
            for (double& value : row) value = 0.4 * random.normal();
        }
        return task;
    }

    std::size_t dimension() const { return shared + own; }
    int slots() const { return 2; }
    void draw(int, ConstVector<double>, Stream& random) {
        random.next_epoch();
        for (double& value : error) value = noise * random.normal();
    }
    double value(int, ConstVector<double>) const { return 0; }
    std::array<double, own> residual(ConstVector<double> w, double constant) const {
        std::array<double, own> r{};
        for (std::size_t k = 0; k < own; ++k) {
            r[k] = w[shared + k] - constant * e[k];
            for (std::size_t l = 0; l < shared; ++l) r[k] -= C[k][l] * w[l];
        }
        return r;
    }
    void lower(const std::array<double, own>& r, Vector<double> out) const {
        std::fill(out.begin(), out.end(), 0.0);
        for (std::size_t k = 0; k < own; ++k) {
            out[shared + k] = G[k] * r[k];
            for (std::size_t l = 0; l < shared; ++l) out[l] -= C[k][l] * G[k] * r[k];
        }
    }
    void gradient(int slot, ConstVector<double> w, Vector<double> out) const {
        if (slot == 0) {
            lower(residual(w, 1), out);
        } else {
            for (std::size_t l = 0; l < shared; ++l) out[l] = p * (w[l] - a[l]);
            for (std::size_t k = 0; k < own; ++k) out[shared + k] = w[shared + k] - b[k];
        }
        for (std::size_t k = 0; k < out.size(); ++k) out[k] += error[k];
    }
    void hessian_vector(int, ConstVector<double>, ConstVector<double> v, Vector<double> out) const {
        lower(residual(v, 0), out);
    }

    /// dF at x, exactly.
    std::array<double, shared> total(const std::vector<double>& x) const {
        std::array<double, shared> out{};
        for (std::size_t l = 0; l < shared; ++l) out[l] = p * (x[l] - a[l]);
        for (std::size_t k = 0; k < own; ++k) {
            double reached = e[k] - b[k];
            for (std::size_t l = 0; l < shared; ++l) reached += C[k][l] * x[l];
            for (std::size_t l = 0; l < shared; ++l) out[l] += C[k][l] * reached;
        }
        return out;
    }
};

/// SPDB on such problems, one a node, in double.
struct QuadraticFleet {
    std::vector<QuadraticBilevel> tasks;
    std::vector<std::vector<double>> personal;
    std::vector<Stream> streams;
    LayerSplit split = QuadraticBilevel::split();
    Bilevel method;
    LockStep<PrimalDual<double>> fleet;

    QuadraticFleet(const std::vector<std::vector<double>>& mixing, std::vector<QuadraticBilevel> all, Bilevel how,
                   double step)
        : tasks(std::move(all)),
          personal(tasks.size(), std::vector<double>(QuadraticBilevel::own)),
          method(how),
          fleet(mixing, std::vector(tasks.size(), std::vector<double>(QuadraticBilevel::shared)), step) {
        for (std::uint32_t i = 0; i < tasks.size(); ++i) streams.emplace_back(9, i, Purpose::samples);
    }

    void round() {
        fleet.round([&](std::uint32_t i, const std::vector<double>& x, std::vector<double>& g) {
            std::vector<double> w(split.dimension()), out(w.size()), scratch(method.scratch(w.size()));
            split.put_shared<double>(x, w);
            split.put_personal<double>(personal[i], w);
            method.gradient<double>(tasks[i], split, w, streams[i], out, scratch);
            split.take_personal<double>(w, personal[i]);
            split.take_shared<double>(out, g);
        });
    }

    /// The largest component of the mean of dF_i at the mean x: zero at the KKT point.
    double stationarity() const {
        std::array<double, QuadraticBilevel::shared> sum{};
        for (const QuadraticBilevel& task : tasks) {
            const auto own = task.total(fleet.mean());
            for (std::size_t l = 0; l < own.size(); ++l) sum[l] += own[l] / static_cast<double>(tasks.size());
        }
        double largest = 0;
        for (const double value : sum) largest = std::max(largest, std::abs(value));
        return largest;
    }
};

}  // namespace dunlin::test
