// SPDX-License-Identifier: Apache-2.0
#include "fleet/classification_fleet.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace dunlin {
namespace {

struct ClassificationWorld {
    using Task = Classification<float>;

    DataTable table;
    std::vector<NodeRows> parts;
    MlpShape shape;
    const Kernels<float>* kernels = nullptr;
    int batch = 1, slots = 1;
    std::uint64_t seed = 1;
    std::vector<std::uint32_t> all_rows{};   ///< that anybody trains on
    std::vector<std::uint8_t> all_labels{};  ///< by row of the table, as its owner names it

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
        const ClassificationScore score = task.evaluate(parts[node].test_view(table), w);
        return {score.rows, {static_cast<double>(score.correct), score.loss_sum, 0.0}};
    }
    std::vector<FleetMetric> metrics(const FleetScore& score) const {
        const auto rows = static_cast<double>(score.count);
        return {{"accuracy", "accuracy", score.sums[0] / rows}, {"loss", "cross-entropy", score.sums[1] / rows}};
    }
};

bool is_arff(const std::string& path) {
    return path.ends_with(".arff") || path.ends_with(".arff.gz");
}

Outcome<DataTable> read_or_draw(const ClassificationSettings& s) {
    if (s.path.empty()) {
        DigitSettings digits = s.digits;
        if (s.rows > 0) digits.rows = s.rows;
        auto drawn = draw_digits(digits, s.seed);
        if (!drawn) return problem(drawn.error(), "generated digits");
        return *std::move(drawn);
    }
    auto loaded = is_arff(s.path) ? load_arff(s.path) : load_idx_folder(s.path, IdxPart::train);
    if (!loaded) return problem(loaded.error().error, loaded.error().path);
    DataTable table = *std::move(loaded);
    if (s.rows > 0 && static_cast<std::size_t>(s.rows) < table.rows()) {
        const auto rows = static_cast<std::size_t>(s.rows);
        table.labels.resize(rows);
        table.values.resize(rows * static_cast<std::size_t>(table.features));
        if (!table.users.empty()) table.users.resize(rows);
    }
    return table;
}

/// The key of a setting of SplitSettings by its position.
std::string_view split_key(std::int64_t position) {
    constexpr std::string_view keys[] = {"data.split = users needs data with users; this data",
                                         "data.clients",
                                         "data.labels_per_client",
                                         "data.skew",
                                         "data.alpha",
                                         "data.test_fraction",
                                         "data.train_limit"};
    return keys[std::clamp<std::int64_t>(position, 0, std::ssize(keys) - 1)];
}

}  // namespace

Settings classification_settings(ClassificationSettings& s) {
    using Range = Settings::Range;
    Settings list;
    list.add("kind", s.kind, "what kind of experiment this is");
    list.add("experiment", s.experiment, "name, for reports");
    list.add("kernels", s.kernels,
             "fast, reference (the same bits on every machine), or baseline, avx2, avx512, neon");
    list.add("seed", s.seed, "all randomness comes from it");

    list.add("data.path", s.path, "folder of IDX files (MNIST) or an ARFF file (WISDM); empty: generated digits");
    list.add("data.rows", s.rows, "use the first rows only; 0: all, or 5000 generated digits", Range{0, 1e8});
    list.add("data.side", s.digits.side, "generated: pixels of an image's side", Range{4, 64});
    list.add("data.wobble", s.digits.wobble, "generated: how much the strokes vary", Range{0, 10});
    list.add("data.noise", s.digits.noise, "generated: deviation per pixel", Range{0, 10});
    list.add("data.standardise", s.standardise, "features to zero mean and unit variance; an ARFF file always is");
    list.add("data.split", s.split.kind, "how the rows are shared out among clients",
             {{"uniform", Split::uniform},
              {"labels", Split::labels},
              {"skew", Split::skew},
              {"dirichlet", Split::dirichlet},
              {"users", Split::users}});
    list.add("data.clients", s.split.nodes, "clients; with split = users as many as the data has", Range{1, 1e6});
    list.add("data.labels_per_client", s.split.labels_per_node, "split = labels: labels that a client holds",
             Range{1, 256});
    list.add("data.skew", s.split.skew, "split = skew: share of a client's main label", Range{0, 1});
    list.add("data.alpha", s.split.alpha, "split = dirichlet: small means that clients see few labels",
             Range{0, 1e6, true});
    list.add("data.test_fraction", s.split.test_fraction, "of each client's rows, held out", Range{0.01, 0.99});
    list.add("data.train_limit", s.split.train_limit, "most rows that a client trains on; 0: no limit",
             Range{0, 1e8});
    list.add("data.conflicting", s.split.conflicting,
             "every client permutes the labels' names in a way of its own");

    list.add("model.hidden", s.hidden, "widths of the hidden layers", Range{1, 4096});
    list.add("model.activation", s.activation, "of the hidden layers",
             {{"tanh", Activation::tanh}, {"relu", Activation::relu}});
    add_federated_settings(list, s.federated);
    return list;
}

Outcome<std::unique_ptr<FederatedProblem>> make_classification_problem(const ClassificationSettings& s,
                                                                       int threads) {
    const auto kernels = find_kernels(s.kernels);
    if (!kernels) return problem(kernels.error(), "kernels");
    auto table = read_or_draw(s);
    if (!table) return tl::unexpected(table.error());
    auto parts = split_rows(*table, s.split, s.seed);
    if (!parts) {
        if (parts.error().code != Code::bad_setting) return problem(parts.error(), "data.split");
        return problem(fmt::format("{} does not fit", split_key(parts.error().first)));
    }
    const std::vector<std::uint32_t> rows = training_rows(*parts);
    if (s.standardise || is_arff(s.path)) table->standardise(rows);
    const auto shape = MlpShape::make(table->features, s.hidden, table->classes, s.activation);
    if (!shape) return problem(shape.error(), "model.hidden");

    ClassificationWorld world{.table = *std::move(table),
                              .parts = *std::move(parts),
                              .shape = *shape,
                              .kernels = *kernels,
                              .batch = s.federated.batch,
                              .slots = s.federated.slots(),
                              .seed = s.seed,
                              .all_rows = rows};
    world.all_labels = world.table.labels;
    for (const NodeRows& part : world.parts) {
        const LabelledRows own = part.train_view(world.table);
        for (const std::uint32_t row : part.train)
            world.all_labels[row] = static_cast<std::uint8_t>(own.label(row));
    }
    HostMemory memory(world.bytes());
    Arena arena(memory.bytes());
    const auto task = Classification<float>::make(world.shape, *world.kernels, world.batch, world.slots, arena);
    if (!task) return problem(task.error(), "federated.batch");
    return std::make_unique<WorldProblem<ClassificationWorld>>(std::move(world), s.federated, threads);
}

}  // namespace dunlin
