// SPDX-License-Identifier: Apache-2.0
#include "training/problems/few_shot_fleet.hpp"

#include "envs/data_pictures.hpp"
#include "training/problems/personal_layers.hpp"
#include "training/settings/reading.hpp"

#include <algorithm>
#include <concepts>
#include <type_traits>
#include <variant>

#include <fmt/format.h>

namespace dunlin {
namespace {

/// Characters to train or to test on, class by class as EpisodeView has them.
struct Characters {
    std::vector<std::uint32_t> rows, first{0};

    std::uint32_t count() const { return static_cast<std::uint32_t>(first.size()) - 1; }
};

/// Those with enough drawings; counts the others in `left_out`.
Characters characters_for(const PictureSet& set, RowUse use, int least, std::int64_t& left_out) {
    std::vector<std::vector<std::uint32_t>> by_label(set.label_names.size());
    for (std::uint32_t row = 0; row < set.labels.size(); ++row) {
        const RowUse of_row = set.pictures.uses.empty() ? (set.labels[row] % 4 == 3 ? RowUse::test : RowUse::train)
                                                        : set.pictures.uses[row];
        if (of_row == use) by_label[static_cast<std::size_t>(set.labels[row])].push_back(row);
    }
    Characters all;
    for (const auto& rows : by_label) {
        if (rows.empty()) continue;
        if (std::ssize(rows) < least) {
            ++left_out;
            continue;
        }
        all.rows.insert(all.rows.end(), rows.begin(), rows.end());
        all.first.push_back(static_cast<std::uint32_t>(all.rows.size()));
    }
    return all;
}

template <class Net>
struct FewShotWorld {
    using Task = EpisodeClassification<float, Net>;

    DataTable pictures;
    Characters train, test;
    FewShotSettings settings;
    typename Net::Shape shape;
    LayerSplit split;
    const Kernels<float>* kernels = nullptr;
    DataNotes notes{};

    /// What a node was judged by last, and how well it did: its personal model is the shared one, so every row of a
    /// report asks twice.
    struct Judged {
        std::vector<float> w;
        FleetScore score;
    };
    std::vector<Judged> judged{};

    std::uint32_t nodes() const { return static_cast<std::uint32_t>(settings.nodes); }
    void initialise(Vector<float> w) const {
        Stream random(settings.seed, 0, Purpose::initialise);
        dunlin::initialise(shape, random, w);
    }
    std::vector<float> samples() const {
        std::vector<float> counts;
        for (std::uint32_t node = 0; node < nodes(); ++node)
            counts.push_back(static_cast<float>(view_of(node).classes()));
        return counts;
    }
    int slots() const { return settings.federated.slots(); }
    std::size_t bytes() const { return Task::bytes(shape, settings.episode, slots()); }
    Task make_task(Arena& arena) const { return *Task::make(shape, *kernels, settings.episode, slots(), arena); }
    EpisodeView view(const Characters& of, std::uint32_t first, std::uint32_t count) const {
        return {pictures.values.data(), pictures.features, pictures.image_width, of.rows,
                std::span(of.first).subspan(first, count + 1)};
    }
    EpisodeView view_of(std::uint32_t node) const {
        const std::uint32_t all = train.count();
        if (!settings.own_characters || node == FederatedProblem::everybody) return view(train, 0, all);
        const auto at = [&](std::uint32_t k) {
            return static_cast<std::uint32_t>(std::uint64_t{all} * k / nodes());
        };
        return view(train, at(node), at(node + 1) - at(node));
    }
    void assign(Task& task, std::uint32_t node) const { task.from = view_of(node); }

