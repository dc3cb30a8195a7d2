// SPDX-License-Identifier: Apache-2.0
#include "python/callback_environment.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace dunlin::python {

CallbackBatch::~CallbackBatch() {
    const py::gil_scoped_acquire lock;
    environment_ = py::object();
    make_ = nullptr;
}

void CallbackBatch::call(const std::function<void()>& python) {
    const py::gil_scoped_acquire lock;
    try {
        python();
        return;
    } catch (py::error_already_set& raised) {
        keep_exception(raised);
    } catch (const std::exception& refused) {
        PyErr_SetString(py::module_::import("dunlin").attr("Error").ptr(), refused.what());
        py::error_already_set raised;
        keep_exception(raised);
    }
    // Nothing more is to come of these trajectories, nor of copies that may be another number than was asked for.
    environment_ = py::object();
    count_ = 0;
    std::ranges::fill(rewards_, 0.0f);
    std::ranges::fill(ended_, std::uint8_t{1});
}

void CallbackBatch::take(const py::handle& from, std::vector<float>& to, const char* what) const {
    const auto array = py::array_t<float, py::array::c_style | py::array::forcecast>::ensure(from);
    if (!array) throw Raised(Failure{fmt::format("the environment's {} are no array of numbers", what)});
    if (static_cast<std::size_t>(array.size()) != to.size())
        throw Raised(Failure{fmt::format("the environment's {} are {} numbers for {} copies; expected {}", what,
                                         array.size(), count_, to.size())});
    std::copy_n(array.data(), to.size(), to.begin());
}

void CallbackBatch::begin(int count, Stream& random) {
    const auto size = static_cast<std::size_t>(count);
    next_ = 0;
    observations_.assign(size * static_cast<std::size_t>(sizes_.observations), 0.0f);
    rewards_.assign(size, 0.0f);
    ended_.assign(size, 0);
    if (counted_)
        actions_.assign(size, 0);
    else
        numbers_.assign(size * static_cast<std::size_t>(sizes_.actions), 0.0f);
    const std::uint32_t seed = random.bits() >> 1;
    call([&] {
        if (!environment_ || count_ != count) environment_ = make_(count);
        count_ = count;
        const py::tuple first = environment_.attr("reset")(py::arg("seed") = seed);
        take(first[0], observations_, "observations");
    });
}

void CallbackBatch::propose(std::int32_t lane, int action) {
    actions_[static_cast<std::size_t>(lane)] = action;
}

void CallbackBatch::propose(std::int32_t lane, const float* action, std::ptrdiff_t stride) {
    float* row = numbers_.data() + static_cast<std::ptrdiff_t>(lane) * sizes_.actions;
    for (int k = 0; k < sizes_.actions; ++k) row[k] = action[k * stride];
}

void CallbackBatch::commit() {
    call([&] {
        if (!environment_) {  // it could not be made, or begin
            std::ranges::fill(rewards_, 0.0f);
            std::ranges::fill(ended_, std::uint8_t{1});
            return;
        }
        py::object actions;
        if (counted_) {
            actions = py::array_t<std::int64_t>(static_cast<py::ssize_t>(actions_.size()), actions_.data());
        } else {
            actions = py::array_t<float>(
                {static_cast<py::ssize_t>(count_), static_cast<py::ssize_t>(sizes_.actions)}, numbers_.data());
        }
        const py::tuple step = environment_.attr("step")(actions);
        if (step.size() != 5) {
            throw Raised(
                Failure{"the environment's step gives no (observations, rewards, terminated, truncated, "
                        "info)"});
        }
        take(step[0], observations_, "observations");
        take(step[1], rewards_, "rewards");
        std::vector<float> terminated(ended_.size()), truncated(ended_.size());
        take(step[2], terminated, "terminated");
        take(step[3], truncated, "truncated");
        for (std::size_t k = 0; k < ended_.size(); ++k) ended_[k] = terminated[k] != 0.0f || truncated[k] != 0.0f;
    });
}

}  // namespace dunlin::python

