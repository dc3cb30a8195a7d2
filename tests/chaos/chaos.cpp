// SPDX-License-Identifier: Apache-2.0
// A fleet of real processes on loopback with CURVE, through a proxy, while everything that can break does, from a
// seed. Half of the faults hit a federated job, half one without a server. Afterwards the invariants 1, 4, 7, 8 and
// 9 of docs/architecture.md must hold exactly, and both jobs must have learned.
//
//     dunlin_chaos [--faults 500] [--seed 1] [--nodes 6] [--gap-ms 120] [--settle-s 8] [--keep]
//
// Hours of it: --faults 100000. With --keep the directory with keys, stores and logs stays.
#include "books.hpp"
#include "core/random.hpp"
#include "hostile.hpp"
#include "proxy.hpp"
#include "roles.hpp"
#include "transport/zeromq/keys.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <optional>

#include <CLI/CLI.hpp>
#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace dunlin;
using namespace dunlin::chaos;

namespace {

constexpr std::int64_t never = -1;

std::int64_t now_ms() {
    using namespace std::chrono;
    return duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count();
}

struct Options {
    int faults = 500, nodes = 6, gap_ms = 120, settle_s = 8;
    std::uint64_t seed = 1;
    bool keep = false;
};

struct Process {
    std::vector<std::string> command;
    std::string log;
    pid_t id = -1;
    std::int64_t start_ms = 0;  ///< when it is started (again)
    std::int64_t stopped_until_ms = never, full_until_ms = never;
    bool killed = false;  ///< by us
};

enum class Fault { kill, stop, disk, cut, stall, delay, corrupt };
constexpr const char* fault_names[] = {"kill -9", "SIGSTOP", "full disk", "cut", "stall", "delay", "corrupt"};

class Driver {
public:
    Driver(const Options& options, std::string self);
    ~Driver();

    bool run();

private:
    void spawn(Process& process);
    void step();
    void read_reports();
    void reap();
    void resume(Process& process, bool all);
    void inject();
    void hit(Process& process, Fault fault);
    bool wait(const char* what, int limit_s, const std::function<bool()>& condition);
    bool job(std::uint64_t number, int faults);
    void calm();
    void end(Process& process);
    void check_model(std::uint64_t job, int members);
    std::int64_t between(std::int64_t least, std::int64_t most) {
        return least + random_.below(static_cast<std::uint32_t>(most - least));
    }
    void fail(const std::string& text) {
        fmt::print(stderr, "chaos: {}\n", text);
        failed_ = true;
    }

