// SPDX-License-Identifier: Apache-2.0
#include "training/simulation/served_fleet.hpp"

#include "training/host/archive.hpp"

#include <algorithm>

namespace dunlin {
namespace {

class ServedFleet final : public GossipFleet {
public:
    explicit ServedFleet(std::unique_ptr<FederatedFleet> fleet) : fleet_(std::move(fleet)) {}

    Outcome<void> run(Time until, const std::function<void()>& after_event) override {
        const std::uint64_t wanted = (static_cast<std::uint64_t>(until) + 1) * fleet_->clients();
        const auto enough = [&] {
            if (after_event) after_event();
            return fleet_->counters().applied >= wanted;
        };
        if (auto lived = fleet_->advance(simulation::to_seconds(simulation::time_limit), enough); !lived)
            return lived;
        now_ = until;
        return {};
    }

    std::uint32_t nodes() const override { return fleet_->clients(); }
    std::size_t dimension() const override { return fleet_->model().size(); }
    void estimate(std::uint32_t, Vector<float> out) const override {
        std::copy(fleet_->model().begin(), fleet_->model().end(), out.begin());
    }
    float weight(std::uint32_t) const override { return 1.0f; }
    std::optional<std::uint64_t> mass_error() const override { return std::nullopt; }
    std::vector<float> mean() const override { return {}; }
    GossipCounters counters() const override {
        return {.wake_ups = static_cast<std::int64_t>(fleet_->counters().applied),
                .waits = 0,
                .gradients = fleet_->counters().gradients,
                .crashes = 0};
    }
    const simulation::Counters& messages() const override { return fleet_->traffic(); }
    void set_tap(simulation::Network::Tap tap) override { fleet_->set_tap(std::move(tap)); }
    Time now() const override { return now_; }
    std::uint64_t trace() const override { return fleet_->trace(); }
    double bytes_per_node() const override { return static_cast<double>(fleet_->bytes_per_client()); }
    void save(Saver& saver) const override {
        saver(now_);
        fleet_->save(saver);
    }
    Result<void> restore(Loader& loader) override {
        loader(now_);
        return fleet_->restore(loader);
    }

private:
    std::unique_ptr<FederatedFleet> fleet_;
    Time now_ = 0;
};

}  // namespace

Outcome<std::unique_ptr<GossipFleet>> make_served_fleet(const FederatedSettings& settings, std::uint64_t seed,
                                                        ConstVector<float> first, std::uint32_t nodes,
                                                        LearnerOf learner_of, Workers& workers) {
    const std::vector<float> samples(nodes, 1.0f);
    auto fleet = FederatedFleet::make(settings, seed, first, samples, std::move(learner_of), workers);
    if (!fleet) return tl::unexpected(fleet.error());
    return std::make_unique<ServedFleet>(*std::move(fleet));
}

}  // namespace dunlin
