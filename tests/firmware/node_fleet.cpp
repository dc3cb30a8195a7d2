// SPDX-License-Identifier: Apache-2.0
// The node image on two boards in their emulator, with nodes on this machine, through a gateway, over lines that
// harm one byte in a hundred; one board is switched off and on again.
#include "firmware/board.hpp"
#include "fleet/gateway/gateway.hpp"
#include "fleet/gateway/line_relay.hpp"
#include "fleet/jobs/plan_job.hpp"
#include "fleet/node/real_fleet.hpp"
#include "source_dir.hpp"
#include "transport/zeromq/keys.hpp"

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <numeric>
#include <sstream>

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

extern char** environ;

using namespace dunlin;
using namespace dunlin::test;

namespace {

/// A board in its emulator, its serial line at a relay's port.
class Board {
public:
    Board(std::filesystem::path folder, std::uint16_t port, std::string image)
        : folder_(std::move(folder)), port_(port), image_(std::move(image)) {
        start();
    }
    ~Board() { stop(); }
    void reset() {
        stop();
        start();
    }

private:
    void start() {
        std::string emulator = firmware::read(folder_ / "emulator.txt");
        // A test that is killed takes its boards with it.
        std::vector<std::string> words{"setpriv", "--pdeathsig", "KILL"};
        std::istringstream all(
            emulator + " -nographic -monitor none -serial tcp:127.0.0.1:" + std::to_string(port_) +
            " -semihosting-config enable=on,target=native -kernel " + (folder_ / (image_ + ".elf")).string());
        for (std::string word; all >> word;) words.push_back(word);
        std::vector<char*> arguments;
        for (std::string& word : words) arguments.push_back(word.data());
        arguments.push_back(nullptr);
        posix_spawn_file_actions_t actions;
        posix_spawn_file_actions_init(&actions);
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
        REQUIRE(posix_spawnp(&process_, arguments[0], &actions, nullptr, arguments.data(), environ) == 0);
        posix_spawn_file_actions_destroy(&actions);
    }
    void stop() {
        ::kill(process_, SIGKILL);
        ::waitpid(process_, nullptr, 0);
    }

    std::filesystem::path folder_;
    std::uint16_t port_;
    std::string image_;
    pid_t process_ = -1;
};

/// What make_node_task makes, no faster than a board: in a fleet of boards nobody needs all of this machine.
class SlowTask final : public NodeTask, private Learner {
public:
    explicit SlowTask(std::unique_ptr<NodeTask> task) : task_(std::move(task)) {}
    Learner& learner() override { return *this; }
    std::span<const Metric> measure(ConstVector<float> w) override { return task_->measure(w); }

private:
    std::size_t dimension() const override { return task_->learner().dimension(); }
    int gradient(ConstVector<float> w, Stream& random, Vector<float> out) override {
        std::this_thread::sleep_for(std::chrono::milliseconds(200));
        return task_->learner().gradient(w, random, out);
    }

    std::unique_ptr<NodeTask> task_;
};

Outcome<std::unique_ptr<NodeTask>> make_slow_task(const JobTerms& terms) {
    auto made = make_node_task(terms);
    if (!made) return tl::unexpected(made.error());
    return std::make_unique<SlowTask>(*std::move(made));
}

/// What PullTask pulls to, no faster than a board: for a policy that hosts have no task for.
Outcome<std::unique_ptr<NodeTask>> make_slow_pull(const JobTerms& terms) {
    static std::vector<std::vector<float>> personal;
    static std::mutex mutex;
    return std::make_unique<SlowTask>(std::make_unique<PullTask>(terms, personal, mutex));
}

/// Nodes here, and boards at the end of lines that harm a share of all bytes.
struct BoardFleet {
    RealFleet fleet;
    std::mutex mutex;
    std::string log;
    int restored = 0;
    Gateway gateway{[this](const std::string& device, std::string_view event, const std::string& text) {
        const std::lock_guard lock(mutex);
        restored += event == "restored" ? 1 : 0;
        log += device + ": " + text + "\n";
    }};
    std::vector<std::unique_ptr<LineRelay>> relays;
    std::vector<std::unique_ptr<Board>> boards;
    std::vector<std::filesystem::path> states;

