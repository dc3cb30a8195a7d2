// SPDX-License-Identifier: Apache-2.0
// A coordinator with its web port, as `dunlin fleet serve` runs it, and many live nodes: sessions over sockets with CURVE,
// in one other process, all in one job, that send updates, reports and vitals. An hour of history is there from the start.
//
//     dunlin_bench_web [NODES [SECONDS]]       (1000 120)
//
// It prints a line with where its page is and a token as soon as all nodes have joined, and what it took at the end;
// bench/web.py runs it with pages that look.
#include "apps/dunlin/fleet_client.hpp"
#include "apps/dunlin/fleet_web.hpp"
#include "fleet/coordinator/fleet_server.hpp"
#include "raw_zeromq.hpp"
#include "transport/encoding.hpp"
#include "transport/zeromq/node_link.hpp"

#include <csignal>
#include <cstring>
#include <ctime>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace dunlin;
using namespace dunlin::bench;

namespace {

constexpr std::size_t dimension = 1000;
constexpr std::int64_t between_updates_ms = 5000, between_reports_ms = 10'000;

/// A node that learns nothing, and says it.
class Node {
public:
    Node(NodeLinkSettings settings, int number, std::span<const float> values)
        : link_(NodeLink::open(std::move(settings)).value()),
          name_(fmt::format("node-{}", number)),
          number_(number),
          values_(values) {}

