// SPDX-License-Identifier: Apache-2.0
#include "training/problems/leakage.hpp"

#include "core/aggregate/federated_client.hpp"
#include "core/robust/ring_values.hpp"
#include "core/robust/rows.hpp"
#include "transport/encoding.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <fmt/format.h>

namespace dunlin {
namespace {

constexpr std::size_t most_clients = 10, fewest_summed = 5;

/// A job's clients and what they would send.
class Wire {
public:
    static Outcome<Wire> make(const ClassificationSettings& s, ConstVector<float> w) {
        const FederatedSettings& how = s.federated;
        if (traits_of(how.objective()).kept != Kept::nothing)
            return refuse(
                fmt::format("objective.name = {}: its updates leave out what stays with a node; audit a run "
                            "with plain, maml or moreau",
                            name_of(how.objective())));
        auto data = read_data(s.data, s.seed);
        if (!data) return tl::unexpected(data.error());
        const auto network = network_for(s, data->table);
        if (!network) return tl::unexpected(network.error());
        const auto* shape = std::get_if<MlpShape>(&*network);
        if (shape == nullptr || !shape->bias || shape->one_hot || !s.personal_layers.empty())
            return refuse(
                "model.layers, model.personal_layers: the audit inverts the first layer of a perceptron that is "
                "shared "
                "as a whole; set model.hidden instead");
        if (w.size() != shape->parameters())
            return refuse(
                Error{Code::shape_mismatch, std::ssize(w), static_cast<std::int64_t>(shape->parameters())},
                "the model");
        auto problem = make_classification_problem(s, 1);
        if (!problem) return tl::unexpected(problem.error());
        return Wire(s, *std::move(data), *shape, *std::move(problem), w);
    }

    std::uint32_t clients() const { return problem_->nodes(); }
    const MlpShape& shape() const { return shape_; }
    /// w_0 - w_Q of a client, after so many local steps.
    std::vector<float> update(std::uint32_t client, int steps) {
        const FederatedSettings& how = settings_.federated;
        Learner& learner = problem_->learner(client, 0);
        Stream random(settings_.seed, client, Purpose::samples);
        std::vector<float> x = w_, gradient(w_.size());
        for (int q = 0; q < steps; ++q) {
            learner.gradient(x, random, gradient);
            for (std::size_t k = 0; k < x.size(); ++k) x[k] -= how.rate() * gradient[k];
        }
        for (std::size_t k = 0; k < x.size(); ++k) x[k] = w_[k] - x[k];
        return x;
    }
    ConstVector<float> row(std::uint32_t number) const {
        const auto features = static_cast<std::size_t>(data_.table.features);
        return std::span(data_.table.values).subspan(number * features, features);
    }
    const std::vector<std::uint32_t>& rows(std::uint32_t client) const { return data_.parts[client].train; }
    /// The shares of its labels, by class.
    std::vector<double> labels(std::uint32_t client) const {
        std::vector<double> shares(static_cast<std::size_t>(data_.table.classes));
        const LabelledRows view = data_.parts[client].train_view(data_.table);
        for (const std::uint32_t number : rows(client))
            shares[static_cast<std::size_t>(view.label(number))] += 1.0 / static_cast<double>(rows(client).size());
        return shares;
    }
    /// Of the rows that a client learned from in so many steps, at most.
    double rows_seen(std::uint32_t client, int steps) const {
        return std::min(static_cast<double>(rows(client).size()),
                        static_cast<double>(steps) * static_cast<double>(settings_.federated.batch));
    }

private:
    Wire(const ClassificationSettings& s, SharedData data, const MlpShape& shape,
         std::unique_ptr<FederatedProblem> problem, ConstVector<float> w)
        : settings_(s),
          data_(std::move(data)),
          shape_(shape),
          problem_(std::move(problem)),
          w_(w.begin(), w.end()) {}

