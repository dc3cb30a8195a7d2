// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/aggregate/push_sum.hpp"

/// What PushSum does with all of a node's mass at once.
namespace dunlin {

template <class M, Exchange exchange>
inline Result<void> PushSum<M, exchange>::shift(unsigned bits) {
    Value y{}, pending_y{}, scaled{};
    if (!M::shift(header_->y, bits, y) || !M::shift(header_->pending_y, bits, pending_y))
        return fail(Code::mass_overflow, -1);
    if (!mass_.plausible_weight(y, header_->nodes())) return fail(Code::impossible_weight, header_->node());
    for (std::size_t k = 0; k < x_.size(); ++k) {
        if (!M::shift(x_[k], bits, scaled) || !M::shift(pending_[k], bits, scaled))
            return fail(Code::mass_overflow, static_cast<std::int64_t>(k));
    }
    for (std::size_t k = 0; k < x_.size(); ++k) {
        M::shift(x_[k], bits, x_[k]);
        M::shift(pending_[k], bits, pending_[k]);
    }
    header_->y = y;
    header_->pending_y = pending_y;
    return {};
}

template <class M, Exchange exchange>
inline void PushSum<M, exchange>::absorb() {
    for (std::size_t k = 0; k < x_.size(); ++k) {
        x_[k] = M::gather(x_[k], pending_[k]);
        pending_[k] = Value{};
    }
    header_->y = M::gather(header_->y, header_->pending_y);
    header_->pending_y = Value{};
}

template <class M, Exchange exchange>
inline void PushSum<M, exchange>::add_mass(std::span<Value> total_x, Value& total_y) const {
    const std::uint64_t degree = header_->out_degree();
    for (std::size_t k = 0; k < x_.size(); ++k) {
        Value mass = M::gather(M::gather(x_[k], pending_[k]), M::times(phi_[k], degree));
        mass = edges_.less_withheld(k, mass);
        for (std::size_t at = k; at < rho_.size(); at += x_.size()) mass = M::difference(mass, rho_[at]);
        total_x[k] = M::gather(total_x[k], mass);
    }
    Value mass = M::gather(M::gather(header_->y, header_->pending_y), M::times(header_->phi_y, degree));
    mass = edges_.less_withheld_weight(mass);
    for (const Source& source : sources_) mass = M::difference(mass, source.weight);
    total_y = M::gather(total_y, mass);
}

}  // namespace dunlin
