// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/aggregate/gossip.hpp"
#include "core/aggregate/state_block.hpp"
#include "core/arena.hpp"

#include <array>

namespace dunlin {

/// Push-pull, or AB, one node: gradient tracking on directed graphs. Models are pulled with weights whose rows sum to
/// one, and gradients are pushed with weights whose columns do, both of which a node knows by its own degrees:
///
///     x(t+1) = R (x(t) - alpha y(t)),   R_ij = 1 / (1 + in-degree of i)
///     y(t+1) = C y(t) + g(t+1) - g(t),  C_ji = 1 / (1 + out-degree of i),   y(0) = g(0)
///
/// sum of y is the sum of all gradients at all times, so with a constant step every node comes to the minimiser of
/// the mean loss, linearly where losses are strongly convex; descent with R alone minimises a weighted mean.
/// Source: Pu, Shi, Xu and Nedic 2018; Xin and Khan 2018.
///
/// As in ASY-SONATA (Tian, Sun and Scutari 2018) what is pushed is said as a running sum and the newest model is
/// pulled, so that no node waits and messages may be late, lost or repeated: the next one makes up for them. Where
/// nothing is late this is the recursion above. What rounding keeps out of a share stays at home.
///
/// A message is (x - alpha y, the running sum). S is float, or double where a test wants to see a fixed point. The
/// state is one block of the caller's arena. Movable, not copyable.
template <class S = float>
class PushPull {
public:
    using Value = S;
    static constexpr GossipTraits traits{.name = "push-pull",
                                         .title = "push-pull",
                                         .carries = "running sum of the gradients that it tracks",
                                         .sent = 2};
    static const GossipPlace& settings_at(const GossipPlace& at) { return at; }

    static constexpr std::size_t memory(std::size_t dimension, std::size_t in_degree) {
        return Arena::bytes<Header>(1) + Arena::bytes<Source>(in_degree) +
               Arena::bytes<S>((7 + 2 * in_degree) * dimension);
    }

    /// Errors: bad_setting, no_neighbours, bad_neighbours, those of StepSchedule::check; shape_mismatch (of `start`).
    static Result<PushPull> make(const GossipPlace& at, ConstVector<S> start, Arena& arena) {
        if (auto checked = check(at); !checked) return tl::unexpected(checked.error());
        if (start.size() != at.dimension) return wrong_size(start.size(), at.dimension);
        PushPull node(at, arena.take<std::byte>(memory(at.dimension, at.in_neighbours.size())));
        node.begin(at);
        std::copy(start.begin(), start.end(), node.said_.begin());
        return node;
    }

    /// A machine of the same place whose state lies in `block`, which stays the caller's. Errors: those of the
    /// place; state_size, state_mismatch.
    static Result<PushPull> resume(const GossipPlace& at, std::span<std::byte> block) {
        if (auto checked = check(at); !checked) return tl::unexpected(checked.error());
        const std::size_t size = memory(at.dimension, at.in_neighbours.size());
        if (block.size() != size) return wrong_state(block.size(), size);
        if (auto same = check_identity(block, identity_of(at)); !same) return tl::unexpected(same.error());
        return PushPull(at, block);
    }

    PushPull(PushPull&&) = default;
    PushPull& operator=(PushPull&&) = default;

    std::size_t dimension() const { return kept_.size(); }
    std::int64_t tick() const { return header_->kappa; }

    /// x: the mean of what this node and its in-neighbours said last; who said nothing yet is taken for this node.
    void estimate(Vector<S> out) const {
        std::copy_n(said_.begin(), out.size(), out.begin());
        const S weight = S(1) / static_cast<S>(sources_.size() + 1);
        for (std::size_t j = 0; j < sources_.size(); ++j) {
            if (sources_[j].kappa < 0) continue;
            const Vector<S> other = heard(j);
            for (std::size_t k = 0; k < out.size(); ++k) out[k] += weight * (other[k] - said_[k]);
        }
    }

    /// Errors: unknown_sender, shape_mismatch, not_finite; the node is then unchanged.
    Result<Receipt> receive(const Share<S>& share) {
        Source* source = find_source(sources_, share.sender);
        if (source == nullptr) return fail(Code::unknown_sender, share.sender);
        if (share.values.size() != said_.size()) return wrong_size(share.values.size(), said_.size());
        if (auto fit = check_all_finite(share.values); !fit) return tl::unexpected(fit.error());
        if (share.kappa <= source->kappa) return Receipt::stale;
        source->kappa = share.kappa;
        const Vector<S> known = heard(static_cast<std::size_t>(source - sources_.data()));
        const std::size_t d = dimension();
        for (std::size_t k = 0; k < d; ++k) kept_[k] += share.values[d + k] - known[d + k];
        std::copy(share.values.begin(), share.values.end(), known.begin());
        return Receipt::accepted;
    }

