// SPDX-License-Identifier: Apache-2.0
// A cluster's figure on one machine: simulated clients with 50 samples each (rows are indices into one shared set), five
// local steps of batch 10 of a perceptron 784-64-64-10 (relu), and FedBuff's server, events and messages included.
//
//     dunlin_bench_clients [CLIENTS [THREADS [CLIENTS_AT_A_TIME [traced]]]]     256, 1 and then 2, 64
//
// Counted are the multiply-adds of the products alone, two operations each, and no gradient towards the input:
//
//     forward    784 64 + 64 64 + 64 10              =  54,912
//     backward   54,912 (weights) + 64 64 + 64 10    =  59,648      229,120 operations a sample
//
// The peak is that of the best fused multiply-add loop on as many threads, measured before, between every tenth of the
// updates, and afterwards. Times are processor times, since other programs share the machine; beside them the wall's.
// `traced`: the fleet's trace covers the bytes of all messages, as it does in experiments.
#include "core/aggregate/server_rules.hpp"
#include "peak.hpp"
#include "training/problems/classification_fleet.hpp"
#include "training/simulation/federated_fleet.hpp"
#include "transport/simulation/fingerprint.hpp"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <numeric>
#include <string_view>

#include <fmt/format.h>
#include <sys/resource.h>

namespace dunlin::bench {
namespace {

constexpr int features = 784, classes = 10, batch = 10, local_steps = 5, samples_each = 50;
constexpr int table_rows = 60'000;
constexpr double operations_a_sample = 2.0 * (54'912 + 59'648);
constexpr int samples_an_update = batch * local_steps;

double seconds_of(clockid_t clock) {
    timespec now{};
    clock_gettime(clock, &now);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// Operations a second of every thread's own processor time, added up.
double measure_peak(Workers& workers) {
    const char* set = available_kernels()[0]->name;
    std::vector<double> rates(static_cast<std::size_t>(workers.count()));
    workers.run(workers.count(), [&](int piece, int) {
        double& best = rates[static_cast<std::size_t>(piece)];
        for (int repeat = 0; repeat < 10; ++repeat) {
            const double start = seconds_of(CLOCK_THREAD_CPUTIME_ID);
            const double done = 2.0 * run_chains(set, 100'000);
            best = std::max(best, done / (seconds_of(CLOCK_THREAD_CPUTIME_ID) - start));
        }
    });
    return std::accumulate(rates.begin(), rates.end(), 0.0);
}

/// Images with a pattern for each class, under noise.
DataTable images(int rows, std::uint32_t number) {
    DataTable table;
    table.features = features;
    table.classes = classes;
    table.values.resize(static_cast<std::size_t>(rows) * features);
    table.labels.resize(static_cast<std::size_t>(rows));
    Stream random(1, number, Purpose::data);
    auto at = table.values.begin();
    for (std::uint8_t& label : table.labels) {
        label = static_cast<std::uint8_t>(random.below(classes));
        for (int k = 0; k < features; ++k) *at++ = (k % classes == label ? 0.2f : 0.0f) + random.uniform() * 0.8f;
    }
    return table;
}

SharedData share_out(std::uint32_t clients) {
    SharedData data{.table = images(table_rows, 0), .parts = {}, .notes = {}, .test = images(2000, 1), .input = {}};
    Stream random(1, 2, Purpose::data);
    data.parts.resize(clients);
    for (NodeRows& part : data.parts) {
        part.train.resize(samples_each);
        for (std::uint32_t& row : part.train) row = random.below(table_rows);
    }
    return data;
}

/// Microseconds of processor time that a call takes, once its memory has been touched.
template <class Body>
double microseconds(const Body& body) {
    constexpr int calls = 200;
    double best = 1e9;
    for (int block = 0; block < 5; ++block) {
        const double start = seconds_of(CLOCK_THREAD_CPUTIME_ID);
        for (int k = 0; k < calls; ++k) body();
        best = std::min(best, (seconds_of(CLOCK_THREAD_CPUTIME_ID) - start) / calls);
    }
    return 1e6 * best;
}

/// Each part of an update by itself, its memory in the cache, on one thread.
void print_parts(FederatedProblem& problem, const FederatedSettings& settings) {
    const std::size_t dimension = problem.dimension();
    std::vector<float> first(dimension), gradient(dimension);
    problem.initialise(first);
    HostMemory client_memory(FederatedClient::memory(dimension)),
        server_memory(FederatedServer<FedBuffRule>::memory(dimension, settings.buffer_size));
    Arena client_arena(client_memory.bytes()), server_arena(server_memory.bytes());
    auto client = FederatedClient::make(
        {.dimension = dimension, .local_steps = 1'000'000'000, .local_rate = settings.local_rate}, client_arena);
    auto server = FederatedServer<FedBuffRule>::make(
        {.nodes = static_cast<std::uint32_t>(settings.buffer_size), .dimension = dimension},
        FedBuffRule::of(settings.rule()), first, server_arena);
    Stream random(1, 0, Purpose::samples);
    std::uint32_t node = 0;
    std::uint64_t sequence = 0;
    const double download = microseconds([&] { (void)client->download(first, 0); });
    const double learning = microseconds([&] {
        node = (node + 1) % problem.nodes();
        problem.learner(node, 0).gradient(first, random, gradient);
    });
    const double step = microseconds([&] { (void)client->step(gradient); });
    const double receive = microseconds([&] {
        (void)server->receive({.sequence = ++sequence, .base_version = server->version(), .values = gradient});
    });
    std::uint64_t hash = 0;
    const double print = microseconds([&] { hash += simulation::fingerprint(std::as_bytes(std::span(gradient))); });
    fmt::print(
        "  alone, in us an update: gradients {:.1f} ({:.0f} GFLOP/s), steps {:.1f}, download {:.1f}, "
        "server {:.1f}; a message's trace {:.1f}{}\n",
        local_steps * learning, operations_a_sample * batch / learning * 1e-3, local_steps * step, download,
        receive, print, hash == 1 ? "." : "");
}

int run(std::uint32_t clients, int threads, std::uint32_t at_a_time, bool traced) {
    Workers workers(threads);
    FederatedSettings settings;
    settings.method = preset::fedbuff;
    settings.batch = batch;
    settings.local_steps = local_steps;
    settings.local_rate = 0.05f;
    settings.buffer_size = 32;
    settings.clock.gradient_s = 5.0f;
    settings.clock.speed_spread = 0.25f;
    settings.clock.concurrency = static_cast<float>(at_a_time) / static_cast<float>(clients);
    const int hidden[] = {64, 64};
    const MlpShape shape = *MlpShape::make(features, hidden, classes, Activation::relu);
    auto problem = make_classification_problem(share_out(clients), shape, LayerSplit(shape.parameters()),
                                               **find_kernels("fast"), settings, 1, threads);
    if (!problem) return fmt::print("{}\n", problem.error().text), 1;
    std::vector<float> first((*problem)->dimension());
    (*problem)->initialise(first);
    auto fleet = FederatedFleet::make(
        settings, 1, first, (*problem)->samples(),
        [&](std::uint32_t node, int worker) -> Learner& { return (*problem)->learner(node, worker); }, workers,
        traced);
    if (!fleet) return fmt::print("{}\n", fleet.error().text), 1;

    double lowest = 1e30, peak = 0, spent = 0, wall = 0;
    const auto look_at_peak = [&] {
        const double found = measure_peak(workers);
        peak = std::max(peak, found);
        lowest = std::min(lowest, found);
    };
    constexpr int slices = 10;
    look_at_peak();
    for (int slice = 1; slice <= slices; ++slice) {
        const std::uint64_t wanted = std::uint64_t{clients} * static_cast<std::uint64_t>(slice) / slices;
        const double start = seconds_of(CLOCK_PROCESS_CPUTIME_ID), began = seconds_of(CLOCK_MONOTONIC);
        auto lived = (*fleet)->advance(simulation::to_seconds(simulation::time_limit),
                                       [&] { return (*fleet)->counters().applied >= wanted; });
        if (!lived) return fmt::print("{}\n", lived.error().text), 1;
        spent += seconds_of(CLOCK_PROCESS_CPUTIME_ID) - start;
        wall += seconds_of(CLOCK_MONOTONIC) - began;
        look_at_peak();
    }
    const auto updates = static_cast<double>((*fleet)->counters().applied);
    const double samples = updates * samples_an_update, rate = samples * operations_a_sample / spent * threads;
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    const auto score = [&](ConstVector<float> w) { return (*problem)->metrics((*problem)->judge(0, w, 0)); };
    fmt::print(
        "{} clients, {} at a time, {} thread{}: {:.0f} updates, {:.1f} s of processors, {:.1f} s of the wall\n",
        clients, at_a_time, threads, threads == 1 ? "" : "s", updates, spent, wall);
    fmt::print("  {:.0f} samples a second of the wall, {:.0f} of a processor, {:.1f} us of it an update\n",
               samples / wall, samples / spent, 1e6 * spent / updates);
    fmt::print(
        "  {:.0f} GFLOP/s while at work: {:.1f} % of {:.0f} (peak, {:.0f} at its lowest); {:.1f} % by the wall\n",
        1e-9 * rate, 100 * rate / peak, 1e-9 * peak, 1e-9 * lowest,
        100 * samples * operations_a_sample / wall / peak);
    fmt::print("  {} MB at most; {} bytes a client's machine; accuracy {:.3f}, {:.3f} at first; trace {:016x}\n",
               usage.ru_maxrss / 1024, (*fleet)->bytes_per_client(), score((*fleet)->model())[0].value,
               score(first)[0].value, (*fleet)->trace());
    print_parts(**problem, settings);
    return (*fleet)->counters().refused == 0 ? 0 : 1;
}

}  // namespace
}  // namespace dunlin::bench

int main(int count, char** arguments) {
    const auto number = [&](int at, int otherwise) {
        return at < count ? std::max(1, std::atoi(arguments[at])) : otherwise;
    };
    const int clients = number(1, 256), at_a_time = std::min(clients, number(3, 64));
    const bool traced = count > 4 && std::string_view(arguments[4]) == "traced";
    for (int threads = count > 2 ? number(2, 1) : 1; threads <= number(2, 2); ++threads) {
        if (const int failed = dunlin::bench::run(static_cast<std::uint32_t>(clients), threads,
                                                  static_cast<std::uint32_t>(at_a_time), traced))
            return failed;
    }
    return 0;
}
