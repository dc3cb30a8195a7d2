// SPDX-License-Identifier: Apache-2.0
#include "transport/session/neighbour_machine.hpp"

#include "core/aggregate/hyper_gradient_rounds.hpp"
#include "core/aggregate/push_pull.hpp"
#include "core/aggregate/state_block.hpp"
#include "core/aggregate/synchronous.hpp"

#include <cmath>
#include <limits>
#include <new>

namespace dunlin {
namespace {

/// In front of a machine's state: what it was made from, besides the job's terms. The weights follow.
struct Kept {
    std::int64_t first_round, last_round;
};

std::size_t kept_bytes(const JobTerms& terms) {
    return Arena::bytes<Kept>(1) + Arena::bytes<Mass>(terms.in_neighbours.size());
}

void keep(const JobOffer& offer, std::span<std::byte> state) {
    StateView view(state);
    view.take<Kept>(1)[0] = {offer.first_round, offer.last_round};
    const auto weights = view.take<Mass>(offer.terms.in_neighbours.size());
    std::copy_n(offer.weights.begin(), std::min(weights.size(), offer.weights.size()), weights.begin());
}

template <FleetNode Node>
class Machine final : public NeighbourMachine {
public:
    static constexpr bool rounds = Node::traits.rounds;

    Machine(Node&& node, const Kept& kept) : node_(std::move(node)), kept_(kept), said_(node_.share()) {}

    Turn turn() const override {
        if constexpr (rounds) {
            if (node_.round() < 0) return Turn::announce;
            if (!node_.ready()) return Turn::wait;
            if (kept_.last_round > 0 && tick() >= kept_.last_round) return Turn::over;
        }
        return Turn::go;
    }
    std::int64_t tick() const override {
        if constexpr (rounds) return node_.round() < 0 ? -1 : kept_.first_round + node_.round();
        return node_.tick();
    }
    void estimate(Vector<float> out) const override { node_.estimate(out); }
    Question question() const override {
        if constexpr (Node::traits.asks) return node_.question();
        return {};
    }
    void direction([[maybe_unused]] Vector<float> out) const override {
        if constexpr (Node::traits.asks) node_.direction(out);
    }
    Result<void> wake(std::int64_t tick, ConstVector<float> gradient) override {
        // By rounds the tick means nothing: they may share one.
        const auto woken = node_.wake(rounds ? 0 : tick, gradient);
        if (!woken) return tl::unexpected(woken.error());
        said_ = woken->share;
        return {};
    }
    Result<Receipt> receive(const Share<float>& share) override { return node_.receive(share); }
    Share<float> share() const override { return said_; }
    void again() override {
        const std::int64_t last = said_.kappa;
        for (int k = 0; k < 2 && said_.kappa == last && turn() == Turn::wait; ++k) (void)wake(0, {});
    }

private:
    Node node_;
    Kept kept_;
    Share<float> said_;
};

/// Numbers beyond what an int holds are refused when the machine is made.
SeriesPlan series_of(const JobTerms& terms) {
    constexpr auto most = static_cast<std::uint32_t>(std::numeric_limits<int>::max());
    return {.inner_rounds = terms.local_steps <= most ? static_cast<int>(terms.local_steps) : 0,
            .series_rounds = terms.least_parts};
}

/// What a machine is made with; the weights as numbers are in `object`, behind it.
template <class Node>
GossipPlace place_of(const JobTerms& terms, std::span<const std::byte> state, std::span<std::byte> object) {
    const auto* kept = reinterpret_cast<const Kept*>(state.data());
    const auto* fixed = reinterpret_cast<const Mass*>(state.data() + Arena::bytes<Kept>(1));
    const std::size_t degree = terms.in_neighbours.size();
    const std::span<double> weights(reinterpret_cast<double*>(object.data() + Arena::bytes<Machine<Node>>(1)),
                                    degree);
    for (std::size_t j = 0; j < degree; ++j)
        weights[j] = std::ldexp(static_cast<double>(fixed[j]), -JobOffer::weight_bits);
    GossipPlace place{.node = terms.member,
                      .nodes = terms.members,
                      .dimension = terms.dimension,
                      .in_neighbours = terms.in_neighbours,
                      .out_degree = static_cast<std::uint32_t>(terms.out_neighbours.size()),
                      .weights = weights,
                      .theta = terms.theta};
    if constexpr (Node::traits.asks) place.series = series_of(terms);
    if (degree == 0 && place.out_degree == 0) place.node = 0, place.nodes = 1;  // nobody else is there
    if (Machine<Node>::rounds && place.theta.offset > 0.0)
        place.theta.offset += static_cast<double>(kept->first_round);
    return place;
}

template <class Node>
NeighbourMachine* put(Node&& node, std::span<const std::byte> state, std::span<std::byte> object) {
    const auto* kept = reinterpret_cast<const Kept*>(state.data());
    return ::new (static_cast<void*>(object.data())) Machine<std::remove_cvref_t<Node>>(std::move(node), *kept);
}

template <FleetNode Node>
Result<NeighbourMachine*> make(const JobTerms& terms, ConstVector<float> first, std::int64_t tick,
                               std::span<std::byte> state, std::span<std::byte> object) {
    Arena arena(state.subspan(kept_bytes(terms)));
    auto made = Node::make(Node::settings_at(place_of<Node>(terms, state, object)), first, arena);
    if (!made) return tl::unexpected(made.error());
    NeighbourMachine* machine = put(std::move(*made), state, object);
    // Without a gradient nothing moves, and ticks go on from there.
    if (!Node::traits.rounds && tick >= 0) {
        if (auto woken = machine->wake(tick, {}); !woken) return tl::unexpected(woken.error());
    }
    return machine;
}

template <FleetNode Node>
Result<NeighbourMachine*> resume(const JobTerms& terms, std::span<std::byte> state, std::span<std::byte> object) {
    auto made =
        Node::resume(Node::settings_at(place_of<Node>(terms, state, object)), state.subspan(kept_bytes(terms)));
    if (!made) return tl::unexpected(made.error());
    return put(std::move(*made), state, object);
}

template <FleetNode Node>
constexpr MachineKind kind{
    .sent = Node::traits.sent,
    .rounds = Node::traits.rounds,
    .state_bytes =
        [](const JobTerms& terms) {
            return kept_bytes(terms) + Node::memory(terms.dimension, terms.in_neighbours.size());
        },
    .object_bytes =
        [](const JobTerms& terms) {
            return Arena::bytes<Machine<Node>>(1) + Arena::bytes<double>(terms.in_neighbours.size());
        },
    .keep = keep,
    .make = make<Node>,
    .resume = resume<Node>};

}  // namespace

const MachineKind* machine_kind(Aggregation aggregation) {
    switch (aggregation) {
        case Aggregation::dsgd:
            return &kind<SynchronousDescent<>>;
        case Aggregation::spd:
            return &kind<PrimalDual<>>;
        case Aggregation::gnsd:
            return &kind<GradientTracking<>>;
        case Aggregation::push_pull:
            return &kind<PushPull<>>;
        case Aggregation::hgp:
            return &kind<HyperGradientRounds<>>;
        default:
            return nullptr;
    }
}

}  // namespace dunlin
