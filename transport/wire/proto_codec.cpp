// SPDX-License-Identifier: Apache-2.0
#include "transport/wire/proto_codec.hpp"

#include "transport/wire/fields.hpp"
#include "transport/wire/limits.hpp"
#include "transport/wire/proto_terms.hpp"

#include <string>

namespace dunlin {
namespace {

/// The lists that a message's views need beside Protobuf's own objects.
struct Lists {
    std::vector<Metric>& metrics;
    std::vector<PeerAddress>& peers;
};

using proto::choice;
using proto::get;
using proto::narrowed;
using proto::put;
using proto::put_list;
using proto::view;

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
