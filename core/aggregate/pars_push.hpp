// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/aggregate/push_sum.hpp"
#include "core/aggregate/step_schedule.hpp"

namespace dunlin {

struct ParsPushSettings {
    PushSumSettings network = {};
    StepSchedule theta = {};
};

/// PARS-Push, Algorithm 1 (Toghani, Lee and Uribe 2023), one node. Between `estimate` and `wake` the caller
/// computes lines 5-11, a stochastic gradient of its personalised objective at z, by any adaptation: multi-step
/// MAML is the paper's, plain makes it robust asynchronous gradient push (RASGP, Spiridonoff et al. 2020), the
/// Moreau envelope serves as well.
///
///     eta(t) = sum of theta(r), r = kappa + 1 .. t     every missed tick counts, up to its longest_gap (line 4)
///
/// A wake-up without a gradient takes no step and makes up for none. The step acts on x, so on z as eta/y: nodes
/// with a small y take large steps, and where losses in a row are not bounded, `weight_floor` near 0.01 keeps them
/// sane.
template <class M = ExactMass, Exchange exchange = Exchange::running_sums>
class ParsPush : public PushSum<M, exchange> {
    using Base = PushSum<M, exchange>;

public:
    using typename Base::Value;
    static constexpr bool exact = exchange == Exchange::running_sums;
    static constexpr GossipTraits traits{.name = exact ? "pars-push" : "sgp",
                                         .title = exact ? "PARS-Push" : "stochastic gradient push",
                                         .carries = "a weight",
                                         .holds_mass = true};
    static ParsPushSettings settings_at(const GossipPlace& at) {
        return {.network = {.node = at.node,
                            .nodes = at.nodes,
                            .dimension = at.dimension,
                            .in_neighbours = at.in_neighbours,
                            .out_degree = at.out_degree,
                            .format = at.format,
                            .largest_value = at.largest_value,
                            .weight_floor = at.weight_floor,
                            .step_ratio_limit = at.step_ratio_limit},
                .theta = at.theta};
    }

    /// Errors: those of PushSum::make; those of StepSchedule::check.
    static Result<ParsPush> make(const ParsPushSettings& settings, ConstVector<float> start, Arena& arena) {
        if (auto checked = settings.theta.check(); !checked) return tl::unexpected(checked.error());
        return Base::make(settings.network, start, arena).map([&](Base&& node) {
            return ParsPush(std::move(node), settings.theta);
        });
    }

    /// PushSum::carry_over with a schedule. Errors: its own; those of StepSchedule::check.
    static Result<ParsPush> carry_over(const ParsPushSettings& settings, std::span<const Value> held,
                                       Value held_weight, std::int64_t tick, double owed, Arena& arena) {
        if (auto checked = settings.theta.check(); !checked) return tl::unexpected(checked.error());
        return Base::carry_over(settings.network, held, held_weight, tick, owed, arena).map([&](Base&& node) {
            return ParsPush(std::move(node), settings.theta);
        });
    }

    /// PushSum::resume with a schedule. Errors: its own; those of StepSchedule::check.
    static Result<ParsPush> resume(const ParsPushSettings& settings, std::span<std::byte> block) {
        if (auto checked = settings.theta.check(); !checked) return tl::unexpected(checked.error());
        return Base::resume(settings.network, block).map([&](Base&& node) {
            return ParsPush(std::move(node), settings.theta);
        });
    }

    /// eta(t), the step size of a wake-up at `tick`.
    float step_size(std::int64_t tick) const { return theta_.after(this->tick(), tick); }

    /// Lines 4 and 11-24. Errors: those of PushSum::wake.
    Result<Woken<Value>> wake(std::int64_t tick, ConstVector<float> gradient) {
        return Base::wake(tick, gradient.empty() ? 0.0f : step_size(tick), gradient);
    }

private:
    ParsPush(Base&& node, const StepSchedule& theta) : Base(std::move(node)), theta_(theta) {}

    StepSchedule theta_;
};

/// Stochastic gradient push on the same machine: plain shares, so a lost message takes its mass with it and the
/// nodes no longer agree on the true mean (Assran et al. 2019 assume that nothing is lost).
using StochasticGradientPush = ParsPush<ExactMass, Exchange::plain_shares>;

static_assert(FleetNode<ParsPush<>> && FleetNode<StochasticGradientPush> && FleetNode<ParsPush<FloatMass>>);

}  // namespace dunlin
