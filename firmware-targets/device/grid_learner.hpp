// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/adapt/maml.hpp"
#include "core/adapt/objective.hpp"
#include "core/arena.hpp"
#include "core/checksum.hpp"
#include "core/error.hpp"
#include "core/kernels/first_order.hpp"
#include "envs/grid_navigation.hpp"
#include "envs/grid_returns.hpp"
#include "hooks.h"
#include "node_objective.hpp"
#include "rl/adaptation.hpp"
#include "rl/policy_gradient_task.hpp"
#include "rl/probabilities.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace dunlin::device {

using GridPolicy = CategoricalPolicy<float>;
template <bool lean>
using GridPolicyTask = PolicyGradientTask<GridNavigation, GridPolicy, lean>;

/// A policy that a device adapts to its own navigation task by MEMRL's inner loop. `Exported` is the struct in the
/// file that `dunlin export RUN --format header` writes: a meta-policy, the settings of the loop, and a task. The
/// memory of a learner is in itself: declare it `constinit` and static, and sizeof tells its RAM.
///
/// With the same seed it goes through the same numbers as `dunlin adapt --kernels reference`, to the bit.
///
/// A learner of a node (`lean`) has next to no memory: it works where messages arrive, in a workspace that `lend`
/// gives it, and evaluates the policy twice for that.
template <class Exported, bool lean = false>
class GridLearner {
public:
    static constexpr GridPolicy policy{{Exported::shape, &first_order_kernels}};
    static constexpr std::size_t dimension = policy.parameters();
    static constexpr int states = Exported::rows * Exported::columns;
    static constexpr RolloutSettings rollout = [] {
        RolloutSettings settings = Exported::rollout;
        if (lean) settings.evaluation = Evaluation::per_state;
        return settings;
    }();

    /// Before `start`, of a lean learner: bytes in which it may leave anything during each call.
    void lend(std::span<std::byte> workspace) requires lean { workspace_ = workspace; }

    /// Builds the task's tables and takes the policy that was stored, or else the exported one. Errors:
    /// file_checksum (the exported numbers were damaged in flash), GridNavigation::make's.
    Result<void> start(std::uint64_t seed) {
        const std::uint32_t found = crc32(std::span<const float>(Exported::parameters));
        if (found != Exported::checksum) return fail(Code::file_checksum, found, Exported::checksum);
        Arena arena(memory_);
        const GridMap map(Exported::map, Exported::rows, Exported::columns);
        const Result<GridNavigation> environment = GridNavigation::make(map, Exported::task, arena);
        if (!environment) return tl::unexpected(environment.error());
        environment_ = *environment;
        if constexpr (lean) {
            task_.emplace(policy, rollout, limits(), arena, workspace_);
        } else {
            task_.emplace(policy, rollout, limits(), arena);
            scratch_ = arena.take<float>(dimension);
            workspace_ = arena.take<std::byte>(judging_bytes);
        }
        random_ = adaptation_stream(seed, Exported::number, Exported::epoch);
        if (!load()) std::copy(Exported::parameters.begin(), Exported::parameters.end(), stored_.personal.begin());
        task_->set_environment(environment_);
        return {};
    }

    /// One inner step on a batch of trajectories; returns the mean return of that batch.
    float step() requires(!lean) {
        const Vector<float> personal(stored_.personal);
        task_->draw(0, ConstVector<float>(personal), random_);
        const float mean = -task_->value(0, ConstVector<float>(personal));
        Exported::adaptation.template step<float>(*task_, ConstVector<float>(Exported::parameters), personal,
                                                  scratch_);
        return mean;
    }

    /// Can a job ask for this? A batch that serves several steps wants an export whose rollout is not `as_drawn`;
    /// exact MAML wants a batch of each inner step at once, which is more memory than a device has.
    static constexpr bool understands(Objective objective, const MoreauEnvelope& inner, const Maml& maml) {
        return objective == Objective::plain || (objective == Objective::maml && maml.first_order) ||
               (objective == Objective::moreau &&
                (inner.fresh_batches || inner.step_limit == 1 || lean || !rollout.as_drawn));
    }

