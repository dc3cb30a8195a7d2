// SPDX-License-Identifier: Apache-2.0
#include "fleet/coordinator/fleet_state.hpp"

#include "world.hpp"

#include <array>

using namespace dunlin;
using namespace dunlin::testing;

namespace {

std::vector<std::byte> node_named(const std::string& name) {
    RosterNode node{.name = name, .key = {}, .labels = {}};
    node.key[0] = static_cast<std::byte>(name.back());
    return node_payload(node);
}

std::vector<std::byte> job_of_two(Aggregation aggregation, std::uint32_t second = 1) {
    JobPlan plan = toy_plan(2, aggregation);
    if (aggregation == Aggregation::federated) plan.server.rule = FedAvgRule{};
    JobRequest request;
    request.nodes = {0, second};
    return job_payload(plan, request);
}

std::vector<std::byte> added(std::uint32_t node) {
    Saver saver;
    saver(AddedMember{.node = node});
    return saver.take();
}

std::vector<std::byte> shorter(std::vector<std::byte> payload) {
    payload.pop_back();
    return payload;
}

/// Two nodes, job 1 by rounds and job 2 without a server, of both.
void begin(FleetState& state) {
    const auto takes = [&](Record record, const std::vector<std::byte>& payload) {
        record.index = state.roster().nodes().size() + state.jobs().size() + 1;
        record.payload = payload;
        REQUIRE(state.apply(record));
    };
    takes({.kind = RecordKind::node_admitted}, node_named("a"));
    takes({.kind = RecordKind::node_admitted}, node_named("b"));
    takes({.kind = RecordKind::job_created, .job = 1}, job_of_two(Aggregation::federated));
    takes({.kind = RecordKind::job_created, .job = 2}, job_of_two(Aggregation::push_sum));
}

}  // namespace

TEST_CASE("a record that was written whole and cannot be read is refused by its number, whatever its kind") {
    const std::array<std::uint32_t, 2> unknown_member{0, 2};
    const std::vector<std::byte> five(5), refusal = refusal_payload({Code::busy, 1, 2}, "words");
    const std::array<Metric, 1> metric{{{"loss", 1.0}}};
    const std::pair<Record, std::vector<std::byte>> damaged[] = {
        {{.kind = RecordKind::node_admitted}, shorter(node_named("c"))},
        {{.kind = RecordKind::node_admitted}, node_payload({})},
        {{.kind = RecordKind::node_revoked, .node = 2}, {}},
        {{.kind = RecordKind::node_rotated}, shorter(node_named("a"))},
        {{.kind = RecordKind::node_rotated, .node = 2}, node_named("c")},
        {{.kind = RecordKind::node_incarnation, .node = 2, .incarnation = 1}, {}},
        {{.kind = static_cast<RecordKind>(19)}, {}},
        {{.kind = RecordKind::job_created, .job = 3}, shorter(shorter(job_of_two(Aggregation::federated)))},
        {{.kind = RecordKind::job_created, .job = 3}, job_of_two(Aggregation::federated, 2)},
        {{.kind = RecordKind::job_created, .job = 1}, job_of_two(Aggregation::federated)},
        {{.kind = RecordKind::job_paused, .job = 3}, {}},
        {{.kind = RecordKind::job_ending, .job = 2, .detail = 4}, {}},
        {{.kind = RecordKind::job_ended, .job = 1, .detail = 4}, {}},
        {{.kind = RecordKind::member_offered, .node = 2, .job = 1}, {}},
        {{.kind = RecordKind::member_declined, .node = 1, .job = 1}, {}},
        {{.kind = RecordKind::member_declined, .node = 1, .job = 1}, shorter(refusal)},
        {{.kind = RecordKind::member_added, .node = 2, .job = 1}, shorter(added(1))},
        {{.kind = RecordKind::member_added, .node = 3, .job = 1}, added(1)},
        {{.kind = RecordKind::member_added, .node = 2, .job = 1}, added(2)},
        {{.kind = RecordKind::round_begun, .job = 1}, {}},
        {{.kind = RecordKind::round_begun, .job = 1}, five},
        {{.kind = RecordKind::round_begun, .job = 2}, std::vector<std::byte>(4)},
        {{.kind = RecordKind::round_begun, .job = 1},
         {std::as_bytes(std::span(unknown_member)).begin(), std::as_bytes(std::span(unknown_member)).end()}},
        {{.kind = RecordKind::update, .job = 1, .sequence = 1}, five},
        {{.kind = RecordKind::update, .node = 2, .job = 1, .sequence = 1}, std::vector<std::byte>(24)},
        {{.kind = RecordKind::update, .job = 2, .sequence = 1}, std::vector<std::byte>(24)},
        {{.kind = RecordKind::mass_report, .job = 1}, {}},
        {{.kind = RecordKind::report, .node = 1, .job = 1}, shorter(report_payload(metric))},
        {{.kind = static_cast<RecordKind>(101), .job = 1}, {}}};
    Journal nobody;
    for (auto [record, payload] : damaged) {
        FleetState state(nobody);
        begin(state);
        record.index = 5;
        record.payload = payload;
        INFO("kind " << static_cast<int>(record.kind) << ", " << payload.size() << " bytes");
        const auto applied = state.apply(record);
        REQUIRE(!applied);
        CHECK(applied.error() == Error{Code::store_damaged, 5});
    }
}

TEST_CASE("a statement of mass that cannot be read is refused, and one that comes too late is not") {
    Journal nobody;
    FleetState state(nobody);
    begin(state);
    const Record late{.kind = RecordKind::mass_report, .incarnation = 1, .job = 2, .index = 5};
    REQUIRE(state.apply(late));
    REQUIRE(state.apply({.kind = RecordKind::member_offered, .job = 2, .index = 6}));
    REQUIRE(state.apply({.kind = RecordKind::job_ending, .job = 2, .index = 7}));
    Record empty = late;
    empty.index = 8;
    const auto applied = state.apply(empty);
    REQUIRE(!applied);
    CHECK(applied.error() == Error{Code::store_damaged, 8});
}

TEST_CASE("a store with a job that cannot be read does not open, and says which record at which byte") {
    SimulatedFiles files(1);
    Journal nobody;
    {
        FleetState state(nobody);
        auto store = *Store::open(files, "store", {}, state);
        REQUIRE(store->add({.kind = RecordKind::node_admitted, .payload = node_named("a")}));
        const auto payload = shorter(job_of_two(Aggregation::federated));
        REQUIRE(store->add({.kind = RecordKind::job_created, .job = 1, .payload = payload}));
        REQUIRE(store->add({.kind = RecordKind::job_paused, .job = 1}));
        REQUIRE(store->commit([](const Record&) {}));
    }
    FleetState state(nobody);
    const auto opened = Store::open(files, "store", {}, state);
    REQUIRE(!opened);
    CHECK(opened.error() ==
          Error{Code::store_damaged, 2, static_cast<std::int64_t>(record_bytes(node_named("a").size()))});
}
