// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "envs/data_file.hpp"
#include "envs/data_notes.hpp"
#include "envs/ranking.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dunlin {

/// Which of a user's queries. Settings are chosen by training on `fit` and judging on `validation`; what they give
/// is read on `test`, once, after training on `train`.
enum class RankingSplit : std::uint8_t {
    fit,         ///< `train` without `validation`
    validation,  ///< the last fifth of `train` by time, rounded up; none of a single query
    train,
    test
};

/// Users, their queries in the order of time, and the items that they are about; for hosts.
struct RankingData {
    struct User {
        std::int64_t name = 0;  ///< as the file calls it
        std::size_t first = 0;  ///< in `queries`: those to train on, then those to test on
        std::size_t train = 0, test = 0;
    };

    int features = 0;
    int contexts = 0;
    std::vector<float> items;                ///< row-major
    std::vector<double> origin;              ///< by feature, what to add to the items (to_floats); empty: nothing
    std::vector<std::string> feature_names;  ///< empty: they have none
    std::vector<float> centre, scale;        ///< after standardise(): what each feature was less, and times
    std::vector<std::uint32_t> candidates;
    std::vector<RankingQuery> queries;
    std::vector<User> users;
    DataNotes notes;  ///< what reading and preparing left out or changed

    RankingView view() const { return {items.data(), candidates.data(), features, contexts}; }
    /// `latest` > 0: no more than that many, the last ones.
    std::span<const RankingQuery> of_user(std::size_t user, RankingSplit split, std::size_t latest = 0) const;
    int longest() const;  ///< most candidates of any query

    /// Gives every item feature zero mean and unit variance over the candidates of all `fit` queries; a feature
    /// that is constant there becomes 0, with the note constant_features. On ml-rank-A this helps where users have
    /// many queries, and hurts where they have ten (MRR of each user alone .564 against .551 with all, .445 against
    /// .486 with ten).
    void standardise();
    /// Adds the origins, for items that stay as they are in the file; notes features that 32 bits blur.
    void restore_origin();
};

/// The shape of the slides' data ("Personalized Search Ranking"), with preferences that are known. The user picks
/// the suggestion with the largest of
///
///     sharpness (common + of the context + personal_part of the user)' item / sqrt(features) + Gumbel noise
///
/// where all vectors are N(0, I). The last `test_fraction` of each user's queries are for testing.
struct SyntheticRankingSettings {
    int users = 200;
    int queries_least = 30, queries_most = 100;
    int candidates_least = 2, candidates_most = 25;
    int items = 2000;
    int features = 16;
    int contexts = 8;
    float personal_part = 1.0f;
    float sharpness = 2.0f;
    float test_fraction = 0.2f;
};

/// Errors: bad_setting (position in the struct); no_queries (the test fraction leaves a user none).
Result<RankingData> draw_ranking_data(const SyntheticRankingSettings& settings, std::uint64_t seed);

/// Two tables with a header line each (CSV). Items: a number, then features; features called g_NAME are also the
/// contexts, in that order. Queries: columns user_id, query_genre (a NAME), split (train or test), n, chosen (from
/// 0), candidates (item numbers, separated by blanks), in any order; a user's lines come in the order of time.
/// Other columns are ignored, and the case of letters in the header. Users without a query to train on are left
/// out, with a note.
///
/// Errors: column_missing (line; items: 0 a feature, 1 a context; queries: in the order above, from 0);
/// column_count; bad_number; repeated_item; file_syntax (a split that is neither; quotes); candidate_count;
/// chosen_outside; unknown_item; unknown_context; no_queries (nobody has one to train on); file_truncated (no line
/// after the header); file_too_large.
FileResult<RankingData> load_ranking_data(const std::string& items_path, const std::string& queries_path);

/// The files items.csv and queries.csv, plain or packed, of a folder.
FileResult<RankingData> load_ranking_folder(const std::string& folder);

}  // namespace dunlin
