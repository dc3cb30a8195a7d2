// SPDX-License-Identifier: Apache-2.0
#include "fleet/gateway/gateway.hpp"

#include "host_device.hpp"
#include "line_relay.hpp"

#include <set>

#include <catch2/catch.hpp>

using namespace dunlin;
using namespace dunlin::test;

namespace {

/// Two nodes on hosts, or as many as are asked for, and two devices behind a gateway, on lines that harm one byte
/// in a hundred.
struct MixedFleet {
    RealFleet fleet;
    std::mutex mutex;
    std::multiset<std::string> events;
    std::string log;
    Gateway gateway{[this](const std::string& device, std::string_view event, const std::string& text) {
        const std::lock_guard lock(mutex);
        events.emplace(event);
        log += device + ": " + text + "\n";
    }};
    std::vector<std::unique_ptr<LineRelay>> relays;
    std::vector<std::unique_ptr<HostDevice>> devices;

    explicit MixedFleet(int silence_ms = 15'000, std::uint32_t hosts = 2,
                        const CoordinatorSettings& coordinator = {})
        : fleet(hosts, {}, coordinator) {
        fleet.set_turn_limit(15'000);  // of 10 ms; a job ends long before, unless the machine is slow
        for (std::uint32_t k = 0; k < 2; ++k) {
            relays.push_back(std::make_unique<LineRelay>(0.01f, k + 1));
            GatewayDeviceSettings settings;
            settings.name = "board" + std::to_string(k);
            settings.address = relays.back()->gateway_address();
            settings.directory = fleet.folder() / settings.name;
            settings.link = fleet.admit(settings.name);
            settings.silence_ms = silence_ms;
            const auto added = gateway.add(std::move(settings));
            INFO((added ? "" : added.error().text));
            REQUIRE(added);
            devices.push_back(std::make_unique<HostDevice>(relays.back()->device_port(), k + 2));
        }
        gateway.start();
    }
    ~MixedFleet() {
        gateway.stop();
        devices.clear();
    }
    std::size_t count(const std::string& event) {
        const std::lock_guard lock(mutex);
        return events.count(event);
    }
};

}  // namespace

TEST_CASE("devices behind a gateway learn with hosts, with a server and without, over lines that lose bytes") {
    // PersA-FL's option A optimises the mean of what the nodes pull to, C their envelopes.
    JobPlan plain = federated();
    plain.terms.objective = Objective::plain;
    plain.terms.local_rate = 0.1f;
    for (JobPlan plan : {federated(), plain, push_sum()}) {
        MixedFleet mixed;
        Coordinator& coordinator = mixed.fleet.server().coordinator();
        const bool served = plan.terms.aggregation == Aggregation::federated;
        bool stopped = false;
        if (served) plan.budget = {};
        // Hosts are so much faster that only the devices' own updates say when it is enough.
        mixed.fleet.each_turn([&] {
            const Job* job = coordinator.state().job(1);
            if (!served || stopped || job == nullptr) return;
            if (job->members()[2].updates < 5 || job->members()[3].updates < 5) return;
            stopped = true;
            REQUIRE(coordinator.stop(1, false));
        });
        const std::uint64_t number = mixed.fleet.run(plan);
        const Job& job = *coordinator.state().job(number);
        CHECK(job.ended() == (served ? JobEndReason::stopped : JobEndReason::finished));
        for (const double distance : mixed.fleet.results()) {
            CHECK(distance >= 0.0);
            CHECK(distance < 1.2);
        }
        for (const auto& device : mixed.devices) {
            CHECK((device->plain_gradients() > 0) == (plan.terms.objective == Objective::plain));
        }
        for (const auto& relay : mixed.relays) CHECK(relay->harmed() > relay->bytes() / 200);
        if (!job.serverless()) continue;
        REQUIRE(mixed.fleet.ledger().size() == 1);
        CHECK(mixed.fleet.ledger().back().lost.nothing());  // invariant 1
    }
}

TEST_CASE("a device that is reset while a job runs gets its state back, and no mass is lost [invariants 1, 3, 4]") {
    MixedFleet mixed;
    JobPlan plan = push_sum();
    plan.budget.rounds = 400;
    plan.terms.learn_until = 300;
    std::array<int, 2> resets{};
    int turns = 0;
    mixed.fleet.each_turn([&] {
        // Before its first state is stored there is nothing to come back to.
        for (std::size_t k = 0; k < 2; ++k) {
            const bool kept =
                std::filesystem::exists(mixed.fleet.folder() / ("board" + std::to_string(k)) / "state");
            if (!kept || resets[k] == 2 || ++turns % 40 != 0) continue;
            ++resets[k];
            mixed.devices[k]->reset();
        }
    });
    const std::uint64_t number = mixed.fleet.run(plan);
    const Job& job = *mixed.fleet.server().coordinator().state().job(number);
    CHECK(job.ended() == JobEndReason::finished);
    INFO(mixed.log);
    CHECK(mixed.count("restored") >= 2);
    REQUIRE(mixed.fleet.ledger().size() == 1);
    CHECK(mixed.fleet.ledger().back().lost.nothing());
}

TEST_CASE("a device that learns for long keeps its connection, for its gateway speaks for it") {
    const CoordinatorSettings quick{.heartbeat_ms = 200};  // a line takes a while for one
    for (JobPlan plan : {federated(), push_sum()}) {
        INFO("push-sum " << (plan.terms.aggregation == Aggregation::push_sum));
        MixedFleet mixed(15'000, 0, quick);
        plan.budget = {};
        plan.terms.learn_until = -1;
        mixed.devices[0]->stall(true);
        std::int64_t then = 0;
        bool heard = false;
        mixed.fleet.each_turn([&] {
            Coordinator& coordinator = mixed.fleet.server().coordinator();
            const Connection* board = coordinator.connection(0);
            if (board == nullptr || !mixed.devices[0]->stalled()) return;
            if (then == 0) then = board->heard_ms;
            if (heard || board->heard_ms < then + 4 * quick.heartbeat_ms) return;
            heard = true;
            mixed.devices[0]->stall(false);
            REQUIRE(coordinator.stop(1, false));
        });
        mixed.fleet.run(plan);
        INFO(mixed.log);
        CHECK(heard);
        CHECK(mixed.count("disconnected") == 0);
        if (!mixed.fleet.ledger().empty()) CHECK(mixed.fleet.ledger().back().lost.nothing());
    }
}

TEST_CASE("a device that hangs is reported, holds nobody up, and goes on when it is back") {
    MixedFleet mixed(1500);
    Coordinator& coordinator = mixed.fleet.server().coordinator();
    JobPlan plan = federated();
    plan.budget = {};
    enum { works, hangs, is_back, over } device = works;
    std::array<std::uint64_t, 4> then{};
    std::size_t silent = 0;
    mixed.fleet.each_turn([&] {
        const Job* job = coordinator.state().job(1);
        if (job == nullptr) return;
        const auto delivered = [&](std::size_t member) { return job->members()[member].updates; };
        const auto since = [&](std::size_t member) { return delivered(member) - then[member]; };
        const auto go_on = [&](auto next) {
            device = next;
            for (std::size_t member = 0; member < then.size(); ++member) then[member] = delivered(member);
        };
        if (device == works && delivered(2) >= 1) {
            mixed.devices[0]->hang(true);
            go_on(hangs);
        } else if (device == hangs && mixed.count("silent") >= 1 && since(0) >= 5 && since(1) >= 5 &&
                   since(3) >= 1) {
            silent = mixed.count("silent");
            CHECK(since(2) <= 1);  // one may have been on its way
            mixed.devices[0]->hang(false);
            go_on(is_back);
        } else if (device == is_back && since(2) >= 2) {
            go_on(over);
            REQUIRE(coordinator.stop(1, false));
        }
    });
    const std::uint64_t number = mixed.fleet.run(plan);
    INFO(mixed.log);
    CHECK(device == over);
    CHECK(silent >= 1);
    CHECK(coordinator.state().job(number)->ended() == JobEndReason::stopped);
}
