// SPDX-License-Identifier: Apache-2.0
// Draws docs/network-trace-latency.svg, docs/network-trace-radio.svg and docs/network-trace-speeds.svg from runs
// over measured traces, with and without them (docs/simulation.md says where the traces come from):
//
//     dunlin_network_traces FOLDER docs
//
// FOLDER holds rtt-planetlab-seattle, wsn-grenoble-k7 and phone-speeds. Seeds 1 to 5; lines are means over them,
// bands their range.
#include "apps/report/run_files.hpp"
#include "apps/report/svg_plot.hpp"
#include "training/problems/classification_fleet.hpp"
#include "training/problems/regression_fleet.hpp"
#include "training/runs/federated_training.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace {

using namespace dunlin;

constexpr std::uint64_t seeds = 5;

[[noreturn]] void give_up(const std::string& why) {
    std::fprintf(stderr, "%s\n", why.c_str());
    std::exit(1);
}

/// Adds one seed's curve to the mean and the range.
void add(report::Series& series, std::uint64_t seed, const std::vector<double>& x, const std::vector<double>& y) {
    if (seed == 1) {
        series.x = x;
        series.y.assign(y.size(), 0.0);
        series.low = series.high = y;
    }
    const std::size_t common = std::min(series.y.size(), y.size());
    for (auto* values : {&series.x, &series.y, &series.low, &series.high}) values->resize(common);
    for (std::size_t k = 0; k < common; ++k) {
        series.y[k] += y[k] / seeds;
        series.low[k] = std::min(series.low[k], y[k]);
        series.high[k] = std::max(series.high[k], y[k]);
    }
}

/// The worst node's distance from the minimiser, against rounds times `x_scale`.
report::Series regression(const char* name, RegressionRunSettings settings, double x_scale) {
    report::Series series{.name = name, .x = {}, .y = {}};
    double consensus = 0, lost = 0, sent = 0;
    std::uint64_t mass_error = 0;
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
        settings.seed = seed;
        const auto kind = regression_kind();
        Workers workers(2);
        auto agents = make_regression(settings, 2);
        if (!agents) give_up(agents.error().text);
        const auto rounds = kind.rounds(settings, **agents);
        if (!rounds) give_up(rounds.error().text);
        auto run = FederatedRun::make(**agents,
                                      {.settings = kind.learning(settings),
                                       .seed = seed,
                                       .rounds = *rounds,
                                       .judging = kind.judging(settings)},
                                      workers);
        if (!run) give_up(run.error().text);
        FederatedResult result;
        const auto keep = [](const FederatedResult&) -> Outcome<void> { return {}; };
        if (auto done = (*run)->run({}, keep, result); !done) give_up(done.error().text);
        if (!result.failure.empty()) std::printf("%s, seed %d: %s\n", name, int(seed), result.failure.c_str());
        std::vector<double> x, y;
        for (const FederatedRow& row : result.history) {
            x.push_back(static_cast<double>(row.round + 1) * x_scale);
            y.push_back(row.personal.front());
        }
        add(series, seed, x, y);
        consensus += result.last.consensus_error / seeds;
        lost += static_cast<double>(result.messages.lost);
        sent += static_cast<double>(result.messages.sent);
        mass_error = std::max(mass_error, result.mass_error.value_or(0));
    }
    std::printf("%s: worst node %.3g off, consensus error %.3g, %.1f %% of messages lost, mass error %llu\n", name,
                series.y.back(), consensus, 100 * lost / sent, static_cast<unsigned long long>(mass_error));
    return series;
}

RegressionRunSettings fleet_of(int agents) {
    RegressionRunSettings settings;
    settings.data.agents = agents;
    settings.graph = "exponential";
    settings.wake_gap = settings.delay_limit = 1;
    settings.loss = 0.0f;
    settings.loss_limit = -1;
    settings.weight_floor = 0.01f;
    settings.fraction_bits = 44;
    settings.rounds = 3000;
    settings.evaluate_every = 25;
    return settings;
}

