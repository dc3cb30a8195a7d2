// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/aggregate/gossip.hpp"
#include "core/aggregate/state_block.hpp"
#include "core/aggregate/step_schedule.hpp"
#include "core/arena.hpp"

#include <array>

namespace dunlin {

struct SynchronousSettings {
    std::uint32_t node = 0;                          ///< this node's number, below `nodes`
    std::uint32_t nodes = 0;                         ///< n
    std::size_t dimension = 0;                       ///< d
    std::span<const std::uint32_t> neighbours = {};  ///< ascending, without this node; none where n = 1
    std::span<const double> weights = {};            ///< W_ij of those; W_ii is what is missing to one
    StepSchedule theta = {};                         ///< by round; SPDB's 1 / (alpha n)
    SeriesPlan series = {};                          ///< of a rule that asks for more than gradients

    /// Errors: bad_setting, no_neighbours, bad_neighbours, those of StepSchedule::check.
    Result<void> check() const;
};

/// One node of a method that mixes by rounds over an undirected graph. Every node announces its start, and then in
/// each round r says one message m_i and hears one from every neighbour:
///
///     g_i      = a gradient at x_i(r), computed by the caller
///     D_i      = sum over j of W_ij (m_j(r) - m_i(r))
///     m_i(r+1) = rule(m_i, D_i, g_i)
///
/// A message begins with x. Differences are what is summed, so that rounding errors shrink as the nodes agree.
///
/// Nobody is ever more than one round ahead of a neighbour. A message that comes too early is kept, one that comes
/// again changes nothing, and a node that waits repeats its last two messages in turn, so that losses and restarts
/// delay the fleet but change no number. Like Dpsgd it holds no mass.
///
/// S is float, or double where a test wants to see a fixed point. The state is one block of the caller's arena.
/// Movable, not copyable.
template <class S, class Rule>
class Synchronous {
public:
    using Value = S;
    static constexpr GossipTraits traits = Rule::traits;
    static SynchronousSettings settings_at(const GossipPlace& at) {
        return {at.node, at.nodes, at.dimension, at.in_neighbours, at.weights, at.theta, at.series};
    }

    static constexpr std::size_t memory(std::size_t dimension, std::size_t degree) {
        return Arena::bytes<Header>(1) + Arena::bytes<Source>(degree) +
               Arena::bytes<S>(vectors(degree) * dimension);
    }

    /// Errors: those of the settings; shape_mismatch, not_finite (of `start`).
    static Result<Synchronous> make(const SynchronousSettings& settings, ConstVector<S> start, Arena& arena) {
        if (auto checked = settings.check(); !checked) return tl::unexpected(checked.error());
        if (auto fit = check_values(start, settings.dimension); !fit) return tl::unexpected(fit.error());
        Synchronous node(settings, arena.take<std::byte>(memory(settings.dimension, settings.neighbours.size())));
        node.begin(settings);
        std::copy(start.begin(), start.end(), node.message(0).begin());
        return node;
    }

    /// A machine of the same settings whose state lies in `block`, which stays the caller's. Errors: those of the
    /// settings; state_size, state_mismatch.
    static Result<Synchronous> resume(const SynchronousSettings& settings, std::span<std::byte> block) {
        if (auto checked = settings.check(); !checked) return tl::unexpected(checked.error());
        const std::size_t size = memory(settings.dimension, settings.neighbours.size());
        if (block.size() != size) return wrong_state(block.size(), size);
        if (auto same = check_identity(block, identity_of(settings)); !same) return tl::unexpected(same.error());
        return Synchronous(settings, block);
    }

    Synchronous(Synchronous&&) = default;
    Synchronous& operator=(Synchronous&&) = default;

    std::size_t dimension() const { return d_; }
    std::int64_t tick() const { return header_->tick; }
    std::int64_t round() const { return header_->round; }  ///< r; -1 before the announcement

    void estimate(Vector<S> out) const {
        const std::int64_t r = std::max<std::int64_t>(header_->round, 0);
        const Vector<S> own = !traits.asks || series_.stage(r).says_model ? message(r) : kept_;
        std::copy_n(own.begin(), d_, out.begin());
    }

