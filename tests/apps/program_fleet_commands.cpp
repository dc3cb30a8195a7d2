// SPDX-License-Identifier: Apache-2.0
#include "live_fleet.hpp"
#include "training/host/array_file.hpp"
#include "training/models/model_file.hpp"

#include <algorithm>
#include <deque>
#include <sstream>

using namespace dunlin::program;
using Catch::Matchers::Contains;
using nlohmann::json;

TEST_CASE("a fleet is set up before anybody serves it") {
    const Fleet fleet;
    const Ended nothing = fleet.command({"status"});
    CHECK(nothing.code == 2);
    CHECK_THAT(nothing.err, Contains("fleet init"));
    for (const auto& [option, value] :
         {std::pair("--listen", "tcp://127.0.0.1:99999"), std::pair("--listen", "7700"),
          std::pair("--metrics", "9464"), std::pair("--metrics", "laptop:9464")})
        CHECK(fleet.command({"init", option, value}).code == 2);
    const json made = fleet.init();
    CHECK(made["made"] == true);
    CHECK_THAT(fleet.command({"pull"}).err, Contains("no job yet"));
    const Ended everywhere = fleet.command({"serve", "--metrics", "0.0.0.0:0"});
    CHECK(everywhere.code == 2);
    CHECK_THAT(everywhere.err, Contains("--metrics-everywhere"));
    CHECK(fleet.init()["server_key"] == made["server_key"]);

    CHECK(fleet.command({"admit", "kitchen", "nonsense"}).code == 2);
    CHECK(fleet.ask({"admit", "kitchen", some_key, "--label", "arm"})["name"] == "kitchen");
    const Ended twice = fleet.command({"admit", "cellar", some_key});
    CHECK(twice.code == 2);
    CHECK_THAT(twice.err, Contains("another key") || Contains("name"));
    const json nodes = fleet.ask({"nodes"})["nodes"];
    REQUIRE(nodes.size() == 1);
    CHECK(nodes[0]["state"] == "away");
    CHECK(nodes[0]["labels"] == json({"arm"}));

    CHECK(fleet.command({"run", "no-such-experiment"}).code == 2);
    CHECK(fleet.command({"run", "navigation"}).code == 2);
    CHECK(fleet.command({"run", "fleet-navigation-server", "--nodes", "nobody"}).code == 2);
    CHECK(fleet.ask(small_job)["job"] == 1);
    CHECK(fleet.ask(small_job)["made"] == false);
    CHECK(fleet.ask({"jobs"})["jobs"].size() == 1);
    CHECK(fleet.command({"wait", "--for=ended", "--timeout", "0.3"}).code == 3);
    CHECK(fleet.command({"wait", "--for=christmas"}).code == 2);

    const Ended doctor = fleet.command({"doctor", "--json"});
    CHECK(doctor.code == 1);
    CHECK_THAT(doctor.out, Contains("nobody serves"));

    CHECK(fleet.command({"backup", "copy"}).code == 0);
    CHECK(fleet.command({"backup", "copy"}).code == 2);
    fleet.ask({"revoke", "kitchen"});
    CHECK(fleet.ask({"nodes"})["nodes"][0]["state"] == "revoked");
    const Ended asked = fleet.command({"restore", "copy"});
    CHECK(asked.code == 2);
    CHECK_THAT(asked.err, Contains("kitchen was revoked since") && Contains("--yes"));
    CHECK(fleet.ask({"nodes"})["nodes"][0]["state"] == "revoked");
    fleet.ask({"restore", "copy", "--yes"});
    CHECK(fleet.ask({"nodes"})["nodes"][0]["state"] == "away");
    CHECK(fleet.ask({"pause"})["state"] == "paused");
    CHECK(fleet.ask({"resume"})["state"] == "running");
    CHECK(fleet.ask({"stop"})["state"] == "stopped");
    CHECK(fleet.command({"stop"}).code == 2);
    CHECK(fleet.command({"wait", "--for=finished"}).code == 1);
    CHECK_THAT(fleet.command({"logs"}).out, Contains("job 1: stopped"));
}

TEST_CASE("commands that come at once to a fleet without an index all get their answer") {
    const Fleet fleet;
    fleet.init();
    for (int round = 0; round < 8; ++round) {
        for (const char* part : {"", "-wal", "-shm"})
            std::filesystem::remove(fleet.folder / (std::string("store/store.db") + part));
        std::deque<Running> commands;
        for (int k = 0; k < 8; ++k)
            commands.emplace_back(fleet.folder, std::vector<std::string>{"fleet", "status", "--store", "store"});
        for (Running& command : commands) {
            const Ended ended = command.wait();
            INFO(ended.err);
            CHECK(ended.code == 0);
        }
    }
}

