// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/aggregate/gossip.hpp"
#include "core/aggregate/state_block.hpp"
#include "core/aggregate/step_schedule.hpp"
#include "core/arena.hpp"

namespace dunlin {

struct DpsgdSettings {
    std::uint32_t node = 0;                          ///< this node's number, below `nodes`
    std::uint32_t nodes = 0;                         ///< n
    std::size_t dimension = 0;                       ///< d
    std::span<const std::uint32_t> neighbours = {};  ///< ascending, without this node
    std::span<const std::uint32_t> degrees = {};     ///< of those neighbours, without themselves
    StepSchedule theta = {};

    /// Errors: bad_setting, no_neighbours, bad_neighbours, those of StepSchedule::check.
    Result<void> check() const;
};

/// Decentralised stochastic gradient descent on an undirected graph (Lian et al. 2017), one node, with Metropolis
/// weights, which are symmetric and need no more than the neighbours' degrees:
///
///     x_i := W_ii x_i + sum over j of W_ij x_j - eta_i g_i,   W_ij = 1 / (1 + max(d_i, d_j)),  rows sum to one
///
/// x_j is the newest model heard of neighbour j and, before the first, the node's own. Unlike push-sum it holds no
/// mass: a lost message makes a model stale, and with uneven losses the mean drifts.
///
/// The state is one block of the caller's arena. Movable, not copyable.
class Dpsgd {
public:
    using Value = float;
    static constexpr GossipTraits traits{.name = "dpsgd", .title = "D-PSGD", .undirected = true};
    static DpsgdSettings settings_at(const GossipPlace& at) {
        return {at.node, at.nodes, at.dimension, at.in_neighbours, at.in_degrees, at.theta};
    }

    static constexpr std::size_t memory(std::size_t dimension, std::size_t degree) {
        return Arena::bytes<Header>(1) + Arena::bytes<Source>(degree) + 2 * Arena::bytes<float>(dimension) +
               Arena::bytes<float>(degree * dimension);
    }

    /// Errors: those of the settings; shape_mismatch, not_finite (of `start`).
    static Result<Dpsgd> make(const DpsgdSettings& settings, ConstVector<float> start, Arena& arena);

    Dpsgd(Dpsgd&&) = default;
    Dpsgd& operator=(Dpsgd&&) = default;

    std::size_t dimension() const { return x_.size(); }
    std::int64_t tick() const { return header_->kappa; }

    void estimate(Vector<float> out) const { std::copy(x_.begin(), x_.end(), out.begin()); }

    /// Errors: unknown_sender, shape_mismatch, not_finite; the node is then unchanged.
    Result<Receipt> receive(const Share<float>& message);

    /// Errors: tick_not_newer, shape_mismatch, not_finite (of the new model); the node is then unchanged.
    Result<Woken<float>> wake(std::int64_t tick, ConstVector<float> gradient);

    Share<float> share() const {
        return {static_cast<std::uint32_t>(header_->identity[1]), header_->kappa, x_, 0.0f};
    }

    std::span<const std::byte> state() const { return state_; }
    /// Errors: state_size, state_mismatch.
    Result<void> restore(std::span<const std::byte> saved) { return restore_block(state_, saved, identity_words); }

private:
    static constexpr std::size_t identity_words = 4;

    struct Header {
        std::uint64_t identity[identity_words];  ///< kind; node; dimension; degree
        std::int64_t kappa;
    };
    struct Source {
        std::uint32_t node;
        float weight;  ///< W_ij
        std::int64_t kappa;
    };

    Dpsgd(const DpsgdSettings& settings, Arena& arena);