    /// What the gradient of the next wake-up is to be, and where it asks for products, the direction u.
    Question question() const {
        if constexpr (!traits.asks) return {};
        const SeriesPlan::Stage stage = series_.stage(header_->round);
        using Kind = Question::Kind;
        return {.kind = !stage.says_model ? Kind::products
                        : stage.begins    ? Kind::outer_gradient
                                          : Kind::gradient,
                .last = stage.last,
                .step_size = static_cast<float>(theta_.at(header_->round))};
    }
    void direction(Vector<S> out) const {
        const Vector<S> own = message(header_->round);
        std::copy_n(own.begin(), d_, out.begin());
    }

    /// Has everything arrived that a gradient step at x(r) needs?
    bool ready() const {
        const std::int64_t r = header_->round;
        return r >= 0 && std::all_of(sources_.begin(), sources_.end(),
                                     [r](const Source& source) { return source.round[r & 1] == r; });
    }

    /// Errors: unknown_sender, shape_mismatch, not_finite, round_ahead; the node is then unchanged.
    Result<Receipt> receive(const Share<S>& share) {
        Source* source = find_source(sources_, share.sender);
        if (source == nullptr) return fail(Code::unknown_sender, share.sender);
        if (auto fit = check_values(share.values, Rule::sent * d_); !fit) return tl::unexpected(fit.error());
        if (share.kappa > header_->round + 1) return fail(Code::round_ahead, share.sender, share.kappa);
        std::int64_t& slot = source->round[share.kappa & 1];
        if (share.kappa <= slot) return Receipt::stale;
        slot = share.kappa;
        const Vector<S> kept = heard(static_cast<std::size_t>(source - sources_.data()), share.kappa);
        std::copy(share.values.begin(), share.values.end(), kept.begin());
        return Receipt::accepted;
    }

    /// The first call announces the start. Later ones go one round on when `ready()`, with the gradient at
    /// estimate(), empty for none; else the node waits, and the gradient is not looked at. Several calls may share
    /// a tick. Errors: tick_not_newer (it goes back), shape_mismatch, not_finite (of what the round would lead to);
    /// the node is then unchanged.
    Result<Woken<S>> wake(std::int64_t tick, ConstVector<S> gradient) {
        if (tick < header_->tick) return fail(Code::tick_not_newer, tick, header_->tick);
        const std::int64_t r = header_->round;
        if (r >= 0 && !ready()) {
            header_->tick = tick;
            const bool older = header_->waits++ % 2 == 1 && r > 0;
            return Woken<S>{share_of(older ? r - 1 : r), 0.0f, true};
        }
        if (r < 0) {
            header_->tick = tick;
            header_->round = 0;
            return Woken<S>{share(), 0.0f, false};
        }
        if (!gradient.empty() && gradient.size() != d_) return wrong_size(gradient.size(), d_);
        const double step_size = theta_.at(r);
        take_differences(r);
        if constexpr (traits.asks)
            Rule::template step<S>(S(step_size), series_.stage(r), gradient, message(r), kept_, next_);
        else
            Rule::template step<S>(S(step_size), r == 0, gradient, message(r), kept_, next_);
        if (auto fit = check_values(next_, next_.size()); !fit) return tl::unexpected(fit.error());
        header_->tick = tick;
        header_->round = r + 1;
        header_->waits = 0;
        std::copy_n(next_.begin(), kept_.size(), kept_.begin());
        std::copy(differences_.begin(), differences_.end(), message(r + 1).begin());
        return Woken<S>{share(), gradient.empty() ? 0.0f : static_cast<float>(step_size), false};
    }

    Share<S> share() const { return share_of(header_->round); }

    std::span<const std::byte> state() const { return state_; }
    /// Errors: state_size, state_mismatch.
    Result<void> restore(std::span<const std::byte> saved) { return restore_block(state_, saved, identity_words); }

private:
    static constexpr std::size_t identity_words = 4;

    struct Header {
        std::uint64_t identity[identity_words];  ///< kind; node; dimension; degree
        std::int64_t tick, round, waits;
    };
    struct Source {
        std::uint32_t node;
        S weight;               ///< W_ij
        std::int64_t round[2];  ///< of what was heard last, even and odd rounds
    };

    static std::array<std::uint64_t, identity_words> identity_of(const SynchronousSettings& settings) {
        return {Rule::identity | sizeof(S), settings.node, settings.dimension, settings.neighbours.size()};
    }

