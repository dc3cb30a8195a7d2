// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fleet/masks/mask_secrets.hpp"
#include "transport/messages.hpp"

#include <algorithm>
#include <vector>

namespace dunlin {

/// What both sides of a masked sum agree about.

/// Fewest members whose sum is opened.
inline constexpr std::size_t least_summed = 5;
/// Most members of a group: shares are numbered by a byte.
inline constexpr std::size_t largest_group = 128;

/// t: so many members of a group open its secrets together, and fewer learn nothing. Above two thirds, so that no two sets
/// of members can open different sums unless more than a third of them takes part in both.
constexpr std::size_t threshold_of(std::size_t group) {
    return 2 * group / 3 + 1;
}
/// Fewest of a group who must go on for its sum to be opened.
constexpr std::size_t least_going_on(std::size_t group) {
    return std::max(threshold_of(group), least_summed);
}

/// What a member says of itself in public: a key that pairwise masks come from, one that shares are sealed for it with,
/// and a commitment to the secret of its self-mask.
struct MaskKeys {
    MaskKey masking, sealing, commitment;

    void write(std::span<std::byte, MaskExchange::keys_bytes> out) const {
        std::ranges::copy(masking, out.begin());
        std::ranges::copy(sealing, out.begin() + 32);
        std::ranges::copy(commitment, out.begin() + 64);
    }
    static MaskKeys read(std::span<const std::byte> bytes) {
        MaskKeys keys;
        std::copy_n(bytes.begin(), 32, keys.masking.begin());
        std::copy_n(bytes.begin() + 32, 32, keys.sealing.begin());
        std::copy_n(bytes.begin() + 64, 32, keys.commitment.begin());
        return keys;
    }
};

inline constexpr std::string_view pair_purpose = "dunlin pair mask", self_purpose = "dunlin self mask",
                                  seal_purpose = "dunlin share", commit_purpose = "dunlin commitment";

/// Of a member within its ascending group; the number of its shares is one more. group.size(): it is not there.
inline std::size_t place_in(std::span<const std::uint32_t> group, std::uint32_t member) {
    const auto found = std::ranges::lower_bound(group, member);
    return found == group.end() || *found != member ? group.size()
                                                    : static_cast<std::size_t>(found - group.begin());
}
inline bool ascending(std::span<const std::uint32_t> list) {
    return std::ranges::adjacent_find(list, std::greater_equal<>()) == list.end();
}

}  // namespace dunlin
