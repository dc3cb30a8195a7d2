// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/aggregate/server.hpp"
#include "core/aggregate/state_block.hpp"
#include "core/arena.hpp"
#include "core/finite.hpp"
#include "core/flat_kernels.hpp"

#include <algorithm>
#include <cassert>
#include <type_traits>

namespace dunlin {

/// How a gathering server keeps what it gathers: as one sum.
class WeightedSum {
public:
    struct Settings {};
    static constexpr std::size_t memory(std::size_t dimension, std::size_t) {
        return Arena::bytes<float>(dimension);
    }
    static constexpr std::size_t scratch(std::size_t, std::size_t) { return 0; }
    static constexpr std::uint64_t kind = 0;

    WeightedSum(const Settings&, std::size_t dimension, std::size_t, Arena& state, Arena&)
        : sum_(state.take<float>(dimension)) {}

    /// One update: of the server's coefficient, and of the weight of its member. False: it does not count as one more.
    bool add(std::uint32_t, std::uint64_t, float coefficient, float mass, ConstVector<float> values) {
        flat_kernels().add_scaled(coefficient * mass, values.data(), sum_.data(), sum_.size());
        return true;
    }
    /// Calls apply(scale, vector), where scale times the vector is the sum, and forgets it. False: there is nothing to
    /// apply, in spite of `gathered` updates.
    template <class Apply>
    bool take(std::uint64_t, std::uint64_t, double mass, Apply apply) {
        apply(static_cast<float>(1.0 / mass), sum_);
        std::fill(sum_.begin(), sum_.end(), 0.0f);
        return true;
    }
    void continue_from(const WeightedSum& smaller) {
        std::copy(smaller.sum_.begin(), smaller.sum_.end(), sum_.begin());
    }

private:
    std::span<float> sum_;
};

/// The one server behind every rule. With a rule that gathers nothing, an update changes the model as it arrives
/// (PersA-FL, Algorithm 1, lines 3-5; c is the rule's coefficient):
///
///     w := w - c Delta          for differences
///     w := w + c (w_i - w)      for models
///
/// With one that gathers, the mean of the gathered differences does, all at once:
///
///     w := w - sum over updates of c_i m_i Delta_i / sum of m_i      m_i: 1, or in rounds the client's samples
///
/// Either way the version t grows by one. An update (node, incarnation, sequence) is taken at most once, and one
/// that is stale, from the future, of the wrong size, not finite or too large never reaches the model (invariants
/// 7, 9).
///
/// The state is one block of the caller's arena: header, one record a node, the model and, if the rule gathers, what
/// was gathered: a sum, or with DefendedRows (core/robust/defended_rows.hpp) in its place all updates, which a sum that
/// bears liars then makes one of. Movable, not copyable.
template <ServerRule Rule, class Gathered = WeightedSum>
class FederatedServer {
    /// Nothing is kept where nothing is gathered.
    struct NoSum {
        NoSum(const typename Gathered::Settings&, std::size_t, std::size_t, Arena&, Arena&) {}
        static constexpr std::uint64_t kind = 0;
    };

public:
    static constexpr bool gathers = Rule::gathering != Gathering::nothing;
    static constexpr bool rounds = Rule::gathering == Gathering::participants;
    static_assert(!gathers || Rule::payload == Payload::difference);
    using Sum = std::conditional_t<gathers, Gathered, NoSum>;

    static constexpr std::size_t staleness_bins = 64;
    static constexpr std::size_t moments = [] {
        if constexpr (requires { Rule::moments; }) return std::size_t{Rule::moments};
        return std::size_t{0};
    }();
    static_assert(moments == 0 || gathers);

    static constexpr std::size_t memory(std::size_t dimension, std::size_t nodes) {
        return state_size(dimension, nodes) + (gathers ? Gathered::scratch(dimension, nodes) : 0);
    }

