// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/federated_report.hpp"

#include "apps/dunlin/data_report.hpp"
#include "apps/dunlin/figures.hpp"
#include "apps/dunlin/json_numbers.hpp"
#include "apps/dunlin/progress.hpp"
#include "apps/report/html_report.hpp"
#include "apps/report/svg_plot.hpp"
#include "training/privacy/privacy_loss.hpp"
#include "training/privacy/renyi.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace dunlin::app {
namespace {

bool has_server(const FederatedJob& job) {
    return has_server(job.settings.method.aggregation);
}

double mean_staleness(const FederatedResult& result) {
    const auto updates = static_cast<double>(result.counters.applied);
    return updates > 0 ? static_cast<double>(result.counters.staleness) / updates : 0.0;
}

std::string metric_svg(const FederatedResult& result, std::size_t metric) {
    report::Series personal{.name = "personal models", .x = {}, .y = {}},
        shared{.name = "shared model", .x = {}, .y = {}};
    for (const FederatedRow& row : result.history) {
        personal.x.push_back(row.time_s);
        personal.y.push_back(row.personal[metric]);
        shared.x.push_back(row.time_s);
        shared.y.push_back(row.shared[metric]);
    }
    return report::line_chart({.title = result.metric_titles[metric] + " on held-out data",
                               .x = {"simulated time (s)"},
                               .y = {result.metric_titles[metric]},
                               .series = {personal, shared}});
}

std::string staleness_svg(const FederatedResult& result) {
    report::Sample sample{.name = "updates", .values = {}};
    for (std::size_t bin = 0; bin < result.staleness.size(); ++bin) {
        if (result.staleness[bin] == 0) continue;
        sample.values.push_back(static_cast<double>(bin));
        sample.weights.push_back(static_cast<double>(result.staleness[bin]));
    }
    report::Histogram chart;
    chart.title = "Staleness of the updates that the server took";
    chart.x.title = "versions of the model between download and arrival";
    chart.samples.push_back(std::move(sample));
    return report::histogram(chart);
}

std::string concurrency_svg(const FederatedResult& result) {
    report::Series series{.name = "clients that compute", .x = {}, .y = {}};
    for (const FederatedRow& row : result.history) {
        if (row.time_s <= 0) continue;
        series.x.push_back(row.time_s);
        series.y.push_back(row.active);
    }
    return report::line_chart({.title = "Concurrency",
                               .x = {.title = "simulated time (s)", .low = 0.0},
                               .y = {.title = "share of clients that compute", .low = 0.0, .high = 1.0},
                               .series = {series}});
}

std::string by_node_svg(const FederatedJob& job, const FederatedResult& result) {
    report::Histogram chart;
    chart.title =
        fmt::format("{} of each of the {}, personal models", result.metric_titles.front(), job.nodes_are());
    chart.x.title = result.metric_titles.front();
    chart.samples.push_back({.name = job.nodes_are(), .values = result.personal_by_node});
    chart.bins = 20;
    return report::histogram(chart);
}

report::Table federated_table(const FederatedJob& job, const FederatedResult& result) {
    report::Table table{{"models"}, {{"personal"}, {"shared"}}, ""};
    const FederatedRow& last = result.history.back();
    for (std::size_t metric = 0; metric < result.metric_titles.size(); ++metric) {
        table.header.push_back(result.metric_titles[metric]);
        table.rows[0].push_back(fmt::format("{:.4f}", last.personal[metric]));
        table.rows[1].push_back(fmt::format("{:.4f}", last.shared[metric]));
    }
    table.caption = fmt::format("{}, after {:.0f} simulated seconds", title_of(job.settings.method), last.time_s);
    return table;
}

std::vector<std::pair<std::string, std::string>> clock_plots(const FederatedJob& job,
                                                             const FederatedResult& result) {
    std::vector<std::pair<std::string, std::string>> plots;
    for (std::size_t metric = 0; metric < result.metric_keys.size(); ++metric)
        plots.emplace_back(result.metric_keys[metric] + ".svg", metric_svg(result, metric));
    plots.emplace_back(job.nodes_are() + ".svg", by_node_svg(job, result));
    if (has_server(job)) {
        plots.emplace_back("staleness.svg", staleness_svg(result));
        plots.emplace_back("concurrency.svg", concurrency_svg(result));
    }
    return plots;
}

}  // namespace

