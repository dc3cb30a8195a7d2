// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/interrupt.hpp"

#include "apps/dunlin/patience.hpp"

#include <atomic>
#include <csignal>
#include <cstdint>
#include <ctime>

namespace dunlin::app {
namespace {

/// In a signal handler: clock_gettime and lock-free atomics may be used there.
std::int64_t now_ms() {
    timespec time{};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return static_cast<std::int64_t>(time.tv_sec) * 1000 + time.tv_nsec / 1'000'000;
}

std::atomic<std::int64_t> seen_ms{0};  ///< 0: not yet
static_assert(std::atomic<std::int64_t>::is_always_lock_free);

std::atomic<bool> within_another{false};  ///< which a second signal must not end
std::atomic<bool> terminated{false};

void remember(int signal) {
    if (seen_ms == 0 || !within_another) seen_ms = now_ms();
    if (signal == SIGTERM) terminated = true;
    if (!within_another) std::signal(signal, SIG_DFL);
}

}  // namespace

void catch_interrupts() {
    std::signal(SIGINT, remember);
    std::signal(SIGTERM, remember);
}

void ask_to_stop() {
    seen_ms = now_ms();
}

InterruptScope::InterruptScope() {
    seen_ms = 0;
    terminated = false;
    within_another = true;
    sigaction(SIGINT, nullptr, &interrupt_);
    sigaction(SIGTERM, nullptr, &terminate_);
    catch_interrupts();
}

InterruptScope::~InterruptScope() {
    sigaction(SIGINT, &interrupt_, nullptr);
    sigaction(SIGTERM, &terminate_, nullptr);
    within_another = false;
    seen_ms = 0;
    if (terminated) std::raise(SIGTERM);
}

void outlive_readers() {
    std::signal(SIGPIPE, SIG_IGN);
}

bool interrupted() {
    return seen_ms != 0;
}

bool out_of_patience() {
    constexpr std::int64_t patience_ms = 500;
    const std::int64_t seen = seen_ms;
    return seen != 0 && now_ms() - seen >= patience_ms;
}

}  // namespace dunlin::app