    /// Errors: bad_setting, those of the rule, shape_mismatch and not_finite (of the first model).
    static Result<FederatedServer> make(const ServerSettings& settings, const Rule& rule, ConstVector<float> model,
                                        Arena& arena, const typename Gathered::Settings& gathered = {}) {
        if (settings.nodes == 0) return fail(Code::bad_setting, 0);
        if (settings.dimension == 0) return fail(Code::bad_setting, 1);
        if (!(settings.component_limit > 0.0f && settings.component_limit <= largest_finite)) {
            return fail(Code::bad_setting, 3);
        }
        if (auto checked = rule.check(settings.nodes); !checked) return tl::unexpected(checked.error());
        if (auto fit = check_finite(model, settings.dimension); !fit) return tl::unexpected(fit.error());
        FederatedServer server(settings, rule, gathered, arena);
        std::copy(model.begin(), model.end(), server.model_.begin());
        return server;
    }

    FederatedServer(FederatedServer&&) = default;
    FederatedServer& operator=(FederatedServer&&) = default;

    ConstVector<float> model() const { return model_; }
    /// What a client is sent: the model.
    ConstVector<float> download() const { return model_; }
    std::uint64_t version() const { return header_->version; }
    /// What it gathers with.
    const Sum& gathering() const { return sum_; }
    Sum& gathering() { return sum_; }
    /// Updates gathered since the model last changed.
    std::uint32_t gathered() const { return static_cast<std::uint32_t>(header_->gathered); }
    /// How many updates that were taken had staleness 0, 1, ...; the last bin counts all larger ones.
    std::span<const std::uint64_t> staleness_counts() const { return header_->staleness; }

    /// Would `receive` take this update now? Its refusals.
    Result<void> check(const Update& update) const {
        const auto shown = [](std::uint64_t value) { return static_cast<std::int64_t>(value); };
        if (update.node >= members_.size()) return fail(Code::out_of_range, update.node, shown(members_.size()));
        if (!(update.samples > 0.0f && update.samples <= 1e9f)) return fail(Code::out_of_range, 0, 1000000000);
        if (update.values.size() != model_.size()) return wrong_size(update.values.size(), model_.size());
        const Member& member = members_[update.node];
        if (update.incarnation < member.incarnation ||
            (update.incarnation == member.incarnation && update.sequence <= member.sequence)) {
            return fail(Code::update_duplicate, shown(update.sequence), shown(member.sequence));
        }
        if (update.base_version > header_->version) {
            return fail(Code::update_from_future, shown(update.base_version), shown(header_->version));
        }
        const std::uint64_t staleness = staleness_of(update);
        if (staleness > staleness_limit_) {
            return fail(Code::update_too_stale, shown(staleness), shown(staleness_limit_));
        }
        if (rounds && member.awaited == 0) return fail(Code::not_a_participant, update.node);
        if (flat_kernels().any_beyond(update.values.data(), update.values.size(), component_limit_)) {
            const std::size_t bad = first_beyond(update.values, component_limit_);
            const bool finite = update.values[bad] - update.values[bad] == 0.0f;
            return fail(finite ? Code::update_too_large : Code::not_finite, shown(bad));
        }
        return {};
    }

    /// Takes or refuses one update. Refusals: out_of_range (node, samples), shape_mismatch, update_duplicate,
    /// update_from_future, update_too_stale, not_a_participant, not_finite, update_too_large. A refused update
    /// leaves the state as it was.
    Verdict receive(const Update& update) {
        const std::uint64_t staleness = staleness_of(update);
        if (auto fit = check(update); !fit) return {Reception::refused, fit.error(), staleness};
        members_[update.node].incarnation = update.incarnation;
        members_[update.node].sequence = update.sequence;
        ++header_->staleness[std::min<std::uint64_t>(staleness, staleness_bins - 1)];
        if constexpr (!gathers) {
            apply(rule_.coefficient(staleness), update.values);
            ++header_->version;
            return {Reception::applied, {}, staleness};
        } else {
            gather(update, rule_.coefficient(staleness));
            const bool due = rounds ? header_->awaited == 0 : header_->gathered == rule_.gather_count();
            if (due) flush();
            return {due ? Reception::applied : Reception::buffered, {}, staleness};
        }
    }

