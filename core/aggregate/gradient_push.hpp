// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/aggregate/gossip.hpp"
#include "core/aggregate/mass.hpp"
#include "core/aggregate/state_block.hpp"
#include "core/arena.hpp"
#include "core/flat_kernels.hpp"

namespace dunlin {

struct GradientPushSettings {
    std::uint32_t node = 0;                          ///< this node's number, below `nodes`
    std::uint32_t nodes = 0;                         ///< n
    std::size_t dimension = 0;                       ///< d
    std::span<const std::uint32_t> neighbours = {};  ///< ascending: who may ever hear it, and be heard by it
    FixedPoint format = {};                          ///< the same on every node
    float largest_value = 1000.0f;                   ///< largest |z| expected: n times it must fit the format
    float weight_floor = 0x1p-20f;                   ///< y that a node never gives away

    /// Errors: out_of_range, mass_too_large, bad_setting, no_neighbours, bad_neighbours.
    Result<void> check() const;
};

/// Stochastic gradient push on a directed graph whose edges come and go (Nedic and Olshevsky 2016; Assran et al.
/// 2019; Terashita and Hara 2023, Algorithm 1), one node. In every round the node is told which neighbours hear it:
///
///     x := x - eta g(x / y)
///     x := x / (k + 1),  y := y / (k + 1)      in k + 1 equal parts for k hearers; one stays (eq. 3)
///     x := x + sum of the x heard, y likewise  as they arrive: `receive` is within the round
///
/// Mass is exact and rounds lose nothing, so over all nodes y totals n, and x the start less all steps, to the bit.
///
/// While it trains the node keeps what hyper-gradient push needs to know of its surroundings: how often it heard
/// each neighbour, what share of its mass each got on average, and its mean y. Since every round's graph is drawn
/// independently, these estimate E[delta_(j->i)], E[p_(i->j)] and w_i*, the stationary vector of E[P], without
/// bias.
///
/// The state is one block of the caller's arena. Movable, not copyable.
class GradientPush {
public:
    using Value = Mass;

    /// Bytes of arena that a node takes: 2 d masses and a little.
    static constexpr std::size_t memory(std::size_t dimension, std::size_t neighbours) {
        return Arena::bytes<Header>(1) + Arena::bytes<Source>(neighbours) + 2 * Arena::bytes<Mass>(dimension);
    }

    /// A node with x = `start` and y = 1. Errors: those of the settings; shape_mismatch; mass_overflow for a start
    /// beyond `largest_value`, or NaN.
    static Result<GradientPush> make(const GradientPushSettings& settings, ConstVector<float> start, Arena& arena);

    GradientPush(GradientPush&&) = default;
    GradientPush& operator=(GradientPush&&) = default;

    std::size_t dimension() const { return x_.size(); }
    std::int64_t tick() const { return header_->kappa; }
    /// y as a number; positive.
    float weight() const { return format_.to_float<float>(header_->y); }

    /// z = x / y, with all that was heard.
    void estimate(Vector<float> out) const {
        const float y = static_cast<float>(header_->y);
        for (std::size_t k = 0; k < x_.size(); ++k) out[k] = static_cast<float>(x_[k]) / y;
    }

    /// The coming round: who hears the node (ascending, neighbours; may be nobody) and eta. The list stays the
    /// caller's until `wake` returns. Error: unknown_sender, with the number that is no neighbour's.
    Result<void> open(std::span<const std::uint32_t> hearers, float step_size);

    /// One round's step and share, for whom `open` named. The node waits, that is, it steps but keeps its mass as
    /// if nobody heard it, where y would fall under the floor. Errors: tick_not_newer, shape_mismatch, not_finite
    /// (of the step), mass_overflow; the node is then unchanged.
    Result<Woken<Mass>> wake(std::int64_t tick, ConstVector<float> gradient);

    /// Errors: unknown_sender, shape_mismatch, impossible_weight, mass_overflow; the node is then unchanged.
    Result<Receipt> receive(const Share<Mass>& message);

    /// `receive` in two parts, for who hands many messages to many nodes: `announce` each message, then `add` the
    /// values of those accepted, once each, block by block, so that a block of all messages stays in the cache.
    /// Errors: those of `receive` but for mass_overflow.
    Result<Receipt> announce(const Share<Mass>& message);
    /// Adds elements [first, first + count) of an announced message; false, and nothing, where a sum does not fit.
    bool add(std::span<const Mass> values, std::size_t first, std::size_t count);

    Share<Mass> share() const {
        return {static_cast<std::uint32_t>(header_->identity[1]), header_->kappa, share_, header_->share_y};
    }

