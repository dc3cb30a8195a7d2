// SPDX-License-Identifier: Apache-2.0
#include "federated_fixtures.hpp"
#include "training/problems/classification_fleet.hpp"
#include "training/problems/ranking_fleet.hpp"

#include <cmath>
#include <filesystem>
#include <fstream>

#include <catch2/catch.hpp>
#include <unistd.h>

using namespace dunlin;
using namespace dunlin::test;

namespace {

constexpr Method all_methods[] = {
    preset::persafl,        preset::persafl_maml, preset::persafl_me, preset::fedavg,  preset::per_fedavg,
    preset::pfedme,         preset::fedprox,      preset::fedasync,   preset::fedbuff, preset::pars_push,
    preset::pars_push_maml, preset::pars_push_me, preset::local,      preset::global};

FederatedResult run(FederatedProblem& problem, const FederatedSettings& settings, int threads = 1) {
    Workers workers(threads);
    FederatedResult result;
    REQUIRE(train_federated(
        problem, settings, 1, workers, RunPauses{}, [](const FederatedResult&) -> Outcome<void> { return {}; },
        result));
    return result;
}

ClassificationSettings small_digits() {
    ClassificationSettings settings;
    settings.data.rows = 600;
    settings.data.split.nodes = 6;
    settings.hidden = {16};
    settings.federated.clock.budget_s = 600.0f;
    settings.federated.baseline_steps = 300;
    settings.federated.evaluations = 4;
    settings.federated.buffer_size = 3;
    return settings;
}

RankingSettings small_ranking() {
    RankingSettings settings;
    settings.synthetic.users = 12;
    settings.synthetic.items = 200;
    settings.hidden = {16};
    settings.federated.clock.budget_s = 300.0f;
    settings.federated.baseline_steps = 150;
    settings.federated.evaluations = 2;
    settings.federated.buffer_size = 3;
    settings.federated.personal.steps = 40;
    return settings;
}

/// A file that is gone when the test is.
struct ScratchFolder {
    std::filesystem::path path =
        std::filesystem::temp_directory_path() / ("dunlin-federated-" + std::to_string(::getpid()));
    ScratchFolder() { std::filesystem::create_directories(path); }
    ~ScratchFolder() { std::filesystem::remove_all(path); }
    void write(const char* name, const std::string& text) const { std::ofstream(path / name) << text; }
};

template <class Made>
std::string refusal(const Made& made) {
    return made ? std::string() : made.error().text;
}

}  // namespace

TEST_CASE("every method learns digits that are skewed by label, and personal models gain") {
    for (const Method method : all_methods) {
        INFO(name_of(method));
        ClassificationSettings settings = small_digits();
        settings.federated.method = method;
        const auto problem = make_classification_problem(settings, 1);
        REQUIRE(problem);
        const FederatedResult result = run(**problem, settings.federated);
        REQUIRE(result.complete);
        REQUIRE(result.history.size() == 5);
        CHECK(result.history.back().personal[0] > 0.6);
        CHECK(result.history.back().personal[0] >= result.history.front().personal[0]);
        CHECK(result.personal_by_node.size() == 6);
        CHECK(result.history.back().time_s > 0);
    }
}

TEST_CASE("every method learns to rank, and beats chance by far") {
    for (const Method method : all_methods) {
        INFO(name_of(method));
        RankingSettings settings = small_ranking();
        settings.federated.method = method;
        const auto problem = make_ranking_problem(settings, 1);
        REQUIRE(problem);
        const FederatedResult result = run(**problem, settings.federated);
        REQUIRE(result.metric_keys == std::vector<std::string>{"mrr", "accuracy_at_1", "normalised_mrr"});
        CHECK(result.history.back().personal[2] > 0.1);
        CHECK(result.history.back().personal[0] > result.history.front().shared[0]);
    }
}

