// SPDX-License-Identifier: Apache-2.0
#include "fleet/coordinator/alerts.hpp"

#include "fleet/coordinator/selection.hpp"
#include "fleet/coordinator/vitals.hpp"
#include "training/host/toml.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>
#include <sstream>

#include <fmt/format.h>

namespace dunlin {
namespace {

using Words = std::vector<std::string>;

std::optional<double> number_in(std::string_view text) {
    double number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(number)) return std::nullopt;
    return number;
}

/// "10 min", the last two of the words; they and the "for" before them are taken off. Nothing where there are none, or
/// they are no time.
std::optional<std::int64_t> take_duration(Words& words) {
    if (words.size() < 3 || words[words.size() - 3] != "for") return std::nullopt;
    const auto number = number_in(words[words.size() - 2]);
    const std::string& unit = words.back();
    const std::int64_t scale_ms = unit == "s"                       ? 1000
                                  : unit == "min"                   ? 60'000
                                  : unit == "h"                     ? 3'600'000
                                  : unit == "days" || unit == "day" ? 86'400'000
                                                                    : 0;
    constexpr double longest_ms = 366.0 * 86'400'000;
    if (!number || *number < 0 || scale_ms == 0 || *number * static_cast<double>(scale_ms) > longest_ms)
        return std::nullopt;
    words.resize(words.size() - 3);
    return static_cast<std::int64_t>(*number * static_cast<double>(scale_ms));
}

/// "1/n", "1/8", "0.1".
bool read_share(const std::string& text, AlertRule& rule) {
    const std::size_t slash = text.find('/');
    const auto above = number_in(std::string_view(text).substr(0, slash));
    if (!above || *above < 0) return false;
    rule.limit = *above;
    if (slash == std::string::npos) return true;
    const std::string below = text.substr(slash + 1);
    rule.share_of_one = below == "n";
    if (rule.share_of_one) return true;
    const auto parts = number_in(below);
    if (!parts || *parts <= 0) return false;
    rule.limit /= *parts;
    return true;
}

/// What the words of `when` mean. False: nothing.
bool read_when(const std::string& when, bool lower_is_better, AlertRule& rule) {
    std::istringstream stream(when);
    Words words;
    for (std::string word; stream >> word;) words.push_back(word);
    const auto duration = take_duration(words);
    rule.for_ms = duration.value_or(0);
    using About = AlertRule::About;
    if (words == Words{"node", "away"}) {
        rule.about = About::away;
        return duration.has_value();
    }
    if (words.size() == 4 && words[0] == "node" && (words[2] == "<" || words[2] == ">")) {
        rule.about = About::vital;
        rule.measure = words[1];
        rule.above = words[2] == ">";
        const auto limit = number_in(words[3]);
        rule.limit = limit.value_or(0);
        return limit && std::ranges::find(MachineVitals::kinds, words[1], &MachineVitals::Kind::name) !=
                            MachineVitals::kinds.end();
    }
    if (words.size() == 4 && words[0] == "weight" && words[1] == "lost" && words[2] == ">") {
        rule.about = About::weight_lost;
        rule.above = true;
        return read_share(words[3], rule);
    }
    const bool margin = words.size() == 6 && words[4] == "by";
    if ((words.size() != 4 && !margin) || words[1] != "worse" || words[2] != "than") return false;
    rule.about = About::metric;
    rule.measure = words[0];
    rule.above = lower_is_better;
    rule.of_baseline = words[3] == "baseline";
    const auto number = rule.of_baseline ? 0.0 : number_in(words[3]);
    const auto by = margin ? number_in(words[5]) : 0.0;
    if (!number || !by || *by < 0) return false;
    rule.limit = rule.of_baseline ? *by : lower_is_better ? *number + *by : *number - *by;
    return true;
}

/// An entry that is not of this type is `wrong`; one that is missing leaves `value` as it is.
template <class T>
void take(const toml::table& from, std::string_view key, T& value, std::string& wrong) {
    const toml::node* node = from.get(key);
    if (node == nullptr) return;
    const auto read = node->value_exact<T>();
    if (read)
        value = *read;
    else
        wrong = fmt::format("{}: expected a {}", key, std::is_same_v<T, bool> ? "true or false" : "text");
}

Outcome<AlertRule> read_rule(const toml::table& table, const std::string& where) {
    static const std::set<std::string_view> keys{"when",       "nodes",       "lower_is_better", "webhook",
                                                 "webhook_ca", "webhook_pin", "command"};
    AlertRule rule;
    std::string wrong;
    bool lower_is_better = false;
    for (const auto& [key, value] : table) {
        if (!keys.contains(key.str()))
            return refuse(fmt::format("{}: {}: there is no such key", where, std::string(key.str())));
    }
    take(table, "when", rule.when, wrong);
    take(table, "nodes", rule.nodes, wrong);
    take(table, "lower_is_better", lower_is_better, wrong);
    take(table, "webhook", rule.webhook, wrong);
    take(table, "webhook_ca", rule.webhook_ca, wrong);
    take(table, "webhook_pin", rule.webhook_pin, wrong);
    if (const toml::node* command = table.get("command")) {
        const toml::array* words = command->as_array();
        if (words == nullptr || words->empty()) wrong = "command: expected a list of texts, the program first";
        for (std::size_t k = 0; words != nullptr && k < words->size(); ++k) {
            const auto word = words->get(k)->value_exact<std::string>();
            if (!word || word->find('\0') != std::string::npos) wrong = "command: expected a list of texts";
            rule.command.push_back(word.value_or(""));
        }
        if (wrong.empty() && !rule.command.front().starts_with('/'))
            wrong = "command: the program's whole path, such as /usr/local/bin/tell";
    }
    if (!wrong.empty()) return refuse(fmt::format("{}: {}", where, wrong));
    if (!read_when(rule.when, lower_is_better, rule))
        return refuse(
            fmt::format("{}: when = \"{}\": expected node away for 10 min, node temperature > 80 for 5 min (load, "
                        "battery, disk), weight lost > 1/n, or return_ratio worse than baseline by 0.05",
                        where, rule.when));
    if (!rule.nodes.empty()) {
        if (rule.about == AlertRule::About::weight_lost)
            return refuse(fmt::format("{}: nodes: the weight is a job's, not a node's", where));
        if (auto fits = selects(rule.nodes, [](std::string_view) { return false; }); !fits)
            return refuse(fmt::format("{}: nodes: {}", where, fits.error().text));
    }
    return rule;
}

/// Is this rule about the node?
bool chooses(const AlertRule& rule, const FleetSight::Node& node) {
    if (rule.nodes.empty()) return true;
    const auto has = [&node](std::string_view word) {
        return word == node.name ||
               (node.labels != nullptr && std::ranges::find(*node.labels, word) != node.labels->end());
    };
    return has(rule.nodes) || selects(rule.nodes, has).value_or(false);
}

std::string time_text(std::int64_t ms) {
    if (ms >= 3'600'000) return fmt::format("{:.1f} h", static_cast<double>(ms) / 3.6e6);
    return ms >= 60'000 ? fmt::format("{} min", ms / 60'000) : fmt::format("{} s", ms / 1000);
}

}  // namespace

