// SPDX-License-Identifier: Apache-2.0
// What is to be told without being asked for.
#include "fleet/coordinator/desk_commands.hpp"
#include "training/host/file_system.hpp"

#include <algorithm>
#include <chrono>
#include <filesystem>

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace dunlin {
namespace {

constexpr const char* coordinator_itself = "the coordinator";

std::int64_t unix_now_ms() {
    using namespace std::chrono;
    return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

/// What changes when a file does; "": there is none.
std::string mark_of(const struct stat& file) {
    return fmt::format("{} {} {} {} {}", file.st_ino, file.st_size, file.st_mtim.tv_sec, file.st_mtim.tv_nsec,
                       file.st_mode);
}

}  // namespace

Outcome<void> Desk::read_alert_rules() {
    const std::filesystem::path path = coordinator_.store().directory() / alerts_file;
    struct stat file {};
    if (::stat(path.c_str(), &file) != 0) {
        alerts_read_.clear();
        alerts_problem_.clear();
        if (!alerts_.rules().empty()) alerts_.change_rules({});
        return {};
    }
    const std::string mark = mark_of(file);
    if (mark == alerts_read_) return {};
    alerts_read_ = mark;
    alerts_problem_.clear();
    const auto wrong = [&](const std::string& text) {
        alerts_problem_ = text + "; the rules of before stay";
        return refuse(alerts_problem_);
    };
    const bool owned = file.st_uid == geteuid() || file.st_uid == 0;
    if (!S_ISREG(file.st_mode) || !owned || (file.st_mode & (S_IWGRP | S_IWOTH)) != 0)
        return wrong(
            fmt::format("{}: others could write what is run by it: chmod 600, and it must belong to who serves",
                        path.string()));
    const auto text = posix_file_system().read(path);
    if (!text) return wrong(describe(text.error(), path.string()).text);
    auto rules = Alerts::read({reinterpret_cast<const char*>(text->data()), text->size()}, path.string());
    if (!rules) return wrong(rules.error().text);
    alerts_.change_rules(*std::move(rules));
    return {};
}

void Desk::look_for_alerts(std::int64_t now_ms,
                           const std::function<void(const AlertRule&, const AlertChange&)>& tell) {
    const FleetState& state = coordinator_.state();
    const auto& nodes = state.roster().nodes();
    FleetSight sight;
    std::map<std::uint32_t, std::size_t> places;
    for (std::uint32_t number = 0; number < nodes.size(); ++number) {
        const Connection* connection = coordinator_.connection(number);
        const bool here = connection != nullptr && connection->welcome && !connection->suspect;
        if (here || !nodes[number].admitted) away_.erase(number);
        // Who was never here is not missed.
        if (!nodes[number].admitted || nodes[number].incarnation == 0) continue;
        FleetSight::Node seen{.name = nodes[number].name, .labels = &nodes[number].labels};
        if (!here) seen.away_ms = std::max<std::int64_t>(1, now_ms - away_.emplace(number, now_ms).first->second);
        if (connection != nullptr) {
            for (const auto& [name, value] : connection->vitals.known()) seen.vitals.emplace(name, value);
        }
        places[number] = sight.nodes.size();
        sight.nodes.push_back(std::move(seen));
    }
    if (alerts_.rules().empty()) return;
    std::vector<MetricRow> rows;  // what the sight's words are views of
    std::vector<std::pair<std::size_t, std::size_t>> from;
    for (const auto& [number, job] : state.jobs()) {
        if (job.ended()) continue;
        FleetSight::Job seen{.number = number, .members = job.members().size()};
        if (const MassBook* book = job.book())
            seen.weight_lost = job.plan().terms.format.to_float<double>(book->lost().weight);
        sight.jobs.push_back(std::move(seen));
        const auto metrics = index_.newest_metrics(number);
        if (!metrics) continue;  // that the index cannot be read is said by who writes it
        from.emplace_back(sight.jobs.size() - 1, rows.size());
        for (const auto& [of, row] : **metrics) rows.push_back(row);
    }
    from.emplace_back(0, rows.size());
    for (std::size_t k = 0; k + 1 < from.size(); ++k) {
        FleetSight::Job& seen = sight.jobs[from[k].first];
        const Job& job = *state.job(seen.number);
        for (std::size_t row = from[k].second; row < from[k + 1].second; ++row) {
            const MetricRow& metric = rows[row];
            const auto place = metric.member < job.members().size() ? places.find(job.members()[metric.member].node)
                                                                    : places.end();
            const auto about = [&](const AlertRule& rule) { return rule.measure == metric.name; };
            if (place == places.end() || std::ranges::none_of(alerts_.rules(), about)) continue;
            FleetSight::Value value{.node = place->second, .metric = metric.name, .value = metric.value};
            const auto held = state.rollouts().held(place->first);
            if (held.report != nullptr)
                value.baseline = held.report->value(metric.name).value_or(FleetSight::unknown);
            seen.values.push_back(value);
        }
    }
    for (const AlertChange& change : alerts_.look(sight, now_ms)) {
        const AlertRule& rule = alerts_.rules()[change.alert.rule];
        const std::string text = change.raised ? change.alert.text : "over: " + change.alert.text;
        (void)note({{"time_ms", unix_now_ms()},
                    {"who", coordinator_itself},
                    {"what", change.raised ? "alert" : "alert-over"},
                    {"rule", rule.when},
                    {"text", change.alert.text}});  // where that cannot be written the event tells it
        index_.note({.time_ms = unix_now_ms(),
                     .job = change.alert.job,
                     .node = change.alert.node,
                     .kind = change.raised ? "alert" : "alert-over",
                     .text = text});
        tell(rule, change);
    }
}

void Desk::note_told(const std::string& to, const std::string& text, const std::string& problem) {
    Json line{{"time_ms", unix_now_ms()},
              {"who", coordinator_itself},
              {"what", problem.empty() ? "told" : "not told"},
              {"command", to},
              {"text", text}};
    if (!problem.empty()) line["problem"] = problem;
    (void)note(std::move(line));
    if (!problem.empty())
        index_.note({.time_ms = unix_now_ms(),
                     .kind = "alert-untold",
                     .text = fmt::format("{} was not told \"{}\": {}", to, text, problem)});
}

Json Desk::Commands::alerts() const {
    Json all = Json::array();
    for (const Alert* alert : desk.alerts_.raised()) {
        all.push_back({{"rule", desk.alerts_.rules()[alert->rule].when},
                       {"text", alert->text},
                       {"node", alert->node},
                       {"job", alert->job},
                       {"raised_unix_ms", unix_now_ms() - (now_ms - alert->raised_ms)}});
    }
    return all;
}

/// Whom a rule tells is the business of who can read its file.
Json Desk::Commands::alert_rules() const {
    if (desk.place_.endpoint.empty()) (void)desk.read_alert_rules();  // its problem is below
    Json rules = Json::array();
    for (const AlertRule& rule : desk.alerts_.rules())
        rules.push_back({{"when", rule.when},
                         {"nodes", rule.nodes},
                         {"webhook", !rule.webhook.empty()},
                         {"command", !rule.command.empty()}});
    return {{"file", (coordinator.store().directory() / alerts_file).string()},
            {"problem", desk.alerts_problem_},
            {"rules", rules},
            {"alerts", alerts()}};
}

}  // namespace dunlin