std::string personalisation_text(const FederatedSettings& settings) {
    if (settings.method == preset::local)
        return fmt::format("Each learns alone: {} plain steps of size {} from the first parameters.",
                           settings.baseline_steps, settings.baseline_rate);
    if (settings.method == preset::global)
        return fmt::format("One model for all, without personal steps: {} plain steps of size {} on all data.",
                           settings.baseline_steps, settings.baseline_rate);
    const Kept kept = traits_of(settings.objective()).kept;
    if (kept == Kept::layers)
        return "A personal model is the shared one with the node's own layers, which follow it.";
    if (kept == Kept::model)
        return "A personal model is the one that the node keeps beside the shared one, which it follows.";
    const Personalisation& how = settings.personal;
    return fmt::format(
        "A personal model is the shared one after {} steps of size {} on fresh batches of the "
        "client's own training data{}. They are not charged to the clock.",
        how.steps, how.rate,
        how.prox_weight > 0 ? fmt::format(", pulled back with weight {}", how.prox_weight) : "");
}

std::string worse_than_at_first(const FederatedJob& job, const FederatedResult& result) {
    if (job.rounds || job.alone) return {};
    const double first = result.history.front().personal.front(), last = result.history.back().personal.front();
    if (last >= first) return {};
    return fmt::format(
        "the {} of the personal models fell from {:.3f} to {:.3f}: the steps may be too large; try a "
        "smaller {}",
        result.metric_titles.front(), first, last, job.settings.rate_key());
}

std::string undefended_text(const FederatedResult& result) {
    if (result.undefended == 0) return {};
    return fmt::format("{} rounds had too few updates for the defence, and changed nothing", result.undefended);
}

bool diverged(const FederatedResult& result) {
    if (result.history.empty() || result.history.front().shared.empty()) return false;  // others fail
    // Returns may be negative: half of what there was is lost below that, too.
    const double first = result.history.front().personal.front();
    return !(result.history.back().personal.front() >= first - std::abs(first) / 2);
}

std::string federated_text(const FederatedJob& job, const FederatedResult& result, const RunFigures& figures) {
    if (job.alone) return report::text_table(first_table(figures)) + figures.line;
    if (!job.rounds) return report::text_table(federated_table(job, result)) + figures.line;
    const double consensus = result.last.consensus_error;
    return fmt::format("{}consensus error {}; mass error {}{}\n", report::text_table(first_table(figures)),
                       std::isnan(consensus) ? "not defined" : fmt::format("{:.3f} %", 100 * consensus),
                       result.mass_error ? fmt::format("{}", *result.mass_error) : "not defined", figures.line);
}

std::vector<std::pair<std::string, std::string>> federated_plots(const FederatedJob& job,
                                                                 const FederatedResult& result,
                                                                 const RunFigures& figures) {
    std::vector<std::pair<std::string, std::string>> plots = plots_of(figures);
    if (job.by_clock()) std::ranges::move(clock_plots(job, result), std::back_inserter(plots));
    return plots;
}

