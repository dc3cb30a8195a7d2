// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/aggregate/gossip.hpp"
#include "core/aggregate/mass.hpp"
#include "core/aggregate/state_block.hpp"
#include "core/arena.hpp"

namespace dunlin {

/// What push-sum sends. With running sums a message carries all that a node ever gave to an out-neighbour, so the
/// next message that arrives makes up for every one that was lost. With plain shares it carries this wake-up's
/// share alone, and what is lost is lost.
enum class Exchange : std::uint8_t { running_sums, plain_shares };

struct PushSumSettings {
    std::uint32_t node = 0;                             ///< this node's number, below `nodes`
    std::uint32_t nodes = 0;                            ///< n
    std::size_t dimension = 0;                          ///< d
    std::span<const std::uint32_t> in_neighbours = {};  ///< N^-, ascending, without this node
    std::uint32_t out_degree = 0;                       ///< d^+, without this node
    FixedPoint format = {};                             ///< the same on every node
    float largest_value = 1.0f;                         ///< largest |z| expected: n times it must fit the format
    float weight_floor = 0x1p-12f;                      ///< y that a node never gives away
    bool edges_close = false;                           ///< may out-edges be closed? (running sums only)

    /// Errors: out_of_range, mass_too_large, bad_setting, no_neighbours, bad_neighbours.
    Result<void> check() const;
    /// Out-edges that can be closed.
    std::uint32_t closable() const { return edges_close ? out_degree : 0; }
};

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
/// last sums, which a neighbour may have missed (else a fleet could starve), but neither steps nor shares. The step
/// is owed: its size is added to the next one (invariants 2, 6). Since a step acts on z as eta/y, the floor also
/// bounds how far one step throws z; the default never comes into play in the paper's setting, where y falls to
/// 8e-4.
///
/// A neighbour that cannot be reached for long would drain the fleet: `close_edge` keeps its shares at home until
/// `open_edge`. What an edge has not been given for being closed is remembered beside the one phi of all edges, so
/// that its receiver is told phi less that (`share_to`).
///
/// Where nodes come or go, a fleet that has nothing in flight starts again on a new graph, each node with the mass
/// that it holds (`carry_over`).
///
/// The state is one block of the caller's arena: header, sources, edges, x, phi, pending, then what was withheld
/// and rho. Movable, not copyable.
template <class M = ExactMass, Exchange exchange = Exchange::running_sums>
class PushSum {
public:
    using Value = typename M::Value;
    static constexpr bool running_sums = exchange == Exchange::running_sums;

    /// Bytes of arena that a node takes: (in-degree + 3) d masses and a little; d more for every edge that can
    /// close.
    static constexpr std::size_t memory(std::size_t dimension, std::size_t in_degree, std::size_t closable = 0) {
        return Arena::bytes<Header>(1) + Arena::bytes<Source>(in_degree) + Arena::bytes<OutEdge>(closable) +
               3 * Arena::bytes<Value>(dimension) + Arena::bytes<Value>(closable * dimension) +
               Arena::bytes<Value>(running_sums ? in_degree * dimension : 0);
    }