    Synchronous(const SynchronousSettings& settings, std::span<std::byte> state)
        : d_(settings.dimension), theta_(settings.theta), series_(settings.series), state_(state) {
        const std::size_t degree = settings.neighbours.size();
        StateView block(state_);
        header_ = block.take<Header>(1).data();
        sources_ = block.take<Source>(degree);
        Vector<S> rest = block.take<S>(vectors(degree) * d_);
        const auto next_part = [&](std::size_t count) {
            const Vector<S> part = rest.first(count * d_);
            rest = rest.subspan(part.size());
            return part;
        };
        kept_ = next_part(Rule::kept);
        messages_ = next_part(2 * Rule::sent);
        // What comes is computed here first, so that a refusal leaves the node as it was.
        next_ = next_part(Rule::kept + Rule::sent);
        differences_ = next_.last(Rule::sent * d_);
        heard_ = next_part(2 * degree * Rule::sent);
    }

    /// In zeroed memory.
    void begin(const SynchronousSettings& settings) {
        std::ranges::copy(identity_of(settings), header_->identity);
        header_->tick = header_->round = -1;
        for (std::size_t j = 0; j < sources_.size(); ++j) {
            sources_[j] = {settings.neighbours[j], S(settings.weights[j]), {-1, -1}};
        }
    }

    static constexpr std::size_t vectors(std::size_t degree) {
        return 2 * Rule::kept + 3 * Rule::sent + 2 * degree * Rule::sent;
    }

    static Result<void> check_values(ConstVector<S> values, std::size_t size) {
        if constexpr (std::is_same_v<S, float>) {
            return check_finite(values, size);
        } else {
            if (values.size() != size) return wrong_size(values.size(), size);
            for (std::size_t k = 0; k < size; ++k) {
                if (!(values[k] - values[k] == S(0))) return fail(Code::not_finite, static_cast<std::int64_t>(k));
            }
            return {};
        }
    }

    Vector<S> message(std::int64_t round) const {
        return messages_.subspan(static_cast<std::size_t>(round & 1) * Rule::sent * d_, Rule::sent * d_);
    }
    Vector<S> heard(std::size_t source, std::int64_t round) const {
        return heard_.subspan((2 * source + static_cast<std::size_t>(round & 1)) * Rule::sent * d_,
                              Rule::sent * d_);
    }
    Share<S> share_of(std::int64_t round) const {
        return {static_cast<std::uint32_t>(header_->identity[1]), round, message(round), S(0)};
    }

    void take_differences(std::int64_t r) {
        const Vector<S> own = message(r);
        std::fill(differences_.begin(), differences_.end(), S(0));
        for (std::size_t j = 0; j < sources_.size(); ++j) {
            const S weight = sources_[j].weight;
            const Vector<S> other = heard(j, r);
            for (std::size_t k = 0; k < own.size(); ++k) differences_[k] += weight * (other[k] - own[k]);
        }
    }

    std::size_t d_;
    StepSchedule theta_;
    SeriesPlan series_;
    std::span<std::byte> state_;
    Header* header_ = nullptr;
    std::span<Source> sources_;
    Vector<S> kept_, messages_, next_, differences_, heard_;
};

// The rules. `next` has room for what is kept and, behind it, the next message, where D stands when a rule is
// called. `sent` and `kept` count vectors of d scalars; `first` says that r = 0; an empty gradient stands for zero. A
// rule that asks for more than gradients is told the round's stage instead of `first`.

/// Decentralised stochastic gradient descent (Lian et al. 2017): m = x,
///
///     x(r+1) = x + D - eta g
struct DescentRule {
    static constexpr GossipTraits traits{.name = "dsgd", .title = "DSGD", .undirected = true, .rounds = true};
    static constexpr std::size_t sent = 1, kept = 0;
    static constexpr std::uint64_t identity = 0x53590100u;

