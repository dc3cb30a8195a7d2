// SPDX-License-Identifier: Apache-2.0
// Nodes that bring data of their own: real processes, each with a file that nobody else reads.
#include "live_fleet.hpp"

#include <fmt/format.h>

using namespace dunlin::program;
using nlohmann::json;

namespace {

/// Somebody's day: the mean of x says what they do, however the sensor is mounted.
std::string day(const std::string& titles, int seed) {
    std::string text = titles + "\n";
    for (int k = 0; k < 120; ++k) {
        const bool walks = (k + seed) % 3 == 0;
        text += fmt::format("{},{}.{},{},{}\n", walks ? "walk" : "sit", walks ? 9 : 1, (k * 7 + seed) % 10,
                            1000 + (k * 31 + seed) % 100, seed);
    }
    return text;
}

const std::vector<std::string> own_job{"run",   "classification",         "--set", "data.source=nodes",
                                       "--set", "data.features=[x, y]",   "--set", "data.classes=[sit, walk]",
                                       "--set", "data.label=activity",    "--set", "data.centre=[5, 1000]",
                                       "--set", "data.scale=[0.2, 0.01]", "--set", "fleet.updates=20"};

std::vector<std::string> with(std::vector<std::string> words, const std::vector<std::string>& more) {
    words.insert(words.end(), more.begin(), more.end());
    return words;
}

std::string refusal(const json& job, const std::string& name) {
    for (const json& member : job["member_list"]) {
        if (member["name"] == name)
            return member["state"] == "declined" ? member.value("refusal", "") : "takes part";
    }
    return "no member";
}

}  // namespace

TEST_CASE("nodes learn from tables of their own, and who lacks what the job names declines and says what") {
    const Folder data;
    const std::string ann = data.file("ann.csv", day("activity,x,y,", 1));
    const std::string bob = data.file("bob.csv", day("activity,x,y,id", 2));
    const std::string eve = data.file("eve.csv", day("activity,x,diary,id", 3));
    const LiveFleet fleet({{.name = "ann", .options = {"--data", ann}},
                           {.name = "bob", .options = {"--data", bob}},
                           {.name = "eve", .options = {"--data", eve}},
                           {.name = "dan"}});
    fleet.ask(own_job);
    REQUIRE(fleet.command({"wait", "--for=reported", "--timeout", "100"}).code == 0);
    const json job = fleet.ask({"status", "--job", "1"});
    CHECK(job["state"] == "finished");
    CHECK(refusal(job, "eve") == "declined: its data lack the column 'y' that data.features names");
    CHECK(refusal(job, "dan").find("this node has none; start it with dunlin-node run --data") !=
          std::string::npos);
    for (const json& member : job["member_list"]) {
        if (member["state"] == "declined") continue;
        INFO(member);
        CHECK(member["updates"] > 0);
        CHECK(member["metrics"]["accuracy"] > 0.95);
    }
    CHECK(fleet.nodes[0]->wait_for_error_text("1 column without a title left out"));
    // What a node has is in its log alone.
    CHECK(job.dump().find("diary") == std::string::npos);
    CHECK(fleet.nodes[2]->wait_for_error_text("the file has 'activity', 'x', 'diary', 'id'"));
    CHECK(fleet.command({"status", "--job", "1"}).out.find("lack the column 'y'") != std::string::npos);

    fleet.ask({"pull", "--out", "pulled.dunlin"});
    const Ended inspected = run(fleet.folder, {"inspect", "pulled.dunlin", "--json"});
    INFO(inspected.err);
    REQUIRE(inspected.code == 0);
    CHECK(inspected.out.find("\"walk\"") != std::string::npos);
    // The model goes to those who have such data, to be made their own.
    fleet.ask({"push", "pulled.dunlin"});
    REQUIRE(fleet.command({"wait", "--for=reported", "--timeout", "100"}).code == 0);
    const json pushed = fleet.ask({"status", "--job", "2"});
    CHECK(refusal(pushed, "eve").find("column 'y'") != std::string::npos);
    CHECK(pushed["member_list"][0]["metrics"]["accuracy"] > 0.95);

    const Ended other = fleet.command({"push", "pulled.dunlin", "--set", "model.activation=tanh"});
    CHECK(other.code == 2);
    CHECK(other.err.find("the model was trained with \"relu\"") != std::string::npos);
    const Ended adapted = run(fleet.folder, {"adapt", "pulled.dunlin", "--data", ann, "--json"});
    INFO(adapted.err);
    REQUIRE(adapted.code == 0);
    CHECK(json::parse(adapted.out)["together"]["after"]["accuracy"] > 0.95);
    CHECK(run(fleet.folder, {"adapt", "pulled.dunlin"}).err.find("name a file of such data with --data") !=
          std::string::npos);

    // Without a server, and with labels that one of them does not have in the list.
    fleet.ask(with(own_job, {"--set", "federated.method=pars-push", "--set", "data.classes=[sit, run]", "--nodes",
                             "ann", "bob"}));
    REQUIRE(fleet.command({"wait", "--for=ended", "--timeout", "100"}).code != 3);
    CHECK(refusal(fleet.ask({"status", "--job", "3"}), "ann") ==
          "declined: its data have a label that data.classes does not list");
    fleet.command({"stop", "--job", "3"});
    fleet.ask(with(own_job, {"--set", "federated.method=pars-push", "--nodes", "ann", "bob"}));
    REQUIRE(fleet.command({"wait", "--for=reported", "--timeout", "100"}).code == 0);
    CHECK(fleet.ask({"status", "--job", "4"})["member_list"][1]["metrics"]["accuracy"] > 0.95);
}

