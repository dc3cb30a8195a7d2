// SPDX-License-Identifier: Apache-2.0
#include "python/data_world.hpp"

#include <cmath>

#include <fmt/format.h>

namespace dunlin::python {

Settings data_settings(DataSettings& s) {
    Settings list = problem_settings(s);
    list.add("data.held_out", s.held_out, "share of each node's rows, its last ones, that models are judged on",
             {0.0, 0.9});
    list.add("model.hidden", s.hidden, "widths of the hidden layers", {1, 4096});
    add_federated_settings(list, s.federated);
    return list;
}

Outcome<DataWorld> DataWorld::make(const DataSettings& s) {
    if (s.classes.size() > class_limit)
        return refuse(
            fmt::format("{}: {} classes or more; expected at most {}", s.kind, class_limit + 1, class_limit));
    const auto kernels = find_kernels(s.kernels);
    if (!kernels) return refuse(kernels.error(), "kernels");
    const auto shape = MlpShape::make(s.features, s.hidden, static_cast<int>(s.classes.size()));
    if (!shape) return refuse(shape.error(), "model.hidden");
    return DataWorld{.settings = s, .shape = *shape, .kernels = *kernels};
}

Outcome<void> DataWorld::take(int node, std::span<const float> rows, std::span<const std::int64_t> of_rows) {
    const auto features = static_cast<std::size_t>(settings.features);
    if (rows.size() != of_rows.size() * features)
        return refuse(fmt::format("node {}: {} numbers for {} labels; expected {} for each", node, rows.size(),
                                  of_rows.size(), features));
    for (const float number : rows) {
        if (!std::isfinite(number)) return refuse(fmt::format("node {}: a feature is not finite", node));
    }
    for (const std::int64_t label : of_rows) {
        if (label < 0 || label >= std::ssize(settings.classes))
            return refuse(
                fmt::format("node {}: label {}; expected 0 to {}", node, label, settings.classes.size() - 1));
    }
    const std::size_t first = labels.size(), count = of_rows.size();
    const auto held = static_cast<std::size_t>(std::floor(settings.held_out * static_cast<float>(count)));
    if (count - held == 0) return refuse(fmt::format("node {}: it has no rows to learn from", node));
    values.insert(values.end(), rows.begin(), rows.end());
    train.emplace_back();
    test.emplace_back();
    for (std::size_t k = 0; k < count; ++k) {
        labels.push_back(static_cast<std::uint8_t>(of_rows[k]));
        const auto row = static_cast<std::uint32_t>(first + k);
        (k < count - held ? train : test).back().push_back(row);
        if (k < count - held) all.push_back(row);
    }
    return {};
}

void DataWorld::initialise(Vector<float> w) const {
    Stream random(settings.seed, 0, Purpose::initialise);
    dunlin::initialise(shape, random, w);
}

std::vector<float> DataWorld::samples() const {
    std::vector<float> counts;
    for (const auto& rows : train) counts.push_back(static_cast<float>(rows.size()));
    return counts;
}

std::size_t DataWorld::bytes() const {
    return Task::bytes(shape, settings.federated.batch, settings.federated.slots());
}

DataWorld::Task DataWorld::make_task(Arena& arena) const {
    return *Task::make(shape, *kernels, settings.federated.batch, settings.federated.slots(), arena);
}

void DataWorld::assign(Task& task, std::uint32_t node) const {
    task.node = rows(node == FederatedProblem::everybody ? all : train[node]);
}

FleetScore DataWorld::judge(Task& task, std::uint32_t node, ConstVector<float> w) const {
    if (test[node].empty()) return {};
    const ClassificationScore score = task.evaluate(rows(test[node]), w);
    return {score.rows, {static_cast<double>(score.correct), score.loss_sum, 0.0}};
}

std::vector<FleetMetric> DataWorld::metrics(const FleetScore& score) const {
    const auto count = static_cast<double>(score.count);
    return {{"accuracy", "accuracy", score.sums[0] / count}, {"loss", "cross-entropy", score.sums[1] / count}};
}

void DataWorld::describe(TrainedModel& model) const {
    model.task = settings.kind;
    model.head = ModelHead::classes;
    model.shape = shape;
    model.input = fmt::format("a row of {} features", settings.features);
    model.output = "logits of the classes";
    model.output_names = settings.classes;
}

}  // namespace dunlin::python
