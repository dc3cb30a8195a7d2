// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/host/rank_group.hpp"

#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

namespace dunlin {

/// A few threads that run the same job over and over, for work that comes in pieces of a millisecond. Which thread
/// takes a piece is not determined, so a piece must not depend on it: results go by the piece's number.
class Workers {
public:
    /// The calling thread is one of them; `threads` at least 1. `ranks`, which outlives them, are the processes that
    /// these are of: who hands out pieces takes those of this one.
    explicit Workers(int threads, RankGroup& ranks = RankGroup::alone());
    ~Workers();
    Workers(const Workers&) = delete;
    Workers& operator=(const Workers&) = delete;

    int count() const { return static_cast<int>(threads_.size()) + 1; }
    RankGroup& ranks() const { return ranks_; }

    /// Calls job(piece, worker) for every piece in [0, pieces), worker in [0, count()); returns when all are done.
    void run(int pieces, const std::function<void(int piece, int worker)>& job);

private:
    void serve(int worker);
    void take_pieces(int worker);

    RankGroup& ranks_;
    std::vector<std::thread> threads_;
    const std::function<void(int, int)>* job_ = nullptr;
    int pieces_ = 0;
    std::atomic<int> next_{0};
    std::atomic<int> busy_{0};
    std::atomic<std::uint32_t> round_{0};
    std::atomic<bool> stopping_{false};
};

}  // namespace dunlin