    /// A gradient at w as a node of a fleet takes it: of the task itself (PersA-FL's option A), of first-order MAML
    /// (option B), or of the task's Moreau envelope (option C, MEMRL). What the inner loop ends at stays here.
    /// `pause` is called now and then.
    template <class Pause>
    void gradient(Objective objective, const MoreauEnvelope& inner, const Maml& maml, ConstVector<float> w,
                  Stream& random, Vector<float> out, Pause&& pause) {
        node_gradient(*task_, objective, inner, maml, w, random, Vector<float>(stored_.personal), out, pause);
    }

    /// What a node reports: the exact return over the optimal one after the inner loop from w, where `scratch` holds as
    /// many numbers as w.
    static constexpr std::array<std::string_view, 1> metrics() { return {"return_ratio"}; }
    template <class Pause>
    void measure(const MoreauEnvelope& inner, ConstVector<float> w, std::uint64_t seed, std::uint32_t member,
                 Vector<float> scratch, std::span<double> out, Pause&& pause) {
        Stream random(seed, member, Purpose::evaluate);
        personalise(*task_, inner, w, random, Vector<float>(stored_.personal), scratch, pause);
        out[0] = judge().expected_return / optimum();
    }

    /// The exact return of the policy as it is, and the best that any policy reaches.
    GridEvaluation judge() {
        Arena arena(workspace_);
        const std::span<double> probabilities = arena.take<double>(std::size_t{states} * move_count);
        const std::span<double> scratch = arena.take<double>(grid_scratch(states));
        action_probabilities(policy, environment_, ConstVector<float>(stored_.personal), arena, probabilities,
                             block);
        return evaluate_policy(environment_, probabilities, scratch);
    }
    double optimum() {
        Arena arena(workspace_);
        return optimal_return(environment_, arena.take<double>(grid_scratch(states)));
    }

    ConstVector<float> personal() const { return stored_.personal; }

    /// Keeps the policy across a reset, if the firmware has a place to keep it (hooks.h).
    bool save() {
        stored_.checksum = checksum();
        return dunlin_storage_write(&stored_, sizeof stored_) != 0;
    }
    /// Forgets what was learned.
    void forget() { std::copy(Exported::parameters.begin(), Exported::parameters.end(), stored_.personal.begin()); }

private:
    /// What is kept: of another meta-policy, or damaged, it is not taken.
    struct Stored {
        std::uint32_t checksum;  ///< over the meta-policy's checksum and the numbers
        std::array<float, dimension> personal;
    };

    static constexpr RolloutLimits limits() {
        return {.horizon = Exported::task.horizon, .observations = 2, .states = states};
    }
    static constexpr int block = lean ? column_multiple : all_states;
    static constexpr std::size_t judging_bytes = Arena::bytes<double>(std::size_t{states} * move_count) +
                                                 Arena::bytes<double>(grid_scratch(states)) +
                                                 probability_bytes(Exported::shape, 2, states, block);
    static constexpr std::size_t memory_bytes =
        GridNavigation::bytes(states) + GridPolicyTask<lean>::bytes(policy, rollout, limits()) +
        (lean ? 0 : Arena::bytes<float>(dimension) + Arena::bytes<std::byte>(judging_bytes));

public:
    /// What a lean learner is to be lent.
    static constexpr std::size_t workspace_bytes =
        lean ? std::max(GridPolicyTask<lean>::workspace_bytes(policy, rollout, limits()), judging_bytes) : 0;

private:
    std::uint32_t checksum() const { return crc32(std::span<const float>(stored_.personal), Exported::checksum); }
    bool load() { return dunlin_storage_read(&stored_, sizeof stored_) != 0 && stored_.checksum == checksum(); }

    alignas(Arena::alignment) std::byte memory_[memory_bytes]{};
    Stored stored_{};
    GridNavigation environment_{};
    std::optional<GridPolicyTask<lean>> task_{};
    std::span<float> scratch_{};
    std::span<std::byte> workspace_{};  ///< of exact evaluation, or lent for all that is done
    Stream random_{};
};

}  // namespace dunlin::device
