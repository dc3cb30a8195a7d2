// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/random.hpp"
#include "python/native.hpp"
#include "rl/environment.hpp"
#include "rl/policy_gradient_task.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <pybind11/numpy.h>

namespace dunlin::python {

/// What all environments of a problem have in common.
struct CallbackSizes {
    int observations = 0;
    int actions = 0;  ///< how many there are, or of how many numbers one is
    int horizon = 0;
    float discount = 1.0f;
};

/// Copies of one environment that Python steps together, by the conventions of Gymnasium's vector environments: a
/// call back for all trajectories of a batch at once. What Python raises is kept, and a stop asked for; the trajectories
/// then end. Any thread may use it, one at a time.
class CallbackBatch {
public:
    /// Makes a vector environment of `count` copies.
    using Make = std::function<py::object(int count)>;
    CallbackBatch(Make make, CallbackSizes sizes, bool counted)
        : make_(std::move(make)), sizes_(sizes), counted_(counted) {}
    ~CallbackBatch();
    CallbackBatch(const CallbackBatch&) = delete;
    CallbackBatch& operator=(const CallbackBatch&) = delete;

    const CallbackSizes& sizes() const { return sizes_; }
    /// `count` trajectories begin, seeded by the stream.
    void begin(int count, Stream& random);
    std::int32_t next() { return next_++; }
    void propose(std::int32_t lane, int action);
    void propose(std::int32_t lane, const float* action, std::ptrdiff_t stride);
    /// Takes the step that was proposed for each.
    void commit();

    const float* observation(std::int32_t lane) const {
        return observations_.data() + static_cast<std::ptrdiff_t>(lane) * sizes_.observations;
    }
    float reward(std::int32_t lane) const { return rewards_[static_cast<std::size_t>(lane)]; }
    bool ended(std::int32_t lane) const { return ended_[static_cast<std::size_t>(lane)] != 0; }

private:
    void call(const std::function<void()>& python);
    void take_observations(const py::handle& from);
    void take(const py::handle& from, std::vector<float>& to, const char* what) const;

    Make make_;
    CallbackSizes sizes_;
    bool counted_;
    int count_ = 0;
    std::int32_t next_ = 0;
    py::object environment_;
    std::vector<float> observations_, rewards_, numbers_;
    std::vector<std::int64_t> actions_;
    std::vector<std::uint8_t> ended_;
};

/// The copies as an environment of Dunlin's: a state is the number of a copy. Of no use without a batch.
template <bool is_counted>
struct CallbackEnvironment {
    struct State {
        std::int32_t lane;
    };
    struct Step {
        float reward;
        bool ended;
    };

    std::shared_ptr<CallbackBatch> batch;

    int horizon() const { return batch->sizes().horizon; }
    float discount() const { return batch->sizes().discount; }
    int observation_size() const { return batch->sizes().observations; }
    int action_count() const requires is_counted { return batch->sizes().actions; }
    int action_size() const requires(!is_counted) { return batch->sizes().actions; }

    void begin(int count, Stream& random) const { batch->begin(count, random); }
    State reset(Stream&) const { return {batch->next()}; }
    void observe(const State& state, float* out, std::ptrdiff_t stride) const {
        const float* row = batch->observation(state.lane);
        for (int k = 0; k < observation_size(); ++k) out[k * stride] = row[k];
    }
    void commit() const { batch->commit(); }
    Step outcome(const State& state) const { return {batch->reward(state.lane), batch->ended(state.lane)}; }

    Step step(State& state, int action, Stream&) const requires is_counted {
        batch->propose(state.lane, action);
        return {};
    }
    Step step(State& state, const float* action, std::ptrdiff_t stride, Stream&) const requires(!is_counted) {
        batch->propose(state.lane, action, stride);
        return {};
    }
};

}  // namespace dunlin::python

namespace dunlin {

// Batches of these environments are drawn time step by time step: the policy chooses for all trajectories, and one call
// takes their steps.
template <>
void PolicyGradientTask<python::CallbackEnvironment<true>, CategoricalPolicy<float>>::draw(int slot,
                                                                                           ConstVector<float> w,
                                                                                           Stream& random);
template <>
void PolicyGradientTask<python::CallbackEnvironment<false>, GaussianPolicy<float>>::draw(int slot,
                                                                                         ConstVector<float> w,
                                                                                         Stream& random);

}  // namespace dunlin
