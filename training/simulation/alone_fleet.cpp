// SPDX-License-Identifier: Apache-2.0
#include "training/simulation/alone_fleet.hpp"

#include "training/host/archive.hpp"
#include "training/host/workers.hpp"
#include "transport/simulation/fingerprint.hpp"

namespace dunlin {
namespace {

class AloneFleet final : public GossipFleet {
public:
    AloneFleet(std::uint32_t nodes, bool together, const GossipSettings& settings, std::span<const float> start,
               LearnerOf learner_of, int threads, RankGroup& ranks)
        : nodes_(nodes),
          together_(together),
          settings_(settings),
          learner_of_(std::move(learner_of)),
          workers_(threads, ranks),
          models_(start.begin(), start.end()),
          gradients_(std::size_t{nodes} * dimension()),
          costs_(nodes) {
        for (std::uint32_t i = 0; i < nodes; ++i) streams_.emplace_back(settings.seed, i, Purpose::samples);
    }

    Outcome<void> run(Time until, const std::function<void()>& after_event) override {
        for (; next_ <= until; ++next_) {
            if (next_ < settings_.learn_from || next_ >= settings_.learn_until) continue;
            take_gradients();
            if (Outcome<void> stepped = step(settings_.theta.after(next_ - 1, next_)); !stepped) return stepped;
            if (after_event) after_event();
        }
        return {};
    }

    std::uint32_t nodes() const override { return nodes_; }
    RankGroup& ranks() const override { return workers_.ranks(); }
    std::size_t dimension() const override { return models_.size() / (together_ ? 1 : nodes_); }
    void estimate(std::uint32_t node, Vector<float> out) const override {
        std::ranges::copy(model(node), out.begin());
    }
    float weight(std::uint32_t) const override { return 1.0f; }
    std::optional<std::uint64_t> mass_error() const override { return std::nullopt; }
    std::vector<float> mean() const override { return {}; }
    GossipCounters counters() const override {
        GossipCounters counters;
        for (const std::int64_t cost : costs_) counters.gradients += cost;
        const Time learned = std::min(next_, settings_.learn_until) - settings_.learn_from;
        counters.wake_ups = std::max<Time>(0, learned) * nodes_;
        return counters;
    }
    const simulation::Counters& messages() const override { return nothing_said_; }
    void set_tap(simulation::Network::Tap) override {}
    Time now() const override { return next_ - 1; }
    std::uint64_t trace() const override { return trace_; }
    double bytes_per_node() const override { return static_cast<double>(dimension() * sizeof(float)); }
    void save(Saver& saver) const override {
        std::vector<Stream> streams = streams_;
        ranks().share(std::span(streams), nodes_);
        saver(models_, costs_, streams, next_, trace_);
    }
    Result<void> restore(Loader& loader) override {
        const std::size_t size = models_.size();
        loader(models_, costs_, streams_, next_, trace_);
        if (!loader.ok()) return {};
        if (models_.size() != size) return wrong_size(models_.size(), size);
        if (costs_.size() != nodes_ || streams_.size() != nodes_) return wrong_size(costs_.size(), nodes_);
        return {};
    }

private:
    ConstVector<float> model(std::uint32_t node) const {
        return ConstVector<float>(models_).subspan(together_ ? 0 : node * dimension(), dimension());
    }
    Vector<float> gradient(std::uint32_t node) {
        return Vector<float>(gradients_).subspan(node * dimension(), dimension());
    }

    void take_gradients() {
        const RankGroup::Block own = ranks().block(nodes_);
        workers_.run(static_cast<int>(own.size()), [&](int piece, int worker) {
            const std::uint32_t i = own.first + static_cast<std::uint32_t>(piece);
            Learner& learner = learner_of_(i, worker);
            costs_[i] += learner.given(model(i), streams_[i]);
            costs_[i] += learner.gradient(model(i), streams_[i], gradient(i));
        });
        ranks().share(std::span(gradients_), nodes_);
        ranks().share(std::span(costs_), nodes_);
    }

    Outcome<void> step(float size) {
        const std::size_t d = dimension();
        if (together_) {
            for (std::size_t k = 0; k < d; ++k) {
                double sum = 0;
                for (std::uint32_t i = 0; i < nodes_; ++i) sum += static_cast<double>(gradients_[i * d + k]);
                models_[k] -= size * static_cast<float>(sum / nodes_);
            }
        } else {
            for (std::size_t k = 0; k < models_.size(); ++k) models_[k] -= size * gradients_[k];
        }
        trace_ = simulation::mix(trace_, simulation::fingerprint(std::as_bytes(std::span(models_))));
        const std::size_t k = first_beyond(models_, settings_.largest_value);
        if (k == models_.size()) return {};
        const Error error{Code::mass_overflow, static_cast<std::int64_t>(k % d), 0};
        return tl::unexpected(diverged(error, static_cast<std::uint32_t>(k / d), next_, settings_.largest_value));
    }

    std::uint32_t nodes_;
    bool together_;
    GossipSettings settings_;
    LearnerOf learner_of_;
    Workers workers_;
    std::vector<float> models_, gradients_;
    std::vector<std::int64_t> costs_;
    std::vector<Stream> streams_;
    simulation::Counters nothing_said_;
    Time next_ = 0;
    std::uint64_t trace_ = 0;
};

}  // namespace

Outcome<std::unique_ptr<GossipFleet>> make_alone_fleet(std::uint32_t nodes, bool together,
                                                       const GossipSettings& settings, std::span<const float> start,
                                                       LearnerOf learner_of, int threads, RankGroup& ranks) {
    if (auto checked = settings.theta.check(); !checked) return refuse(checked.error(), "method");
    return std::make_unique<AloneFleet>(nodes, together, settings, start, std::move(learner_of), threads, ranks);
}

}  // namespace dunlin
