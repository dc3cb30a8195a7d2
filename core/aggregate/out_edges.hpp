// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/aggregate/gossip.hpp"
#include "core/aggregate/mass.hpp"
#include "core/aggregate/push_sum_settings.hpp"
#include "core/aggregate/state_block.hpp"
#include "core/arena.hpp"

#include <algorithm>

namespace dunlin {

/// The receiver's incarnation is fenced: whatever it says or holds counts no more, in this epoch and later, and its
/// loss is booked.
struct Fenced {};
/// The receiver's last word on an edge: it will take nothing of a later counter than this, with which it holds this
/// rho^y.
template <class V>
struct FinalCounter {
    std::int64_t kappa = -1;
    V weight{};
};

/// What a push-sum node keeps of its out-edges where they can close: which are closed, what each was not given
/// although the one phi of all edges holds it (`withheld`), and what its receiver last confirmed.
///
///     told        = phi - withheld               what the receiver is told
///     outstanding = told - confirmed             in flight, or lost, or taken without the sender knowing
///
/// An edge is given its share of a wake-up only if it is open and outstanding^y + share^y stays within the
/// allowance that the node states, so however long a receiver is gone, no more than that is at stake. Where masses
/// can be reclaimed an edge is given nothing else before all is confirmed: then told^x at the confirmed counter is
/// one of two values, and d masses keep it.
///
/// A view of a part of the node's state block.
template <class M>
class OutEdges {
public:
    using Value = typename M::Value;

    static constexpr std::size_t memory(std::size_t dimension, std::size_t count, bool reclaims) {
        return Arena::bytes<Edge>(count) + (reclaims ? 2 : 1) * Arena::bytes<Value>(count * dimension);
    }

    OutEdges(StateView& block, std::size_t dimension, std::size_t count, bool reclaims)
        : dimension_(dimension),
          edges_(block.take<Edge>(count)),
          withheld_(block.take<Value>(count * dimension)),
          confirmed_(block.take<Value>(reclaims ? count * dimension : 0)) {}

    /// For a state that is zero.
    void begin() {
        for (Edge& edge : edges()) edge.confirmed_kappa = -1;
    }

    bool empty() const { return size() == 0; }
    std::size_t size() const { return edges_can_close ? edges_.size() : 0; }
    bool closed(std::uint32_t number) const { return edges_[number].closed != 0 || edges_[number].over != 0; }
    void close(std::uint32_t number, bool closed) { edges_[number].closed = closed ? 1 : 0; }

    /// Was it ever not given what others were given?
    bool differs(std::uint32_t number) const { return edges_[number].differs != 0; }
    Value told(std::uint32_t number, Value phi_y) const { return M::difference(phi_y, edges_[number].withheld_y); }
    void told(std::uint32_t number, std::span<const Value> phi, std::span<Value> out) const {
        const Value* withheld = withheld_.data() + number * dimension_;
        for (std::size_t k = 0; k < dimension_; ++k) out[k] = M::difference(phi[k], withheld[k]);
    }
    Value outstanding(std::uint32_t number, Value phi_y) const {
        return M::difference(told(number, phi_y), edges_[number].confirmed_y);
    }

    /// Is the edge given this share? `limited`: only within the allowance.
    bool gives(std::uint32_t number, Value phi_y, Value share, bool limited, Value allowance) const {
        if (closed(number)) return false;
        const Value open = outstanding(number, phi_y);
        if (!confirmed_.empty() && open != Value{}) return false;
        return !limited || (share > Value{} && open <= allowance - share);
    }

    /// Marks which edges are not given the coming share.
    template <class Gives>
    void choose(Gives&& gives) {
        for (std::uint32_t number = 0; number < size(); ++number) {
            const bool given = gives(number);
            edges_[number].keeps = given ? 0 : 1;
            if (!given) edges_[number].differs = 1;
        }
    }
    void withhold(std::size_t k, Value share) {
        for (std::size_t number = 0; number < size(); ++number) {
            if (edges_[number].keeps == 0) continue;
            Value& withheld = withheld_[number * dimension_ + k];
            withheld = M::gather(withheld, share);
        }
    }
    void withhold_weight(Value share) {
        for (Edge& edge : edges()) {
            if (edge.keeps != 0) edge.withheld_y = M::gather(edge.withheld_y, share);
        }
    }
    Value less_withheld(std::size_t k, Value mass) const {
        for (std::size_t at = k; at < withheld_.size(); at += dimension_) mass = M::difference(mass, withheld_[at]);
        return mass;
    }
    Value less_withheld_weight(Value mass) const {
        for (const Edge& edge : edges()) mass = M::difference(mass, edge.withheld_y);
        return mass;
    }

