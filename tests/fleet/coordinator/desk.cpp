// SPDX-License-Identifier: Apache-2.0
#include "fleet/coordinator/desk.hpp"

#include "fleet/coordinator/backup.hpp"
#include "fleet/coordinator/sqlite.hpp"
#include "office.hpp"

#include <cmath>
#include <fstream>
#include <limits>

#include <fmt/format.h>

using namespace dunlin;
using namespace dunlin::testing;
using Catch::Matchers::Contains;

TEST_CASE("what the operator did is there again when the store is opened, with or without its index") {
    const Directory directory;
    {
        Office office(directory.path);
        CHECK(office.ask(admit("a", 1))["ok"] == true);
        CHECK(office.ask(admit("b", 2))["ok"] == true);
        CHECK(office.ask(small_job)["job"] == 1);
        CHECK(office.ask(small_job)["made"] == false);
        CHECK(office.ask({{"command", "pause"}})["state"] == "paused");
    }
    for (const bool with_index : {true, false}) {
        Office office(directory.path, with_index);
        const json jobs = office.ask({{"command", "jobs"}})["jobs"];
        REQUIRE(jobs.size() == 1);
        CHECK(jobs[0]["state"] == "paused");
        CHECK(jobs[0]["members"] == 2);
        const json lines = office.ask({{"command", "logs"}})["lines"];
        REQUIRE(lines.size() == 4);  // records that no snapshot has swallowed are told again
        CHECK(lines[3]["event"] == "job-paused");
        CHECK(lines[3]["time_ms"] == 1'700'000'000'000);
        CHECK(office.ask({{"command", "pull"}})["ok"] == true);
        CHECK(office.pulled.size() > 50);
    }
}

TEST_CASE("a job's time is that in which it was served, whatever the clock shows when it is opened") {
    const Directory directory;
    Office(directory.path).ask(admit("a", 1));
    Office(directory.path).ask(small_job);
    for (const std::int64_t boot_ms : {1'000'000'000, 5'000}) {
        Office office(directory.path);
        office.coordinator->tick(boot_ms);
        office.coordinator->tick(boot_ms + 2000);
        CHECK(office.ask({{"command", "job"}})["elapsed_s"] == 2);
    }
    // What ran is stored every five seconds, when it is paused and when it ends.
    for (const auto& [command, elapsed_s] : {std::pair("pause", 2), std::pair("resume", 2), std::pair("stop", 4)}) {
        {
            Office office(directory.path);
            office.coordinator->tick(5000);
            office.coordinator->tick(7000);
            office.ask({{"command", command}});
        }
        CHECK(Office(directory.path).ask({{"command", "job"}})["elapsed_s"] == elapsed_s);
    }
}

TEST_CASE("a node that is admitted again as it is changes nothing, and the coordinator is no node") {
    const Directory directory;
    Office office(directory.path);
    office.ask(admit("a", 1));
    CHECK(office.ask(admit("a", 1))["ok"] == true);
    CHECK(office.ask({{"command", "logs"}})["lines"].size() == 1);
    json serverless = small_job;
    serverless["experiment"] = "kind = \"fleet-navigation\"\n";
    CHECK_THAT(office.ask(serverless)["error"]["text"].get<std::string>(), Contains("two nodes"));
    office.ask(admit("c", 3));
    json labelled = admit("a", 1);
    labelled["labels"] = {"arm"};
    office.ask(labelled);
    CHECK(office.ask({{"command", "logs"}})["lines"].back()["node"] == "a");
    json rotated = admit("a", 1);
    rotated["command"] = "rotate";
    CHECK_THAT(office.ask(rotated)["error"]["text"].get<std::string>(), Contains("has this key already"));
    Desk::Place place;
    place.server_key = admit("b", 2)["key"];
    office.desk = std::make_unique<Desk>(*office.coordinator, *office.index, place);
    CHECK_THAT(office.ask(admit("b", 2))["error"]["text"].get<std::string>(), Contains("coordinator's own"));
}

