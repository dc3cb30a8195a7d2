// SPDX-License-Identifier: Apache-2.0
// What earlier versions left on disks (tests/fixtures/write.sh) is read, and gone on with, by this one.
#include "live_fleet.hpp"
#include "source_dir.hpp"

#include <algorithm>

using namespace dunlin::program;
using nlohmann::json;

namespace {

std::filesystem::path fixture(const std::string& name) {
    return std::filesystem::path(DUNLIN_SOURCE_DIR) / "tests" / "fixtures" / "0.1" / name;
}

void copy(const Folder& folder, const std::string& name) {
    std::filesystem::copy(fixture(name), folder / name, std::filesystem::copy_options::recursive);
    // Keys that others may read are refused, and a checkout gives files to all.
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder / name)) {
        if (entry.is_regular_file())
            std::filesystem::permissions(entry,
                                         std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    }
}

Ended succeeds(const Folder& folder, const std::vector<std::string>& words) {
    Ended ended = run(folder, words);
    INFO(words.front() << ": " << ended.err);
    REQUIRE(ended.code == 0);
    return ended;
}

}  // namespace

TEST_CASE("runs of earlier versions are inspected, adapted and exported") {
    bool same_kernels = false;  // others round in another way
    for (const std::string name : {"navigation", "fleet-navigation", "classification", "ranking"}) {
        INFO(name);
        Folder folder;
        copy(folder, name);
        const std::string model = name.find("navigation") == std::string::npos ? "model.dunlin" : "policy.dunlin";
        succeeds(folder, {"inspect", (folder / name / model).string()});
        succeeds(folder, {"adapt", name, "--quiet"});
        succeeds(folder, {"export", name, "--format", "c", "--out", "model.c"});
        // A run with the settings that are written there gives what is written there.
        succeeds(folder,
                 {"train", "--config", (folder / name / "config.toml").string(), "--out", "again", "--quiet"});
        json before = read_json(folder / name / "summary.json"),
             after = read_json(folder / "again" / "summary.json");
        if (before.contains("kernels")) same_kernels = before["kernels"] == after["kernels"];
        if (before.contains("trace") && same_kernels) CHECK(after["trace"] == before["trace"]);
        for (const auto& [key, value] : before.items()) CHECK(after.contains(key));
    }
}

TEST_CASE("an interrupted run of an earlier version goes on from its checkpoint") {
    Folder folder;
    copy(folder, "interrupted");
    const auto rows = [&] { return csv(read(folder / "interrupted" / "metrics.csv")).size(); };
    const std::size_t before = rows();
    succeeds(folder, {"train", "--resume", "interrupted"});
    CHECK(read_json(folder / "interrupted" / "summary.json")["iterations"] == 1400);
    CHECK(rows() > before);
}

TEST_CASE("a fleet of an earlier version goes on with both its jobs, from its store and its nodes' states") {
    LiveFleet fleet(LiveFleet::not_yet);
    for (const std::string name : {"store", "alice", "bob", "carol", "dave"}) copy(fleet.folder, name);
    const auto ticks = [&] {
        std::vector<double> all;
        const json status = fleet.ask({"status", "--job", "2"});
        for (const json& member : status["member_list"])
            all.push_back(member["tick"].is_number() ? member["tick"].get<double>() : -1.0);
        return all;
    };
    const std::uint64_t updates = fleet.ask({"status", "--job", "1"})["updates"];
    CHECK(updates > 9);
    fleet.serve();
    const std::string key = fleet.ask({"status"})["server_key"];
    for (const std::string name : {"alice", "bob", "carol", "dave"})
        fleet.nodes.push_back(fleet.start_node(name, key));
    REQUIRE(fleet.command({"wait", "--for=nodes=4", "--timeout", "60"}).code == 0);
    while (fleet.ask({"status", "--job", "1"})["updates"] < updates + 10) REQUIRE(fleet.nodes[0]->anyone_left());
    const std::vector<double> first = ticks();
    REQUIRE(first.size() == 2);
    for (std::vector<double> now = first; *std::ranges::min_element(now) < 20 || now[0] < first[0] + 5;
         now = ticks())
        REQUIRE(fleet.nodes[2]->anyone_left());
    for (const std::string job : {"1", "2"}) {
        fleet.ask({"stop", job});
        REQUIRE(fleet.command({"wait", "--for=reported", "--job", job, "--timeout", "60"}).code == 0);
        succeeds(fleet.folder,
                 {"fleet", "pull", "--store", "store", "--job", job, "--out", "job-" + job + ".dunlin"});
    }
    // Nothing of push-sum's mass went astray between the versions.
    CHECK(fleet.ask({"status", "--job", "2"})["weight_lost"] == 0.0);
}
