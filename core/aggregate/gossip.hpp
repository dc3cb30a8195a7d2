// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/aggregate/step_schedule.hpp"
#include "core/finite.hpp"
#include "core/fixed_point.hpp"
#include "core/vector.hpp"

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

namespace dunlin {

/// What a node of a serverless method tells all its out-neighbours in one wake-up. A view: the values stay in the
/// sender's memory until its next wake-up, or in whatever buffer a link put them.
template <class V>
struct Share {
    std::uint32_t sender = 0;
    std::int64_t kappa = -1;    ///< counter: the sender's tick
    std::span<const V> values;  ///< push-sum: phi^x; D-PSGD: x
    V weight{};                 ///< push-sum: phi^y; D-PSGD: unused
};

enum class Receipt : std::uint8_t { accepted, stale };

/// What one wake-up did. The caller stores `state()` first and sends `share` to every out-neighbour then, so that
/// no message leaves that a restarted node would not know of (invariant 4).
template <class V>
struct Woken {
    Share<V> share;
    float step_size = 0;         ///< eta of the gradient step taken; 0 if none was
    bool waited = false;         ///< y was too small to share: the node kept what it has and repeated its last sums
    std::uint32_t withheld = 0;  ///< open edges that were given nothing, for too much on them is unconfirmed
};

/// What a machine asks of its node's task for a wake-up: most always a gradient. One with a series (hyper-gradient
/// push) asks for more, of an inner cost f and an outer cost F of the node's own lambda.
struct Question {
    enum class Kind : std::uint8_t {
        gradient,        ///< df/dx at estimate()
        outer_gradient,  ///< dF/dx at estimate(); and v := dF/dlambda, which the node keeps
        products         ///< H u at estimate(), u being direction(); and v := v - eta C u
    };
    Kind kind = Kind::gradient;
    bool last = false;       ///< of a series: then lambda steps along -v
    float step_size = 0.0f;  ///< eta
};

/// How rounds of a machine with a series follow each other: T inner ones, one that begins a series, M of the series.
struct SeriesPlan {
    int inner_rounds = 10;  ///< T >= 1
    int series_rounds = 5;  ///< M >= 0

    struct Stage {
        bool says_model = true;  ///< a round's message is x, not u
        bool begins = false;     ///< it ends with the u that a series begins with
        bool last = false;       ///< of the cycle
    };
    constexpr Stage stage(std::int64_t round) const {
        const std::int64_t at = round % (std::int64_t{inner_rounds} + 1 + series_rounds);
        return {at <= inner_rounds, at == inner_rounds, at == std::int64_t{inner_rounds} + series_rounds};
    }
    constexpr bool valid() const { return inner_rounds >= 1 && series_rounds >= 0; }
};

/// What a machine without a server states about itself, as `N::traits`.
struct GossipTraits {
    const char* name;          ///< on the command line
    const char* title;         ///< for people
    const char* carries = "";  ///< what its messages hold besides the parameters
    std::size_t sent = 1;      ///< vectors of `dimension` numbers in a message
    bool undirected = false;   ///< needs every edge in both directions
    bool rounds = false;       ///< waits for all neighbours: has round() and ready()
    bool holds_mass = false;   ///< has weight() and add_mass(), and its messages end with a weight
    bool asks = false;         ///< for more than gradients: has question() and direction()
    /// By rounds: above this must lie all eigenvalues of the mixing matrix, or the method diverges.
    double least_eigenvalue = -1.0;
};

/// A node's place in a fleet: all that any machine is made of. Each takes what it needs by `N::settings_at`.
struct GossipPlace {
    std::uint32_t node = 0;
    std::uint32_t nodes = 0;
    std::size_t dimension = 0;
    std::span<const std::uint32_t> in_neighbours = {};  ///< ascending, without this node
    std::uint32_t out_degree = 0;                       ///< without this node
    std::span<const std::uint32_t> in_degrees = {};     ///< of the in-neighbours
    std::span<const double> weights = {};               ///< by rounds: W_ij of the in-neighbours
    StepSchedule theta = {};
    SeriesPlan series = {};  ///< of those who ask for more than gradients
    // Of those who hold mass; see PushSumSettings.
    FixedPoint format = {};
    float largest_value = 1.0f, weight_floor = 0.0f, step_ratio_limit = 1.0f;
};

/// A node of a serverless method: a state machine without I/O, fed messages and ticks.
///
///     estimate(out)          z, the parameters at which the caller computes a stochastic gradient of F_i
///     wake(tick, gradient)   one wake-up; an empty gradient takes no step. Ticks grow. Refused as a whole, with
///                            nothing changed, if the gradient is not finite or a mass would not fit.
///     receive(share)         at any time; what is not newer than the last message of that sender changes nothing
///     share()                what the last wake-up sent, to send again after a restart
///     state(), restore()     everything that must survive a crash, one block of bytes
///
/// A restarted node may take any state that was stored after its last wake-up: messages received since then are
/// made up for by the next ones.
template <class N>
concept GossipNode = requires(N& node, const N& constant, std::int64_t tick, ConstVector<float> gradient,
                              Vector<float> out, const Share<typename N::Value>& share,
                              std::span<const std::byte> saved) {
    constant.estimate(out);
    { node.wake(tick, gradient) } -> std::same_as<Result<Woken<typename N::Value>>>;
    { node.receive(share) } -> std::same_as<Result<Receipt>>;
    { constant.share() } -> std::same_as<Share<typename N::Value>>;
    { constant.state() } -> std::same_as<std::span<const std::byte>>;
    { node.restore(saved) } -> std::same_as<Result<void>>;
};

/// One that any fleet can be made of: it states what it is, and takes its settings from its place.
template <class N>
concept FleetNode = GossipNode<N> && requires(const GossipPlace& place) {
    { N::traits } -> std::convertible_to<GossipTraits>;
    N::settings_at(place);
};

/// Is entry j of a list of neighbours some other node of the fleet, and above the entry before it?
inline bool valid_neighbour(std::span<const std::uint32_t> neighbours, std::size_t j, std::uint32_t node,
                            std::uint32_t nodes) {
    const std::uint32_t other = neighbours[j];
    return other != node && other < nodes && (j == 0 || other > neighbours[j - 1]);
}

/// What a node keeps of one neighbour, from a list ordered by `node`; null for a stranger.
template <class Source>
Source* find_source(std::span<Source> sources, std::uint32_t sender) {
    const auto found =
        std::lower_bound(sources.begin(), sources.end(), sender,
                         [](const Source& source, std::uint32_t node) { return source.node < node; });
    return found != sources.end() && found->node == sender ? &*found : nullptr;
}

}  // namespace dunlin
