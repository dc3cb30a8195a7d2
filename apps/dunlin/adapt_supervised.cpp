// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/adapt_supervised.hpp"

#include "apps/output.hpp"
#include "apps/report/table.hpp"
#include "training/problems/problem_kinds.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace dunlin::app {
namespace {

/// Nodes, and how they make a model their own.
struct Opened {
    std::unique_ptr<AdaptableProblem> nodes;
    Personalisation how;
    std::uint64_t seed = 1;
};

Outcome<Opened> opened(const SavedModel& saved, const RegisteredProblem& kind, const std::string& data) {
    ProblemExperiment experiment(kind);
    if (auto read = experiment.list().read(saved.config, saved.file.string()); !read)
        return tl::unexpected(read.error());
    if (experiment.nodes_bring_data() == data.empty())
        return refuse(data.empty() ? saved.file.string() +
                                         ": learned from data of the nodes' own, none of which are "
                                         "here; name a file of such data with --data"
                                   : "--data: the experiment says itself where its data are");
    auto nodes = data.empty() ? experiment.make(1) : experiment.make_own(data);
    if (!nodes) return tl::unexpected(nodes.error());
    Opened open{*std::move(nodes), experiment.learning().personal, experiment.settings().seed};
    open.how.personal_layers_only = open.how.personal_layers_only || open.nodes->split().has_personal();
    return open;
}

Outcome<Opened> open_nodes(const SavedModel& saved, const std::string& data) {
    if (saved.kind == nullptr)
        return refuse(saved.file.string() +
                      ": says nothing of its experiment; name the run directory that it lies in");
    const std::string_view kind = saved.kind->name;
    if (const RegisteredProblem* registered = find_problem(kind); registered != nullptr && !registered->alone)
        return opened(saved, *registered, data);
    if (!data.empty()) return refuse("--data: of models that nodes learned from data of their own");
    return refuse(fmt::format("{}: a model of kind {} is not adapted by this program", saved.file.string(), kind));
}

enum Stage : std::uint8_t { untrained, untrained_adapted, before, after, stages };
constexpr std::array<const char*, stages> keys{"untrained", "untrained_adapted", "before", "after"};
constexpr std::array<const char*, stages> titles{"untrained", "untrained, adapted", "before", "after"};
using Scores = std::array<FleetScore, stages>;

/// As the node does it, but the first `frozen` parameters stay as they are: step by step, since a step of the others
/// does not ask where these go.
void personalise(Opened& open, std::uint32_t node, const std::vector<float>& from, std::size_t frozen,
                 Stream& random, std::vector<float>& theta) {
    if (frozen == 0) return open.nodes->personalise(node, from, open.how, random, theta, 0);
    Personalisation step = open.how;
    step.steps = std::min(1, open.how.steps);
    for (int k = 0; k < open.how.steps; ++k) {
        open.nodes->personalise(node, from, step, random, theta, 0);
        std::copy_n(from.begin(), frozen, theta.begin());
    }
}

Scores scores_of(Opened& open, const std::vector<float>& model, std::size_t frozen, std::uint32_t node) {
    std::vector<float> first(model.size());
    open.nodes->initialise(first);
    Scores scores;
    const std::pair<const std::vector<float>*, Stage> starts[] = {{&first, untrained}, {&model, before}};
    for (const auto& [start, at] : starts) {
        std::vector<float> theta = *start;
        scores[at] = open.nodes->judge(node, theta, 0);
        Stream random(open.seed, node, Purpose::evaluate);
        personalise(open, node, *start, at == before ? frozen : 0, random, theta);
        scores[static_cast<std::size_t>(at) + 1] = open.nodes->judge(node, theta, 0);
    }
    return scores;
}

nlohmann::ordered_json json_of(const AdaptableProblem& nodes, const Scores& scores) {
    nlohmann::ordered_json json;
    for (std::size_t stage = 0; stage < stages; ++stage) {
        for (const FleetMetric& metric : nodes.metrics(scores[stage]))
            json[keys[stage]][metric.key] = std::isfinite(metric.value) ? nlohmann::ordered_json(metric.value)
                                                                        : nlohmann::ordered_json(nullptr);
    }
    return json;
}

std::vector<std::string> row_of(const AdaptableProblem& nodes, const std::string& name, std::size_t metric,
                                const Scores& scores) {
    std::vector<std::string> row{name, nodes.metrics(scores[0])[metric].title};
    for (const FleetScore& score : scores)
        row.push_back(score.count > 0 ? fmt::format("{:.4f}", nodes.metrics(score)[metric].value) : "no rows");
    return row;
}

}  // namespace

Outcome<int> adapt_supervised(const SavedModel& saved, const SupervisedAdaptation& asked) {
    if (!saved.model.described()) {
        return refuse(
            fmt::format("{}: written by an older Dunlin, it does not say its network; pull or train it again",
                        saved.file.string()));
    }
    Outcome<Opened> open = open_nodes(saved, asked.data);
    if (!open) return tl::unexpected(open.error());
    const std::vector<float> model = saved.model.flat();
    if (model.size() != open->nodes->dimension()) {
        return refuse(
            Error{Code::shape_mismatch, std::ssize(model), static_cast<std::int64_t>(open->nodes->dimension())},
            saved.file.string() + ", and its data");
    }
    if (asked.steps) open->how.steps = *asked.steps;
    const TrainedModel description = open->nodes->description();
    std::vector<std::uint32_t> chosen(asked.nodes.empty() ? open->nodes->nodes() : 0);
    std::iota(chosen.begin(), chosen.end(), 0u);
    for (const std::string& name : asked.nodes) {
        const auto number = node_of(description, name);
        if (!number) return tl::unexpected(number.error());
        chosen.push_back(static_cast<std::uint32_t>(*number));
    }

    nlohmann::ordered_json json{{"experiment", saved.model.experiment},
                                {"seed", open->seed},
                                {"steps", open->how.steps},
                                {"nodes", nlohmann::ordered_json::array()}};
    report::Table table{{"node", "metric"}, {}, ""};
    table.header.insert(table.header.end(), titles.begin(), titles.end());
    Scores all;
    constexpr std::size_t shown = 8;
    for (const std::uint32_t node : chosen) {
        const Scores scores = scores_of(*open, model, saved.model.frozen_parameters(), node);
        for (std::size_t stage = 0; stage < stages; ++stage) all[stage].add(scores[stage]);
        json["nodes"].push_back({{"name", description.nodes[node]}, {"rows", scores[0].count}});
        if (scores[0].count > 0) json["nodes"].back().update(json_of(*open->nodes, scores));
        if (table.rows.size() < shown)
            table.rows.push_back(row_of(*open->nodes, description.nodes[node], 0, scores));
    }
    if (all[0].count == 0)
        return refuse(saved.file.string() + ": the chosen nodes hold no rows out to be judged on");
    json["together"] = json_of(*open->nodes, all);
    if (asked.json) {
        // Names are of data, in whatever encoding these were.
        say("{}\n", json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
        return 0;
    }
    for (std::size_t metric = 0; metric < open->nodes->metrics(all[0]).size(); ++metric)
        table.rows.push_back(
            row_of(*open->nodes, metric == 0 ? fmt::format("all {}", chosen.size()) : "", metric, all));
    say("{}", report::text_table(table));
    if (chosen.size() > shown && !asked.quiet)
        note("{} of {} nodes are shown; --json prints all\n", shown, chosen.size());
    return 0;
}

}  // namespace dunlin::app