Outcome<std::vector<AlertRule>> Alerts::read(const std::string& text, const std::string& where) {
    const toml::parse_result parsed = toml::parse(text);
    if (!parsed)
        return refuse(fmt::format("{}:{}: {}", where, parsed.error().source().begin.line,
                                  std::string(parsed.error().description())));
    const toml::table& file = parsed.table();
    std::vector<AlertRule> rules;
    for (const auto& [key, value] : file) {
        if (key != "alert") return refuse(fmt::format("{}: {}: expected [[alert]]", where, std::string(key.str())));
        const toml::array* tables = value.as_array();
        if (tables == nullptr) return refuse(fmt::format("{}: expected [[alert]], one for each rule", where));
        if (tables->size() > most_rules) return refuse(fmt::format("{}: at most {} rules", where, most_rules));
        for (std::size_t k = 0; k < tables->size(); ++k) {
            const toml::table* table = tables->get(k)->as_table();
            if (table == nullptr) return refuse(fmt::format("{}: expected [[alert]], one for each rule", where));
            auto rule = read_rule(*table, fmt::format("{}: rule {}", where, k + 1));
            if (!rule) return tl::unexpected(rule.error());
            rules.push_back(*std::move(rule));
        }
    }
    return rules;
}

/// A rule is true of a subject now.
void Alerts::see(const AlertRule& rule, Alert alert, std::int64_t now_ms) {
    Watch& watch = watches_[{alert.rule, alert.job, alert.node}];
    const bool again = watch.seen_ms != 0 && now_ms - watch.seen_ms <= clear_ms;
    // What is not raised yet must have been so all the time; `look` drops what was not.
    if (!again) watch.since_ms = now_ms;
    watch.seen_ms = now_ms;
    const std::int64_t raised_ms = watch.alert.raised_ms;
    watch.alert = std::move(alert);
    watch.alert.raised_ms = raised_ms;
    // How long a node is away is known better than since when it is looked at.
    if (rule.about == AlertRule::About::away) watch.since_ms = std::min(watch.since_ms, now_ms - rule.for_ms);
}