report::LineChart latency_chart(const std::string& folder) {
    report::LineChart chart;
    chart.title = "Round trips: 99 nodes, a round lasts 50 ms";
    chart.x = {"simulated time (s)"};
    chart.y = {"worst node's relative error", true};
    RegressionRunSettings settings = fleet_of(99);
    chart.series.push_back(regression("every message takes a round", settings, 0.05));
    settings.trace = folder + "/rtt-planetlab-seattle/planetlab-rtt-us-idx3-int.gz";
    chart.series.push_back(regression("PlanetLab", settings, 0.05));
    settings.trace = folder + "/rtt-planetlab-seattle/seattle-rtt-10ms-idx3-short.gz";
    chart.series.push_back(regression("Seattle", settings, 0.05));
    return chart;
}

report::LineChart radio_chart(const std::string& folder) {
    report::LineChart chart;
    chart.title = "Radio links of Grenoble: 50 nodes";
    chart.x = {"rounds"};
    chart.y = {"worst node's relative error", true};
    RegressionRunSettings settings = fleet_of(50);
    chart.series.push_back(regression("PARS-Push, nothing is lost", settings, 1));
    settings.trace = folder + "/wsn-grenoble-k7/grenoble.k7.gz";
    chart.series.push_back(regression("PARS-Push, radio links", settings, 1));
    settings.federated.method.aggregation = AggregationName::sgp;
    chart.series.push_back(regression("gradient push, radio links", settings, 1));
    return chart;
}

/// Accuracy of the personal models against simulated time.
report::Series digits(const char* name, Method method, const std::string& trace) {
    report::Series series{.name = name, .x = {}, .y = {}};
    std::uint64_t updates = 0;
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
        ClassificationSettings settings;
        settings.seed = seed;
        settings.data.split.nodes = 40;
        settings.federated.method = method;
        settings.federated.trace = trace;
        settings.federated.clock.speed_spread = 0.0f;
        settings.federated.clock.budget_s = 1500.0f;
        settings.federated.evaluations = 30;
        const auto problem = make_classification_problem(settings, 2);
        if (!problem) give_up(problem.error().text);
        Workers workers(2);
        FederatedResult result;
        const auto trained = train_federated(
            **problem, settings.federated, seed, workers, RunPauses{},
            [](const FederatedResult&) -> Outcome<void> { return {}; }, result);
        if (!trained) give_up(trained.error().text);
        std::vector<double> x, y;
        for (const FederatedRow& row : result.history) {
            x.push_back(row.time_s);
            y.push_back(row.shared.front());
        }
        add(series, seed, x, y);
        updates += result.counters.applied;
    }
    std::printf("%s: accuracy %.3f of the shared model, %llu updates a run\n", name, series.y.back(),
                static_cast<unsigned long long>(updates / seeds));
    return series;
}

report::LineChart speeds_chart(const std::string& folder) {
    report::LineChart chart;
    chart.title = "Speeds of phones: 40 clients and a server";
    chart.x = {"simulated time (s)"};
    chart.y = {"accuracy of the shared model"};
    const std::string phones = folder + "/phone-speeds/phones.csv";
    chart.series.push_back(digits("FedAvg, equal speeds", preset::fedavg, ""));
    chart.series.push_back(digits("FedAvg, phones", preset::fedavg, phones));
    chart.series.push_back(digits("FedAsync, equal speeds", preset::fedasync, ""));
    chart.series.push_back(digits("FedAsync, phones", preset::fedasync, phones));
    return chart;
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) give_up("usage: dunlin_network_traces FOLDER OUT");
    const std::string folder = argv[1], out = argv[2];
    const std::pair<const char*, report::LineChart (*)(const std::string&)> charts[] = {
        {"latency", latency_chart}, {"radio", radio_chart}, {"speeds", speeds_chart}};
    for (const auto& [name, draw] : charts) {
        report::LineChart chart = draw(folder);
        chart.band_name = "range over seeds 1 to 5";
        const std::string file = out + "/network-trace-" + name + ".svg";
        if (!report::write_file(file, report::line_chart(chart))) give_up("cannot write " + file);
    }
    return 0;
}