namespace {

/// The page of a fleet that lives by the clock.
void add_clock(report::HtmlReport& page, const FederatedJob& job, const FederatedResult& result) {
    const FederatedRow& last = result.history.back();
    page.key_numbers = {
        {fmt::format("{:.3f}", last.personal.front()), result.metric_titles.front() + ", personal models"},
        {fmt::format("{:.3f}", last.shared.front()), result.metric_titles.front() + ", shared model"}};
    if (job.settings.gossips()) {
        page.key_numbers.push_back({count_text(static_cast<double>(result.counters.applied)), "wake-ups"});
        page.key_numbers.push_back(
            {result.consensus_error ? fmt::format("{:.2f} %", 100 * *result.consensus_error) : "–",
             "consensus error"});
        page.key_numbers.push_back({result.mass_error ? fmt::format("{}", *result.mass_error) : "–",
                                    "units of mass lost or made", result.mass_error.value_or(0) != 0});
    }
    if (has_server(job)) {
        page.key_numbers.push_back({count_text(static_cast<double>(result.counters.applied)), "updates"});
        page.key_numbers.push_back({fmt::format("{:.1f}", mean_staleness(result)), "mean staleness"});
    }
    if (const std::string warning = worse_than_at_first(job, result); !warning.empty())
        page.warnings.push_back(warning);
    if (const std::string warning = undefended_text(result); !warning.empty()) page.warnings.push_back(warning);
    if (result.counters.refused > 0)
        page.warnings.push_back(fmt::format("The server refused {} updates, the last one so: {}",
                                            result.counters.refused,
                                            describe(result.counters.last_refusal, "update").text));
    const auto plots = clock_plots(job, result);
    const auto figure = [&](const std::string& name, const std::string& caption) {
        const auto found = std::ranges::find(plots, name, &std::pair<std::string, std::string>::first);
        return report::Figure{found->second, caption};
    };
    report::Section held_out{.heading = "Held-out data",
                             .paragraphs = {job.data + notes_text(job.notes()), personalisation_text(job.settings)},
                             .figures = {},
                             .tables = {federated_table(job, result)}};
    for (const std::string& key : result.metric_keys)
        held_out.figures.push_back(
            figure(key + ".svg", "Mean over all held-out data of all " + job.nodes_are() + "."));
    held_out.figures.push_back(figure(job.nodes_are() + ".svg", "At the end."));
    page.sections.push_back(std::move(held_out));
    if (job.settings.gossips()) {
        page.sections.push_back(
            {.heading = "The fleet",
             .paragraphs = {fmt::format(
                 "No server: nodes push shares of their mass along a directed graph ({}). {} task gradients were "
                 "taken; a node's time per gradient is log-normal with sigma {}. The shared model of a node is its "
                 "own z.",
                 job.settings.push.graph, count_text(static_cast<double>(result.counters.gradients)),
                 job.settings.clock.speed_spread)},
             .figures = {}});
    }
    if (has_server(job)) {
        page.sections.push_back(
            {.heading = "The fleet",
             .paragraphs = {fmt::format(
                 "{} task gradients were charged; a client's time per gradient is log-normal "
                 "with sigma {}. {}",
                 count_text(static_cast<double>(result.counters.gradients)), job.settings.clock.speed_spread,
                 job.settings.rounds() ? "Each round waits for its slowest client." : "The server never waits.")},
             .figures = {figure("concurrency.svg", "Mean between two evaluations."),
                         figure("staleness.svg", "Of all updates.")}});
    }
}

/// What the versions of the shared model tell about one member, after so many rounds.
nlohmann::ordered_json privacy_spent(const FederatedSettings& settings, std::uint64_t rounds) {
    const PrivacySettings& privacy = settings.privacy;
    const SampledGaussian mechanism{.noise = static_cast<double>(privacy.noise),
                                    .rate = static_cast<double>(settings.clock.concurrency),
                                    .steps = static_cast<std::int64_t>(rounds)};
    const auto delta = static_cast<double>(privacy.delta);
    nlohmann::ordered_json json{
        {"epsilon", nullptr}, {"delta", delta}, {"unit", "one member, added or removed, with all its data"}};
    if (privacy.noise > 0.0f && rounds > 0) {
        const double renyi = epsilon_rdp(mechanism, delta).epsilon, loss = epsilon_pld(mechanism, delta);
        json["epsilon"] = std::min(renyi, loss);
        json["epsilon_rdp"] = renyi;
        json["epsilon_pld"] = loss;
    }
    json["noise"] = mechanism.noise;
    json["rate"] = mechanism.rate;
    json["rounds"] = rounds;
    json["against"] =
        "who sees every version of the shared model, but not who took part, nor single updates: the server "
        "is trusted";
    json["not_charged"] =
        "personal models and layers, which stay with their member; accuracies in this report; figures that data "
        "were standardised by";
    return json;
}

/// A fleet by the clock.
void add_clock(nlohmann::ordered_json& json, const FederatedSettings& settings, const FederatedResult& result) {
    const FederatedRow& last = result.history.back();
    for (std::size_t metric = 0; metric < result.metric_keys.size(); ++metric)
        json[result.metric_keys[metric]] = number_or_null(last.personal[metric]);
    for (std::size_t metric = 0; metric < result.metric_keys.size(); ++metric)
        json["shared"][result.metric_keys[metric]] = number_or_null(last.shared[metric]);
    json["attack"] = name_of(settings.attack.name);
    json["defence"] = settings.defence.defends() ? name_of(settings.defence.sum) : "none";
    if (settings.privacy.enabled()) json["privacy"] = privacy_spent(settings, last.version);
    json["liars"] = result.liars;
    json["undefended_rounds"] = result.undefended;
    if (result.metric_keys.front() == "accuracy" && !result.personal_by_node.empty()) {
        std::vector<double> nodes = result.personal_by_node;
        // A model that diverged has no accuracy, and is the worst.
        std::ranges::sort(nodes, [](double a, double b) { return a < b || (std::isnan(a) && !std::isnan(b)); });
        const auto mean_of_first = [&](std::size_t count) {
            return number_or_null(
                std::accumulate(nodes.begin(), nodes.begin() + static_cast<std::ptrdiff_t>(count), 0.0) /
                static_cast<double>(count));
        };
        json["test_accuracy"] = mean_of_first(nodes.size());
        for (std::size_t metric = 1; metric < result.metric_keys.size(); ++metric) {
            if (result.metric_keys[metric].starts_with("accuracy_"))
                json["test_" + result.metric_keys[metric]] = number_or_null(last.personal[metric]);
        }
        json["test_accuracy_worst"] = mean_of_first((nodes.size() + 9) / 10);
        json["shared_accuracy_honest"] = number_or_null(last.shared.front());
        json["accuracy_honest_worst"] = number_or_null(nodes.front());
    }
    json["simulated_s"] = last.time_s;
    json["updates"] = result.counters.applied;
    json["updates_refused"] = result.counters.refused;
    json["updates_repeated"] = result.counters.repeated;
    json["task_gradients"] = last.gradients;
    json["mean_staleness"] = mean_staleness(result);
    if (result.consensus_error) json["consensus_error"] = number_or_null(*result.consensus_error);
    if (result.mass_error) json["mass_error"] = *result.mass_error;
}

}  // namespace

