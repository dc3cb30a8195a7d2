// SPDX-License-Identifier: Apache-2.0
#include "training/problems/newcomers.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace dunlin {
namespace {

enum Stage : std::uint8_t { before, adapted, alone, stages };
using Scores = std::array<FleetScore, stages>;

/// At most so many rows of each class, of those that the node trains on.
void keep_rows(NodeRows& node, const DataTable& table, int each, Stream& random) {
    std::vector<std::uint32_t>& rows = node.train;
    for (std::size_t k = rows.size(); k > 1; --k)
        std::swap(rows[k - 1], rows[random.below(static_cast<std::uint32_t>(k))]);
    std::vector<int> taken(static_cast<std::size_t>(table.classes));
    std::erase_if(rows, [&](std::uint32_t row) { return ++taken[table.labels[row]] > each; });
}

/// The newcomers' parts of one draw.
SharedData drawn(SharedData data, int each, std::uint64_t seed, int repeat) {
    for (std::size_t node = 0; node < data.parts.size(); ++node) {
        Stream random(seed, static_cast<std::uint32_t>(node), Purpose::data);
        random.seek_epoch(static_cast<std::uint64_t>(repeat) + 1);
        keep_rows(data.parts[node], data.table, each, random);
    }
    return data;
}

/// The shared part of `w`, and of `first` the rest.
std::vector<float> shared_of(const FederatedProblem& nodes, ConstVector<float> w, ConstVector<float> first) {
    std::vector<float> start(first.begin(), first.end());
    const LayerSplit split = nodes.split();
    for (const LayerSplit::Range& range : split.shared())
        std::copy_n(w.begin() + static_cast<std::ptrdiff_t>(range.first), range.count,
                    start.begin() + static_cast<std::ptrdiff_t>(range.first));
    return start;
}

/// Adds what each newcomer scores with one draw of its rows.
void judge(FederatedProblem& nodes, const NewcomerSettings& s, Personalisation personal, std::uint64_t seed,
           int repeat, ConstVector<float> w, std::vector<Scores>& scores) {
    std::vector<float> first(nodes.dimension()), theta;
    nodes.initialise(first);
    const std::vector<float> start =
        s.mean_layers ? std::vector<float>(w.begin(), w.end()) : shared_of(nodes, w, first);
    if (s.steps > 0) personal.steps = s.steps;
    const Personalisation own{.steps = s.own_steps, .rate = s.own_rate};
    for (std::uint32_t node = 0; node < nodes.nodes(); ++node) {
        const auto made = [&](const std::vector<float>& from, const Personalisation& how) {
            theta = from;
            Stream random(seed, node, Purpose::evaluate);
            random.seek_epoch(std::uint64_t{1} << 40 | static_cast<std::uint64_t>(repeat) << 20);
            nodes.personalise(node, from, how, random, theta, 0);
            return nodes.judge(node, theta, 0);
        };
        if (repeat == 0) scores[node][before] = nodes.judge(node, start, 0);
        scores[node][adapted].add(made(start, personal));
        scores[node][alone].add(made(first, own));
    }
}

double value_of(const FederatedProblem& nodes, const FleetScore& score) {
    return nodes.metrics(score).front().value;
}

}  // namespace

Outcome<void> report_newcomers(const DataSettings& data, const Personalisation& personal, std::uint64_t seed,
                               ConstVector<float> w, const MakeNodes& make, RunFigures& figures) {
    const NewcomerSettings& s = data.newcomers;
    auto read = read_newcomers(data, seed);
    if (!read) return tl::unexpected(read.error());
    std::vector<std::string> names = read->table.user_names;
    std::string metric;
    std::array<std::vector<double>, stages> means;
    FigureTable by_user{.key = "newcomers.users",
                        .columns = {{"name", "newcomer", FigureColumn::Show::plain},
                                    {"rows", "own rows a class", FigureColumn::Show::plain},
                                    {"before", "shared model"},
                                    {"adapted", "made its own"},
                                    {"own", "own rows alone"}},
                        .most_shown = 24};
    for (const int each : s.rows) {
        std::vector<Scores> scores(read->parts.size());
        std::unique_ptr<FederatedProblem> nodes;
        for (int repeat = 0; repeat < s.repeats; ++repeat) {
            auto made = make(drawn(*read, each, seed, repeat));
            if (!made) return tl::unexpected(made.error());
            nodes = *std::move(made);
            judge(*nodes, s, personal, seed, repeat, w, scores);
        }
        metric = nodes->metrics(scores.front()[before]).front().title;
        std::array<double, stages> sum{};
        for (std::size_t k = 0; k < scores.size(); ++k) {
            std::vector<FigureValue> row{k < names.size() ? names[k] : fmt::format("newcomer {}", k),
                                         std::int64_t{each}};
            for (std::size_t stage = 0; stage < stages; ++stage) {
                const double value = value_of(*nodes, scores[k][stage]);
                sum[stage] += value / static_cast<double>(scores.size());
                row.emplace_back(value);
            }
            by_user.rows.push_back(std::move(row));
        }
        for (std::size_t stage = 0; stage < stages; ++stage) means[stage].push_back(sum[stage]);
    }
    const std::vector<double> rows(s.rows.begin(), s.rows.end());
    FigureTable table{.key = "",
                      .columns = {{"", "own rows a class", FigureColumn::Show::plain},
                                  {"", "shared model"},
                                  {"", "made its own"},
                                  {"", "own rows alone"}}};
    for (std::size_t k = 0; k < rows.size(); ++k) {
        table.rows.push_back({std::int64_t{s.rows[k]}, means[before][k], means[adapted][k], means[alone][k]});
        figures.measures.push_back({fmt::format("newcomers_{}", s.rows[k]),
                                    fmt::format("{}, newcomers with {} rows a class", metric, s.rows[k]),
                                    means[adapted][k]});
    }
    FigureSection section{
        .heading = "Users who were never met",
        .paragraphs = {fmt::format(
            "{} users took no part in training. Each took the shared model and made it its own by so "
            "many rows of each class, drawn {} times, in {} steps; or learned the same network from "
            "these rows alone, in {} steps of size {}. Judged on rows that it holds out.",
            read->parts.size(), s.repeats, s.steps > 0 ? s.steps : personal.steps, s.own_steps, s.own_rate)},
        .tables = {std::move(table), std::move(by_user)}};
    if (figures.drawn)
        section.charts.push_back({.file = "newcomers.svg",
                                  .title = "Users who were never met",
                                  .x_title = "own rows of each class",
                                  .y_title = metric,
                                  .lines = {{.name = "made its own", .x = rows, .y = means[adapted]},
                                            {.name = "shared model as it is", .x = rows, .y = means[before]},
                                            {.name = "own rows alone", .x = rows, .y = means[alone]}},
                                  .whole = true});
    figures.sections.push_back(std::move(section));
    for (std::size_t k = 0; k < rows.size(); ++k)
        figures.line += fmt::format(
            "{} users who were never met, {} rows a class: {} {:.3f} as it is, {:.3f} made their own, "
            "{:.3f} from their rows alone\n",
            read->parts.size(), s.rows[k], metric, means[before][k], means[adapted][k], means[alone][k]);
    figures.fields.insert(figures.fields.end(), {{"newcomers.rows", rows},
                                                 {"newcomers.before", means[before]},
                                                 {"newcomers.adapted", means[adapted]},
                                                 {"newcomers.own", means[alone]}});
    return {};
}

}  // namespace dunlin
