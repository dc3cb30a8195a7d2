// SPDX-License-Identifier: Apache-2.0
#include "transport/mixing.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace dunlin {
namespace {

using Numbers = std::vector<double>;

Numbers times(const Graph& graph, const MixingWeights& weights, const Numbers& v) {
    Numbers product(v.size());
    for (std::size_t i = 0; i < v.size(); ++i) product[i] = weights.self[i] * v[i];
    for (std::uint32_t k = 0; k < graph.edges(); ++k)
        product[graph.target(k)] += weights.edge[k] * v[graph.source(k)];
    return product;
}

double dot(const Numbers& a, const Numbers& b) {
    double sum = 0;
    for (std::size_t k = 0; k < a.size(); ++k) sum += a[k] * b[k];
    return sum;
}

/// Without its part along the constant vector, and of length 1. False when nothing is left.
bool normalise(Numbers& v) {
    double mean = 0;
    for (const double value : v) mean += value / static_cast<double>(v.size());
    for (double& value : v) value -= mean;
    const double length = std::sqrt(dot(v, v));
    for (double& value : v) value /= length;
    return length > 1e-12;
}

/// The eigenvalue of W, the constant vector left out, where sign * W + shift is largest; shift makes that positive.
double extreme(const Graph& graph, const MixingWeights& weights, double sign, double shift) {
    Stream random(1, 0, Purpose::graph);
    Numbers v(graph.nodes());
    for (double& value : v) value = random.normal();
    if (!normalise(v)) return 1.0;
    double value = 0;
    for (int step = 0; step < 20'000; ++step) {
        Numbers product = times(graph, weights, v);
        const double before = value;
        value = dot(v, product);
        for (std::size_t k = 0; k < v.size(); ++k) product[k] = sign * product[k] + shift * v[k];
        v = std::move(product);
        if (!normalise(v) || (step > 100 && std::abs(value - before) < 1e-13)) break;
    }
    return value;
}

}  // namespace

Result<MixingWeights> laplacian_weights(const Graph& graph, double step) {
    if (const auto checked = undirected(graph); !checked) return tl::unexpected(checked.error());
    MixingWeights weights{Numbers(graph.edges(), step), Numbers(graph.nodes())};
    for (std::uint32_t i = 0; i < graph.nodes(); ++i)
        weights.self[i] = 1.0 - step * static_cast<double>(graph.out(i).size());
    return weights;
}

MixingWeights lazy(MixingWeights weights) {
    for (double& weight : weights.edge) weight /= 2;
    for (double& weight : weights.self) weight = (1 + weight) / 2;
    return weights;
}

MixingSpectrum mixing_spectrum(const Graph& graph, const MixingWeights& weights) {
    const double smallest = extreme(graph, weights, -1.0, 1.0);
    return {smallest, extreme(graph, weights, 1.0, std::max(0.0, -smallest))};
}

Result<ChosenMixing> choose_mixing(const Graph& graph, Mixing kind, double rho_over_tau, double bound) {
    if (kind == Mixing::automatic) {
        for (const Mixing one : {Mixing::laplacian, Mixing::metropolis}) {
            auto chosen = choose_mixing(graph, one, rho_over_tau, bound);
            if (!chosen || chosen->spectrum.smallest > bound + mixing_margin) return chosen;
        }
        return choose_mixing(graph, Mixing::lazy_metropolis, rho_over_tau, bound);
    }
    auto weights = kind == Mixing::laplacian ? laplacian_weights(graph, rho_over_tau) : metropolis_weights(graph);
    if (!weights) return tl::unexpected(weights.error());
    if (kind == Mixing::lazy_metropolis) *weights = lazy(*std::move(weights));
    const MixingSpectrum spectrum = mixing_spectrum(graph, *weights);
    return ChosenMixing{*std::move(weights), spectrum, kind};
}

}  // namespace dunlin
