// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/fleet_demo.hpp"

#include "apps/dunlin/demo_processes.hpp"
#include "apps/dunlin/interrupt.hpp"
#include "apps/dunlin/progress.hpp"
#include "apps/output.hpp"
#include "apps/report/table.hpp"
#include "fleet/coordinator/fleet_server.hpp"
#include "fleet/jobs/experiments.hpp"
#include "fleet/jobs/plan_job.hpp"

#include <algorithm>
#include <chrono>
#include <numeric>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace dunlin::app {
namespace {

using Clock = std::chrono::steady_clock;

double since(Clock::time_point begin) {
    return std::chrono::duration<double>(Clock::now() - begin).count();
}

/// What the nodes of the present job said of themselves last.
class Reports final : public Journal {
public:
    void begin(std::uint64_t job, std::size_t nodes) {
        job_ = job;
        ratios_.assign(nodes, -1.0);
        updates_.assign(nodes, 0);
    }
    void applied(const FleetState&, const Record& record, const JobChange*) override {
        if (record.kind != RecordKind::report || record.job != job_ || record.node >= ratios_.size()) return;
        for (const KeptMetric& metric : read_report(record)) {
            if (metric.name == "return_ratio") ratios_[record.node] = metric.value;
            if (metric.name == "updates") updates_[record.node] = static_cast<std::uint64_t>(metric.value);
        }
    }
    const std::vector<double>& ratios() const { return ratios_; }
    /// Delivered, or steps taken without a server.
    std::uint64_t updates() const { return std::accumulate(updates_.begin(), updates_.end(), std::uint64_t{0}); }

private:
    std::uint64_t job_ = 0;
    std::vector<double> ratios_;  ///< -1: said nothing yet
    std::vector<std::uint64_t> updates_;
};

struct Mode {
    std::string_view method, title;
    std::vector<double> ratios = {};
    std::uint64_t updates = 0;
    double seconds = 0;
};

class Demo {
public:
    Demo(const FleetDemoRequest& request, DemoProcesses& processes)
        : request_(request), processes_(processes), progress_(request.quiet) {}

    Outcome<int> run();

private:
    Outcome<void> open();
    Outcome<void> start_nodes();
    Outcome<void> gather();
    Outcome<void> learn(Mode& mode);
    Outcome<void> turn();
    void show(const Mode& mode, const Job& job, double seconds);
    std::string json() const;
    std::string table() const;