    /// A node's share of the test episodes, the same at every time.
    FleetScore judge(Task& task, std::uint32_t node, ConstVector<float> w) {
        Judged& last = judged[node];
        if (std::ranges::equal(last.w, w)) return last.score;
        const EpisodeView before = task.from;
        task.from = view(test, 0, test.count());
        Stream random(settings.seed, node, Purpose::tasks);
        const auto episodes = static_cast<std::uint32_t>(settings.test_episodes);
        FleetScore score;
        for (std::uint32_t k = node; k < episodes; k += nodes()) {
            const ClassificationScore one =
                task.judge(w, settings.federated.personal.steps, settings.federated.personal.rate, random);
            score.add({one.rows, {static_cast<double>(one.correct), one.loss_sum, 0.0}});
        }
        task.from = before;
        last.w.assign(w.begin(), w.end());
        last.score = score;
        return score;
    }
    void describe(TrainedModel& model) const {
        model.task = "few-shot";
        model.head = ModelHead::classes;
        if constexpr (std::same_as<typename Net::Shape, MlpShape>) {
            model.shape = shape;
        } else {
            model.network = shape;
        }
        model.input = fmt::format("{} pixels of an image of {} rows and {} columns, row by row from the upper left",
                                  pictures.features, pictures.image_height, pictures.image_width);
        model.output = "logits, one a class of an episode; probabilities are their softmax";
        for (int k = 0; k < settings.episode.ways; ++k) model.output_names.push_back(fmt::format("class {}", k));
        model.notes.push_back(fmt::format(
            "It is a start: {} steps of size {} on {} pictures of each of {} new classes make a classifier of it",
            settings.federated.personal.steps, settings.federated.personal.rate, settings.episode.shots,
            settings.episode.ways));
    }
    std::vector<FleetMetric> metrics(const FleetScore& score) const {
        const auto rows = static_cast<double>(score.count);
        const EpisodeSettings& e = settings.episode;
        return {{"accuracy", "accuracy", score.sums[0] / rows},
                {"loss", "cross-entropy", score.sums[1] / rows},
                {fmt::format("accuracy_{}_way_{}_shot", e.ways, e.shots),
                 fmt::format("accuracy, {}-way {}-shot", e.ways, e.shots), score.sums[0] / rows}};
    }
    /// A model is made one's own where it is judged, episode by episode.
    static constexpr bool personal_where_judged = true;
};

Settings few_shot_settings(FewShotSettings& s) {
    using Range = Settings::Range;
    Settings list = problem_settings(s);
    list.add_path("data.path", s.path, "a folder of pictures with a table of labels; empty: made-up characters");
    list.add("data.characters", s.characters, "made-up ones", Range{20, 10000});
    list.add("data.side", s.side, "pixels of a picture's side; others are resized", Range{8, 128});
    list.add("data.clients", s.nodes, "nodes", Range{1, 1e4});
    list.add("data.own_characters", s.own_characters,
             "each node has a part of the characters, in their order; no: all have all");
    list.add("data.ways", s.episode.ways, "classes of an episode", Range{2, 64});
    list.add("data.shots", s.episode.shots, "pictures of each class to learn from", Range{1, 100});
    list.add("data.queries", s.episode.queries, "pictures of each class to be judged on", Range{1, 100});
    list.add("data.turns", s.episode.turns, "turn each class of an episode by a multiple of 90 degrees");
    list.add("data.test_episodes", s.test_episodes, "of classes that nobody trains on, shared out among the nodes",
             Range{1, 1e6});
    add_network_settings(list, s, "client");
    add_federated_settings(list, s.federated);
    return list;
}

/// The folder's pictures, or made-up ones, of the wanted size.
Outcome<PictureSet> read_set(const FewShotSettings& s) {
    constexpr int drawings = 20;
    if (s.path.empty()) return draw_characters(s.characters, drawings, s.side, s.seed);
    auto read = load_pictures(s.path);
    if (!read) return refuse(read.error());
    if (auto sized = resize_pictures(read->pictures, s.side, s.side); !sized)
        return refuse(sized.error(), "data.side");
    return *std::move(read);
}

template <class Shape>
Outcome<std::unique_ptr<FederatedProblem>> make_world(const FewShotSettings& s, PictureSet set, const Shape& shape,
                                                      int threads) {
    using Net = std::conditional_t<std::same_as<Shape, MlpShape>, MlpDerivatives<float>, NetworkDerivatives<float>>;
    const auto kernels = find_kernels(s.kernels);
    if (!kernels) return refuse(kernels.error(), "kernels");
    DataNotes notes = std::move(set.pictures.notes);
    const auto split = split_for(shape, s.personal_layers, s.federated.objective(), notes);
    if (!split) return tl::unexpected(split.error());
    note_hidden(s, notes);
    if (s.federated.batch != FederatedSettings{}.batch)
        notes.push_back({"", 0, "federated.batch is not looked at, for a batch is an episode"});
    if (s.federated.personal.prox_weight != Personalisation{}.prox_weight)
        notes.push_back({"", 0, "personal.prox_weight is not looked at: a new task is met by plain steps"});
    const int least = s.episode.shots + s.episode.queries;
    std::int64_t left_out = 0;
    FewShotWorld<Net> world{.pictures = {},
                            .train = characters_for(set, RowUse::train, least, left_out),
                            .test = characters_for(set, RowUse::test, least, left_out),
                            .settings = s,
                            .shape = shape,
                            .split = *split,
                            .kernels = *kernels};
    if (left_out > 0)
        notes.push_back({"characters_left_out", left_out,
                         fmt::format("{} characters left out: fewer than {} drawings", left_out, least)});
    const auto ways = static_cast<std::uint32_t>(s.episode.ways), nodes = static_cast<std::uint32_t>(s.nodes);
    const std::uint32_t parts = s.own_characters ? nodes : 1;
    if (world.train.count() / parts < ways || world.test.count() < ways)
        return refuse(fmt::format(
            "data.ways = {}: {} characters to train on{} and {} to test on have data.shots + data.queries = {} "
            "drawings, which are too few",
            ways, world.train.count(), parts > 1 ? fmt::format(" for {} nodes", parts) : "", world.test.count(),
            least));
    world.pictures = std::move(set.pictures);
    world.notes = std::move(notes);
    world.judged.resize(nodes);
    HostMemory memory(world.bytes());
    Arena arena(memory.bytes());
    const auto task = FewShotWorld<Net>::Task::make(shape, *world.kernels, s.episode, world.slots(), arena);
    if (!task) return refuse(task.error(), "data.ways, data.shots, data.queries");
    return std::make_unique<WorldProblem<FewShotWorld<Net>>>(std::move(world), s.federated, threads);
}

Outcome<std::unique_ptr<FederatedProblem>> make_few_shot(const FewShotSettings& s, int threads) {
    auto set = read_set(s);
    if (!set) return tl::unexpected(set.error());
    set->pictures.classes = s.episode.ways;
    NetworkSettings network = s;
    const std::string last = fmt::format("dense {}", s.episode.ways);
    if (network.takes_layers() && network.layers.back() != last) network.layers.push_back(last);
    const auto either = network_for(network, set->pictures);
    if (!either) return tl::unexpected(either.error());
    return std::visit([&](const auto& shape) { return make_world(s, std::move(*set), shape, threads); }, *either);
}

}  // namespace

ProblemKind<FewShotSettings> few_shot_kind() {
    return {.name = "few-shot",
            .nodes_are = "clients",
            .settings = few_shot_settings,
            .make = make_few_shot,
            .about = [](const FewShotSettings& s, const FederatedProblem& made) {
                return fmt::format(
                    "Few shots: {}-way {}-shot episodes of {}. {} clients{}; judged on {} episodes of characters "
                    "that nobody trained on, after {} steps of size {} on what each gives.",
                    s.episode.ways, s.episode.shots, s.path.empty() ? "made-up characters" : s.path, made.nodes(),
                    s.own_characters ? ", each with characters of its own" : "", s.test_episodes,
                    s.federated.personal.steps, s.federated.personal.rate);
            }};
}

}  // namespace dunlin
