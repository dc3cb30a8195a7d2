// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/aggregate/gossip.hpp"
#include "core/aggregate/mass.hpp"
#include "core/aggregate/out_edges.hpp"
#include "core/aggregate/push_sum_settings.hpp"
#include "core/aggregate/push_sum_state.hpp"
#include "core/aggregate/state_block.hpp"
#include "core/arena.hpp"

namespace dunlin {

/// Push-sum over a directed graph on which messages are lost, delayed, reordered and repeated: the node's part of
/// PARS-Push, Algorithm 1, lines 11-24 (Toghani, Lee and Uribe 2023), which is robust push-sum by running sums
/// (Hadjicostis et al. 2016; Spiridonoff et al. 2020). One wake-up is
///
///     x := x - eta g                                   a gradient step on the mass, if there is one
///     x := x / (d+ + 1),  y := y / (d+ + 1)            in d+ + 1 parts, remainder at home (`ShareDivision`)
///     phi^x := phi^x + share of x,  phi^y likewise     and send (phi^x, phi^y, kappa)
///     x := x + sum over j of (rho*_j - rho_j), y likewise, z = x/y
///
/// The sum over j is kept up to date as messages arrive (`pending`), so a node stores one rho per in-neighbour.
///
/// A node whose y would fall under `weight_floor` keeps what it has: it takes in what it received and repeats its
/// last sums, which a neighbour may have missed (else a fleet could starve), but neither steps nor shares
/// (invariants 2, 6). A step acts on z as eta/y, so the floor bounds how far one step throws z, and so does
/// `step_ratio_limit`: of a step only as much is taken as
///
///     eta / y <= step_ratio_limit
///
/// allows. What a node does not step, waiting or beyond that limit, it owes: it is added to the next step. Neither
/// default comes into play in the paper's setting, where y falls to 8e-4.
///
/// A neighbour that cannot be reached would drain the fleet. Where edges close, an edge is given its share only
/// while, for the y that the node holds as it wakes up,
///
///     (phi^y told - rho^y confirmed) + share^y <= outstanding_limit * y
///
/// and else the share stays at home this time; mass is divided into more than d+ + 1 parts where one of them would
/// exceed the limit at once (`PushSumSettings::parts`). What remains would have to be at least weight_kept / (d+ +
/// 1), or all edges get nothing: a node to whom nobody gives anything any more must not give all it has. `confirm`
/// takes what a receiver says that it holds. Besides, `close_edge` keeps shares at home until `open_edge`. What an
/// edge has not been given is remembered beside the one phi of all edges, so that its receiver is told phi less
/// that (`share_to`, `OutEdges`).
///
/// Where nodes come or go, a fleet that has nothing in flight starts again on a new graph, each node with the mass
/// that it holds (`carry_over`).
///
/// The state is one block of the caller's arena: header, sources, out-edges, x, phi, pending and rho. A state that
/// was stored before edges had a limit goes on where edges do not close, and is refused (state_mismatch, word 0)
/// where they do: it does not know what was confirmed. Movable, not copyable.
template <class M = ExactMass, Exchange exchange = Exchange::running_sums>
class PushSum {
public:
    using Value = typename M::Value;
    static constexpr bool running_sums = exchange == Exchange::running_sums;

    /// Bytes of arena that a node takes: (in-degree + 3) d masses and a little; d more for every edge that can
    /// close, and another d if it reclaims.
    static constexpr std::size_t memory(std::size_t dimension, std::size_t in_degree, std::size_t closable = 0,
                                        bool reclaims = false) {
        return Arena::bytes<Header>(1) + Arena::bytes<Source>(in_degree) +
               OutEdges<M>::memory(dimension, closable, reclaims) + 3 * Arena::bytes<Value>(dimension) +
               Arena::bytes<Value>(running_sums ? in_degree * dimension : 0);
    }

