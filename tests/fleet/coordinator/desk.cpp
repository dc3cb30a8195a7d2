// SPDX-License-Identifier: Apache-2.0
#include "fleet/coordinator/desk.hpp"

#include "fleet/coordinator/backup.hpp"
#include "fleet/coordinator/control_socket.hpp"
#include "fleet/coordinator/metrics.hpp"

#include <cmath>
#include <fstream>
#include <limits>
#include <thread>

#include <arpa/inet.h>
#include <catch2/catch.hpp>
#include <fmt/format.h>
#include <netinet/in.h>
#include <nlohmann/json.hpp>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

using namespace dunlin;
using Catch::Matchers::Contains;
using nlohmann::json;

namespace {

/// A directory that is gone with its test.
struct Directory {
    std::filesystem::path path;
    Directory() {
        std::string name = (std::filesystem::temp_directory_path() / "dunlin-desk-XXXXXX").string();
        REQUIRE(mkdtemp(name.data()) != nullptr);
        path = name;
    }
    ~Directory() { std::filesystem::remove_all(path); }
};

struct Nobody final : Outbox {
    Result<void> send(const PublicKey&, const Message&) override { return fail(Code::not_connected); }
};

/// A coordinator without a network, as a command opens it.
struct Office {
    explicit Office(const std::filesystem::path& store, bool with_index = true) {
        if (!with_index) std::filesystem::remove(store / "store.db");
        index = *Index::open(store / "store.db");
        StoreSettings settings;
        settings.unix_ms = [] { return std::int64_t{1'700'000'000'000}; };
        auto opened = Coordinator::open(posix_file_system(), store, settings, {}, nobody, *index);
        REQUIRE(opened);
        coordinator = *std::move(opened);
        desk = std::make_unique<Desk>(*coordinator, *index, Desk::Place{});
    }
    json ask(const json& request, const std::vector<float>& numbers = {}) {
        const Letter answer = desk->answer({request.dump(), numbers}, 1000);
        pulled = answer.numbers;
        return json::parse(answer.json);
    }

    Nobody nobody;
    std::unique_ptr<Index> index;
    std::unique_ptr<Coordinator> coordinator;
    std::unique_ptr<Desk> desk;
    std::vector<float> pulled;
};

json admit(const std::string& name, int key) {
    return {{"command", "admit"},
            {"name", name},
            {"key", std::string(62, '0') + std::to_string(10 + key)},
            {"labels", {"all"}}};
}

const json small_job{
    {"command", "run"},
    {"experiment", "kind = \"fleet-navigation\"\n[policy]\nhidden = [8]\n[method]\nname = \"persafl-me\"\n"},
    {"where", "test"},
    {"token", "once"}};

}  // namespace

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
        for (const MetricRow& row : office.index->newest_metrics(1))
            CHECK(row.record == before + (row.member == 0 ? 1 : 3));
        for (int k = 0; k < 100; ++k) (void)office.index->takes(1, "name" + std::to_string(k));
        CHECK(office.index->takes(1, "ratio"));
        CHECK_FALSE(office.index->takes(1, "one-too-many"));
        CHECK(office.index->takes(2, "of-another-job"));
    }
    const auto again = *Index::open(directory.path / "store.db");
    const auto rows = again->newest_metrics(1);
    REQUIRE(rows.size() == 4);
    CHECK(std::isnan(rows[0].value));
    CHECK(std::isinf(rows[1].value));
    CHECK(rows[3].value == 0.75);
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

