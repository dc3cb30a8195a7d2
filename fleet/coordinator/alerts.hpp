// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/host/failure.hpp"

#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

namespace dunlin {

/// What is to be told, and to whom; of STORE/alerts.toml:
///
///     [[alert]]
///     when = "node away for 10 min"
///     nodes = "board and not lab"                      # a name, a label or an expression; left out: all
///     webhook = "https://hooks.example.org/dunlin"     # POST of a JSON object
///     command = ["/usr/local/bin/tell", "--fleet"]     # an argument each, no shell; the same JSON on its stdin
///
/// `when` is one of
///
///     node away for 10 min
///     node temperature > 80 [for 5 min]      temperature (degrees Celsius), load (of one minute, a processor), battery,
///     node disk < 10 [for 5 min]             disk (per cent that are left, and free); < or >
///     weight lost > 1/n                      of a job: the share of its whole weight; 1/n is what one node begins with
///     METRIC worse than baseline [by 0.05]   what a node reports last in a job that runs; the baseline is what it said of
///     METRIC worse than 0.8 [for 5 min]      the version that a roll-out gave it. `lower_is_better = true` for a loss
struct AlertRule {
    enum class About : std::uint8_t { away, vital, weight_lost, metric };
    About about = About::away;
    std::string when;     ///< as it stands in the file
    std::string measure;  ///< of a vital or metric
    bool above = false;   ///< it is told where the value is above the limit, else where it is below
    bool of_baseline = false;
    double limit = 0;           ///< of_baseline: by how much worse
    bool share_of_one = false;  ///< weight lost: the limit is in parts of what one node begins with
    std::int64_t for_ms = 0;    ///< for how long it must be so
    std::string nodes;          ///< an expression; empty: all
    std::string webhook, webhook_ca, webhook_pin;
    std::vector<std::string> command;
};

/// Everything that rules can be about, at one moment. Views of the caller's.
struct FleetSight {
    static constexpr double unknown = std::numeric_limits<double>::quiet_NaN();
    struct Node {
        std::string_view name;
        const std::vector<std::string>* labels = nullptr;
        std::int64_t away_ms = 0;  ///< 0: it is here
        std::map<std::string_view, double> vitals = {};
    };
    struct Value {
        std::size_t node = 0;  ///< in `nodes`
        std::string_view metric;
        double value = unknown, baseline = unknown;
    };
    struct Job {
        std::uint64_t number = 0;
        std::size_t members = 0;
        double weight_lost = unknown;  ///< in parts of what one node begins with
        std::vector<Value> values = {};
    };
    std::vector<Node> nodes;
    std::vector<Job> jobs;
};

/// One thing that a rule tells of.
struct Alert {
    std::size_t rule = 0;
    std::uint64_t job = 0;  ///< 0: about no job
    std::string node = {};  ///< "": about no node
    std::string text = {};  ///< for people
    std::int64_t raised_ms = 0;
};
struct AlertChange {
    bool raised = true;  ///< else it is over
    Alert alert;
};

/// Rules over what is seen of a fleet, as a state machine without I/O. An alert is raised once, when its rule has been
/// true of a subject for as long as the rule says, and is over when it has been false, or its subject gone, for a minute:
/// what flaps is told once. Nothing is kept over a restart: what is still so then is raised again.
class Alerts {
public:
    static constexpr std::size_t most_rules = 64;
    static constexpr std::size_t most_raised = 1000;  ///< further ones wait until one is over
    static constexpr std::int64_t clear_ms = 60'000;

    /// Error: what is wrong with the text of a rules' file.
    static Outcome<std::vector<AlertRule>> read(const std::string& text, const std::string& where);

    Alerts() = default;
    explicit Alerts(std::vector<AlertRule> rules) : rules_(std::move(rules)) {}

    const std::vector<AlertRule>& rules() const { return rules_; }
    /// What has changed. `now_ms` is a monotonic clock's.
    std::vector<AlertChange> look(const FleetSight& sight, std::int64_t now_ms);
    /// The oldest first.
    std::vector<const Alert*> raised() const;
    /// Other rules from here on. What is raised by a rule that stays, stays; what others raised is forgotten.
    void change_rules(std::vector<AlertRule> rules);

private:
    using Subject = std::tuple<std::size_t, std::uint64_t, std::string>;  ///< rule, job, node
    struct Watch {
        Alert alert;
        std::int64_t since_ms = 0, seen_ms = 0;
        bool raised = false;
    };
    void see(const AlertRule& rule, Alert alert, std::int64_t now_ms);

    std::vector<AlertRule> rules_;
    std::map<Subject, Watch> watches_;
};

}  // namespace dunlin