    /// A node with x = `start` (dimension() floats) and y = 1. Errors: those of the settings; shape_mismatch;
    /// mass_overflow for a start beyond `largest_value`, or NaN.
    static Result<PushSum> make(const PushSumSettings& settings, ConstVector<float> start, Arena& arena);

    /// A node that begins anew with mass that was held (`held`), at the tick and with the steps
    /// owed that it had then: on a graph of a new epoch, when nothing of the old one is in flight. Errors: those of
    /// the settings; shape_mismatch; impossible_weight.
    static Result<PushSum> carry_over(const PushSumSettings& settings, std::span<const Value> held,
                                      Value held_weight, std::int64_t tick, double owed, Arena& arena);

    /// A node whose state is in `block` already: memory() bytes that it stored, aligned as an Arena's. Errors:
    /// those of the settings; state_size; state_mismatch.
    static Result<PushSum> resume(const PushSumSettings& settings, std::span<std::byte> block);

    PushSum(PushSum&&) = default;
    PushSum& operator=(PushSum&&) = default;

    std::size_t dimension() const { return x_.size(); }
    /// kappa, the last wake-up; -1 before the first.
    std::int64_t tick() const { return header_->kappa; }
    /// y as a number; positive.
    float weight() const { return mass_.to_float(header_->y); }

    /// z = x / y.
    void estimate(Vector<float> out) const {
        const float y = static_cast<float>(header_->y);
        for (std::size_t k = 0; k < x_.size(); ++k) out[k] = static_cast<float>(x_[k]) / y;
    }

    /// Errors: unknown_sender, shape_mismatch, impossible_weight, and where edges can close mass_overflow (first: the
    /// component; second: the sender, who would make this node's own next wake-up impossible); the node is then unchanged.
    Result<Receipt> receive(const Share<Value>& message) {
        Source* source = find_source(sources_, message.sender);
        if (source == nullptr) return fail(Code::unknown_sender, message.sender);
        if (message.values.size() != x_.size()) return wrong_size(message.values.size(), x_.size());
        if (!source->is_new(message.kappa)) return Receipt::stale;
        const Value weight = M::difference(message.weight, source->weight);
        if (!mass_.plausible_weight(weight, header_->nodes())) {
            return fail(Code::impossible_weight, message.sender);
        }
        if (edges_can_close && !edges_.empty()) {
            if (auto borne = bears(message, *source, weight); !borne) return tl::unexpected(borne.error());
        }
        source->mark(message.kappa);
        header_->pending_y = M::gather(header_->pending_y, weight);
        if constexpr (running_sums) {
            source->weight = message.weight;
            Value* rho = rho_.data() + static_cast<std::size_t>(source - sources_.data()) * x_.size();
            for (std::size_t k = 0; k < x_.size(); ++k) {
                pending_[k] = M::gather(pending_[k], M::difference(message.values[k], rho[k]));
                rho[k] = message.values[k];
            }
        } else {
            for (std::size_t k = 0; k < x_.size(); ++k) pending_[k] = M::gather(pending_[k], message.values[k]);
        }
        return Receipt::accepted;
    }

