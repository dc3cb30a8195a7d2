// SPDX-License-Identifier: Apache-2.0
#include "training/simulation/gossip_fleet.hpp"

#include "training/simulation/gossip_absences.hpp"
#include "training/simulation/gossip_simulation.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

namespace dunlin {
namespace {

template <class Node>
Outcome<std::unique_ptr<GossipFleet>> make_fleet(const Graph& graph, const GossipSettings& settings,
                                                 std::span<const float> start, LearnerOf learner_of, int threads,
                                                 RankGroup& ranks) {
    auto fleet = SimulatedGossip<Node>::make(graph, settings, start, std::move(learner_of), threads, ranks);
    if (!fleet) return refuse(fleet.error(), "the fleet's settings");
    return std::unique_ptr<GossipFleet>(*std::move(fleet));
}

}  // namespace

GossipCounters& GossipCounters::operator+=(const GossipCounters& other) {
    wake_ups += other.wake_ups;
    waits += other.waits;
    gradients += other.gradients;
    crashes += other.crashes;
    withheld += other.withheld;
    epochs += other.epochs;
    return *this;
}

std::vector<float> GossipFleet::estimates() const {
    const std::size_t d = dimension();
    std::vector<float> all(nodes() * d);
    const RankGroup::Block own = ranks().block(nodes());
    for (std::uint32_t i = own.first; i < own.last; ++i) estimate(i, std::span(all).subspan(i * d, d));
    ranks().share(std::span(all), nodes());
    return all;
}

double GossipFleet::consensus_error() const {
    const std::size_t d = dimension();
    const std::vector<float> all = estimates();
    std::vector<std::size_t> there;
    for (std::uint32_t i = 0; i < nodes(); ++i) {
        if (present(i)) there.push_back(i * d);
    }
    const auto squares = [&](std::size_t at, ConstVector<double> from) {
        double sum = 0;
        for (std::size_t k = 0; k < d; ++k) {
            const double difference = static_cast<double>(all[at + k]) - from[k];
            sum += difference * difference;
        }
        return sum;
    };
    std::vector<double> mean(d);
    const std::vector<double> origin(d);
    for (const std::size_t at : there) {
        for (std::size_t k = 0; k < d; ++k)
            mean[k] += static_cast<double>(all[at + k]) / static_cast<double>(there.size());
    }
    double size = 0, largest = 0, worst = 0;
    for (const double value : mean) size += value * value;
    if (!std::isfinite(size)) return std::numeric_limits<double>::infinity();
    for (const std::size_t at : there) {
        worst = std::max(worst, squares(at, mean));
        largest = std::max(largest, squares(at, origin));
    }
    return worst > 0 ? std::sqrt(worst / (size > 0 ? size : largest)) : 0.0;
}

Outcome<ChosenMixing> mixing_of(AggregationName method, const Graph& graph, Mixing kind, double rho_over_tau) {
    const double bound = traits_of(method).least_eigenvalue, least = bound + mixing_margin;
    auto chosen = choose_mixing(graph, kind, rho_over_tau, primal_dual_bound);  // the same for all
    if (!chosen) return refuse(chosen.error(), "network.graph");
    const double smallest = chosen->spectrum.smallest;
    if (smallest > least) return *std::move(chosen);
    // Of I - c A'A, the smallest eigenvalue is 1 - c times the largest of A'A.
    const std::string remedy =
        kind == Mixing::laplacian
            ? fmt::format(
                  "method.rho_over_tau = {:.4g} must stay below {:.4g}, or use method.mixing = "
                  "\"lazy-metropolis\"",
                  rho_over_tau, rho_over_tau * (1 - least) / (1 - smallest))
            : std::string("use method.mixing = \"lazy-metropolis\"");
    return refuse(
        fmt::format("method.mixing: the smallest eigenvalue of the mixing matrix is {:.4f} and must lie "
                    "above {:.4f} by {} or more, or the models diverge: {}",
                    smallest, bound, mixing_margin, remedy));
}

Failure diverged(const Error& error, std::uint32_t node, simulation::Time tick, float largest_value) {
    if (error.code == Code::mass_overflow || error.code == Code::not_finite) {
        return {
            fmt::format("node {}, round {}: the parameters have left +-{}: the steps are too large, so they "
                        "diverge (or the limit on values is too small)",
                        node, tick, largest_value)};
    }
    return describe(error, fmt::format("node {}, round {}", node, tick));
}

Outcome<std::unique_ptr<GossipFleet>> make_gossip_fleet(AggregationName method, const Graph& graph,
                                                        const GossipSettings& settings,
                                                        std::span<const float> start, LearnerOf learner_of,
                                                        int threads, RankGroup& ranks) {
    if (auto checked = strongly_connected(graph); !checked) return refuse(checked.error(), "network.graph");
    const AggregationTraits& traits = traits_of(method);
    if (traits.undirected) {
        if (auto checked = undirected(graph); !checked) return refuse(checked.error(), "network.graph");
    }
    if (traits.rounds) {
        if (auto chosen = mixing_of(method, graph, settings.mixing, settings.rho_over_tau); !chosen)
            return tl::unexpected(chosen.error());
    }
    if (traits.holds_mass) {
        const auto fits = settings.format.check(graph.nodes(), static_cast<double>(settings.largest_value));
        if (!fits) return refuse(fits.error(), "method.fraction_bits, method.largest_value");
    }
    if (auto checked = simulation::check(settings.link); !checked) return refuse(checked.error(), "network");
    if (settings.absences.any()) {
        if (ranks.spread())
            return refuse("network.gone: a fleet whose nodes go and return is made by one process: start it alone");
        if (method != AggregationName::pars_push)
            return refuse("network.gone: only for method.name = \"pars-push\"; the others cannot lose a node");
        return AbsentGossip::make(graph, settings, start, std::move(learner_of)).map([](auto&& fleet) {
            return std::unique_ptr<GossipFleet>(std::move(fleet));
        });
    }
    switch (method) {
#define DUNLIN_MAKE(name, machine) \
    case AggregationName::name:    \
        return make_fleet<machine>(graph, settings, start, std::move(learner_of), threads, ranks);
        DUNLIN_GOSSIP_NODES(DUNLIN_MAKE)
#undef DUNLIN_MAKE
        default:
            return refuse(fmt::format("{} has no neighbours", traits.name));
    }
}

}  // namespace dunlin
