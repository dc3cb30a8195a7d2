// SPDX-License-Identifier: Apache-2.0
#include "program.hpp"

#include <algorithm>
#include <cstdint>

#include <catch2/catch.hpp>

using namespace dunlin::program;

namespace {

/// A short run on small generated digits, in run/ if nothing else is said.
std::vector<std::string> small(const std::vector<std::string>& more) {
    std::vector<std::string> arguments{
        "train", "spdb-digits",         "--quiet", "--set", "data.rows=300", "--set", "method.iterations=40",
        "--set", "report.evaluations=2"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    if (std::find(more.begin(), more.end(), "--out") == more.end())
        arguments.insert(arguments.end(), {"--out", "run"});
    return arguments;
}

void refuses(const std::vector<std::string>& options, const std::vector<std::string>& parts) {
    const Folder folder;
    const Ended ended = run(folder, small(options));
    INFO(ended.err);
    CHECK(ended.code == 2);
    CHECK(ended.out.empty());
    REQUIRE(lines(ended.err).size() == 1);
    for (const std::string& part : parts) {
        INFO(part);
        CHECK(ended.err.find(part) != std::string::npos);
    }
    CHECK_FALSE(std::filesystem::exists(folder / "run"));
}

std::string big_endian(std::uint32_t value) {
    std::string bytes;
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift & 0xff);
    return bytes;
}

/// IDX files of `count` images of 4 x 4 pixels, as MNIST names them.
void write_idx(const Folder& folder, const std::string& part, std::uint32_t count) {
    std::string images = big_endian(0x803) + big_endian(count) + big_endian(4) + big_endian(4);
    std::string labels = big_endian(0x801) + big_endian(count);
    for (std::uint32_t k = 0; k < count; ++k) {
        for (std::uint32_t pixel = 0; pixel < 16; ++pixel)
            images += static_cast<char>(pixel == k % 10 ? 200 : k % 7);
        labels += static_cast<char>(k % 10);
    }
    folder.file(part + "-images-idx3-ubyte", images);
    folder.file(part + "-labels-idx1-ubyte", labels);
}

}  // namespace

TEST_CASE("spdb-digits writes the whole run directory, with every method in its figure") {
    const Folder folder;
    const Ended ended = run(folder, small({"--set", "report.limited_rows=20"}));
    INFO(ended.err);
    REQUIRE(ended.code == 0);
    for (const char* name : {"config.toml", "metrics.csv", "report.html", "train-loss.svg", "accuracy-own.svg",
                             "accuracy-balanced.svg", "limited-train-loss.svg"}) {
        INFO(name);
        CHECK(std::filesystem::exists(folder / ("run/" + std::string(name))));
    }
    const nlohmann::json summary = read_json(folder / "run/summary.json");
    CHECK(summary.at("method") == "spdb");
    CHECK(summary.at("complete") == true);
    for (const char* key : {"train_loss", "test_accuracy_own", "test_accuracy_balanced", "bytes_per_iteration"})
        CHECK(summary.at(key).is_number());
    CHECK(summary.at("figure").size() == 10);
    CHECK(csv(read(folder / "run/metrics.csv")).size() == 4);
    const std::string page = read(folder / "run/report.html");
    for (const char* title : {"SPDB", "SPD/D2", "GNSD", "DSGD", "each alone"})
        CHECK(page.find(title) != std::string::npos);
}

TEST_CASE("every method of spdb-digits runs on IDX files and is the same run again from its config.toml") {
    const Folder folder;
    write_idx(folder, "train", 400);
    write_idx(folder, "t10k", 100);
    for (const std::string method : {"spdb", "d2", "gnsd", "dsgd"}) {
        const std::vector<std::string> options{
            "--method", method, "--set", "data.path=" + folder.path().string(), "--set", "report.figure=false",
            "--out",    method};
        REQUIRE(run(folder, small(options)).code == 0);
        REQUIRE(run(folder,
                    {"train", "spdb-digits", "--quiet", "--config", method + "/config.toml", "--out", method + "2"})
                    .code == 0);
        const nlohmann::json one = read_json(folder / (method + "/summary.json")),
                             two = read_json(folder / (method + "2/summary.json"));
        CHECK(one.at("method") == method);
        CHECK(one.at("trace") == two.at("trace"));
        CHECK(one.at("train_loss") == two.at("train_loss"));
    }
    const double tracking = read_json(folder / "gnsd/summary.json").at("bytes_per_iteration");
    CHECK(read_json(folder / "spdb/summary.json").at("bytes_per_iteration") <= tracking / 2);
    CHECK(read_json(folder / "d2/summary.json").at("bytes_per_iteration") == tracking / 2);
}

TEST_CASE("agents learn by any objective and aggregation, and a pair that has a name is written by it") {
    const Folder folder;
    const Ended pair =
        run(folder, small({"--set", "objective.name=maml", "--set", "aggregation.name=pars-push", "--set",
                           "network.loss=0.2", "--set", "report.figure=false", "--out", "pair"}));
    INFO(pair.err);
    REQUIRE(pair.code == 0);
    const nlohmann::json summary = read_json(folder / "pair/summary.json");
    CHECK(summary.at("objective") == "maml");
    CHECK(summary.at("aggregation") == "pars-push");
    CHECK(summary.at("mass_error") == 0);
    CHECK(summary.at("messages_lost") > 0);
    CHECK_FALSE(summary.contains("mixing"));
    REQUIRE(run(folder, small({"--set", "objective.name=plain", "--set", "aggregation.name=spd", "--set",
                               "report.figure=false", "--out", "named"}))
                .code == 0);
    CHECK(read_json(folder / "named/summary.json").at("method") == "d2");
    CHECK(read(folder / "named/config.toml").find("name = \"d2\"") != std::string::npos);
    refuses({"--set", "objective.name=bilevel", "--set", "aggregation.name=global"},
            {"objective.name = bilevel", "aggregation.name = local"});
}

TEST_CASE("decentralised settings that cannot work are refused with the figures, before anything is written") {
    refuses({"--set", "model.personal_layers=[7]"}, {"model.personal_layers", "no layer 7 among 2"});
    refuses({"--set", "model.personal_layers=[\"head\"]"}, {"model.personal_layers", "\"head\"", "0 to 1"});
    refuses({"--set", "model.personal_layers=[0,1]"}, {"model.personal_layers", "all 2 layers"});
    refuses({"--set", "network.graph=complete", "--set", "method.mixing=laplacian"},
            {"method.mixing", "-1.0000", "-0.3333", "rho_over_tau"});
    refuses({"--set", "data.path=nowhere"}, {"nowhere/train-images-idx3-ubyte"});
    refuses({"--method", "adam"}, {"adam", "one of spdb, d2, gnsd, dsgd, alone"});
    refuses({"--set", "data.clients=500"}, {"node"});
}

TEST_CASE("a step that makes agents diverge is an error that names the agent and the setting") {
    const Folder folder;
    const Ended ended = run(folder, small({"--set", "method.step=1000", "--set", "report.figure=false", "--set",
                                           "method.personal_rate=1000"}));
    INFO(ended.err);
    CHECK(ended.code == 1);
    CHECK(ended.err.find("node ") != std::string::npos);
    CHECK(ended.err.find("method.step") != std::string::npos);
}
