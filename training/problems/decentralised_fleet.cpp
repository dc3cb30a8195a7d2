// SPDX-License-Identifier: Apache-2.0
#include "training/problems/decentralised_fleet.hpp"

#include "training/problems/personal_layers.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace dunlin {
namespace {

bool is_spdb(const DecentralisedSettings& s) {
    return s.federated.objective() == Objective::bilevel;
}

Personalisation personalisation_of(const DecentralisedSettings& s) {
    const bool own = is_spdb(s) || s.personal_for_all;
    return {.steps = 50,
            .rate = own ? s.federated.bilevel.personal_rate : s.step,
            .personal_layers_only = own && !s.personal_layers.empty()};
}

FederatedSettings learning_of(const DecentralisedSettings& s) {
    FederatedSettings learning;
    learning.method = s.federated.method;
    learning.deployment = s.federated.deployment;
    learning.bilevel = s.federated.bilevel;
    learning.series = s.federated.series;
    // Among neighbours the fleet takes the steps, and this rate is that of layers that stay at home.
    const bool served = has_server(s.federated.method.aggregation);
    learning.local_rate = learning.maml_local_rate = learning.moreau_local_rate =
        served ? s.step : s.federated.bilevel.personal_rate;
    learning.batch = s.batch;
    learning.personal = personalisation_of(s);
    s.serve(learning, s.data.split.nodes);
    return learning;
}

/// The first round only says where everybody begins.
Outcome<RoundPlan> rounds_of(const DecentralisedSettings& s, const FederatedProblem& agents) {
    const Method method = s.federated.method;
    if (const std::string refusal = refusal_of(method); !refusal.empty())
        return refuse(fmt::format("objective.name = {}, aggregation.name = {}: {}", name_of(method.objective),
                                  name_of(method.aggregation), refusal));
    const std::int64_t rounds = std::int64_t{s.rounds} + 1;
    RoundPlan plan{
        .recipe = s.recipe(learning_of(s), agents.nodes(), s.seed, {.scale = static_cast<double>(s.step)}),
        .rounds = rounds,
        .learning = rounds,
        .opening = 1,
        .shares = method.aggregation != AggregationName::local,
        .columns = {"iteration", "train_loss", "accuracy_own", "accuracy_balanced", "loss_own", "consensus_error"},
        .length_key = "method.iterations",
        .method = decentralised_name(method),
        .shared_is =
            fmt::format("the mean of the agents' models by {}, seed {}", decentralised_title(method), s.seed),
        .advice = "try a smaller method.step"};
    plan.recipe.gossip.mixing = s.mixing;
    plan.recipe.gossip.rho_over_tau = static_cast<double>(s.rho_over_tau);
    plan.recipe.gossip.learn_from = plan.opening;
    plan.recipe.gossip.learn_until = rounds;
    for (std::int64_t k = 0; k <= s.evaluations; ++k) {
        const std::int64_t moment = s.rounds * k / s.evaluations + 1;
        // Where there are more evaluations than rounds, each round has one.
        if (plan.moments.empty() || plan.moments.back() != moment) plan.moments.push_back(moment);
    }
    return plan;
}

/// Errors: widths that make no network.
Outcome<MlpShape> network_of(const DecentralisedSettings& s, const DataTable& table) {
    std::vector<int> hidden = s.hidden;
    if (s.input_transform) hidden.insert(hidden.begin(), table.features);
    auto shape = MlpShape::make(table.features, hidden, table.classes, s.activation);
    if (!shape) return refuse(shape.error(), "model.hidden");
    shape->linear_input = s.input_transform;
    return *shape;
}

Outcome<std::unique_ptr<FederatedProblem>> make_decentralised(const DecentralisedSettings& s, int threads) {
    const auto kernels = find_kernels(s.kernels);
    if (!kernels) return refuse(kernels.error(), "kernels");
    auto data = read_data(s.data, s.seed);
    if (!data) return tl::unexpected(data.error());
    const Outcome<MlpShape> shape = network_of(s, data->table);
    if (!shape) return tl::unexpected(shape.error());
    const auto split = split_for(*shape, s.personal_layers, s.federated.objective(), data->notes);
    if (!split) return tl::unexpected(split.error());
    const bool keeps_layers =
        is_spdb(s) || (s.personal_for_all && s.federated.method.aggregation != AggregationName::local);
    const FederatedSettings learning = learning_of(s);
    auto world =
        DecentralisedWorld::make(*std::move(data), *shape, keeps_layers ? *split : LayerSplit(shape->parameters()),
                                 **kernels, learning, s.seed, "method.batch");
    if (!world) return tl::unexpected(world.error());
    return std::make_unique<DecentralisedFleet>(DecentralisedWorld(*std::move(world)), learning, threads);
}

}  // namespace

std::vector<std::pair<std::string_view, Method>> decentralised_methods() {
    return {{"spdb", preset::spdb},
            {"d2", {Objective::plain, AggregationName::spd}},
            {"gnsd", {Objective::plain, AggregationName::gnsd}},
            {"dsgd", {Objective::plain, AggregationName::dsgd}},
            {"alone", preset::local}};
}

std::string decentralised_name(Method method) {
    for (const auto& [name, one] : decentralised_methods()) {
        if (one == method) return std::string(name);
    }
    return name_of(method);
}

