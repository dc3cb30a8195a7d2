// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "transport/zeromq/node_link.hpp"

#include <map>
#include <string>
#include <vector>

namespace dunlin::chaos {

/// A member of the federated job that sends what must never reach a model, again and again.
class Hostile {
public:
    Hostile(const std::string& endpoint, const PublicKey& server, const KeyPair& keys);

    /// Does what is to be done now; never waits.
    void step(std::int64_t now_ms);

    /// For who reads why a run failed.
    std::string doing() const;
    std::uint64_t refused() const { return refused_; }
    /// Must stay 0.
    std::uint64_t applied() const { return applied_; }

private:
    void hear(const Message& message);
    void join();

    NodeLink link_;
    Arrival arrival_;
    std::uint64_t job_ = 0, sequence_ = 0;
    bool turned_away_ = false;
    bool over_ = false;  ///< the job has ended, and its final report is not acknowledged yet
    std::uint32_t incarnation_ = 0, member_ = 0;
    std::int64_t next_ms_ = 0;
    std::uint64_t refused_ = 0, applied_ = 0;
};

}  // namespace dunlin::chaos