std::vector<AlertChange> Alerts::look(const FleetSight& sight, std::int64_t now_ms) {
    using About = AlertRule::About;
    for (std::size_t k = 0; k < rules_.size(); ++k) {
        const AlertRule& rule = rules_[k];
        const auto wrong = [&rule](double value, double limit) {
            return rule.above ? value > limit : value < limit;
        };
        for (const FleetSight::Node& node : sight.nodes) {
            if ((rule.about != About::away && rule.about != About::vital) || !chooses(rule, node)) continue;
            Alert alert{.rule = k, .node = std::string(node.name)};
            if (rule.about == About::away) {
                if (node.away_ms == 0 || node.away_ms < rule.for_ms) continue;
                alert.text = fmt::format("{} has been away for {}", node.name, time_text(node.away_ms));
            } else {
                const auto value = node.vitals.find(rule.measure);
                if (value == node.vitals.end() || !wrong(value->second, rule.limit)) continue;
                alert.text = fmt::format("{} of {} is {:.4g}, {} {:.4g}", rule.measure, node.name, value->second,
                                         rule.above ? "above" : "below", rule.limit);
            }
            see(rule, std::move(alert), now_ms);
        }
        for (const FleetSight::Job& job : sight.jobs) {
            if (rule.about == About::weight_lost && job.members > 0) {
                const double lost =
                    rule.share_of_one ? job.weight_lost : job.weight_lost / static_cast<double>(job.members);
                if (!wrong(lost, rule.limit)) continue;
                Alert alert{.rule = k, .job = job.number};
                alert.text = fmt::format("job {} has lost the weight of {:.4g} of its {} nodes", job.number,
                                         job.weight_lost, job.members);
                see(rule, std::move(alert), now_ms);
            }
            if (rule.about != About::metric) continue;
            for (const FleetSight::Value& seen : job.values) {
                const FleetSight::Node& node = sight.nodes[seen.node];
                if (seen.metric != rule.measure || !chooses(rule, node)) continue;
                const double limit = !rule.of_baseline ? rule.limit
                                     : rule.above      ? seen.baseline + rule.limit
                                                       : seen.baseline - rule.limit;
                // What is no number is worse than any; without a baseline nothing can be said.
                if (std::isnan(limit) || (!std::isnan(seen.value) && !wrong(seen.value, limit))) continue;
                Alert alert{.rule = k, .job = job.number, .node = std::string(node.name)};
                alert.text =
                    fmt::format("{} of {} in job {} is {:.4g}, worse than {}{:.4g}", seen.metric, node.name,
                                job.number, seen.value, rule.of_baseline ? "its baseline allows: " : "", limit);
                see(rule, std::move(alert), now_ms);
            }
        }
    }
    std::vector<AlertChange> changes;
    auto raised = static_cast<std::size_t>(
        std::ranges::count_if(watches_, [](const auto& entry) { return entry.second.raised; }));
    for (auto at = watches_.begin(); at != watches_.end();) {
        Watch& watch = at->second;
        const bool seen = watch.seen_ms == now_ms;
        const AlertRule& rule = rules_[watch.alert.rule];
        if (seen && !watch.raised && now_ms - watch.since_ms >= rule.for_ms && raised < most_raised) {
            watch.raised = true;
            watch.alert.raised_ms = now_ms;
            ++raised;
            changes.push_back({true, watch.alert});
        }
        const bool over = watch.raised ? now_ms - watch.seen_ms >= clear_ms : !seen;
        if (over && watch.raised) changes.push_back({false, watch.alert});
        at = over ? watches_.erase(at) : std::next(at);
    }
    return changes;
}

std::vector<const Alert*> Alerts::raised() const {
    std::vector<const Alert*> all;
    for (const auto& [subject, watch] : watches_) {
        if (watch.raised) all.push_back(&watch.alert);
    }
    std::ranges::stable_sort(all, {}, &Alert::raised_ms);
    return all;
}

void Alerts::change_rules(std::vector<AlertRule> rules) {
    std::map<Subject, Watch> kept;
    for (auto& [subject, watch] : watches_) {
        const AlertRule& old = rules_[std::get<0>(subject)];
        const auto same = std::ranges::find_if(rules, [&old](const AlertRule& rule) {
            return rule.when == old.when && rule.nodes == old.nodes && rule.above == old.above;
        });
        if (same == rules.end()) continue;
        const auto place = static_cast<std::size_t>(same - rules.begin());
        watch.alert.rule = place;
        kept[{place, std::get<1>(subject), std::get<2>(subject)}] = std::move(watch);
    }
    rules_ = std::move(rules);
    watches_ = std::move(kept);
}

}  // namespace dunlin