    /// Starts a round with these nodes, ascending; the model changes when all have delivered. Errors: round_open,
    /// bad_participants.
    Result<void> begin_round(std::span<const std::uint32_t> participants) requires rounds {
        if (header_->open != 0) return fail(Code::round_open, static_cast<std::int64_t>(header_->awaited));
        if (participants.empty()) return fail(Code::bad_participants);
        for (std::size_t i = 0; i < participants.size(); ++i) {
            if (participants[i] >= members_.size() || (i > 0 && participants[i] <= participants[i - 1])) {
                return fail(Code::bad_participants, static_cast<std::int64_t>(i));
            }
        }
        for (const std::uint32_t node : participants) members_[node].awaited = 1;
        header_->awaited = participants.size();
        header_->open = 1;
        return {};
    }

    /// Ends a round that waits for nodes which will not come, with the mean of what has come. Answers how many
    /// updates that were; with none the model stays as it is. Errors: round_closed.
    Result<std::uint32_t> close_round() requires rounds {
        if (header_->open == 0) return fail(Code::round_closed);
        const std::uint32_t delivered = gathered();
        for (Member& member : members_) member.awaited = 0;
        flush();
        return delivered;
    }

    /// Ends a round with the mean of updates of which nobody saw a single one: of these only node, incarnation and
    /// sequence are looked at. Errors: round_closed, shape_mismatch, out_of_range (node).
    Result<void> close_round_with(ConstVector<float> mean, std::span<const Update> delivered) requires rounds {
        if (header_->open == 0) return fail(Code::round_closed);
        if (mean.size() != model_.size()) return wrong_size(mean.size(), model_.size());
        for (const Update& update : delivered) {
            if (update.node >= members_.size())
                return fail(Code::out_of_range, update.node, static_cast<std::int64_t>(members_.size()));
        }
        for (const Update& update : delivered) {
            members_[update.node].incarnation = update.incarnation;
            members_[update.node].sequence = update.sequence;
        }
        header_->staleness[0] += delivered.size();
        for (Member& member : members_) member.awaited = 0;
        apply(rule_.coefficient(0), mean);
        ++header_->version;
        header_->gathered = header_->awaited = header_->open = 0;
        header_->mass = 0.0;
        return {};
    }

    /// A round for which nobody was drawn, of a sum that must not show that. Errors: round_open.
    Result<void> empty_round() requires rounds {
        if (header_->open != 0) return fail(Code::round_open, static_cast<std::int64_t>(header_->awaited));
        flush();
        return {};
    }

    bool round_running() const requires rounds { return header_->open != 0; }

    /// Goes on where a server of the same job with no more nodes is.
    void continue_from(const FederatedServer& smaller) {
        assert(smaller.members_.size() <= members_.size() && smaller.model_.size() == model_.size());
        std::uint64_t identity[identity_words];
        std::copy_n(header_->identity, identity_words, identity);
        *header_ = *smaller.header_;
        std::copy_n(identity, identity_words, header_->identity);
        std::copy(smaller.members_.begin(), smaller.members_.end(), members_.begin());
        std::copy(smaller.model_.begin(), smaller.model_.end(), model_.begin());
        if constexpr (gathers) sum_.continue_from(smaller.sum_);
        std::copy(smaller.moments_.begin(), smaller.moments_.end(), moments_.begin());
    }

    std::span<const std::byte> state() const { return state_; }
    /// Takes a state that the server of the same job stored. Errors: state_size, state_mismatch.
    Result<void> restore(std::span<const std::byte> saved) { return restore_block(state_, saved, identity_words); }

private:
    static constexpr std::size_t identity_words = 3;

