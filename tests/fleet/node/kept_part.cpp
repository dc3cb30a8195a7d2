// SPDX-License-Identifier: Apache-2.0
// What stays with a node, its layers or its own model: durable with the state of the session, and in no message.
#include "fleet/jobs/experiments.hpp"
#include "fleet/jobs/plan_job.hpp"
#include "personal_numbers.hpp"
#include "real_fleet.hpp"
#include "training/models/model_file.hpp"
#include "training/runs/federated_training.hpp"
#include "transport/encoding.hpp"

#include <catch2/catch.hpp>

using namespace dunlin;
using namespace dunlin::test;

namespace {

/// What nodes kept, as their tasks saw it.
struct Witnessed {
    std::mutex mutex;
    std::vector<std::vector<float>> learned;      ///< triples that are of no first model
    std::vector<std::vector<float>> handed_back;  ///< to each task before its first gradient
};

/// A task as it is, watched.
class Watched final : public NodeTask {
public:
    Watched(std::unique_ptr<NodeTask> task, Witnessed& seen)
        : task_(std::move(task)), seen_(seen), first_(task_->kept()) {}

    Learner& learner() override { return task_->learner(); }
    std::span<const Metric> measure(ConstVector<float> w) override { return task_->measure(w); }
    std::string personal_file() const override { return task_->personal_file(); }
    std::vector<float> kept() const override {
        const std::lock_guard lock(seen_.mutex);
        std::vector<float> now = task_->kept();
        for (std::size_t k = 0; k + 3 <= now.size(); k += 3) {
            if (now[k] != first_[k] && now[k + 1] != first_[k + 1] && now[k + 2] != first_[k + 2])
                seen_.learned.push_back({now[k], now[k + 1], now[k + 2]});
        }
        return now;
    }
    void put_kept(ConstVector<float> kept) override {
        const std::lock_guard lock(seen_.mutex);
        if (!handed_back_) seen_.handed_back.emplace_back(kept.begin(), kept.end());
        handed_back_ = true;
        task_->put_kept(kept);
    }

private:
    std::unique_ptr<NodeTask> task_;
    Witnessed& seen_;
    std::vector<float> first_;
    bool handed_back_ = false;
};

TaskMaker watched(Witnessed& seen) {
    return [&seen](const JobTerms& terms) -> Outcome<std::unique_ptr<NodeTask>> {
        auto task = make_node_task(terms);
        if (!task) return task;
        return std::make_unique<Watched>(*std::move(task), seen);
    };
}

struct Axes {
    std::string objective, aggregation, layers;
};

/// Every client names the digits in a way of its own.
JobPlan classification(const Axes& axes, std::uint32_t members, const std::string& more) {
    auto plan = plan_job(
        "kind = \"classification\"\n[data]\nclients = 3\nrows = 200\nconflicting = true\n[model]\nhidden = [6]\n"
        "personal_layers = " +
            axes.layers + "\n[objective]\nname = \"" + axes.objective + "\"\n[aggregation]\nname = \"" +
            axes.aggregation + "\"\n[federated]\nlocal_steps = 3\nbatch = 5\n[ditto]\nsteps = 2\n" + more,
        "the test", members);
    INFO((plan ? "" : plan.error().text));
    REQUIRE(plan);
    plan->server.patience_ms = 60'000;
    return *plan;
}

std::string named(std::size_t member) {
    return std::string("n").append(std::to_string(member));
}

/// What simulated nodes learn of it.
FederatedResult in_one_process(FederatedProblem& problem, const ProblemExperiment& experiment) {
    Workers workers(1);
    FederatedResult result;
    REQUIRE(train_federated(
        problem, experiment.settings().federated, experiment.settings().seed, workers, RunPauses{},
        [](const FederatedResult&) -> Outcome<void> { return {}; }, result));
    return result;
}

/// What is on the disk of a node that is off.
NodeState on_disk(const RealFleet& fleet, const std::string& name) {
    auto store = NodeStore::open(posix_file_system(), fleet.folder() / name);
    REQUIRE(store);
    auto state = store->load();
    REQUIRE((state && *state));
    return **state;
}

}  // namespace

