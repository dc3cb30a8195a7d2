// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/host/failure.hpp"
#include "training/host/rank_group.hpp"

#include <functional>
#include <memory>
#include <string>

namespace dunlin::app {

/// The processes that mpirun or srun started together (docs/cluster.md). Either rank 0 asks and the others answer, or
/// they make one run together. A program that nobody started so is one rank, and MPI is then not touched.
class Ranks {
public:
    /// Once in a program. Error: started as one of several, but built without MPI.
    static Outcome<Ranks> join();
    /// Rank 0 tells the others that there is nothing more to do.
    ~Ranks();
    Ranks(Ranks&&) noexcept;
    Ranks& operator=(Ranks&&) = delete;

    int rank() const;
    int count() const;

    /// Of rank 0, from any thread: what `rank` says to a question, one at a time in each of its slots, below 4096.
    std::string ask(int rank, int slot, const std::string& question);
    /// Of the others: answers in so many slots, a thread each, until rank 0 is done.
    void answer(int slots, const std::function<std::string(const std::string&)>& work);

    /// For one run together. It ends with `end` on every rank, with its exit code and, where it failed, what is to be
    /// said; where others still go on, they are ended too.
    RankGroup& together();
    void end(int code, const std::string& failure);

private:
    struct Implementation;
    explicit Ranks(std::unique_ptr<Implementation> implementation);
    std::unique_ptr<Implementation> implementation_;
};

/// How many processes were started with this one, by what mpirun and srun leave in the environment; 1 for none.
int started_together();

}  // namespace dunlin::app