#ifndef __SANITIZE_ADDRESS__
TEST_CASE("a node that learned with a policy of 2-64-64-5 never had 15 MB, and its program has no 7.2 MB") {
    LiveFleet fleet({{"alice"}});
    std::vector<std::string> job = small_job;
    std::replace(job.begin(), job.end(), std::string("policy.hidden=[8]"), std::string("policy.hidden=[64, 64]"));
    fleet.ask(job);
    REQUIRE(fleet.command({"wait", "--for=reported", "--timeout", "120"}).code == 0);
    const std::string process = "/proc/" + std::to_string(fleet.nodes[0]->process());
    const std::string status = read(process + "/status");
    const std::size_t peak = status.find("VmHWM:");
    REQUIRE(peak != std::string::npos);
    // In kB; some 2 MB are OpenSSL, by which it enrols.
    CHECK(std::stol(status.substr(peak + 6)) < 15 * 1024);
    // As it is packaged and put on a board: without names for a debugger.
    const std::string bare = (fleet.folder / "bare-node").string();
    const std::string program = std::filesystem::read_symlink(process + "/exe").string();
    REQUIRE(std::system(("strip -o '" + bare + "' '" + program + "'").c_str()) == 0);
    CHECK(std::filesystem::file_size(bare) < 7'200'000);
}
#endif

TEST_CASE("a fleet runs a job, is pulled from, pushed to, saved and put back while it serves") {
    LiveFleet fleet;
    const Ended second = fleet.command({"serve"});
    CHECK(second.code == 1);
    CHECK_THAT(second.err, Contains("serves this fleet already"));
    REQUIRE(fleet.ask(small_job)["job"] == 1);
    REQUIRE(fleet.command({"wait", "--for=reported", "--timeout", "120"}).code == 0);
    const json job = fleet.ask({"status", "--job", "1"});
    CHECK(job["state"] == "finished");
    CHECK(job["updates"] == 40);
    for (const json& member : job["member_list"]) CHECK(member["metrics"]["return_ratio"] > 0.0);
    CHECK_THAT(fleet.command({"watch"}).out, Contains("alice") && Contains("return_ratio"));

    fleet.ask({"pull", "--out", "policy.dunlin"});
    const auto policy = dunlin::TrainedModel::read(fleet.folder / "policy.dunlin");
    REQUIRE(policy);
    CHECK(policy->experiment == "fleet-navigation-server");
    const Ended adapted = run(fleet.folder, {"adapt", "policy.dunlin", "--task", "goal=3,4", "--json"});
    INFO(adapted.err);
    REQUIRE(adapted.code == 0);
    CHECK(json::parse(adapted.out)["tasks"][0]["name"] == "goal=3,4");

    // Each node kept what it made its own: another policy than the shared one, and than the other's.
    std::vector<std::vector<float>> all{policy->parameters};
    for (const char* name : {"alice", "bob"}) {
        const std::string path = std::string(name) + "/personal-1.dunlin";
        const auto personal = dunlin::TrainedModel::read(fleet.folder / path);
        REQUIRE(personal);
        CHECK(std::ranges::count(all, personal->parameters) == 0);
        all.push_back(personal->parameters);
        CHECK(run(fleet.folder, {"adapt", path, "--task", "goal=3,4", "--no-plot"}).code == 0);
        CHECK(run(fleet.folder, {"export", path, "--format", "c", "--out", name}).code == 0);
    }
    fleet.ask({"backup", "copy"});

    const json pushed = fleet.ask({"push", "policy.dunlin", "--nodes", "bob"});
    REQUIRE(pushed["job"] == 2);
    REQUIRE(fleet.command({"wait", "--for=reported", "--timeout", "60"}).code == 0);
    CHECK(fleet.ask({"status", "--job", "2"})["member_list"][0]["metrics"]["return_ratio"] > 0.0);
    CHECK_THAT(fleet.command({"logs"}).out, Contains("bob return_ratio") && Contains("; finished at version"));

    fleet.ask({"restore", "copy"});
    REQUIRE(fleet.server->wait_for_error_text("\"restored\""));
    REQUIRE(fleet.command({"wait", "--for=nodes=2", "--timeout", "60"}).code == 0);
    CHECK(fleet.ask({"jobs"})["jobs"].size() == 1);
    fleet.server->send(SIGTERM);
    CHECK(fleet.server->wait().code == 0);
    CHECK(fleet.ask({"status"})["serving"] == false);
}

