// SPDX-License-Identifier: Apache-2.0
#include "real_fleet.hpp"

#include <condition_variable>
#include <set>

#include <catch2/catch.hpp>

using namespace dunlin;
using namespace dunlin::test;

namespace {

const CoordinatorSettings quick{.heartbeat_ms = 20};

/// Where work stands still until a test lets it go on.
class Gate {
public:
    /// Called where the work is done.
    void pass(const std::string& what) {
        std::unique_lock lock(mutex_);
        if (open_ || !met_.insert(what).second) return;
        waiting_ = what;
        changed_.notify_all();
        // Longer than any test takes: then it fails for what it looks at.
        changed_.wait_for(lock, std::chrono::seconds(60), [this] { return waiting_.empty() || open_; });
    }
    std::string waiting() const {
        const std::lock_guard lock(mutex_);
        return waiting_;
    }
    bool wait() {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, std::chrono::seconds(30), [this] { return !waiting_.empty(); });
    }
    void go_on() {
        const std::lock_guard lock(mutex_);
        waiting_.clear();
        changed_.notify_all();
    }
    void open() {
        const std::lock_guard lock(mutex_);
        open_ = true;
        changed_.notify_all();
    }

private:
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::set<std::string> met_;
    std::string waiting_;
    bool open_ = false;
};

/// A PullTask that stands still once at each of its doors.
class SlowTask final : public NodeTask, private Learner {
public:
    SlowTask(const JobTerms& terms, Gate& gate)
        : task_(terms, personal_, mutex_),
          inner_(static_cast<NodeTask&>(task_).learner()),
          gate_(gate),
          dimension_(terms.dimension) {
        gate_.pass("prepare");
    }
    Learner& learner() override { return *this; }
    std::span<const Metric> measure(ConstVector<float> w) override {
        gate_.pass("measure");
        return static_cast<NodeTask&>(task_).measure(w);
    }

private:
    std::size_t dimension() const override { return dimension_; }
    int gradient(ConstVector<float> w, Stream& random, Vector<float> out) override {
        gate_.pass("learn");
        return inner_.gradient(w, random, out);
    }

    std::vector<std::vector<float>> personal_;
    std::mutex mutex_;
    PullTask task_;
    Learner& inner_;
    Gate& gate_;
    std::size_t dimension_;
};

TaskMaker slow(Gate& gate, std::uint32_t member) {
    return [&gate, member](const JobTerms& terms) -> Outcome<std::unique_ptr<NodeTask>> {
        if (terms.member == member) return std::make_unique<SlowTask>(terms, gate);
        static Gate open;
        open.open();
        return std::make_unique<SlowTask>(terms, open);
    };
}

}  // namespace

TEST_CASE("a node talks on while it prepares, learns and measures, however long that takes") {
    for (JobPlan plan : {federated(), push_sum()}) {
        INFO("push-sum " << (plan.terms.aggregation == Aggregation::push_sum));
        plan.budget.updates = 0;
        Gate gate;
        RealFleet fleet(3, slow(gate, 0), quick);
        std::set<std::string> seen;
        std::string waits;
        std::int64_t beats = 0;
        const auto heard = [&] {
            const Connection* node = fleet.server().coordinator().connection(0);
            return node != nullptr ? node->heard_ms : 0;
        };
        fleet.set_turn_limit(10'000);
        fleet.each_turn([&] {
            const std::string now = gate.waiting();
            if (now.empty()) return;
            if (now != waits) beats = heard();
            waits = now;
            // Something new was heard of it while it stood still, and that for ten heartbeats.
            if (heard() < beats + 10 * quick.heartbeat_ms) return;
            seen.insert(now);
            if (now == "learn" && plan.terms.aggregation == Aggregation::federated)
                (void)fleet.server().coordinator().stop(1, false);
            gate.go_on();
        });
        const std::uint64_t number = fleet.run(plan);
        CHECK(seen == std::set<std::string>{"prepare", "learn", "measure"});
        CHECK(fleet.server().coordinator().state().job(number)->ended());
        CHECK(fleet.server().coordinator().counters().joins == 3);  // no connection was lost
        if (fleet.ledger().empty()) continue;
        CHECK(fleet.ledger().back().lost.nothing());
    }
}

TEST_CASE(
    "a node declines a setting that it does not know by its name, and one that is the coordinator's it never "
    "sees") {
    RealFleet fleet(1, make_node_task);
    JobPlan plan = federated();
    plan.terms.members = 1;
    plan.first.assign(plan.terms.dimension, 0.0f);
    plan.experiment = "kind = \"classification\"\n[fleet]\nof_tomorrow = 1\n[model]\nof_tomorrow_too = 1\n";
    const std::uint64_t number = fleet.run_planned(plan);
    const JobMember& member = fleet.server().coordinator().state().job(number)->members()[0];
    CHECK(member.state == MemberState::declined);
    CHECK(member.refusal.code == Code::job_not_understood);
    CHECK(member.reason.find("of_tomorrow_too") != std::string::npos);
}

TEST_CASE("a node that is told to stop, or that has left, does not wait for its gradient") {
    for (const bool leaves : {false, true}) {
        INFO("leaves " << leaves);
        Gate gate;
        RealFleet fleet(1, {}, quick);
        NodeSettings settings;
        settings.name = "slow";
        settings.link = fleet.admit("slow");
        settings.directory = fleet.folder() / "slow";
        settings.memory_bytes = 1 << 20;
        settings.make_task = slow(gate, 1);
        auto node = *Node::make(settings, [](std::string_view, const std::string&) {});
        std::atomic<bool> stop{false}, leave{false}, over{false};
        std::thread thread([&] {
            node->run(stop, leave);
            over = true;
        });
        fleet.each_turn([&, turn = 0]() mutable {
            if (gate.waiting() == "prepare") gate.go_on();
            if (gate.waiting() != "learn") return;
            (leaves ? leave : stop) = true;
            node->wake();
            if (over || ++turn > 3000) (void)fleet.server().coordinator().stop(1, true);
        });
        fleet.set_report_limit(1);
        JobPlan plan = federated();
        plan.budget.updates = 0;
        fleet.run(plan);
        for (int turn = 0; !over && turn < 3000; ++turn) REQUIRE(fleet.server().turn(10));
        CHECK(over);
        CHECK(node->busy());
        stop = true;
        node->wake();
        gate.open();
        thread.join();
    }
}