TEST_CASE("a node that is switched off again and again keeps to the bit what it would have kept [invariant 4]") {
    for (const Axes& axes : {Axes{"plain", "fedavg", "[\"last\"]"}, Axes{"bilevel", "persafl", "[\"first\"]"},
                             Axes{"ditto", "fedavg", "[]"}, Axes{"moreau", "fedasync", "[\"last\"]"},
                             Axes{"ditto", "scaffold", "[]"}}) {
        INFO(axes.objective << " " << axes.aggregation);
        const JobPlan plan = classification(axes, 1, "[fleet]\nupdates = 24\n");
        std::vector<std::vector<float>> models, personal;
        for (const bool interrupted : {false, true}) {
            RealFleet fleet(1, make_node_task);
            std::uint64_t off_at = interrupted ? 4 : ~std::uint64_t{0};
            int times = 0;
            fleet.each_turn([&] {
                const Job* job = fleet.server().coordinator().state().job(1);
                if (job == nullptr || job->ended() || job->updates() < off_at) return;
                off_at = job->updates() + 5;
                fleet.power_off(0);
                fleet.power_on(0);
                ++times;
            });
            fleet.run_planned(plan);
            CHECK(times == (interrupted ? times : 0));
            CHECK((times >= 3) == interrupted);
            const auto own = TrainedModel::read(fleet.folder() / "n0" / "personal-1.dunlin");
            REQUIRE(own);
            personal.push_back(own->parameters);
            const ConstVector<float> model = fleet.server().coordinator().state().job(1)->model();
            models.emplace_back(model.begin(), model.end());
        }
        CHECK(models[0] == models[1]);
        CHECK(personal[0] == personal[1]);
        CHECK(models[0] != plan.first);
    }
}

TEST_CASE("by rounds real nodes learn what simulated ones learn, and keep what those keep") {
    for (const Axes& axes : {Axes{"bilevel", "fedavg", "[]"}, Axes{"ditto", "fedavg", "[]"},
                             Axes{"bilevel", "scaffold", "[\"last\"]"}}) {
        INFO(axes.objective << " " << axes.aggregation);
        // Models are under way for so long that the clock stops before a next one comes.
        const std::string clock =
            "[clock]\nbudget_s = 2050\nspeed_spread = 0.0\nconcurrency = 1.0\ndownload_s = 100\nupload_s = 0.1\n"
            "gradient_s = 0.1\n";
        JobPlan plan = classification(axes, 3, clock + "[report]\nevaluations = 1\n");
        auto settings = read_deployed(plan.experiment, "the test");
        REQUIRE(settings);
        const ProblemExperiment& experiment = *settings;
        const auto problem = experiment.make(1);
        REQUIRE(problem);
        const FederatedResult simulated = in_one_process(**problem, experiment);
        const std::uint64_t rounds = simulated.history.back().version;
        REQUIRE(rounds >= 10);
        plan.budget.updates = 3 * rounds;

        CoordinatorSettings coordinator;
        coordinator.first_round_ms = 60'000;
        RealFleet fleet(3, make_node_task, coordinator);
        // Whom the running round waits for goes off and comes back: the next round would begin without one that is off.
        std::uint64_t off_at = axes.aggregation == "scaffold" ? 4 : ~std::uint64_t{0};
        int times = 0;
        fleet.each_turn([&] {
            const Job* job = fleet.server().coordinator().state().job(1);
            const auto member = static_cast<std::uint32_t>(times % 3);
            if (job == nullptr || job->ended() || job->updates() < off_at || !job->awaited(member)) return;
            off_at = job->updates() + 4;
            fleet.power_off(member);
            fleet.power_on(member);
            ++times;
        });
        fleet.run_planned(plan);
        CHECK((times >= 3) == (axes.aggregation == "scaffold"));
        const auto near = [](ConstVector<float> a, ConstVector<float> b) {
            REQUIRE(a.size() == b.size());
            double most = 0;
            for (std::size_t k = 0; k < a.size(); ++k)
                most = std::max(most, static_cast<double>(std::abs(a[k] - b[k])));
            CHECK(most < 1e-4);
        };
        std::vector<float> shared(plan.first.size());
        const LayerSplit split = (*problem)->split();
        split.take_shared<float>(simulated.shared_model, shared);
        near(fleet.server().coordinator().state().job(1)->model(), shared);
        for (std::size_t i = 0; i < 3; ++i) {
            const auto own = TrainedModel::read(fleet.folder() / named(i) / "personal-1.dunlin");
            REQUIRE(own);
            const std::size_t d = own->parameters.size();
            near(own->parameters, ConstVector<float>(simulated.personal_models).subspan(i * d, d));
        }
    }
}

