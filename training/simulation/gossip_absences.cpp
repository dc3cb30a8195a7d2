// SPDX-License-Identifier: Apache-2.0
#include "training/simulation/gossip_absences.hpp"

#include <algorithm>
#include <cmath>

namespace dunlin {
namespace {

constexpr std::uint64_t share_tag = 0, confirmation_tag = 1;
/// Behind a message's values: weight, counter and epoch.
constexpr std::size_t trailer = 3;
/// A link from everybody to everybody.
constexpr std::uint32_t node_limit = 1000;

}  // namespace

Outcome<std::unique_ptr<AbsentGossip>> AbsentGossip::make(const Graph& graph, const GossipSettings& settings,
                                                          std::span<const float> start, LearnerOf learner_of) {
    std::unique_ptr<AbsentGossip> fleet(new AbsentGossip(graph, settings, std::move(learner_of)));
    if (auto made = fleet->set_up(start); !made) return tl::unexpected(made.error());
    return fleet;
}

Outcome<void> AbsentGossip::set_up(std::span<const float> start) {
    const std::uint32_t n = graph_.nodes();
    const AbsenceSettings& s = settings_.absences;
    if (n < 3 || n > node_limit) return refuse({Code::graph_size, n, node_limit}, "network.gone: nodes");
    if (auto checked = s.check(); !checked) return refuse(checked.error(), "network.gone");
    if (auto checked = settings_.lives.check(); !checked) return refuse(checked.error(), "the fleet's settings");
    if (settings_.lives.crashes())
        return refuse("network.gone and network.crash_gap: use one of them; nodes that are gone have crashed");
    const std::size_t d = start.size() / n;
    plan_.terms.members = n;
    plan_.terms.seed = settings_.seed;
    plan_.terms.dimension = static_cast<std::uint32_t>(d);
    plan_.terms.format = settings_.format;
    plan_.terms.audit = true;
    plan_.first.assign(start.begin(), start.begin() + static_cast<std::ptrdiff_t>(d));
    plan_.graph = s.graph;
    plan_.graph.nodes = n;
    auto book = MassBook::make(plan_, start);
    if (!book) return refuse(book.error(), "network.graph");
    book_ = *std::move(book);
    everybody_ = *complete_graph(n);
    auto network = simulation::Network::create(everybody_, settings_.link,
                                               {.seed = settings_.seed,
                                                .payload_limit_bytes = settings_.payload_limit_bytes,
                                                .trace_payloads = settings_.trace_payloads});
    if (!network) return refuse(network.error(), "network");
    network_ = std::make_unique<simulation::Network>(*std::move(network));
    if (auto shaped = settings_.shape(*network_); !shaped) return refuse(shaped.error(), "network.trace");
    draws_ = Stream(settings_.seed, n, Purpose::lives);
    z_.resize(d);
    gradient_.resize(d);
    scratch_.resize(d);
    for (std::uint32_t i = 0; i < n; ++i) {
        members_.push_back({.life = Life(settings_.lives, settings_.seed, i),
                            .batches = Stream(settings_.seed, i, Purpose::samples)});
        members_[i].steps.resize(d);
        members_[i].steps_before.resize(d);
        Holding held{0, std::vector<Mass>(d)};
        settings_.format.to_mass(1.0f, held.weight);
        for (std::size_t k = 0; k < d; ++k) {
            if (!settings_.format.to_mass(start[i * d + k], held.values[k]))
                return refuse({Code::mass_overflow, static_cast<std::int64_t>(k)}, "the start");
        }
        if (auto begun = begin(i, held.values, held.weight, -1, 0.0); !begun)
            return refuse(begun.error(), "the fleet's settings");
        if (auto set = set_timer(i, settings_.gap(members_[i].life) - 1, wake_up); !set)
            return refuse(set.error(), "the fleet's settings");
        members_[i].wake_up_set = true;
    }
    expected_ = book_->total();
    book_error_ = units_apart(all_mass(), expected_);
    for (int k = 0; k < s.times; ++k) {
        const Time at = s.at > 0 ? s.at : 1 + static_cast<Time>(draws_.below(static_cast<std::uint32_t>(s.before)));
        if (auto set = set_timer(0, at, kill); !set) return refuse(set.error(), "network.gone_at");
    }
    return {};
}

PushSumSettings AbsentGossip::network_settings(std::uint32_t i) const {
    return {.node = i,
            .nodes = nodes(),
            .dimension = dimension(),
            .in_neighbours = graph_.in(i),
            .out_degree = static_cast<std::uint32_t>(graph_.out(i).size()),
            .format = settings_.format,
            .largest_value = settings_.largest_value,
            .weight_floor = settings_.weight_floor,
            .edges_close = true,
            .outstanding_limit = settings_.absences.outstanding_limit,
            .step_ratio_limit = settings_.step_ratio_limit,
            .reclaims = settings_.absences.reclaims};
}

/// A machine of this epoch that holds so much.
Result<void> AbsentGossip::begin(std::uint32_t i, std::span<const Mass> held, Mass weight, std::int64_t tick,
                                 double owed) {
    const PushSumSettings network = network_settings(i);
    auto memory = std::make_unique<HostMemory>(
        ParsPush<>::memory(network.dimension, network.in_neighbours.size(), network.closable(), network.reclaims));
    Arena arena(memory->bytes());
    auto made =
        ParsPush<>::carry_over({.network = network, .theta = settings_.theta}, held, weight, tick, owed, arena);
    if (!made) return tl::unexpected(made.error());
    Member& member = members_[i];
    member.heard_from.assign(network.in_neighbours.begin(), network.in_neighbours.end());
    member.heard_by = network.out_degree;
    member.node.emplace(*std::move(made));
    member.memory = std::move(memory);
    store(i);
    return {};
}

void AbsentGossip::store(std::uint32_t i) {
    Member& member = members_[i];
    const auto state = member.node->state();
    member.stored.assign(state.begin(), state.end());
    member.stored_steps = member.steps;
}

std::uint32_t AbsentGossip::edge(std::uint32_t from, std::uint32_t to) const {
    return *graph_.find(from, to) - graph_.first_out(from);
}

// what happens

void AbsentGossip::calm_down() {
    calm_ = true;
    for (std::uint32_t link = 0; link < everybody_.edges(); ++link) (void)network_->set_profile(link, {});
}

Outcome<void> AbsentGossip::run(Time until, const std::function<void()>& after_event) {
    simulation::Event event;
    while (true) {
        if (!calm_ && until >= settings_.calm_from && !network_->next(event, settings_.calm_from - 1)) {
            calm_down();
            continue;
        }
        if ((calm_ || until < settings_.calm_from) && !network_->next(event, until)) return {};
        if (auto served = serve(event); !served)
            return tl::unexpected(diverged(served.error(), event.node, now(), settings_.largest_value));
        event.payload = {};
        if (after_event) after_event();
        if (!turn_due()) continue;
        if (auto turned = turn(); !turned) return turned;
        if (after_event) after_event();
    }
}

Result<void> AbsentGossip::serve(const simulation::Event& event) {
    if (event.kind == simulation::Event::Kind::delivery) return deliver(event);
    Member& member = members_[event.node];
    const auto argument = static_cast<std::uint32_t>(event.tag >> 8);
    switch (static_cast<Timer>(event.tag & 0xff)) {
        case wake_up:
            member.wake_up_set = false;
            if (!member.up || !member.holds()) return {};
            if (closing_) return set_wake_up(event.node);
            return wake(event.node);
        case kill:
            return kill_some();
        case come_back:
            return bring_back(event.node);
        case notice:
            if (member.up && member.holds()) choose_edges(event.node);
            return {};
        case give_up:
            if (member.up || !member.holds() || argument != member.absences) return {};
            member.fenced = true;
            closing_ = true;
            return {};
    }
    return {};
}

Result<void> AbsentGossip::deliver(const simulation::Event& event) {
    Member& member = members_[event.node];
    const std::span<const Mass> words = event.payload.as<Mass>();
    const std::span<const Mass> values = words.first(words.size() - trailer);
    const Mass weight = words[values.size()], kappa = words[values.size() + 1], epoch = words[values.size() + 2];
    if (!member.up || !member.holds() || epoch != static_cast<Mass>(book_->epoch())) return {};
    if (event.tag == confirmation_tag) return member.node->confirm(edge(event.node, event.from), kappa, weight);
    const auto receipt =
        member.node->receive({.sender = event.from, .kappa = kappa, .values = values, .weight = weight});
    if (!receipt) return tl::unexpected(receipt.error());
    return {};
}

Result<void> AbsentGossip::set_wake_up(std::uint32_t i) {
    Member& member = members_[i];
    if (std::exchange(member.wake_up_set, true)) return {};
    const Time next = now() + settings_.gap(member.life);
    return set_timer(i, (calm_ ? next : member.life.awake_from(next)) - now(), wake_up);
}

Result<void> AbsentGossip::wake(std::uint32_t i) {
    Member& member = members_[i];
    if (member.node->tick() >= now()) return set_wake_up(i);  // it began this epoch in this tick
    member.node->estimate(z_);
    for (std::size_t k = 0; k < z_.size(); ++k) {
        if (!(std::abs(z_[k]) <= settings_.largest_value))
            return fail(Code::mass_overflow, static_cast<std::int64_t>(k));
    }
    const bool learns = learner_of_ != nullptr && now() < settings_.learn_until;
    if (learns) {
        Learner& learner = learner_of_(i, 0);
        counters_.gradients += learner.given(z_, member.batches);
        counters_.gradients += learner.gradient(z_, member.batches, gradient_);
    }
    const auto woken = member.node->wake(now(), learns ? ConstVector<float>(gradient_) : ConstVector<float>());
    if (!woken) return tl::unexpected(woken.error());
    ++counters_.wake_ups;
    counters_.waits += woken->waited;
    counters_.withheld += woken->withheld;
    if (woken->step_size != 0.0f) {
        for (std::size_t k = 0; k < gradient_.size(); ++k) {
            Mass step = 0;
            settings_.format.to_mass(woken->step_size * gradient_[k], step);
            member.steps[k] = add_wrapped(member.steps[k], step);
            expected_.values[k] = subtract_wrapped(expected_.values[k], step);
        }
    }
    store(i);
    if (auto said = speak(i); !said) return said;
    return set_wake_up(i);
}

/// Shares to all whose edge is open, and a confirmation to all that were heard, as of the state that is stored.
Result<void> AbsentGossip::speak(std::uint32_t i) {
    const ParsPush<>& node = *members_[i].node;
    const auto out = graph_.out(i), in = graph_.in(i);
    for (std::uint32_t k = 0; k < out.size(); ++k) {
        if (node.edge_closed(k)) continue;
        const Share<Mass> share = node.share_to(k, scratch_);
        if (auto said = say(i, out[k], share_tag, share.values, share.weight, share.kappa); !said) return said;
    }
    for (std::size_t k = 0; k < in.size(); ++k) {
        if (node.heard(k) < 0) continue;
        if (auto said = say(i, in[k], confirmation_tag, {}, node.heard_weight(k), node.heard(k)); !said)
            return said;
    }
    return {};
}

Result<void> AbsentGossip::say(std::uint32_t from, std::uint32_t to, std::uint64_t tag,
                               std::span<const Mass> values, Mass weight, std::int64_t kappa) {
    auto payload = network_->allocate((values.size() + trailer) * sizeof(Mass));
    if (!payload) return tl::unexpected(payload.error());
    const std::span<Mass> words = payload->writable<Mass>();
    std::copy(values.begin(), values.end(), words.begin());
    words[values.size()] = weight;
    words[values.size() + 1] = kappa;
    words[values.size() + 2] = book_->epoch();
    return network_->send(from, to, *payload, tag);
}

// who is there

Result<void> AbsentGossip::kill_some() {
    std::vector<std::uint32_t> there;
    std::uint32_t holders = 0;
    for (std::uint32_t i = 0; i < nodes(); ++i) {
        if (!members_[i].up) continue;
        there.push_back(i);
        holders += members_[i].holds();
    }
    // Two are left that hold mass: without any there is nothing to go on with.
    auto wanted = static_cast<std::uint32_t>(settings_.absences.share * static_cast<float>(nodes()) + 0.5f);
    while (wanted > 0 && !there.empty()) {
        const std::uint32_t at = draws_.below(static_cast<std::uint32_t>(there.size()));
        const std::uint32_t i = there[at];
        there.erase(there.begin() + at);
        if (members_[i].holds() && holders <= 2) continue;
        holders -= members_[i].holds();
        --wanted;
        if (auto out = put_out(i); !out) return out;
    }
    return {};
}

Result<void> AbsentGossip::put_out(std::uint32_t i) {
    Member& member = members_[i];
    const AbsenceSettings& s = settings_.absences;
    ++counters_.crashes;
    ++member.absences;
    member.up = false;
    if (member.holds()) {
        // What it did since it stored its state is nowhere but in its memory.
        if (auto restored = member.node->restore(member.stored); !restored) return restored;
        for (std::size_t k = 0; k < member.steps.size(); ++k)
            expected_.values[k] =
                add_wrapped(expected_.values[k], subtract_wrapped(member.steps[k], member.stored_steps[k]));
        member.steps = member.stored_steps;
        if (auto told = tell_all(); !told) return told;
        if (auto set = set_timer(i, s.removal, give_up, member.absences); !set) return set;
    }
    if (s.longest == 0 || draws_.uniform() < s.stays) return {};
    return set_timer(i, 1 + static_cast<Time>(draws_.below(static_cast<std::uint32_t>(s.longest))), come_back);
}

/// Everybody finds out who is there, each after a while: an edge to who is gone closes, and so does one over which
/// nothing could come back.
Result<void> AbsentGossip::tell_all() {
    components_.clear();
    for (std::uint32_t i = 0; i < nodes(); ++i) {
        const auto after = 1 + draws_.below(static_cast<std::uint32_t>(settings_.absences.noticed));
        if (auto set = set_timer(i, after, notice); !set) return set;
    }
    return {};
}

void AbsentGossip::choose_edges(std::uint32_t i) {
    if (components_.empty()) {
        std::vector<std::uint8_t> there;
        for (const Member& member : members_) there.push_back(member.up && member.holds());
        components_ = strong_components(graph_, there);
    }
    const auto out = graph_.out(i);
    for (std::uint32_t k = 0; k < out.size(); ++k) {
        const bool open = components_[i] != absent && components_[i] == components_[out[k]];
        open ? members_[i].node->open_edge(k) : members_[i].node->close_edge(k);
    }
}

Result<void> AbsentGossip::bring_back(std::uint32_t i) {
    Member& member = members_[i];
    member.up = true;
    if (member.holds() && draws_.uniform() < settings_.absences.forgets) member.fenced = true;
    if (!member.holds()) {
        closing_ = true;  // it begins with the next epoch
        return {};
    }
    // Until it knows who is there.
    for (std::uint32_t k = 0; k < graph_.out(i).size(); ++k) member.node->close_edge(k);
    if (auto told = tell_all(); !told) return told;
    return set_wake_up(i);
}

// what is so

Holding AbsentGossip::all_mass() const {
    Holding total{0, std::vector<Mass>(dimension())};
    for (const Member& member : members_) {
        if (member.in) member.node->add_mass(total.values, total.weight);
    }
    return total;
}

std::optional<std::uint64_t> AbsentGossip::mass_error() const {
    return std::max(book_error_, units_apart(all_mass(), expected_));
}

std::vector<float> AbsentGossip::mean() const {
    const Holding total = all_mass();
    std::vector<float> mean;
    for (const Mass mass : total.values)
        mean.push_back(static_cast<float>(mass) / static_cast<float>(total.weight));
    return mean;
}

double AbsentGossip::bytes_per_node() const {
    double bytes = 0;
    for (const Member& member : members_)
        bytes += static_cast<double>(member.node->state().size() + member.stored.capacity() + sizeof(Member));
    return bytes / static_cast<double>(members_.size());
}

}  // namespace dunlin
