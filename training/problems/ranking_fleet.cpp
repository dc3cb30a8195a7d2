// SPDX-License-Identifier: Apache-2.0
#include "training/problems/ranking_fleet.hpp"

#include "training/models/layer_text.hpp"
#include "training/problems/personal_layers.hpp"
#include "training/problems/ranking_forest.hpp"
#include "training/settings/reading.hpp"

#include <concepts>
#include <type_traits>

#include <fmt/format.h>

namespace dunlin {
namespace {

/// How forests rank the queries that models are judged on.
struct ForestScores {
    int trees = 0;
    RankingScore all, own;  ///< one of everybody's queries; one of each user's
};

template <class Net>
struct RankingWorld {
    using Task = Ranking<float, Net>;

    RankingData data;
    typename Net::Shape shape;
    LayerSplit split;
    const Kernels<float>* kernels = nullptr;
    typename Task::Settings task{};
    std::uint64_t seed = 1;
    std::vector<std::span<const RankingQuery>> train{}, own{}, test{};  ///< by user
    std::vector<RankingQuery> all{};                                    ///< of `train`
    DataNotes notes{};
    std::shared_ptr<const ForestScores> forests{};  ///< null: none were asked for

    std::uint32_t nodes() const { return static_cast<std::uint32_t>(train.size()); }
    void initialise(Vector<float> w) const {
        Stream random(seed, 0, Purpose::initialise);
        dunlin::initialise(shape, random, w);
    }
    std::vector<float> samples() const {
        std::vector<float> counts;
        for (const auto& queries : train) counts.push_back(static_cast<float>(queries.size()));
        return counts;
    }
    std::size_t bytes() const { return Task::bytes(shape, task); }
    Task make_task(Arena& arena) const { return *Task::make(shape, *kernels, data.view(), task, arena); }
    void assign(Task& target, std::uint32_t node) const {
        target.node = node == FederatedProblem::everybody ? std::span<const RankingQuery>(all) : train[node];
    }
    void assign_personal(Task& target, std::uint32_t node) const {
        if (node == FederatedProblem::everybody) return assign(target, node);
        target.node = own[node];
    }
    FleetScore judge(Task& target, std::uint32_t node, ConstVector<float> w) const {
        const RankingScore score = target.evaluate(test[node], w);
        return {score.queries, {score.reciprocal_sum, score.first_sum, score.random_sum}};
    }
    void describe(TrainedModel& model) const {
        model.task = "ranking";
        model.head = ModelHead::score;
        const int features = data.features, contexts = data.contexts, inputs = features + contexts;
        for (const RankingData::User& user : data.users) model.nodes.push_back(fmt::format("user {}", user.name));
        if constexpr (Task::lists) {
            model.network = shape;
            model.input = fmt::format(
                "a list of {} suggestions, each {} features of the item, in the order of items.csv and its units, "
                "then "
                "{} contexts of the query, of which one is 1 and the others 0; behind the last suggestion every "
                "feature "
                "is its centre and every context 0",
                task.longest, features, contexts);
            model.output = "a score a suggestion; the one with the largest ranks first";
        } else {
            model.shape = shape;
            model.input = fmt::format(
                "one suggestion: {} features of the item, in the order of items.csv and its units, then {} "
                "contexts of "
                "the query, of which one is 1 and the others 0",
                features, contexts);
            model.output = "a score; of a query's suggestions the one with the largest ranks first";
            model.output_names = {"score"};
            if (data.feature_names.size() == static_cast<std::size_t>(features)) {
                model.input_names = data.feature_names;
                for (int k = 0; k < contexts; ++k) model.input_names.push_back(fmt::format("context {}", k));
            }
        }
        if (data.centre.empty()) return;
        std::vector<float> centre = data.centre, scale = data.scale;
        centre.resize(static_cast<std::size_t>(inputs), 0.0f);
        scale.resize(static_cast<std::size_t>(inputs), 1.0f);
        for (int k = 0; k < (Task::lists ? task.longest : 1); ++k) {
            model.centre.insert(model.centre.end(), centre.begin(), centre.end());
            model.scale.insert(model.scale.end(), scale.begin(), scale.end());
        }
    }
    std::vector<FleetMetric> metrics(const FleetScore& score) const {
        const RankingScore sums{score.count, score.sums[1], score.sums[0], score.sums[2]};
        return {{"mrr", "MRR", sums.mrr()},
                {"accuracy_at_1", "accuracy@1", sums.accuracy_at_1()},
                {"normalised_mrr", "normalised MRR", sums.normalised_mrr()}};
    }
};

Outcome<RankingData> read_or_draw(const RankingSettings& s) {
    if (s.path.empty()) {
        auto drawn = draw_ranking_data(s.synthetic, s.seed);
        if (!drawn) return refuse(drawn.error(), "synthetic ranking data");
        return *std::move(drawn);
    }
    auto loaded = load_ranking_folder(s.path);
    if (!loaded) return refuse(loaded.error());
    return *std::move(loaded);
}

}  // namespace

Settings ranking_settings(RankingSettings& s) {
    using Range = Settings::Range;
    Settings list = problem_settings(s);
    list.add_path("data.path", s.path, "folder with items.csv and queries.csv (may be .gz); empty: generated data");
    list.add("data.latest_queries", s.latest_queries, "train on each user's latest queries only; 0: on all",
             Range{0, 1e6});
    list.add("data.standardise", s.standardise, "item features to zero mean and unit variance");
    list.add("data.validate", s.validate,
             "judge on the last fifth of each user's training queries instead of the test split");
    list.add("data.users", s.synthetic.users, "generated: users", Range{1, 100000});
    list.add("data.queries_least", s.synthetic.queries_least, "generated: fewest queries of a user",
             Range{2, 10000});
    list.add("data.queries_most", s.synthetic.queries_most, "generated: most queries of a user", Range{2, 10000});
    list.add("data.personal_part", s.synthetic.personal_part, "generated: how much tastes differ", Range{0, 100});

    add_network_settings(list, s, "user");
    list.add("model.loss", s.loss, "what the scorer learns from",
             {{"binary-cross-entropy", RankingLoss::binary_cross_entropy},
              {"squared-error", RankingLoss::squared_error},
              {"choice", RankingLoss::choice},
              {"reward", RankingLoss::reward}});
    list.add("model.samples", s.samples, "reward: rankings drawn per query", Range{2, 1024});
    add_federated_settings(list, s.federated);
    list.add(
        "baseline.trees", s.trees,
        "of random forests that are judged beside the models, one of all users' queries and one of each user's; 0: "
        "none",
        Range{0, 10000});
    list.add("personal.latest_queries", s.personal_latest,
             "a device keeps its user's latest queries only, so its own model, and training alone, see no others; "
             "0: all",
             Range{0, 1e6});
    return list;
}

namespace {

template <class Shape>
Outcome<std::unique_ptr<FederatedProblem>> make_world(const RankingSettings& s, RankingData data,
                                                      const Shape& shape, const Kernels<float>& kernels,
                                                      int threads) {
    using Net = std::conditional_t<std::same_as<Shape, MlpShape>, MlpDerivatives<float>, NetworkDerivatives<float>>;
    using World = RankingWorld<Net>;
    DataNotes layer_notes;
    const auto split = split_for(shape, s.personal_layers, s.federated.objective(), layer_notes);
    if (!split) return tl::unexpected(split.error());
    if (s.hidden != RankingSettings{}.hidden) note_hidden(s, layer_notes);
    World world{.data = std::move(data), .shape = shape, .split = *split, .kernels = &kernels, .seed = s.seed};
    world.task = {.loss = s.loss,
                  .batch = s.federated.batch,
                  .slots = s.federated.slots(),
                  .longest = world.data.longest(),
                  .samples = s.samples};
    const auto latest = static_cast<std::size_t>(s.latest_queries);
    for (std::size_t user = 0; user < world.data.users.size(); ++user) {
        const auto fit = s.validate ? RankingSplit::fit : RankingSplit::train;
        world.train.push_back(world.data.of_user(user, fit, latest));
        const auto kept = static_cast<std::size_t>(s.personal_latest);
        world.own.push_back(kept > 0 && kept < world.train.back().size() ? world.train.back().last(kept)
                                                                         : world.train.back());
        world.test.push_back(world.data.of_user(user, s.validate ? RankingSplit::validation : RankingSplit::test));
        world.all.insert(world.all.end(), world.train.back().begin(), world.train.back().end());
    }
    std::size_t judged = 0;
    std::int64_t unjudged = 0;
    for (const auto& queries : world.test) {
        judged += queries.size();
        unjudged += queries.empty() ? 1 : 0;
    }
    if (judged == 0) return refuse(fmt::format("{}: no query to judge on", s.path.empty() ? "data" : s.path));
    world.notes = {{"items", std::ssize(world.data.items) / world.data.features, ""},
                   {"features", world.data.features, ""},
                   {"queries", std::ssize(world.data.queries), ""}};
    world.notes.insert(world.notes.end(), world.data.notes.begin(), world.data.notes.end());
    world.notes.insert(world.notes.end(), layer_notes.begin(), layer_notes.end());
    if (unjudged > 0)
        world.notes.push_back(
            {"users_without_test", unjudged,
             fmt::format("{} of {} users have no query to judge on: they train and are not judged", unjudged,
                         world.test.size())});
    if (s.trees > 0) {
        const auto grown = [&](std::span<const RankingQuery> queries, std::uint32_t node) {
            return RankingForest(world.data.view(), queries, {.trees = s.trees},
                                 Stream(s.seed, node, Purpose::tasks));
        };
        const RankingForest shared = grown(world.all, world.nodes());
        auto scores = std::make_shared<ForestScores>();
        scores->trees = s.trees;
        for (std::uint32_t user = 0; user < world.nodes(); ++user) {
            if (world.test[user].empty()) continue;
            scores->all.add(shared.evaluate(world.test[user]));
            scores->own.add(grown(world.own[user], user).evaluate(world.test[user]));
        }
        world.forests = scores;
    }
    HostMemory memory(world.bytes());
    Arena arena(memory.bytes());
    const auto task = World::Task::make(world.shape, *world.kernels, world.data.view(), world.task, arena);
    if (!task) return refuse(task.error(), "model");
    return std::make_unique<WorldProblem<World>>(std::move(world), s.federated, threads);
}

}  // namespace

Outcome<std::unique_ptr<FederatedProblem>> make_ranking_problem(const RankingSettings& s, int threads) {
    const auto kernels = find_kernels(s.kernels);
    if (!kernels) return refuse(kernels.error(), "kernels");
    auto data = read_or_draw(s);
    if (!data) return tl::unexpected(data.error());
    s.standardise ? data->standardise() : data->restore_origin();
    const int inputs = data->view().inputs(), longest = data->longest();
    if (!s.takes_layers()) {
        const auto shape = MlpShape::make(inputs, s.hidden, 1, s.activation);
        if (!shape) return refuse(shape.error(), "model.hidden");
        return make_world(s, *std::move(data), *shape, **kernels, threads);
    }
    if (!s.input.empty())
        return refuse(
            fmt::format("model.input = \"{}\": a list of {} suggestions of {} numbers comes in; leave it empty",
                        s.input, longest, inputs));
    const auto shape = read_layers("model.layers", {1, longest, inputs}, false, s.layers, longest);
    if (!shape) return tl::unexpected(shape.error());
    return make_world(s, *std::move(data), *shape, **kernels, threads);
}

namespace {

std::shared_ptr<const ForestScores> forests_of(const FederatedProblem& problem) {
    using Scorer = WorldProblem<RankingWorld<MlpDerivatives<float>>>;
    using Lists = WorldProblem<RankingWorld<NetworkDerivatives<float>>>;
    if (const auto* one = dynamic_cast<const Scorer*>(&problem)) return one->world().forests;
    if (const auto* list = dynamic_cast<const Lists*>(&problem)) return list->world().forests;
    return nullptr;
}

void report_forests(const RankingSettings&, FederatedProblem& problem, const FederatedResult&,
                    RunFigures& figures) {
    const auto forests = forests_of(problem);
    if (!forests) return;
    FigureTable table{.key = "forests",
                      .columns = {{"forest", "random forest of", FigureColumn::Show::plain},
                                  {"mrr", "MRR"},
                                  {"accuracy_at_1", "accuracy@1"},
                                  {"normalised_mrr", "normalised MRR"}}};
    for (const auto& [name, score] :
         {std::pair{"all users' queries", &forests->all}, {"each user's own", &forests->own}})
        table.rows.push_back({std::string(name), score->mrr(), score->accuracy_at_1(), score->normalised_mrr()});
    figures.sections.push_back(
        {.heading = "Random forests",
         .paragraphs = {fmt::format("{} trees each, on the queries that the models are judged on. A "
                                    "forest has no parameters that a fleet could average.",
                                    forests->trees)},
         .tables = {std::move(table)}});
}

}  // namespace

ProblemKind<RankingSettings> ranking_kind() {
    return {.name = "ranking",
            .nodes_are = "users",
            .settings = ranking_settings,
            .make = make_ranking_problem,
            .about =
                [](const RankingSettings& s, const FederatedProblem& made) {
                    return fmt::format("Search ranking: {}, {}. {} users.",
                                       s.path.empty() ? "generated queries" : s.path,
                                       s.validate ? "judged on the last fifth of each user's training queries"
                                                  : "judged on the test split",
                                       made.nodes());
                },
            .report = report_forests};
}

}  // namespace dunlin