    struct Header {
        std::uint64_t identity[identity_words];  ///< kind; nodes; dimension
        std::uint64_t version;
        std::uint64_t gathered, awaited, open;
        double mass;  ///< sum of m_i of what was gathered
        std::uint64_t staleness[staleness_bins];
    };
    struct Member {
        std::uint64_t sequence;
        std::uint32_t incarnation;
        std::uint32_t awaited;
    };

    static constexpr std::size_t state_size(std::size_t dimension, std::size_t nodes) {
        return Arena::bytes<Header>(1) + Arena::bytes<Member>(nodes) + Arena::bytes<float>(dimension) +
               (gathers ? Gathered::memory(dimension, nodes) : 0) + Arena::bytes<float>(moments * dimension);
    }

    FederatedServer(const ServerSettings& settings, const Rule& rule, const typename Gathered::Settings& gathered,
                    Arena& arena)
        : rule_(rule),
          staleness_limit_(rounds ? 0 : settings.staleness_limit),
          component_limit_(settings.component_limit),
          state_(arena.take<std::byte>(state_size(settings.dimension, settings.nodes))),
          block_(state_),
          header_(block_.take<Header>(1).data()),
          members_(block_.take<Member>(settings.nodes)),
          model_(block_.take<float>(settings.dimension)),
          sum_(gathered, settings.dimension, settings.nodes, block_, arena),
          moments_(block_.take<float>(moments * settings.dimension)) {
        const std::uint64_t kind = 0x46530001u + (static_cast<std::uint64_t>(Rule::gathering) << 8) +
                                   (static_cast<std::uint64_t>(Rule::payload) << 16) +
                                   (static_cast<std::uint64_t>(Sum::kind) << 24) +
                                   (static_cast<std::uint64_t>(moments) << 32);
        const std::uint64_t identity[identity_words] = {kind, settings.nodes, settings.dimension};
        std::copy_n(identity, identity_words, header_->identity);
    }

    std::uint64_t staleness_of(const Update& update) const {
        return header_->version >= update.base_version ? header_->version - update.base_version : 0;
    }

    void apply(float coefficient, ConstVector<float> values) {
        if constexpr (moments > 0) {
            rule_.move(model_, coefficient, values, moments_, header_->version);
        } else if constexpr (Rule::payload == Payload::difference) {
            flat_kernels().add_scaled(-coefficient, values.data(), model_.data(), model_.size());
        } else {
            for (std::size_t k = 0; k < model_.size(); ++k) model_[k] += coefficient * (values[k] - model_[k]);
        }
    }

    void gather(const Update& update, float coefficient) {
        const float mass = rounds ? update.samples : 1.0f;
        if (sum_.add(update.node, header_->gathered, coefficient, mass, update.values)) {
            header_->mass += static_cast<double>(mass);
            ++header_->gathered;
        }
        if (rounds) {
            members_[update.node].awaited = 0;
            --header_->awaited;
        }
    }

    /// A private sum says as much of a round in which nobody delivered.
    static constexpr bool releases_always = requires { Sum::releases_always; };

    void flush() {
        if (releases_always || header_->gathered > 0) {
            const bool applied = sum_.take(header_->version, header_->gathered, header_->mass,
                                           [&](float scale, ConstVector<float> values) { apply(scale, values); });
            if (applied) ++header_->version;
        }
        header_->gathered = header_->awaited = header_->open = 0;
        header_->mass = 0.0;
    }

    Rule rule_;
    std::uint64_t staleness_limit_;
    float component_limit_;
    std::span<std::byte> state_;
    Arena block_;  ///< of the state, from which the rest is taken in this order
    Header* header_;
    std::span<Member> members_;
    std::span<float> model_;
    Sum sum_;
    std::span<float> moments_;
};

}  // namespace dunlin
