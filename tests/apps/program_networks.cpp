// SPDX-License-Identifier: Apache-2.0
// Networks of layers that a user names, by the command line.
#include "program.hpp"

#include <fstream>

#include <catch2/catch.hpp>

using namespace dunlin::program;

namespace {

Ended train(const Folder& folder, const std::string& out, const std::string& experiment,
            const std::vector<std::string>& settings) {
    std::vector<std::string> words{"train", experiment, "--quiet", "--out", out};
    for (const std::string& setting : settings) words.insert(words.end(), {"--set", setting});
    return run(folder, words);
}

std::vector<std::string> pictures(std::vector<std::string> more) {
    std::vector<std::string> settings{
        "data.side=10",
        "data.rows=800",
        "data.clients=4",
        "data.labels_per_client=4",
        "model.layers=[\"conv 3x3 8 stride=2 relu\", \"conv 3x3 12 relu\", \"dense 10\"]",
        "federated.local_steps=5",
        "federated.local_rate=0.1",
        "federated.server_rate=0.5",
        "maml.local_rate=0.1",
        "clock.budget_s=400",
        "clock.speed_spread=0",
        "report.evaluations=1"};
    settings.insert(settings.end(), more.begin(), more.end());
    return settings;
}

}  // namespace

TEST_CASE("a convolutional network learns pictures with every objective, with a server and without") {
    const Folder folder;
    int number = 0;
    for (const std::string objective : {"maml", "bilevel"}) {
        for (const std::string aggregation : {"persafl", "pars-push"}) {
            INFO(objective << " " << aggregation);
            const std::string out = "run" + std::to_string(++number);
            const Ended ended = train(folder, out, "classification",
                                      pictures({"objective.name=" + objective, "aggregation.name=" + aggregation}));
            INFO(ended.err);
            REQUIRE(ended.code == 0);
            const auto summary = read_json(folder / (out + "/summary.json"));
            CHECK(summary["test_accuracy"] > 0.7);  // a client has four labels
            CHECK(summary["test_accuracy_worst"] <= summary["test_accuracy"]);
        }
    }
    // What was trained is whole: it is shown, and made somebody's own.
    const Ended inspected = run(folder, {"inspect", "run1"});
    INFO(inspected.err);
    CHECK(inspected.code == 0);
    CHECK(inspected.out.find("conv 3x3 8") != std::string::npos);
}

TEST_CASE("characters are guessed by a recurrent network, in bits") {
    const Folder folder;
    const Ended ended =
        train(folder, "run", "characters",
              {"data.speakers=4", "data.characters=400", "data.context=4", "clock.budget_s=600",
               "report.evaluations=1", "clock.speed_spread=0", "federated.method=fedavg", "federated.local_rate=1",
               "model.layers=[\"embedding 6\", \"gru 12\", \"dense 27\"]"});
    INFO(ended.err);
    REQUIRE(ended.code == 0);
    const auto summary = read_json(folder / "run/summary.json");
    CHECK(summary["bits_per_character"] < 4.6);  // 4.75 of nothing learned
    CHECK(summary["shared"]["bits_per_character"] > summary["bits_per_character"]);
}

