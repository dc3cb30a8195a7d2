// SPDX-License-Identifier: Apache-2.0
// Data that a node brings itself, held against what a job names.
#include "fleet/jobs/node_task.hpp"
#include "fleet/jobs/plan_job.hpp"
#include "training/problems/classification_fleet.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <numeric>

#include <catch2/catch.hpp>

using namespace dunlin;

namespace {

struct Folder {
    std::filesystem::path path;
    Folder() {
        std::string pattern = (std::filesystem::temp_directory_path() / "dunlin-own-XXXXXX").string();
        REQUIRE(mkdtemp(pattern.data()) != nullptr);
        path = pattern;
    }
    ~Folder() { std::filesystem::remove_all(path); }
    std::string write(const std::string& name, const std::string& text) const {
        std::ofstream(path / name) << text;
        return (path / name).string();
    }
};

/// Ten rows; y is 100 times x, and "still" is always 3.
const std::string table =
    "x,y,still,does\n1,100,3,sit\n2,200,3,walk\n3,300,3,sit\n4,400,3,walk\n5,500,3,sit\n6,600,3,walk\n"
    "7,700,3,sit\n8,800,3,walk\n9,900,3,sit\n10,1000,3,walk\n";

DataSettings wanted() {
    DataSettings s;
    s.columns.label = "does";
    s.columns.features = {"y", "x"};
    s.columns.classes = {"walk", "run", "sit"};
    return s;
}

}  // namespace

TEST_CASE("a node's own rows come in the order, with the classes and on the scale that the job names") {
    const Folder folder;
    const std::string file = folder.write("own.csv", table);
    DataSettings s = wanted();
    s.centre = {500, 5};
    s.scale = {0.01f, 1};
    const auto data = read_own_data(s, file, 1);
    REQUIRE(data);
    CHECK(data->table.features == 2);
    CHECK(data->table.classes == 3);
    CHECK(data->table.labels[0] == 2);
    CHECK(data->table.labels[1] == 0);
    CHECK(data->table.values[0] == Approx(-4.0f));  // (100 - 500) / 100
    CHECK(data->table.values[1] == -4.0f);          // 1 - 5
    REQUIRE(data->parts.size() == 1);
    CHECK(data->parts[0].test.size() == 2);
    CHECK(data->parts[0].train.size() == 8);

    const auto shape = read_own_data(s, "", 1);
    REQUIRE(shape);
    CHECK(shape->table.rows() == 0);
    CHECK(shape->parts.empty());
    CHECK(shape->table.centre == s.centre);
}

TEST_CASE("without a scale of the job a node goes by its own rows, and keeps what is constant there as 0") {
    const Folder folder;
    DataSettings s = wanted();
    s.columns.features = {"still", "y"};
    s.standardise = true;
    const auto data = read_own_data(s, folder.write("own.csv", table), 1);
    REQUIRE(data);
    REQUIRE(data->table.features == 2);
    double sum = 0, square = 0;
    for (const std::uint32_t row : data->parts[0].train) {
        CHECK(data->table.values[2 * row] == 0.0f);
        const double value = data->table.values[2 * row + 1];
        sum += value;
        square += value * value;
    }
    CHECK(sum == Approx(0.0).margin(1e-5));
    CHECK(square / 8 == Approx(1.0));
    CHECK(data->table.centre.empty());  // nobody else's model goes by this node's rows
    s.standardise = false;
    const auto plain = read_own_data(s, folder.write("own.csv", table), 1);
    REQUIRE(plain);
    CHECK(plain->table.values[0] == 3.0f);
    CHECK(plain->table.values[1] == 100.0f);
}

TEST_CASE("what is told of data that do not fit names what the job names, and nothing of the data") {
    const Folder folder;
    const auto refused = [&](const std::string& text, const std::string& told, const std::string& detail) {
        const auto data = read_own_data(wanted(), folder.write("secret.csv", text), 1);
        REQUIRE_FALSE(data);
        INFO(data.error().text);
        CHECK(data.error().told == told);
        CHECK(data.error().text.find(detail) != std::string::npos);
        CHECK(data.error().told.find("secret") == std::string::npos);
    };
    refused("x,secret,does\n1,2,sit\n", "its data lack the column 'y' that data.features names", "'secret'");
    refused("x,y,secret\n1,2,sit\n", "its data lack the column 'does' that data.label names", "'secret'");
    refused("x,y,does\n1,2,secret\n", "its data have a label that data.classes does not list", "line 2: 'secret'");
    refused("x,y,does\n1,secret,sit\n2,3,sit\n", "its data have a value that is missing or no number",
            "'secret' in line 2");
    refused("x,y,does\n1,secret,sit\n", "a feature of its data is words, and the job wants numbers", "secret.csv");
    refused("x,y,does\n1,2,sit\n", "its data have too few rows to train on and to hold out", "1 rows");
    refused("", "its data cannot be read", "the file is empty");
    const auto gone = read_own_data(wanted(), (folder.path / "nowhere.csv").string(), 1);
    REQUIRE_FALSE(gone);
    CHECK(gone.error().told == "its data are not where its --data says");
}

TEST_CASE("a coordinator plans a job for data that it has not, and a node makes the same model of its own") {
    const Folder folder;
    const std::string toml =
        "kind = \"classification\"\n[data]\nsource = \"nodes\"\nlabel = \"does\"\n"
        "features = [\"x\", \"y\"]\nclasses = [\"sit\", \"walk\"]\nstandardise = true\n"
        "[model]\nhidden = [5]\n";
    const auto plan = plan_job(toml, "the test", 3);
    REQUIRE(plan);
    CHECK(plan->first.size() == 2 * 5 + 5 + 5 * 2 + 2);
    JobTerms terms = plan->member_terms(2);
    const auto task = make_node_task_with(folder.write("own.csv", table), terms);
    REQUIRE(task);
    CHECK((*task)->measure(plan->first).front().name == "accuracy");
    CHECK_FALSE((*task)->personal_file().empty());
    const auto none = make_node_task(terms);
    REQUIRE_FALSE(none);
    CHECK(none.error().text.find("--data") != std::string::npos);
}

TEST_CASE("a job that does not ask for data of the nodes' own says nothing of them [old nodes]") {
    const auto plan = plan_job("kind = \"classification\"\n", "the test", 3);
    REQUIRE(plan);
    for (const char* key : {"\nsource", "\nfeatures", "\nclasses", "\ninputs", "\ncentre", "\nscale", "\nheader"}) {
        INFO(key);
        CHECK(plan->experiment.find(key) == std::string::npos);
    }
}
