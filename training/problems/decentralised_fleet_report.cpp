// SPDX-License-Identifier: Apache-2.0
#include "training/problems/decentralised_fleet.hpp"
#include "training/problems/federated_result.hpp"
#include "training/settings/reading.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace dunlin {
namespace {

/// Of a row's metrics.
enum Metric : std::uint8_t { train_loss, accuracy_own, accuracy_balanced, loss_own };

/// One picture of the report's figures.
struct Panel {
    std::string_view name, title, axis;
    Metric metric;
};
constexpr Panel panels[] = {
    {"train-loss", "Training loss", "cross-entropy on an agent's own training rows", train_loss},
    {"accuracy-own", "Test accuracy on each agent's own distribution", "accuracy, mean over agents", accuracy_own},
    {"accuracy-balanced", "Test accuracy where every label counts the same", "accuracy, mean over agents",
     accuracy_balanced}};

std::string_view mixing_name(Mixing mixing) {
    switch (mixing) {
        case Mixing::laplacian:
            return "I - (rho/tau) A'A";
        case Mixing::lazy_metropolis:
            return "lazy Metropolis weights";
        default:
            return "Metropolis weights";
    }
}

/// A method on all of the data or on few of it, and what came of it; null where it failed.
struct Variant {
    Method method;
    bool limited;
    const FederatedResult* result;
    const FederatedProblem* agents;
    std::string failure;

