// SPDX-License-Identifier: Apache-2.0
#include "training/problems/ranking_forest.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace dunlin {
namespace {

constexpr std::size_t cut_limit = 63;

}  // namespace

RankingForest::RankingForest(const RankingView& view, std::span<const RankingQuery> queries,
                             const ForestSettings& settings, Stream random)
    : view_(view), settings_(settings) {
    assert(!queries.empty() && settings.trees > 0);
    if (settings_.tried == 0)
        settings_.tried = static_cast<int>(std::lround(std::sqrt(static_cast<double>(view.inputs()))));
    std::vector<float> seen;
    for (int f = 0; f < view.inputs(); ++f) {
        seen.clear();
        for (const RankingQuery& query : queries) {
            for (int k = 0; k < query.candidates; ++k)
                seen.push_back(value_of(view.item(query, k), query.context, f));
        }
        std::ranges::sort(seen);
        std::vector<float> cuts;
        for (std::size_t k = 1; k <= cut_limit; ++k) {
            const float cut = seen[k * (seen.size() - 1) / cut_limit];
            if (cut > seen.front() && (cuts.empty() || cut > cuts.back())) cuts.push_back(cut);
        }
        cuts_.push_back(std::move(cuts));
    }
    std::vector<Row> rows;
    for (int tree = 0; tree < settings_.trees; ++tree) {
        rows.clear();
        for (std::size_t drawn = 0; drawn < queries.size(); ++drawn) {
            const RankingQuery& query = queries[random.below(static_cast<std::uint32_t>(queries.size()))];
            for (int k = 0; k < query.candidates; ++k)
                rows.push_back({view.item(query, k), query.context, k == query.chosen});
        }
        grow(rows, random);
    }
}

void RankingForest::grow(std::vector<Row>& rows, Stream& random) {
    struct Open {
        std::uint32_t node;
        std::size_t begin, end;
        int depth;
    };
    roots_.push_back(static_cast<std::uint32_t>(nodes_.size()));
    nodes_.emplace_back();
    std::vector<Open> open{{roots_.back(), 0, rows.size(), 0}};
    while (!open.empty()) {
        const Open at = open.back();
        open.pop_back();
        const std::span<Row> here = std::span(rows).subspan(at.begin, at.end - at.begin);
        const auto chosen = std::ranges::count(here, true, &Row::chosen);
        Node node;
        if (at.depth < settings_.depth && chosen > 0 && chosen < std::ssize(here)) node = split(here, random);
        if (node.feature < 0) {
            node.value = static_cast<double>(chosen) / static_cast<double>(here.size());
        } else {
            const auto second = std::partition(here.begin(), here.end(), [&](const Row& row) {
                return value_of(row.item, row.context, node.feature) < node.threshold;
            });
            const std::size_t middle = at.begin + static_cast<std::size_t>(second - here.begin());
            node.next = static_cast<std::uint32_t>(nodes_.size());
            nodes_.resize(nodes_.size() + 2);
            open.push_back({node.next, at.begin, middle, at.depth + 1});
            open.push_back({node.next + 1, middle, at.end, at.depth + 1});
        }
        nodes_[at.node] = node;
    }
}

RankingForest::Node RankingForest::split(std::span<const Row> rows, Stream& random) const {
    const auto all = static_cast<double>(rows.size());
    double total = 0;
    for (const Row& row : rows) total += row.chosen ? 1 : 0;
    const double without = total * (all - total) / all;  // Gini's impurity times the rows, halved
    double best = without * (1 - 1e-9);
    Node node;
    for (int k = 0; k < settings_.tried; ++k) {
        const auto feature = random.below(static_cast<std::uint32_t>(view_.inputs()));
        const std::vector<float>& cuts = cuts_[feature];
        if (cuts.empty()) continue;
        // Of the rows between one cut and the next: how many, and how many of them chosen.
        std::array<double, cut_limit + 1> count{}, chosen{};
        for (const Row& row : rows) {
            const float value = value_of(row.item, row.context, static_cast<int>(feature));
            const auto bin = static_cast<std::size_t>(std::ranges::upper_bound(cuts, value) - cuts.begin());
            count[bin] += 1;
            chosen[bin] += row.chosen ? 1 : 0;
        }
        double below = 0, chosen_below = 0;
        for (std::size_t cut = 0; cut < cuts.size(); ++cut) {
            below += count[cut];
            chosen_below += chosen[cut];
            const double above = all - below, chosen_above = total - chosen_below;
            if (below < settings_.leaf || above < settings_.leaf) continue;
            const double impurity =
                chosen_below * (below - chosen_below) / below + chosen_above * (above - chosen_above) / above;
            if (impurity < best) {
                best = impurity;
                node.feature = static_cast<int>(feature);
                node.threshold = cuts[cut];
            }
        }
    }
    return node;
}

double RankingForest::score(const RankingQuery& query, int candidate) const {
    const float* item = view_.item(query, candidate);
    double sum = 0;
    for (const std::uint32_t root : roots_) {
        const Node* at = &nodes_[root];
        while (at->feature >= 0)
            at = &nodes_[at->next + (value_of(item, query.context, at->feature) < at->threshold ? 0u : 1u)];
        sum += at->value;
    }
    return sum / static_cast<double>(roots_.size());
}

RankingScore RankingForest::evaluate(std::span<const RankingQuery> queries) const {
    RankingScore all;
    std::array<double, ranking_candidate_limit> scores{};
    for (const RankingQuery& query : queries) {
        for (int k = 0; k < query.candidates; ++k) scores[static_cast<std::size_t>(k)] = score(query, k);
        all.add(std::span<const double>(scores).first(query.candidates), query.chosen);
    }
    return all;
}

}  // namespace dunlin
