// SPDX-License-Identifier: Apache-2.0
#include "fleet/coordinator/alerts.hpp"

#include "fleet/coordinator/vitals.hpp"

#include <cmath>

#include <catch2/catch.hpp>
#include <fmt/format.h>

using namespace dunlin;

namespace {

std::vector<AlertRule> rules_of(const std::string& text) {
    const auto read = Alerts::read(text, "alerts.toml");
    INFO((read ? "" : read.error().text));
    REQUIRE(read);
    return *read;
}

std::vector<AlertRule> rule(const std::string& when, const std::string& more = "") {
    return rules_of(fmt::format("[[alert]]\nwhen = \"{}\"\n{}", when, more));
}

/// What is told, as "+node" and "-node", or with the job's number where there is no node.
std::string look(Alerts& alerts, const FleetSight& sight, std::int64_t now_ms) {
    std::string told;
    for (const AlertChange& change : alerts.look(sight, now_ms)) {
        told += change.raised ? "+" : "-";
        told += change.alert.node.empty() ? std::to_string(change.alert.job) : change.alert.node;
        told += ' ';
    }
    return told;
}

}  // namespace

TEST_CASE("a node that is away is told of once, when it was away for long enough, and again when it is back") {
    Alerts alerts(rule("node away for 10 min"));
    FleetSight sight;
    sight.nodes.push_back({.name = "kitchen"});
    sight.nodes.push_back({.name = "cellar"});
    CHECK(look(alerts, sight, 1000).empty());
    sight.nodes[1].away_ms = 599'000;
    CHECK(look(alerts, sight, 2000).empty());
    sight.nodes[1].away_ms = 600'000;
    CHECK(look(alerts, sight, 3000) == "+cellar ");
    CHECK(alerts.raised().size() == 1);
    CHECK(look(alerts, sight, 8000).empty());
    sight.nodes[1].away_ms = 0;
    CHECK(look(alerts, sight, 10'000).empty());
    // It is away again before a minute is over: nothing new.
    sight.nodes[1].away_ms = 700'000;
    CHECK(look(alerts, sight, 30'000).empty());
    sight.nodes[1].away_ms = 0;
    CHECK(look(alerts, sight, 89'999).empty());
    CHECK(look(alerts, sight, 90'000) == "-cellar ");
    CHECK(alerts.raised().empty());
    // A node that is off the roster is no reason to go on.
    sight.nodes[1].away_ms = 700'000;
    CHECK(look(alerts, sight, 100'000) == "+cellar ");
    sight.nodes.pop_back();
    CHECK(look(alerts, sight, 160'000) == "-cellar ");
}

TEST_CASE("rules are about the nodes that they choose") {
    Alerts alerts(rule("node away for 1 s", "nodes = \"board and not lab\"\n"));
    const std::vector<std::string> board{"board"}, lab{"board", "lab"};
    FleetSight sight;
    sight.nodes.push_back({.name = "a", .labels = &board, .away_ms = 5000});
    sight.nodes.push_back({.name = "b", .labels = &lab, .away_ms = 5000});
    sight.nodes.push_back({.name = "board", .away_ms = 5000});
    CHECK(look(alerts, sight, 1) == "+a +board ");
}

TEST_CASE("what a node says of its machine must be so all the time") {
    Alerts alerts(rule("node temperature > 80 for 1 min"));
    FleetSight sight;
    sight.nodes.push_back({.name = "kitchen"});
    CHECK(look(alerts, sight, 1).empty());  // it does not say
    sight.nodes[0].vitals["temperature"] = 81;
    CHECK(look(alerts, sight, 1000).empty());
    sight.nodes[0].vitals["temperature"] = 80;
    CHECK(look(alerts, sight, 31'000).empty());
    sight.nodes[0].vitals["temperature"] = 90;
    CHECK(look(alerts, sight, 50'000).empty());
    CHECK(look(alerts, sight, 109'000).empty());
    CHECK(look(alerts, sight, 110'000) == "+kitchen ");
    Alerts battery(rule("node battery < 20"));
    sight.nodes[0].vitals = {{"battery", 19.5}};
    CHECK(look(battery, sight, 1) == "+kitchen ");
}

TEST_CASE("the weight that a job has lost is a share of all of it, or so many times what a node begins with") {
    FleetSight sight;
    sight.jobs.push_back({.number = 7, .members = 8, .weight_lost = 1.0});
    sight.jobs.push_back({.number = 8, .members = 8});  // with a server: there are no weights
    Alerts one(rule("weight lost > 1/n")), eighth(rule("weight lost > 0.12")), quarter(rule("weight lost > 1/4"));
    CHECK(look(one, sight, 1).empty());
    CHECK(look(eighth, sight, 1) == "+7 ");
    CHECK(look(quarter, sight, 1).empty());
    sight.jobs[0].weight_lost = 2.5;
    CHECK(look(one, sight, 2) == "+7 ");
    CHECK(look(quarter, sight, 2) == "+7 ");
}

TEST_CASE("a metric is held against its baseline, where there is one, or against a number") {
    FleetSight sight;
    sight.nodes.push_back({.name = "a"});
    sight.nodes.push_back({.name = "b"});
    sight.jobs.push_back({.number = 3, .members = 2});
    sight.jobs[0].values = {{0, "return_ratio", 0.80, 0.82}, {1, "return_ratio", 0.70}, {1, "loss", 0.5, 0.4}};
    Alerts any(rule("return_ratio worse than baseline")), some(rule("return_ratio worse than baseline by 0.05")),
        fixed(rule("return_ratio worse than 0.75")),
        loss(rule("loss worse than baseline by 0.05", "lower_is_better = true"));
    CHECK(look(any, sight, 1) == "+a ");
    CHECK(look(some, sight, 1).empty());
    CHECK(look(fixed, sight, 1) == "+b ");
    CHECK(look(loss, sight, 1) == "+b ");
    // What is no number is worse than any.
    sight.jobs[0].values[0].value = std::nan("");
    CHECK(look(some, sight, 2) == "+a ");
}

TEST_CASE("more than a thousand at a time wait until one is over") {
    Alerts alerts(rule("node away for 1 s"));
    std::vector<std::string> names;
    for (int k = 0; k < 1500; ++k) names.push_back(fmt::format("n{}", k));
    FleetSight sight;
    for (const std::string& name : names) sight.nodes.push_back({.name = name, .away_ms = 5000});
    CHECK(alerts.look(sight, 1).size() == Alerts::most_raised);
    CHECK(alerts.look(sight, 2).empty());
    sight.nodes.erase(sight.nodes.begin(), sight.nodes.begin() + 1000);
    CHECK_FALSE(alerts.look(sight, 100'000).empty());
    CHECK(alerts.raised().size() <= Alerts::most_raised);
}

TEST_CASE("what a rule has raised stays where the rule stays") {
    Alerts alerts(rules_of("[[alert]]\nwhen = \"node away for 1 s\"\n[[alert]]\nwhen = \"node away for 2 s\"\n"));
    FleetSight sight;
    sight.nodes.push_back({.name = "a", .away_ms = 5000});
    CHECK(look(alerts, sight, 1) == "+a +a ");
    alerts.change_rules(rule("node away for 2 s"));
    CHECK(alerts.raised().size() == 1);
    CHECK(look(alerts, sight, 2).empty());
    alerts.change_rules({});
    CHECK(look(alerts, sight, 3).empty());
}

TEST_CASE("a file of rules that says something else is refused, and where") {
    for (const char* when :
         {"", "node away", "node away for 10", "node away for ten min", "node away for -1 min",
          "node away for 400 days", "node colour > 3", "node load = 3", "weight lost > 1/0", "weight lost > n",
          "weight lost < 1/n", "return_ratio worse than nothing", "return_ratio worse than baseline by -1",
          "return_ratio better than 1", "node away for 10 min please", "node temperature > inf"}) {
        INFO(when);
        const auto read = Alerts::read(fmt::format("[[alert]]\nwhen = \"{}\"\n", when), "alerts.toml");
        REQUIRE_FALSE(read);
        CHECK(read.error().text.find("alerts.toml: rule 1") == 0);
    }
    const std::string good = "[[alert]]\nwhen = \"node away for 10 min\"\n";
    for (const char* more : {"sms = \"1\"", "webhook = 3", "command = \"rm -rf\"", "command = []",
                             "command = [\"tell\"]", "command = [\"/a\", 1]", "nodes = \"and and\"",
                             "lower_is_better = 1", "command = [\"/a\", \"b\\u0000c\"]"}) {
        INFO(more);
        CHECK_FALSE(Alerts::read(fmt::format("{}{}\n", good, more), "alerts.toml"));
    }
    CHECK_FALSE(Alerts::read("alert = 3", "alerts.toml"));
    CHECK_FALSE(Alerts::read("[[rule]]\nwhen = \"\"", "alerts.toml"));
    CHECK(Alerts::read("[[alert]\n", "alerts.toml").error().text.find("alerts.toml:1") == 0);
    CHECK(Alerts::read("", "alerts.toml")->empty());
    std::string many;
    for (std::size_t k = 0; k <= Alerts::most_rules; ++k) many += good;
    CHECK_FALSE(Alerts::read(many, "alerts.toml"));
}

TEST_CASE("of what a node says of its machine that is known which can be") {
    MachineVitals vitals;
    CHECK(vitals.known().empty());
    const std::vector<Metric> said{{"temperature", 41.26}, {"load", -1}, {"battery", std::nan("")},
                                   {"disk", 1e300},        {"<b>", 3},   {"temperature ", 2}};
    vitals.take(said);
    REQUIRE(vitals.known().size() == 1);
    CHECK(vitals.known()[0].first == "temperature");
    CHECK(vitals.known()[0].second == Approx(41.3));
    vitals.take({});  // it says nothing any more
    CHECK(vitals.known().empty());
}
