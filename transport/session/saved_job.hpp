// SPDX-License-Identifier: Apache-2.0
#pragma once

// For the session's own files: how a job lies in memory.

#include "transport/session/node_session.hpp"

namespace dunlin {

/// The front of state(), which is read by the program that wrote it: views in `terms` are made anew.
struct NodeSession::Saved {
    std::uint64_t magic, bytes;
    std::uint64_t job, updates;
    std::uint32_t incarnation, random_epoch_low;
    std::uint32_t in_count, out_count, text_size;
    std::uint32_t started, frozen;
    std::uint32_t sealed;   ///< frozen, and what it holds was reported: nothing more is taken in
    std::uint32_t current;  ///< nothing left that depends on a later state
    std::uint32_t random_epoch_high;
    JobTerms terms;

    std::uint64_t random_epoch() const { return std::uint64_t{random_epoch_high} << 32 | random_epoch_low; }
    void set_random_epoch(std::uint64_t epoch) {
        random_epoch_low = static_cast<std::uint32_t>(epoch);
        random_epoch_high = static_cast<std::uint32_t>(epoch >> 32);
    }
};

/// Are there jobs whose clients correct their steps in this build? A board's image leaves them out.
inline constexpr bool steps_are_corrected = edges_can_close;

inline bool corrected(const JobTerms& terms) {
    return steps_are_corrected && terms.payload == Payload::corrected;
}

inline bool serverless(const JobTerms& terms) {
    return terms.aggregation != Aggregation::federated;
}
inline bool pushes(const JobTerms& terms) {
    return terms.aggregation == Aggregation::push_sum;
}
/// Of a machine that says floats; null for others, and in firmware, which links none.
inline const MachineKind* machine_kind(const JobTerms& terms, bool edges_close) {
    return edges_can_close && edges_close ? machine_kind(terms.aggregation) : nullptr;
}

}  // namespace dunlin
