// SPDX-License-Identifier: Apache-2.0
#include "federated_fixtures.hpp"
#include "gossip_scenario.hpp"
#include "measured_file.hpp"
#include "round_fleet.hpp"
#include "source_dir.hpp"
#include "training/network/traced_network.hpp"
#include "training/problems/classification_fleet.hpp"
#include "training/problems/ranking_fleet.hpp"
#include "training/simulation/federated_clock.hpp"

#include <filesystem>
#include <fstream>
#include <map>

#include <unistd.h>

using namespace dunlin;
using namespace dunlin::test;

namespace {

/// Small traces of twelve nodes, in a folder that is gone when the test is.
struct Traces {
    std::filesystem::path folder =
        std::filesystem::temp_directory_path() / ("dunlin-traces-" + std::to_string(::getpid()));
    std::string latency = write("rtt-ms.txt", [](std::ostream& out) {
        for (int i = 0; i < 12; ++i) {
            for (int j = 0; j < 12; ++j) out << (i == j ? 0 : 20 + 10 * ((5 * i + 7 * j) % 40)) << ' ';
            out << '\n';
        }
    });
    std::string radio = write("links.csv", [](std::ostream& out) {
        out << "src,dst,pdr\n";
        for (int i = 0; i < 12; ++i) {
            for (int j = 0; j < 12; ++j) {
                if (i != j && (i + j) % 4 != 0) out << i << ',' << j << ",0." << 3 + (2 * i + j) % 7 << '\n';
            }
        }
    });
    std::string speeds = write("phones.csv", [](std::ostream& out) {
        out << "model,speed\n";
        for (int i = 0; i < 12; ++i) out << "phone " << i << ',' << 1200 / (1 + i % 4) << '\n';
    });

    ~Traces() { std::filesystem::remove_all(folder); }

    template <class Fill>
    std::string write(const char* name, Fill fill) const {
        std::filesystem::create_directories(folder);
        std::ofstream out(folder / name);
        fill(out);
        return (folder / name).string();
    }
};

/// Twelve nodes that start at 1.
Scenario twelve(Result<Graph> graph) {
    REQUIRE(graph);
    std::vector<float> start(12, 1.0f);
    return {*std::move(graph), GossipSettings{}, std::move(start), 1};
}

RegressionRunSettings small_regression(const std::string& trace) {
    RegressionRunSettings settings;
    settings.data.agents = 12;
    settings.graph = "exponential";
    settings.weight_floor = 0.01f;
    settings.rounds = 300;
    settings.trace = trace;
    return settings;
}

FederatedResult train(const RegressionRunSettings& settings, int threads, DataNotes* notes = nullptr) {
    return train_rounds(regression_kind(), settings, threads, notes);
}

FederatedResult train(FederatedProblem& problem, const FederatedSettings& settings, int threads) {
    Workers workers(threads);
    FederatedResult result;
    const auto done = train_federated(
        problem, settings, 1, workers, RunPauses{}, [](const FederatedResult&) -> Outcome<void> { return {}; },
        result);
    if (!done) FAIL(done.error().text);
    return result;
}

std::shared_ptr<const TracedNetwork> read(const std::string& path, const TracedFleet& fleet) {
    auto trace = read_trace(path, fleet);
    if (!trace) FAIL(trace.error().text);
    return *trace;
}

}  // namespace

TEST_CASE("with a trace the same seed gives the same run for one thread and two [invariant 11]") {
    const Traces traces;
    std::vector<std::uint64_t> seen;
    for (const std::string& trace : {std::string(), traces.latency, traces.radio, traces.speeds}) {
        for (const AggregationName by :
             {AggregationName::pars_push, AggregationName::dsgd, AggregationName::persafl}) {
            INFO(trace << " " << name_of(by));
            RegressionRunSettings settings = small_regression(trace);
            settings.federated.method.aggregation = by;
            settings.data.agents = 11;  // and the server
            const FederatedResult one = train(settings, 1), two = train(settings, 2);
            CHECK(one.complete);
            CHECK(one.trace == two.trace);
            CHECK(one.personal_models == two.personal_models);
            CHECK(std::ranges::count(seen, one.trace) == 0);  // each trace is another run
            seen.push_back(one.trace);
        }
    }
}