    double constant() const { return static_cast<const DecentralisedFleet*>(agents)->world().constant_accuracy(); }
    std::string title() const { return decentralised_title(method) + (limited ? ", few data" : ""); }
};

std::string few_rows(const DecentralisedSettings& s) {
    return fmt::format("data.train_limit={}", s.limited_rows);
}

/// All methods on all data and then on few, this run's where it stands.
std::vector<Variant> variants_of(const DecentralisedSettings& s, const FederatedProblem& agents,
                                 const FederatedResult& result) {
    std::vector<Variant> all;
    auto next = result.side_runs.begin();
    for (const bool limited : {false, true}) {
        if (next == result.side_runs.end() && (limited || result.side_runs.empty())) break;
        for (const auto& [name, method] : decentralised_methods()) {
            if (!limited && method == s.federated.method) {
                all.push_back({method, limited, &result, &agents, ""});
                continue;
            }
            const bool good = next->failure.empty() && next->result;
            all.push_back(
                {method, limited, good ? next->result.get() : nullptr, next->problem.get(), next->failure});
            ++next;
        }
    }
    return all;
}

double bytes_per_iteration(const FederatedResult& result) {
    const auto agents = static_cast<std::int64_t>(result.scores.size());
    return static_cast<double>(result.messages.sent_bytes) / static_cast<double>(result.last.round * agents);
}

FigureLine line_of(const std::string& name, const FederatedResult& result, Metric metric) {
    FigureLine line{.name = name, .x = {}, .y = {}};
    for (const FederatedRow& row : result.history) {
        line.x.push_back(static_cast<double>(row.round));
        line.y.push_back(row.personal[metric]);
    }
    return line;
}

FigureChart chart_of(const Panel& panel, std::vector<FigureLine> lines, double constant) {
    FigureChart chart{.file = fmt::format("{}.svg", panel.name),
                      .title = std::string(panel.title),
                      .x_title = "iteration",
                      .y_title = std::string(panel.axis),
                      .lines = std::move(lines)};
    if (panel.metric == accuracy_own && !chart.lines.empty()) {
        chart.lines.front().reference = constant;
        chart.reference_name = "always an agent's most frequent label";
    }
    return chart;
}

/// Where another method is better than SPDB, in words: from when on, and by how much at the end.
std::vector<std::string> where_passed(const std::vector<Variant>& variants, bool limited) {
    const auto spdb = std::ranges::find_if(variants, [&](const Variant& one) {
        return one.limited == limited && one.method == preset::spdb && one.result != nullptr;
    });
    std::vector<std::string> lines;
    if (spdb == variants.end()) return {"SPDB failed here; there is nothing to compare."};
    const auto& ours = spdb->result->history;
    for (const Variant& one : variants) {
        if (one.limited != limited || one.method == preset::spdb || one.result == nullptr) continue;
        for (const Panel& panel : panels) {
            const double sign = panel.metric == train_loss ? -1.0 : 1.0;
            const auto& theirs = one.result->history;
            const auto gap = [&](std::size_t row) {
                return sign * (theirs[row].personal[panel.metric] - ours[row].personal[panel.metric]);
            };
            const std::size_t rows = std::min(ours.size(), theirs.size());
            std::size_t from = rows;  // since when it has been ahead for good
            while (from > 1 && gap(from - 1) > 0) --from;
            if (from == rows) continue;
            lines.push_back(
                fmt::format("{}: {} passes SPDB from iteration {} on, {:.4f} against {:.4f} at the end.",
                            panel.title, decentralised_title(one.method), theirs[from].round,
                            theirs[rows - 1].personal[panel.metric], ours[rows - 1].personal[panel.metric]));
        }
    }
    if (lines.empty()) lines.emplace_back("No other method is ahead of SPDB at the end in any of the three.");
    const double reached = ours.back().personal[accuracy_own], constant = spdb->constant();
    if (reached < constant + 0.01)
        lines.push_back(fmt::format(
            "SPDB's accuracy on each agent's own distribution, {:.4f}, is that of always naming the "
            "agent's most frequent label ({:.4f}): its personal layers have learned the skew and no more.",
            reached, constant));
    return lines;
}

FigureSection compared(const DecentralisedSettings& s, const std::vector<Variant>& variants, bool limited) {
    FigureSection section{.heading = limited ? "All methods, few data" : "All methods, all data",
                          .paragraphs = where_passed(variants, limited)};
    for (const Panel& panel : panels) {
        std::vector<FigureLine> lines;
        double constant = 0;
        for (const Variant& one : variants) {  // of one that failed the table says so
            if (one.limited != limited || one.result == nullptr) continue;
            if (lines.empty()) constant = one.constant();
            lines.push_back(line_of(decentralised_title(one.method), *one.result, panel.metric));
        }
        FigureChart chart = chart_of(panel, std::move(lines), constant);
        chart.file = (limited ? "limited-" : "all-") + chart.file;
        chart.title += limited ? fmt::format(", {} rows each", s.limited_rows) : ", all data";
        section.charts.push_back(std::move(chart));
    }
    // The paper's figure is of digits with a personal last layer, on its own data.
    const std::string figure = limited ? "SPDB (001), Figure 1, a and b" : "SPDB (001), Figure 1, c and d";
    section.charts.front().caption =
        s.input_transform
            ? "The paper has no such figure: this stands in for its speech experiment, in the form of " + figure +
                  "."
        : s.data.path.empty() ? "In the form of " + figure + ", on generated digits instead of MNIST."
                              : figure + "; on the data that data.path names.";
    return section;
}

FigureTable figure_table(const std::vector<Variant>& variants) {
    using Show = FigureColumn::Show;
    FigureTable table{.key = "figure",
                      .columns = {{"", "method"},
                                  {"method", ""},
                                  {"limited", ""},
                                  {"train_loss", "training loss", Show::digits4},
                                  {"test_accuracy_own", "accuracy, own", Show::digits4},
                                  {"test_accuracy_balanced", "accuracy, balanced", Show::digits4},
                                  {"bytes_per_iteration", "bytes per iteration", Show::plain},
                                  {"failure", "failed"}}};
    for (const Variant& one : variants) {
        const bool good = one.result != nullptr;
        const auto number = [&](Metric metric) { return good ? one.result->history.back().personal[metric] : NAN; };
        table.rows.push_back({one.title(), decentralised_name(one.method), one.limited, number(train_loss),
                              number(accuracy_own), number(accuracy_balanced),
                              good ? bytes_per_iteration(*one.result) : NAN, one.failure});
    }
    return table;
}

std::string data_text(const DecentralisedSettings& s) {
    std::string text = fmt::format("Data: {}.", s.data.path.empty() ? "generated digits" : s.data.path);
    if (s.input_transform)
        text +=
            " This is a stand-in for the speech experiment of SPDB's paper, whose recordings are not public: "
            "agents "
            "that see the world differently, each with an affine transform of its own in front of one shared "
            "network. Its numbers say nothing about speech.";
    return text;
}

/// The weights of methods that wait for all neighbours. The graph is the run's.
std::optional<ChosenMixing> mixing_of(const DecentralisedSettings& s, std::uint32_t agents) {
    const AggregationName by = s.federated.method.aggregation;
    if (!has_neighbours(by) || !traits_of(by).rounds) return {};
    const auto graph = read_graph(s.graph_recipe(agents), s.seed, "network");
    if (!graph) return {};
    const auto both = take_both_ways(*graph, "network.graph", name_of(by), nullptr);
    if (!both) return {};
    auto mixing = mixing_of(by, *both, s.mixing, static_cast<double>(s.rho_over_tau));
    if (!mixing) return {};
    return *std::move(mixing);
}

std::string setting_text(const DecentralisedSettings& s, const FederatedProblem& agents,
                         const FederatedResult& result, const std::optional<ChosenMixing>& mixing) {
    if (s.federated.method.aggregation == AggregationName::local)
        return fmt::format("{} agents, each alone, step {}.", agents.nodes(), s.step);
    std::string weights;
    if (mixing)
        weights = fmt::format(", mixing by {} with spectrum from {:.3f} to {:.3f} and 1", mixing_name(mixing->kind),
                              mixing->spectrum.smallest, mixing->spectrum.second);
    return fmt::format(
        "{} agents, {} links{}; step {}. {} parameters are shared and {} stay with their agent. Labels: {}.",
        agents.nodes(), result.edges / 2, weights, s.step, agents.split().shared_size(),
        agents.split().personal_size(),
        s.data.split.conflicting ? "every agent names them in a way of its own" : "named alike by all");
}

/// The history's row at this share of the iterations.
const FederatedRow& row_at(const FederatedResult& result, double share) {
    return result.history[static_cast<std::size_t>(share * static_cast<double>(result.history.size() - 1))];
}

void add_measures(const FederatedResult& result, RunFigures& figures) {
    using Show = FigureMeasure::Show;
    const auto at = [&](double share, Metric metric) { return row_at(result, share).personal[metric]; };
    figures.measures = {{"train_loss", "training loss", at(1, train_loss), Show::mean, true},
                        {"test_accuracy_own", "accuracy, own", at(1, accuracy_own), Show::mean, true,
                         "accuracy on each agent's own distribution"},
                        {"test_accuracy_own_tenth", "own at 1/10", at(0.1, accuracy_own), Show::mean, true,
                         "accuracy on each agent's own distribution after a tenth of the iterations"},
                        {"test_accuracy_own_half", "own at 1/2", at(0.5, accuracy_own)},
                        {"test_accuracy_balanced", "balanced", at(1, accuracy_balanced), Show::mean, true,
                         "accuracy where every label counts the same"},
                        {"train_loss_tenth", "training loss at 1/10", at(0.1, train_loss), Show::file},
                        {"train_loss_half", "training loss at 1/2", at(0.5, train_loss), Show::file},
                        {"test_loss_own", "loss, own", at(1, loss_own), Show::mean},
                        {"bytes_per_iteration", "bytes per iteration", bytes_per_iteration(result), Show::count},
                        {"consensus_error", "consensus error", result.history.back().consensus_error, Show::file}};
    const auto curve = [&](std::string key, std::string title, std::string axis, Metric metric) {
        FigureLine line = line_of("", result, metric);
        figures.curves.push_back(
            {std::move(key), std::move(title), "iteration", std::move(axis), std::move(line.x), std::move(line.y)});
    };
    curve("curve-train-loss", "Training loss", "cross-entropy", train_loss);
    curve("curve-own", "Accuracy on each agent's own distribution", "accuracy", accuracy_own);
    curve("curve-balanced", "Accuracy where every label counts the same", "accuracy", accuracy_balanced);
}

}  // namespace