    /// A node with x = `start` (dimension() floats) and y = 1. Errors: those of the settings; shape_mismatch;
    /// mass_overflow for a start beyond `largest_value`, or NaN.
    static Result<PushSum> make(const PushSumSettings& settings, ConstVector<float> start, Arena& arena) {
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

    /// A node that begins anew with mass that was held (`held`), at the tick and with the steps
    /// owed that it had then: on a graph of a new epoch, when nothing of the old one is in flight. Errors: those of
    /// the settings; shape_mismatch; impossible_weight.
    static Result<PushSum> carry_over(const PushSumSettings& settings, std::span<const Value> held,
                                      Value held_weight, std::int64_t tick, double owed, Arena& arena) {
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

    /// A node whose state is in `block` already: memory() bytes that it stored, aligned as an Arena's. Errors:
    /// those of the settings; state_size; state_mismatch.
    static Result<PushSum> resume(const PushSumSettings& settings, std::span<std::byte> block) {
        if (auto checked = settings.check(); !checked) return tl::unexpected(checked.error());
        const std::size_t size = memory(settings.dimension, settings.in_neighbours.size(), settings.closable());
        if (block.size() != size) {
            return fail(Code::state_size, static_cast<std::int64_t>(block.size()), static_cast<std::int64_t>(size));
        }
        if (auto same = check_identity(block, identity_of(settings)); !same) return tl::unexpected(same.error());
        return PushSum(settings, block);
    }

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

    /// Errors: unknown_sender, shape_mismatch, impossible_weight; the node is then unchanged.
    Result<Receipt> receive(const Share<Value>& message) {
        Source* source = find_source(sources_, message.sender);
        if (source == nullptr) return fail(Code::unknown_sender, message.sender);
        if (message.values.size() != x_.size()) return wrong_size(message.values.size(), x_.size());
        if (!is_new(*source, message.kappa)) return Receipt::stale;
        const Value weight = M::difference(message.weight, source->weight);
        if (!mass_.plausible_weight(weight, header_->nodes())) {
            return fail(Code::impossible_weight, message.sender);
        }
        mark(*source, message.kappa);
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
        if (header_->closed > 0) weight.home = M::gather(weight.home, times(weight.share, header_->closed));
        const bool shares = weight.home >= floor_;
        const bool steps = shares && !gradient.empty();
        const Plan plan{step_size + static_cast<float>(header_->owed), steps ? gradient.data() : nullptr, shares,
                        static_cast<std::uint32_t>(header_->closed)};

        Value y{};
        if (!M::add(shares ? weight.home : header_->y, header_->pending_y, y)) return fail(Code::mass_overflow, -1);
        const std::span<const float> step = steps ? gradient : std::span<const float>{};
        for (std::size_t k = mass_.roomy(x_, pending_, plan.step_size, step) ? x_.size() : 0; k < x_.size(); ++k) {
            if (Value next{}, share{}; !component(plan, k, next, share)) return refused(plan, k);
        }

        for (std::size_t k = 0; k < x_.size(); ++k) {
            Value next{}, share{};
            component(plan, k, next, share);
            x_[k] = next;
            phi_[k] = running_sums ? M::gather(phi_[k], share) : share;
            pending_[k] = Value{};
            if (plan.closed > 0) withhold(k, share);
        }
        const Value share = shares ? weight.share : Value{};
        for (OutEdge& edge : edges_) {
            if (edge.closed != 0) edge.withheld_y = M::gather(edge.withheld_y, share);
        }
        header_->phi_y = running_sums ? M::gather(header_->phi_y, share) : share;
        header_->pending_y = Value{};
        header_->y = y;
        header_->kappa = tick;
        if (!gradient.empty()) header_->owed = shares ? 0.0 : header_->owed + double{step_size};
        return Woken<Value>{this->share(), steps ? plan.step_size : 0.0f, !shares};
    }

    /// What every out-neighbour is told whose edge was never closed.
    Share<Value> share() const { return {header_->node(), header_->kappa, phi_, header_->phi_y}; }

    /// What the out-neighbour on this edge is told; `scratch` holds dimension() masses and is used for an edge that
    /// was closed at some time.
    Share<Value> share_to(std::uint32_t edge, std::span<Value> scratch) const {
        Share<Value> told = share();
        if (edges_.empty() || edges_[edge].ever_closed == 0) return told;
        const Value* withheld = withheld_.data() + edge * x_.size();
        for (std::size_t k = 0; k < x_.size(); ++k) scratch[k] = M::difference(phi_[k], withheld[k]);
        told.values = scratch.first(x_.size());
        told.weight = M::difference(told.weight, edges_[edge].withheld_y);
        return told;
    }

    /// From the next wake-up on the neighbour on this edge (0 ... out-degree - 1) is given nothing, or given again.
    /// Only with `edges_close`; closing a closed edge changes nothing.
    void close_edge(std::uint32_t edge) { set_closed(edge, true); }
    void open_edge(std::uint32_t edge) { set_closed(edge, false); }
    bool edge_closed(std::uint32_t edge) const { return !edges_.empty() && edges_[edge].closed != 0; }

    /// Absorbs what was taken in without a wake-up, so that x and y are all that this node holds; what it has given
    /// is not in it. For a node that will not wake up on this graph again.
    void absorb() {
        for (std::size_t k = 0; k < x_.size(); ++k) {
            x_[k] = M::gather(x_[k], pending_[k]);
            pending_[k] = Value{};
        }
        header_->y = M::gather(header_->y, header_->pending_y);
        header_->pending_y = Value{};
    }
    /// x and y.
    std::span<const Value> held() const { return x_; }
    Value held_weight() const { return header_->y; }
    /// Sum of the step sizes of wake-ups that waited.
    double owed() const { return header_->owed; }
    std::size_t in_degree() const { return sources_.size(); }
    /// The tick of the newest message taken from the in-neighbour at this place of the list; -1 for none.
    std::int64_t heard(std::size_t place) const { return sources_[place].kappa; }

    /// Adds to (total_x, total_y) what this node holds, has taken in and not yet absorbed, and has given, less what
    /// it was given. Over all nodes of a fleet that is the total mass, exactly, wherever the messages are: sum of x
    /// plus, over the edges, phi - rho (invariant 1).
    void add_mass(std::span<Value> total_x, Value& total_y) const {
        const std::uint64_t degree = header_->out_degree();
        for (std::size_t k = 0; k < x_.size(); ++k) {
            Value mass = M::gather(M::gather(x_[k], pending_[k]), times(phi_[k], degree));
            for (std::size_t at = k; at < withheld_.size(); at += x_.size())
                mass = M::difference(mass, withheld_[at]);
            for (std::size_t at = k; at < rho_.size(); at += x_.size()) mass = M::difference(mass, rho_[at]);
            total_x[k] = M::gather(total_x[k], mass);
        }
        Value mass = M::gather(M::gather(header_->y, header_->pending_y), times(header_->phi_y, degree));
        for (const OutEdge& edge : edges_) mass = M::difference(mass, edge.withheld_y);
        for (const Source& source : sources_) mass = M::difference(mass, source.weight);
        total_y = M::gather(total_y, mass);
    }

    const M& representation() const { return mass_; }

    std::span<const std::byte> state() const { return state_; }

    /// Takes a state that the same node of the same job stored. `saved` need not be aligned. Errors: state_size,
    /// state_mismatch; the node is then unchanged.
    Result<void> restore(std::span<const std::byte> saved) { return restore_block(state_, saved, identity_words); }

private:
    static constexpr std::size_t identity_words = 6;

    struct Header {
        std::uint64_t identity[identity_words];  ///< kind; node, nodes; dimension; in-degree; out-degree; format
        std::int64_t kappa;
        double owed;           ///< step sizes of the wake-ups that waited
        std::uint64_t closed;  ///< out-edges
        Value y, phi_y, pending_y;

        std::uint32_t node() const { return static_cast<std::uint32_t>(identity[1] >> 32); }
        std::uint32_t nodes() const { return static_cast<std::uint32_t>(identity[1]); }
        std::uint32_t out_degree() const { return static_cast<std::uint32_t>(identity[4]); }
    };

    /// An in-neighbour: its newest counter, rho^y, and (plain shares) which of the 64 counters up to it were seen.
    struct Source {
        std::uint64_t node;
        std::int64_t kappa;
        std::uint64_t seen;
        Value weight;
    };

    /// An edge to an out-neighbour that can be closed.
    struct OutEdge {
        std::uint64_t closed, ever_closed;
        Value withheld_y;
    };

    struct Plan {
        float step_size;
        const float* gradient;
        bool shares;
        std::uint32_t closed;
    };

    using Identity = std::array<std::uint64_t, identity_words>;

    PushSum(const PushSumSettings& settings, std::span<std::byte> state)
        : mass_(settings.format, settings.out_degree + 1), state_(state) {
        const std::size_t degree = settings.in_neighbours.size();
        StateView block(state_);
        header_ = block.take<Header>(1).data();
        sources_ = block.take<Source>(degree);
        edges_ = block.take<OutEdge>(settings.closable());
        x_ = block.take<Value>(settings.dimension);
        phi_ = block.take<Value>(settings.dimension);
        pending_ = block.take<Value>(settings.dimension);
        withheld_ = block.take<Value>(settings.closable() * settings.dimension);
        rho_ = block.take<Value>(running_sums ? degree * settings.dimension : 0);
        mass_.from_float(settings.weight_floor, floor_);
    }

    static Identity identity_of(const PushSumSettings& settings) {
        const std::uint64_t kind =
            0x50530001u + (running_sums ? 0 : 0x100) + (std::is_integral_v<Value> ? 0 : 0x200);
        return {kind,
                std::uint64_t{settings.node} << 32 | settings.nodes,
                settings.dimension,
                settings.in_neighbours.size(),
                std::uint64_t{settings.edges_close} << 32 | settings.out_degree,
                static_cast<std::uint64_t>(settings.format.fraction_bits)};
    }

    /// A node that holds nothing but a y of 1.
    static PushSum begin(const PushSumSettings& settings, Arena& arena) {
        const std::size_t degree = settings.in_neighbours.size();
        PushSum node(settings, arena.take<std::byte>(memory(settings.dimension, degree, settings.closable())));
        const Identity identity = identity_of(settings);
        std::copy(identity.begin(), identity.end(), node.header_->identity);
        node.header_->kappa = -1;
        node.mass_.from_float(1.0f, node.header_->y);
        for (std::size_t j = 0; j < degree; ++j) {
            node.sources_[j].node = settings.in_neighbours[j];
            node.sources_[j].kappa = -1;
        }
        return node;
    }

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
            if (plan.closed > 0) mass = M::gather(mass, times(share, plan.closed));
        }
        return M::add(mass, pending_[k], next);
    }

