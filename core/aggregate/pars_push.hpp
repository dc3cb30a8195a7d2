// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/aggregate/push_sum.hpp"
#include "core/math.hpp"

namespace dunlin {

/// theta(r), the step size that belongs to one tick: constant, or scale / (r + offset).
struct StepSchedule {
    double scale = 0.01;
    double offset = 0.0;  ///< 0: constant; 50 to 100 keeps the first steps of a decaying schedule small

    constexpr double at(std::int64_t tick) const {
        return offset > 0.0 ? scale / (static_cast<double>(tick) + offset) : scale;
    }

    /// The sum of theta(r) for r = first..last. Beyond a thousand terms 1/x is integrated instead of summed, by the
    /// midpoint rule, which errs by less than 1e-7 of the sum.
    double sum(std::int64_t first, std::int64_t last) const {
        if (last < first) return 0.0;
        if (!(offset > 0.0)) return scale * static_cast<double>(last - first + 1);
        const std::int64_t summed = last - first < terms ? last : first + terms - 1;
        double total = 0.0;
        for (std::int64_t r = first; r <= summed; ++r) total += at(r);
        if (summed == last) return total;
        const double from = static_cast<double>(summed) + 0.5 + offset,
                     to = static_cast<double>(last) + 0.5 + offset;
        return total + scale * static_cast<double>(portable::log(static_cast<float>(to / from)));
    }

    static constexpr std::int64_t terms = 1000;
};

struct ParsPushSettings {
    PushSumSettings network = {};
    StepSchedule theta = {};
    std::int64_t longest_gap = 0;  ///< Gamma_w: most ticks that one step makes up for; 0: no cap
};

/// PARS-Push, Algorithm 1 (Toghani, Lee and Uribe 2023), one node. Between `estimate` and `wake` the caller
/// computes lines 5-11, a stochastic gradient of its personalised objective at z, by any adaptation: multi-step
/// MAML is the paper's, plain makes it robust asynchronous gradient push (RASGP, Spiridonoff et al. 2020), the
/// Moreau envelope serves as well.
///
///     eta(t) = sum of theta(r), r = kappa + 1 .. t     every missed tick counts, up to `longest_gap` (line 4)
///
/// A wake-up without a gradient takes no step and makes up for none. The step acts on x, so on z as eta/y: nodes
/// with a small y take large steps, and where losses in a row are not bounded, `weight_floor` near 0.01 keeps them
/// sane.
template <class M = ExactMass, Exchange exchange = Exchange::running_sums>
class ParsPush : public PushSum<M, exchange> {
    using Base = PushSum<M, exchange>;

public:
    using typename Base::Value;

    /// Errors: those of PushSum::make; bad_setting for a schedule or gap that is negative or not finite.
    static Result<ParsPush> make(const ParsPushSettings& settings, ConstVector<float> start, Arena& arena) {
        const StepSchedule& theta = settings.theta;
        if (!(theta.scale >= 0.0 && theta.scale < 0x1p62 && theta.offset >= 0.0 && theta.offset < 0x1p62)) {
            return fail(Code::bad_setting, 1);
        }
        if (settings.longest_gap < 0) return fail(Code::bad_setting, 2);
        return Base::make(settings.network, start, arena).map([&](Base&& node) {
            return ParsPush(std::move(node), theta, settings.longest_gap);
        });
    }

    /// eta(t), the step size of a wake-up at `tick`.
    float step_size(std::int64_t tick) const {
        const std::int64_t missed = this->tick() + 1;
        const std::int64_t first = longest_gap_ > 0 ? std::max(missed, tick - longest_gap_ + 1) : missed;
        return static_cast<float>(theta_.sum(first, tick));
    }

    /// Lines 4 and 11-24. Errors: those of PushSum::wake.
    Result<Woken<Value>> wake(std::int64_t tick, ConstVector<float> gradient) {
        return Base::wake(tick, gradient.empty() ? 0.0f : step_size(tick), gradient);
    }

private:
    ParsPush(Base&& node, const StepSchedule& theta, std::int64_t longest_gap)
        : Base(std::move(node)), theta_(theta), longest_gap_(longest_gap) {}

    StepSchedule theta_;
    std::int64_t longest_gap_;
};

/// Stochastic gradient push on the same machine: plain shares, so a lost message takes its mass with it and the
/// nodes no longer agree on the true mean (Assran et al. 2019 assume that nothing is lost).
using StochasticGradientPush = ParsPush<ExactMass, Exchange::plain_shares>;

static_assert(GossipNode<ParsPush<>> && GossipNode<StochasticGradientPush> && GossipNode<ParsPush<FloatMass>>);

}  // namespace dunlin