TEST_CASE("a job for data of the nodes' own is refused where its settings do not say what they are to have") {
    const LiveFleet fleet({{"ann"}});
    const auto refused = [&](const std::vector<std::string>& more, const std::string& part) {
        const Ended ended = fleet.command(with(own_job, more));
        INFO(ended.err);
        CHECK(ended.code == 2);
        CHECK(ended.err.find(part) != std::string::npos);
    };
    refused({"--set", "data.features=[]"}, "data.features says which columns");
    refused({"--set", "data.classes=[]"}, "data.classes lists the labels");
    refused({"--set", "data.classes=[a, a]"}, "data.classes lists the labels");
    refused({"--set", "data.centre=[1]"}, "data.centre has 1 numbers for 2 features");
    refused({"--set", "data.scale=[1, 0]"}, "data.scale: 0 would leave nothing");
    refused({"--set", "data.inputs=3"}, "data.inputs = 3, but data.features names 2");
    refused({"--set", "federated.method=fedavg", "--set", "federated.weigh_by_samples=true"},
            "nobody here knows how many rows");
    const Ended here = run(fleet.folder, {"train", "classification", "--set", "data.source=nodes", "--out", "run"});
    CHECK(here.code == 2);
    CHECK(here.err.find("the data are on the nodes") != std::string::npos);
}

TEST_CASE("a model that was trained on a table of this machine is pushed to nodes that have such tables") {
    const Folder data;
    const LiveFleet fleet(
        {{.name = "ann", .options = {"--data", data.file("ann.csv", day("activity,x,y,id", 1))}},
         {.name = "eve", .options = {"--data", data.file("eve.csv", day("activity,x,z,id", 3))}}});
    std::string table = day("activity,x,y,id", 1);
    fleet.folder.file("table.csv", table + table.substr(table.find('\n') + 1));
    const Ended trained =
        run(fleet.folder, {"train", "classification", "--set", "data.path=table.csv", "--set",
                           "data.label=activity", "--set", "data.ignored=[id]", "--set", "data.split=uniform",
                           "--set", "data.clients=10", "--set", "clock.budget_s=300", "--out", "run", "--quiet"});
    INFO(trained.err);
    REQUIRE(trained.code == 0);
    fleet.ask({"push", "run", "--set", "data.source=nodes"});
    REQUIRE(fleet.command({"wait", "--for=reported", "--timeout", "100"}).code == 0);
    const json job = fleet.ask({"status", "--job", "1"});
    CHECK(refusal(job, "eve") == "declined: its data lack the column 'y' that data.features names");
    CHECK(job["member_list"][0]["metrics"]["accuracy"] > 0.95);
}