TEST_CASE("classification and ranking follow a trace, the same with one thread and two [invariant 11]") {
    const Traces traces;
    std::vector<std::uint64_t> seen;
    for (const std::string& trace : {std::string(), traces.latency, traces.radio, traces.speeds}) {
        for (const Method method : {preset::pars_push, preset::persafl, preset::fedavg}) {
            INFO(trace << " " << name_of(method));
            ClassificationSettings settings;
            settings.data.rows = 300;
            settings.data.split.nodes = 6;
            settings.hidden = {8};
            settings.federated.method = method;
            settings.federated.trace = trace;
            settings.federated.clock.budget_s = 150.0f;
            settings.federated.clock.gradient_s = 0.2f;
            settings.federated.clock.patience_s = 20.0f;
            settings.federated.evaluations = 1;
            const auto one = make_classification_problem(settings, 1),
                       two = make_classification_problem(settings, 2);
            REQUIRE(one);
            REQUIRE(two);
            const FederatedResult first = train(**one, settings.federated, 1);
            CHECK(first.trace == train(**two, settings.federated, 2).trace);
            CHECK(first.counters.applied > 10);
            if (method == preset::pars_push) CHECK(first.mass_error == 0u);
            CHECK(std::ranges::count(seen, first.trace) == 0);
            seen.push_back(first.trace);
        }
    }
    RankingSettings ranking;
    ranking.synthetic.users = 12;
    ranking.synthetic.items = 60;
    ranking.hidden = {4};
    ranking.federated.method = preset::pars_push;
    ranking.federated.trace = traces.radio;
    ranking.federated.clock.budget_s = 60.0f;
    ranking.federated.evaluations = 1;
    const auto problem = make_ranking_problem(ranking, 1);
    REQUIRE(problem);
    CHECK(train(**problem, ranking.federated, 1).mass_error == 0u);
}

TEST_CASE("messages take exactly what the trace's pair takes, and in the trace's order") {
    const Traces traces;
    const auto trace = read(traces.latency, {.nodes = 12, .tick_s = 0.01});
    const Graph graph = *complete_graph(12);
    auto network = simulation::Network::create(graph, {}, {.seed = 3});
    REQUIRE(network);
    REQUIRE(trace->shape(*network, {.latency = simulation::Latency::constant(0)}));
    const auto payload = network->allocate(8);
    REQUIRE(payload);
    for (std::uint32_t i = 0; i < 12; ++i) REQUIRE(network->broadcast(i, *payload));
    simulation::Event event;
    int arrived = 0;
    while (network->next(event)) {
        const auto i = static_cast<int>(event.from), j = static_cast<int>(event.node);
        const int round_trip_ms = 20 + 10 * ((5 * i + 7 * j) % 40);
        CHECK(event.time == (round_trip_ms / 2 + 9) / 10);
        ++arrived;
    }
    CHECK(arrived == 12 * 11);
}

TEST_CASE("losses on each link are those of its radio link, and no unit of mass goes with them") {
    const Traces traces;
    const auto trace = read(traces.radio, {.nodes = 12});
    Scenario scenario = twelve(complete_graph(12));
    scenario.settings.theta = {.scale = 0.01};
    scenario.settings.weight_floor = 0.01f;
    follow(scenario.settings, trace, false);
    const auto fleet = fleet_of<ParsPush<>>(scenario, true);
    std::map<std::pair<std::uint32_t, std::uint32_t>, int> sent;
    fleet->set_tap([&](std::uint32_t from, std::uint32_t to, std::span<const std::byte>) { ++sent[{from, to}]; });
    double expected = 0, variance = 0;
    REQUIRE(fleet->run(2000, [&] { REQUIRE(fleet->mass_error() == 0u); }));
    for (const auto& [pair, count] : sent) {
        const double loss = static_cast<double>(trace->profile(pair.first, pair.second, {}).loss);
        expected += count * loss;
        variance += count * loss * (1 - loss);
    }
    CHECK(std::abs(static_cast<double>(fleet->messages().lost) - expected) < 5 * std::sqrt(variance));
    CHECK(fleet->messages().lost > fleet->messages().sent / 5);
}

TEST_CASE("a slow phone takes proportionally fewer gradients, among neighbours and with a server") {
    const Traces traces;
    Scenario scenario = twelve(directed_ring(12));
    scenario.settings.theta = {.scale = 0.001};
    follow(scenario.settings, read(traces.speeds, {.nodes = 12, .fastest_is_one = true}), false);
    std::vector<int> taken(12);
    Quadratic quadratic(1);
    struct Counting final : Learner {
        Counting(Quadratic& inner, std::vector<int>& counts) : of(inner), taken(counts) {}
        std::size_t dimension() const override { return 1; }
        int gradient(ConstVector<float> w, Stream& random, Vector<float> out) override {
            ++taken[of.node];
            return of.gradient(w, random, out);
        }
        Quadratic& of;
        std::vector<int>& taken;
    } counting(quadratic, taken);
    auto fleet = make_gossip_fleet(
        AggregationName::pars_push, scenario.graph, scenario.settings, scenario.start,
        [&](std::uint32_t node, int) -> Learner& {
            quadratic.node = node;
            return counting;
        },
        1);
    REQUIRE(fleet);
    REQUIRE((*fleet)->run(1199));
    for (std::size_t i = 0; i < 12; ++i) CHECK(taken[i] == 1200 / (1 + static_cast<int>(i % 4)));

    FederatedSettings served;
    served.method = preset::fedasync;
    served.trace = traces.speeds;
    served.clock.gradient_s = 3.0f;
    REQUIRE(follow_trace(served, 12));
    BowlFleet bowls(served, spread_centres(12));
    REQUIRE(bowls.made);
    for (std::size_t i = 0; i < 12; ++i)  // the median of 1200, 600, 400 and 300 is taken to be 600
        CHECK(bowls->gradient_s()[i] == Approx(3.0 * (1 + static_cast<double>(i % 4)) / 2));
}