std::vector<SideRun> decentralised_side_runs(const DecentralisedSettings& s) {
    std::vector<SideRun> runs;
    if (!s.figure) return runs;
    for (const bool limited : {false, true}) {
        if (limited && s.limited_rows == 0) continue;
        for (const auto& [name, method] : decentralised_methods()) {
            if (!limited && method == s.federated.method) continue;
            SideRun run{Variant{method, limited, nullptr, nullptr, ""}.title(),
                        {fmt::format("method.name={}", name)}};
            if (limited) run.changes.push_back(few_rows(s));
            runs.push_back(std::move(run));
        }
    }
    return runs;
}

void report_decentralised(const DecentralisedSettings& s, FederatedProblem& agents, const FederatedResult& result,
                          RunFigures& figures) {
    const double constant = static_cast<const DecentralisedFleet&>(agents).world().constant_accuracy();
    const std::vector<double>& last = result.last.personal;
    const std::string title = decentralised_title(s.federated.method);
    const double bytes = bytes_per_iteration(result);
    figures.subject = fmt::format("{}, {} agents", title, agents.nodes());
    figures.numbers = {
        {fmt::format("{:.4f}", last[train_loss]), "training loss"},
        {fmt::format("{:.4f}", last[accuracy_own]), "accuracy on each agent's own distribution"},
        {fmt::format("{:.4f}", last[accuracy_balanced]), "accuracy where every label counts the same"},
        {fmt::format("{:.0f}", bytes), "bytes an agent sends per iteration"}};
    FigureTable table{.key = "own_by_agent",
                      .columns = {{"", "agent"},
                                  {"accuracy", "accuracy, own distribution", FigureColumn::Show::digits4},
                                  {"", "loss", FigureColumn::Show::digits4}},
                      .most_shown = 20,
                      .flat = true};
    for (std::size_t i = 0; i < result.scores.size(); ++i)
        table.rows.push_back({static_cast<std::uint64_t>(i), result.personal_by_node[i],
                              result.scores[i].sums[DecentralisedWorld::loss_own]});
    const auto mixing = mixing_of(s, agents.nodes());
    FigureSection own{.heading = "This run: " + title,
                      .paragraphs = {data_text(s), setting_text(s, agents, result, mixing)},
                      .tables = {table}};
    for (const Panel& panel : panels)
        own.charts.push_back(chart_of(panel, {line_of(title, result, panel.metric)}, constant));
    figures.sections.push_back(std::move(own));
    if (const std::vector<Variant> variants = variants_of(s, agents, result); !variants.empty()) {
        figures.sections.push_back(compared(s, variants, false));
        if (variants.back().limited) figures.sections.push_back(compared(s, variants, true));
        figures.sections.back().tables = {figure_table(variants)};
    }
    figures.fields = {{"iterations", result.last.round - 1},
                      {"train_loss", last[train_loss]},
                      {"test_accuracy_own", last[accuracy_own]},
                      {"test_accuracy_balanced", last[accuracy_balanced]},
                      {"constant_accuracy_own", constant},
                      {"test_loss_own", last[loss_own]},
                      {"bytes_per_iteration", bytes},
                      {"shared_parameters", std::uint64_t{agents.split().shared_size()}},
                      {"personal_parameters", std::uint64_t{agents.split().personal_size()}},
                      {"edges", std::uint64_t{result.edges / 2}}};
    if (mixing)
        figures.fields.insert(figures.fields.end(), {{"mixing.weights", std::string(mixing_name(mixing->kind))},
                                                     {"mixing.smallest_eigenvalue", mixing->spectrum.smallest},
                                                     {"mixing.second_eigenvalue", mixing->spectrum.second}});
    add_measures(result, figures);
    figures.line = fmt::format(
        "; training loss {:.4f}; accuracy: own distribution {:.4f}, balanced {:.4f}; {:.0f} bytes per agent and "
        "iteration",
        last[train_loss], last[accuracy_own], last[accuracy_balanced], bytes);
}

}  // namespace dunlin
