// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/aggregate/push_sum_settings.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace dunlin {

/// What push-sum sends. With running sums a message carries all that a node ever gave to an out-neighbour, so the
/// next message that arrives makes up for every one that was lost. With plain shares it carries this wake-up's
/// share alone, and what is lost is lost.
enum class Exchange : std::uint8_t { running_sums, plain_shares };

/// How a push-sum node's state begins.
template <class Value>
struct PushSumHeader {
    static constexpr std::size_t identity_words = 6;

    std::uint64_t identity[identity_words];  ///< kind; node, nodes; dimension; in-degree; out-degree; format
    std::int64_t kappa;
    double owed;             ///< step sizes wanted and not taken
    std::uint64_t reserved;  ///< 0
    Value y, phi_y, pending_y;

    std::uint32_t node() const { return static_cast<std::uint32_t>(identity[1] >> 32); }
    std::uint32_t nodes() const { return static_cast<std::uint32_t>(identity[1]); }
    std::uint32_t out_degree() const { return static_cast<std::uint32_t>(identity[4]); }

    static std::array<std::uint64_t, identity_words> identity_of(const PushSumSettings& settings,
                                                                 Exchange exchange) {
        const std::uint64_t kind = 0x50530001u + (exchange == Exchange::running_sums ? 0 : 0x100) +
                                   (std::is_integral_v<Value> ? 0 : 0x200) + (settings.edges_close ? 1 : 0);
        return {kind,
                std::uint64_t{settings.node} << 32 | settings.nodes,
                settings.dimension,
                settings.in_neighbours.size(),
                std::uint64_t{settings.edges_close} << 32 | std::uint64_t{settings.reclaims} << 33 |
                    settings.out_degree,
                static_cast<std::uint64_t>(settings.format.fraction_bits)};
    }
};

/// An in-neighbour: its newest counter, rho^y, and (plain shares) which of the 64 counters up to it were seen.
template <class Value, Exchange exchange>
struct PushSumSource {
    std::uint64_t node;
    std::int64_t kappa;
    std::uint64_t seen;
    Value weight;

    /// Running sums: only a newer counter. Plain shares: any counter once, as long as it is no older than the
    /// window; a share that was overtaken is mass all the same.
    bool is_new(std::int64_t counter) const {
        if (counter > kappa) return true;
        if (exchange == Exchange::running_sums || counter < 0 || kappa - counter >= 64) return false;
        return (seen >> (kappa - counter) & 1) == 0;
    }
    void mark(std::int64_t counter) {
        if (counter > kappa) {
            const std::int64_t ahead = counter - kappa;
            seen = ahead < 64 ? seen << ahead : 0;
            kappa = counter;
        }
        seen |= std::uint64_t{1} << (kappa - counter);
    }
};

}  // namespace dunlin