TEST_CASE(
    "by hyper-gradient push real nodes learn and keep what simulated ones do, off and on again [invariant 4]") {
    const std::string series = "[hgp]\ninner_steps = 4\nneumann_steps = 3\n[bilevel]\npersonal_rate = 0.2\n";
    JobPlan plan = classification(
        {"bilevel", "hgp", "[]"}, 3,
        series + "[clock]\nbudget_s = 200\nspeed_spread = 0.0\n[report]\nevaluations = 1\n[fleet]\ntick_ms = 1\n");
    auto settings = read_deployed(plan.experiment, "the test");
    REQUIRE(settings);
    const ProblemExperiment& experiment = *settings;
    const auto problem = experiment.make(1);
    REQUIRE(problem);
    const FederatedResult simulated = in_one_process(**problem, experiment);
    REQUIRE(simulated.counters.applied % 3 == 0);
    plan.budget.rounds = simulated.counters.applied / 3 - 1;  // saying where one begins is no round
    REQUIRE(plan.budget.rounds >= 40);
    plan.regroup_ms = 60'000;

    RealFleet fleet(3, make_node_task);
    fleet.restart_during_jobs(5);
    fleet.run_planned(plan);
    const Job& job = *fleet.server().coordinator().state().job(1);
    CHECK(job.ended() == JobEndReason::finished);
    CHECK(job.epoch() == 1);
    const auto near = [](ConstVector<float> a, ConstVector<float> b) {
        REQUIRE(a.size() == b.size());
        for (std::size_t k = 0; k < a.size(); ++k) REQUIRE(std::abs(a[k] - b[k]) < 1e-5f);
    };
    std::vector<float> shared(plan.first.size());
    (*problem)->split().take_shared<float>(simulated.shared_model, shared);
    near(job.model(), shared);
    for (std::size_t i = 0; i < 3; ++i) {
        const auto own = TrainedModel::read(fleet.folder() / named(i) / "personal-1.dunlin");
        REQUIRE(own);
        const std::size_t d = own->parameters.size();
        near(own->parameters, ConstVector<float>(simulated.personal_models).subspan(i * d, d));
    }
}

TEST_CASE("what stays with nodes is in no message of a run, and a planted leak is found [invariant 10]") {
    for (const Axes& axes :
         {Axes{"plain", "fedavg", "[\"last\"]"}, Axes{"bilevel", "pars-push", "[]"}, Axes{"ditto", "dpsgd", "[]"},
          Axes{"ditto", "persafl", "[]"}, Axes{"bilevel", "hgp", "[]"}}) {
        INFO(axes.objective << " " << axes.aggregation);
        Witnessed seen;
        RealFleet fleet(3, watched(seen));
        const std::string more = "[fleet]\nupdates = 12\ntick_ms = 5\nreport_every = 2\n";
        fleet.run_planned(classification(axes, 3, more));
        REQUIRE(seen.learned.size() > 100);
        REQUIRE(fleet.frames().size() > 20);
        CHECK_FALSE(appears(seen.learned, fleet.frames()));
        auto frames = fleet.frames();
        const auto leak = encode_frame({{1, 0, 1, 1}, ModelUpdate{0, 0, 1.0f, view_values(seen.learned.back())}});
        REQUIRE(leak);
        frames.emplace_back(leak->bytes().begin(), leak->bytes().end());
        CHECK(appears(seen.learned, frames));
    }
}