    /// Without a gradient the node only agrees: y is mixed on, and no step is taken along it. Errors: tick_not_newer,
    /// shape_mismatch, not_finite (of what the step would lead to); the node is then unchanged.
    Result<Woken<S>> wake(std::int64_t tick, ConstVector<S> gradient) {
        const std::size_t d = dimension();
        if (tick <= header_->kappa) return fail(Code::tick_not_newer, tick, header_->kappa);
        if (!gradient.empty() && gradient.size() != d) return wrong_size(gradient.size(), d);
        const float step_size = gradient.empty() ? 0.0f : theta_.after(header_->kappa, tick);
        const Vector<S> said = next_.first(2 * d), kept = next_.subspan(2 * d, d);
        estimate(said.first(d));
        for (std::size_t k = 0; k < d; ++k) {
            const S tracked = kept_[k] + (gradient.empty() ? S(0) : gradient[k] - last_[k]);
            said[k] -= S(step_size) * tracked;
            said[d + k] = said_[d + k] + tracked / (out_degree_ + S(1));
            kept[k] = tracked - out_degree_ * (said[d + k] - said_[d + k]);
        }
        if (auto fit = check_all_finite(next_); !fit) return tl::unexpected(fit.error());
        std::copy(said.begin(), said.end(), said_.begin());
        std::copy(kept.begin(), kept.end(), kept_.begin());
        std::copy(gradient.begin(), gradient.end(), last_.begin());
        header_->kappa = tick;
        return Woken<S>{share(), step_size, false};
    }

    Share<S> share() const {
        return {static_cast<std::uint32_t>(header_->identity[1]), header_->kappa, said_, S(0)};
    }

    std::span<const std::byte> state() const { return state_; }
    /// Errors: state_size, state_mismatch.
    Result<void> restore(std::span<const std::byte> saved) { return restore_block(state_, saved, identity_words); }

private:
    static constexpr std::size_t identity_words = 4;

    struct Header {
        std::uint64_t identity[identity_words];  ///< kind; node; dimension; in-degree
        std::int64_t kappa;
    };
    struct Source {
        std::uint32_t node;
        std::int64_t kappa;
    };

    static std::array<std::uint64_t, identity_words> identity_of(const GossipPlace& at) {
        return {0x50500100u | sizeof(S), at.node, at.dimension, at.in_neighbours.size()};
    }

    PushPull(const GossipPlace& at, std::span<std::byte> state)
        : theta_(at.theta), out_degree_(static_cast<S>(at.out_degree)), state_(state) {
        const std::size_t d = at.dimension, degree = at.in_neighbours.size();
        StateView block(state_);
        header_ = block.take<Header>(1).data();
        sources_ = block.take<Source>(degree);
        const Vector<S> all = block.take<S>((7 + 2 * degree) * d);
        said_ = all.first(2 * d);
        kept_ = all.subspan(2 * d, d);
        last_ = all.subspan(3 * d, d);
        next_ = all.subspan(4 * d, 3 * d);
        heard_ = all.subspan(7 * d);
    }

    /// In zeroed memory.
    void begin(const GossipPlace& at) {
        std::ranges::copy(identity_of(at), header_->identity);
        header_->kappa = -1;
        for (std::size_t j = 0; j < sources_.size(); ++j) sources_[j] = {at.in_neighbours[j], -1};
    }

    static Result<void> check(const GossipPlace& at) {
        if (auto checked = at.theta.check(); !checked) return checked;
        if (at.node >= at.nodes) return fail(Code::bad_setting, 0);
        if (at.dimension == 0) return fail(Code::bad_setting, 2);
        const bool alone = at.nodes == 1 && at.out_degree == 0;
        if (!alone && (at.in_neighbours.empty() || at.out_degree == 0)) return fail(Code::no_neighbours);
        for (std::size_t j = 0; j < at.in_neighbours.size(); ++j) {
            if (!valid_neighbour(at.in_neighbours, j, at.node, at.nodes))
                return fail(Code::bad_neighbours, static_cast<std::int64_t>(j));
        }
        return {};
    }
    static Result<void> check_all_finite(ConstVector<S> values) {
        for (std::size_t k = 0; k < values.size(); ++k) {
            if (!(values[k] - values[k] == S(0))) return fail(Code::not_finite, static_cast<std::int64_t>(k));
        }
        return {};
    }

    Vector<S> heard(std::size_t source) const { return heard_.subspan(source * said_.size(), said_.size()); }

    StepSchedule theta_;
    S out_degree_;
    std::span<std::byte> state_;
    Header* header_ = nullptr;
    std::span<Source> sources_;
    Vector<S> said_;   ///< x - alpha y, and the running sum of what every out-neighbour was given
    Vector<S> kept_;   ///< what of y stayed here or has come
    Vector<S> last_;   ///< g
    Vector<S> next_;   ///< what comes is computed here first, so that a refusal leaves the node as it was
    Vector<S> heard_;  ///< the newest message of every source
};

static_assert(FleetNode<PushPull<>>);

}  // namespace dunlin
