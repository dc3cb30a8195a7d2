// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/samples_export.hpp"

#include "training/problems/classification_fleet.hpp"

#include <vector>

#include <fmt/format.h>

namespace dunlin::app {
namespace {

/// The settings of a run whose problem is registered; null: it is another. Error: settings that cannot be read.
Outcome<std::unique_ptr<ProblemExperiment>> experiment_of(const SavedModel& saved) {
    const RegisteredProblem* kind = saved.kind != nullptr ? find_problem(saved.kind->name) : nullptr;
    if (kind == nullptr || kind->alone) return nullptr;
    auto experiment = std::make_unique<ProblemExperiment>(*kind);
    if (auto read = experiment->list().read(saved.config, saved.file.string()); !read)
        return tl::unexpected(read.error());
    return experiment;
}

}  // namespace

std::optional<BoardLearning> learning_of(const SavedModel& saved) {
    const auto experiment = experiment_of(saved);
    if (!experiment || *experiment == nullptr) return {};
    const FederatedSettings& how = (*experiment)->learning();
    const Personalisation& personal = how.personal;
    return BoardLearning{.batch = how.batch,
                         .steps = personal.steps,
                         .rate = personal.rate,
                         .pull = personal.prox_weight,
                         .accuracy = personal.accuracy,
                         .step_clip = how.moreau.step_clip};
}

Outcome<std::string> samples_of(const ExportOptions& options, const SavedModel& saved) {
    const auto experiment = experiment_of(saved);
    if (!experiment) return tl::unexpected(experiment.error());
    const ClassificationSettings* settings =
        *experiment != nullptr ? (*experiment)->as<ClassificationSettings>() : nullptr;
    if (settings == nullptr)
        return refuse(
            fmt::format("--format samples: of a run of classification, and {} is none", saved.file.string()));
    if (options.node.empty()) return refuse("--format samples: say whose: --node NAME, or a number from 0 on");
    const auto node = node_of(saved.model, options.node);
    if (!node) return tl::unexpected(node.error());
    const auto data = read_data(settings->data, settings->seed);
    if (!data) return tl::unexpected(data.error());
    const DataTable& table = data->table;
    if (table.places > 1 || table.tokens > 0)
        return refuse("--format samples: of rows of numbers with one label each, which these are not");
    if (*node >= data->parts.size())
        return refuse(fmt::format("--node {}: the data have {} nodes", options.node, data->parts.size()));
    const NodeRows& part = data->parts[*node];

    BoardSamples samples;
    samples.of = saved.model.nodes[*node];
    samples.features = table.features;
    samples.bytes = table.image_width > 0 && table.centre.empty();
    const auto add = [&](const LabelledRows& rows, std::uint32_t row) {
        for (int f = 0; f < table.features; ++f) {
            const auto at = static_cast<std::size_t>(f);
            const float seen = rows.row(row)[f];
            samples.values.push_back(table.centre.empty() ? seen : seen / table.scale[at] + table.centre[at]);
        }
        samples.labels.push_back(static_cast<std::uint8_t>(rows.label(row)));
    };
    std::vector<int> taken(static_cast<std::size_t>(table.classes));
    const LabelledRows train = part.train_view(table);
    for (const std::uint32_t row : part.train) {
        int& of_class = taken[static_cast<std::size_t>(train.label(row))];
        if (options.count && of_class >= *options.count) continue;
        ++of_class;
        add(train, row);
    }
    samples.learned = samples.labels.size();
    for (const std::uint32_t row : part.test) add(part.test_view(table), row);
    return samples_header(samples, options.name);
}

}  // namespace dunlin::app
