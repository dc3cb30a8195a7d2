// SPDX-License-Identifier: Apache-2.0
#include "program.hpp"

#include <catch2/catch.hpp>

using namespace dunlin::program;

namespace {

std::vector<std::string> small_pdbo(const std::string& command, const std::vector<std::string>& more) {
    std::vector<std::string> arguments{command, "pdbo", "--quiet"};
    for (const char* setting :
         {"data.agents=6", "data.rows=300", "data.side=6", "model.hidden=[6]", "model.predictors=2",
          "method.inner_steps=12", "method.outer_steps=2", "method.neumann_steps=3", "report.peers=false"}) {
        arguments.insert(arguments.end(), {"--set", setting});
    }
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
}

void is_refused(const std::vector<std::string>& options, const std::vector<std::string>& parts) {
    const Folder folder;
    const Ended ended = run(folder, small_pdbo("train", options));
    INFO(ended.err);
    CHECK(ended.code == 2);
    CHECK(ended.out.empty());
    CHECK(lines(ended.err).size() == 1);
    for (const std::string& part : parts) {
        INFO(part);
        CHECK(ended.err.find(part) != std::string::npos);
    }
    CHECK(std::filesystem::is_empty(folder.path()));
}

}  // namespace

TEST_CASE("a pdbo run writes its accuracies, what it sent, a table of all methods and its plots") {
    const Folder folder;
    const Ended ended = run(folder, small_pdbo("train", {"--out", "run", "--set", "report.peers=true"}));
    INFO(ended.err);
    REQUIRE(ended.code == 0);
    for (const char* row : {"SGP", "each alone", "PDBO-MTL (local)", "PDBO-MTL "}) {
        CHECK(ended.out.find(row) != std::string::npos);
    }
    const nlohmann::json summary = read_json(folder / "run/summary.json");
    CHECK(summary.at("method") == "pdbo-mtl");
    CHECK(summary.at("objective") == "bilevel");
    CHECK(summary.at("aggregation") == "hgp");
    CHECK(summary.at("consensus_error") > 0.0);
    CHECK(summary.at("inner_steps") == 36);
    CHECK(summary.at("test_accuracy") > 0.0);
    CHECK(summary.at("test_accuracy_bottom_decile") <= summary.at("test_accuracy"));
    CHECK(summary.at("bytes_per_iteration") > 0.0);
    CHECK(summary.at("bytes_per_hyper_iteration") > 0.0);
    CHECK(summary.at("agents").size() == 6);
    CHECK(summary.at("table").size() == 8);
    CHECK(summary.at("complete") == true);
    for (const char* name : {"report.html", "config.toml", "accuracy.svg", "agents.svg", "weights.svg",
                             "methods-inner-steps.svg", "methods-gradients.svg"}) {
        CHECK(std::filesystem::exists(folder / (std::string("run/") + name)));
    }
    CHECK(csv(read(folder / "run/metrics.csv")).size() == 4);
    CHECK(read(folder / "run/report.html").find("average / bottom decile") != std::string::npos);

    REQUIRE(run(folder, {"train", "pdbo", "--quiet", "--config", "run/config.toml", "--out", "again"}).code == 0);
    CHECK(read_json(folder / "again/summary.json").at("trace") == summary.at("trace"));
}

TEST_CASE("every method of pdbo runs, on digits and on what speakers say") {
    const Folder folder;
    folder.file("play.txt",
                "ANN: to be or not to be that is the question whether it is nobler\n"
                "BOB: no no no no no no no no no no no no no no no no no no no no no\n");
    int runs = 0;
    for (const char* method : {"pdbo-mtl", "pdbo-mtl-local", "sgp", "local"}) {
        const std::string out = "run" + std::to_string(++runs);
        const Ended ended =
            run(folder, small_pdbo("train", {"--method", method, "--out", out, "--set", "data.task=characters",
                                             "--set", "data.path=play.txt", "--set", "data.agents=2"}));
        INFO(ended.err);
        REQUIRE(ended.code == 0);
        const nlohmann::json summary = read_json(folder / (out + "/summary.json"));
        CHECK(summary.at("method") == method);
        CHECK(summary.at("agents").at(0).at("name") == "BOB");
    }
}

TEST_CASE("pdbo methods are compared over seeds") {
    const Folder folder;
    const Ended ended =
        run(folder, small_pdbo("compare", {"--methods", "pdbo-mtl,sgp", "--seeds", "2", "--out", "both"}));
    INFO(ended.err);
    REQUIRE(ended.code == 0);
    CHECK(ended.out.find("bottom decile") != std::string::npos);
    CHECK(csv(read(folder / "both/comparison.csv")).size() == 5);
}

TEST_CASE("pdbo refuses what cannot be, and says what is expected") {
    is_refused({"--method", "pdbo"}, {"method.name=pdbo", "pdbo-mtl, pdbo-mtl-local, sgp, local"});
    is_refused({"--set", "model.predictors=0"}, {"model.predictors=0", "at least 1 and at most 64"});
    is_refused({"--set", "model.predictors=1000000"}, {"model.predictors=1000000", "at most 64"});
    is_refused({"--set", "method.neumann_steps=-1"}, {"method.neumann_steps=-1", "at least 0"});
    is_refused({"--set", "method.inner_steps=0"}, {"method.inner_steps=0", "at least 1"});
    is_refused({"--set", "network.probability_low=0"}, {"network.probability_low=0", "above 0 and at most 1"});
    is_refused({"--set", "network.probability_low=0.9"}, {"network.probability_low = 0.9", "the lower one first"});
    is_refused({"--set", "data.task=words"}, {"data.task=words", "digits, characters"});
    is_refused({"--set", "data.path=nowhere"}, {"nowhere/train-images-idx3-ubyte", "cannot be opened"});
    is_refused({"--set", "data.task=characters", "--set", "data.path=nowhere.txt"}, {"nowhere.txt"});
    is_refused({"--set", "data.rows=7"}, {"data.agents, data.alpha", "rows"});
    is_refused({"--set", "data.agents=1"}, {"data.agents=1", "at least 2"});
    is_refused({"--set", "kernels=sse"}, {"kernels = \"sse\""});
}

TEST_CASE("pdbo names the speakers that a text lacks, and the line that has none") {
    const Folder folder;
    folder.file("short.txt", "ANN: one two three four five\n");
    folder.file("prose.txt", "once upon a time\n");
    const auto said = [&](const std::string& path) {
        return run(folder, small_pdbo("train", {"--out", "run", "--set", "data.task=characters", "--set",
                                                "data.path=" + path}))
            .err;
    };
    CHECK(said("short.txt").find("short.txt: 1 speakers, of 6") != std::string::npos);
    CHECK(said("prose.txt").find("prose.txt: line 1, column 1") != std::string::npos);
    CHECK_FALSE(std::filesystem::exists(folder / "run"));
}

TEST_CASE("a pdbo run that diverges fails with the agent and keeps what it wrote") {
    const Folder folder;
    const Ended ended = run(folder, small_pdbo("train", {"--out", "run", "--set", "method.inner_rate=900", "--set",
                                                         "method.largest_value=50"}));
    CHECK(ended.code == 1);
    CHECK(ended.err.find("the steps are too large") != std::string::npos);
    CHECK(read_json(folder / "run/summary.json").at("complete") == false);
}
