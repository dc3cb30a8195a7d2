// SPDX-License-Identifier: Apache-2.0
// Acknowledged, durable updates per second of a coordinator with CURVE on loopback, beside ZeroMQ alone with the
// same sizes in the same run (the pattern of libzmq's remote_thr and local_thr). An update is answered by an
// acknowledgement when it is durable and in the model, and by the model: so for each of them ZeroMQ alone carries
// two messages of d floats. With a directory on a disk the log's sequential write speed stands beside it.
//
//     dunlin_bench_coordinator [DIRECTORY [D...]]     (a directory in memory, as /dev/shm; 1000 100000 1000000)
#include "fleet/coordinator/fleet_server.hpp"
#include "raw_zeromq.hpp"
#include "transport/encoding.hpp"
#include "transport/zeromq/node_link.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

using namespace dunlin;
using namespace dunlin::bench;

namespace {

constexpr int clients = 4;
/// Updates of a client that wait for their acknowledgements: what credit there is for them, and at most these.
constexpr std::size_t longest_window = 16;
constexpr int rounds = 5;
constexpr std::size_t acknowledgement_bytes = 80;

struct Measured {
    double seconds = 0, commit_ms = 0, updates_per_commit = 0;
    int models = 0;
};

struct Progress {
    std::atomic<int> updates_left, models = 0;
};

/// A node that learns nothing: it says the same update again and again.
class Client {
public:
    Client(NodeLink link, int number, std::span<const float> values)
        : link_(std::move(link)), name_("node-" + std::to_string(number)), values_(values) {}

    void run(Progress& progress) {
        while (progress.updates_left > 0) {
            link_.poll(100);
            while (link_.receive(arrival_)) {
                if (arrival_.kind == Arrival::Kind::up) say(0, Join{.name = name_, .software = "bench"});
                if (arrival_.kind == Arrival::Kind::message) hear(arrival_.message.message(), progress);
            }
        }
    }

private:
    void say(std::uint64_t sequence, MessageBody body) {
        while (!link_.send({{job_, 0, incarnation_, sequence}, body})) link_.poll(10);
    }
    void hear(const Message& message, Progress& progress) {
        if (const auto* welcome = std::get_if<Welcome>(&message.body)) incarnation_ = welcome->incarnation;
        if (const auto* offer = std::get_if<JobOffer>(&message.body)) {
            job_ = message.envelope.job;
            member_ = offer->terms.member;
            say(0, JobAnswer{true, {}});
            say(0, ModelRequest{});
        }
        if (const auto* answer = std::get_if<Acknowledgement>(&message.body)) {
            // With large models the coordinator's memory for updates is full now and then.
            if (!answer->applied && answer->refusal.code != Code::busy) give_up("an update");
            if (answer->applied) --progress.updates_left;
            deliver();
        }
        if (const auto* model = std::get_if<Model>(&message.body)) {
            ++progress.models;
            version_ = model->version;
            while (sequence_ < window()) deliver();
        }
    }
    std::size_t window() const {
        const CoordinatorSettings settings;
        return std::clamp<std::size_t>(settings.credit_bytes / std::as_bytes(values_).size(), settings.credit,
                                       longest_window);
    }
    void deliver() { say(++sequence_, ModelUpdate{member_, version_, 1.0f, view_values(values_)}); }