    /// With a key the boards' line is sealed; their image has to be.
    BoardFleet(std::uint32_t hosts, TaskMaker task, const std::vector<std::filesystem::path>& folders, float loss,
               const std::string& image = "node", std::optional<CipherKey> key = std::nullopt)
        : fleet(hosts, std::move(task)) {
        fleet.set_turn_limit(60'000);
        fleet.set_report_limit(6000);
        for (const std::filesystem::path& folder : folders) {
            relays.push_back(std::make_unique<LineRelay>(loss, relays.size() + 1));
            GatewayDeviceSettings settings;
            settings.name = folder.filename().string();
            settings.address = relays.back()->gateway_address();
            settings.directory = fleet.folder() / settings.name;
            settings.link = fleet.admit(settings.name);
            settings.line_key = key;
            states.push_back(settings.directory / "state");
            REQUIRE(gateway.add(std::move(settings)));
            boards.push_back(std::make_unique<Board>(folder, relays.back()->device_port(), image));
        }
        gateway.start();
    }
    ~BoardFleet() {
        gateway.stop();
        boards.clear();
    }
};

/// Two nodes here and the boards that DUNLIN_NODE_BOARDS names (build folders, with ':' between them).
struct MixedFleet : BoardFleet {
    MixedFleet() : BoardFleet(2, make_slow_task, folders(), 0.01f) {}
    static std::vector<std::filesystem::path> folders() {
        std::vector<std::filesystem::path> all;
        std::istringstream names(firmware::variable("DUNLIN_NODE_BOARDS"));
        for (std::string folder; std::getline(names, folder, ':');) all.emplace_back(folder);
        return all;
    }
};

/// Navigation on the map that the boards' policy is for, one task each.
JobPlan navigation(const char* method, const BoardFleet& fleet) {
    const std::string toml =
        firmware::read(std::filesystem::path(DUNLIN_SOURCE_DIR) / "tests/firmware/node-fleet.toml");
    auto plan = plan_job("kind = \"fleet-navigation\"\n[method]\nname = \"" + std::string(method) + "\"\n" + toml,
                         "node-fleet.toml", static_cast<std::uint32_t>(2 + fleet.boards.size()));
    INFO((plan ? "" : plan.error().text));
    REQUIRE(plan);
    return *plan;
}

/// What they reach of their optima; each by a single adaptation to few trajectories, so one may be unlucky.
void check_learned(const RealFleet& fleet) {
    const std::vector<double>& ratios = fleet.results();
    CHECK(std::accumulate(ratios.begin(), ratios.end(), 0.0) / static_cast<double>(ratios.size()) >= 0.9);
    for (const double ratio : ratios) CHECK(ratio >= 0.8);
}

}  // namespace

TEST_CASE("boards learn with hosts through a gateway, with a server, while the line loses bytes and one is reset") {
    MixedFleet boards;
    JobPlan plan = navigation("persafl-me", boards);
    plan.budget = {};
    // A board is reset when it has delivered something; the job lasts until both have delivered enough, however few
    // of all updates are theirs.
    bool reset = false, stopped = false;
    Coordinator& coordinator = boards.fleet.server().coordinator();
    boards.fleet.each_turn([&] {
        const Job* job = coordinator.state().job(1);
        if (job == nullptr || stopped) return;
        const auto delivered = [&](std::size_t member) { return job->members()[member].updates; };
        if (!reset && delivered(2) >= 1) {
            reset = true;
            boards.boards[0]->reset();
        }
        if (delivered(2) < 12 || delivered(3) < 12) return;
        stopped = true;
        REQUIRE(coordinator.stop(1, false));
    });
    const std::uint64_t number = boards.fleet.run_planned(plan);
    INFO(boards.log);
    CHECK(number == 1);
    CHECK(reset);
    CHECK(coordinator.state().job(number)->ended() == JobEndReason::stopped);
    check_learned(boards.fleet);
    for (const auto& relay : boards.relays) CHECK(relay->harmed() > relay->bytes() / 200);
}

TEST_CASE("boards give a server the gradients of plain steps and of first-order MAML, too") {
    for (const Objective objective : {Objective::plain, Objective::maml}) {
        MixedFleet boards;
        JobPlan plan = navigation("persafl-me", boards);
        plan.budget = {};
        plan.terms.objective = objective;
        plan.terms.local_rate = 0.1f;
        plan.terms.maml = {.steps = 2,
                           .inner_rate = plan.terms.moreau.inner_rate,
                           .first_order = true,
                           .step_clip = plan.terms.moreau.step_clip};
        bool stopped = false;
        Coordinator& coordinator = boards.fleet.server().coordinator();
        boards.fleet.each_turn([&] {
            const Job* job = coordinator.state().job(1);
            if (job == nullptr || stopped) return;
            if (job->members()[2].updates < 2 || job->members()[3].updates < 2) return;
            stopped = true;
            REQUIRE(coordinator.stop(1, false));
        });
        const std::uint64_t number = boards.fleet.run_planned(plan);
        INFO(boards.log);
        CHECK(coordinator.state().job(number)->ended() == JobEndReason::stopped);
    }
}

TEST_CASE(
    "boards learn with hosts without a server, and a reset in between loses no mass [invariants 1, 3, 4, 9]") {
    MixedFleet boards;
    JobPlan plan = navigation("pars-push", boards);
    plan.terms.wake_ticks = 4;  // hosts wake up no more often than boards can, or they would learn for themselves
    bool reset = false;
    int turns = 0;
    boards.fleet.each_turn([&] {
        if (reset || !std::filesystem::exists(boards.states[0]) || ++turns < 200) return;
        reset = true;
        boards.boards[0]->reset();
    });
    const std::uint64_t number = boards.fleet.run_planned(plan);
    INFO(boards.log);
    CHECK(boards.fleet.server().coordinator().state().job(number)->ended() == JobEndReason::finished);
    CHECK(reset);
    CHECK(boards.restored >= 1);
    REQUIRE(boards.fleet.ledger().size() == 1);
    CHECK(boards.fleet.ledger().back().lost.nothing());
    check_learned(boards.fleet);
}

TEST_CASE("a board with as little memory as its job takes goes through a reset, and no weight is lost",
          "[one-board]") {
    const std::filesystem::path folder = firmware::build_folder();
    BoardFleet boards(3, make_slow_pull, {folder}, 0.0f);
    JobPlan plan = push_sum();
    plan.terms.dimension = 1317;
    plan.terms.audit = false;
    plan.graph.kind = "complete";
    plan.terms.tick_ms = 500;
    plan.terms.wake_ticks = 8;
    plan.budget.rounds = 40;
    plan.terms.learn_until = 30;
    plan.regroup_ms = 300'000;  // an emulated board is slow to start anew, and nobody is to be fenced for it
    bool reset = false;
    int turns = 0;
    boards.fleet.each_turn([&] {
        if (reset || !std::filesystem::exists(boards.states[0]) || ++turns < 200) return;
        reset = true;
        boards.boards[0]->reset();
    });
    const std::uint64_t number = boards.fleet.run(plan);
    INFO(boards.log);
    CHECK(boards.fleet.server().coordinator().state().job(number)->ended() == JobEndReason::finished);
    CHECK(reset);
    CHECK(boards.restored >= 1);
    REQUIRE(boards.fleet.ledger().size() == 1);
    CHECK(boards.fleet.ledger().back().lost.weight == 0);
    CHECK(boards.fleet.metric(3, "updates") >= 3);
    const double stack = boards.fleet.metric(3, "stack_bytes");
    CHECK(stack > 500);  // the paint was there
    CHECK(stack <= 0.75 * static_cast<double>(firmware::stack_room()));
    // For the report of sizes.
    std::ofstream(folder / "node.txt") << "stack " << stack << "\n";
}

TEST_CASE("a board learns with hosts over a sealed line that loses bytes", "[secure]") {
    const std::filesystem::path folder = firmware::variable("DUNLIN_SECURE_BUILD");
    const auto key = KeyPair::load(firmware::variable("DUNLIN_SECURE_KEY"));
    REQUIRE(key);
    BoardFleet boards(2, make_slow_task, {folder}, 0.01f, "node-secure", key->secret_key());
    JobPlan plan = navigation("persafl-me", boards);
    plan.budget = {};
    bool reset = false, stopped = false;
    Coordinator& coordinator = boards.fleet.server().coordinator();
    boards.fleet.each_turn([&] {
        const Job* job = coordinator.state().job(1);
        if (job == nullptr || stopped) return;
        const auto delivered = job->members()[2].updates;
        if (!reset && delivered >= 1) {
            reset = true;
            boards.boards[0]->reset();
        }
        if (delivered < 5) return;
        stopped = true;
        REQUIRE(coordinator.stop(1, false));
    });
    const std::uint64_t number = boards.fleet.run_planned(plan);
    INFO(boards.log);
    CHECK(reset);
    CHECK(coordinator.state().job(number)->ended() == JobEndReason::stopped);
    const double stack = boards.fleet.metric(2, "stack_bytes");
    CHECK(stack > 500);
    CHECK(stack <= 0.75 * 3072);
}

TEST_CASE("a board learns a classifier from samples of its own, in a fleet of hosts that have more", "[samples]") {
    const std::filesystem::path folder = firmware::variable("DUNLIN_SAMPLE_NODE"),
                                run = firmware::variable("DUNLIN_SAMPLE_RUN");
    constexpr std::uint32_t hosts = 5;
    BoardFleet boards(hosts, make_node_task, {folder}, 0.01f, "sample-node");
    auto plan = plan_job(firmware::read(run / "config.toml"), "config.toml", hosts + 1);
    INFO((plan ? "" : plan.error().text));
    REQUIRE(plan);
    boards.fleet.set_turn_limit(180'000);  // a busy machine is no fault
    // A reset board starts from the server's model again; its samples are where its sensor is.
    bool reset = false;
    Coordinator& coordinator = boards.fleet.server().coordinator();
    boards.fleet.each_turn([&] {
        const Job* job = coordinator.state().job(1);
        if (reset || job == nullptr || job->members()[hosts].updates < 3) return;
        reset = true;
        boards.boards[0]->reset();
    });
    const std::uint64_t number = boards.fleet.run_planned(*plan);
    INFO(boards.log);
    CHECK(reset);
    CHECK(coordinator.state().job(number)->ended() == JobEndReason::finished);
    std::string told;
    for (std::uint32_t member = 0; member <= hosts; ++member)
        told +=
            "accuracy of " + std::to_string(member) + ": " + std::to_string(boards.fleet.results()[member]) + "\n";
    std::ofstream(folder / "sample-node.txt") << "stack " << boards.fleet.metric(hosts, "stack_bytes") << "\n"
                                              << told;
    INFO(told);
    CHECK(boards.fleet.metric(hosts, "updates") >= 10);
    // Better than this board alone, which its experiment says.
    const double least = std::stod(firmware::variable("DUNLIN_SAMPLE_ACCURACY"));
    CHECK(boards.fleet.metric(hosts, "accuracy") >= least);
    CHECK(boards.fleet.metric(hosts, "stack_bytes") <= 0.75 * 3072);
    CHECK(firmware::size_of(firmware::linked_pieces(firmware::read(folder / "sample-node.map"))).ram <= 98'304);
}
