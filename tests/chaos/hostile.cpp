// SPDX-License-Identifier: Apache-2.0
#include "hostile.hpp"

#include "roles.hpp"
#include "transport/encoding.hpp"

#include <limits>
#include <utility>

#include <fmt/format.h>

namespace dunlin::chaos {
namespace {

NodeLinkSettings settings_of(const std::string& endpoint, const PublicKey& server, const KeyPair& keys) {
    NodeLinkSettings settings;
    settings.endpoint = endpoint;
    settings.server_key = server;
    settings.keys = keys;
    settings.longest_backoff_ms = 1000;
    return settings;
}

}  // namespace

Hostile::Hostile(const std::string& endpoint, const PublicKey& server, const KeyPair& keys)
    : link_(NodeLink::open(settings_of(endpoint, server, keys)).value()) {}

void Hostile::hear(const Message& message) {
    if (const auto* welcome = std::get_if<Welcome>(&message.body)) incarnation_ = welcome->incarnation;
    if (const auto* offer = std::get_if<JobOffer>(&message.body)) {
        job_ = message.envelope.job;
        over_ = false;
        member_ = offer->terms.member;
        (void)link_.send({{job_, 0, incarnation_, 0}, JobAnswer{true, {}}});
    }
    if (const auto* refusal = std::get_if<Refusal>(&message.body))
        turned_away_ = turned_away_ || over_ || refusal->error.code == Code::not_joined;
    const auto* answer = std::get_if<Acknowledgement>(&message.body);
    if (answer != nullptr && answer->sequence > 0) ++(answer->applied ? applied_ : refused_);
    if (std::holds_alternative<JobEnd>(message.body) && message.envelope.job == job_) over_ = true;
    if (answer != nullptr && answer->sequence == 0 && over_ && message.envelope.job == job_) job_ = 0;
}

std::string Hostile::doing() const {
    return fmt::format("the hostile member is in job {}, which {}; it was refused {} times", job_,
                       over_ ? "is over" : "goes on", refused_);
}

void Hostile::join() {
    (void)link_.send({{job_, 0, 0, 0}, Join{.name = hostile_name, .software = "not Dunlin's"}});
}

void Hostile::step(std::int64_t now_ms) {
    link_.poll(0);
    while (link_.receive(arrival_)) {
        if (arrival_.kind == Arrival::Kind::message) hear(arrival_.message.message());
        if (arrival_.kind == Arrival::Kind::up) join();
    }
    if (now_ms < next_ms_) return;
    next_ms_ = now_ms + (over_ ? 500 : 50);
    if (job_ == 0) {
        (void)link_.send({{}, Heartbeat{}});
        return;
    }
    // As often as it takes: the next job waits for it, and a report dies with a coordinator that is killed. One that had
    // too much to say to it may have let go of it, although the line stands, and then takes no report before a Join.
    if (std::exchange(turned_away_, false)) join();
    if (over_) {
        (void)link_.send({{job_, 0, incarnation_, 0}, Report{0, true, {}}});
        return;
    }
    constexpr float nan = std::numeric_limits<float>::quiet_NaN();
    std::vector<float> values(sequence_ % 4 == 0 ? dimension + 1 : dimension, sequence_ % 4 == 1 ? 1e6f : 1.0f);
    if (sequence_ % 4 == 2) values[7] = nan;
    const bool future = sequence_ % 4 == 3;
    ++sequence_;
    (void)link_.send({{job_, 0, incarnation_, sequence_},
                      ModelUpdate{member_, future ? 1u << 30 : 0u, 1.0f, view_values(values)}});
}

}  // namespace dunlin::chaos