    template <class S>
    static void step(S eta, bool /*first*/, ConstVector<S> g, ConstVector<S> x, ConstVector<S> /*kept*/,
                     Vector<S> next) {
        for (std::size_t k = 0; k < x.size(); ++k) next[k] += x[k] - (g.empty() ? S(0) : eta * g[k]);
    }
};

/// The primal-dual recursion of SPDB's upper level: m = x, and u, the pull of the dual variables, is kept,
///
///     u(r) = u(r-1) + D,   x(r+1) = x + D - eta g + u(r),   u(0) = 0
///
/// which is equations 3b and 4 with u = -(gamma/alpha) A' lambda and, eliminated, equation 5:
///
///     x(r+1) = W (2 x(r) - x(r-1)) - eta (g(r) - g(r-1)),   x(1) = W x(0) - eta g(0)
///
/// With SPDB's lower level (core/adapt/bilevel.hpp) in front of every gradient this is Algorithm 1, eta standing
/// for 1/(alpha n); alone it is SPD, which D^2 (Tang et al. 2018) differs from by when it mixes. Needs a mixing
/// matrix whose spectrum lies in (-1/3, 1]. Source: Lu et al. 2022.
struct PrimalDualRule {
    static constexpr GossipTraits traits{
        .name = "spd", .title = "SPD", .undirected = true, .rounds = true, .least_eigenvalue = -1.0 / 3.0};
    static constexpr std::size_t sent = 1, kept = 1;
    static constexpr std::uint64_t identity = 0x53590200u;

    template <class S>
    static void step(S eta, bool first, ConstVector<S> g, ConstVector<S> x, ConstVector<S> pull, Vector<S> next) {
        const std::size_t d = x.size();
        for (std::size_t k = 0; k < d; ++k) {
            const S difference = next[d + k];
            next[k] = first ? S(0) : pull[k] + difference;
            next[d + k] = x[k] + difference - (g.empty() ? S(0) : eta * g[k]) + next[k];
        }
    }
};

/// Gradient tracking (GNSD, Lu et al. 2019): every node also follows the mean gradient by t, and says both, which
/// doubles its messages: m = (x(r), t(r-1)),
///
///     t(r) = t(r-1) + D_t + g(r) - g(r-1),   x(r+1) = x + D_x - eta t(r),   t(-1) = g(-1) = 0
struct GradientTrackingRule {
    static constexpr GossipTraits traits{.name = "gnsd",
                                         .title = "GNSD",
                                         .carries = "the gradient that it tracks",
                                         .sent = 2,
                                         .undirected = true,
                                         .rounds = true};
    static constexpr std::size_t sent = 2, kept = 1;
    static constexpr std::uint64_t identity = 0x53590300u;

    template <class S>
    static void step(S eta, bool /*first*/, ConstVector<S> g, ConstVector<S> own, ConstVector<S> last_gradient,
                     Vector<S> next) {
        const std::size_t d = last_gradient.size();
        for (std::size_t k = 0; k < d; ++k) {
            const S now = g.empty() ? S(0) : g[k];
            const S tracked = own[d + k] + next[2 * d + k] + now - last_gradient[k];
            next[d + k] += own[k] - eta * tracked;
            next[2 * d + k] = tracked;
            next[k] = now;
        }
    }
};

template <class S = float>
using SynchronousDescent = Synchronous<S, DescentRule>;
template <class S = float>
using PrimalDual = Synchronous<S, PrimalDualRule>;
template <class S = float>
using GradientTracking = Synchronous<S, GradientTrackingRule>;

static_assert(FleetNode<SynchronousDescent<>> && FleetNode<PrimalDual<>> && FleetNode<GradientTracking<>>);

inline Result<void> SynchronousSettings::check() const {
    if (auto checked = theta.check(); !checked) return checked;
    if (node >= nodes) return fail(Code::bad_setting, 0);
    if (dimension == 0) return fail(Code::bad_setting, 2);
    if (neighbours.empty() && nodes > 1) return fail(Code::no_neighbours);
    if (weights.size() != neighbours.size()) return fail(Code::bad_setting, 4);
    if (!series.valid()) return fail(Code::bad_setting, 5);
    for (std::size_t j = 0; j < neighbours.size(); ++j) {
        if (!valid_neighbour(neighbours, j, node, nodes)) {
            return fail(Code::bad_neighbours, static_cast<std::int64_t>(j));
        }
        if (!(weights[j] > 0.0 && weights[j] <= 1.0)) return fail(Code::bad_setting, 4);
    }
    return {};
}

}  // namespace dunlin
