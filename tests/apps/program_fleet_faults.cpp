// SPDX-License-Identifier: Apache-2.0
#include "live_fleet.hpp"
#include "program_path.hpp"
#include "training/models/model_file.hpp"

#include <fstream>

using namespace dunlin::program;
using Catch::Matchers::Contains;
using nlohmann::json;

namespace {

void damage_log(const std::filesystem::path& store) {
    for (const auto& entry : std::filesystem::directory_iterator(store)) {
        if (!entry.path().filename().string().starts_with("log-")) continue;
        std::fstream log(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
        log.seekp(100);
        log << "decay";
    }
}

}  // namespace

TEST_CASE("a coordinator that is killed goes on where it was, and its nodes come back") {
    LiveFleet fleet;
    std::vector<std::string> job = small_job;
    job.insert(job.end(), {"--set", "method.rounds=1000000"});
    fleet.ask(job);
    std::uint64_t before = 0;
    for (int k = 0; k < 3; ++k) {
        std::uint64_t updates = before;
        while (updates < before + 20) updates = fleet.ask({"status", "--job", "1"})["updates"];
        fleet.server->send(SIGKILL);
        fleet.server->wait();
        const std::uint64_t durable = fleet.ask({"status", "--job", "1"})["updates"];  // of the store alone
        CHECK(durable >= updates);
        before = durable;
        fleet.serve();
    }
    fleet.ask({"stop"});
    REQUIRE(fleet.command({"wait", "--for=reported", "--timeout", "60"}).code == 0);
    const json members = fleet.ask({"status", "--job", "1"})["member_list"];
    for (const json& member : members) CHECK(member["updates"] > 0);
}

TEST_CASE(
    "a node that is killed again and again ends with the layers of one that never was, to the bit [invariant 4]") {
    LiveFleet fleet;
    const std::vector<std::string> names{"alice", "bob"};
    for (const std::string& name : names) {
        fleet.ask({"run",     "classification",
                   "--nodes", name,
                   "--set",   "data.clients=2",
                   "--set",   "data.rows=200",
                   "--set",   "data.conflicting=true",
                   "--set",   "model.hidden=[8]",
                   "--set",   "model.personal_layers=[\"last\"]",
                   "--set",   "aggregation.name=fedavg",
                   "--set",   "federated.local_steps=5",
                   "--set",   "fleet.updates=600",
                   "--set",   "fleet.patience_s=600"});
    }
    int kills = 0;
    for (std::uint64_t next = 50;;) {
        const json status = fleet.ask({"status", "--job", "1"});
        if (status["state"] != "running") break;
        if (status["updates"] < next) continue;
        next = status["updates"].get<std::uint64_t>() + 100;
        fleet.nodes[0]->send(SIGKILL);
        fleet.nodes[0]->wait();
        fleet.nodes[0] = fleet.start_node("alice", fleet.server_key);
        ++kills;
    }
    CHECK(kills >= 2);
    std::vector<std::vector<float>> models, own;
    for (std::size_t k = 0; k < 2; ++k) {
        const std::string job = std::to_string(k + 1);
        REQUIRE(fleet.command({"wait", "--for=reported", "--job", job, "--timeout", "60"}).code == 0);
        fleet.ask({"pull", "--job", job, "--out", "model"});
        models.push_back(dunlin::TrainedModel::read(fleet.folder / "model")->parameters);
        own.push_back(
            dunlin::TrainedModel::read(fleet.folder / names[k] / ("personal-" + job + ".dunlin"))->parameters);
    }
    CHECK(models[0] == models[1]);
    CHECK(own[0] == own[1]);
    CHECK(own[0] != models[0]);
}

TEST_CASE("half of a fleet without a server dies and comes back, and all learn as if nothing had been", "[.slow]") {
    LiveFleet fleet({{"a"}, {"b"}, {"c"}, {"d"}});
    // Nobody is fenced, however slow this machine is: who comes back in time is not the question here.
    fleet.ask({"run", "fleet-navigation", "--set", "fleet.regroup_s=100"});
    const auto members = [&] { return fleet.ask({"status", "--job", "1"})["member_list"]; };
    const auto reaches = [&](std::size_t member, double tick) {
        for (;;) {
            const json row = members()[member];
            if (row["tick"].is_number() && row["tick"] >= tick) return;
            REQUIRE(fleet.nodes[member]->anyone_left());
        }
    };
    reaches(3, 150);
    for (const std::size_t k : {0u, 1u}) {
        fleet.nodes[k]->send(SIGKILL);
        fleet.nodes[k]->wait();
    }
    reaches(3, 280);
    for (const std::size_t k : {0u, 1u}) fleet.nodes[k] = fleet.start_node(k == 0 ? "a" : "b", fleet.server_key);
    REQUIRE(fleet.command({"wait", "--for=reported", "--timeout", "120"}).code == 0);
    CHECK(fleet.ask({"status", "--job", "1"})["weight_lost"] == 0.0);
    for (const json& row : members()) {
        INFO(row);
        CHECK(row["metrics"]["return_ratio"] > 0.9);
        CHECK(row["tick"] > 700);
    }
}

TEST_CASE("a node whose log has no room learns on") {
    const Folder elsewhere;
    const std::string node = std::filesystem::path(DUNLIN_PROGRAM).replace_filename("dunlin-node").string();
    const std::string script = elsewhere.file(
        "node.sh", "test $1 = run || exec " + node + " \"$@\"\nexec " + node + " \"$@\" 2>/dev/full\n");
    LiveFleet fleet({{"alice"}, {"bob", "sh " + script}});
    fleet.ask(small_job);
    REQUIRE(fleet.command({"wait", "--for=reported", "--timeout", "120"}).code == 0);
    CHECK(fleet.ask({"status", "--job", "1"})["state"] == "finished");
    CHECK(fleet.nodes[1]->anyone_left());
}

TEST_CASE("a coordinator, a node and a gateway whose logs nobody reads any more go on") {
    const Folder elsewhere;
    const std::string node = without_reader(elsewhere, "dunlin-node"), dunlin = without_reader(elsewhere, "dunlin");
    LiveFleet fleet({{"alice", "sh " + node}});
    CHECK(fleet.nodes[0]->anyone_left());
    // With a job it has something to say as soon as it starts.
    std::vector<std::string> job = small_job;
    job.insert(job.end(), {"--set", "method.rounds=1000000"});
    fleet.ask(job);
    const auto updates = [&] { return fleet.ask({"status", "--job", "1"})["updates"].get<std::uint64_t>(); };
    while (updates() < 5) continue;
    fleet.nodes[0]->send(SIGKILL);
    fleet.nodes[0]->wait();
    const std::uint64_t before = updates();
    fleet.nodes[0] = fleet.start_node("alice", fleet.server_key, "sh " + node);
    for (int k = 0; k < 2000 && updates() <= before + 2 && fleet.nodes[0]->anyone_left(); ++k) continue;
    CHECK(updates() > before + 2);

    Fleet other;
    other.init();
    Running server(other.folder, {"fleet", "serve", "--store", "store"}, "sh " + dunlin);
    bool serves = false;
    for (int k = 0; k < 500 && !serves; ++k) serves = other.ask({"status"})["serving"];
    REQUIRE(serves);
    other.ask({"admit", "kitchen", some_key});
    CHECK(other.ask({"status"})["serving"] == true);
    server.send(SIGTERM);
    CHECK(server.wait().code == 0);

    Running gateway(other.folder,
                    {"gateway", "--device", "a=tcp://127.0.0.1:1", "--device", "b=tcp://127.0.0.1:1", "--join",
                     fleet.endpoint, "--server-key", fleet.server_key, "--insecure"},
                    "sh " + dunlin);
    // The key of b is made after a line about that of a was written.
    for (int k = 0; k < 500 && !std::filesystem::exists(other.folder / "gateway/b/key"); ++k) other.ask({"status"});
    CHECK(std::filesystem::exists(other.folder / "gateway/b/key"));
    gateway.send(SIGTERM);
    const Ended ended = gateway.wait();
    CHECK((ended.code == 0 || ended.signal == SIGTERM));  // before it was ready: as any program
}

TEST_CASE("leave asks the node that runs here, and never a stranger with its old number") {
    LiveFleet fleet({{"alice"}});
    const auto leave = [&](const std::string& name) {
        return Running(fleet.folder, {"leave", "--dir", name, "--json"}, "dunlin-node").wait();
    };
    const Ended lost =
        Running(fleet.folder, {"run", "--dir", "alice", "--join", "tcp://127.0.0.1:1", "--server-key", some_key},
                "dunlin-node")
            .wait();
    CHECK(lost.code == 1);  // the directory is another's
    REQUIRE(Running(fleet.folder, {"init", "--dir", "bob"}, "dunlin-node").wait().code == 0);
    CHECK(Running(fleet.folder, {"run", "--dir", "bob", "--join", "nonsense", "--server-key", some_key},
                  "dunlin-node")
              .wait()
              .code == 2);
    const Ended none = leave("nowhere");
    CHECK(none.code == 1);
    CHECK_THAT(none.err, Contains("no node runs"));

    Running stranger(fleet.folder, {"-c", "exec sleep 60"}, "sh -e");
    fleet.folder.file("bob/pid", std::to_string(stranger.process()) + "\n");
    CHECK(leave("bob").code == 1);
    CHECK_FALSE(std::filesystem::exists(fleet.folder / "bob/pid"));
    stranger.send(SIGTERM);
    CHECK(stranger.wait().signal == SIGTERM);  // and not by the signal to leave

    const Ended left = leave("alice");
    INFO(left.err);
    REQUIRE(left.code == 0);
    CHECK(json::parse(left.out)["process"] > 1);
    CHECK(fleet.nodes[0]->wait().code == 0);
}

TEST_CASE("no path that an operator names ends the coordinator") {
    const LiveFleet fleet({{"alice"}});
    fleet.folder.file("file", "");
    const std::string too_long(300, 'x');
    for (const std::string& path : {too_long, std::string("file/copy")}) {
        const Ended refused = fleet.command({"backup", path});
        INFO(refused.err);
        CHECK(refused.code == 2);
        CHECK(fleet.command({"restore", path}).code == 2);
    }
    CHECK(fleet.ask({"status"})["serving"] == true);
    CHECK(fleet.command({"backup", "copy"}).code == 0);
    fleet.server->send(SIGTERM);
    CHECK(fleet.server->wait().code == 0);
}

TEST_CASE("what fails is told from what was asked wrongly by the exit code") {
    const Folder elsewhere;
    // No file may grow: what a full disk is to a program.
    const std::string full =
        elsewhere.file("full.sh", "trap '' XFSZ\nulimit -f 0\nexec " DUNLIN_PROGRAM " \"$@\"\n");
    const Fleet fleet;
    fleet.init();
    fleet.ask({"admit", "alice", some_key});
    fleet.ask(small_job);
    const auto at_full_disk = [&](std::vector<std::string> words) {
        words.insert(words.begin(), "fleet");
        words.insert(words.end(), {"--store", "store"});
        return Running(fleet.folder, words, "sh " + full).wait();
    };
    const std::string other_key = std::string(63, '1') + "2";
    for (const std::vector<std::string>& words : {std::vector<std::string>{"admit", "bob", other_key},
                                                  {"backup", "copy"},
                                                  {"pull", "--out", "model"},
                                                  {"stop"}}) {
        const Ended ended = at_full_disk(words);
        INFO(words[0] << ": " << ended.err);
        CHECK(ended.code == 1);
    }
    CHECK(fleet.ask({"nodes"})["nodes"].size() == 1);
    CHECK(fleet.command({"pull", "--out", "no/such/folder/model"}).code == 1);
    CHECK(fleet.command({"pull", "--job", "7"}).code == 2);
    CHECK(fleet.command({"push", "no-such-file"}).code == 2);
    CHECK(fleet.command({"restore", "no-such-backup"}).code == 2);

    damage_log(fleet.folder / "store");
    for (const std::string command : {"status", "nodes", "jobs"}) {
        const Ended ended = fleet.command({command});
        INFO(ended.err);
        CHECK(ended.code == 1);
    }
}

TEST_CASE("wait ends where nobody is left to wait for") {
    const Folder elsewhere;
    const std::string node = std::filesystem::path(DUNLIN_PROGRAM).replace_filename("dunlin-node").string();
    const std::string small = elsewhere.file(
        "node.sh", "test $1 = run || exec " + node + " \"$@\"\nexec " + node + " \"$@\" --memory-mb 1\n");
    LiveFleet fleet({{"alice", "sh " + small}, {"bob", "sh " + small}});
    fleet.ask({"run", "fleet-navigation-server", "--set", "policy.hidden=[512,512]"});
    CHECK(fleet.command({"wait", "--for=ended", "--timeout", "60"}).code == 0);  // both declined
    for (const char* condition : {"accepted", "reported", "finished"})
        CHECK(fleet.command({"wait", "--for", condition, "--timeout", "60"}).code == 1);

    // Bob is offered a job, and says nothing to it until it is over.
    fleet.nodes[1]->send(SIGSTOP);
    std::vector<std::string> job = small_job;
    job.insert(job.end(), {"--set", "method.rounds=1000000"});
    fleet.ask(job);
    const auto member = [&](std::size_t k) { return fleet.ask({"status", "--job", "2"})["member_list"][k]; };
    while (member(0)["updates"] == 0 || member(1)["state"] != "offered") continue;
    CHECK(fleet.command({"wait", "--for=accepted", "--timeout", "0.1"}).code == 3);
    fleet.ask({"stop"});
    while (!member(0)["reported"]) continue;
    const Ended reported = fleet.command({"wait", "--for=reported", "--timeout", "0.1"});
    CHECK(reported.code == 0);
    CHECK_THAT(reported.err, Contains("next: "));
    CHECK(fleet.command({"wait", "--for=accepted", "--timeout", "0.1"}).code == 0);
    CHECK(fleet.command({"watch"}).code == 0);
    CHECK(member(1)["state"] == "offered");
}

TEST_CASE("strangers, wrong keys and revoked nodes stay outside, and are told why") {
    LiveFleet fleet;
    for (const char* name : {"mallory", "eve"})
        REQUIRE(Running(fleet.folder, {"init", "--dir", name}, "dunlin-node").wait().code == 0);
    const auto stranger = fleet.start_node("mallory", fleet.server_key);
    CHECK(stranger->wait_for_error_text("not on the roster"));
    const auto misled = fleet.start_node("eve", some_key);
    CHECK(misled->wait_for_error_text("could not prove the key"));
    fleet.ask({"revoke", "bob"});
    CHECK(fleet.nodes[1]->wait_for_error_text("not on the roster"));
    CHECK(fleet.ask({"status"})["here"] == 1);
    CHECK(fleet.command({"revoke", "bob"}).code == 2);
    CHECK(fleet.command({"rotate", "nobody", some_key}).code == 2);
}

TEST_CASE("a port that is taken, and a damaged store, end serve with the reason") {
    const Fleet fleet, other;
    fleet.init();
    other.init();
    Running first(fleet.folder, {"fleet", "serve", "--store", "store", "--log-format", "json"});
    REQUIRE(first.wait_for_error_text("\"serving\""));
    const std::string taken = fleet.ask({"status"})["endpoint"];
    const Ended second = other.command({"serve", "--listen", taken});
    CHECK(second.code == 1);
    CHECK_THAT(second.err, Contains("in use"));
    const Ended outside = other.command({"serve", "--metrics", "0.0.0.0:0"});
    CHECK(outside.code == 2);
    CHECK_THAT(outside.err, Contains("metrics"));
    CHECK(other.command({"serve", "--listen", "nonsense"}).code == 2);
    CHECK(other.command({"serve", "--log-format", "xml"}).code == 2);

    for (int k = 0; k < 3; ++k)
        other.ask({"admit", "node-" + std::to_string(k), std::string(63, '1') + std::to_string(k)});
    damage_log(other.folder / "store");
    const Ended damaged = other.command({"serve"});
    CHECK(damaged.code == 1);
    CHECK_THAT(damaged.err, Contains("damaged") && Contains("restore"));
    const Ended examined = other.command({"doctor"});
    CHECK(examined.code == 1);
    CHECK_THAT(examined.out, Contains("damaged") && Contains("fix: dunlin fleet restore"));
}

TEST_CASE("Ctrl-C ends what waits, with its own exit code") {
    const Fleet fleet;
    fleet.init();
    fleet.ask({"admit", "a", some_key});
    fleet.ask(small_job);
    for (const std::vector<std::string>& words :
         {std::vector<std::string>{"wait", "--for=ended"}, {"watch"}, {"logs", "--follow"}}) {
        std::vector<std::string> all{"fleet"};
        all.insert(all.end(), words.begin(), words.end());
        all.insert(all.end(), {"--store", "store"});
        Running command(fleet.folder, all);
        command.send(SIGINT);
        const Ended ended = command.wait();
        INFO(words[0] << " " << ended.err);
        CHECK((ended.code == 130 || ended.signal == SIGINT));  // before it was ready: as any program
    }
}
