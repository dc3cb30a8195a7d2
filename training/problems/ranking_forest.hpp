// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "envs/ranking.hpp"

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace dunlin {

struct ForestSettings {
    int trees = 100;
    int tried = 0;  ///< features that a split is chosen among, drawn for each; 0: the square root of all
    int leaf = 5;   ///< fewest suggestions of a leaf
    int depth = 16;
};

/// A random forest that scores suggestions, one by one, by how likely it is that they are chosen: the mean over trees of
/// the share of chosen ones among those that fell into the same leaf. Each tree learns from as many queries as there
/// are, drawn with replacement; each split is the best of Gini's by a few random features, at one of up to 64 values.
/// The baseline that is no network: it has no parameters that a fleet could average.
///
/// Source: Breiman 2001; 000, Part I ("Personalized Ranking of Suggestions") names it beside the perceptron.
class RankingForest {
public:
    /// Learns from these queries of `view`, which must outlive it, and of which there is at least one.
    RankingForest(const RankingView& view, std::span<const RankingQuery> queries, const ForestSettings& settings,
                  Stream random);

    double score(const RankingQuery& query, int candidate) const;
    RankingScore evaluate(std::span<const RankingQuery> queries) const;

private:
    struct Node {
        int feature = -1;        ///< -1: a leaf
        float threshold = 0;     ///< below it: the first child
        double value = 0;        ///< of a leaf
        std::uint32_t next = 0;  ///< the first child, the second behind it
    };
    /// A suggestion to learn from.
    struct Row {
        const float* item;
        std::int32_t context;
        bool chosen;
    };

    float value_of(const float* item, std::int32_t context, int feature) const {
        if (feature < view_.features) return item[feature];
        return context == feature - view_.features ? 1.0f : 0.0f;
    }
    void grow(std::vector<Row>& rows, Stream& random);
    /// The best split of rows[begin, end), or none.
    Node split(std::span<const Row> rows, Stream& random) const;

    RankingView view_;
    ForestSettings settings_;
    std::vector<std::vector<float>> cuts_;  ///< of every feature, ascending
    std::vector<Node> nodes_;
    std::vector<std::uint32_t> roots_;
};

}  // namespace dunlin
