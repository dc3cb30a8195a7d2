// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/aggregate/push_sum.hpp"

/// How a node of PushSum begins, begins anew with mass that it held, or goes on from a state that it stored.
namespace dunlin {

template <class M, Exchange exchange>
inline Result<PushSum<M, exchange>> PushSum<M, exchange>::make(const PushSumSettings& settings,
                                                               ConstVector<float> start, Arena& arena) {
    if (auto checked = settings.check(); !checked) return tl::unexpected(checked.error());
    if (!running_sums && settings.edges_close) return fail(Code::bad_setting, 8);
    if (start.size() != settings.dimension) return wrong_size(start.size(), settings.dimension);
    PushSum node = begin(settings, arena);
    if (std::is_integral_v<Value> && !(node.floor_ > Value(0))) return fail(Code::bad_setting, 7);
    for (std::size_t k = 0; k < start.size(); ++k) {
        if (!(start[k] >= -settings.largest_value && start[k] <= settings.largest_value)) {
            return fail(Code::mass_overflow, static_cast<std::int64_t>(k));
        }
        node.mass_.from_float(start[k], node.x_[k]);
    }
    return node;
}

template <class M, Exchange exchange>
inline Result<PushSum<M, exchange>> PushSum<M, exchange>::carry_over(const PushSumSettings& settings,
                                                                     std::span<const Value> held, Value held_weight,
                                                                     std::int64_t tick, double owed, Arena& arena) {
    if (auto checked = settings.check(); !checked) return tl::unexpected(checked.error());
    if (held.size() != settings.dimension) return wrong_size(held.size(), settings.dimension);
    const M mass(settings.format, settings.out_degree + 1);
    if (!(held_weight > Value(0)) || !mass.plausible_weight(held_weight, settings.nodes)) {
        return fail(Code::impossible_weight, settings.node);
    }
    PushSum node = begin(settings, arena);
    std::copy(held.begin(), held.end(), node.x_.begin());
    node.header_->y = held_weight;
    node.header_->kappa = tick;
    node.header_->owed = owed;
    return node;
}

template <class M, Exchange exchange>
inline Result<PushSum<M, exchange>> PushSum<M, exchange>::resume(const PushSumSettings& settings,
                                                                 std::span<std::byte> block) {
    if (auto checked = settings.check(); !checked) return tl::unexpected(checked.error());
    const std::size_t size = memory_of(settings);
    const auto identity = Header::identity_of(settings, exchange);
    if (block.size() >= sizeof identity[0]) {  // of another kind of machine the size says nothing
        if (auto same = check_identity(block, std::span(identity).first(1)); !same)
            return tl::unexpected(same.error());
    }
    if (block.size() != size) {
        return fail(Code::state_size, static_cast<std::int64_t>(block.size()), static_cast<std::int64_t>(size));
    }
    if (auto same = check_identity(block, identity); !same) return tl::unexpected(same.error());
    return PushSum(settings, block);
}

template <class M, Exchange exchange>
inline PushSum<M, exchange> PushSum<M, exchange>::begin(const PushSumSettings& settings, Arena& arena) {
    PushSum node(settings, arena.take<std::byte>(memory_of(settings)));
    const auto identity = Header::identity_of(settings, exchange);
    std::copy(identity.begin(), identity.end(), node.header_->identity);
    node.header_->kappa = -1;
    node.mass_.from_float(1.0f, node.header_->y);
    node.edges_.begin();
    for (std::size_t j = 0; j < settings.in_neighbours.size(); ++j) {
        node.sources_[j].node = settings.in_neighbours[j];
        node.sources_[j].kappa = -1;
    }
    return node;
}

}  // namespace dunlin
