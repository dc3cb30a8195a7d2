// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "envs/classification.hpp"
#include "training/problems/classification_data.hpp"
#include "training/problems/federated_problem.hpp"

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace dunlin {

/// Nodes that classify, each by rows of its own, with a network Net: a World of WorldProblem.
template <class Net>
struct ClassificationWorld {
    using Task = Classification<float, Net>;
    static constexpr bool has_labels = true;

    DataTable table;
    std::vector<NodeRows> parts;
    DataTable test;  ///< rows of nobody's; empty where nodes hold rows out
    typename Net::Shape shape;
    LayerSplit split;
    const Kernels<float>* kernels = nullptr;
    int batch = 1, slots = 1;
    std::uint64_t seed = 1;
    std::vector<std::uint32_t> all_rows{};   ///< that anybody trains on
    std::vector<std::uint8_t> all_labels{};  ///< as the table's, each as its row's owner names it
    DataNotes notes{};
    std::vector<std::uint32_t> test_rows{};  ///< of `test`
    std::string input{};                     ///< as SharedData

    /// Of data that were read. Errors: `batch_key`, which says how many rows a batch has.
    static Outcome<ClassificationWorld> make(SharedData data, const typename Net::Shape& shape,
                                             const LayerSplit& split, const Kernels<float>& kernels,
                                             const FederatedSettings& settings, std::uint64_t seed,
                                             const char* batch_key = "federated.batch") {
        ClassificationWorld world{.table = std::move(data.table),
                                  .parts = std::move(data.parts),
                                  .test = std::move(data.test),
                                  .shape = shape,
                                  .split = split,
                                  .kernels = &kernels,
                                  .batch = settings.batch,
                                  .slots = settings.slots(),
                                  .seed = seed};
        world.notes = std::move(data.notes);
        world.input = std::move(data.input);
        if (settings.attack.name == AttackName::label_flip) {
            for (const std::uint32_t liar : settings.attack.liars(world.nodes(), seed))
                world.parts[liar].flip(world.table.classes);
        }
        world.all_rows = training_rows(world.parts);
        world.all_labels = world.table.labels;
        world.test_rows.resize(world.test.rows());
        std::iota(world.test_rows.begin(), world.test_rows.end(), 0u);
        for (const NodeRows& part : world.parts) {
            const LabelledRows own = part.train_view(world.table);
            const int places = world.table.places;
            for (const std::uint32_t row : part.train) {
                for (int place = 0; place < places; ++place) {
                    const int label = own.label(row, place);
                    if (label >= 0)
                        world.all_labels[row * static_cast<std::size_t>(places) + static_cast<std::size_t>(place)] =
                            static_cast<std::uint8_t>(label);
                }
            }
        }
        HostMemory memory(world.bytes());
        Arena arena(memory.bytes());
        const auto task =
            Task::make(world.shape, *world.kernels, world.batch, world.slots, arena, world.table.places);
        if (!task) return refuse(task.error(), batch_key);
        return world;
    }

    std::uint32_t nodes() const { return static_cast<std::uint32_t>(parts.size()); }
    void initialise(Vector<float> w) const {
        Stream random(seed, 0, Purpose::initialise);
        dunlin::initialise(shape, random, w);
    }
    std::vector<float> samples() const {
        std::vector<float> counts;
        for (const NodeRows& part : parts) counts.push_back(static_cast<float>(part.train.size()));
        return counts;
    }
    std::size_t bytes() const { return Task::bytes(shape, batch, slots); }
    Task make_task(Arena& arena) const { return *Task::make(shape, *kernels, batch, slots, arena, table.places); }
    void assign(Task& task, std::uint32_t node) const {
        task.node = node == FederatedProblem::everybody ? table.view(all_rows) : parts[node].train_view(table);
        if (node == FederatedProblem::everybody) task.node.labels = all_labels.data();
    }
    FleetScore judge(Task& task, std::uint32_t node, ConstVector<float> w) const {
        const std::uint8_t* names = parts[node].relabel.empty() ? nullptr : parts[node].relabel.data();
        const LabelledRows rows = test.rows() > 0 ? test.view(test_rows, names) : parts[node].test_view(table);
        const ClassificationScore score = task.evaluate(rows, w);
        return {score.rows, {static_cast<double>(score.correct), score.loss_sum, 0.0}};
    }
    void describe(TrainedModel& model) const {
        describe_classifier(table, model);
        if constexpr (std::same_as<typename Net::Shape, MlpShape>) {
            model.shape = shape;
        } else {
            model.network = shape;
        }
        if (!input.empty()) model.input = input;
        if (table.places > 1) {
            model.output_names.clear();
            model.output = fmt::format(
                "logits of {} classes for each of {} steps, step by step; probabilities are a step's softmax",
                table.classes, table.places);
        }
        if (table.user_names.size() == parts.size()) model.nodes = table.user_names;
        if (std::ranges::any_of(parts, [](const NodeRows& part) { return !part.relabel.empty(); }))
            model.notes.push_back(
                "Every node names the classes in a way of its own, so that names fit no node's model");
    }
    std::vector<FleetMetric> metrics(const FleetScore& score) const {
        const auto rows = static_cast<double>(score.count);
        std::vector<FleetMetric> list{{"accuracy", "accuracy", score.sums[0] / rows},
                                      {"loss", "cross-entropy", score.sums[1] / rows}};
        if (table.tokens > 0)
            list.push_back({"bits_per_character", "bits a character", score.sums[1] / rows / std::log(2.0)});
        return list;
    }
};

}  // namespace dunlin
