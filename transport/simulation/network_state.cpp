// SPDX-License-Identifier: Apache-2.0
#include "transport/simulation/network_state.hpp"

#include "transport/simulation/fingerprint.hpp"

#include <algorithm>
#include <unordered_map>

namespace dunlin::simulation {

NetworkState Network::save() const {
    NetworkState state;
    state.now = now();
    state.trace = trace_;
    state.counters = counters_;
    std::unordered_map<const Payload::Buffer*, std::uint32_t> numbers;
    const auto number_of = [&](Payload::Buffer* buffer) -> std::uint32_t {
        if (buffer == nullptr) return 0;
        const auto [found, fresh] =
            numbers.try_emplace(buffer, static_cast<std::uint32_t>(state.payloads.size() + 1));
        if (fresh)
            state.payloads.emplace_back(buffer->data(), buffer->data() + (buffer->stands_in ? 0 : buffer->size));
        return found->second;
    };
    for (const Link& link : links_)
        state.links.push_back({link.last_arrival, link.busy_until, link.messages, link.failures});
    queue_.for_each([&](const Item& item) {
        state.queue.push_back(
            {item.time, item.tag, number_of(item.buffer), item.subject, static_cast<std::uint8_t>(item.kind)});
    });
    for (std::uint32_t index = 0; index < links_.size(); ++index) {
        std::uint32_t slot = links_[index].first_waiting;
        for (std::uint32_t k = 0; k < links_[index].waiting; ++k, slot = waiting_slots_[slot].next) {
            const Waiting& message = waiting_slots_[slot];
            state.waiting.push_back({0, message.tag, number_of(message.buffer), index, 0});
        }
    }
    for (const Cut& cut : cuts_) state.cuts.push_back({cut.link, cut.from, cut.until});
    return state;
}

Result<void> Network::restore(const NetworkState& state) {
    if (state.links.size() != links_.size())
        return fail(Code::shape_mismatch, std::ssize(state.links), std::ssize(links_));
    let_go();
    queue_ = {};
    queue_.start(state.now);
    trace_ = state.trace;
    counters_ = state.counters;
    for (std::size_t k = 0; k < links_.size(); ++k) {
        const NetworkState::Link& from = state.links[k];
        links_[k].last_arrival = from.last_arrival;
        links_[k].busy_until = from.busy_until;
        links_[k].messages = from.messages;
        links_[k].failures = from.failures;
        links_[k].has_cuts = false;
    }
    std::vector<Payload> payloads;
    for (const std::vector<std::byte>& bytes : state.payloads) {
        Result<Payload> payload = allocate(bytes.size());
        if (!payload) return tl::unexpected(payload.error());
        std::ranges::copy(bytes, payload->writable().begin());
        if (settings_.trace_payloads) {
            payload->buffer_->fingerprint = fingerprint(payload->as());
            payload->buffer_->fingerprinted = true;
        }
        payloads.push_back(*std::move(payload));
    }
    const auto take = [&](const NetworkState::Pending& pending) -> Payload::Buffer* {
        if (pending.payload == 0) return nullptr;
        Payload::Buffer* buffer = payloads[pending.payload - 1].buffer_;
        buffer->add_reference();
        return buffer;
    };
    for (const NetworkState::Pending& pending : state.waiting) {
        if (pending.subject >= links_.size()) return fail(Code::unknown_link, pending.subject, -1);
        if (pending.payload > payloads.size()) return fail(Code::out_of_range, pending.payload);
        await(links_[pending.subject], take(pending), pending.tag);
    }
    for (const NetworkState::Pending& pending : state.queue) {
        const auto kind = static_cast<Item::Kind>(pending.kind);
        if (pending.kind > static_cast<std::uint8_t>(Item::Kind::departure))
            return fail(Code::out_of_range, pending.kind);
        if (pending.time < state.now || pending.time > time_limit)
            return fail(Code::bad_time, pending.time, state.now);
        const bool timer = kind == Item::Kind::timer;
        if (pending.subject >= (timer ? graph_->nodes() : links_.size()))
            return fail(Code::unknown_link, pending.subject, -1);
        // Who leaves must be there.
        if (kind == Item::Kind::departure && links_[pending.subject].waiting == 0)
            return fail(Code::unknown_link, pending.subject, -1);
        if (pending.payload > payloads.size()) return fail(Code::out_of_range, pending.payload);
        queue_.push({pending.time, pending.tag, take(pending), pending.subject, kind});
    }
    cuts_.clear();
    for (const NetworkState::Cut& cut : state.cuts) {
        if (cut.link >= links_.size()) return fail(Code::unknown_link, cut.link, -1);
        cuts_.push_back({cut.link, cut.from, cut.until});
        links_[cut.link].has_cuts = true;
    }
    return {};
}

}  // namespace dunlin::simulation
