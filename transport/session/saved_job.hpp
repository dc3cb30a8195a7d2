// SPDX-License-Identifier: Apache-2.0
#pragma once

// For the session's own files: how a job lies in memory.

#include "transport/session/node_session.hpp"

namespace dunlin {

/// The front of state(), which is read by the program that wrote it: views in `terms` are made anew.
struct NodeSession::Saved {
    std::uint64_t magic, bytes;
    std::uint64_t job, updates;
    std::uint32_t incarnation, random_epoch;
    std::uint32_t in_count, out_count, text_size;
    std::uint32_t started, frozen;
    std::uint32_t sealed;   ///< frozen, and what it holds was reported: nothing more is taken in
    std::uint32_t current;  ///< nothing left that depends on a later state
    JobTerms terms;
};

inline bool serverless(const JobTerms& terms) {
    return terms.aggregation == Aggregation::push_sum;
}

}  // namespace dunlin
