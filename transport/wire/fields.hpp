// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/aggregate/push_sum_settings.hpp"
#include "transport/messages.hpp"

namespace dunlin::wire {

/// The fields of every message in the order of wire.fbs, with their limits, once for all who go through them:
/// writer, reader and the check of limits. A visitor has
///
///     Reference<T>                what it takes a message by: T& to read into, const T& otherwise
///     number(x)                   an integer, a float or a bool
///     choice(x, last)             an enumeration whose largest value is `last`
///     text(x, most), lines(...)   one line, or several, of at most `most` bytes
///     bytes(x, most), list(...)   a span of bytes or of numbers, of at most `most` entries
///     table(x), tables(x, most)   a struct with fields of its own, or a span of them
///
/// One with `for_boards` goes through the form that boards speak, too, which has no words for what no board has room
/// for; and where edges cannot close, that is, in firmware, nobody asks for those.
template <class V>
inline constexpr bool for_boards = !edges_can_close || requires {
    V::for_boards;
};

template <class V, class T>
using Of = typename V::template Reference<T>;

template <class V>
void fields(V& visit, Of<V, MoreauEnvelope> m) {
    visit.number(m.prox_weight);
    visit.number(m.inner_rate);
    visit.number(m.accuracy);
    visit.number(m.step_limit);
    visit.number(m.step_clip);
    visit.number(m.fresh_batches);
}

template <class V>
void fields(V& visit, Of<V, Maml> m) {
    visit.number(m.steps);
    visit.number(m.inner_rate);
    visit.number(m.first_order);
    visit.number(m.score_term);
    visit.number(m.score_baseline);
    visit.number(m.step_clip);
}

template <class V>
void fields(V& visit, Of<V, StepSchedule> m) {
    visit.number(m.scale);
    visit.number(m.offset);
    visit.number(m.longest_gap);
}

template <class V>
void fields(V& visit, Of<V, JobTerms> m) {
    visit.number(m.epoch);
    visit.number(m.member);
    visit.number(m.members);
    visit.number(m.seed);
    visit.number(m.dimension);
    visit.choice(m.aggregation, last_aggregation);
    visit.choice(m.objective, Objective::ditto);
    visit.table(m.moreau);
    visit.table(m.maml);
    visit.lines(m.experiment, WireLimits::text_bytes);
    visit.number(m.local_steps);
    visit.number(m.local_rate);
    visit.number(m.fedprox_weight);
    visit.number(m.samples);
    visit.choice(m.payload, Payload::corrected);
    visit.choice(m.encoding, Encoding::int8);
    visit.list(m.in_neighbours, WireLimits::neighbours);
    visit.list(m.out_neighbours, WireLimits::neighbours);
    visit.table(m.theta);
    visit.number(m.format.fraction_bits);
    visit.number(m.largest_value);
    visit.number(m.weight_floor);
    visit.number(m.tick_ms);
    visit.number(m.wake_ticks);
    visit.number(m.learn_until);
    visit.number(m.audit);
    visit.number(m.report_every);
    visit.number(m.least_parts);
}

template <class V>
void fields(V& visit, Of<V, Error> m) {
    visit.number(m.code);
    visit.number(m.first);
    visit.number(m.second);
}

template <class V>
void fields(V& visit, Of<V, Metric> m) {
    visit.text(m.name, WireLimits::name_bytes);
    visit.number(m.value);
}

template <class V>
void fields(V& visit, Of<V, PeerAddress> m) {
    visit.number(m.member);
    visit.text(m.endpoint, WireLimits::line_bytes);
    visit.bytes(m.key, 32);
}

template <class V>
void fields(V& visit, Of<V, Join> m) {
    visit.number(m.oldest_version);
    visit.number(m.newest_version);
    visit.text(m.name, WireLimits::name_bytes);
    visit.text(m.software, WireLimits::line_bytes);
    visit.text(m.endpoint, WireLimits::line_bytes);
    visit.number(m.memory_bytes);
    visit.number(m.epoch);
}

template <class V>
void fields(V& visit, Of<V, JobAnswer> m) {
    visit.number(m.accepted);
    visit.table(m.refusal);
    visit.number(m.epoch);
    visit.text(m.reason, WireLimits::line_bytes);
}

template <class V>
void fields(V&, Of<V, ModelRequest>) {}

template <class V>
void fields(V& visit, Of<V, Report> m) {
    visit.number(m.at);
    visit.number(m.final);
    visit.tables(m.metrics, WireLimits::metrics);
}

template <class V>
void fields(V&, Of<V, Leave>) {}

template <class V>
void fields(V& visit, Of<V, Frozen> m) {
    visit.number(m.epoch);
    visit.number(m.tick);
    visit.list(m.heard, WireLimits::neighbours);
}

template <class V>
void fields(V& visit, Of<V, Welcome> m) {
    visit.number(m.version);
    visit.number(m.node);
    visit.number(m.incarnation);
    visit.number(m.heartbeat_ms);
}

template <class V>
void fields(V& visit, Of<V, JobOffer> m) {
    visit.table(m.terms);
    visit.number(m.grant);
    visit.number(m.shift);
    if constexpr (!for_boards<V>) {
        visit.list(m.weights, WireLimits::neighbours);
        visit.number(m.first_round);
        visit.number(m.last_round);
    }
}

template <class V>
void fields(V& visit, Of<V, Acknowledgement> m) {
    visit.number(m.sequence);
    visit.number(m.applied);
    visit.table(m.refusal);
    visit.number(m.version);
}

template <class V>
void fields(V& visit, Of<V, Freeze> m) {
    visit.number(m.epoch);
}

template <class V>
void fields(V& visit, Of<V, MassRequest> m) {
    visit.number(m.epoch);
}

template <class V>
void fields(V& visit, Of<V, JobEnd> m) {
    visit.choice(m.reason, JobEndReason::failed);
}

template <class V>
void fields(V& visit, Of<V, Presence> m) {
    visit.number(m.member);
    visit.number(m.reachable);
    visit.number(m.confirms);
}

template <class V>
void fields(V& visit, Of<V, JobPause> m) {
    visit.number(m.paused);
}

template <class V>
void fields(V& visit, Of<V, Peers> m) {
    visit.tables(m.peers, WireLimits::neighbours);
}

template <class V>
void fields(V& visit, Of<V, Heartbeat> m) {
    visit.number(m.tick);
}

template <class V>
void fields(V& visit, Of<V, Refusal> m) {
    visit.table(m.error);
}

template <class V>
void encoded(V& visit, Of<V, EncodedValues> m) {
    visit.choice(m.encoding, Encoding::int8);
    visit.number(m.count);
    visit.bytes(m.bytes, WireLimits::values * 4);
}

template <class V>
void fields(V& visit, Of<V, Model> m) {
    visit.number(m.version);
    encoded<V>(visit, m.values);
}

template <class V>
void fields(V& visit, Of<V, ModelUpdate> m) {
    visit.number(m.member);
    visit.number(m.base_version);
    visit.number(m.samples);
    encoded<V>(visit, m.values);
}

template <class V>
void fields(V& visit, Of<V, ShareMessage> m) {
    visit.number(m.epoch);
    visit.number(m.from);
    visit.number(m.to);
    visit.number(m.tick);
    visit.number(m.weight);
    visit.list(m.values, WireLimits::values);
}

template <class V>
void fields(V& visit, Of<V, MassReport> m) {
    visit.number(m.epoch);
    visit.number(m.weight);
    visit.list(m.values, WireLimits::values);
    visit.list(m.steps, WireLimits::values);
}

template <class V>
void fields(V& visit, Of<V, MassGrant> m) {
    visit.number(m.epoch);
    visit.number(m.weight);
    visit.list(m.values, WireLimits::values);
}

template <class V>
void fields(V& visit, Of<V, ShareReceipt> m) {
    visit.number(m.epoch);
    visit.number(m.from);
    visit.number(m.to);
    visit.number(m.tick);
    visit.number(m.weight);
}

/// Calls body(m) with the message's body as what it is, without std::visit, which may throw.
template <class Body, std::size_t K = 0, class Variant>
decltype(auto) dispatch(Variant& variant, Body&& body) {
    if constexpr (K + 1 < std::variant_size_v<MessageBody>) {
        if (variant.index() != K) return dispatch<Body, K + 1>(variant, static_cast<Body&&>(body));
    }
    return body(*std::get_if<K>(&variant));
}

}  // namespace dunlin::wire