TEST_CASE("with a server node 0 of the trace is the server, and its latency comes on top of the clock's") {
    const Traces traces;
    FederatedSettings settings;
    settings.method = preset::fedavg;
    settings.trace = traces.latency;
    settings.clock = {.budget_s = 100, .gradient_s = 1, .speed_spread = 0, .download_s = 0.5f, .upload_s = 0.25f};
    settings.local_steps = 1;
    REQUIRE(follow_trace(settings, 3));
    BowlFleet bowls(settings, spread_centres(3));
    REQUIRE(bowls.made);
    // Rounds last as long as the slowest way there and back: both ways of 0 and i, and what the clock says.
    double longest = 0;
    for (int i = 1; i <= 3; ++i) {
        const double there = 10 + 5 * ((7 * i) % 40), back = 10 + 5 * ((5 * i) % 40);
        longest = std::max(longest, (there + back) / 1000 + 0.75 + 1);
    }
    REQUIRE(bowls.advance(10 * longest + 1e-6));
    CHECK(bowls->version() == 10);
    REQUIRE(bowls.advance(11 * longest - 1e-3));
    CHECK(bowls->version() == 10);
}

TEST_CASE("a node that is killed comes back to the links of the trace, and mass stays exact") {
    const Traces traces;
    for (const std::string& trace : {traces.latency, traces.radio, traces.speeds}) {
        RegressionRunSettings settings = small_regression(trace);
        settings.rounds = 800;
        settings.absences.share = 0.25f;
        settings.absences.at = 100;
        settings.absences.longest = 100;
        const FederatedResult outcome = train(settings, 1);
        INFO(trace);
        CHECK(outcome.complete);
        CHECK(outcome.gossip.crashes == 3);
        CHECK(outcome.mass_error == 0u);
    }
}

TEST_CASE("a trace that does not fit is refused by key, and what was made of it is noted") {
    const Traces traces;
    const auto refused = [](const RegressionRunSettings& settings) { return refusal(regression_kind(), settings); };
    RegressionRunSettings settings = small_regression("/nonexistent/rtt.txt");
    CHECK_THAT(refused(settings), Catch::StartsWith("network.trace: /nonexistent/rtt.txt"));
    settings.trace = traces.write("bad.csv", [](std::ostream& out) { out << "src,dst,pdr\n0,1,high\n"; });
    CHECK_THAT(refused(settings), Catch::Contains("bad.csv: line 2: 'high' stands under 'pdr'"));
    settings.trace = traces.radio;
    settings.data.agents = 13;
    CHECK_THAT(refused(settings), Catch::Contains("it has 12 nodes, and the fleet 13"));
    settings.data.agents = 12;
    settings.federated.method.aggregation = AggregationName::persafl;
    CHECK_THAT(refused(settings), Catch::Contains("it has 12 nodes, and the fleet 13 with its server"));
    settings.federated.method.aggregation = AggregationName::local;
    settings.rounds = 2;
    DataNotes notes;
    train(settings, 1, &notes);
    REQUIRE(notes.size() == 1);
    CHECK_THAT(notes[0].text, Catch::Contains("not used"));
    settings.federated.method.aggregation = AggregationName::pars_push;
    train(settings, 1, &notes);
    REQUIRE(notes.size() == 2);
    CHECK(notes[1].key == "trace_relayed_pairs");

    FleetNavigationSettings navigation;
    navigation.trace = traces.latency;
    navigation.nodes = 13;
    CHECK_THAT(refusal(navigation_fleet_kind(), navigation), Catch::StartsWith("network.trace: "));
}

TEST_CASE("over the measured radio links of fifty nodes mass is exact") {
    const std::string file = measured_file("wsn-grenoble-k7/grenoble.k7.gz");
    if (file.empty()) return;
    RegressionRunSettings settings = small_regression(file);
    settings.data.agents = 50;
    settings.fraction_bits = 44;
    settings.rounds = 600;
    const FederatedResult outcome = train(settings, 2);
    CHECK(outcome.complete);
    CHECK(outcome.mass_error == 0u);
    CHECK(outcome.messages.lost > outcome.messages.sent / 20);
}
