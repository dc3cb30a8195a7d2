// SPDX-License-Identifier: Apache-2.0
#include "transport/wire/proto_terms.hpp"

namespace dunlin::proto {
namespace {

void put(const MoreauEnvelope& m, control::MoreauEnvelope& p) {
    p.set_prox_weight(m.prox_weight);
    p.set_inner_rate(m.inner_rate);
    p.set_accuracy(m.accuracy);
    p.set_step_limit(m.step_limit);
    p.set_step_clip(m.step_clip);
    p.set_fresh_batches(m.fresh_batches);
}
MoreauEnvelope get(const control::MoreauEnvelope& p) {
    return {p.prox_weight(), p.inner_rate(), p.accuracy(), p.step_limit(), p.step_clip(), p.fresh_batches()};
}

void put(const Maml& m, control::Maml& p) {
    p.set_steps(m.steps);
    p.set_inner_rate(m.inner_rate);
    p.set_first_order(m.first_order);
    p.set_score_term(m.score_term);
    p.set_score_baseline(m.score_baseline);
    p.set_step_clip(m.step_clip);
}
Maml get(const control::Maml& p) {
    return {p.steps(), p.inner_rate(), p.first_order(), p.score_term(), p.score_baseline(), p.step_clip()};
}

void put(const StepSchedule& m, control::StepSchedule& p) {
    p.set_scale(m.scale);
    p.set_offset(m.offset);
    p.set_longest_gap(m.longest_gap);
}
StepSchedule get(const control::StepSchedule& p) {
    return {p.scale(), p.offset(), p.longest_gap()};
}

}  // namespace

void put(const Error& m, control::Error& p) {
    p.set_code(static_cast<std::uint32_t>(m.code));
    p.set_first(m.first);
    p.set_second(m.second);
}
Error get(const control::Error& p) {
    return {choice<Code>(p.code()), p.first(), p.second()};
}

void put(const JobTerms& m, control::JobTerms& p) {
    p.set_epoch(m.epoch);
    p.set_member(m.member);
    p.set_members(m.members);
    p.set_seed(m.seed);
    p.set_dimension(m.dimension);
    p.set_aggregation(static_cast<std::uint32_t>(m.aggregation));
    p.set_objective(static_cast<std::uint32_t>(m.objective));
    put(m.moreau, *p.mutable_moreau());
    put(m.maml, *p.mutable_maml());
    p.set_experiment(m.experiment.data(), m.experiment.size());
    p.set_local_steps(m.local_steps);
    p.set_local_rate(m.local_rate);
    p.set_fedprox_weight(m.fedprox_weight);
    p.set_samples(m.samples);
    p.set_payload(static_cast<std::uint32_t>(m.payload));
    p.set_encoding(static_cast<std::uint32_t>(m.encoding));
    put_list(m.in_neighbours, *p.mutable_in_neighbours());
    put_list(m.out_neighbours, *p.mutable_out_neighbours());
    put(m.theta, *p.mutable_theta());
    p.set_fraction_bits(m.format.fraction_bits);
    p.set_largest_value(m.largest_value);
    p.set_weight_floor(m.weight_floor);
    p.set_tick_ms(m.tick_ms);
    p.set_wake_ticks(m.wake_ticks);
    p.set_learn_until(m.learn_until);
    p.set_audit(m.audit);
    p.set_report_every(m.report_every);
    p.set_least_parts(m.least_parts);
}
JobTerms get(const control::JobTerms& p) {
    JobTerms m;
    m.epoch = p.epoch();
    m.member = p.member();
    m.members = p.members();
    m.seed = p.seed();
    m.dimension = p.dimension();
    m.aggregation = choice<Aggregation>(p.aggregation());
    m.objective = choice<Objective>(p.objective());
    m.moreau = get(p.moreau());
    m.maml = get(p.maml());
    m.experiment = p.experiment();
    m.local_steps = p.local_steps();
    m.local_rate = p.local_rate();
    m.fedprox_weight = p.fedprox_weight();
    m.samples = p.samples();
    m.payload = choice<Payload>(p.payload());
    m.encoding = choice<Encoding>(p.encoding());
    m.in_neighbours = view(p.in_neighbours());
    m.out_neighbours = view(p.out_neighbours());
    m.theta = get(p.theta());
    m.format.fraction_bits = p.fraction_bits();
    m.largest_value = p.largest_value();
    m.weight_floor = p.weight_floor();
    m.tick_ms = p.tick_ms();
    m.wake_ticks = p.wake_ticks();
    m.learn_until = p.learn_until();
    m.audit = p.audit();
    m.report_every = p.report_every();
    m.least_parts = static_cast<std::uint16_t>(std::min(p.least_parts(), 0xffffu));
    return m;
}

}  // namespace dunlin::proto
