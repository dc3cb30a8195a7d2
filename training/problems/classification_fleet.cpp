// SPDX-License-Identifier: Apache-2.0
#include "training/problems/classification_fleet.hpp"

#include "training/models/layer_text.hpp"
#include "training/problems/personal_layers.hpp"

#include <algorithm>
#include <cmath>
#include <concepts>
#include <numeric>
#include <type_traits>
#include <variant>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace dunlin {
namespace {

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
    std::vector<std::uint8_t> all_labels{};  ///< by row of the table, as its owner names it
    DataNotes notes{};
    std::vector<std::uint32_t> test_rows{};  ///< of `test`
    std::string input{};                     ///< as SharedData

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
    Task make_task(Arena& arena) const { return *Task::make(shape, *kernels, batch, slots, arena); }
    void assign(Task& task, std::uint32_t node) const {
        task.node = node == FederatedProblem::everybody
                        ? LabelledRows{table.values.data(), all_labels.data(), table.features, all_rows}
                        : parts[node].train_view(table);
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

/// What follows from the data: what goes in, what comes out, and the layers between.
std::string sizes_of(const TrainedModel& model) {
    std::string layers;
    if (model.network) {
        layers = fmt::format("of {}", fmt::join(layer_texts(*model.network), ", "));
    } else {
        layers = fmt::format("{}", model.shape.inputs);
        for (int k = 0; k < model.shape.layers; ++k)
            layers += fmt::format("-{}", model.shape.widths[static_cast<std::size_t>(k)]);
    }
    return fmt::format(", {} features{}, {} classes ({}), a network {}", model.inputs(),
                       model.centre.empty() ? "" : " (of zero mean and unit variance over the rows to train on)",
                       model.output_names.size(), quoted_list(model.output_names), layers);
}

}  // namespace

Settings classification_settings(ClassificationSettings& s) {
    Settings list = problem_settings(s);
    add_data_settings(list, s.data);
    add_network_settings(list, s, "client");
    add_federated_settings(list, s.federated);
    return list;
}

namespace {

Outcome<void> check_held_out(const ClassificationSettings& s) {
    if (s.data.split.test_fraction > 0.0f) return {};
    return refuse("data.test_fraction = 0: clients are judged on rows of their own; hold some out");
}

Outcome<std::unique_ptr<FederatedProblem>> make_own_classification(const ClassificationSettings& s,
                                                                   const std::string& path) {
    if (auto held_out = check_held_out(s); !held_out) return tl::unexpected(held_out.error());
    auto data = read_own_data(s.data, path, s.seed);
    if (!data) return tl::unexpected(data.error());
    return make_classification_problem(*std::move(data), s, s, 1);
}

}  // namespace

Outcome<std::unique_ptr<FederatedProblem>> make_classification_problem(const ClassificationSettings& s,
                                                                       int threads) {
    if (auto held_out = check_held_out(s); !held_out) return tl::unexpected(held_out.error());
    auto data = read_data(s.data, s.seed);
    if (!data) return tl::unexpected(data.error());
    return make_classification_problem(*std::move(data), s, s, threads);
}

Outcome<std::unique_ptr<FederatedProblem>> make_classification_problem(SharedData data,
                                                                       const NetworkSettings& network,
                                                                       const ProblemSettings& s, int threads) {
    const auto kernels = find_kernels(s.kernels);
    if (!kernels) return refuse(kernels.error(), "kernels");
    const auto either = network_for(network, data.table);
    if (!either) return tl::unexpected(either.error());
    note_hidden(network, data.notes);
    return std::visit(
        [&](const auto& shape) -> Outcome<std::unique_ptr<FederatedProblem>> {
            const auto split = split_for(shape, network.personal_layers, s.federated.objective(), data.notes);
            if (!split) return tl::unexpected(split.error());
            return make_classification_problem(std::move(data), shape, *split, **kernels, s.federated, s.seed,
                                               threads);
        },
        *either);
}

template <class Shape>
Outcome<std::unique_ptr<FederatedProblem>> make_classification_problem(SharedData data, const Shape& shape,
                                                                       const LayerSplit& split,
                                                                       const Kernels<float>& kernels,
                                                                       const FederatedSettings& settings,
                                                                       std::uint64_t seed, int threads) {
    using Net = std::conditional_t<std::same_as<Shape, MlpShape>, MlpDerivatives<float>, NetworkDerivatives<float>>;
    ClassificationWorld<Net> world{.table = std::move(data.table),
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
        for (const std::uint32_t row : part.train)
            world.all_labels[row] = static_cast<std::uint8_t>(own.label(row));
    }
    HostMemory memory(world.bytes());
    Arena arena(memory.bytes());
    const auto task =
        Classification<float, Net>::make(world.shape, *world.kernels, world.batch, world.slots, arena);
    if (!task) return refuse(task.error(), "federated.batch");
    return std::make_unique<WorldProblem<ClassificationWorld<Net>>>(std::move(world), settings, threads);
}

template Outcome<std::unique_ptr<FederatedProblem>> make_classification_problem(SharedData, const MlpShape&,
                                                                                const LayerSplit&,
                                                                                const Kernels<float>&,
                                                                                const FederatedSettings&,
                                                                                std::uint64_t, int);
template Outcome<std::unique_ptr<FederatedProblem>> make_classification_problem(SharedData, const NetworkShape&,
                                                                                const LayerSplit&,
                                                                                const Kernels<float>&,
                                                                                const FederatedSettings&,
                                                                                std::uint64_t, int);

ProblemKind<ClassificationSettings> classification_kind() {
    return {.name = "classification",
            .nodes_are = "clients",
            .settings = classification_settings,
            .make = [](const ClassificationSettings& s,
                       int threads) { return make_classification_problem(s, threads); },
            .about =
                [](const ClassificationSettings& s, const FederatedProblem& made) {
                    return fmt::format(
                        "Classification: {}. {} clients, {} of each one's rows held out{}.",
                        s.data.path.empty() ? "generated digits" : s.data.path + sizes_of(made.description()),
                        made.nodes(), s.data.split.test_fraction,
                        s.data.split.conflicting ? "; every client names the labels in a way of its own" : "");
                },
            .make_own = make_own_classification};
}

}  // namespace dunlin