TEST_CASE("nodes are added to a job that runs, and taken out of it") {
    LiveFleet fleet;
    std::vector<std::string> job = small_job;
    job.insert(job.end(), {"--set", "method.rounds=1000000", "--nodes", "alice"});
    fleet.ask(job);
    const auto members = [&] { return fleet.ask({"status", "--job", "1"})["member_list"]; };
    REQUIRE(members().size() == 1);
    CHECK(fleet.ask({"add", "bob"})["added"][0]["member"] == 1);
    while (members()[1]["updates"] < 3) continue;
    const Ended again = fleet.command({"add", "board", "--job", "1"});
    CHECK(again.code == 2);
    CHECK_THAT(again.err, Contains("members already"));
    CHECK(fleet.ask({"remove", "bob", "--job", "1"})["removed"][0]["name"] == "bob");
    CHECK(members()[1]["state"] == "gone");
    CHECK(fleet.command({"remove", "bob"}).code == 2);
    CHECK(fleet.command({"remove", "nobody"}).code == 2);
    const auto updates = members()[1]["updates"].get<int>();
    fleet.ask({"add", "bob"});
    while (members()[1]["updates"] < updates + 3) continue;
    for (const char* command : {"add", "remove"})
        CHECK_THAT(fleet.command({command, "--help"}).out, Contains("Example:"));
}

TEST_CASE("a node declines a job whose data are too large for it, says what it would need, and lives on") {
    const Folder elsewhere;
    const std::string node = std::filesystem::path(DUNLIN_PROGRAM).replace_filename("dunlin-node").string();
    const std::string small = elsewhere.file(
        "node.sh", "test $1 = run || exec " + node + " \"$@\"\nexec " + node + " \"$@\" --memory-mb 4\n");
    LiveFleet fleet({{"alice", "sh " + small}});
    fleet.ask({"run", "classification", "--set", "data.clients=2", "--set", "data.rows=20000"});
    CHECK(fleet.command({"wait", "--for=ended", "--timeout", "60"}).code == 0);
    const json member = fleet.ask({"status", "--job", "1"})["member_list"][0];
    CHECK(member["state"] == "declined");
    CHECK_THAT(member["refusal"].get<std::string>(), Contains("MB") && Contains("--memory-mb allows 4"));
    fleet.ask(small_job);
    CHECK(fleet.command({"wait", "--for=finished", "--timeout", "60"}).code == 0);
}

TEST_CASE("a job without a server ends with a model, and a ledger that balances to the bit") {
    LiveFleet fleet;
    fleet.ask({"run", "fleet-navigation", "--set", "policy.hidden=[8]", "--set", "report.adaptations=1", "--set",
               "method.rounds=1000000", "--set", "fleet.audit=true"});
    REQUIRE(fleet.command({"wait", "--for=accepted", "--timeout", "60"}).code == 0);
    CHECK(fleet.command({"pull"}).code == 2);
    CHECK_THAT(fleet.command({"stop"}).err, Contains("job 1: ending") && Contains("wait --for=ended --job 1"));
    REQUIRE(fleet.command({"wait", "--for=reported", "--timeout", "60"}).code == 0);
    CHECK_THAT(fleet.command({"ledger"}).err, Contains("next: ") && Contains("pull 1"));
    const Ended doctor = fleet.command({"doctor"});  // what this machine has too little of may be a finding
    CHECK((doctor.code == 1 || doctor.err.find("next: ") != std::string::npos));
    const json epochs = fleet.ask({"ledger"})["epochs"];
    REQUIRE(epochs.size() == 1);
    CHECK(epochs[0]["weight_lost"] == 0);
    CHECK(epochs[0]["values_lost_norm"] == 0.0);
    CHECK(fleet.ask({"pull"})["parameters"] > 50);
}

TEST_CASE("real nodes learn with every objective by D-PSGD and by servers of every kind") {
    LiveFleet fleet;
    int number = 0;
    for (const auto& [objective, aggregation] :
         {std::pair{"plain", "dpsgd"}, std::pair{"maml", "dpsgd"}, std::pair{"moreau", "dpsgd"},
          std::pair{"plain", "pars-push"}, std::pair{"moreau", "fedbuff"}, std::pair{"maml", "fedavg"},
          std::pair{"plain", "fedasync"}, std::pair{"plain", "fedprox"}, std::pair{"maml", "persafl"},
          std::pair{"bilevel", "pars-push"}, std::pair{"bilevel", "fedavg"}, std::pair{"ditto", "dpsgd"},
          std::pair{"ditto", "fedbuff"}, std::pair{"plain", "scaffold"}, std::pair{"maml", "scaffold"}}) {
        INFO(objective << " " << aggregation);
        fleet.ask({"run",   "classification",
                   "--set", "data.clients=2",
                   "--set", "data.rows=200",
                   "--set", "model.hidden=[8]",
                   "--set", "federated.buffer_size=2",
                   "--set", "federated.local_steps=4",
                   "--set", "fleet.updates=2",
                   "--set", "fleet.audit=true",
                   "--set", std::string("objective.name=") + objective,
                   "--set", std::string("aggregation.name=") + aggregation});
        ++number;
        REQUIRE(fleet.command({"wait", "--for=reported", "--timeout", "60"}).code == 0);
        const json status = fleet.ask({"status", "--job", std::to_string(number)});
        CHECK(status["state"] == "finished");
        if (status["aggregation"] == "push-sum") CHECK(status["weight_lost"] == 0);
    }
    const Ended refused = fleet.command({"run", "classification", "--set", "aggregation.name=global"});
    CHECK(refused.code == 2);
    CHECK_THAT(refused.err, Contains("everybody in one place"));
}