TEST_CASE("plays are read line by line, and the next character is guessed at every step") {
    const Folder folder;
    std::string table = "play\tspeaker\tsplit\ttext\n";
    for (int k = 0; k < 60; ++k)
        table += std::string("one\t") + (k % 2 == 0 ? "ANN" : "BOB") + (k % 6 < 4 ? "\ttrain\t" : "\ttest\t") +
                 (k % 2 == 0 ? "To be, or not to be?\n" : "Ho! Ho! Who goes?\n");
    std::filesystem::create_directory(folder / "plays");
    std::ofstream(folder / "plays/lines.tsv") << table;
    const std::vector<std::string> small{"data.path=plays",
                                         "data.speakers=2",
                                         "data.context=16",
                                         "data.lead=4",
                                         "model.layers=[\"embedding 8\", \"lstm 24 every-step\"]",
                                         "federated.adam_rate=0.02",
                                         "clock.concurrency=1",
                                         "clock.budget_s=1500",
                                         "personal.steps=2",
                                         "report.evaluations=1"};
    const Ended ended = train(folder, "run", "shakespeare", small);
    INFO(ended.err);
    REQUIRE(ended.code == 0);
    const auto summary = read_json(folder / "run/summary.json");
    CHECK(summary["bits_per_character"] < 2.0);  // 6.58 of nothing learned
    CHECK(summary["method"] == "fedadam");
    const Ended inspected = run(folder, {"inspect", "run"});
    INFO(inspected.err);
    CHECK(inspected.out.find("lstm 24 every-step") != std::string::npos);

    std::vector<std::string> long_lines = small;
    long_lines.push_back("data.context=500");
    const Ended refused = train(folder, "other", "shakespeare", long_lines);
    CHECK(refused.code != 0);
    CHECK(refused.err.find("data.context = 500") != std::string::npos);
    CHECK(refused.err.find("one: ") != std::string::npos);
}

TEST_CASE("ranking scores a whole list by convolutions, beside random forests") {
    const Folder folder;
    const Ended ended =
        train(folder, "run", "ranking",
              {"data.users=12", "baseline.trees=20", "clock.budget_s=150", "report.evaluations=1",
               "personal.steps=20", "model.layers=[\"conv 1 16 relu\", \"conv 3 8 pad=1 relu\", \"conv 1 1\"]"});
    INFO(ended.err);
    REQUIRE(ended.code == 0);
    const auto summary = read_json(folder / "run/summary.json");
    CHECK(summary["mrr"] > 0.35);  // 0.3 by chance
    REQUIRE(summary["forests"].size() == 2);
    CHECK(summary["forests"][0]["mrr"] > 0.35);
    CHECK(summary["forests"][1]["mrr"] > 0.35);
    const Ended refused = train(folder, "other", "ranking", {"data.users=12", "model.layers=[\"conv 1 2\"]"});
    CHECK(refused.code != 0);
    CHECK(refused.err.find("model.layers") != std::string::npos);
}

TEST_CASE("omniglot's episodes are judged on classes that nobody trained on") {
    const Folder folder;
    const Ended ended =
        train(folder, "run", "omniglot",
              {"data.characters=40", "data.side=8", "data.clients=2", "data.test_episodes=30", "data.ways=3",
               "clock.budget_s=300", "report.evaluations=1", "model.layers=[\"conv 3x3 8 relu\"]"});
    INFO(ended.err);
    REQUIRE(ended.code == 0);
    const auto summary = read_json(folder / "run/summary.json");
    CHECK(summary["test_accuracy"] > 0.45);  // chance is a third
    CHECK(summary["test_accuracy_3_way_1_shot"] == summary["accuracy"]);
}

TEST_CASE("layers that do not fit are refused with the layer, what comes in and what it wants") {
    const Folder folder;
    const auto refused = [&](std::vector<std::string> settings, const std::vector<std::string>& parts,
                             const std::string& experiment = "classification") {
        const Ended ended = train(folder, "run", experiment, settings);
        INFO(ended.err);
        CHECK(ended.code != 0);
        for (const std::string& part : parts) CHECK(ended.err.find(part) != std::string::npos);
    };
    refused({"model.layers=[\"conv 9x9 4\", \"dense 10\"]"}, {"model.layers, layer 1", "8 x 8 x 1", "9 x 9"});
    refused({"model.layers=[\"dense 7\"]"}, {"model.layers", "7", "10 are wanted", "dense 10"});
    refused({"model.layers=[\"dense 10\"]", "model.input=8x9"}, {"model.input", "72", "64"});
    refused({"model.layers=[\"dense 10\"]", "model.input=eight"}, {"model.input", "expected", "28x28x1"});
    refused({"model.layers=[\"dense 10\"]", "model.personal_layers=[last]"}, {"model.personal_layers"});
    refused({"model.layers=[\"gru 8\", \"dense 27\"]"}, {"model.layers, layer 1", "embedding"}, "characters");
    refused({"data.ways=60"}, {"data.ways", "characters"}, "omniglot");
}