    void live(std::int64_t now_ms) {
        link_.poll(0);
        while (link_.receive(arrival_)) {
            if (arrival_.kind == Arrival::Kind::up)
                say(0, Join{.name = name_, .software = "dunlin-node bench x86_64"});
            if (arrival_.kind == Arrival::Kind::down) joined_ = false;
            if (arrival_.kind == Arrival::Kind::message) hear(arrival_.message.message(), now_ms);
        }
        if (!joined_) return;
        if (now_ms >= beat_ms_) {
            beat_ms_ = now_ms + 1000;
            say(0, Heartbeat{});
            if (++beats_ % 10 == 1) {
                const Metric vitals[] = {
                    {"temperature", 40.0 + static_cast<double>((now_ms / 10'000 + number_) % 20)},
                    {"load", 0.1 * static_cast<double>((now_ms / 10'000 + number_) % 7)},
                    {"battery", 100},
                    {"disk", 50}};
                Report report;
                report.metrics = vitals;
                (void)link_.send({{}, report});
            }
        }
        if (job_ == 0 || !has_model_) return;
        if (now_ms >= update_ms_) {
            update_ms_ = now_ms + between_updates_ms;
            say(++sequence_, ModelUpdate{member_, version_, 1.0f, view_values(values_)});
        }
        if (now_ms >= report_ms_) {
            report_ms_ = now_ms + between_reports_ms;
            const double value = 0.5 + 0.4 * static_cast<double>((now_ms / 1000 + number_) % 100) / 100;
            const Metric metrics[] = {{"return_ratio", value}, {"loss", 1 - value}};
            say(0, Report{static_cast<std::int64_t>(sequence_), false, metrics});
        }
    }

private:
    void say(std::uint64_t sequence, MessageBody body) {
        (void)link_.send(
            {{job_, 0, incarnation_, sequence, nonce_}, body});  // what is not sent is said again later
    }
    void hear(const Message& message, std::int64_t now_ms) {
        if (const auto* welcome = std::get_if<Welcome>(&message.body)) {
            incarnation_ = welcome->incarnation;
            joined_ = true;
            // Spread, as those are that came one by one.
            beat_ms_ = now_ms + number_ % 1000;
        }
        if (const auto* offer = std::get_if<JobOffer>(&message.body)) {
            job_ = message.envelope.job;
            nonce_ = message.envelope.nonce;
            member_ = offer->terms.member;
            say(0, JobAnswer{true, {}});
            say(0, ModelRequest{});
        }
        if (const auto* model = std::get_if<Model>(&message.body)) {
            if (!has_model_) {
                update_ms_ = now_ms + number_ * 7 % between_updates_ms;
                report_ms_ = now_ms + number_ * 7 % between_reports_ms;
            }
            has_model_ = true;
            version_ = model->version;
        }
    }

    NodeLink link_;
    Arrival arrival_;
    std::string name_;
    int number_;
    std::span<const float> values_;
    std::uint64_t job_ = 0, nonce_ = 0, sequence_ = 0, version_ = 0;
    std::uint32_t incarnation_ = 0, member_ = 0;
    bool joined_ = false, has_model_ = false;
    std::int64_t beats_ = 0, beat_ms_ = 0, update_ms_ = 0, report_ms_ = 0;
};

/// The other process: `count` nodes with the keys of a folder, until it is killed.
int live_as_nodes(const std::string& endpoint, const std::string& server_key, const std::string& folder,
                  int count) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const auto context = make_link_context(count);
    const std::vector<float> values(dimension, 0.001f);
    std::vector<std::unique_ptr<Node>> nodes;
    for (int k = 0; k < count; ++k) {
        NodeLinkSettings link;
        link.endpoint = endpoint;
        link.server_key = parse_public_key(server_key).value();
        link.keys = KeyPair::load(fmt::format("{}/{}", folder, k)).value();
        link.context = context;
        nodes.push_back(std::make_unique<Node>(std::move(link), k, values));
    }
    for (;;) {
        const std::int64_t now_ms = app::steady_now_ms();
        for (const auto& node : nodes) node->live(now_ms);
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
}

double cpu_seconds(clockid_t clock) {
    timespec now{};
    clock_gettime(clock, &now);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// Processor time of the thread of the web port so far.
double web_thread_seconds() {
    for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
        std::string name;
        std::getline(std::ifstream(task.path() / "comm"), name);
        if (name != "dunlin-web") continue;
        std::string text;
        std::getline(std::ifstream(task.path() / "stat"), text);
        unsigned long user = 0, system = 0;
        std::sscanf(text.c_str() + text.rfind(')') + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
                    &user, &system);
        return static_cast<double>(user + system) / static_cast<double>(sysconf(_SC_CLK_TCK));
    }
    return 0;
}

double peak_mb() {
    std::ifstream in("/proc/self/status");
    for (std::string line; std::getline(in, line);) {
        if (line.starts_with("VmHWM:")) return std::strtod(line.c_str() + 6, nullptr) / 1024;
    }
    return 0;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc == 6 && std::strcmp(argv[1], "nodes") == 0)
        return live_as_nodes(argv[2], argv[3], argv[4], std::atoi(argv[5]));
    const int count = argc > 1 ? std::atoi(argv[1]) : 1000, seconds = argc > 2 ? std::atoi(argv[2]) : 120;
    rlimit files{};
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    const std::filesystem::path directory =
        std::filesystem::temp_directory_path() / ("dunlin-web-" + std::to_string(getpid()));
    std::filesystem::create_directories(directory / "store");
    std::filesystem::create_directories(directory / "keys");
    auto index = Index::open(directory / "store/store.db");
    if (!index) give_up("the index");
    FleetServerSettings settings;
    settings.directory = directory / "store";
    settings.link.endpoint = "tcp://127.0.0.1:*";
    settings.link.keys = KeyPair::make().value();
    settings.store.unix_ms = app::unix_now_ms;
    auto server = FleetServer::open(settings, **index);
    if (!server) give_up(server.error().text.c_str());
    Coordinator& coordinator = (*server)->coordinator();
    JobRequest request;
    for (int k = 0; k < count; ++k) {
        const KeyPair keys = KeyPair::make().value();
        const auto node =
            coordinator.admit({.name = fmt::format("node-{}", k), .key = keys.public_key(), .labels = {"board"}});
        if (!node || !keys.save((directory / "keys" / std::to_string(k)).string())) give_up("admitting");
        request.nodes.push_back(*node);
    }
    JobPlan plan;
    plan.name = "bench";
    plan.terms.members = static_cast<std::uint32_t>(count);
    plan.terms.dimension = dimension;
    plan.terms.aggregation = Aggregation::federated;
    plan.first.assign(dimension, 0.5f);
    plan.server.rule = PersaflRule{0.001f};
    if (!coordinator.create_job(plan, request)) give_up("the job");

    app::WebOptions options;
    options.address = "127.0.0.1:0";
    auto web = app::WebDoor::open(options, settings.directory.string());
    if (!web) give_up(web.error().text.c_str());
    Desk::Place place;
    place.endpoint = (*server)->link().endpoint();
    place.server_key = to_hex(settings.link.keys.public_key());
    web->tell(place);
    Desk desk(coordinator, **index, place);
    const std::string token = place.access->create("bench", Role::view, app::unix_now_ms()).value().secret;
    const std::string endpoint = place.endpoint, key = place.server_key, folder = (directory / "keys").string();
    const pid_t nodes = fork();
    if (nodes == 0) {
        execl("/proc/self/exe", argv[0], "nodes", endpoint.c_str(), key.c_str(), folder.c_str(),
              std::to_string(count).c_str(), nullptr);
        _exit(127);
    }

    double web_seconds = 0;  // of the coordinator's own thread
    std::int64_t second_ms = 0;
    const auto turn = [&] {
        if (!(*server)->turn(20)) give_up("the store");
        const std::int64_t now_ms = app::steady_now_ms();
        const double before = cpu_seconds(CLOCK_THREAD_CPUTIME_ID);
        web->serve(desk, now_ms, app::unix_now_ms());
        web_seconds += cpu_seconds(CLOCK_THREAD_CPUTIME_ID) - before;
        while (auto told = desk.finished(now_ms)) (void)web->answer(told->first, told->second);
        if (now_ms - second_ms < 1000) return;
        second_ms = now_ms;
        desk.look_for_alerts(now_ms, [](const AlertRule&, const AlertChange&) {});
        if (!(*index)->flush()) give_up("the index");
    };
    const auto here = [&] {
        int welcome = 0;
        for (const auto& [at, connection] : coordinator.connections()) welcome += connection.welcome ? 1 : 0;
        return welcome;
    };
    const auto begin = Clock::now();
    while (here() < count && seconds_since(begin) < 300) turn();
    const double joined_s = seconds_since(begin);
    // The hour before, as if it had been sampled.
    for (int k = 720; k > 0; --k) web->serve(desk, app::steady_now_ms() - k * 5000, app::unix_now_ms() - k * 5000);
    const std::string greeting = web->greeting(app::steady_now_ms());
    fmt::print(
        "{}\n",
        nlohmann::json{{"page", "http://" + web->address()},
                       {"link", greeting.substr(greeting.find("http"), greeting.find(';') - greeting.find("http"))},
                       {"token", token},
                       {"nodes", here()},
                       {"joined_s", joined_s}}
            .dump());
    std::fflush(stdout);
    const double own_before = web_seconds, thread_before = web_thread_seconds(),
                 all_before = cpu_seconds(CLOCK_PROCESS_CPUTIME_ID);
    const auto start = Clock::now();
    while (seconds_since(start) < seconds) turn();
    const double passed = seconds_since(start), own = web_seconds - own_before,
                 thread = web_thread_seconds() - thread_before;
    fmt::print("{}\n", nlohmann::json{{"nodes", here()},
                                      {"updates", coordinator.state().jobs().begin()->second.updates()},
                                      {"peak_mb", peak_mb()},
                                      {"web_percent_of_a_core", 100 * (own + thread) / passed},
                                      {"of_them_its_own_thread", 100 * thread / passed},
                                      {"all_percent_of_a_core",
                                       100 * (cpu_seconds(CLOCK_PROCESS_CPUTIME_ID) - all_before) / passed}}
                           .dump());
    kill(nodes, SIGKILL);
    waitpid(nodes, nullptr, 0);
    std::filesystem::remove_all(directory);
    return 0;
}