    /// Rounds that the estimates are made from.
    std::int64_t rounds() const { return header_->rounds; }
    /// w_i*, estimated: the mean of y; 1 before the first round.
    double mean_weight() const { return rounds() > 0 ? header_->weight_sum / static_cast<double>(rounds()) : 1.0; }
    /// pbar_(i->i), estimated.
    double kept_share() const { return rounds() > 0 ? header_->kept_sum / static_cast<double>(rounds()) : 1.0; }
    /// For every neighbour j, estimated: pbar_(i->j), the share of its mass that j gets on average, over
    /// deltabar_(j->i), how often j is heard (eq. 12). 0 for who was never heard.
    void reverse_weights(Vector<float> out) const {
        for (std::size_t j = 0; j < sources_.size(); ++j) {
            const Source& source = sources_[j];
            out[j] = source.heard > 0 ? static_cast<float>(source.sent / static_cast<double>(source.heard)) : 0.0f;
        }
    }

    /// Adds what the node holds. Between rounds the totals over a fleet are exact (invariant 1).
    void add_mass(std::span<Mass> total_x, Mass& total_y) const {
        for (std::size_t k = 0; k < x_.size(); ++k) total_x[k] = add_wrapped(total_x[k], x_[k]);
        total_y = add_wrapped(total_y, header_->y);
    }

    std::span<const std::byte> state() const { return state_; }
    /// Errors: state_size, state_mismatch; the node is then unchanged.
    Result<void> restore(std::span<const std::byte> saved) { return restore_block(state_, saved, identity_words); }

private:
    static constexpr std::size_t identity_words = 6;

    struct Header {
        std::uint64_t identity[identity_words];  ///< kind; node; nodes; dimension; neighbours; format
        std::int64_t kappa;
        std::int64_t rounds;
        double weight_sum, kept_sum;
        Mass y, share_y;
    };
    struct Source {
        std::uint64_t node;
        std::int64_t kappa;
        std::int64_t heard;  ///< rounds
        double sent;         ///< sum of p_(i->j)
    };

    GradientPush(const GradientPushSettings& settings, Arena& arena);
    /// x_k less the step; false where it does not fit.
    bool stepped(std::size_t k, ConstVector<float> gradient, Mass& next) const {
        Mass step{};
        return format_.to_mass(step_size_ * gradient[k], step) && subtract_checked(x_[k], step, next);
    }
    /// Whose message it is, with the weight that the node would have; null if the message is stale.
    Result<Source*> examine(const Share<Mass>& message, Mass& weight);
    void count(Source& source, const Share<Mass>& message, Mass weight) {
        source.kappa = message.kappa;
        ++source.heard;
        header_->y = weight;
    }