TEST_CASE("policies on a grid keep layers and whole models with real nodes") {
    LiveFleet fleet;
    int number = 0;
    for (const auto& [objective, aggregation] :
         {std::pair{"bilevel", "spd"}, std::pair{"bilevel", "persafl"}, std::pair{"ditto", "fedavg"}}) {
        INFO(objective << " " << aggregation);
        fleet.ask({"run", "fleet-navigation", "--set", "policy.hidden=[8]", "--set", "environment.map=empty-4x4",
                   "--set", "environment.horizon=10", "--set", "adaptation.trajectories=8", "--set",
                   "method.rounds=20", "--set", "method.settling_rounds=2", "--set",
                   std::string("objective.name=") + objective, "--set",
                   std::string("aggregation.name=") + aggregation});
        ++number;
        REQUIRE(fleet.command({"wait", "--for=reported", "--timeout", "60"}).code == 0);
        CHECK(fleet.ask({"status", "--job", std::to_string(number)})["state"] == "finished");
        std::ostringstream name;
        name << "alice/personal-" << number << ".dunlin";
        const auto kept = dunlin::TrainedModel::read(fleet.folder / name.str());
        REQUIRE(kept);
        CHECK_THAT(kept->personal_is, Contains("own") || Contains("kept"));
    }
}

TEST_CASE("nodes run exactly the policy that is pushed, or the push is refused by key") {
    LiveFleet fleet;
    const std::vector<std::string> own{"policy.activation=relu",     "policy.input=coordinates",
                                       "policy.hidden=[7]",          "environment.map=empty-5x4",
                                       "environment.slip_limit=0.1", "rl.horizon=13"};
    std::vector<std::string> arguments{"train", "navigation", "--quiet", "--out", "run", "--set=rl.iterations=1"};
    for (const std::string& setting : own) arguments.push_back("--set=" + setting);
    REQUIRE(run(fleet.folder, arguments).code == 0);
    const auto policy = dunlin::TrainedModel::read(fleet.folder / "run/policy.dunlin");
    REQUIRE(policy);
    for (const char* other : {"policy.activation=tanh", "policy.input=one-hot", "policy.hidden=[8]"}) {
        const Ended refused = fleet.command({"push", "run/policy.dunlin", "--set", other});
        CHECK(refused.code == 2);
        CHECK_THAT(refused.err, Contains(std::string(other).substr(0, std::string(other).find('='))));
    }
    fleet.ask({"push", "run/policy.dunlin"});
    REQUIRE(fleet.command({"wait", "--for=reported", "--timeout", "120"}).code == 0);
    const auto personal = dunlin::TrainedModel::read(fleet.folder / "alice/personal-1.dunlin");
    REQUIRE(personal);
    CHECK(personal->shape == policy->shape);
    for (const char* said : {"horizon = 13", "map = \"empty-5x4\"", "slip_limit = 0.1"})
        CHECK_THAT(personal->config, Contains(said));
    const Ended pulled = fleet.command({"pull", "--out", "back.dunlin"});
    CHECK(pulled.code == 0);
    CHECK_THAT(pulled.err, Contains("has not learned"));
    CHECK(fleet.ask({"pull", "--out", "back.dunlin"})["learned"] == false);
    CHECK(dunlin::TrainedModel::read(fleet.folder / "back.dunlin")->parameters == policy->parameters);
}

TEST_CASE("nodes that classify keep their own models, and the shared one can be pulled") {
    LiveFleet fleet;
    fleet.ask({"run", "classification", "--set", "data.clients=2", "--set", "federated.method=pfedme", "--set",
               "model.hidden=[16]", "--set", "fleet.updates=2"});
    REQUIRE(fleet.command({"wait", "--for=reported", "--timeout", "60"}).code == 0);
    CHECK(fleet.ask({"status", "--job", "1"})["state"] == "finished");
    fleet.ask({"pull", "--out", "model.dunlin"});
    std::vector<std::vector<float>> all;
    for (const char* path : {"model.dunlin", "alice/personal-1.dunlin", "bob/personal-1.dunlin"}) {
        const auto file = dunlin::ArrayFile::read(fleet.folder / path, "model");
        REQUIRE(file);
        all.push_back(*file->floats("parameters"));
        CHECK(all.back().size() == all.front().size());
        CHECK(std::ranges::count(all, all.back()) == 1);
    }
}
