// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <limits>

namespace dunlin {

/// What a job may take from the heap, and takes. Bytes count where the program's operator new asks `spend` (as
/// dunlin-node's does) and a `Spending` of this memory lives on the thread.
class JobMemory {
public:
    void allow(std::int64_t bytes) {
        limit_ = bytes;
        used_ = wanted_ = 0;
    }
    /// The most that was asked for at a time; more than was allowed where that was too little.
    std::int64_t wanted() const { return wanted_; }

    /// False: it would be too much, and nothing was counted. Any thread.
    bool spend(std::int64_t bytes) {
        const std::int64_t sum = used_ += bytes;
        if (sum > wanted_) wanted_ = sum;
        if (sum <= limit_) return true;
        used_ -= bytes;
        return false;
    }
    void give_back(std::int64_t bytes) { used_ -= bytes; }

private:
    std::int64_t limit_ = std::numeric_limits<std::int64_t>::max();
    std::atomic<std::int64_t> used_{0}, wanted_{0};
};

/// While it lives, what this thread allocates is a job's.
class Spending {
public:
    explicit Spending(JobMemory& memory) { current() = &memory; }
    ~Spending() { current() = nullptr; }
    Spending(const Spending&) = delete;

    /// Of this thread; null: nobody counts.
    static JobMemory*& current() {
        thread_local JobMemory* memory = nullptr;
        return memory;
    }
};

}  // namespace dunlin