    FixedPoint format_;
    Mass floor_{};
    std::span<std::byte> state_;
    Header* header_ = nullptr;
    std::span<Source> sources_;
    std::span<Mass> x_, share_;
    std::span<const std::uint32_t> hearers_;
    float step_size_ = 0.0f;
};

inline Result<void> GradientPushSettings::check() const {
    if (auto checked = format.check(nodes, static_cast<double>(largest_value)); !checked) return checked;
    if (node >= nodes) return fail(Code::bad_setting, 0);
    if (dimension == 0) return fail(Code::bad_setting, 2);
    if (neighbours.empty()) return fail(Code::no_neighbours);
    if (neighbours.size() + 1 > ShareDivision::most_parts) {
        return fail(Code::out_of_range, std::ssize(neighbours), ShareDivision::most_parts - 1);
    }
    if (!(weight_floor > 0.0f && weight_floor <= 0.5f)) return fail(Code::bad_setting, 6);
    for (std::size_t j = 0; j < neighbours.size(); ++j) {
        if (!valid_neighbour(neighbours, j, node, nodes)) {
            return fail(Code::bad_neighbours, static_cast<std::int64_t>(j));
        }
    }
    return {};
}

inline Result<GradientPush> GradientPush::make(const GradientPushSettings& settings, ConstVector<float> start,
                                               Arena& arena) {
    if (auto checked = settings.check(); !checked) return tl::unexpected(checked.error());
    if (start.size() != settings.dimension) return wrong_size(start.size(), settings.dimension);
    GradientPush node(settings, arena);
    if (node.floor_ <= 0) return fail(Code::bad_setting, 6);
    for (std::size_t k = 0; k < start.size(); ++k) {
        if (!(start[k] >= -settings.largest_value && start[k] <= settings.largest_value)) {
            return fail(Code::mass_overflow, static_cast<std::int64_t>(k));
        }
        settings.format.to_mass(start[k], node.x_[k]);
    }
    return node;
}

inline GradientPush::GradientPush(const GradientPushSettings& settings, Arena& arena)
    : format_(settings.format),
      state_(arena.take<std::byte>(memory(settings.dimension, settings.neighbours.size()))) {
    const std::size_t count = settings.neighbours.size();
    Arena block(state_);
    header_ = block.take<Header>(1).data();
    sources_ = block.take<Source>(count);
    x_ = block.take<Mass>(settings.dimension);
    share_ = block.take<Mass>(settings.dimension);
    const std::uint64_t identity[identity_words] = {0x47500001u,
                                                    settings.node,
                                                    settings.nodes,
                                                    settings.dimension,
                                                    settings.neighbours.size(),
                                                    static_cast<std::uint64_t>(settings.format.fraction_bits)};
    std::copy_n(identity, identity_words, header_->identity);
    header_->kappa = -1;
    format_.to_mass(1.0f, header_->y);
    format_.to_mass(settings.weight_floor, floor_);
    for (std::size_t j = 0; j < count; ++j) {
        sources_[j].node = settings.neighbours[j];
        sources_[j].kappa = -1;
    }
}

inline Result<void> GradientPush::open(std::span<const std::uint32_t> hearers, float step_size) {
    for (const std::uint32_t node : hearers) {
        if (find_source(sources_, node) == nullptr) return fail(Code::unknown_sender, node);
    }
    hearers_ = hearers;
    step_size_ = step_size;
    return {};
}

inline Result<Woken<Mass>> GradientPush::wake(std::int64_t tick, ConstVector<float> gradient) {
    if (tick <= header_->kappa) return fail(Code::tick_not_newer, tick, header_->kappa);
    if (!gradient.empty() && gradient.size() != x_.size()) return wrong_size(gradient.size(), x_.size());
    for (std::size_t k = 0; k < gradient.size(); ++k) {
        if (Mass next{}; !stepped(k, gradient, next)) {
            const float length = step_size_ * gradient[k];
            return fail(length - length == 0.0f ? Code::mass_overflow : Code::not_finite,
                        static_cast<std::int64_t>(k));
        }
    }
    for (std::size_t k = 0; k < gradient.size(); ++k) stepped(k, gradient, x_[k]);

    const auto parts = static_cast<std::uint32_t>(hearers_.size()) + 1;
    const ShareDivision division(parts > 1 ? parts : 2);
    const auto weight = division(header_->y);
    const bool shares = parts > 1 && weight.home >= floor_;
    const double part = shares ? 1.0 / parts : 1.0;
    header_->weight_sum += static_cast<double>(format_.to_float<double>(header_->y));
    header_->kept_sum += part;
    ++header_->rounds;
    if (shares) {
        for (std::size_t k = 0; k < x_.size(); ++k) {
            const auto split = division(x_[k]);
            share_[k] = split.share;
            x_[k] = split.home;
        }
        header_->y = weight.home;
        for (const std::uint32_t node : hearers_) find_source(sources_, node)->sent += part;
    } else {
        std::fill(share_.begin(), share_.end(), Mass{});
    }
    header_->share_y = shares ? weight.share : Mass{};
    header_->kappa = tick;
    return Woken<Mass>{share(), gradient.empty() ? 0.0f : step_size_, !shares};
}

inline Result<GradientPush::Source*> GradientPush::examine(const Share<Mass>& message, Mass& weight) {
    Source* source = find_source(sources_, message.sender);
    if (source == nullptr) return fail(Code::unknown_sender, message.sender);
    if (message.values.size() != x_.size()) return wrong_size(message.values.size(), x_.size());
    if (message.kappa <= source->kappa) return nullptr;
    if (message.weight < 0 || !add_checked(header_->y, message.weight, weight) ||
        weight >> format_.fraction_bits > static_cast<Mass>(header_->identity[2])) {
        return fail(Code::impossible_weight, message.sender);
    }
    return source;
}

inline Result<Receipt> GradientPush::receive(const Share<Mass>& message) {
    Mass weight{};
    const Result<Source*> source = examine(message, weight);
    if (!source) return tl::unexpected(source.error());
    if (*source == nullptr) return Receipt::stale;
    if (!add(message.values, 0, x_.size())) return fail(Code::mass_overflow, message.sender);
    count(**source, message, weight);
    return Receipt::accepted;
}

inline Result<Receipt> GradientPush::announce(const Share<Mass>& message) {
    Mass weight{};
    const Result<Source*> source = examine(message, weight);
    if (!source) return tl::unexpected(source.error());
    if (*source == nullptr) return Receipt::stale;
    count(**source, message, weight);
    return Receipt::accepted;
}

/// Wrapped sums can be taken back exactly.
inline bool GradientPush::add(std::span<const Mass> values, std::size_t first, std::size_t count) {
    Mass* x = x_.data() + first;
    const Mass* heard = values.data() + first;
    if (!flat_kernels().add_masses(heard, x, count)) return true;
    for (std::size_t k = 0; k < count; ++k) x[k] = subtract_wrapped(x[k], heard[k]);
    return false;
}

static_assert(GossipNode<GradientPush>);

}  // namespace dunlin
