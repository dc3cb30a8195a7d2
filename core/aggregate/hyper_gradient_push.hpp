// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/aggregate/gossip.hpp"
#include "core/arena.hpp"

namespace dunlin {

struct HyperGradientPushSettings {
    std::uint32_t node = 0;                          ///< this node's number
    std::uint32_t nodes = 0;                         ///< n
    std::size_t dimension = 0;                       ///< d_x
    std::size_t outer_dimension = 0;                 ///< d_lambda
    std::span<const std::uint32_t> neighbours = {};  ///< ascending

    /// Errors: bad_setting, no_neighbours, bad_neighbours.
    Result<void> check() const;
};

/// Hyper-gradient push (Terashita and Hara 2023, Algorithm 2), one node: the derivative of the sum of all nodes'
/// outer costs by this node's outer variable lambda_i, through the fixed point of stochastic gradient push on a
/// random directed graph. With phi_i(z, lambda) = z - eta df_i(z / w_i, lambda), whose Jacobians are
/// I - (eta / w_i) H and -eta C, H = d2f/dx2 and C = d2f/dlambda dx:
///
///     u := dF_i/dx / w_i,   v := dF_i/dlambda
///     repeat M times:
///       s := pbar_(i->i) u_i + sum over the j heard of  pbar_(i->j) / deltabar_(j->i)  u_j       (eq. 12)
///       v := v - eta C s
///       u := s - (eta / w_i) H s
///
/// A node would need what its hearers hold, but hears others. So it takes u_j from whom it hears, weighted by what
/// it would have sent to j on average and divided by how often it hears j. Weights by which j's message would come
/// along the edge itself (the transposed matrix) give another, biased number.
///
/// The caller computes H s and C s and runs the rounds: send `share`, `receive` what comes, then `outer_step` with
/// C at `combined()`, `inner_step` with H. The paper draws two graphs and batches for each m: `next_round` in
/// between draws another s for the same u. With one for both the cost is half, and v is still right on average,
/// since u depends on earlier rounds only.
///
/// lambda never enters a message; u does (docs/hyper-gradient-push.md says what it tells).
class HyperGradientPush {
public:
    using Value = float;

    static constexpr std::size_t memory(std::size_t dimension, std::size_t outer_dimension,
                                        std::size_t neighbours) {
        return Arena::bytes<Source>(neighbours) + 2 * Arena::bytes<float>(dimension) +
               Arena::bytes<float>(outer_dimension);
    }

    /// Errors: those of the settings.
    static Result<HyperGradientPush> make(const HyperGradientPushSettings& settings, Arena& arena);

    HyperGradientPush(HyperGradientPush&&) = default;
    HyperGradientPush& operator=(HyperGradientPush&&) = default;

    /// Starts a new estimate in the fleet's round `round`, later than all before: the two derivatives of F_i, w_i*,
    /// pbar_(i->i) and, for each neighbour j, pbar_(i->j) / deltabar_(j->i), as GradientPush estimates them.
    /// Errors: tick_not_newer, shape_mismatch, not_finite, impossible_weight (of w_i*).
    Result<void> begin(std::int64_t round, ConstVector<float> inner, ConstVector<float> outer, float weight,
                       float kept_share, ConstVector<float> reverse_weights);

    /// u, for everybody who hears the node in this round.
    Share<float> share() const { return {node_, round_, u_, 0.0f}; }
    /// Another round's message, or a second one of this round, changes nothing. Errors: unknown_sender,
    /// shape_mismatch, not_finite; the node is then unchanged.
    Result<Receipt> receive(const Share<float>& message);
    /// s, of what was heard in this round so far.
    ConstVector<float> combined() const { return s_; }

    /// v := v - eta C s; `mixed` is C s. Errors: shape_mismatch, not_finite.
    Result<void> outer_step(ConstVector<float> mixed, float step_size);
    /// u := s - (eta / w) H s, then the next round; `hessian` is H s. Errors: shape_mismatch, not_finite: the
    /// series diverges.
    Result<void> inner_step(ConstVector<float> hessian, float step_size);
    /// Forgets what was heard: another s for the same u.
    void next_round();
    std::int64_t round() const { return round_; }

    /// v, the estimate of d(sum of F)/dlambda_i.
    ConstVector<float> gradient() const { return v_; }

private:
    struct Source {
        std::uint32_t node;
        float weight;
        std::int64_t round;  ///< last heard in
    };

