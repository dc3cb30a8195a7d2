// SPDX-License-Identifier: Apache-2.0
#include "fleet/jobs/plan_job.hpp"

#include "core/robust/ring_values.hpp"
#include "fleet/jobs/experiments.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace dunlin {
namespace {

void deploy(JobPlan& plan, const Deployment& d) {
    plan.terms.report_every = static_cast<std::uint32_t>(d.report_every);
    plan.terms.tick_ms = static_cast<std::uint32_t>(d.tick_ms);
    plan.terms.audit = d.audit;
    plan.terms.encoding = d.encoding;
    plan.budget.seconds = static_cast<std::uint64_t>(d.seconds);
    plan.removal_ms = static_cast<std::uint32_t>(d.removal_s) * 1000;
    plan.regroup_ms = static_cast<std::uint32_t>(d.regroup_s) * 1000;
    plan.server.patience_ms = static_cast<std::uint32_t>(d.patience_s) * 1000;
}

/// A coordinator draws the graph again whenever its store is opened, and a file may be gone by then.
Outcome<void> check_graph(std::string_view key, std::string_view graph) {
    if (graph != "file") return {};
    return refuse(
        fmt::format("{} = \"file\": real nodes take a graph that can be drawn; `dunlin list` names them", key));
}

/// Nobody hears anybody.
GraphRecipe apart(std::uint32_t members) {
    GraphRecipe recipe;
    recipe.kind = alone_graph;
    recipe.nodes = members;
    return recipe;
}

/// What the nodes take gradients of.
void adapt(JobTerms& terms, const FederatedSettings& s) {
    terms.objective = s.objective();
    terms.moreau = s.moreau;
    terms.maml = s.maml;
}

/// By which machine nodes agree with their neighbours. Gradient push and D-PSGD are push-sum with running sums: the
/// same recursions while nothing is lost, and what is lost is made up for. Who learns alone descends by rounds that
/// wait for nobody.
Outcome<void> agree(JobPlan& plan, const FederatedSettings& s) {
    const AggregationName name = s.method.aggregation;
    if (name == AggregationName::global)
        return refuse(
            "aggregation.name = global: one model on everybody's data needs the data of everybody in one place; "
            "take fedavg, or `dunlin train`, which has it");
    switch (name) {
        case AggregationName::local:
        case AggregationName::dsgd:
            plan.terms.aggregation = Aggregation::dsgd;
            break;
        case AggregationName::spd:
            plan.terms.aggregation = Aggregation::spd;
            break;
        case AggregationName::gnsd:
            plan.terms.aggregation = Aggregation::gnsd;
            break;
        case AggregationName::push_pull:
            plan.terms.aggregation = Aggregation::push_pull;
            break;
        case AggregationName::hgp:
            plan.terms.aggregation = Aggregation::hgp;
            plan.terms.local_steps = static_cast<std::uint32_t>(s.series.inner_rounds);
            plan.terms.least_parts = static_cast<std::uint16_t>(s.series.series_rounds);
            break;
        default:
            plan.terms.aggregation = Aggregation::push_sum;
            plan.equal_shares = name == AggregationName::dpsgd;
    }
    return {};
}

/// Each node alone: as many steps as `dunlin train` takes, and no model of the fleet.
Outcome<void> learn_alone(JobPlan& plan, const FederatedSettings& s) {
    if (auto known = agree(plan, s); !known) return known;
    if (auto fit = s.check(plan.terms.members); !fit) return fit;
    if (s.deployment.updates != Deployment{}.updates)
        return refuse(fmt::format("fleet.updates = {}: who learns alone sends none; set baseline.steps instead",
                                  s.deployment.updates));
    adapt(plan.terms, s);
    plan.terms.theta = {.scale = static_cast<double>(s.baseline_rate)};
    plan.budget.rounds = static_cast<std::uint64_t>(s.baseline_steps);
    plan.graph = apart(plan.terms.members);
    return {};
}

/// Without a server: a round is a step, and there are as many of them as a server's updates would have.
Outcome<void> push(JobPlan& plan, const FederatedSettings& s) {
    JobTerms& terms = plan.terms;
    if (auto known = agree(plan, s); !known) return known;
    if (auto fit = s.check(terms.members); !fit) return fit;
    if (auto drawn = check_graph("push.graph", s.push.graph); !drawn) return drawn;
    const Outcome<Graph> graph = s.push.draw(terms.members, terms.seed, s.method.aggregation);
    if (!graph) return tl::unexpected(graph.error());
    if (holds_mass(terms.aggregation)) {
        // A later epoch draws another random graph; and fewer nodes may have more neighbours, both ways.
        const bool changes = s.push.graph.starts_with("erdos-renyi") || plan.equal_shares;
        const Outcome<float> floor = s.push.floor_for(changes ? terms.members - 1 : graph->largest_out_degree());
        if (!floor) return tl::unexpected(floor.error());
        terms.weight_floor = *floor;
    }
    adapt(terms, s);
    terms.theta = {.scale = static_cast<double>(s.rate()), .longest_gap = s.push.longest_gap};
    terms.format.fraction_bits = 38;  // tens of thousands of nodes fit then
    plan.budget.rounds =
        static_cast<std::uint64_t>(s.deployment.updates) * static_cast<std::uint64_t>(s.local_steps);
    plan.graph = s.push.recipe(terms.members);
    return {};
}

/// What a round may tell about one member.
void keep_private(ServerPlan& plan, const FederatedSettings& s, std::uint32_t members) {
    plan.privacy.clip = s.privacy.clip;
    plan.privacy.noise = s.privacy.noise;
    plan.privacy.delta = s.privacy.delta;
    plan.privacy.expected = std::max(1.0f, std::round(s.clock.concurrency * static_cast<float>(members)));
    plan.norm_factor = s.update_limits().factor;
}

/// How members' updates are masked: as integers of a ring that holds a group's sum.
Outcome<void> mask(JobPlan& plan, const FederatedSettings& s) {
    constexpr std::uint32_t least = 5;
    if (plan.terms.members < least)
        return refuse(
            fmt::format("secure_aggregation.enabled: a sum is opened of {} members at least, and these are {}",
                        least, plan.terms.members));
    MaskPlan& masks = plan.server.masks;
    masks.group = static_cast<std::uint32_t>(s.masks.group);
    masks.terms.value_bits = static_cast<std::uint32_t>(s.masks.value_bits);
    masks.terms.range = s.masks.range;
    if (s.privacy.enabled()) {
        masks.terms.range = masks.terms.clip = s.privacy.clip;
        masks.terms.noise = s.privacy.noise;
    }
    for (const float samples : plan.samples)
        masks.terms.largest_weight = std::max(masks.terms.largest_weight, static_cast<std::uint32_t>(samples));
    RingValues values;
    values.value_bits = masks.terms.value_bits;
    values.largest_weight = masks.terms.largest_weight;
    // Noise of many times the clip has to fit, too.
    const auto room = static_cast<std::uint64_t>(1.0f + 8.0f * s.privacy.noise);
    masks.terms.ring_bits = values.ring_for(masks.group + room);
    plan.terms.payload = Payload::masked;
    return {};
}

/// The server's side of a federated method, and the clients' settings that go with it.
Outcome<void> serve(JobPlan& plan, const FederatedSettings& s) {
    if (auto fit = s.check(plan.terms.members); !fit) return fit;
    if (s.attack.attacks())
        return refuse(fmt::format("attack.name = {}: real nodes do not lie; `dunlin train` simulates it",
                                  name_of(s.attack.name)));
    if (auto fit = check_defence_memory(s.defence, plan.terms.members, plan.first.size()); !fit) return fit;
    JobTerms& terms = plan.terms;
    terms.aggregation = Aggregation::federated;
    adapt(terms, s);
    terms.local_steps = static_cast<std::uint32_t>(s.local_steps);
    terms.local_rate = s.rate();
    terms.fedprox_weight = s.method.aggregation == AggregationName::fedprox ? s.fedprox_weight : 0.0f;
    terms.payload = s.method.aggregation == AggregationName::fedasync ? Payload::model
                    : traits_of(s.method.aggregation).sent > 1        ? Payload::corrected
                                                                      : Payload::difference;
    plan.server.staleness_limit = s.stalest(terms.members);
    plan.server.component_limit = s.limits.component;
    plan.server.norm_limit = s.limits.norm;
    plan.server.norm_factor = s.limits.factor;
    plan.server.concurrency = s.clock.concurrency;
    plan.server.rule = rule_of(s.method.aggregation, s.rule());
    plan.server.defence = s.defence;
    if (s.privacy.enabled()) keep_private(plan.server, s, terms.members);
    return s.masks.enabled ? mask(plan, s) : Outcome<void>();
}

/// Of the first parameters those that do not stay with a node.
std::vector<float> first_shared(const FederatedProblem& problem) {
    std::vector<float> first(problem.dimension()), shared(problem.split().shared_size());
    problem.initialise(first);
    problem.split().take_shared<float>(first, shared);
    return shared;
}

/// A fleet that lives by rounds: they go on for as long as the plan says. Among real nodes saying where one begins is
/// no round.
Outcome<void> live_by_rounds(JobPlan& plan, const RoundPlan& rounds, const FederatedSettings& s) {
    JobTerms& terms = plan.terms;
    if (s.deployment.updates != Deployment{}.updates)
        return refuse(fmt::format("fleet.updates = {}: this experiment goes on for {}; set that instead",
                                  s.deployment.updates, rounds.length_key));
    if (auto drawn = check_graph("network.graph", rounds.recipe.graph.kind); !drawn) return drawn;
    if (has_server(s.method.aggregation)) {
        plan.budget.updates = static_cast<std::uint64_t>(rounds.learning - rounds.opening) * terms.members;
        return serve(plan, s);
    }
    if (auto known = agree(plan, s); !known) return known;
    const GossipSettings& gossip = rounds.recipe.gossip;
    if (traits_of(s.method.aggregation).rounds &&
        (gossip.mixing != Mixing::automatic ||
         static_cast<float>(gossip.rho_over_tau) != static_cast<float>(GossipSettings{}.rho_over_tau)))
        return refuse(
            fmt::format("method.mixing, method.rho_over_tau: a coordinator chooses the weights itself; leave "
                        "them at automatic and {}",
                        GossipSettings{}.rho_over_tau));
    adapt(terms, s);
    terms.theta = gossip.theta;
    terms.format = gossip.format;
    terms.largest_value = gossip.largest_value;
    terms.weight_floor = gossip.weight_floor;
    terms.learn_until = rounds.learning - rounds.opening;
    plan.budget.rounds = static_cast<std::uint64_t>(rounds.rounds - rounds.opening);
    plan.graph = rounds.recipe.graph;
    if (s.method.aggregation == AggregationName::local) plan.graph = apart(terms.members);
    return {};
}

Outcome<void> fill(JobPlan& plan, ProblemExperiment& experiment) {
    experiment.resize(plan.terms.members);
    auto made = make_problem(experiment);
    if (!made) return tl::unexpected(made.error());
    const FederatedProblem& data = **made;
    const bool own = experiment.nodes_bring_data();
    if (!own && plan.terms.members > data.nodes()) {
        return refuse(
            fmt::format("{} nodes for an experiment that has data for {}", plan.terms.members, data.nodes()));
    }
    plan.name = experiment.settings().experiment;
    plan.terms.seed = experiment.settings().seed;
    plan.first = first_shared(data);
    const FederatedSettings s = experiment.learning();
    deploy(plan, s.deployment);
    if (experiment.by_rounds()) {
        const auto rounds = experiment.rounds(data);
        return rounds ? live_by_rounds(plan, *rounds, s) : tl::unexpected(rounds.error());
    }
    if (s.gossips()) return push(plan, s);
    if (s.baseline()) return learn_alone(plan, s);
    if (own && s.weigh_by_samples)
        return refuse(
            "federated.weigh_by_samples: nobody here knows how many rows a node has (data.source = nodes)");
    plan.samples = data.samples();
    plan.samples.resize(plan.terms.members);
    if (!s.weigh_by_samples) plan.samples.assign(plan.terms.members, 1.0f);
    plan.budget.updates = static_cast<std::uint64_t>(s.deployment.updates) * plan.terms.members;
    return serve(plan, s);
}

}  // namespace

Outcome<JobPlan> plan_job(std::string_view toml, std::string_view where, std::uint32_t members) {
    if (members == 0) return refuse("a job needs a node");
    auto settings = read_deployed(toml, where);
    if (!settings) return tl::unexpected(settings.error());
    JobPlan plan;
    plan.terms.members = members;
    if (auto filled = fill(plan, *settings); !filled) {
        return tl::unexpected(filled.error());
    }
    if (plan.terms.audit && says_floats(plan.terms.aggregation))
        return refuse("fleet.audit = true: this aggregation holds no mass that there could be books of");
    plan.terms.dimension = static_cast<std::uint32_t>(plan.first.size());
    plan.experiment = write_deployed(*settings);
    return plan;
}

}  // namespace dunlin