std::string federated_html(const FederatedJob& job, const FederatedResult& result, const RunFigures& figures,
                           const std::string& command) {
    report::HtmlReport page;
    page.title = job.name();
    page.subtitle = job.alone ? figures.subject
                    : job.rounds
                        ? fmt::format("{}, seed {}", figures.subject, job.seed())
                        : fmt::format("{}, seed {}, {} {}, {:.0f} simulated seconds", title_of(job.settings.method),
                                      job.seed(), job.problem->nodes(), job.nodes_are(), result.last.time_s);
    if (job.by_clock()) add_clock(page, job, result);
    add_figures(page, figures);
    if (job.rounds) {
        add_rounds(page, result);
        const std::string about = notes_text(job.notes());
        if (!about.empty() && !page.sections.empty()) page.sections.front().paragraphs.push_back(about.substr(1));
    }
    if (!result.complete && result.failure.empty() && !job.alone)
        page.warnings.push_back("The run was interrupted; the numbers are its last ones.");
    for (const SideRun& run : result.side_runs) {
        if (!run.failure.empty()) page.warnings.push_back(fmt::format("{} failed: {}.", run.name, run.failure));
    }
    page.settings = job.config;
    page.reproduce = command;
    return report::html_report(page);
}

std::string federated_summary(const FederatedJob& job, const FederatedResult& result, const RunFigures& figures,
                              int threads) {
    if (job.alone) {
        nlohmann::ordered_json json{{"experiment", job.name()},
                                    {"method", job.alone->method()},
                                    {"seed", job.seed()},
                                    {"complete", result.complete}};
        add_figures(json, figures);
        return json.dump(2) + "\n";
    }
    nlohmann::ordered_json json{{"experiment", job.name()},
                                {"method", job.rounds ? job.rounds->method : name_of(job.settings.method)},
                                {"objective", name_of(job.settings.method.objective)},
                                {"aggregation", job.rounds && !job.rounds->aggregation.empty()
                                                    ? job.rounds->aggregation
                                                    : std::string(name_of(job.settings.method.aggregation))},
                                {"seed", job.seed()},
                                {"complete", result.complete},
                                {job.nodes_are(), job.problem->nodes()}};
    if (job.rounds)
        add_rounds(json, result);
    else
        add_clock(json, job.settings, result);
    add_figures(json, figures);
    for (const SideRun& run : result.side_runs) {
        if (!run.failure.empty()) json["failed"].push_back({{"name", run.name}, {"failure", run.failure}});
    }
    if (!json.contains("parameters")) json["parameters"] = job.problem->dimension();
    json["trace"] = fmt::format("{:016x}", result.trace);
    json["data"] = data_json(job.notes());
    json["seconds"] = result.seconds;
    json["threads"] = threads;
    return json.dump(2) + "\n";
}

}  // namespace dunlin::app