    Options options_;
    std::string self_;
    Place place_;
    Stream random_;
    Books books_;
    int pipe_[2] = {-1, -1};
    std::string unread_;
    std::optional<Proxy> proxy_;
    std::optional<Hostile> hostile_;
    Process coordinator_;
    std::vector<Process> nodes_;
    std::size_t reported_faults_ = 0;
    int injected_ = 0;
    int counts_[2][std::size(fault_names)] = {};
    bool failed_ = false;
};

std::uint16_t free_port() {
    const int probe = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    bind(probe, reinterpret_cast<sockaddr*>(&address), size);
    getsockname(probe, reinterpret_cast<sockaddr*>(&address), &size);
    close(probe);
    return ntohs(address.sin_port);
}

Driver::Driver(const Options& options, std::string self)
    : options_(options), self_(std::move(self)), random_(options.seed, 0, Purpose::lives) {
    std::string pattern = (std::filesystem::temp_directory_path() / "dunlin-chaos-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr || pipe2(pipe_, O_CLOEXEC) != 0) std::exit(1);
    fcntl(pipe_[0], F_SETFL, O_NONBLOCK);
    fcntl(pipe_[0], F_SETPIPE_SZ, 1 << 20);
    place_ = {pattern, options.nodes};
    std::filesystem::create_directory(place_.directory / "store");
    std::vector<std::string> names{"coordinator", hostile_name};
    for (int node = 0; node < options.nodes; ++node) names.push_back(Place::name(node));
    for (const std::string& name : names) {
        if (const auto keys = KeyPair::make(); !keys || !keys->save(place_.key_file(name))) std::exit(1);
    }
    const std::uint16_t port = free_port();
    const std::string endpoint = "tcp://127.0.0.1:" + std::to_string(port);
    proxy_.emplace(options.nodes, port);
    hostile_.emplace(endpoint, KeyPair::load(place_.key_file("coordinator"))->public_key(),
                     *KeyPair::load(place_.key_file(hostile_name)));
    const std::string count = std::to_string(options.nodes);
    coordinator_.command = {self_, "coordinator", pattern, count, endpoint};
    coordinator_.log = "coordinator.log";
    for (int node = 0; node < options.nodes; ++node) {
        Process process;
        process.command = {self_, "node", pattern, count, proxy_->endpoint(node), std::to_string(node)};
        process.log = Place::name(node) + ".log";
        nodes_.push_back(process);
    }
}

Driver::~Driver() {
    for (Process* process : {&coordinator_}) end(*process);
    for (Process& process : nodes_) end(process);
    std::error_code ignored;
    if (!options_.keep) std::filesystem::remove_all(place_.directory, ignored);
}

void Driver::end(Process& process) {
    if (process.id <= 0) return;
    kill(process.id, SIGKILL);
    waitpid(process.id, nullptr, 0);
    process.id = -1;
}

void Driver::spawn(Process& process) {
    std::vector<char*> arguments;
    for (const std::string& word : process.command) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    const std::string log = (place_.directory / process.log).string();
    process.killed = false;
    process.start_ms = never;
    process.id = fork();
    if (process.id != 0) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    // Another process writes the log: what is said last is wanted most where this one's disk is full.
    int words[2];
    if (pipe2(words, O_CLOEXEC) != 0) _exit(127);
    if (fork() == 0) {
        const int file = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
        dup2(words[0], STDIN_FILENO);
        dup2(file, STDOUT_FILENO);
        execlp("cat", "cat", nullptr);
        _exit(127);
    }
    dup2(words[1], STDOUT_FILENO);
    dup2(words[1], STDERR_FILENO);
    dup2(pipe_[1], report_descriptor);
    execv(arguments[0], arguments.data());
    _exit(127);
}

void Driver::read_reports() {
    char bytes[1 << 16];
    for (ssize_t got = 0; (got = read(pipe_[0], bytes, sizeof bytes)) > 0;) unread_.append(bytes, got);
    std::size_t begin = 0;
    for (std::size_t end = 0; (end = unread_.find('\n', begin)) != std::string::npos; begin = end + 1)
        books_.take(unread_.substr(begin, end - begin));
    unread_.erase(0, begin);
    for (; reported_faults_ < books_.faults().size(); ++reported_faults_) fail(books_.faults()[reported_faults_]);
}

/// Whoever ended without having been killed has failed, but for a coordinator that cannot tell what is on its disk.
void Driver::reap() {
    const auto look = [&](Process& process) {
        int status = 0;
        if (process.id <= 0 || waitpid(process.id, &status, WNOHANG) != process.id) return;
        process.id = -1;
        process.stopped_until_ms = process.full_until_ms = never;
        const bool broken_store = &process == &coordinator_ && WIFEXITED(status) && WEXITSTATUS(status) == 3;
        if (!process.killed && !broken_store)
            fail(fmt::format("{} ended by itself, status {}", process.log, status));
        if (process.start_ms == never) process.start_ms = now_ms() + 100;
    };
    look(coordinator_);
    for (Process& process : nodes_) look(process);
}

void Driver::resume(Process& process, bool all) {
    const std::int64_t now = now_ms();
    if (process.stopped_until_ms != never && (all || now >= process.stopped_until_ms)) {
        process.stopped_until_ms = never;
        kill(process.id, SIGCONT);
    }
    if (process.full_until_ms != never && (all || now >= process.full_until_ms)) {
        process.full_until_ms = never;
        const rlimit none{RLIM_INFINITY, RLIM_INFINITY};
        prlimit(process.id, RLIMIT_FSIZE, &none, nullptr);
    }
    if (process.id <= 0 && process.start_ms != never && now >= process.start_ms) spawn(process);
}

void Driver::step() {
    proxy_->poll(5, now_ms());
    hostile_->step(now_ms());
    read_reports();
    reap();
    resume(coordinator_, false);
    for (Process& process : nodes_) resume(process, false);
}

void Driver::hit(Process& process, Fault fault) {
    if (process.id <= 0) return;
    if (fault == Fault::kill) {
        process.killed = true;
        process.start_ms = now_ms() + between(0, 400);
        kill(process.id, SIGKILL);
    } else if (fault == Fault::stop) {
        kill(process.id, SIGSTOP);
        process.stopped_until_ms = now_ms() + between(100, 2500);
    } else {
        // Some bytes fit yet, so that writes end in the middle.
        const rlimit limit{static_cast<rlim_t>(between(0, 6000)), RLIM_INFINITY};
        prlimit(process.id, RLIMIT_FSIZE, &limit, nullptr);
        process.full_until_ms = now_ms() + between(100, 1500);
    }
}

void Driver::inject() {
    const bool coordinator = random_.below(100) < 15;
    const auto node = static_cast<int>(random_.below(static_cast<std::uint32_t>(options_.nodes)));
    const auto fault = static_cast<Fault>(random_.below(coordinator ? 3 : std::size(fault_names)));
    Process& process = coordinator ? coordinator_ : nodes_[static_cast<std::size_t>(node)];
    LineFaults& line = proxy_->line(node);
    switch (fault) {
        case Fault::kill:
        case Fault::stop:
        case Fault::disk:
            hit(process, fault);
            break;
        case Fault::cut:
            line.cut = true;
            break;
        case Fault::stall:
            line.stalled_until_ms = now_ms() + between(100, 4000);
            break;
        case Fault::delay:
            line.delay_ms = between(20, 300);
            line.slow_until_ms = now_ms() + between(500, 4000);
            break;
        case Fault::corrupt:
            line.corrupt = true;
    }
    ++counts_[coordinator ? 0 : 1][static_cast<int>(fault)];
    ++injected_;
}

/// Whatever is broken is made whole.
void Driver::calm() {
    for (int node = 0; node < options_.nodes; ++node) proxy_->line(node) = {};
    resume(coordinator_, true);
    for (Process& process : nodes_) resume(process, true);
}

bool Driver::wait(const char* what, int limit_s, const std::function<bool()>& condition) {
    const std::int64_t end = now_ms() + limit_s * 1000;
    while (!condition() && now_ms() < end) step();
    if (!condition()) fail(fmt::format("{}: not within {} s", what, limit_s));
    return condition();
}

bool Driver::job(std::uint64_t number, int faults) {
    if (!wait("the job is there", 60, [&] { return books_.created(number); }))
        return fail(hostile_->doing()), false;
    for (const int end = injected_ + faults; injected_ < end;) {
        inject();
        // Seldom and in bursts, and as often as asked on average.
        const double gap = -std::log1p(-static_cast<double>(random_.uniform())) * options_.gap_ms;
        for (const std::int64_t next = now_ms() + std::lround(gap); now_ms() < next;) step();
    }
    calm();
    const std::int64_t settled = now_ms() + options_.settle_s * 1000;
    while (now_ms() < settled) step();
    wait("the coordinator is there", 30, [&] { return coordinator_.id > 0; });
    // A stop that comes while the coordinator starts is heard too: its handler is the first thing that it sets.
    for (int tries = 0; tries < 10 && !books_.ended(number); ++tries) {
        kill(coordinator_.id, SIGUSR1);
        const std::int64_t end = now_ms() + 6000;
        while (now_ms() < end && !books_.ended(number)) step();
    }
    if (!books_.ended(number)) fail(fmt::format("job {} does not end", number));
    const std::size_t members = static_cast<std::size_t>(options_.nodes);
    return wait("all report", 60, [&] { return books_.finals(number) >= members; });
}

/// The federated model, like the mean without a server, is close to the mean of the targets, from zero.
void Driver::check_model(std::uint64_t job, int members) {
    const std::vector<float>& model = books_.model(job);
    if (model.size() != dimension) return fail(fmt::format("job {} left no model", job));
    double squares = 0;
    for (std::uint32_t k = 0; k < dimension; ++k) {
        double mean = 0;
        for (int i = 0; i < members; ++i)
            mean += static_cast<double>(target(static_cast<std::uint32_t>(i), k)) / members;
        if (!std::isfinite(model[k]))
            return fail(fmt::format("job {}: {} in the model [invariant 9]", job, model[k]));
        squares += std::pow(static_cast<double>(model[k]) - mean, 2);
    }
    const double distance = std::sqrt(squares / dimension);
    fmt::print("job {}: {} after {}, {:.3f} from the optimum, 3 at the start\n", job, books_.reason(job),
               job == 1 ? "an asynchronous server" : "push-sum", distance);
    if (!(distance < 0.3)) fail(fmt::format("job {} has not learned", job));
}

bool Driver::run() {
    for (Process& process : nodes_) spawn(process);
    spawn(coordinator_);
    const std::int64_t begin = now_ms();
    const bool both = job(1, options_.faults / 2) && job(2, options_.faults - options_.faults / 2);
    if (both) {
        coordinator_.killed = true;
        coordinator_.start_ms = never;
        kill(coordinator_.id, SIGTERM);
        const std::int64_t end = now_ms() + 10'000;
        while (books_.model(2).empty() && now_ms() < end) {
            proxy_->poll(5, now_ms());
            read_reports();
        }
        check_model(1, options_.nodes);
        check_model(2, options_.nodes);
        // Each by itself too: a node that was left with little mass may step far from the others.
        for (const auto& [member, distance] : books_.distances(2)) {
            if (!(distance < 1.5))
                fail(fmt::format("job 2: member {} ends at {:.2f} from its target", member, distance));
        }
    }
    books_.close();
    for (; reported_faults_ < books_.faults().size(); ++reported_faults_) fail(books_.faults()[reported_faults_]);
    if (hostile_->applied() > 0) fail("an update that is no good was applied [invariant 9]");
    if (hostile_->refused() == 0) fail("the hostile node was never refused");
    fmt::print("seed {}: {} faults in {} s:", options_.seed, injected_, (now_ms() - begin) / 1000);
    for (std::size_t k = 0; k < std::size(fault_names); ++k)
        fmt::print(" {} {}", counts_[0][k] + counts_[1][k], fault_names[k]);
    fmt::print(", {} of them to the coordinator\n", counts_[0][0] + counts_[0][1] + counts_[0][2]);
    fmt::print("{} updates taken, {} acknowledged, {} states of which {} were replayed, {} refusals\n",
               books_.updates(), books_.acknowledged(), books_.states(), books_.replayed(), hostile_->refused());
    if (failed_) fmt::print("FAILED; {}\n", options_.keep ? place_.directory.string() : "--keep keeps the logs");
    return !failed_;
}

}  // namespace

int main(int count, char** arguments) {
    const std::string role = count > 1 ? arguments[1] : "";
    if (role == "coordinator" && count == 5)
        return run_coordinator({arguments[2], std::atoi(arguments[3])}, arguments[4]);
    if (role == "node" && count == 6)
        return run_node({arguments[2], std::atoi(arguments[3])}, std::atoi(arguments[5]), arguments[4]);
    Options options;
    CLI::App app{"Real processes of a fleet under faults from a seed"};
    app.add_option("--faults", options.faults, "how many")
        ->check(CLI::Range(2, 100'000'000))
        ->capture_default_str();
    app.add_option("--seed", options.seed, "of which and when")->capture_default_str();
    app.add_option("--nodes", options.nodes, "processes")->check(CLI::Range(2, 200))->capture_default_str();
    app.add_option("--gap-ms", options.gap_ms, "mean time between two faults")->capture_default_str();
    app.add_option("--settle-s", options.settle_s, "without faults before a job is stopped")->capture_default_str();
    app.add_flag("--keep", options.keep, "leave the directory with keys, stores and logs");
    CLI11_PARSE(app, count, arguments);
    std::signal(SIGPIPE, SIG_IGN);
    return Driver(options, "/proc/self/exe").run() ? 0 : 1;
}
