// SPDX-License-Identifier: Apache-2.0
#include "transport/wire/proto_codec.hpp"

#include "transport/wire/fields.hpp"
#include "transport/wire/limits.hpp"

#include <algorithm>
#include <limits>
#include <string>

#include <control.pb.h>

namespace dunlin {
namespace {

/// The lists that a message's views need beside Protobuf's own objects.
struct Lists {
    std::vector<Metric>& metrics;
    std::vector<PeerAddress>& peers;
};

/// Protobuf has no integer below 32 bits. What does not fit becomes the largest value: an enumeration's check
/// refuses it, and for a version or an error's code it is as unknown as it was.
template <class T>
T narrowed(std::uint32_t value) {
    return static_cast<T>(std::min<std::uint32_t>(value, std::numeric_limits<T>::max()));
}
template <class E>
E choice(std::uint32_t value) {
    return static_cast<E>(narrowed<std::underlying_type_t<E>>(value));
}

template <class List, class Values>
void put_list(const Values& values, List& list) {
    list.Add(values.begin(), values.end());
}
template <class T>
std::span<const T> view(const google::protobuf::RepeatedField<T>& list) {
    return {list.data(), static_cast<std::size_t>(list.size())};
}

void put(const Error& m, control::Error& p) {
    p.set_code(static_cast<std::uint32_t>(m.code));
    p.set_first(m.first);
    p.set_second(m.second);
}
Error get(const control::Error& p) {
    return {choice<Code>(p.code()), p.first(), p.second()};
}

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

void put(const Join& m, control::Control& c) {
    control::Join& p = *c.mutable_join();
    p.set_oldest_version(m.oldest_version);
    p.set_newest_version(m.newest_version);
    p.set_name(m.name.data(), m.name.size());
    p.set_software(m.software.data(), m.software.size());
    p.set_endpoint(m.endpoint.data(), m.endpoint.size());
    p.set_memory_bytes(m.memory_bytes);
    p.set_epoch(m.epoch);
}
Join get(const control::Join& p, Lists) {
    return {narrowed<std::uint16_t>(p.oldest_version()),
            narrowed<std::uint16_t>(p.newest_version()),
            p.name(),
            p.software(),
            p.endpoint(),
            p.memory_bytes(),
            p.epoch()};
}

void put(const JobAnswer& m, control::Control& c) {
    c.mutable_job_answer()->set_accepted(m.accepted);
    put(m.refusal, *c.mutable_job_answer()->mutable_refusal());
    c.mutable_job_answer()->set_epoch(m.epoch);
    c.mutable_job_answer()->set_reason(m.reason.data(), m.reason.size());
}
JobAnswer get(const control::JobAnswer& p, Lists) {
    return {p.accepted(), get(p.refusal()), p.epoch(), p.reason()};
}

void put(const ModelRequest&, control::Control& c) {
    c.mutable_model_request();
}
ModelRequest get(const control::ModelRequest&, Lists) {
    return {};
}

void put(const Report& m, control::Control& c) {
    control::Report& p = *c.mutable_report();
    p.set_at(m.at);
    p.set_final(m.final);
    for (const Metric& metric : m.metrics) {
        control::Metric& entry = *p.add_metrics();
        entry.set_name(metric.name.data(), metric.name.size());
        entry.set_value(metric.value);
    }
}
Report get(const control::Report& p, Lists lists) {
    for (const control::Metric& entry : p.metrics()) lists.metrics.push_back({entry.name(), entry.value()});
    return {p.at(), p.final(), lists.metrics};
}

void put(const Leave&, control::Control& c) {
    c.mutable_leave();
}
Leave get(const control::Leave&, Lists) {
    return {};
}

void put(const Frozen& m, control::Control& c) {
    control::Frozen& p = *c.mutable_frozen();
    p.set_epoch(m.epoch);
    p.set_tick(m.tick);
    put_list(m.heard, *p.mutable_heard());
}
Frozen get(const control::Frozen& p, Lists) {
    return {p.epoch(), p.tick(), view(p.heard())};
}

void put(const Welcome& m, control::Control& c) {
    control::Welcome& p = *c.mutable_welcome();
    p.set_version(m.version);
    p.set_node(m.node);
    p.set_incarnation(m.incarnation);
    p.set_heartbeat_ms(m.heartbeat_ms);
}
Welcome get(const control::Welcome& p, Lists) {
    return {narrowed<std::uint16_t>(p.version()), p.node(), p.incarnation(), p.heartbeat_ms()};
}

void put(const JobOffer& m, control::Control& c) {
    put(m.terms, *c.mutable_job_offer()->mutable_terms());
    c.mutable_job_offer()->set_grant(m.grant);
    c.mutable_job_offer()->set_shift(m.shift);
    put_list(m.weights, *c.mutable_job_offer()->mutable_weights());
    c.mutable_job_offer()->set_first_round(m.first_round);
    c.mutable_job_offer()->set_last_round(m.last_round);
}
JobOffer get(const control::JobOffer& p, Lists) {
    return {get(p.terms()), p.grant(), p.shift(), view(p.weights()), p.first_round(), p.last_round()};
}

void put(const Acknowledgement& m, control::Control& c) {
    control::Acknowledgement& p = *c.mutable_acknowledgement();
    p.set_sequence(m.sequence);
    p.set_applied(m.applied);
    put(m.refusal, *p.mutable_refusal());
    p.set_version(m.version);
}
Acknowledgement get(const control::Acknowledgement& p, Lists) {
    return {p.sequence(), p.applied(), get(p.refusal()), p.version()};
}

void put(const Freeze& m, control::Control& c) {
    c.mutable_freeze()->set_epoch(m.epoch);
}
Freeze get(const control::Freeze& p, Lists) {
    return {p.epoch()};
}

void put(const MassRequest& m, control::Control& c) {
    c.mutable_mass_request()->set_epoch(m.epoch);
}
MassRequest get(const control::MassRequest& p, Lists) {
    return {p.epoch()};
}

void put(const JobEnd& m, control::Control& c) {
    c.mutable_job_end()->set_reason(static_cast<std::uint32_t>(m.reason));
}
JobEnd get(const control::JobEnd& p, Lists) {
    return {choice<JobEndReason>(p.reason())};
}

void put(const Presence& m, control::Control& c) {
    c.mutable_presence()->set_member(m.member);
    c.mutable_presence()->set_reachable(m.reachable);
    c.mutable_presence()->set_confirms(m.confirms);
}
Presence get(const control::Presence& p, Lists) {
    return {p.member(), p.reachable(), p.confirms()};
}

void put(const JobPause& m, control::Control& c) {
    c.mutable_job_pause()->set_paused(m.paused);
}
JobPause get(const control::JobPause& p, Lists) {
    return {p.paused()};
}

void put(const Peers& m, control::Control& c) {
    for (const PeerAddress& peer : m.peers) {
        control::PeerAddress& entry = *c.mutable_peers()->add_peers();
        entry.set_member(peer.member);
        entry.set_endpoint(peer.endpoint.data(), peer.endpoint.size());
        entry.set_key(peer.key.data(), peer.key.size());
    }
    c.mutable_peers();
}
Peers get(const control::Peers& p, Lists lists) {
    for (const control::PeerAddress& entry : p.peers())
        lists.peers.push_back({entry.member(), entry.endpoint(), std::as_bytes(std::span(entry.key()))});
    return {lists.peers};
}

void put(const Heartbeat& m, control::Control& c) {
    c.mutable_heartbeat()->set_tick(m.tick);
}
Heartbeat get(const control::Heartbeat& p, Lists) {
    return {p.tick()};
}

void put(const Refusal& m, control::Control& c) {
    put(m.error, *c.mutable_refusal()->mutable_error());
}
Refusal get(const control::Refusal& p, Lists) {
    return {get(p.error())};
}

/// False where there is no body, or one of a kind that is not known.
bool get_body(const control::Control& c, MessageBody& body, Lists lists) {
    using control::Control;
    switch (c.body_case()) {
        case Control::kJoin:
            return body = get(c.join(), lists), true;
        case Control::kJobAnswer:
            return body = get(c.job_answer(), lists), true;
        case Control::kModelRequest:
            return body = get(c.model_request(), lists), true;
        case Control::kReport:
            return body = get(c.report(), lists), true;
        case Control::kLeave:
            return body = get(c.leave(), lists), true;
        case Control::kFrozen:
            return body = get(c.frozen(), lists), true;
        case Control::kWelcome:
            return body = get(c.welcome(), lists), true;
        case Control::kJobOffer:
            return body = get(c.job_offer(), lists), true;
        case Control::kAcknowledgement:
            return body = get(c.acknowledgement(), lists), true;
        case Control::kFreeze:
            return body = get(c.freeze(), lists), true;
        case Control::kMassRequest:
            return body = get(c.mass_request(), lists), true;
        case Control::kJobEnd:
            return body = get(c.job_end(), lists), true;
        case Control::kPresence:
            return body = get(c.presence(), lists), true;
        case Control::kJobPause:
            return body = get(c.job_pause(), lists), true;
        case Control::kPeers:
            return body = get(c.peers(), lists), true;
        case Control::kHeartbeat:
            return body = get(c.heartbeat(), lists), true;
        case Control::kRefusal:
            return body = get(c.refusal(), lists), true;
        case Control::BODY_NOT_SET:
            break;
    }
    return false;
}

}  // namespace

EncodedControl::EncodedControl(const Message& message) : parsed_(std::make_unique<control::Control>()) {
    parsed_->set_version(version_of(message.body.index()));
    parsed_->set_job(message.envelope.job);
    parsed_->set_sender(message.envelope.sender);
    parsed_->set_incarnation(message.envelope.incarnation);
    parsed_->set_sequence(message.envelope.sequence);
    parsed_->set_nonce(message.envelope.nonce);
    wire::dispatch(message.body, [&]<class Body>(const Body& body) {
        if constexpr (is_data<Body>) {
            __builtin_trap();
        } else {
            put(body, *parsed_);
        }
    });
}

EncodedControl::~EncodedControl() = default;

std::size_t EncodedControl::bytes() const {
    return parsed_->ByteSizeLong();
}

void EncodedControl::write(std::byte* out) const {
    parsed_->SerializeWithCachedSizesToArray(reinterpret_cast<std::uint8_t*>(out));
}

DecodedControl::DecodedControl() = default;
DecodedControl::~DecodedControl() = default;
DecodedControl::DecodedControl(DecodedControl&&) noexcept = default;
DecodedControl& DecodedControl::operator=(DecodedControl&&) noexcept = default;

Result<void> DecodedControl::parse(std::span<const std::byte> bytes) {
    const auto size = static_cast<std::int64_t>(bytes.size());
    parsed_ = std::make_unique<control::Control>();
    metrics_.clear();
    peers_.clear();
    if (!parsed_->ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
        return fail(Code::message_malformed, size);
    const std::size_t unset = std::variant_size_v<MessageBody>;
    const int tag = parsed_->body_case();
    const std::size_t kind = tag == control::Control::BODY_NOT_SET ? unset : static_cast<std::size_t>(tag) - 16;
    if (auto spoken = check_version(parsed_->version(), kind); !spoken) return spoken;
    message_.envelope = {parsed_->job(), parsed_->sender(), parsed_->incarnation(), parsed_->sequence(),
                         parsed_->nonce()};
    // Protobuf drops a body that it does not know without a word of which it was.
    if (!get_body(*parsed_, message_.body, {metrics_, peers_})) return fail(Code::message_unknown);
    return check_limits(message_);
}

}  // namespace dunlin