    static Value times(Value value, std::uint64_t count) {
        if constexpr (std::is_integral_v<Value>) {
            return static_cast<Value>(static_cast<std::uint64_t>(value) * count);
        } else {
            return value * static_cast<Value>(count);
        }
    }

    void withhold(std::size_t k, Value share) {
        for (std::size_t edge = 0; edge < edges_.size(); ++edge) {
            if (edges_[edge].closed == 0) continue;
            Value& withheld = withheld_[edge * x_.size() + k];
            withheld = M::gather(withheld, share);
        }
    }

    void set_closed(std::uint32_t number, bool closed) {
        OutEdge& edge = edges_[number];
        if ((edge.closed != 0) == closed) return;
        edge.closed = closed ? 1 : 0;
        edge.ever_closed = 1;
        header_->closed = closed ? header_->closed + 1 : header_->closed - 1;
    }

    static tl::unexpected<Error> refused(const Plan& plan, std::size_t k) {
        const float step = plan.gradient == nullptr ? 0.0f : plan.step_size * plan.gradient[k];
        return fail(step - step == 0.0f ? Code::mass_overflow : Code::not_finite, static_cast<std::int64_t>(k));
    }

    /// Running sums: only a newer counter. Plain shares: any counter once, as long as it is no older than the
    /// window; a share that was overtaken is mass all the same.
    static bool is_new(const Source& source, std::int64_t kappa) {
        if (kappa > source.kappa) return true;
        if (running_sums || kappa < 0 || source.kappa - kappa >= 64) return false;
        return (source.seen >> (source.kappa - kappa) & 1) == 0;
    }
    static void mark(Source& source, std::int64_t kappa) {
        if (kappa > source.kappa) {
            const std::int64_t ahead = kappa - source.kappa;
            source.seen = ahead < 64 ? source.seen << ahead : 0;
            source.kappa = kappa;
        }
        source.seen |= std::uint64_t{1} << (source.kappa - kappa);
    }

