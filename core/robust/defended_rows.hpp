// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/aggregate/server_rules.hpp"
#include "core/robust/defence.hpp"

#include <concepts>
#include <cstdint>
#include <type_traits>

namespace dunlin {

/// What a gathering server (FederatedServer) keeps where members may lie: every update, which a defence then sums up. With
/// momentum what is summed is each member's own history,
///
///     m_i := momentum m_i + (1 - momentum) c_i Delta_i
///
/// which is worker momentum (Karimireddy, He, Jaggi 2021) where everybody takes part in every round: a member can change
/// its own history alone, and the server need not trust it to keep that.
///
/// A round of too few members for the defence (Defence::holds_for) changes nothing and is counted.
class DefendedRows {
public:
    struct Settings {
        Defence defence;
        std::uint64_t seed = 0;  ///< of the buckets
    };
    /// Whose a row is, and of how many updates.
    struct Owner {
        std::uint32_t node, updates;
    };
    static constexpr std::uint64_t kind = 1;
    static constexpr std::size_t memory(std::size_t dimension, std::size_t nodes) {
        return Arena::bytes<std::uint64_t>(1) + Arena::bytes<Owner>(nodes) + Arena::bytes<float>(dimension) +
               2 * Arena::bytes<float>(dimension * nodes);
    }
    static constexpr std::size_t scratch(std::size_t dimension, std::size_t nodes) {
        return Defence::memory(dimension, nodes);
    }

    DefendedRows(const Settings& settings, std::size_t dimension, std::size_t nodes, Arena& state, Arena& scratch)
        : settings_(settings),
          undefended_(state.take<std::uint64_t>(1).data()),
          owners_(state.take<Owner>(nodes)),
          centre_(state.take<float>(dimension)),
          rows_{state.take<float>(dimension * nodes).data(), nodes, dimension},
          histories_{state.take<float>(dimension * nodes).data(), nodes, dimension},
          scratch_(Defence::scratch(dimension, nodes, scratch)) {}

    /// False: the member has an update among those that are gathered, and now the mean of both; or else one member alone
    /// could fill a buffer.
    bool add(std::uint32_t node, std::uint64_t gathered, float coefficient, float, ConstVector<float> values) {
        std::size_t slot = 0;
        while (slot < gathered && owners_[slot].node != node) ++slot;
        Owner& owner = owners_[slot];
        const bool first = slot == gathered;
        owner = {node, first ? 1 : owner.updates + 1};
        const Vector<float> row = rows_.row(slot), history = histories_.row(node);
        const float momentum = settings_.defence.momentum;
        for (std::size_t k = 0; k < values.size(); ++k) {
            history[k] = momentum * history[k] + (1.0f - momentum) * (coefficient * values[k]);
            row[k] = first ? history[k] : row[k] + (history[k] - row[k]) / static_cast<float>(owner.updates);
        }
        return first;
    }
    template <class Apply>
    bool take(std::uint64_t version, std::uint64_t gathered, double, Apply apply) {
        const auto count = static_cast<std::size_t>(gathered);
        if (!settings_.defence.holds_for(count)) {
            ++*undefended_;
            return false;
        }
        Stream random(settings_.seed, 0, Purpose::defence);
        random.seek_epoch(version);
        settings_.defence.combine({rows_.data, count, rows_.dimension}, random, centre_, scratch_);
        apply(1.0f, centre_);
        return true;
    }
    void continue_from(const DefendedRows& smaller) {
        *undefended_ = *smaller.undefended_;
        std::copy(smaller.owners_.begin(), smaller.owners_.end(), owners_.begin());
        std::copy(smaller.centre_.begin(), smaller.centre_.end(), centre_.begin());
        std::copy_n(smaller.rows_.data, smaller.rows_.count * rows_.dimension, rows_.data);
        std::copy_n(smaller.histories_.data, smaller.histories_.count * rows_.dimension, histories_.data);
    }

    /// Rounds that had too few members.
    std::uint64_t undefended() const { return *undefended_; }

private:
    Settings settings_;
    std::uint64_t* undefended_;
    std::span<Owner> owners_;  ///< of the rows that are gathered
    std::span<float> centre_;
    Rows rows_, histories_;
    RobustScratch scratch_;
};

/// The server of a rule whose sum bears liars; void where updates are not summed up several at a time.
template <class Rule>
struct DefendedServer {
    using Type = void;
};
template <class Rule>
requires(Rule::gathering != Gathering::nothing &&
         std::same_as<typename MachinesOf<Rule>::Server, FederatedServer<Rule>>) struct DefendedServer<Rule> {
    using Type = FederatedServer<Rule, DefendedRows>;
};
template <class Rule>
using DefendedServerOf = typename DefendedServer<Rule>::Type;
template <class Rule>
concept Defensible = !std::is_void_v<DefendedServerOf<Rule>>;

}  // namespace dunlin
