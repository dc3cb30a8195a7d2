// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/aggregate/gossip.hpp"
#include "core/error.hpp"
#include "core/fixed_point.hpp"

#include <cstdint>
#include <limits>
#include <span>

namespace dunlin {

/// Are there out-edges that close in this build? Where no node has any, as on a board behind a gateway, a build with
/// DUNLIN_EDGES_STAY_OPEN leaves out what they take, 1.5 kB of flash, and refuses `edges_close`.
#ifdef DUNLIN_EDGES_STAY_OPEN
inline constexpr bool edges_can_close = false;
#else
inline constexpr bool edges_can_close = true;
#endif

struct PushSumSettings {
    static constexpr float unlimited = std::numeric_limits<float>::infinity();

    std::uint32_t node = 0;                             ///< this node's number, below `nodes`
    std::uint32_t nodes = 0;                            ///< n
    std::size_t dimension = 0;                          ///< d
    std::span<const std::uint32_t> in_neighbours = {};  ///< N^-, ascending, without this node
    std::uint32_t out_degree = 0;                       ///< d^+, without this node
    /// Mass is divided into so many parts at least. Where all nodes of an undirected graph take the same number, one
    /// more than the largest degree, each edge has the same weight both ways: what the nodes do is then D-PSGD with
    /// W = I - L / parts, and y stays 1 unless messages are late or lost. Not looked at in a build where no edge can
    /// close: such a node goes by its degree, which is as exact.
    std::uint32_t least_parts = 0;
    FixedPoint format = {};         ///< the same on every node
    float largest_value = 1.0f;     ///< largest |z| expected: n times it must fit the format
    float weight_floor = 0x1p-12f;  ///< y that a node never gives away
    bool edges_close = false;       ///< may out-edges be closed? (running sums only)
    /// Where edges close: the part of y, in [1/1024, 1], that may be under way to one out-neighbour without its
    /// word that it came. `unlimited`: all of it, so a neighbour that is gone drains the node until its edge is
    /// closed.
    float outstanding_limit = 0.25f;
    /// The largest eta/y of one step, positive; what a step has beyond it is owed to the next. `unlimited`: none.
    float step_ratio_limit = 32.0f;
    /// Where edges close: keep what each out-neighbour confirmed (d masses an edge), so that what it never took can
    /// be taken back. An edge is then given nothing before all earlier shares are confirmed.
    bool reclaims = false;
    /// Where there is an outstanding limit: below this y times d+ + 1, at most 0.5, a node gives nothing and goes
    /// on learning, for nobody may be there who would give it anything.
    float weight_kept = 0.25f;

    /// Errors: out_of_range, mass_too_large, bad_setting, no_neighbours, bad_neighbours.
    Result<void> check() const;

    /// Out-edges that can be closed.
    std::uint32_t closable() const { return edges_can_close && edges_close ? out_degree : 0; }
    bool bounded() const { return edges_can_close && edges_close && outstanding_limit != unlimited; }
    /// outstanding_limit in units of 2^-16, the same integer on every processor; 0 for no limit.
    std::uint32_t limit_units() const {
        return bounded() ? static_cast<std::uint32_t>(outstanding_limit * 65536.0f + 0.5f) : 0;
    }
    /// Into how many parts mass is divided: one for every out-neighbour and one that stays, and so many more to
    /// keep that a single share is within the limit and that there are `least_parts`.
    std::uint32_t parts() const {
        const std::uint32_t units = limit_units();
        const std::uint32_t least = std::max(out_degree + 1, edges_can_close ? least_parts : 0);
        return std::max(least, units > 0 ? (65535u + units) / units : 0);
    }
};

inline Result<void> PushSumSettings::check() const {
    if (auto checked = format.check(nodes, largest_value); !checked) return checked;
    if (node >= nodes) return fail(Code::bad_setting, 0);
    if (dimension == 0) return fail(Code::bad_setting, 2);
    if (in_neighbours.empty() || out_degree == 0) return fail(Code::no_neighbours);
    if (out_degree >= ShareDivision::most_parts || out_degree >= nodes) {
        return fail(Code::out_of_range, out_degree, std::min(nodes, ShareDivision::most_parts) - 1);
    }
    if (least_parts >= ShareDivision::most_parts)
        return fail(Code::out_of_range, least_parts, ShareDivision::most_parts - 1);
    // A node of mean weight must always be able to share, or nobody might.
    if (!(weight_floor >= 0.0f && weight_floor * static_cast<float>(out_degree + 1) <= 0.5f)) {
        return fail(Code::bad_setting, 7);
    }
    if (!edges_can_close && edges_close) return fail(Code::bad_setting, 8);
    if (bounded() && !(outstanding_limit >= 0x1p-10f && outstanding_limit <= 1.0f)) {
        return fail(Code::bad_setting, 9);
    }
    if (!(step_ratio_limit > 0.0f)) return fail(Code::bad_setting, 10);
    if (reclaims && !edges_close) return fail(Code::bad_setting, 11);
    if (!(weight_kept >= 0.0f && weight_kept <= 0.5f)) return fail(Code::bad_setting, 12);
    for (std::size_t j = 0; j < in_neighbours.size(); ++j) {
        if (!valid_neighbour(in_neighbours, j, node, nodes)) {
            return fail(Code::bad_neighbours, static_cast<std::int64_t>(j));
        }
    }
    return {};
}

}  // namespace dunlin