TEST_CASE("an index that is damaged is kept aside and begun anew") {
    const Directory directory;
    Office(directory.path).ask(admit("a", 1));
    std::filesystem::remove(directory.path / "store.db-wal");
    std::ofstream(directory.path / "store.db") << std::string(8192, 'x');
    CHECK(Office(directory.path).ask({{"command", "logs"}})["lines"].size() == 1);
    CHECK(std::filesystem::exists(directory.path / "store.db.damaged"));
}

TEST_CASE("an index that cannot be read is said, not shown as empty") {
    const Directory directory;
    Office office(directory.path);
    office.ask(admit("a", 1));
    CHECK(office.ask({{"command", "logs"}})["lines"].size() == 1);
    auto elsewhere = Database::open(directory.path / "store.db");
    REQUIRE(elsewhere);
    REQUIRE(elsewhere->run("DROP TABLE event; DROP TABLE ledger"));
    for (const char* command : {"logs", "ledger"}) {
        const json answer = office.ask({{"command", command}});
        INFO(answer.dump());
        CHECK(answer["ok"] == false);
        CHECK_THAT(answer["error"]["text"].get<std::string>(), Contains("store.db"));
    }
}

TEST_CASE("wrong requests are refused in words") {
    const Directory directory;
    Office office(directory.path);
    for (const json& wrong :
         {json("text"), json::object(), json{{"command", "dance"}}, json{{"command", "job"}},
          json{{"command", "admit"}},
          json{{"command", "admit"}, {"name", std::string(100, 'x')}, {"key", std::string(64, '1')}},
          json{{"command", "revoke"}, {"name", "nobody"}}, small_job, json{{"command", "stop"}, {"job", 7}},
          json{{"command", "backup"}, {"path", directory.path.string()}},
          json{{"command", "restore"}, {"path", directory.path.string()}}}) {
        const json answer = office.ask(wrong);
        INFO(wrong.dump() << " -> " << answer.dump());
        CHECK(answer["ok"] == false);
        CHECK(answer["error"]["text"].get<std::string>().size() > 5);
    }
    CHECK(json::parse(office.desk->answer({"{", {}}, 0).json)["ok"] == false);
    office.ask(admit("a", 1));
    json push = small_job;
    push["push"] = true;
    CHECK_THAT(office.ask(push, {1.0f, 2.0f})["error"]["text"].get<std::string>(), Contains("2 numbers"));
}

TEST_CASE("a request with a value of another type does not do something else") {
    const Directory directory;
    Office office(directory.path);
    office.ask(admit("a", 1));
    REQUIRE(office.ask(small_job)["job"] == 1);
    for (const json& wrong :
         {json{{"command", "stop"}, {"job", "1"}}, json{{"command", "stop"}, {"job", -1}},
          json{{"command", "stop"}, {"job", 1}, {"now", 1}}, json{{"command", "stop"}, {"job", nullptr}},
          json{{"command", "add"}, {"job", 1}, {"nodes", "a"}},
          json{{"command", "remove"}, {"job", 1}, {"nodes", {"a", 1}}}, json{{"command", 3}}}) {
        const json answer = office.ask(wrong);
        INFO(wrong.dump() << " -> " << answer.dump());
        REQUIRE(answer["ok"] == false);
        CHECK_THAT(answer["error"]["text"].get<std::string>(), Contains("expected"));
    }
    CHECK(office.ask({{"command", "job"}})["ended"] == false);
}

TEST_CASE("status says that a snapshot cannot be written, and why, until one is") {
    const Directory directory;
    Office office(directory.path);
    office.ask(admit("a", 1));
    CHECK(office.ask({{"command", "status"}})["warnings"].empty());
    const auto in_the_way = directory.path / "snapshot-0000000000000001.new";
    std::filesystem::create_directory(in_the_way);
    REQUIRE(!office.coordinator->snapshot());
    const json warnings = office.ask({{"command", "status"}})["warnings"];
    REQUIRE(warnings.size() == 1);
    CHECK_THAT(warnings[0].get<std::string>(), Contains("snapshot: cannot be written (Is a directory)"));
    std::filesystem::remove(in_the_way);
    REQUIRE(office.coordinator->snapshot());
    CHECK(office.ask({{"command", "status"}})["warnings"].empty());
}

