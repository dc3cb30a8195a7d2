// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/arena.hpp"
#include "core/error.hpp"
#include "core/random.hpp"
#include "core/robust/clipping.hpp"
#include "core/robust/coordinate_median.hpp"
#include "core/robust/geometric_median.hpp"
#include "core/robust/krum.hpp"
#include "core/robust/mixing.hpp"

#include <cassert>
#include <cstdint>

namespace dunlin {

/// How a sum bears members that lie.
enum class RobustSum : std::uint8_t {
    mean,
    median,
    trimmed_mean,
    geometric_median,
    krum,
    multi_krum,
    centred_clipping
};

/// What is done to the rows before.
enum class RobustMixing : std::uint8_t { none, nearest, bucketing };

/// A defence: clipping, mixing, and a sum. Every member counts alike, whatever number of samples it claims.
struct Defence {
    RobustSum sum = RobustSum::mean;
    RobustMixing mixing = RobustMixing::nearest;
    bool adaptive_clipping = true;
    float liars_share = 0.2f;  ///< that is borne, below one half
    float radius = 0;          ///< tau of centred clipping; 0: by the rows
    float momentum = 0;  ///< of each member's updates, in [0, 1): 0.9 hides less of a small steady lie in noise
    int bucket = 2;      ///< members in one

    static constexpr std::uint32_t member_limit = 4096;  ///< distances are between all pairs

    bool defends() const { return sum != RobustSum::mean; }
    /// f: how many of so many members may lie, at least one.
    std::size_t liars(std::size_t members) const {
        if (!(liars_share > 0.0f && liars_share < 0.5f)) return 1;
        const double share = static_cast<double>(liars_share) * static_cast<double>(members);
        return std::max<std::size_t>(1, static_cast<std::size_t>(share + 1e-6));
    }
    /// Can it keep its promise with so many members? Fewer would be as good as no defence.
    bool holds_for(std::size_t members) const {
        const std::size_t f = liars(members);
        const auto size = static_cast<std::size_t>(std::max(bucket, 1));
        const std::size_t rows = mixing == RobustMixing::bucketing ? (members + size - 1) / size : members;
        const bool distances = sum == RobustSum::krum || sum == RobustSum::multi_krum;
        return rows >= 2 * f + 1 && (!distances || rows >= f + 3);
    }

    static constexpr std::size_t memory(std::size_t dimension, std::size_t members) {
        return Arena::bytes<float>(dimension * members) + Arena::bytes<double>(members * members + members) +
               Arena::bytes<std::size_t>(members);
    }
    static RobustScratch scratch(std::size_t dimension, std::size_t members, Arena& arena) {
        RobustScratch scratch{.rows = {arena.take<float>(dimension * members).data(), members, dimension}};
        scratch.distances = arena.take<double>(members * members + members).data();
        scratch.values = scratch.distances + members * members;
        scratch.indices = arena.take<std::size_t>(members).data();
        return scratch;
    }

    /// Sums the rows up, which are used up. `out` holds the last sum, and is given the new one. `holds_for(rows.count)`.
    void combine(Rows rows, Stream& random, Vector<float> out, const RobustScratch& scratch) const {
        if (!defends()) {
            mean_of(
                rows, rows.count, [](std::size_t i) { return i; }, out);
            return;
        }
        assert(holds_for(rows.count));
        const std::size_t f = liars(rows.count);
        if (adaptive_clipping) clip_adaptively(rows, f, scratch);
        if (mixing == RobustMixing::nearest) mix_nearest(rows, f, scratch);
        if (mixing == RobustMixing::bucketing)
            rows = mix_in_buckets(rows, static_cast<std::size_t>(std::max(bucket, 1)), random, scratch);
        switch (sum) {
            case RobustSum::mean:
                break;
            case RobustSum::median:
                return coordinate_median(rows, out, scratch);
            case RobustSum::trimmed_mean:
                return trimmed_mean(rows, f, out, scratch);
            case RobustSum::geometric_median:
                return geometric_median(rows, out, scratch);
            case RobustSum::krum:
                return krum(rows, f, 1, out, scratch);
            case RobustSum::multi_krum:
                return krum(rows, f, rows.count - f, out, scratch);
            case RobustSum::centred_clipping:
                return centred_clipping(rows, static_cast<double>(radius), out, scratch);
        }
    }
};

}  // namespace dunlin