    /// One wake-up at `tick`, which must be later than the last, with the step `step_size` * `gradient` or, if that
    /// is empty, none. Errors: tick_not_newer, shape_mismatch, not_finite (of the step), mass_overflow; the node is
    /// then unchanged.
    Result<Woken<Value>> wake(std::int64_t tick, float step_size, ConstVector<float> gradient) {
        if (tick <= header_->kappa) return fail(Code::tick_not_newer, tick, header_->kappa);
        if (!gradient.empty() && gradient.size() != x_.size()) return wrong_size(gradient.size(), x_.size());
        auto weight = mass_.split(header_->y);
        // Constants where edges cannot close.
        const std::uint32_t limit = edges_can_close ? limit_units_ : 0, spare = edges_can_close ? spare_ : 0;
        const Value allowance = mass_.part(header_->y, limit);
        const auto gives = [&](std::uint32_t edge) {
            return edges_.gives(edge, header_->phi_y, weight.share, limit > 0, allowance);
        };
        std::uint32_t closed = 0, kept = 0;
        for (std::uint32_t edge = 0; edge < edges_.size(); ++edge) {
            closed += edges_.closed(edge);
            kept += !gives(edge);
        }
        const auto left = [&] { return M::gather(weight.home, M::times(weight.share, kept + spare)); };
        const bool poor = limit > 0 && left() < kept_floor_;
        if (poor) kept = static_cast<std::uint32_t>(edges_.size());
        if (kept + spare > 0) weight.home = left();
        const bool shares = weight.home >= floor_;
        const bool steps = shares && !gradient.empty();
        const float wanted = step_size + static_cast<float>(header_->owed);
        const float taken = steps ? std::min(wanted, step_ratio_limit_ * this->weight()) : 0.0f;
        const Plan plan{taken, steps ? gradient.data() : nullptr, shares, kept + spare};

        Value y{};
        if (!M::add(shares ? weight.home : header_->y, header_->pending_y, y)) return fail(Code::mass_overflow, -1);
        const std::span<const float> step = steps ? gradient : std::span<const float>{};
        for (std::size_t k = mass_.roomy(x_, pending_, plan.step_size, step) ? x_.size() : 0; k < x_.size(); ++k) {
            if (Value next{}, share{}; !component(plan, k, next, share)) return refused(plan, k);
        }

        edges_.choose([&](std::uint32_t edge) { return !poor && gives(edge); });
        for (std::size_t k = 0; k < x_.size(); ++k) {
            Value next{}, share{};
            component(plan, k, next, share);
            x_[k] = next;
            phi_[k] = running_sums ? M::gather(phi_[k], share) : share;
            pending_[k] = Value{};
            if (kept > 0) edges_.withhold(k, share);
        }
        const Value share = shares ? weight.share : Value{};
        edges_.withhold_weight(share);
        header_->phi_y = running_sums ? M::gather(header_->phi_y, share) : share;
        header_->pending_y = Value{};
        header_->y = y;
        header_->kappa = tick;
        if (!gradient.empty()) {
            header_->owed = taken == wanted ? 0.0 : header_->owed + double{step_size} - double{taken};
        }
        return Woken<Value>{this->share(), taken, !shares, shares ? kept - closed : 0};
    }

    /// What every out-neighbour is told that was given every share.
    Share<Value> share() const { return {header_->node(), header_->kappa, phi_, header_->phi_y}; }

    /// What the out-neighbour on this edge is told; `scratch` holds dimension() masses and is used for an edge that
    /// was not given every share.
    Share<Value> share_to(std::uint32_t edge, std::span<Value> scratch) const {
        Share<Value> told = share();
        if (edges_.empty() || !edges_.differs(edge)) return told;
        edges_.told(edge, phi_, scratch);
        told.values = scratch.first(x_.size());
        told.weight = edges_.told(edge, header_->phi_y);
        return told;
    }

    /// From the next wake-up on the neighbour on this edge (0 ... out-degree - 1) is given nothing, or given again.
    /// Only with `edges_close`; closing a closed edge changes nothing, and neither does opening one that was
    /// reclaimed.
    void close_edge(std::uint32_t edge) { edges_.close(edge, true); }
    void open_edge(std::uint32_t edge) { edges_.close(edge, false); }
    bool edge_closed(std::uint32_t edge) const { return !edges_.empty() && edges_.closed(edge); }

    /// Is every edge that is open kept from the next share, for want of word that earlier ones arrived?
    bool all_wait() const {
        if (!edges_can_close || limit_units_ == 0) return false;
        const Value share = mass_.split(header_->y).share, allowance = mass_.part(header_->y, limit_units_);
        bool any = false;
        for (std::uint32_t edge = 0; edge < edges_.size(); ++edge) {
            if (edges_.closed(edge)) continue;
            if (edges_.gives(edge, header_->phi_y, share, true, allowance)) return false;
            any = true;
        }
        return any;
    }