TEST_CASE("a backup is a store of its own, and a restore keeps what it replaces") {
    const Directory directory;
    const auto store = directory.path / "store", copy = directory.path / "copy";
    std::filesystem::create_directory(store);
    {
        Office office(store);
        office.ask(admit("a", 1));
        office.ask(small_job);
        REQUIRE(office.ask({{"command", "backup"}, {"path", copy.string()}})["ok"] == true);
        office.ask(admit("b", 2));
        const auto held = restore_backup(copy, store);
        REQUIRE(!held);
        CHECK(held.error().code == Code::store_in_use);
    }
    {
        Office office(copy);
        CHECK(office.ask({{"command", "nodes"}})["nodes"].size() == 1);
        CHECK(office.ask({{"command", "logs"}})["lines"].size() == 2);
    }
    REQUIRE(read_backup(copy));
    const auto before = restore_backup(copy, store);
    REQUIRE(before);
    CHECK(Office(store).ask({{"command", "nodes"}})["nodes"].size() == 1);
    CHECK(Office(*before).ask({{"command", "nodes"}})["nodes"].size() == 2);
    for (const auto& entry : std::filesystem::directory_iterator(copy)) {
        if (entry.path().filename().string().starts_with("snapshot"))
            std::filesystem::resize_file(entry.path(), 40);
    }
    CHECK(!read_backup(copy));
}

TEST_CASE("who follows the log misses nothing, however much came meanwhile") {
    const Directory directory;
    Office office(directory.path);
    office.ask(admit("first", 1));
    json told = office.ask({{"command", "logs"}, {"lines", 50}});
    REQUIRE(told["lines"].size() == 1);
    // The store is filled while nobody looks; lines about no record, too.
    for (int k = 0; k < 300; ++k) office.index->note({.kind = "noted", .text = std::to_string(k)});
    std::vector<std::string> seen;
    for (std::size_t got = 1; got > 0;) {
        told = office.ask({{"command", "logs"}, {"after", told["last"]}, {"lines", 70}});
        got = told["lines"].size();
        for (const json& line : told["lines"]) seen.push_back(line["text"]);
    }
    REQUIRE(seen.size() == 300);
    for (std::size_t k = 0; k < seen.size(); ++k) CHECK(seen[k] == std::to_string(k));
    office.ask(admit("last", 2));
    told = office.ask({{"command", "logs"}, {"after", told["last"]}});
    REQUIRE(told["lines"].size() == 1);
    CHECK(told["lines"][0]["node"] == "last");
    // Counting from beyond the end, as after a restore, finds the end.
    CHECK(office.ask({{"command", "logs"}, {"after", 1'000'000}})["last"] == told["last"]);
}

TEST_CASE("what nodes report is bounded in names, kept with its record, and told also where it is not finite") {
    const Directory directory;
    {
        Office office(directory.path);
        office.ask(admit("a", 1));
        office.ask(admit("b", 2));
        office.ask(small_job);
        const FleetState& state = office.coordinator->state();
        const std::uint64_t before = office.coordinator->store().newest();
        const auto report = [&](std::uint64_t record, std::uint32_t member, const std::vector<Metric>& metrics) {
            const std::vector<std::byte> payload = report_payload(metrics);
            JobChange change;
            office.index->applied(state,
                                  {.kind = RecordKind::report,
                                   .node = member,
                                   .job = 1,
                                   .detail = 1,
                                   .index = record,
                                   .payload = payload},
                                  &change);
        };
        const double none = std::numeric_limits<double>::quiet_NaN(), infinite = HUGE_VAL;
        report(before + 1, 0, {{"accuracy", none}, {"loss", infinite}, {"ratio", 0.5}});
        report(before + 2, 1, {{"ratio", 0.25}});
        report(before + 3, 1, {{"ratio", 0.75}});
        const json members = office.ask({{"command", "job"}})["member_list"];
        CHECK(members[0]["metrics"]["accuracy"].is_null());
        CHECK(members[0]["metrics"]["loss"].is_null());
        CHECK(members[0]["metrics"]["ratio"] == 0.5);
        CHECK(members[1]["metrics"]["ratio"] == 0.75);
        for (const auto& [of, row] : **office.index->newest_metrics(1))
            CHECK(row.record == before + (row.member == 0 ? 1 : 3));
        for (int k = 0; k < 100; ++k) (void)office.index->takes(1, "name" + std::to_string(k));
        CHECK(office.index->takes(1, "ratio"));
        CHECK_FALSE(office.index->takes(1, "one-too-many"));
        CHECK(office.index->takes(2, "of-another-job"));
    }
    const auto again = *Index::open(directory.path / "store.db");
    const Index::Newest& rows = **again->newest_metrics(1);
    REQUIRE(rows.size() == 4);
    CHECK(std::isnan(rows.at({0, "accuracy"}).value));
    CHECK(std::isinf(rows.at({0, "loss"}).value));
    CHECK(rows.at({1, "ratio"}).value == 0.75);
}

