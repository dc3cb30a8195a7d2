// SPDX-License-Identifier: Apache-2.0
// Rows that are told as they change say what whoever asks for all of them hears.
#include "office.hpp"
#include "transport/zeromq/keys.hpp"

using namespace dunlin;
using namespace dunlin::testing;

namespace {

/// Keeps rows as an open page does.
struct Page {
    explicit Page(Office& of) : office(of) {}

    /// Numbers of the nodes and members that were told anew; after that all rows are as they are asked for.
    std::pair<std::vector<std::uint32_t>, std::vector<std::uint32_t>> look() {
        std::pair<std::vector<std::uint32_t>, std::vector<std::uint32_t>> told;
        office.desk->changed_nodes(node_marks, now_ms, now_ms, [&](std::uint32_t number, const Desk::Json& row) {
            nodes[number] = row;
            told.first.push_back(number);
        });
        json all = office.desk->look({{"command", "nodes"}}, now_ms)["nodes"];
        REQUIRE(all.size() == nodes.size());
        for (std::uint32_t number = 0; number < all.size(); ++number) {
            json shown = nodes[number];
            CHECK(shown.contains("updated_unix_ms") == all[number].contains("update_ms_ago"));
            shown.erase("updated_unix_ms");
            for (const char* by_itself : {"heard_ms_ago", "here_ms", "update_ms_ago"}) all[number].erase(by_itself);
            CHECK(shown == all[number]);
        }
        const bool known =
            office.desk->changed_members(1, member_marks, [&](std::uint32_t i, const Desk::Json& row) {
                members[i] = row;
                told.second.push_back(i);
            });
        const json job = office.desk->look({{"command", "job"}, {"job", 1u}}, now_ms);
        CHECK(known == job.is_object());
        if (!known) return told;
        REQUIRE(job["member_list"].size() == members.size());
        for (std::uint32_t i = 0; i < members.size(); ++i) CHECK(members[i] == job["member_list"][i]);
        return told;
    }

    Office& office;
    std::int64_t now_ms = 1000;
    std::vector<std::uint64_t> node_marks, member_marks;
    std::map<std::uint32_t, json> nodes, members;
};

using Told = std::pair<std::vector<std::uint32_t>, std::vector<std::uint32_t>>;
const Told nobody;

}  // namespace

TEST_CASE("a page is told each row when it says something else, and only then") {
    const Directory directory;
    Office office(directory.path);
    office.nobody.takes = true;
    Page page(office);
    for (int k = 0; k < 3; ++k) office.ask(admit("node" + std::to_string(k), k));
    CHECK(page.look() == Told({0, 1, 2}, {}));
    CHECK(page.look() == nobody);
    REQUIRE(office.ask(small_job)["ok"] == true);
    CHECK(page.look() == Told({}, {0, 1, 2}));

    Coordinator& coordinator = *office.coordinator;
    const auto says = [&](std::uint32_t node, std::uint64_t job, std::uint64_t sequence, const MessageBody& body) {
        const PublicKey& key = coordinator.state().roster()[node].key;
        const std::uint32_t incarnation =
            std::holds_alternative<Join>(body) ? 0 : coordinator.state().roster()[node].incarnation;
        const std::uint64_t nonce = job == 0 ? 0 : coordinator.state().job(job)->nonce();
        coordinator.receive(key, {{job, 0, incarnation, sequence, nonce}, body}, page.now_ms);
        coordinator.tick(page.now_ms);
        REQUIRE(coordinator.commit(page.now_ms));
    };
    says(1, 0, 0, Join{.name = "node1", .software = "dunlin-node test", .memory_bytes = 1 << 20});
    CHECK(page.look().first == std::vector<std::uint32_t>{1});
    CHECK(page.nodes[1]["state"] == "here");
    says(1, 0, 0, Heartbeat{});
    CHECK(page.look() == nobody);
    const Metric warm[] = {{"temperature", 41.52}, {"load", 0.5}},
                 warmer[] = {{"temperature", 41.61}, {"load", 0.5}};
    for (const auto& [metrics, news] :
         {std::pair<std::span<const Metric>, bool>{warm, true}, {warm, false}, {warmer, true}}) {
        Report vitals;
        vitals.metrics = metrics;
        says(1, 0, 0, vitals);
        CHECK(page.look().first.size() == (news ? 1 : 0));
    }
    CHECK(page.nodes[1].value("temperature", 0.0) == 41.6);

    says(1, 1, 0, JobAnswer{true, {}, 0, {}});
    CHECK(page.look().second == std::vector<std::uint32_t>{1});
    const Metric ratio[] = {{"return_ratio", 0.75}};
    says(1, 1, 1, Report{1, false, ratio});
    const Told reported = page.look();
    CHECK(reported == Told({1}, {1}));
    CHECK(page.members[1]["metrics"]["return_ratio"] == 0.75);
    page.now_ms += 9000;  // its age is told in steps
    CHECK(page.look() == nobody);

    coordinator.disconnected(coordinator.state().roster()[1].key);
    CHECK(page.look() == Told({1}, {1}));
    json labelled = admit("node2", 2);
    labelled["labels"] = {"all", "cellar"};
    office.ask(labelled);
    CHECK(page.look() == Told({2}, {}));
    office.ask({{"command", "rotate"}, {"name", "node0"}, {"key", std::string(62, '0') + "77"}});
    CHECK(page.look().first == std::vector<std::uint32_t>{0});
    office.ask({{"command", "revoke"}, {"name", "node2"}});
    CHECK(page.look() == Told({2}, {2}));
    office.ask({{"command", "stop"}, {"job", 1}, {"now", true}});
    (void)page.look();
    office.ask({{"command", "delete"}, {"job", 1}});
    CHECK(page.look().second.empty());
}
