// SPDX-License-Identifier: Apache-2.0
// A person's own data through the real program (docs/data.md): what is read, what is said, what is refused.
#include "program.hpp"

#include <algorithm>

#include <catch2/catch.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

using namespace dunlin;
using namespace dunlin::program;

namespace {

/// A phone that says where it is used: a class by pressure in Pa (or anything as far from 0), two users.
std::string phones(double mean) {
    std::string text =
        "@relation phones\n@attribute owner {ann,bob}\n@attribute pressure numeric\n@attribute model {old,new}\n"
        "@attribute constant numeric\n@attribute floor {ground,roof}\n@data\n";
    for (int k = 0; k < 80; ++k) {
        const bool roof = k % 4 < 2;
        text += std::string(k % 2 == 0 ? "ann," : "bob,") +
                (k == 7 ? "?" : std::to_string(mean + (roof ? -1.0 : 1.0) + 0.01 * (k % 5))) +
                (k % 3 == 0 ? ",old,5," : ",new,5,") +
                (k == 9 ? "?"
                 : roof ? "roof"
                        : "ground") +
                "\n";
    }
    return text;
}

std::vector<std::string> train(const std::vector<std::string>& more) {
    std::vector<std::string> all{"train", "activity",       "--out", "run", "--quiet", "--set", "clock.budget_s=20",
                                 "--set", "data.user=owner"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
}

}  // namespace

TEST_CASE("a table of one's own is learned from however far its numbers are from 0, and what was changed is said") {
    const Folder folder;
    for (const double mean : {0.0, 101325.0, 1.7e9}) {
        folder.file("phones.ARFF", phones(mean));
        const Ended ended = run(folder, train({"--set", "data.path=phones.ARFF"}));
        INFO(ended.err);
        REQUIRE(ended.code == 0);
        const auto summary = nlohmann::json::parse(read(folder / "run/summary.json"));
        CHECK(summary["accuracy"].get<double>() > 0.95);
        const auto& data = summary["data"];
        CHECK(data["rows"] == 79);
        CHECK(data["rows_without_label"] == 1);
        CHECK(data["missing_values"] == 1);
        CHECK(data["constant_features"] == 1);
        CHECK(data["nominal_features"] == 1);
        for (const auto& note : data["notes"]) CHECK(ended.err.find(note.get<std::string>()) != std::string::npos);
        CHECK(read(folder / "run/report.html").find("1 row without a label left out") != std::string::npos);
        std::filesystem::remove_all(folder / "run");
    }
}

TEST_CASE("a comparison says what was changed in its data, as each of its runs does") {
    const Folder folder;
    folder.file("phones.arff", phones(0));
    std::vector<std::string> words =
        train({"--set", "data.path=phones.arff", "--methods", "persafl-me,fedavg", "--seeds", "2"});
    words[0] = "compare";
    for (const bool again : {false, true}) {
        const Ended ended = again ? run(folder, {"compare", "--resume", "run", "--quiet"}) : run(folder, words);
        INFO(ended.err);
        REQUIRE(ended.code == 0);
        const auto data = nlohmann::json::parse(read(folder / "run/summary.json"))["data"];
        CHECK(data["rows"] == 79);
        CHECK(data["rows_without_label"] == 1);
        CHECK(data["missing_values"] == 1);
        CHECK(std::ranges::count(data["notes"], "1 row without a label left out") == 1);
        CHECK(read(folder / "run/report.html").find("1 row without a label left out") != std::string::npos);
    }
}

TEST_CASE("a table that cannot be learned from is refused with what to do") {
    const std::string good = phones(0);
    const auto refused = [&](const std::string& text, const std::string& part,
                             const std::vector<std::string>& more = {}) {
        const Folder folder;
        folder.file("phones.arff", text);
        std::vector<std::string> all = train({"--set", "data.path=phones.arff"});
        all.insert(all.end(), more.begin(), more.end());
        const Ended ended = run(folder, all);
        INFO(ended.err);
        CHECK(ended.code == 2);
        CHECK(ended.err.find("phones.arff: ") != std::string::npos);
        CHECK(ended.err.find(part) != std::string::npos);
        CHECK_FALSE(std::filesystem::exists(folder / "run"));
    };
    refused(good + "ann,1,2,3\n", "line 88: 'ann,1,2,3' has 4 values; the header declares 5 columns");
    refused(good + "ann,\x1b[2J,old,5,roof\n", "'\\x1b[2J' stands in column 2 ('pressure')");
    refused("nothing of the kind\n", "line 1: 'nothing of the kind'; an ARFF file begins with @relation NAME");
    refused(good, "data.label = 'roof': no column is called so", {"--set", "data.label=roof"});
    const std::string all_the_same =
        "@relation t\n@attribute owner {a}\n@attribute x real\n@attribute class {b,c}\n@data\n";
    std::string same = all_the_same;
    for (int k = 0; k < 20; ++k) same += k % 2 == 0 ? "a,1,b\n" : "a,1,c\n";
    refused(same, "all 1 features are constant");
}

TEST_CASE("a CSV table of users is learned from without code, and the run says what it follows") {
    const Folder folder;
    std::string text = "subject,x,y,activity\n";
    for (int k = 0; k < 160; ++k) {
        const bool walks = k % 3 == 0;
        text +=
            fmt::format("s{},{}.{},{},{}\r\n", k % 8, walks ? 1 : -1, k % 7, 100 + k % 5, walks ? "walk" : "sit");
    }
    folder.file("table.csv", text);
    const std::vector<std::string> words{"train", "classification",      "--out", "run",
                                         "--set", "data.path=table.csv", "--set", "data.label=activity",
                                         "--set", "clock.budget_s=60"};
    auto with = [&](std::vector<std::string> more) {
        more.insert(more.begin(), words.begin(), words.end());
        return run(folder, more);
    };
    const Ended ended = with({"--set", "data.user=subject"});
    INFO(ended.err);
    REQUIRE(ended.code == 0);
    CHECK(ended.err.find(
              "table.csv, 2 features (of zero mean and unit variance over the rows to train on), 2 classes "
              "('sit', 'walk'), a network 2-32-2. 8 clients") != std::string::npos);
    const auto summary = nlohmann::json::parse(read(folder / "run/summary.json"));
    CHECK(summary["clients"] == 8);
    CHECK(summary["accuracy"].get<double>() > 0.95);
    CHECK(summary["data"]["rows"] == 160);
    std::filesystem::remove_all(folder / "run");

    const auto refused = [&](std::vector<std::string> more, const std::string& part) {
        const Ended wrong = with(std::move(more));
        INFO(wrong.err);
        CHECK(wrong.code == 2);
        CHECK(wrong.err.find(part) != std::string::npos);
        CHECK_FALSE(std::filesystem::exists(folder / "run"));
    };
    refused({"--set", "data.label=speed"}, "the file has 'subject', 'x', 'y', 'activity'");
    refused({"--set", "data.clients=500", "--set", "data.split=uniform", "--set", "data.ignored=[subject]"},
            "data.split");
    folder.file("table.csv", "x,activity\n1,sit\n2,sit\n");
    refused({}, "all 2 rows have the same class");
    folder.file("table.csv", "x,activity\n1,sit\n2,nan\n");
    refused({}, "line 3: 'nan' stands in column 2 ('activity')");
}

TEST_CASE("an edge list with weights, numbered from 1, is read and both are said") {
    const Folder folder;
    std::string ring;
    for (int k = 1; k <= 10; ++k) ring += std::to_string(k) + "," + std::to_string(k % 10 + 1) + ",0.5\n";
    folder.file("ring.csv", "source,target,weight\n" + ring);
    const Ended ended = run(folder, {"train", "regression", "--out", "run", "--set", "network.graph=file", "--set",
                                     "network.file=ring.csv", "--set", "method.rounds=20"});
    INFO(ended.err);
    REQUIRE(ended.code == 0);
    CHECK(ended.err.find("nodes 1 to 10 of the file are nodes 0 to 9 here") != std::string::npos);
    const auto summary = nlohmann::json::parse(read(folder / "run/summary.json"));
    CHECK(summary["data"]["graph_weights"] == 10);
    CHECK(summary["data"]["notes"].size() == 3);
}
