// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/plans/job_plan.hpp"

#include <variant>

namespace dunlin {

/// What is kept of a plan. A new field goes to the end, with a new version of the store.
template <class Archive>
void plan_fields(Archive& archive, JobPlan& plan) {
    JobTerms& t = plan.terms;
    archive(plan.name, plan.experiment, plan.samples, plan.first, plan.removal_ms);
    archive(plan.budget.updates, plan.budget.rounds, plan.budget.seconds);
    archive(plan.graph.kind, plan.graph.nodes, plan.graph.probability, plan.graph.attempt_limit, plan.graph.path);

    archive(t.members, t.seed, t.dimension, t.aggregation, t.objective, t.report_every);
    archive(t.moreau.prox_weight, t.moreau.inner_rate, t.moreau.accuracy, t.moreau.step_limit, t.moreau.step_clip,
            t.moreau.fresh_batches);
    archive(t.maml.steps, t.maml.inner_rate, t.maml.first_order, t.maml.score_term, t.maml.score_baseline,
            t.maml.step_clip);
    archive(t.local_steps, t.local_rate, t.fedprox_weight, t.samples, t.payload, t.encoding);
    archive(t.theta.scale, t.theta.offset, t.theta.longest_gap, t.format.fraction_bits, t.largest_value,
            t.weight_floor, t.tick_ms, t.wake_ticks, t.learn_until, t.audit);
    // A program that does not know this aggregation has no such plan.
    if (t.aggregation == Aggregation::hgp) archive(t.least_parts);

    ServerPlan& s = plan.server;
    archive(s.staleness_limit, s.component_limit, s.norm_limit, s.concurrency, s.patience_ms);
    // As every program read it; FedProx is FedAvg to its server.
    enum : std::uint32_t { is_persafl, is_async, is_buffered, is_averaged, is_scaffold = 5, is_adam };
    auto kind = static_cast<std::uint32_t>(s.rule.index());
    if (std::holds_alternative<FedProxRule>(s.rule)) kind = is_averaged;
    // A program that does not know one of these has no such rule.
    constexpr std::uint32_t is_defended = 0x100, is_masked = 0x200, is_private = 0x400;
    if (s.defence.defends()) kind |= is_defended;
    if (s.masks.enabled()) kind |= is_masked;
    if (s.privacy.enabled()) kind |= is_private;
    archive(kind);
    if ((kind & is_masked) != 0) {
        MaskTerms& m = s.masks.terms;
        archive(s.masks.group, m.ring_bits, m.value_bits, m.range, m.largest_weight, m.clip, m.noise);
    }
    if ((kind & is_private) != 0) archive(s.privacy.clip, s.privacy.noise, s.privacy.delta, s.privacy.expected);
    kind &= ~(is_masked | is_private);
    if ((kind & is_defended) != 0) {
        Defence& d = s.defence;
        archive(d.sum, d.mixing, d.adaptive_clipping, d.liars_share, d.radius, d.momentum, d.bucket);
        kind &= ~is_defended;
    }
    ScaffoldRule scaffold;
    if (auto* rule = std::get_if<ScaffoldRule>(&s.rule)) scaffold = *rule;
    if (kind == is_scaffold) archive(scaffold.server_rate, scaffold.path);
    FedAdamRule adam;
    if (auto* rule = std::get_if<FedAdamRule>(&s.rule)) adam = *rule;
    if (kind == is_adam) archive(adam.adam.rate, adam.adam.epsilon);
    PersaflRule persafl;
    FedAsyncRule async;
    FedBuffRule buffered;
    FedAvgRule averaged;
    // Those that it is not are kept with their defaults.
    if (auto* rule = std::get_if<PersaflRule>(&s.rule)) persafl = *rule;
    if (auto* rule = std::get_if<FedAsyncRule>(&s.rule)) async = *rule;
    if (auto* rule = std::get_if<FedBuffRule>(&s.rule)) buffered = *rule;
    if (auto* rule = std::get_if<FedAvgRule>(&s.rule)) averaged = *rule;
    if (auto* rule = std::get_if<FedProxRule>(&s.rule)) averaged = *rule;
    archive(persafl.server_rate, async.mixing, async.staleness_exponent, buffered.server_rate, buffered.buffer_size,
            buffered.staleness_exponent, averaged.server_rate);
    if (kind == is_persafl) s.rule = persafl;
    if (kind == is_async) s.rule = async;
    if (kind == is_buffered) s.rule = buffered;
    if (kind == is_averaged) s.rule = averaged;
    if (kind == is_scaffold) s.rule = scaffold;
    if (kind == is_adam) s.rule = adam;
}

}  // namespace dunlin
