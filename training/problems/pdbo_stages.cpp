// SPDX-License-Identifier: Apache-2.0
#include "core/optimiser.hpp"
#include "training/host/archive.hpp"
#include "training/problems/pdbo_fleet.hpp"

#include <cmath>

#include <fmt/format.h>

namespace dunlin {
namespace {

/// A tenth of the rate in the last sixth of a stage, a hundredth in the last twelfth (appendix A.3).
float rate_at(const PdboSettings& s, std::int64_t step, int steps) {
    if (12 * (steps - step) <= steps) return s.inner_rate * 0.01f;
    return 6 * (steps - step) <= steps ? s.inner_rate * 0.1f : s.inner_rate;
}

class StagedFleet final : public GossipFleet {
public:
    StagedFleet(const PdboSettings& settings, PdboAgents& agents, PersonalLayers& layers,
                std::unique_ptr<BilevelFleet> fleet)
        : settings_(settings),
          agents_(agents),
          layers_(layers),
          fleet_(std::move(fleet)),
          steps_(stage_steps(settings, agents)),
          predictors_(layers.split().personal_size()),
          lambda_(nodes() * predictors_) {
        hyper_gradient_ = mean_ = square_ = lambda_;
    }

    Outcome<void> run(Time until, const std::function<void()>& after_event) override {
        while (now() < until) {
            auto done = live();
            agents_.tell(fleet_->counters(), norm_);
            if (!done) return done;
            if (after_event) after_event();
        }
        return {};
    }

    RankGroup& ranks() const override { return fleet_->ranks(); }
    std::uint32_t nodes() const override { return fleet_->nodes(); }
    std::size_t dimension() const override { return fleet_->dimension(); }
    void estimate(std::uint32_t node, Vector<float> out) const override { fleet_->estimate(node, out); }
    float weight(std::uint32_t node) const override { return fleet_->weight(node); }
    std::optional<std::uint64_t> mass_error() const override { return std::nullopt; }
    std::vector<float> mean() const override {
        std::vector<Mass> x;
        Mass y{};
        fleet_->mass(x, y);
        std::vector<float> z;
        for (const Mass value : x)
            z.push_back(static_cast<float>(static_cast<double>(value) / static_cast<double>(y)));
        return z;
    }
    GossipCounters counters() const override {
        const BilevelCounters& done = fleet_->counters();
        return {.wake_ups = done.rounds * nodes(), .gradients = done.gradients};
    }
    const simulation::Counters& messages() const override { return fleet_->messages(); }
    void set_tap(simulation::Network::Tap tap) override { fleet_->set_tap(std::move(tap)); }
    Time now() const override { return fleet_->counters().rounds - 1; }
    std::uint64_t trace() const override { return fleet_->trace(); }
    double bytes_per_node() const override {
        return static_cast<double>(bilevel_fleet_bytes(nodes(), dimension(), predictors_)) / nodes();
    }

    // lambda is saved with the layers that keep it.
    void save(Saver& saver) const override {
        saver(mean_, square_, outer_steps_, norm_);
        fleet_->save(saver);
    }
    Result<void> restore(Loader& loader) override {
        loader(mean_, square_, outer_steps_, norm_);
        if (!loader.ok()) return {};
        for (const auto* values : {&mean_, &square_}) {
            if (values->size() != lambda_.size()) return wrong_size(values->size(), lambda_.size());
        }
        for (std::uint32_t i = 0; i < nodes(); ++i) std::ranges::copy(layers_.of(i), own(i).begin());
        auto restored = fleet_->restore(loader);
        agents_.tell(fleet_->counters(), norm_);
        return restored;
    }

private:
    std::span<float> own(std::uint32_t node) { return std::span(lambda_).subspan(node * predictors_, predictors_); }

    /// A round.
    Outcome<void> live() {
        const std::int64_t round = fleet_->counters().rounds;
        if (round > 0 && round % steps_ == 0 && settings_.personal()) {
            if (auto done = outer_step(); !done) return done;
        }
        return fleet_->push(lambda_, rate_at(settings_, round % steps_, steps_),
                            settings_.method != PdboMethod::local);
    }

    Outcome<void> outer_step() {
        HyperGradientSettings how;
        how.steps = settings_.method == PdboMethod::pdbo_mtl ? settings_.neumann_steps : 0;
        how.inner_rate = settings_.inner_rate;
        how.one_sample = settings_.one_sample;
        if (Outcome<void> done = fleet_->hyper_gradient(lambda_, how, hyper_gradient_); !done) return done;
        norm_ = std::sqrt(static_cast<double>(dot<float>(hyper_gradient_, hyper_gradient_)));
        const Adam adam{.rate = settings_.outer_rate, .mean_decay = 0.9f, .square_decay = 0.99f};
        Adam::State<float> state{mean_, square_, outer_steps_};
        adam.step<float>(lambda_, hyper_gradient_, state);  // component by component: all agents at once
        outer_steps_ = state.steps;
        for (std::uint32_t i = 0; i < nodes(); ++i) std::ranges::copy(own(i), layers_.of(i).begin());
        return {};
    }

    PdboSettings settings_;
    PdboAgents& agents_;
    PersonalLayers& layers_;
    std::unique_ptr<BilevelFleet> fleet_;
    int steps_;
    std::size_t predictors_;
    std::vector<float> lambda_, hyper_gradient_, mean_, square_;  ///< agent by agent
    std::int64_t outer_steps_ = 0;
    double norm_ = 0;  ///< of the last outer gradient
};

}  // namespace

int stage_steps(const PdboSettings& s, const PdboAgents& agents) {
    if (s.budget == PdboBudget::inner_steps || s.method == PdboMethod::pdbo_mtl) return s.inner_steps;
    const double series = s.neumann_steps * (s.one_sample ? 2.0 : 4.0);
    const double spared = s.method == PdboMethod::pdbo_mtl_local ? series : series + agents.batches();
    return s.inner_steps + static_cast<int>(std::lround(spared * s.outer_steps / (s.outer_steps + 1)));
}

Outcome<std::unique_ptr<GossipFleet>> make_pdbo_fleet(const PdboSettings& s, PdboAgents& agents,
                                                      PersonalLayers& layers, Workers& workers) {
    const auto edges = RandomEdges::make(agents.nodes(), s.probability_low, s.probability_high, s.seed);
    if (!edges) {
        return refuse(
            fmt::format("network.probability_low = {}, network.probability_high = {}: expected two "
                        "probabilities above 0, the lower one first",
                        s.probability_low, s.probability_high));
    }
    std::vector<float> first(agents.dimension());
    agents.initialise(first);
    BilevelFleetSettings settings;
    settings.seed = s.seed;
    settings.outer_dimension = layers.split().personal_size();
    settings.format.fraction_bits = s.fraction_bits;
    settings.largest_value = s.largest_value;
    auto fleet = make_bilevel_fleet(
        *edges, settings, layers.shared_of(first),
        [&agents](std::uint32_t node, int worker) -> BilevelLearner& { return agents.levels(node, worker); },
        workers);
    if (!fleet) return tl::unexpected(fleet.error());
    return std::make_unique<StagedFleet>(s, agents, layers, *std::move(fleet));
}

}  // namespace dunlin
