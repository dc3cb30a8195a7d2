// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "../node/real_fleet.hpp"
#include "serial_node.hpp"

#include <atomic>
#include <memory>
#include <thread>

namespace dunlin::test {

/// What a board learns in place of a task: to be at a_i, as PullTask does.
struct PullLearner {
    static constexpr std::size_t dimension = 48;
    std::array<float, dimension> target{};
    std::atomic<int> plain{0};         ///< gradients of the task itself
    std::atomic<bool> stalls{false};   ///< a gradient lasts for as long as this is so, ...
    std::atomic<bool> stalled{false};  ///< ... which one does

    static constexpr std::size_t workspace_bytes = 0;

    void lend(std::span<std::byte>) {}
    static constexpr bool understands(Objective objective, const MoreauEnvelope&, const Maml&) {
        return objective != Objective::maml;
    }
    template <class Pause>
    void gradient(Objective objective, const MoreauEnvelope& inner, const Maml&, ConstVector<float> w, Stream&,
                  Vector<float> out, Pause&& pause) {
        pause();
        for (; stalls; pause()) stalled = true;
        plain += objective == Objective::plain ? 1 : 0;
        for (std::size_t k = 0; k < dimension; ++k) {
            const float away = w[k] - target[k];
            out[k] = objective == Objective::plain ? away : inner.prox_weight * away / (1.0f + inner.prox_weight);
        }
    }
    static constexpr std::array<std::string_view, 1> metrics() { return {"return_ratio"}; }
    template <class Pause>
    void measure(const MoreauEnvelope&, ConstVector<float> w, std::uint64_t, std::uint32_t, Vector<float>,
                 std::span<double> out, Pause&&) {
        double distance = 0;
        for (std::size_t k = 0; k < dimension; ++k) distance += static_cast<double>(std::abs(w[k] - target[k]));
        out[0] = distance / dimension;
    }
};

/// The node that a board runs, in a thread, at the end of a TCP connection. `reset` makes it forget everything.
class HostDevice {
public:
    HostDevice(std::uint16_t port, std::uint32_t number);
    ~HostDevice() { stop(); }
    void reset() {
        stop();
        start();
    }
    int plain_gradients() const { return learner_.plain; }
    /// Is at the same gradient for as long as it is told to be.
    void stall(bool stalls) { learner_.stalls = stalls; }
    bool stalled() const { return learner_.stalled; }
    /// Stands still, as a board that hangs does.
    void hang(bool hangs) { hangs_ = hangs; }

private:
    void start();
    void stop();
    void run();

    std::uint16_t port_;
    PullLearner learner_;
    std::atomic<bool> stop_{false}, hangs_{false};
    std::thread thread_;
};

}  // namespace dunlin::test