TEST_CASE("a name, a label and a token that no message may hold are refused with what is wrong") {
    const Directory directory;
    Office office(directory.path);
    for (const std::string& bad : {std::string(65, 'n'),
                                   std::string("a\xc2\x85"
                                               "c"),
                                   std::string("a\nb"),
                                   std::string("a\xe2\x80\xae"
                                               "b"),
                                   std::string()}) {
        json named = admit("fine", 1), labelled = admit("fine", 1), run = small_job;
        named["name"] = bad;
        labelled["labels"] = {"arm", bad};
        run["token"] = bad;
        CHECK_THAT(office.ask(named)["error"]["text"].get<std::string>(), Contains("the name"));
        CHECK_THAT(office.ask(labelled)["error"]["text"].get<std::string>(), Contains("the label"));
        if (!bad.empty()) CHECK_THAT(office.ask(run)["error"]["text"].get<std::string>(), Contains("--token"));
    }
    CHECK(office.ask({{"command", "nodes"}})["nodes"].empty());
}

TEST_CASE("while a job is planned others are answered, and it is there before its answer is") {
    const Directory directory;
    Office office(directory.path);
    office.ask(admit("a", 1));
    office.ask(admit("b", 2));
    REQUIRE_FALSE(office.desk->take(7, {small_job.dump(), {}}, 1000));
    CHECK(office.desk->take(8, {json{{"command", "nodes"}}.dump(), {}}, 1000));
    office.ask({{"command", "revoke"}, {"name", "b"}});  // who takes part changed: it is planned anew
    std::optional<std::pair<std::uint64_t, Letter>> done;
    while (!done) done = office.desk->finished(1000);
    CHECK(done->first == 7);
    const json answer = json::parse(done->second.json);
    CHECK(answer["job"] == 1);
    CHECK(answer["members"] == 1);
    CHECK_FALSE(office.desk->finished(1000));
    CHECK(office.ask({{"command", "jobs"}})["jobs"].size() == 1);
    // The same token again is the same job, also where both are planned at a time.
    json other = small_job;
    other["token"] = "twice";
    REQUIRE_FALSE(office.desk->take(1, {other.dump(), {}}, 1000));
    REQUIRE_FALSE(office.desk->take(2, {other.dump(), {}}, 1000));
    std::vector<json> answers;
    while (answers.size() < 2) {
        if (auto ready = office.desk->finished(1000)) answers.push_back(json::parse(ready->second.json));
    }
    CHECK(answers[0]["job"] == 2);
    CHECK(answers[1]["job"] == 2);
    json wrong = small_job;
    wrong["experiment"] = "kind = \"fleet-navigation\"\nnonsense = 1\n";
    wrong["token"] = "wrong";
    REQUIRE_FALSE(office.desk->take(3, {wrong.dump(), {}}, 1000));
    done.reset();
    while (!done) done = office.desk->finished(1000);
    CHECK_THAT(done->second.json, Contains("nonsense"));
}
