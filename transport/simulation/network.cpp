// SPDX-License-Identifier: Apache-2.0
#include "transport/simulation/network.hpp"

#include "transport/simulation/fingerprint.hpp"

#include <algorithm>
#include <utility>

namespace dunlin::simulation {
namespace {

constexpr std::uint32_t no_group = 0xffffffffu;
constexpr std::size_t cut_limit = std::size_t{1} << 24;

/// How long a message occupies its link.
Time serialisation(const LinkProfile& profile, std::size_t bytes) {
    const double ticks = static_cast<double>(bytes) * profile.ticks_per_byte + 0.5;
    return static_cast<Time>(std::min(ticks, static_cast<double>(longest_delay)));
}

}  // namespace

Network::Network(const Graph& graph, const LinkProfile& profile, const NetworkSettings& settings)
    : graph_(&graph),
      settings_(settings),
      payloads_(std::make_unique<PayloadPool>(settings.payload_limit_bytes)),
      profiles_{profile},
      links_(graph.edges()),
      group_of_(graph.nodes(), no_group) {}

Result<Network> Network::create(const Graph& graph, const LinkProfile& profile, const NetworkSettings& settings) {
    if (const auto checked = check(profile); !checked) return tl::unexpected(checked.error());
    return Network(graph, profile, settings);
}

Network::~Network() {
    let_go();
}

/// Whatever is still under way holds a reference that no handle counts.
void Network::let_go() {
    queue_.for_each([](const Item& item) { Payload{item.buffer}; });
    for (Link& link : links_) {
        while (link.waiting > 0) Payload{dequeue(link).buffer};
    }
}

Result<void> Network::set_profile(std::uint32_t link, const LinkProfile& profile) {
    if (link >= links_.size()) return fail(Code::unknown_link, link, -1);
    if (const auto checked = check(profile); !checked) return checked;
    std::uint32_t& index = links_[link].profile;
    if (index == 0) {
        index = static_cast<std::uint32_t>(profiles_.size());
        profiles_.push_back(profile);
    } else {
        profiles_[index] = profile;
    }
    return {};
}

Result<void> Network::cut(std::span<const std::uint32_t> links, Time from, Time until) {
    if (from < now()) return fail(Code::bad_time, from, now());
    if (until <= from) return fail(Code::bad_time, until, from + 1);
    if (cuts_.size() + links.size() > cut_limit)
        return fail(Code::network_full, std::ssize(cuts_) + std::ssize(links), cut_limit);
    for (const std::uint32_t link : links) {
        if (link >= links_.size()) return fail(Code::unknown_link, link, -1);
    }
    const auto old = std::ssize(cuts_);
    for (const std::uint32_t link : links) {
        cuts_.push_back({link, from, until});
        links_[link].has_cuts = true;
    }
    std::sort(cuts_.begin() + old, cuts_.end());
    std::inplace_merge(cuts_.begin(), cuts_.begin() + old, cuts_.end());
    return {};
}

Result<void> Network::cut_off(std::span<const std::uint32_t> nodes, Time from, Time until) {
    std::vector<bool> inside(graph_->nodes());
    for (std::size_t k = 0; k < nodes.size(); ++k) {
        if (nodes[k] >= graph_->nodes()) return fail(Code::graph_node, static_cast<std::int64_t>(k), nodes[k]);
        inside[nodes[k]] = true;
    }
    std::vector<std::uint32_t> crossing;
    for (std::uint32_t k = 0; k < graph_->edges(); ++k) {
        if (inside[graph_->source(k)] != inside[graph_->target(k)]) crossing.push_back(k);
    }
    return cut(crossing, from, until);
}

Result<void> Network::room() const {
    // A send may put two copies and a departure into the queue.
    if (pending() + 3 > settings_.event_limit)
        return fail(Code::network_full, static_cast<std::int64_t>(pending()), settings_.event_limit);
    return {};
}

Result<void> Network::send(std::uint32_t link, const Payload& payload, std::uint64_t tag) {
    if (link >= links_.size()) return fail(Code::unknown_link, link, -1);
    if (const auto checked = room(); !checked) return checked;
    ++counters_.sent;
    counters_.sent_bytes += payload.size();
    if (tap_) tap_(graph_->source(link), graph_->target(link), payload.as());
    Payload::Buffer* buffer = payload.buffer_;
    if (buffer != nullptr) buffer->add_reference();
    (void)sealed(payload);
    const Link& state = links_[link];
    if (state.waiting == 0 && state.busy_until <= now())
        transmit(link, buffer, tag);
    else
        enqueue(link, buffer, tag);
    return {};
}

std::uint64_t Network::sealed(const Payload& payload) const {
    Payload::Buffer* buffer = payload.buffer_;
    if (buffer == nullptr || !settings_.trace_payloads) return 0;
    if (!std::exchange(buffer->fingerprinted, true)) buffer->fingerprint = fingerprint(payload.as());
    return buffer->fingerprint;
}

Result<void> Network::send(std::uint32_t from, std::uint32_t to, const Payload& payload, std::uint64_t tag) {
    const auto link = graph_->find(from, to);
    if (!link) return fail(Code::unknown_link, from, to);
    return send(*link, payload, tag);
}

Result<void> Network::broadcast(std::uint32_t from, const Payload& payload, std::uint64_t tag) {
    if (from >= graph_->nodes()) return fail(Code::graph_node, 0, from);
    const std::uint32_t first = graph_->first_out(from);
    for (std::uint32_t k = 0; k < graph_->out(from).size(); ++k) {
        if (const auto sent = send(first + k, payload, tag); !sent) return sent;
    }
    return {};
}

Result<void> Network::set_timer(std::uint32_t node, Time time, std::uint64_t tag) {
    if (node >= graph_->nodes()) return fail(Code::graph_node, 0, node);
    if (time < now()) return fail(Code::bad_time, time, now());
    if (time > time_limit) return fail(Code::bad_time, time, time_limit);
    if (const auto checked = room(); !checked) return checked;
    queue_.push({time, tag, nullptr, node, Item::Kind::timer});
    return {};
}

/// The link takes up a message: here its fate is drawn.
void Network::transmit(std::uint32_t index, Payload::Buffer* buffer, std::uint64_t tag) {
    Link& link = links_[index];
    const LinkProfile& profile = profiles_[link.profile];
    Stream random(settings_.seed, graph_->source(index), Purpose::links);
    random.seek_epoch(link.messages++);
    random = random.lane(graph_->target(index));

    const Time left = now() + (buffer != nullptr ? serialisation(profile, buffer->size) : 0);
    link.busy_until = left;
    if (profile.loss > 0.0f && random.uniform() < profile.loss && link.failures < profile.loss_limit) {
        ++link.failures;
        drop(Mark::lost, index, buffer, tag);
        return;
    }
    const bool twice = profile.duplication > 0.0f && random.uniform() < profile.duplication;
    if (twice) {
        ++counters_.duplicated;
        if (buffer != nullptr) buffer->add_reference();
    }
    bool arrives = arrive(index, buffer, tag, left, random);
    if (twice) arrives |= arrive(index, buffer, tag, left, random);
    link.failures = arrives ? 0 : link.failures + 1;
}

bool Network::arrive(std::uint32_t index, Payload::Buffer* buffer, std::uint64_t tag, Time left, Stream& random) {
    Link& link = links_[index];
    const LinkProfile& profile = profiles_[link.profile];
    Time arrival = left + std::min(profile.latency.draw(random), profile.delay_limit);
    // Waiting for an earlier message keeps the delay limit: that one left earlier, under the same limit.
    if (profile.in_order) arrival = std::max(arrival, link.last_arrival);
    arrival = std::min(arrival, time_limit);
    if (link.has_cuts && is_cut(index, left, arrival)) {
        drop(Mark::cut, index, buffer, tag);
        return false;
    }
    link.last_arrival = arrival;
    queue_.push({arrival, tag, buffer, index, Item::Kind::delivery});
    return true;
}

void Network::enqueue(std::uint32_t index, Payload::Buffer* buffer, std::uint64_t tag) {
    Link& link = links_[index];
    const LinkProfile& profile = profiles_[link.profile];
    if (link.waiting == 0) {
        queue_.push({link.busy_until, 0, nullptr, index, Item::Kind::departure});
    } else if (link.waiting >= profile.queue_limit) {
        ++link.failures;
        if (!profile.newest_replaces_oldest) return drop(Mark::overflowed, index, buffer, tag);
        const Waiting oldest = dequeue(link);
        drop(Mark::overflowed, index, oldest.buffer, oldest.tag);
    }
    await(link, buffer, tag);
}

/// Puts a message behind those that wait for the link.
void Network::await(Link& link, Payload::Buffer* buffer, std::uint64_t tag) {
    if (free_slots_.empty()) {
        free_slots_.push_back(static_cast<std::uint32_t>(waiting_slots_.size()));
        waiting_slots_.emplace_back();
    }
    const std::uint32_t slot = free_slots_.back();
    free_slots_.pop_back();
    waiting_slots_[slot] = {tag, buffer, 0};
    (link.waiting == 0 ? link.first_waiting : waiting_slots_[link.last_waiting].next) = slot;
    link.last_waiting = slot;
    ++link.waiting;
    ++waiting_;
}

Network::Waiting Network::dequeue(Link& link) {
    const std::uint32_t slot = link.first_waiting;
    const Waiting head = waiting_slots_[slot];
    link.first_waiting = head.next;
    free_slots_.push_back(slot);
    --link.waiting;
    --waiting_;
    return head;
}

/// The link has become free, and somebody waits for it.
void Network::depart(std::uint32_t index) {
    const Waiting head = dequeue(links_[index]);
    transmit(index, head.buffer, head.tag);
    if (links_[index].waiting > 0)
        queue_.push({links_[index].busy_until, 0, nullptr, index, Item::Kind::departure});
}

bool Network::is_cut(std::uint32_t index, Time left, Time arrival) const {
    auto window = std::lower_bound(cuts_.begin(), cuts_.end(), index,
                                   [](const Cut& cut, std::uint32_t link) { return cut.link < link; });
    for (; window != cuts_.end() && window->link == index && window->from <= arrival; ++window) {
        if (left < window->until) return true;
    }
    return false;
}

void Network::drop(Mark why, std::uint32_t index, Payload::Buffer* buffer, std::uint64_t tag) {
    const Payload last_handle(buffer);
    ++(why == Mark::lost ? counters_.lost : why == Mark::cut ? counters_.cut : counters_.overflowed);
    record(why, index, buffer, tag);
}

void Network::record(Mark mark, std::uint32_t subject, const Payload::Buffer* buffer, std::uint64_t tag) {
    trace_ = mix(trace_, static_cast<std::uint64_t>(now()));
    trace_ = mix(trace_, std::uint64_t{subject} << 8 | static_cast<std::uint64_t>(mark));
    trace_ = mix(trace_, tag);
    if (buffer != nullptr) trace_ = mix(trace_, buffer->fingerprinted ? buffer->fingerprint : buffer->size);
}

std::uint32_t Network::node_of(const Item& item) const {
    return item.kind == Item::Kind::timer ? item.subject : graph_->target(item.subject);
}

void Network::fill(Event& event, const Item& item) {
    const bool timer = item.kind == Item::Kind::timer;
    event.time = item.time;
    event.kind = timer ? Event::Kind::timer : Event::Kind::delivery;
    event.node = node_of(item);
    event.from = timer ? item.subject : graph_->source(item.subject);
    event.link = timer ? 0 : item.subject;
    event.tag = item.tag;
    event.payload = Payload(item.buffer);
    ++(timer ? counters_.timers : counters_.delivered);
    record(timer ? Mark::timer : Mark::delivery, item.subject, item.buffer, item.tag);
}

void Network::prefetch(std::uint32_t node, const Payload& payload) const {
    const std::uint32_t first = graph_->first_out(node),
                        count = static_cast<std::uint32_t>(graph_->out(node).size());
    if (payload.buffer_ != nullptr) __builtin_prefetch(payload.buffer_, 1);
    for (std::uint32_t k = 0; k < count; ++k) __builtin_prefetch(&links_[first + k], 1);
}

bool Network::next(Event& event, Time until) {
    while (queue_.advance(until)) {
        const Item item = queue_.take();
        if (item.kind == Item::Kind::departure) {
            depart(item.subject);
            continue;
        }
        fill(event, item);
        return true;
    }
    return false;
}

bool Network::pop_batch(Batch& batch, Time until) {
    batch.events.clear();
    batch.groups.clear();
    popped_.clear();
    while (popped_.empty() && queue_.advance(until)) {
        while (queue_.more()) {
            const Item item = queue_.take();
            if (item.kind == Item::Kind::departure)
                depart(item.subject);
            else
                popped_.push_back(item);
        }
    }
    if (popped_.empty()) return false;

    // Counting sort by node, in time proportional to the batch.
    for (const Item& item : popped_) {
        std::uint32_t& group = group_of_[node_of(item)];
        if (group == no_group) {
            group = static_cast<std::uint32_t>(batch.groups.size());
            batch.groups.push_back({node_of(item), 0, 0});
        }
        ++batch.groups[group].count;
    }
    batch.by_node.clear();
    if (batch.groups.size() > group_of_.size() / 16) {
        for (const std::uint32_t group : group_of_) {
            if (group != no_group) batch.by_node.push_back(group);
        }
    } else {
        for (std::uint32_t group = 0; group < batch.groups.size(); ++group) batch.by_node.push_back(group);
        std::ranges::sort(batch.by_node, {}, [&](std::uint32_t group) { return batch.groups[group].node; });
    }
    std::uint32_t first = 0;
    for (const std::uint32_t index : batch.by_node) {
        batch.groups[index].first = first;
        first += std::exchange(batch.groups[index].count, 0);
    }
    batch.time = now();
    batch.events.resize(popped_.size());
    // In the order of sending: payloads and places in the batch lie anywhere, so they are asked for early.
    constexpr std::size_t far = 16;
    for (std::size_t k = 0; k < popped_.size(); ++k) {
        if (k + far < popped_.size()) {
            const Item& later = popped_[k + far];
            const Batch::Group& group = batch.groups[group_of_[node_of(later)]];
            __builtin_prefetch(batch.events.data() + group.first + group.count, 1);
            if (later.buffer != nullptr) __builtin_prefetch(later.buffer, 1);
        }
        Batch::Group& group = batch.groups[group_of_[node_of(popped_[k])]];
        fill(batch.events[group.first + group.count++], popped_[k]);
    }
    for (const Batch::Group& group : batch.groups) group_of_[group.node] = no_group;
    return true;
}

}  // namespace dunlin::simulation
