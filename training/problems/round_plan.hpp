// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/simulation/any_fleet.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dunlin {

/// How models are made their nodes' own and judged.
struct Judging {
    Personalisation personal = {};
    int repeats = 1;                 ///< how often a model is made one's own, for the mean of their judgements
    std::uint64_t draws = 1u << 20;  ///< one judgement's room in a random stream
};

/// A fleet that lives by rounds: what it is and how it is shown, in place of a clock.
struct RoundPlan {
    FleetRecipe recipe = {};
    std::int64_t rounds = 0;    ///< of all
    std::int64_t learning = 0;  ///< the first of them, in which nodes learn
    int evaluate_every = 1;     ///< rounds from one row to the next
    std::vector<std::int64_t> moments =
        {};                    ///< instead, the rounds that a row follows, in order, the last of all too
    std::int64_t opening = 0;  ///< the first of them, which come before what length_key counts
    std::int64_t stage = 1;    ///< rounds that make one of those
    /// The run ends with the models of the row that has the largest of this metric, the first of equals, by its place
    /// among the problem's; none: with the last ones.
    std::optional<std::size_t> best_by = {};
    bool shares = true;  ///< false: there is nothing that nodes could agree on
    int tail = 0;        ///< at the end a node is judged by the median over so many last rounds; 0: it is not
    /// Of metrics.csv: a metric's key, or "run", "round" or "iteration", "stage", "inner_steps", "wake_ups",
    /// "task_gradients", "env_steps", "messages_lost", "consensus_error", or "node*_KEY" for a column for each node.
    std::vector<std::string> columns = {};
    std::string_view length_key = "method.rounds";
    std::string method = {};       ///< for summaries
    std::string aggregation = {};  ///< likewise, where it is a fleet's own
    std::string shared_is = {};    ///< for the model's file
    std::string advice = {};       ///< where a node diverges: "try a smaller method.step_scale"
};

}  // namespace dunlin