    StepSchedule theta_;
    std::span<std::byte> state_;
    Header* header_ = nullptr;
    std::span<Source> sources_;
    std::span<float> x_, next_, heard_;
};

inline Result<void> DpsgdSettings::check() const {
    if (auto checked = theta.check(); !checked) return checked;
    if (node >= nodes) return fail(Code::bad_setting, 0);
    if (dimension == 0) return fail(Code::bad_setting, 2);
    if (neighbours.empty()) return fail(Code::no_neighbours);
    if (degrees.size() != neighbours.size()) return fail(Code::bad_setting, 4);
    for (std::size_t j = 0; j < neighbours.size(); ++j) {
        if (!valid_neighbour(neighbours, j, node, nodes) || degrees[j] == 0 || degrees[j] >= nodes) {
            return fail(Code::bad_neighbours, static_cast<std::int64_t>(j));
        }
    }
    return {};
}

inline Result<Dpsgd> Dpsgd::make(const DpsgdSettings& settings, ConstVector<float> start, Arena& arena) {
    if (auto checked = settings.check(); !checked) return tl::unexpected(checked.error());
    if (auto fit = check_finite(start, settings.dimension); !fit) return tl::unexpected(fit.error());
    Dpsgd node(settings, arena);
    std::copy(start.begin(), start.end(), node.x_.begin());
    return node;
}

inline Dpsgd::Dpsgd(const DpsgdSettings& settings, Arena& arena)
    : theta_(settings.theta),
      state_(arena.take<std::byte>(memory(settings.dimension, settings.neighbours.size()))) {
    const std::size_t degree = settings.neighbours.size();
    Arena block(state_);
    header_ = block.take<Header>(1).data();
    sources_ = block.take<Source>(degree);
    x_ = block.take<float>(settings.dimension);
    next_ = block.take<float>(settings.dimension);
    heard_ = block.take<float>(degree * settings.dimension);
    const std::uint64_t identity[identity_words] = {0x44530001u, settings.node, settings.dimension, degree};
    std::copy_n(identity, identity_words, header_->identity);
    header_->kappa = -1;
    for (std::size_t j = 0; j < degree; ++j) {
        const std::uint32_t larger = std::max(static_cast<std::uint32_t>(degree), settings.degrees[j]);
        sources_[j] = {settings.neighbours[j], 1.0f / static_cast<float>(1 + larger), -1};
    }
}

inline Result<Receipt> Dpsgd::receive(const Share<float>& message) {
    Source* source = find_source(sources_, message.sender);
    if (source == nullptr) return fail(Code::unknown_sender, message.sender);
    if (auto fit = check_finite(message.values, x_.size()); !fit) return tl::unexpected(fit.error());
    if (message.kappa <= source->kappa) return Receipt::stale;
    source->kappa = message.kappa;
    const auto at = static_cast<std::size_t>(source - sources_.data()) * x_.size();
    std::copy(message.values.begin(), message.values.end(), heard_.begin() + static_cast<std::ptrdiff_t>(at));
    return Receipt::accepted;
}

inline Result<Woken<float>> Dpsgd::wake(std::int64_t tick, ConstVector<float> gradient) {
    if (tick <= header_->kappa) return fail(Code::tick_not_newer, tick, header_->kappa);
    if (!gradient.empty() && gradient.size() != x_.size()) return wrong_size(gradient.size(), x_.size());
    const float step_size = gradient.empty() ? 0.0f : theta_.after(header_->kappa, tick);
    std::copy(x_.begin(), x_.end(), next_.begin());
    for (std::size_t j = 0; j < sources_.size();
         ++j) {  // W_ii x_i + sum of W_ij x_j = x_i + sum of W_ij (x_j - x_i)
        if (sources_[j].kappa < 0) continue;
        const float* other = heard_.data() + j * x_.size();
        const float weight = sources_[j].weight;
        for (std::size_t k = 0; k < x_.size(); ++k) next_[k] += weight * (other[k] - x_[k]);
    }
    for (std::size_t k = 0; k < gradient.size(); ++k) next_[k] -= step_size * gradient[k];
    if (auto fit = check_finite(next_, x_.size()); !fit) return tl::unexpected(fit.error());
    std::copy(next_.begin(), next_.end(), x_.begin());
    header_->kappa = tick;
    return Woken<float>{share(), step_size, false};
}

static_assert(FleetNode<Dpsgd>);

}  // namespace dunlin