    NodeLink link_;
    Arrival arrival_;
    std::string name_;
    std::span<const float> values_;
    std::uint64_t job_ = 0, sequence_ = 0, version_ = 0;
    std::uint32_t incarnation_ = 0, member_ = 0;
};

JobPlan plan_of(std::size_t dimension) {
    JobPlan plan;
    plan.name = "bench";
    plan.terms.members = clients;
    plan.terms.dimension = static_cast<std::uint32_t>(dimension);
    plan.terms.aggregation = Aggregation::federated;
    plan.first.assign(dimension, 0.5f);
    plan.server.rule = PersaflRule{0.001f};
    return plan;
}

Measured coordinator(const std::filesystem::path& directory, std::size_t dimension, int count) {
    std::filesystem::remove_all(directory);
    std::filesystem::create_directories(directory);
    const KeyPair keys = KeyPair::make().value();
    FleetServerSettings settings;
    settings.directory = directory;
    settings.link.endpoint = "tcp://127.0.0.1:*";
    settings.link.keys = keys;
    Journal nobody;
    auto server = FleetServer::open(settings, nobody);
    if (!server) give_up(server.error().text.c_str());
    const std::vector<float> values(dimension, 0.001f);
    const auto context = make_link_context(clients);
    std::vector<Client> nodes;
    JobRequest request;
    for (int k = 0; k < clients; ++k) {
        const KeyPair own = KeyPair::make().value();
        const auto node = (*server)->coordinator().admit(
            {.name = "node-" + std::to_string(k), .key = own.public_key(), .labels = {}});
        if (!node) give_up("admitting");
        request.nodes.push_back(*node);
        NodeLinkSettings link;
        link.endpoint = (*server)->link().endpoint();
        link.server_key = keys.public_key();
        link.keys = own;
        link.context = context;
        link.queue = 4 * longest_window;
        nodes.emplace_back(NodeLink::open(link).value(), k, values);
    }
    if (!(*server)->coordinator().create_job(plan_of(dimension), request)) give_up("the job");
    Progress progress{count};
    std::vector<std::thread> threads;
    for (Client& node : nodes) threads.emplace_back([&] { node.run(progress); });
    // From the first update on: the handshakes are not what is measured.
    while (progress.updates_left == count) (void)(*server)->turn(1);
    const auto start = Clock::now();
    const int first = progress.updates_left, models_before = progress.models;
    const double commit_before = (*server)->commit_seconds();
    const std::uint64_t commits_before = (*server)->coordinator().counters().commits;
    while (progress.updates_left > 0) {
        if (!(*server)->turn(100)) give_up("the store");
    }
    const auto commits = static_cast<double>((*server)->coordinator().counters().commits - commits_before);
    const Measured result{.seconds = seconds_since(start) * count / first,
                          .commit_ms = 1000 * ((*server)->commit_seconds() - commit_before) / commits,
                          .updates_per_commit = first / commits,
                          .models = progress.models - models_before};
    for (std::thread& thread : threads) thread.join();
    std::filesystem::remove_all(directory);
    return result;
}

/// Seconds that so many bytes take to be written to one file, made durable every `batch` bytes.
double sequential_write(const std::filesystem::path& directory, std::size_t bytes, std::size_t batch) {
    std::filesystem::create_directories(directory);
    const std::string path = (directory / "sequential").string();
    const std::vector<char> block(batch, 'x');
    const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    const auto start = Clock::now();
    for (std::size_t done = 0; done < bytes; done += batch) {
        if (write(file, block.data(), batch) != static_cast<ssize_t>(batch) || fdatasync(file) != 0)
            give_up("writing");
    }
    const double seconds = seconds_since(start);
    close(file);
    std::filesystem::remove_all(directory);
    return seconds;
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
    const std::filesystem::path directory =
        std::filesystem::path(argc > 1 ? argv[1] : "/dev/shm") / ("dunlin-bench-" + std::to_string(getpid()));
    std::vector<std::size_t> sizes{1000, 100'000, 1'000'000};
    if (argc > 2) sizes.clear();
    for (int k = 2; k < argc; ++k) sizes.push_back(static_cast<std::size_t>(std::strtoul(argv[k], nullptr, 10)));
    for (const std::size_t dimension : sizes) {
        const auto count = static_cast<int>(std::clamp<std::size_t>(40'000'000 / dimension, 60, 10'000));
        const std::size_t bytes = 4 * dimension + 120;
        std::vector<double> ours, raw, disk, ratios, disk_ratios, commit_ms;
        double per_commit = 0;
        int models = 0;
        for (int round = 0; round < rounds; ++round) {
            const Measured mine = coordinator(directory, dimension, count);
            per_commit = mine.updates_per_commit;
            models = mine.models;
            ours.push_back(mine.seconds);
            commit_ms.push_back(mine.commit_ms);
            raw.push_back(stream_raw(count + models, bytes) + stream_raw(count, acknowledgement_bytes));
            const auto batch = static_cast<std::size_t>(per_commit * static_cast<double>(bytes));
            disk.push_back(sequential_write(directory, static_cast<std::size_t>(count) * bytes, batch));
            ratios.push_back(raw.back() / ours.back());
            disk_ratios.push_back(disk.back() / ours.back());
        }
        const double seconds = median(ours), megabyte = 1e-6 * static_cast<double>(bytes);
        std::printf("d = %7zu: %7.0f durable updates/s, %6.1f MB/s in, %6.1f MB/s out; ", dimension,
                    count / seconds, count * megabyte / seconds, models * megabyte / seconds);
        std::printf("ZeroMQ alone %6.1f MB/s: ratio %.2f\n", (count + models) * megabyte / median(raw),
                    median(ratios));
        std::printf(
            "             %.1f updates a commit of %.2f ms; writing in such portions alone %6.1f MB/s: ratio "
            "%.2f\n",
            per_commit, median(commit_ms), count * megabyte / median(disk), median(disk_ratios));
        std::fflush(stdout);
    }
}