    M mass_;
    Value floor_{};
    std::span<std::byte> state_;
    Header* header_ = nullptr;
    std::span<Source> sources_;
    std::span<OutEdge> edges_;  ///< empty where edges do not close
    std::span<Value> x_, phi_, pending_, withheld_, rho_;
};

inline Result<void> PushSumSettings::check() const {
    if (auto checked = format.check(nodes, largest_value); !checked) return checked;
    if (node >= nodes) return fail(Code::bad_setting, 0);
    if (dimension == 0) return fail(Code::bad_setting, 2);
    if (in_neighbours.empty() || out_degree == 0) return fail(Code::no_neighbours);
    if (out_degree >= ShareDivision::most_parts || out_degree >= nodes) {
        return fail(Code::out_of_range, out_degree, std::min(nodes, ShareDivision::most_parts) - 1);
    }
    // A node of mean weight must always be able to share, or nobody might.
    if (!(weight_floor >= 0.0f && weight_floor * static_cast<float>(out_degree + 1) <= 0.5f)) {
        return fail(Code::bad_setting, 7);
    }
    for (std::size_t j = 0; j < in_neighbours.size(); ++j) {
        if (!valid_neighbour(in_neighbours, j, node, nodes)) {
            return fail(Code::bad_neighbours, static_cast<std::int64_t>(j));
        }
    }
    return {};
}

}  // namespace dunlin