TEST_CASE("without a server nodes go on with what they kept, and no mass is lost [invariants 1, 4]") {
    Witnessed seen;
    RealFleet fleet(3, watched(seen));
    JobPlan plan = classification({"bilevel", "pars-push", "[]"}, 3, "[fleet]\ntick_ms = 5\naudit = true\n");
    plan.budget = {};
    std::vector<std::vector<float>> stored;
    int turn = 0;
    fleet.each_turn([&] {
        if (++turn % 25 != 0 || fleet.server().coordinator().state().job(1)->ended()) return;
        if (stored.size() == 6) return (void)fleet.server().coordinator().stop(1, false);
        const std::size_t member = stored.size() % 3;
        fleet.power_off(member);
        const NodeState state = on_disk(fleet, named(member));
        REQUIRE_FALSE(state.session.empty());
        REQUIRE(state.kept.job == 1);
        REQUIRE(state.kept.numbers.size() == 70);
        stored.push_back(state.kept.numbers);
        fleet.power_on(member);
    });
    fleet.run_planned(plan);
    REQUIRE(stored.size() == 6);
    for (const std::vector<float>& kept : stored) CHECK(std::ranges::count(seen.handed_back, kept) >= 1);
    CHECK(std::ranges::count(stored, stored[0]) == 1);  // it learned
    REQUIRE(fleet.ledger().size() == 1);
    CHECK(fleet.ledger().back().lost.nothing());
}

TEST_CASE("a state that lacks what stays with the node is refused, and nothing begins anew in silence") {
    RealFleet fleet(1, make_node_task);
    bool cut = false;
    fleet.each_turn([&] {
        if (cut || fleet.server().coordinator().state().job(1)->updates() < 3) return;
        cut = true;
        fleet.power_off(0);
        NodeState state = on_disk(fleet, "n0");
        REQUIRE_FALSE(state.kept.numbers.empty());
        state.kept.numbers.pop_back();
        auto store = NodeStore::open(posix_file_system(), fleet.folder() / "n0");
        REQUIRE(store);
        REQUIRE(store->save(std::as_bytes(std::span(state.session)), state.kept));
        store = tl::unexpected(Error{});
        fleet.power_on(0);
    });
    fleet.run_planned(classification({"plain", "fedavg", "[\"last\"]"}, 1, "[fleet]\nupdates = 100000\n"));
    const Job& job = *fleet.server().coordinator().state().job(1);
    CHECK(job.ended() == JobEndReason::failed);
    CHECK(job.members()[0].state == MemberState::declined);
    CHECK_THAT(job.members()[0].reason, Catch::Contains("keeps 69 numbers of its own") && Catch::Contains("70"));
}

TEST_CASE("who is taken out of a job and in again goes on with what stayed with it") {
    Witnessed seen;
    RealFleet fleet(2, watched(seen));
    std::vector<float> kept;
    enum { learning, out, back } stage = learning;
    fleet.each_turn([&] {
        Coordinator& coordinator = fleet.server().coordinator();
        const Job& job = *coordinator.state().job(1);
        if (job.ended()) return;
        if (stage == learning && job.members()[0].updates >= 5) {
            REQUIRE(coordinator.remove_member(1, 0, false));
            stage = out;
        } else if (stage == out && job.members()[1].updates >= 40) {
            fleet.power_off(0);
            const NodeState state = on_disk(fleet, "n0");
            CHECK(state.session.empty());
            kept = state.kept.numbers;
            fleet.power_on(0);
            REQUIRE(
                coordinator.add_member(1, {.node = job.members()[0].node, .experiment = job.plan().experiment}));
            seen.handed_back.clear();
            stage = back;
        } else if (stage == back && job.members()[0].updates >= 10) {
            REQUIRE(coordinator.stop(1, false));
        }
    });
    JobPlan plan = classification({"plain", "persafl", "[\"last\"]"}, 2, "");
    plan.budget = {};
    fleet.run_planned(plan);
    REQUIRE(kept.size() == 70);
    CHECK(std::ranges::count(seen.handed_back, kept) == 1);
}