    /// The out-neighbour on this edge says that it took this node's message of counter `kappa`, with which it holds
    /// this rho^y, and that a restart would not undo it. Only a newer counter counts. Only with `edges_close`.
    /// Error: never_sent, for a counter beyond this node's last or a weight that is not between the one confirmed
    /// last and what the edge is told; nothing has changed then.
    Result<void> confirm(std::uint32_t edge, std::int64_t kappa, Value weight) {
        return edges_.confirm(edge, kappa, weight, phi_, header_->phi_y, header_->kappa);
    }
    /// The y that this edge was told and has not confirmed.
    Value outstanding(std::uint32_t edge) const { return edges_.outstanding(edge, header_->phi_y); }

    /// Takes back, exactly, what the receiver on this edge never confirmed, and leaves the edge closed for as long
    /// as the graph is this one. Only with `reclaims`. The share would be counted twice if its receiver took it
    /// after all, so the caller states why that cannot be: the receiver is fenced, or this counter is its last.
    /// Answers the y that came back. Errors: bad_setting (without `reclaims`), never_sent (as `confirm`, or a last
    /// counter older than one confirmed), mass_overflow; nothing has changed then.
    Result<Value> reclaim(std::uint32_t edge, Fenced) {
        return edges_.take_back(edge, phi_, header_->phi_y, x_, header_->y);
    }
    Result<Value> reclaim(std::uint32_t edge, const FinalCounter<Value>& last) {
        if (auto known = edges_.confirm_last(edge, last, phi_, header_->phi_y, header_->kappa); !known)
            return tl::unexpected(known.error());
        return reclaim(edge, Fenced{});
    }

    /// Multiplies x and y by 2^bits, exactly, and leaves z as it is: for all nodes of a fleet that has lost weight,
    /// by the same number of bits, while nothing is in flight: after `carry_over`, before the first wake-up.
    /// Errors: mass_overflow (first: the component, -1 for y), impossible_weight; nothing has changed then.
    Result<void> shift(unsigned bits);

    /// Absorbs what was taken in without a wake-up, so that x and y are all that this node holds; what it has given
    /// is not in it. For a node that will not wake up on this graph again.
    void absorb();
    /// x and y.
    std::span<const Value> held() const { return x_; }
    Value held_weight() const { return header_->y; }
    /// Step sizes that were wanted and not yet taken.
    double owed() const { return header_->owed; }
    std::size_t in_degree() const { return sources_.size(); }
    /// The tick of the newest message taken from the in-neighbour at this place of the list; -1 for none.
    std::int64_t heard(std::size_t place) const { return sources_[place].kappa; }
    /// rho^y of it: with `heard`, what the in-neighbour is to be told by `confirm` once this state is durable.
    Value heard_weight(std::size_t place) const { return sources_[place].weight; }

    /// Adds to (total_x, total_y) what this node holds, has taken in and not yet absorbed, and has given, less what
    /// it was given. Over all nodes of a fleet that is the total mass, exactly, wherever the messages are: sum of x
    /// plus, over the edges, phi - rho (invariant 1).
    void add_mass(std::span<Value> total_x, Value& total_y) const;

    const M& representation() const { return mass_; }

    std::span<const std::byte> state() const { return state_; }

    /// Takes a state that the same node of the same job stored. `saved` need not be aligned. Errors: state_size,
    /// state_mismatch; the node is then unchanged.
    Result<void> restore(std::span<const std::byte> saved) {
        return restore_block(state_, saved, Header::identity_words);
    }

private:
    using Header = PushSumHeader<Value>;
    using Source = PushSumSource<Value, exchange>;

    struct Plan {
        float step_size;
        const float* gradient;
        bool shares;
        std::uint32_t kept;  ///< shares that stay at home, beside the node's own
    };