    HyperGradientPush(const HyperGradientPushSettings& settings, Arena& arena);

    std::uint32_t node_;
    std::int64_t round_ = -1;
    float weight_ = 1.0f, kept_share_ = 1.0f;
    std::span<Source> sources_;
    std::span<float> u_, s_, v_;
};

inline Result<void> HyperGradientPushSettings::check() const {
    if (node >= nodes) return fail(Code::bad_setting, 0);
    if (dimension == 0) return fail(Code::bad_setting, 2);
    if (outer_dimension == 0) return fail(Code::bad_setting, 3);
    if (neighbours.empty()) return fail(Code::no_neighbours);
    for (std::size_t j = 0; j < neighbours.size(); ++j) {
        if (!valid_neighbour(neighbours, j, node, nodes)) {
            return fail(Code::bad_neighbours, static_cast<std::int64_t>(j));
        }
    }
    return {};
}

inline Result<HyperGradientPush> HyperGradientPush::make(const HyperGradientPushSettings& settings, Arena& arena) {
    if (auto checked = settings.check(); !checked) return tl::unexpected(checked.error());
    return HyperGradientPush(settings, arena);
}

inline HyperGradientPush::HyperGradientPush(const HyperGradientPushSettings& settings, Arena& arena)
    : node_(settings.node),
      sources_(arena.take<Source>(settings.neighbours.size())),
      u_(arena.take<float>(settings.dimension)),
      s_(arena.take<float>(settings.dimension)),
      v_(arena.take<float>(settings.outer_dimension)) {
    for (std::size_t j = 0; j < sources_.size(); ++j) sources_[j] = {settings.neighbours[j], 0.0f, -1};
}

inline Result<void> HyperGradientPush::begin(std::int64_t round, ConstVector<float> inner, ConstVector<float> outer,
                                             float weight, float kept_share, ConstVector<float> reverse_weights) {
    if (round <= round_) return fail(Code::tick_not_newer, round, round_);
    if (auto fit = check_finite(inner, u_.size()); !fit) return fit;
    if (auto fit = check_finite(outer, v_.size()); !fit) return fit;
    if (auto fit = check_finite(reverse_weights, sources_.size()); !fit) return fit;
    if (!(weight > 0.0f && weight <= largest_finite)) return fail(Code::impossible_weight, node_);
    weight_ = weight;
    kept_share_ = kept_share;
    for (std::size_t j = 0; j < sources_.size(); ++j) sources_[j].weight = reverse_weights[j];
    for (std::size_t k = 0; k < u_.size(); ++k) u_[k] = inner[k] / weight;
    std::copy(outer.begin(), outer.end(), v_.begin());
    round_ = round - 1;
    next_round();
    return {};
}

inline Result<Receipt> HyperGradientPush::receive(const Share<float>& message) {
    Source* source = find_source(sources_, message.sender);
    if (source == nullptr) return fail(Code::unknown_sender, message.sender);
    if (auto fit = check_finite(message.values, u_.size()); !fit) return tl::unexpected(fit.error());
    if (message.kappa != round_ || source->round == round_) return Receipt::stale;
    source->round = round_;
    float* __restrict s = s_.data();
    const float* __restrict heard = message.values.data();
    const float weight = source->weight;
    for (std::size_t k = 0, count = s_.size(); k < count; ++k) s[k] += weight * heard[k];
    return Receipt::accepted;
}

inline Result<void> HyperGradientPush::outer_step(ConstVector<float> mixed, float step_size) {
    if (auto fit = check_finite(mixed, v_.size()); !fit) return fit;
    for (std::size_t k = 0; k < v_.size(); ++k) v_[k] -= step_size * mixed[k];
    return check_finite(v_, v_.size());
}

inline Result<void> HyperGradientPush::inner_step(ConstVector<float> hessian, float step_size) {
    if (hessian.size() != u_.size()) return wrong_size(hessian.size(), u_.size());
    const float scale = step_size / weight_;
    for (std::size_t k = 0; k < u_.size(); ++k) u_[k] = s_[k] - scale * hessian[k];
    next_round();
    return check_finite(u_, u_.size());
}

inline void HyperGradientPush::next_round() {
    ++round_;
    for (std::size_t k = 0; k < u_.size(); ++k) s_[k] = kept_share_ * u_[k];
}

}  // namespace dunlin