TEST_CASE("the operator is heard where no descriptor is left, and idle askers keep nobody waiting") {
    const Directory directory;
    auto socket = ControlSocket::open(directory.path);
    REQUIRE(socket);
    const auto echo = [&](std::uint64_t number, const Letter& letter) { socket->answer(number, letter); };
    socket->serve(echo);
    std::vector<int> held;
    // Who asks is connected before this process runs out; in truth it is another one.
    const int asker = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    control_path(directory.path).string().copy(address.sun_path, sizeof address.sun_path - 1);
    REQUIRE(::connect(asker, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    const rlimit low{static_cast<rlim_t>(asker + 8), limit.rlim_max};
    setrlimit(RLIMIT_NOFILE, &low);
    for (int copy; (copy = ::dup(0)) >= 0;) held.push_back(copy);
    const std::string head("DNL1\x02\0\0\0\0\0\0\0\0\0\0\0{}", 18);
    // Nothing is asserted before there are descriptors again: a sanitizer that checks an assertion needs one, too.
    const ssize_t sent = ::send(asker, head.data(), head.size(), 0);
    char back[32];
    ssize_t got = -1;
    for (int k = 0; k < 1000 && got <= 0; ++k) {
        socket->serve(echo);
        got = ::recv(asker, back, sizeof back, MSG_DONTWAIT);
    }
    for (const int copy : held) ::close(copy);
    setrlimit(RLIMIT_NOFILE, &limit);
    CHECK(sent == 18);
    CHECK(got == 18);
    ::close(asker);
}

TEST_CASE("the operator's letters go through a socket in the store, numbers and all") {
    const Directory directory;
    auto socket = ControlSocket::open(directory.path);
    REQUIRE(socket);
    Result<Letter> answer;
    std::thread asker([&] { answer = ask_server(directory.path, {"{\"a\":1}", {1.0f, 2.0f, 3.0f}}, 10'000); });
    bool served = false;
    while (!served) {
        socket->serve([&](std::uint64_t number, const Letter& letter) {
            served = true;
            socket->answer(number, {letter.json + "!", {letter.numbers.rbegin(), letter.numbers.rend()}});
        });
    }
    asker.join();
    REQUIRE(answer);
    CHECK(answer->json == "{\"a\":1}!");
    CHECK(answer->numbers == std::vector<float>{3.0f, 2.0f, 1.0f});
    CHECK(ask_server(directory.path / "nobody", {"{}", {}}, 50).error().code == Code::not_connected);
}

TEST_CASE("metrics are served on loopback to who asks for them properly") {
    CHECK(MetricsEndpoint::open("0.0.0.0:0", false).error().code == Code::not_loopback);
    CHECK(MetricsEndpoint::open("nonsense", false).error().code == Code::bad_endpoint);
    auto endpoint = MetricsEndpoint::open("127.0.0.1:0", false);
    REQUIRE(endpoint);
    endpoint->publish("dunlin_nodes 3\n");
    const auto ask = [&](const std::string& request) {
        const int connection = ::socket(AF_INET, SOCK_STREAM, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        address.sin_port = htons(
            static_cast<std::uint16_t>(std::stoi(endpoint->address().substr(endpoint->address().find(':') + 1))));
        REQUIRE(::connect(connection, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
        (void)::send(connection, request.data(), request.size(), MSG_NOSIGNAL);
        std::string answer;
        char block[4096];
        for (ssize_t got; (got = ::recv(connection, block, sizeof block, 0)) > 0;)
            answer.append(block, static_cast<std::size_t>(got));
        ::close(connection);
        return answer;
    };
    CHECK_THAT(ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"), Contains("200") && Contains("dunlin_nodes 3"));
    for (const char* target : {"/metrics?node=1", "/metrics#x", "http://127.0.0.1:9464/metrics",
                               "HTTP://x/metrics?a", "https://[::1]:1/metrics"}) {
        INFO(target);
        const std::string answer = ask(fmt::format("GET {} HTTP/1.1\r\nHost: x\r\n\r\n", target));
        CHECK_THAT(answer, Contains("HTTP/1.1 200"));
    }
    CHECK_THAT(ask("HEAD /metrics HTTP/1.0\r\n\r\n"), Contains("200") && !Contains("dunlin_nodes"));
    for (const char* target : {"/", "/metrics/", "/metricsx", "http://127.0.0.1:9464", "http://x/?/metrics"}) {
        INFO(target);
        CHECK_THAT(ask(fmt::format("GET {} HTTP/1.1\r\nHost: x\r\n\r\n", target)),
                   Contains("404") && Contains("/metrics"));
    }
    for (const char* body : {"Content-Length: 0\r\n\r\n", "Content-Length: 3\r\n\r\na=1",
                             "Content-Length: 99999999999\r\n\r\na", "Transfer-Encoding: chunked\r\n\r\n1\r\na"}) {
        INFO(body);
        CHECK_THAT(ask(fmt::format("POST /metrics HTTP/1.1\r\nHost: x\r\n{}", body)),
                   Contains("405") && Contains("Allow: GET, HEAD"));
    }
    for (const std::size_t bytes : {9'000u, 100'000u}) {
        std::string large = "GET /metrics HTTP/1.1\r\nX: ";
        large.resize(bytes, 'x');
        CHECK_THAT(ask(large + "\r\n\r\n"), Contains("431"));
    }
    for (const std::string& nonsense :
         {std::string(1000, '\0'), std::string("GET\r\n\r\n"), std::string("GET /metrics SMTP/1.1\r\n\r\n"),
          std::string("GET /metrics HTTP/1.1\r\nno colon\r\n\r\n")}) {
        INFO(nonsense);
        CHECK_THAT(ask(nonsense), Contains("HTTP/1.1 400") || Contains("HTTP/1.1 505"));
    }
}