    /// PushSum::confirm for a node that has told phi, up to the counter `newest`.
    Result<void> confirm(std::uint32_t number, std::int64_t kappa, Value weight, std::span<const Value> phi,
                         Value phi_y, std::int64_t newest) {
        Edge& edge = edges_[number];
        if (kappa <= edge.confirmed_kappa) return {};
        const Value open = outstanding(number, phi_y), taken = M::difference(weight, edge.confirmed_y);
        const bool possible =
            confirmed_.empty() ? taken >= Value{} && taken <= open : taken == Value{} || taken == open;
        if (kappa > newest || !possible) return fail(Code::never_sent, number, kappa);
        if (!confirmed_.empty() && taken != Value{})
            told(number, phi, confirmed_.subspan(number * dimension_, dimension_));
        edge.confirmed_kappa = kappa;
        edge.confirmed_y = weight;
        return {};
    }
    /// The same of a receiver's last word: nothing beyond it is confirmed. Errors also: bad_setting (nothing can be
    /// reclaimed).
    Result<void> confirm_last(std::uint32_t number, const FinalCounter<Value>& last, std::span<const Value> phi,
                              Value phi_y, std::int64_t newest) {
        if (confirmed_.empty()) return fail(Code::bad_setting, 11);
        if (auto known = confirm(number, last.kappa, last.weight, phi, phi_y, newest); !known) return known;
        const Edge& edge = edges_[number];
        if (last.kappa != edge.confirmed_kappa || last.weight != edge.confirmed_y)
            return fail(Code::never_sent, number, last.kappa);
        return {};
    }

    /// PushSum::reclaim: adds what is outstanding to x and y. It counts as withheld then, and the edge stays closed.
    Result<Value> take_back(std::uint32_t number, std::span<const Value> phi, Value phi_y, std::span<Value> x,
                            Value& y) {
        if (confirmed_.empty()) return fail(Code::bad_setting, 11);
        const Value back = outstanding(number, phi_y);
        Value sum_y{}, sum{};
        if (!M::add(y, back, sum_y)) return fail(Code::mass_overflow, -1);
        for (std::size_t k = 0; k < x.size(); ++k) {
            if (!M::add(x[k], outstanding(number, k, phi[k]), sum))
                return fail(Code::mass_overflow, static_cast<std::int64_t>(k));
        }
        for (std::size_t k = 0; k < x.size(); ++k) x[k] = M::gather(x[k], outstanding(number, k, phi[k]));
        y = sum_y;
        end(number, phi, phi_y);
        return back;
    }

private:
    struct Edge {
        std::uint32_t closed;  ///< by the caller
        std::uint32_t over;    ///< taken back: closed until the graph is another
        std::uint32_t keeps;   ///< was given nothing in the last wake-up
        std::uint32_t differs;
        std::int64_t confirmed_kappa;
        Value confirmed_y, withheld_y;
    };

    std::span<Edge> edges() const { return edges_.first(size()); }

    /// Component k of what is outstanding.
    Value outstanding(std::uint32_t number, std::size_t k, Value phi) const {
        const std::size_t at = number * dimension_ + k;
        return M::difference(M::difference(phi, withheld_[at]), confirmed_[at]);
    }
    void end(std::uint32_t number, std::span<const Value> phi, Value phi_y) {
        Edge& edge = edges_[number];
        edge.withheld_y = M::difference(phi_y, edge.confirmed_y);
        for (std::size_t k = 0; k < dimension_; ++k) {
            const std::size_t at = number * dimension_ + k;
            withheld_[at] = M::difference(phi[k], confirmed_[at]);
        }
        edge.differs = edge.over = 1;
    }

    std::size_t dimension_ = 0;
    std::span<Edge> edges_;
    std::span<Value> withheld_;
    std::span<Value> confirmed_;  ///< told^x as of the confirmed counter; empty where nothing can be reclaimed
};

}  // namespace dunlin