    static std::size_t memory_of(const PushSumSettings& settings) {
        return memory(settings.dimension, settings.in_neighbours.size(), settings.closable(), settings.reclaims);
    }

    PushSum(const PushSumSettings& settings, std::span<std::byte> state)
        : PushSum(settings, state, StateView(state)) {}
    PushSum(const PushSumSettings& settings, std::span<std::byte> state, StateView block)
        : mass_(settings.format, settings.parts()),
          limit_units_(settings.limit_units()),
          spare_(settings.parts() - settings.out_degree - 1),
          step_ratio_limit_(settings.step_ratio_limit),
          state_(state),
          header_(block.take<Header>(1).data()),
          sources_(block.take<Source>(settings.in_neighbours.size())),
          edges_(block, settings.dimension, settings.closable(), settings.reclaims),
          x_(block.take<Value>(settings.dimension)),
          phi_(block.take<Value>(settings.dimension)),
          pending_(block.take<Value>(settings.dimension)),
          rho_(block.take<Value>(running_sums ? settings.in_neighbours.size() * settings.dimension : 0)) {
        mass_.from_float(settings.weight_floor, floor_);
        mass_.from_float(settings.weight_kept / static_cast<float>(settings.out_degree + 1), kept_floor_);
    }

    /// A node that holds nothing but a y of 1.
    static PushSum begin(const PushSumSettings& settings, Arena& arena);

    /// Lines 11-14 and 22 for one component; false where something does not fit.
    bool component(const Plan& plan, std::size_t k, Value& next, Value& share) const {
        Value mass = x_[k];
        if (plan.gradient != nullptr) {
            Value step{};
            if (!mass_.from_float(plan.step_size * plan.gradient[k], step) || !M::subtract(mass, step, mass)) {
                return false;
            }
        }
        if (plan.shares) {
            const auto split = mass_.split(mass);
            share = split.share;
            mass = split.home;
            if (edges_can_close && plan.kept > 0) mass = M::gather(mass, M::times(share, plan.kept));
        }
        return M::add(mass, pending_[k], next);
    }

    /// Would the next wake-up have room for this? Asked where edges can close, as on all real nodes but boards, whose
    /// flash is full: a receiver there refuses its own wake-up, as `wake` says.
    Result<void> bears(const Share<Value>& message, const Source& source, Value weight) const {
        if (Value sum{}; !M::add(header_->pending_y, weight, sum) || !M::add(header_->y, sum, sum))
            return fail(Code::mass_overflow, -1, message.sender);
        const Value* before =
            running_sums ? rho_.data() + static_cast<std::size_t>(&source - sources_.data()) * x_.size() : nullptr;
        if (M::small(x_, pending_, message.values, before)) return {};
        for (std::size_t k = 0; k < x_.size(); ++k) {
            const Value more = running_sums ? M::difference(message.values[k], before[k]) : message.values[k];
            if (!M::bears(x_[k], pending_[k], more))
                return fail(Code::mass_overflow, static_cast<std::int64_t>(k), message.sender);
        }
        return {};
    }

    static tl::unexpected<Error> refused(const Plan& plan, std::size_t k) {
        const float step = plan.gradient == nullptr ? 0.0f : plan.step_size * plan.gradient[k];
        return fail(step - step == 0.0f ? Code::mass_overflow : Code::not_finite, static_cast<std::int64_t>(k));
    }

    M mass_;
    std::uint32_t limit_units_, spare_;
    float step_ratio_limit_;
    Value floor_{}, kept_floor_{};
    std::span<std::byte> state_;
    Header* header_;
    std::span<Source> sources_;
    OutEdges<M> edges_;  ///< none where edges do not close
    std::span<Value> x_, phi_, pending_, rho_;
};

}  // namespace dunlin

#include "core/aggregate/push_sum_mass.hpp"
#include "core/aggregate/push_sum_start.hpp"
