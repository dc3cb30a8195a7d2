// SPDX-License-Identifier: Apache-2.0
#pragma once

// For training/simulation/gossip_simulation.hpp alone: how its fleets serve one event of one node, and what they sum up.

#include "training/simulation/gossip_simulation.hpp"

namespace dunlin {

template <FleetNode Node>
Result<void> SimulatedGossip<Node>::serve(const simulation::Event& event, int worker, Reply& reply) {
    Member& member = members_[event.node - own_.first];
    if (event.kind == simulation::Event::Kind::delivery) {
        if (member.down) return {};
        if (auto heard = hear(member, event); !heard || !goes_on(member)) return heard;
        return wake(member, event.node, worker, reply);
    }
    switch (static_cast<Timer>(event.tag)) {
        case wake_up:
            member.wake_up_set = false;
            if (member.down || waits(member, reply)) return {};
            return wake(member, event.node, worker, reply);
        case repeat:
            if (member.down || !member.awaits) return {};
            if (network_->now() - member.spoke < patience()) return {};
            return wake(member, event.node, worker, reply);
        case crash:
            if (calm_) return {};
            ++desks_[static_cast<std::size_t>(worker)].counters.crashes;
            member.down = true;
            member.awaits = false;
            reply.set(member.crash.until, restart);
            return member.node.restore(member.stored);  // the rest of its memory is gone
        case restart:
            member.down = false;
            member.crash = member.life.crashes.at(network_->now());
            reply.set(member.crash.from, crash);
            if (!std::exchange(member.wake_up_set, true)) reply.set(network_->now() + 1, wake_up);
            if (member.node.share().kappa >= 0) return speak(member.node.share(), reply);
            return {};
    }
    return {};
}

template <FleetNode Node>
bool SimulatedGossip<Node>::waits(Member& member, Reply& reply) const {
    if constexpr (synchronous) {
        member.awaits = member.node.round() >= 0 && !member.node.ready();
        if (member.awaits) reply.set(std::max(member.spoke + patience(), network_->now() + 1), repeat);
        return member.awaits;
    }
    return false;
}

template <FleetNode Node>
bool SimulatedGossip<Node>::goes_on(const Member& member) const {
    if constexpr (synchronous) return member.awaits && member.node.ready();
    return false;
}

template <FleetNode Node>
GossipFleet::Time SimulatedGossip<Node>::patience() const {
    const Time way =
        std::min(settings_.link.delay_limit, settings_.link.latency.minimum + settings_.link.latency.scale);
    return 2 * way + settings_.wake_gap;
}

template <FleetNode Node>
Result<void> SimulatedGossip<Node>::hear(Member& member, const simulation::Event& event) {
    std::span<const Value> values = event.payload.as<Value>();
    Share<Value> share{event.from, static_cast<std::int64_t>(event.tag), values, {}};
    if constexpr (has_mass) {
        share.values = values.first(dimension_);
        share.weight = values[dimension_];
    }
    const Result<Receipt> receipt = member.node.receive(share);
    if (!receipt) return tl::unexpected(receipt.error());
    return {};
}

template <FleetNode Node>
Result<void> SimulatedGossip<Node>::wake(Member& member, std::uint32_t i, int worker, Reply& reply) {
    const Time now = network_->now();
    Desk& desk = desks_[static_cast<std::size_t>(worker)];
    member.node.estimate(desk.z);
    if (const std::size_t k = first_beyond(desk.z, settings_.largest_value); k < dimension_) {
        return fail(Code::mass_overflow, static_cast<std::int64_t>(k));
    }
    ConstVector<float> gradient;
    bool steps = learner_of_ != nullptr && now < settings_.learn_until;
    if constexpr (synchronous) steps = steps && member.node.ready();
    if (steps) {
        Learner& learner = learner_of_(i, worker);
        Question question;
        if constexpr (Node::traits.asks) {
            question = member.node.question();
            if (question.kind == Question::Kind::products) member.node.direction(desk.gradient);
        }
        desk.counters.gradients += learner.given(desk.z, member.batches);
        desk.counters.gradients += learner.answer(question, desk.z, member.batches, desk.gradient);
        gradient = desk.gradient;
    }
    const auto woken = member.node.wake(now, gradient);
    if (!woken) return tl::unexpected(woken.error());
    ++desk.counters.wake_ups;
    member.spoke = now;
    desk.counters.waits += woken->waited;
    if constexpr (exact) {
        if (woken->step_size != 0.0f && settings_.audit) count_step(desk, woken->step_size);
    }
    Time next = now + patience();
    if (woken->waited && synchronous) {
        reply.set(next, repeat);
    } else {
        member.awaits = false;
        member.wake_up_set = true;
        next = now + settings_.gap(member.life);
        if (!calm_) next = member.life.awake_from(next);
        reply.set(next, wake_up);
    }
    store(member, next);
    // A crash before the next tick comes before the message has left: it goes out after the restart.
    if (member.crash.from == now + 1 && !calm_) return {};
    return speak(woken->share, reply);
}

template <FleetNode Node>
void SimulatedGossip<Node>::count_step(Desk& desk, float step_size) const {
    for (std::size_t k = 0; k < dimension_; ++k) {
        Mass step = 0;
        settings_.format.to_mass(step_size * desk.gradient[k], step);
        desk.applied[k] = add_wrapped(desk.applied[k], step);
    }
}

template <FleetNode Node>
Result<void> SimulatedGossip<Node>::speak(const Share<Value>& share, Reply& reply) {
    Result<simulation::Payload> payload =
        network_->allocate((share.values.size() + (has_mass ? 1 : 0)) * sizeof(Value));
    if (!payload) return tl::unexpected(payload.error());
    const std::span<Value> words = payload->template writable<Value>();
    std::copy(share.values.begin(), share.values.end(), words.begin());
    if constexpr (has_mass) words.back() = share.weight;
    reply.share = *std::move(payload);
    reply.counter = share.kappa;
    reply.speaks = true;
    return {};
}

template <FleetNode Node>
Outcome<void> SimulatedGossip<Node>::post(std::uint32_t i, const Reply& reply) {
    Result<void> done;
    if (const std::optional<Error> error = reply.error()) done = tl::unexpected(*error);
    if (done && reply.speaks) {
        done = network_->broadcast(i, reply.share, static_cast<std::uint64_t>(reply.counter));
    }
    for (std::uint32_t k = 0; k < reply.alarms; ++k) {
        const auto& [time, tag] = reply.alarm(k);
        if (done && time < simulation::time_limit) done = network_->set_timer(i, time, tag);
    }
    if (!done) return tl::unexpected(diverged(done.error(), i, network_->now(), settings_.largest_value));
    return {};
}

template <FleetNode Node>
void SimulatedGossip<Node>::store(Member& member, Time next) const {
    if (!settings_.lives.crashes()) return;
    if (!synchronous && member.crash.from > next) return std::vector<std::byte>().swap(member.stored);
    const auto state = member.node.state();
    member.stored.assign(state.begin(), state.end());
}

template <FleetNode Node>
void SimulatedGossip<Node>::sum_mass(std::vector<Value>& x, Value& y) const {
    if constexpr (has_mass) {
        std::vector<Value> all(x);
        all.push_back(y);
        ranks().in_turn(std::span(all), [&] {
            for (const Member& member : members_) member.node.add_mass(std::span(all).first(x.size()), all.back());
        });
        std::copy(all.begin(), all.end() - 1, x.begin());
        y = all.back();
    }
}

}  // namespace dunlin