std::string decentralised_title(Method method) {
    constexpr std::string_view titles[] = {"SPDB", "SPD/D2", "GNSD", "DSGD", "each alone"};
    const auto methods = decentralised_methods();
    for (std::size_t k = 0; k < methods.size(); ++k) {
        if (methods[k].second == method) return std::string(titles[k]);
    }
    return title_of(method);
}

DecentralisedWorld::DecentralisedWorld(ClassificationWorld data)
    : ClassificationWorld(std::move(data)), by_label(static_cast<std::size_t>(table.classes)) {
    const DataTable& judged = held_out() ? table : test;
    const auto add = [&](std::uint32_t row) { by_label[judged.labels[row]].push_back(row); };
    if (held_out()) {
        for (const NodeRows& part : parts) std::ranges::for_each(part.test, add);
    } else {
        std::ranges::for_each(test_rows, add);
    }
}

FleetScore DecentralisedWorld::judge(Task& task, std::uint32_t node, ConstVector<float> w) const {
    const NodeRows& part = parts[node];
    const std::uint8_t* names = part.relabel.empty() ? nullptr : part.relabel.data();
    FleetScore score = ClassificationWorld::judge(task, node, w);
    score.sums[train_loss] = task.evaluate(part.train_view(table), w).loss();
    double labels = 0, shares = 0;
    for (std::size_t label = 0; label < by_label.size(); ++label) {
        if (by_label[label].empty()) continue;
        const ClassificationScore rows = task.evaluate((held_out() ? table : test).view(by_label[label], names), w);
        score.sums[accuracy_balanced] += rows.accuracy();
        labels += 1;
        if (held_out()) continue;
        const auto own =
            std::ranges::count_if(part.train, [&](std::uint32_t row) { return table.labels[row] == label; });
        const double share = static_cast<double>(own) / static_cast<double>(part.train.size());
        score.sums[accuracy_own] += share * rows.accuracy();
        score.sums[loss_own] += share * rows.loss();
        shares += share;
    }
    score.sums[accuracy_balanced] /= labels;
    if (labels < static_cast<double>(by_label.size()) && shares > 0) {  // labels without a row to test on
        score.sums[accuracy_own] /= shares;
        score.sums[loss_own] /= shares;
    }
    if (held_out()) {
        score.sums[accuracy_own] = metrics(score)[0].value;
        score.sums[loss_own] = metrics(score)[1].value;
    }
    return score;
}

std::vector<FleetMetric> DecentralisedWorld::node_metrics(std::uint32_t, const FleetScore& score) const {
    return {{"accuracy_own", "accuracy, own", score.sums[accuracy_own]},
            {"accuracy_balanced", "balanced", score.sums[accuracy_balanced]},
            {"loss_own", "loss, own", score.sums[loss_own]},
            {"train_loss", "training loss", score.sums[train_loss]}};
}

std::vector<FleetMetric> DecentralisedWorld::metrics_of(std::span<const FleetScore> scores) const {
    const auto mean = [&](Sum of) {
        double sum = 0;
        for (const FleetScore& score : scores) sum += score.sums[of] / static_cast<double>(scores.size());
        return sum;
    };
    return {{"train_loss", "training loss", mean(train_loss)},
            {"accuracy_own", "accuracy own", mean(accuracy_own)},
            {"accuracy_balanced", "balanced", mean(accuracy_balanced)},
            {"loss_own", "loss own", mean(loss_own)}};
}

void DecentralisedWorld::describe(TrainedModel& model) const {
    describe_classifier(table, model);
    model.shape = shape;
    for (std::uint32_t i = 0; i < nodes(); ++i) model.nodes.push_back(fmt::format("agent {}", i));
    if (std::ranges::any_of(parts, [](const NodeRows& part) { return !part.relabel.empty(); }))
        model.notes.push_back("Every agent names the classes in a way of its own");
}

double DecentralisedWorld::constant_accuracy() const {
    double mean = 0;
    for (const NodeRows& part : parts) {
        const std::vector<std::uint32_t>& rows = held_out() ? part.test : part.train;
        std::vector<double> counts(by_label.size());
        for (const std::uint32_t row : rows) counts[table.labels[row]] += 1.0 / static_cast<double>(rows.size());
        mean += std::ranges::max(counts) / nodes();
    }
    return mean;
}

ProblemKind<DecentralisedSettings> decentralised_kind() {
    return {.name = "decentralised",
            .nodes_are = "agents",
            .settings = decentralised_settings,
            .make = make_decentralised,
            .about =
                [](const DecentralisedSettings& s, const FederatedProblem& made) {
                    return fmt::format("Classification without a server: {}, {} agents.",
                                       s.data.path.empty() ? "generated digits" : s.data.path, made.nodes());
                },
            .method_key = "method.name",
            .methods = "spdb,d2,gnsd,dsgd",
            .learning = learning_of,
            .judging = [](const DecentralisedSettings&) { return Judging{.personal = {.steps = 0}}; },
            .rounds = rounds_of,
            .describe =
                [](const DecentralisedSettings& s, const FederatedProblem& made) {
                    TrainedModel model = made.description();
                    model.personal_is = personal_sentence(personalisation_of(s));
                    return model;
                },
            .report = report_decentralised,
            .side_runs = decentralised_side_runs};
}

}  // namespace dunlin
