// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/plans/job_plan.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace dunlin {

/// Push-sum mass: y and x.
struct Holding {
    Mass weight = 0;
    std::vector<Mass> values;

    void add(const Holding& other);
    void subtract(const Holding& other);
    /// Times 2^bits.
    void shift(int bits);
    bool empty() const { return values.empty(); }
    /// All zero?
    bool nothing() const;

    template <class Archive>
    void fields(Archive& archive) {
        archive(weight, values);
    }
};

/// What a frozen member says that it holds.
struct MassStatement {
    std::int64_t tick = -1;  ///< of its last share
    Holding held;
    std::vector<Mass> steps;  ///< sum of its steps since the job began, if the job's audit is on
    std::uint16_t wire = 0;   ///< version that the member speaks; 0: of a store that did not say

    bool given() const { return !held.empty(); }
    template <class Archive>
    void fields(Archive& archive) {
        archive(tick, held, steps);
    }
};

/// One epoch of the graph, balanced when it was over.
struct LedgerEntry {
    std::uint32_t epoch = 0;
    std::vector<std::uint32_t> gone;    ///< members whose mass went with them
    std::vector<std::uint32_t> left;    ///< members who handed theirs on
    std::vector<std::uint32_t> joined;  ///< members who begin anew, each with weight 1 at the mean
    Holding before;                     ///< of all members, when the epoch began
    Holding after = {};                 ///< what those who are there hold, handed on or not
    /// What `gone` held, was given and had given that never arrived: before - steps - after. Without audit only the
    /// weight is known, and the values are empty. Steps that `gone` took count as lost.
    Holding lost = {};
    /// The next epoch begins with all that members hold, and were granted, times 2^shift: weight does not shrink
    /// from loss to loss.
    int shift = 0;
    /// Weight, or with audit a value, was made or is missing although nobody went: somebody's sums, statement or link
    /// lies.
    bool balances = true;
};

/// The books of a push-sum job's mass: who holds what between two epochs of the graph, and the graph. Members of a job
/// whose machines say floats state their parameters, each as mass of weight 1: then the mean is theirs, what leaves
/// is nobody's, and nothing counts as lost.
class MassBook {
public:
    /// Epoch 1: all members begin with weight 1 at plan.first or, if there are any, each at its own of `starts`
    /// (one after the other). Errors: those of the graph.
    static Result<MassBook> make(const JobPlan& plan, std::span<const float> starts = {});

    std::uint32_t epoch() const { return epoch_; }
    /// The one before it; 0: none.
    std::uint32_t epoch_before() const { return epoch_before_; }
    /// Numbers that the next epoch skips: they may have been given already, where nobody here knows of it.
    std::uint32_t skip() const { return skip_; }
    void set_epochs(std::uint32_t before, std::uint32_t skip) {
        epoch_before_ = before;
        skip_ = skip;
    }
    /// By member number; those who are not in the epoch have no edges.
    const Graph& graph() const { return graph_; }
    /// x over y of all mass, when it was last known: where new members begin, and what the job has learned.
    ConstVector<float> mean() const { return mean_; }
    const Holding& total() const { return total_; }
    /// Lost in all epochs.
    const Holding& lost() const { return lost_; }
    /// Epochs whose books did not balance.
    std::uint32_t unbalanced() const { return unbalanced_; }
    void set_unbalanced(std::uint32_t epochs) { unbalanced_ = epochs; }
    /// Powers of two that members multiply by what they hold as they begin this epoch.
    int shift() const { return shift_; }

    /// Somebody who takes no part in this epoch, with the next number. Errors: those of the graph.
    Result<void> add_member() {
        statements_.emplace_back();
        steps_before_.emplace_back();
        return link();
    }

    /// By rounds: how many were done before this epoch, by whoever was furthest. Neighbours are at most a round apart:
    /// who says that it is further from the others than they can be is taken for as far as they can be.
    std::int64_t first_round() const { return first_round_; }
    void set_first_round(std::int64_t round) { first_round_ = round; }

    const MassStatement& statement(std::uint32_t member) const { return statements_[member]; }
    void state(std::uint32_t member, MassStatement statement) { statements_[member] = std::move(statement); }

    /// What member `grantee()` is to take over when it begins this epoch.
    std::optional<std::uint32_t> grantee() const { return grantee_; }
    const Holding& grant() const { return grant_; }

    /// All of `staying` and `leaving` (ascending) have made their statements: balances the epoch, and begins the
    /// next one among `staying` and `joining`, unless the job is over.
    LedgerEntry turn(const JobPlan& plan, std::span<const std::uint32_t> staying,
                     std::span<const std::uint32_t> leaving, std::span<const std::uint32_t> joining,
                     std::span<const std::uint32_t> gone, bool over);

    template <class Archive>
    void fields(Archive& archive) {
        archive(epoch_, statements_, steps_before_, total_, lost_, grantee_, grant_, mean_, from_, to_);
    }
    template <class Archive>
    void later_fields(Archive& archive) {
        archive(shift_);
        for (MassStatement& statement : statements_) archive(statement.wire);
    }
    /// After loading: does it fit so many members of so many parameters?
    bool fits(std::size_t members, std::size_t dimension) const;
    /// After loading. Errors: those of the graph.
    Result<void> link();

private:
    Result<void> draw_graph(const JobPlan& plan, std::span<const std::uint32_t> members);
    int common_shift(const JobPlan& plan, std::span<const std::uint32_t> staying, std::size_t joining,
                     const Holding& granted) const;

    std::uint32_t epoch_ = 1, epoch_before_ = 0, skip_ = 0;
    std::vector<MassStatement> statements_;        ///< by member; empty until given
    std::vector<std::vector<Mass>> steps_before_;  ///< by member, when the epoch began
    Holding total_, lost_, grant_;
    std::optional<std::uint32_t> grantee_;
    std::vector<float> mean_;
    std::vector<std::uint32_t> from_, to_;  ///< the graph's edges
    int shift_ = 0;
    std::uint32_t unbalanced_ = 0;
    std::int64_t first_round_ = 0;
    Graph graph_;
};

}  // namespace dunlin