TEST_CASE("a training's numbers do not depend on the number of threads") {
    ClassificationSettings settings = small_digits();
    for (const Method method : {preset::persafl_me, preset::per_fedavg, preset::local}) {
        settings.federated.method = method;
        const auto one = make_classification_problem(settings, 1), three = make_classification_problem(settings, 3);
        REQUIRE((one && three));
        const FederatedResult a = run(**one, settings.federated), b = run(**three, settings.federated, 3);
        REQUIRE(a.history.size() == b.history.size());
        for (std::size_t k = 0; k < a.history.size(); ++k) {
            CHECK(a.history[k].personal == b.history[k].personal);
            CHECK(a.history[k].shared == b.history[k].shared);
        }
        CHECK(a.trace == b.trace);
    }
}

TEST_CASE("without a server the mass is exact, what nodes share draws together, and layers can stay at home") {
    ClassificationSettings settings = small_digits();
    settings.federated.method = preset::pars_push_me;
    settings.federated.clock.loss = 0.2f;
    settings.personal_layers = {"last"};
    const auto problem = make_classification_problem(settings, 1);
    REQUIRE(problem);
    const FederatedResult result = run(**problem, settings.federated);
    CHECK(result.mass_error == 0);
    REQUIRE(result.consensus_error);
    CHECK(*result.consensus_error < 0.3);
    CHECK(result.history.back().personal.front() > result.history.front().personal.front());

    settings.federated.push.graph = "nonsense";
    Workers workers(1);
    FederatedResult none;
    const auto refused = train_federated(
        **problem, settings.federated, 1, workers, RunPauses{},
        [](const FederatedResult&) -> Outcome<void> { return {}; }, none);
    CHECK(refusal(refused).find("push.graph: nonsense") != std::string::npos);
}

TEST_CASE("a run that is stopped keeps the rows that it has") {
    const ClassificationSettings settings = small_digits();
    const auto problem = make_classification_problem(settings, 1);
    REQUIRE(problem);
    Workers workers(1);
    FederatedResult result;
    bool stop = false;
    REQUIRE(train_federated(
        **problem, settings.federated, 1, workers, RunPauses{.stop = [&] { return stop; }},
        [&](const FederatedResult& so_far) -> Outcome<void> {
            stop = so_far.history.size() == 2;
            return {};
        },
        result));
    CHECK_FALSE(result.complete);
    CHECK(result.history.size() == 2);
}

TEST_CASE("conflicting labels defeat one model for all, but not personal ones") {
    ClassificationSettings settings = small_digits();
    settings.data.split.kind = Split::uniform;
    settings.data.split.conflicting = true;
    settings.data.rows = 1200;
    settings.federated.method = preset::local;
    const auto problem = make_classification_problem(settings, 1);
    REQUIRE(problem);
    const double local = run(**problem, settings.federated).history.back().personal[0];
    settings.federated.method = preset::global;
    const double global = run(**problem, settings.federated).history.back().personal[0];
    CHECK(local > 0.6);
    CHECK(global < 0.4);
}

TEST_CASE("validation never touches the test split, and the latest queries are the only ones learned from") {
    RankingSettings settings = small_ranking();
    const auto test = make_ranking_problem(settings, 1);
    settings.validate = true;
    const auto validation = make_ranking_problem(settings, 1);
    settings.validate = false;
    settings.latest_queries = 5;
    const auto latest = make_ranking_problem(settings, 1);
    REQUIRE((test && validation && latest));
    const auto all = (*test)->samples(), fit = (*validation)->samples(), few = (*latest)->samples();
    for (std::size_t user = 0; user < all.size(); ++user) {
        CHECK(fit[user] < all[user]);
        CHECK(few[user] == 5.0f);
    }
}

