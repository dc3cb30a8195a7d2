// SPDX-License-Identifier: Apache-2.0
#include "live_fleet.hpp"

#include <fstream>

using namespace dunlin::program;
using Catch::Matchers::Contains;
using nlohmann::json;

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
    CHECK(outside.code == 1);
    CHECK_THAT(outside.err, Contains("metrics"));
    CHECK(other.command({"serve", "--listen", "nonsense"}).code == 1);
    CHECK(other.command({"serve", "--log-format", "xml"}).code == 2);

    for (int k = 0; k < 3; ++k)
        other.ask({"admit", "node-" + std::to_string(k), std::string(63, '1') + std::to_string(k)});
    for (const auto& entry : std::filesystem::directory_iterator(other.folder / "store")) {
        if (!entry.path().filename().string().starts_with("log-")) continue;
        std::fstream log(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
        log.seekp(100);
        log << "decay";
    }
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