    ClassificationSettings settings_;
    SharedData data_;
    MlpShape shape_;
    std::unique_ptr<FederatedProblem> problem_;
    std::vector<float> w_;
};

double distance(std::span<const double> a, std::span<const double> b) {
    double sum = 0;
    for (std::size_t k = 0; k < a.size(); ++k) sum += std::abs(a[k] - b[k]);
    return sum / 2;
}

/// What each unit of the first layer gives: (change of its weights) / (change of its bias).
std::vector<std::vector<float>> candidates(const MlpShape& shape, ConstVector<float> seen) {
    const auto inputs = static_cast<std::size_t>(shape.inputs), width = static_cast<std::size_t>(shape.width(0));
    std::vector<std::vector<float>> found;
    for (std::size_t unit = 0; unit < width; ++unit) {
        const float bias = seen[shape.bias_at(0) + unit];
        if (!(std::abs(bias) > 1e-12f)) continue;
        std::vector<float>& row = found.emplace_back(inputs);
        for (std::size_t k = 0; k < inputs; ++k) row[k] = seen[k * width + unit] / bias;
    }
    return found;
}

/// Rows among these that some candidate comes close to, and the relative error of the closest one.
std::pair<double, double> recovered(const Wire& wire, const std::vector<std::uint32_t>& rows,
                                    const std::vector<std::vector<float>>& found) {
    double count = 0, nearest = std::numeric_limits<double>::infinity();
    for (const std::uint32_t number : rows) {
        const ConstVector<float> row = wire.row(number);
        const double length = squared_norm(row);
        if (!(length > 0)) continue;
        double best = std::numeric_limits<double>::infinity();
        for (const std::vector<float>& candidate : found) {
            double square = 0;
            for (std::size_t k = 0; k < row.size() && square < best; ++k) {
                const double off = static_cast<double>(candidate[k]) - static_cast<double>(row[k]);
                square += off * off / length;
            }
            best = std::min(best, square);
        }
        count += best <= recovered_within * recovered_within;
        nearest = std::min(nearest, std::sqrt(best));
    }
    return {count, nearest};
}

/// Where an update was learned from the model's own guess 1 / classes: that much less the change of the bias per step.
std::vector<double> read_labels(const MlpShape& shape, ConstVector<float> seen, double per_step) {
    const auto classes = static_cast<std::size_t>(shape.outputs());
    std::vector<double> shares(classes);
    double sum = 0;
    for (std::size_t c = 0; c < classes; ++c) {
        const double change = static_cast<double>(seen[shape.bias_at(shape.layers - 1) + c]);
        shares[c] = std::max(0.0, 1.0 / static_cast<double>(classes) - change / per_step);
        sum += shares[c];
    }
    for (double& share : shares) share = sum > 0 ? share / sum : 1.0 / static_cast<double>(classes);
    return shares;
}

std::vector<float> mean_of(std::span<const std::vector<float>> updates) {
    std::vector<float> mean(updates.front().size());
    for (const std::vector<float>& update : updates) {
        for (std::size_t k = 0; k < mean.size(); ++k) mean[k] += update[k] / static_cast<float>(updates.size());
    }
    return mean;
}

std::vector<float> as_int8(ConstVector<float> update) {
    std::vector<std::byte> bytes(encoded_bytes(Encoding::int8, update.size()));
    std::vector<float> rounded(update.begin(), update.end()), residual(update.size());
    ErrorFeedback feedback(residual);
    if (const auto encoded = feedback.encode(update, Encoding::int8, bytes)) (void)decode(*encoded, rounded);
    return rounded;
}

}  // namespace

Outcome<LeakageAudit> audit_leakage(const ClassificationSettings& s, ConstVector<float> w) {
    auto made = Wire::make(s, w);
    if (!made) return tl::unexpected(made.error());
    Wire& wire = *made;
    const FederatedSettings& how = s.federated;
    const std::size_t clients = wire.clients();
    std::vector<std::vector<float>> updates, steps;
    for (std::uint32_t client = 0; client < clients; ++client) {
        updates.push_back(wire.update(client, how.local_steps));
        steps.push_back(wire.update(client, 1));
    }
    LeakageAudit audit;
    audit.clients = static_cast<std::uint32_t>(std::min(clients, most_clients));
    const auto looked_at = static_cast<double>(audit.clients);
    std::vector<double> all_labels(static_cast<std::size_t>(wire.shape().outputs()));
    for (std::uint32_t client = 0; client < clients; ++client) {
        const std::vector<double> own = wire.labels(client);
        for (std::size_t c = 0; c < own.size(); ++c) all_labels[c] += own[c] / static_cast<double>(clients);
    }
    for (std::uint32_t client = 0; client < audit.clients; ++client) {
        const auto other = static_cast<std::uint32_t>((client + 1) % clients);
        std::vector<std::vector<float>> rows;
        for (const std::uint32_t number : wire.rows(other))
            rows.emplace_back(wire.row(number).begin(), wire.row(number).end());
        audit.guess_nearest += recovered(wire, wire.rows(client), rows).second / looked_at;
        audit.guess_labels += distance(all_labels, wire.labels(client)) / looked_at;
    }
    const auto look = [&](std::string observer, std::string protection, int local, const auto& seen_of) {
        Leak leak;
        leak.observer = std::move(observer);
        leak.protection = std::move(protection);
        const double per_step = static_cast<double>(how.rate()) * local;
        for (std::uint32_t client = 0; client < audit.clients; ++client) {
            const std::vector<float> seen = seen_of(client);
            const auto [count, nearest] = recovered(wire, wire.rows(client), candidates(wire.shape(), seen));
            leak.rows += count / wire.rows_seen(client, local) / looked_at;
            leak.nearest += nearest / looked_at;
            leak.labels += distance(read_labels(wire.shape(), seen, per_step), wire.labels(client)) / looked_at;
        }
        audit.leaks.push_back(std::move(leak));
    };
    const int local = how.local_steps;
    look("coordinator", "none: updates in clear", local, [&](std::uint32_t client) { return updates[client]; });
    look("coordinator", "fleet.encoding = int8", local,
         [&](std::uint32_t client) { return as_int8(updates[client]); });
    // The client and those after it.
    const auto sum_of = [&](std::size_t members) {
        return [&updates, members, clients](std::uint32_t client) {
            std::vector<std::vector<float>> group;
            for (std::size_t k = 0; k < std::min(members, clients); ++k)
                group.push_back(updates[(client + k) % clients]);
            return mean_of(group);
        };
    };
    if (clients >= fewest_summed) {
        look("coordinator", fmt::format("secure_aggregation, the fewest: {}", fewest_summed), local,
             sum_of(fewest_summed));
        const auto group = static_cast<std::size_t>(s.federated.masks.group);
        if (clients > fewest_summed && group < clients)
            look("coordinator", fmt::format("secure_aggregation, a group of {}", group), local, sum_of(group));
    }
    look("who sees the models", "none: the mean of all", local, sum_of(clients));
    std::vector<double> norms;
    for (const std::vector<float>& update : updates) norms.push_back(std::sqrt(squared_norm(update)));
    std::ranges::nth_element(norms, norms.begin() + static_cast<std::ptrdiff_t>(norms.size() / 2));
    const double clip = how.privacy.enabled() ? static_cast<double>(how.privacy.clip) : norms[norms.size() / 2];
    const double noise = how.privacy.noise > 0.0f ? static_cast<double>(how.privacy.noise) : 1.0;
    look("who sees the models", fmt::format("privacy.clip = {:.3g}, noise = {:.3g}", clip, noise), local,
         [&](std::uint32_t client) {
             // What a promise is measured by may repeat; what keeps one may not.
             Stream random(s.seed, client, Purpose::defence);
             std::vector<float> seen(w.size());
             for (const std::vector<float>& update : updates) {
                 const double norm = std::sqrt(squared_norm(update));
                 const double scale = std::min(1.0, norm > 0 ? clip / norm : 1.0) / static_cast<double>(clients);
                 for (std::size_t k = 0; k < seen.size(); ++k)
                     seen[k] += static_cast<float>(scale * static_cast<double>(update[k]));
             }
             for (float& value : seen)
                 value += static_cast<float>(noise * clip / static_cast<double>(clients)) * random.normal();
             return seen;
         });
    look("neighbour", "none: a step of a method without a server", 1,
         [&](std::uint32_t client) { return steps[client]; });
    Leak relay;
    relay.observer = "stranger on the way";
    relay.protection = "CURVE: sizes and times alone";
    relay.nothing = true;
    audit.leaks.push_back(std::move(relay));
    return audit;
}

}  // namespace dunlin