TEST_CASE("what a device has forgotten changes its own model, not the shared one") {
    RankingSettings settings = small_ranking();
    const auto keeps_all = make_ranking_problem(settings, 1);
    settings.personal_latest = 5;
    const auto keeps_five = make_ranking_problem(settings, 1);
    settings.personal_latest = 0;
    settings.latest_queries = 5;
    const auto sees_five = make_ranking_problem(settings, 1);
    REQUIRE((keeps_all && keeps_five && sees_five));
    CHECK((*keeps_five)->samples() == (*keeps_all)->samples());
    std::vector<float> start((*keeps_all)->dimension());
    (*keeps_all)->initialise(start);
    const auto personal = [&](FederatedProblem& problem) {
        std::vector<float> theta = start;
        Stream random(1, 0, Purpose::samples);
        problem.personalise(0, start, settings.federated.personal, random, theta, 0);
        return theta;
    };
    CHECK(personal(**keeps_five) == personal(**sees_five));
    CHECK(personal(**keeps_five) != personal(**keeps_all));
    const auto shared = [&](FederatedProblem& problem) {
        std::vector<float> gradient(start.size());
        Stream random(1, 0, Purpose::samples);
        problem.learner(0, 0).gradient(start, random, gradient);
        return gradient;
    };
    CHECK(shared(**keeps_five) == shared(**keeps_all));
}

TEST_CASE("data that cannot be used is refused with the file, the line or the node") {
    const ScratchFolder folder;
    RankingSettings ranking;
    ranking.path = (folder.path / "nowhere").string();
    CHECK(refusal(make_ranking_problem(ranking, 1)).find("nowhere") != std::string::npos);
    ranking.path = folder.path.string();
    folder.write("items.csv", "item,f,g_a\n1,0.5,1\n2,0.1,1\n");
    folder.write("queries.csv", "user_id,query_genre,split,n,chosen,candidates\n7,a,test,2,0,1 2\n");
    CHECK(refusal(make_ranking_problem(ranking, 1)).find("user 7") != std::string::npos);
    folder.write("queries.csv", "user_id,query_genre,split,n,chosen,candidates\n7,a,train,2,5,1 2\n");
    CHECK(refusal(make_ranking_problem(ranking, 1)).find("line 2") != std::string::npos);

    ClassificationSettings images;
    images.data.path = folder.path.string();
    CHECK(refusal(make_classification_problem(images, 1)).find("train-images") != std::string::npos);
    folder.write("train-images-idx3-ubyte", std::string("\0\0\x08\x03\0\0\0\x02\0\0\0\x02\0\0\0\x02\1\2\3", 19));
    folder.write("train-labels-idx1-ubyte", std::string("\0\0\x08\x01\0\0\0\x02\0\1", 10));
    CHECK(refusal(make_classification_problem(images, 1)).find("cut off") != std::string::npos);
    images.data.path.clear();
    images.data.split.kind = Split::users;
    CHECK(refusal(make_classification_problem(images, 1)).find("users") != std::string::npos);
    images.data.split.kind = Split::uniform;
    images.data.rows = 60;
    images.data.split.nodes = 50;
    CHECK(refusal(make_classification_problem(images, 1)).find("node 10") != std::string::npos);
}

TEST_CASE("a buffer that is larger than the fleet is refused before anything is written") {
    FederatedSettings settings;
    settings.method = preset::fedbuff;
    settings.buffer_size = 7;
    CHECK(settings.check(7));
    CHECK(refusal(settings.check(6)).find("federated.buffer_size") == 0);
}

TEST_CASE("models that are no numbers any more have no accuracy and no loss") {
    for (const Method method : {preset::local, preset::global}) {
        INFO(name_of(method));
        ClassificationSettings settings = small_digits();
        settings.federated.method = method;
        settings.federated.baseline_rate = 1e30f;
        const auto problem = make_classification_problem(settings, 1);
        REQUIRE(problem);
        const FederatedResult result = run(**problem, settings.federated);
        CHECK(std::isfinite(result.history.front().personal[0]));
        for (const double metric : result.history.back().personal) CHECK(std::isnan(metric));
    }
}