namespace dunlin {
namespace {

/// As PolicyGradientTask::draw, but that all running trajectories choose before any of them goes on. `look(h)` evaluates
/// the policy in the columns of step h; `choose(k, lane, column)` draws the action of the k-th running one.
template <class E, class Look, class Choose, class Keep>
void draw_together(const E& environment, Rollout<float>& rollout, std::span<std::int32_t> lanes, int running,
                   const Look& look, const Choose& choose, const Keep& keep) {
    for (int h = 0; h < environment.horizon() && running > 0; ++h) {
        const int first = rollout.open(running);
        look(h);
        for (int k = 0; k < running; ++k) {
            const std::int32_t lane = lanes[static_cast<std::size_t>(k)];
            rollout.trajectory(first + k) = lane;
            choose(k, lane, first + k);
        }
        environment.commit();
        int kept = 0;
        for (int k = 0; k < running; ++k) {
            const std::int32_t lane = lanes[static_cast<std::size_t>(k)];
            const auto step = environment.outcome({lane});
            rollout.reward(first + k) = step.reward;
            keep(first + k, lane);
            lanes[static_cast<std::size_t>(kept)] = lane;
            kept += step.ended ? 0 : 1;
        }
        running = kept;
    }
}

}  // namespace

template <>
void PolicyGradientTask<python::CallbackEnvironment<true>, CategoricalPolicy<float>>::draw(int slot,
                                                                                           ConstVector<float> w,
                                                                                           Stream& random) {
    Batch& batch = batches_[static_cast<std::size_t>(slot)];
    random.next_epoch();
    batch.rollout.clear();
    if (!batch.parameters.empty()) std::copy(w.begin(), w.end(), batch.parameters.begin());
    environment_.begin(settings_.trajectories, random);
    for (int k = 0; k < settings_.trajectories; ++k) {
        const auto lane = static_cast<std::size_t>(k);
        lanes_[lane] = k;
        streams_[lane] = random.lane(static_cast<std::uint32_t>(k));
        batch.start[lane] = states_[lane] = environment_.reset(streams_[lane]);
    }
    Block b{};
    draw_together(
        environment_, batch.rollout, lanes_, settings_.trajectories,
        [&](int h) {
            observe(batch, h);
            b = block(batch, h);
            evaluate(w.data(), b);
        },
        [&](int k, std::int32_t lane, int column) {
            const auto at = static_cast<std::size_t>(lane);
            act(b, k, states_[at], streams_[at], batch.rollout.action(column));
        },
        [&](int column, std::int32_t lane) {
            batch.reached[static_cast<std::size_t>(column)] = states_[static_cast<std::size_t>(lane)];
        });
    steps_ += batch.rollout.steps();
    weigh(batch);
}

template <>
void PolicyGradientTask<python::CallbackEnvironment<false>, GaussianPolicy<float>>::draw(int slot,
                                                                                         ConstVector<float> w,
                                                                                         Stream& random) {
    Batch& batch = batches_[static_cast<std::size_t>(slot)];
    random.next_epoch();
    batch.rollout.clear();
    if (!batch.parameters.empty()) std::copy(w.begin(), w.end(), batch.parameters.begin());
    for (int k = 0; k < policy_.actions(); ++k)
        sigma_[static_cast<std::size_t>(k)] = portable::exp(policy_.log_sigma(w.data())[k]);
    environment_.begin(settings_.trajectories, random);
    for (int k = 0; k < settings_.trajectories; ++k) {
        const auto lane = static_cast<std::size_t>(k);
        lanes_[lane] = k;
        streams_[lane] = random.lane(static_cast<std::uint32_t>(k));
        batch.start[lane] = states_[lane] = environment_.reset(streams_[lane]);
    }
    Block b{};
    draw_together(
        environment_, batch.rollout, lanes_, settings_.trajectories,
        [&](int h) {
            observe(batch, h);
            b = block(batch, h);
            evaluate(w.data(), b);
        },
        [&](int k, std::int32_t lane, int column) {
            const auto at = static_cast<std::size_t>(lane);
            act(b, k, states_[at], streams_[at], batch.rollout.action(column));
        },
        [&](int column, std::int32_t lane) {
            batch.reached[static_cast<std::size_t>(column)] = states_[static_cast<std::size_t>(lane)];
        });
    steps_ += batch.rollout.steps();
    weigh(batch);
}

}  // namespace dunlin
