// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "envs/navigation_tasks.hpp"
#include "envs/point_navigation.hpp"
#include "python/native.hpp"
#include "rl/environment.hpp"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <pybind11/numpy.h>

namespace dunlin::python {

/// When an environment that has ended begins anew; Gymnasium's three modes.
enum class Autoreset : std::uint8_t {
    next_step,  ///< by the step after, whose action is not looked at and whose reward is 0
    same_step,  ///< at once; where it ended is `final_observations`
    disabled    ///< when it is asked to
};

/// Many copies of environments that step together, copy i in task i modulo the number of tasks. Arrays hold a row for
/// each and are the same ones at every step. For one thread at a time.
template <class E>
class VectorEnvironment {
public:
    static constexpr bool counted = DiscreteEnvironment<E>;
    using Action = std::conditional_t<counted, std::int64_t, float>;
    using Actions = py::array_t<Action, py::array::c_style | py::array::forcecast>;
    using Mask = py::array_t<bool, py::array::c_style | py::array::forcecast>;

    /// `held`: what the environments look into. `indices`: states' numbers are observed, where they can be.
    VectorEnvironment(std::vector<E> environments, std::shared_ptr<void> held, int count, Autoreset mode,
                      bool indices)
        : environments_(std::move(environments)),
          held_(std::move(held)),
          mode_(mode),
          indices_(indices),
          states_(size(count)),
          streams_(size(count)),
          steps_(size(count)),
          done_(size(count), 1),
          rewards_(count),
          terminated_(count),
          truncated_(count) {
        if (indices) {
            index_ = py::array_t<std::int64_t>(count);
            final_index_ = py::array_t<std::int64_t>(count);
        } else {
            const std::vector<py::ssize_t> shape{count, environments_.front().observation_size()};
            observations_ = py::array_t<float>(shape);
            final_ = py::array_t<float>(shape);
        }
        seed(0);
    }

    int count() const { return static_cast<int>(states_.size()); }
    const E& environment(int i) const { return environments_[size(i) % environments_.size()]; }
    const std::vector<E>& environments() const { return environments_; }

    py::array observations() const { return indices_ ? py::array(index_) : py::array(observations_); }
    py::array final_observations() const { return indices_ ? py::array(final_index_) : py::array(final_); }
    py::array rewards() const { return rewards_; }
    py::array terminated() const { return terminated_; }
    py::array truncated() const { return truncated_; }

    void seed(std::uint64_t seed) {
        for (int i = 0; i < count(); ++i)
            streams_[size(i)] = Stream(seed, static_cast<std::uint32_t>(i), Purpose::user);
    }

    /// All of them, or those that the mask names.
    void reset(const std::optional<Mask>& mask) {
        if (mask && mask->size() != count())
            throw Raised(Failure{fmt::format("reset_mask: {} values for {} environments", mask->size(), count())});
        const bool* chosen = mask ? mask->data() : nullptr;
        const Rows rows = this->rows();
        const py::gil_scoped_release release;
        for (int i = 0; i < count(); ++i) {
            if (chosen == nullptr || chosen[i]) begin(i, rows);
        }
    }

    /// Errors: actions that are too many, too few, or none.
    void step(const Actions& actions) {
        const int per = per_environment();
        if (actions.size() != static_cast<py::ssize_t>(count()) * per) {
            throw Raised(Failure{fmt::format("step: {} numbers of actions for {} environments, which take {} each",
                                             actions.size(), count(), per)});
        }
        const Action* action = actions.data();
        const Rows rows = this->rows();
        int wrong = -1;
        {
            const py::gil_scoped_release release;
            wrong = check(action);
            for (int i = 0; wrong < 0 && i < count(); ++i)
                step_one(i, action + static_cast<std::ptrdiff_t>(i) * per, rows);
        }
        if (wrong < 0) return;
        if (mode_ == Autoreset::disabled && done_[size(wrong)])
            throw Raised(Failure{fmt::format("step: environment {} has ended, or not begun; reset it", wrong)});
        throw Raised(Failure{fmt::format("step: environment {} has no such action", wrong)});
    }

private:
    struct Rows {
        std::int64_t *index, *final_index;
        float *observations, *final_observations, *rewards;
        bool *terminated, *truncated;
    };
    static std::size_t size(int n) { return static_cast<std::size_t>(n); }

    int per_environment() const {
        if constexpr (counted)
            return 1;
        else
            return environments_.front().action_size();
    }

    Rows rows() {
        return {indices_ ? index_.mutable_data() : nullptr,
                indices_ ? final_index_.mutable_data() : nullptr,
                indices_ ? nullptr : observations_.mutable_data(),
                indices_ ? nullptr : final_.mutable_data(),
                rewards_.mutable_data(),
                terminated_.mutable_data(),
                truncated_.mutable_data()};
    }

    /// The first environment that cannot step; -1: none.
    int check(const Action* actions) const {
        if (mode_ == Autoreset::disabled) {
            for (int i = 0; i < count(); ++i) {
                if (done_[size(i)]) return i;
            }
        }
        if constexpr (counted) {
            const auto all = static_cast<std::uint64_t>(environments_.front().action_count());
            for (int i = 0; i < count(); ++i) {
                if (static_cast<std::uint64_t>(actions[i]) >= all) return i;
            }
        }
        return -1;
    }

    void observe(int i, std::int64_t* index, float* observations) const {
        const E& e = environment(i);
        if constexpr (FiniteEnvironment<E>) {
            if (indices_) {
                index[i] = e.index(states_[size(i)]);
                return;
            }
        }
        e.observe(states_[size(i)], observations + static_cast<std::ptrdiff_t>(i) * e.observation_size(), 1);
    }

    void begin(int i, const Rows& rows) {
        states_[size(i)] = environment(i).reset(streams_[size(i)]);
        steps_[size(i)] = 0;
        done_[size(i)] = 0;
        observe(i, rows.index, rows.observations);
    }

    void step_one(int i, const Action* action, const Rows& rows) {
        if (done_[size(i)]) {
            begin(i, rows);
            rows.rewards[i] = 0.0f;
            rows.terminated[i] = rows.truncated[i] = false;
            return;
        }
        const E& e = environment(i);
        const auto taken = [&] {
            if constexpr (counted)
                return e.step(states_[size(i)], static_cast<int>(*action), streams_[size(i)]);
            else
                return e.step(states_[size(i)], action, 1, streams_[size(i)]);
        }();
        rows.rewards[i] = taken.reward;
        rows.terminated[i] = taken.ended;
        rows.truncated[i] = !taken.ended && ++steps_[size(i)] >= e.horizon();
        const bool done = taken.ended || rows.truncated[i];
        if (done && mode_ == Autoreset::same_step) {
            observe(i, rows.final_index, rows.final_observations);
            begin(i, rows);
            return;
        }
        done_[size(i)] = done;
        observe(i, rows.index, rows.observations);
    }

    std::vector<E> environments_;
    std::shared_ptr<void> held_;
    Autoreset mode_;
    bool indices_;
    std::vector<typename E::State> states_;
    std::vector<Stream> streams_;
    std::vector<int> steps_;
    std::vector<std::uint8_t> done_;
    py::array_t<std::int64_t> index_, final_index_;
    py::array_t<float> observations_, final_, rewards_;
    py::array_t<bool> terminated_, truncated_;
};

using GridVector = VectorEnvironment<GridNavigation>;
using PointVector = VectorEnvironment<PointNavigation>;

}  // namespace dunlin::python