    const FleetDemoRequest& request_;
    DemoProcesses& processes_;
    Progress progress_;
    Reports reports_;
    std::unique_ptr<FleetServer> server_;
    std::string server_key_;
    std::vector<std::uint32_t> nodes_;
    std::vector<Mode> modes_{{.method = "persafl-me", .title = "with a server: PersA-FL, option C"},
                             {.method = "pars-push", .title = "without a server: PARS-Push"}};
};

Outcome<void> Demo::open() {
    auto keys = KeyPair::make();
    if (!keys) return refuse(keys.error(), "the coordinator's keys");
    FleetServerSettings settings;
    settings.directory = processes_.directory() / "store";
    std::error_code error;
    if (!std::filesystem::create_directory(settings.directory, error)) {
        return refuse(fmt::format("{}: {}", settings.directory.string(), error.message()));
    }
    settings.link.endpoint = "tcp://127.0.0.1:0";
    settings.link.keys = *keys;
    server_key_ = to_hex(keys->public_key());
    auto server = FleetServer::open(settings, reports_);
    if (!server) return tl::unexpected(server.error());
    server_ = *std::move(server);
    return {};
}

Outcome<void> Demo::start_nodes() {
    std::error_code error;
    const auto program = std::filesystem::read_symlink("/proc/self/exe", error).parent_path() / "dunlin-node";
    if (!std::filesystem::exists(program, error)) {
        return refuse(program.string() + " is missing; build or install it beside dunlin");
    }
    for (int i = 0; i < request_.nodes; ++i) {
        const std::string name = fmt::format("node-{}", i);
        const std::filesystem::path directory = processes_.directory() / name;
        std::filesystem::create_directory(directory, error);
        const auto keys = KeyPair::make();
        if (!keys) return refuse(keys.error(), name);
        if (auto saved = keys->save((directory / "key").string()); !saved) return refuse(saved.error(), name);
        const auto admitted = server_->coordinator().admit({.name = name, .key = keys->public_key(), .labels = {}});
        if (!admitted) return refuse(admitted.error(), name);
        nodes_.push_back(*admitted);
        auto started =
            processes_.start({program.string(), "run", "--dir", directory.string(), "--name", name, "--join",
                              server_->link().endpoint(), "--server-key", server_key_, "--with-parent"},
                             name + ".log");
        if (!started) return started;
    }
    return {};
}

Outcome<void> Demo::turn() {
    if (auto done = server_->turn(50); !done) return done;
    if (const int node = processes_.ended(); node >= 0 && !interrupted()) {
        return refuse(fmt::format("node-{} ended by itself", node));
    }
    return {};
}

/// Until all nodes are there.
Outcome<void> Demo::gather() {
    const Clock::time_point begin = Clock::now();
    while (server_->coordinator().connections().size() < nodes_.size() && !interrupted()) {
        if (auto done = turn(); !done) return done;
        if (since(begin) > 60) return refuse("the nodes did not join within a minute");
    }
    return {};
}

Outcome<void> Demo::learn(Mode& mode) {
    const std::string toml = fmt::format(
        "kind = \"fleet-navigation\"\nexperiment = \"fleet-demo\"\nseed = {}\n[method]\n"
        "name = \"{}\"\n{}\n[fleet]\nreport_every = 50\ntick_ms = 25\n",
        request_.seed, mode.method, request_.rounds > 0 ? fmt::format("rounds = {}", request_.rounds) : "");
    auto plan = plan_job(toml, "the demo's experiment", static_cast<std::uint32_t>(request_.nodes));
    if (!plan) return tl::unexpected(plan.error());
    JobRequest wanted;
    wanted.nodes = nodes_;
    const Clock::time_point begin = Clock::now();
    reports_.begin(server_->coordinator().state().next_job(), nodes_.size());
    const auto number = server_->coordinator().create_job(*plan, wanted);
    if (!number) return refuse(number.error(), "the demo's job");
    const auto over = [&](const Job& job) {
        return job.ended() && std::ranges::all_of(job.members(), [](const JobMember& member) {
                   return member.reported || !member.in() || member.state == MemberState::invited;
               });
    };
    const Job* job = nullptr;
    Clock::time_point ended = begin;
    while (job = server_->coordinator().state().job(*number), !over(*job) && !interrupted()) {
        if (auto done = turn(); !done) return done;
        if (!job->ended()) ended = Clock::now();
        if (since(ended) > 30) return refuse("a node did not say how it does, half a minute after the job ended");
        if (progress_.due()) show(mode, *job, since(begin));
    }
    mode.seconds = since(begin);
    mode.ratios = reports_.ratios();
    mode.updates = reports_.updates();
    show(mode, *job, mode.seconds);
    progress_.finish();
    if (!interrupted() && job->ended() != JobEndReason::finished) return refuse("the demo's job did not finish");
    return {};
}

void Demo::show(const Mode& mode, const Job& job, double seconds) {
    std::string line = fmt::format("{}  {:.0f} s  {} updates  of the optimum:", mode.title, seconds,
                                   std::max(job.updates(), reports_.updates()));
    for (const double ratio : reports_.ratios()) line += ratio < 0 ? "    -" : fmt::format(" {:.2f}", ratio);
    progress_.show(line);
}

std::string Demo::json() const {
    nlohmann::ordered_json all{{"nodes", request_.nodes}, {"seed", request_.seed}};
    for (const Mode& mode : modes_) {
        nlohmann::ordered_json tasks = nlohmann::ordered_json::array();
        for (std::size_t i = 0; i < mode.ratios.size(); ++i) {
            tasks.push_back({{"node", fmt::format("node-{}", i)}, {"return_ratio", mode.ratios[i]}});
        }
        all["modes"].push_back(
            {{"method", mode.method}, {"tasks", tasks}, {"updates", mode.updates}, {"seconds", mode.seconds}});
    }
    return all.dump() + "\n";
}

std::string Demo::table() const {
    report::Table table{{"node", "PersA-FL", "PARS-Push"}, {}, {}};
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
        table.rows.push_back({fmt::format("node-{}", i), fmt::format("{:.3f}", modes_[0].ratios[i]),
                              fmt::format("{:.3f}", modes_[1].ratios[i])});
    }
    return report::text_table(table) + "share of the optimal return, after each node adapted at home\n";
}

Outcome<int> Demo::run() {
    if (auto done = open(); !done) return tl::unexpected(done.error());
    if (auto done = start_nodes(); !done) return tl::unexpected(done.error());
    if (auto done = gather(); !done) return tl::unexpected(done.error());
    for (Mode& mode : modes_) {
        if (auto done = learn(mode); !done) return tl::unexpected(done.error());
        if (interrupted()) return stopped;
    }
    say("{}", request_.json ? json() : table());
    return succeeded;
}

}  // namespace

Outcome<int> run_fleet_demo(const FleetDemoRequest& request) {
    auto processes = DemoProcesses::make();
    if (!processes) return tl::unexpected(processes.error());
    catch_interrupts();
    const auto code = Demo(request, *processes).run();
    if (code) return code;
    note("dunlin: {}\n", code.error().text);
    return failed;
}

}  // namespace dunlin::app
