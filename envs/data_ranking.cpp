// SPDX-License-Identifier: Apache-2.0
#include "envs/data_ranking.hpp"

#include "envs/data_columns.hpp"

#include <algorithm>
#include <cmath>

namespace dunlin {

std::span<const RankingQuery> RankingData::of_user(std::size_t user, RankingSplit split, std::size_t latest) const {
    const User& u = users[user];
    const std::span<const RankingQuery> train(queries.data() + u.first, u.train);
    const std::size_t validation = u.train > 1 ? (u.train + 4) / 5 : 0;
    std::span<const RankingQuery> chosen = train;
    if (split == RankingSplit::fit) chosen = train.first(u.train - validation);
    if (split == RankingSplit::validation) chosen = train.last(validation);
    if (split == RankingSplit::test) chosen = {queries.data() + u.first + u.train, u.test};
    return latest > 0 ? chosen.last(std::min(latest, chosen.size())) : chosen;
}

int RankingData::longest() const {
    int longest = 2;
    for (const RankingQuery& query : queries) longest = std::max<int>(longest, query.candidates);
    return longest;
}

void RankingData::standardise() {
    const auto width = static_cast<std::size_t>(features);
    ColumnScaling scaling(width);
    for (const bool first : {true, false}) {
        for (std::size_t u = 0; u < users.size(); ++u) {
            for (const RankingQuery& query : of_user(u, RankingSplit::fit)) {
                for (int c = 0; c < query.candidates; ++c) {
                    const float* item = view().item(query, c);
                    first ? scaling.see(item) : scaling.measure(item);
                }
            }
        }
    }
    for (std::size_t at = 0; at < items.size(); ++at) items[at] = scaling.scaled(at % width, items[at]);
    std::vector<std::string> gone;
    for (std::size_t f = 0; f < width; ++f) {
        centre.push_back(static_cast<float>(scaling.mean(f) + (origin.empty() ? 0.0 : origin[f])));
        scale.push_back(static_cast<float>(scaling.factor(f)));
        if (scaling.constant(f))
            gone.push_back(feature_names.empty() ? "feature " + std::to_string(f) : feature_names[f]);
    }
    origin.clear();
    if (!gone.empty())
        notes.push_back({"constant_features", std::ssize(gone),
                         sentence(gone.size(), gone.size() == 1 ? " feature is" : " features are",
                                  " constant over the candidates to train on and set to 0: ", quoted_list(gone))});
}

void RankingData::restore_origin() {
    if (origin.empty()) return;
    const auto width = static_cast<std::size_t>(features);
    for (std::size_t at = 0; at < items.size(); ++at)
        items[at] = static_cast<float>(static_cast<double>(items[at]) + origin[at % width]);
    std::vector<std::string> blurred;
    for (std::size_t f = 0; f < width; ++f) {
        if (origin[f] != 0.0) blurred.push_back(feature_names[f]);
    }
    origin.clear();
    if (!blurred.empty())
        notes.push_back(
            {"blurred_features", std::ssize(blurred),
             sentence(blurred.size(), blurred.size() == 1 ? " feature varies" : " features vary",
                      " by less than a thousandth of their size, too little to learn from as they are: ",
                      quoted_list(blurred), "; data.standardise = true brings that out")});
}

Result<RankingData> draw_ranking_data(const SyntheticRankingSettings& s, std::uint64_t seed) {
    const auto between = [](auto x, auto least, auto most) { return x >= least && x <= most; };
    const bool good[] = {between(s.users, 1, 1 << 20),
                         between(s.queries_least, 1, s.queries_most),
                         between(s.queries_most, 1, 1 << 20),
                         between(s.candidates_least, 2, s.candidates_most),
                         between(s.candidates_most, 2, std::min(ranking_candidate_limit, s.items)),
                         between(s.items, 2, 1 << 24),
                         between(s.features, 1, 4096),
                         between(s.contexts, 1, ranking_context_limit),
                         between(s.personal_part, 0.0f, 1e3f),
                         between(s.sharpness, 0.0f, 1e3f),
                         between(s.test_fraction, 0.0f, 1.0f)};
    for (std::int64_t k = 0; k < std::ssize(good); ++k) {
        if (!good[k]) return fail(Code::bad_setting, k);
    }

    RankingData data;
    data.features = s.features;
    data.contexts = s.contexts;
    const auto width = static_cast<std::size_t>(s.features);
    const auto vectors = [&](std::vector<float>& out, std::size_t count, Stream random) {
        out.resize(count * width);
        for (float& x : out) x = random.normal();
    };
    constexpr std::uint32_t everyone = (1u << 24) - 1;  // the stream that belongs to no user
    const Stream common(seed, everyone, Purpose::data);
    std::vector<float> taste, context;
    vectors(data.items, static_cast<std::size_t>(s.items), common.lane(0));
    vectors(taste, 1, common.lane(1));
    vectors(context, static_cast<std::size_t>(s.contexts), common.lane(2));

    std::vector<float> own;
    const float scale = s.sharpness / std::sqrt(static_cast<float>(s.features));
    for (int u = 0; u < s.users; ++u) {
        const Stream user(seed, static_cast<std::uint32_t>(u), Purpose::data);
        vectors(own, 1, user.lane(0));
        Stream random = user.lane(1);
        const auto in = [&](int least, int most) {
            return least + static_cast<int>(random.below(static_cast<std::uint32_t>(most - least + 1)));
        };
        const int count = in(s.queries_least, s.queries_most);
        const auto test = static_cast<std::size_t>(static_cast<float>(count) * s.test_fraction);
        if (test == static_cast<std::size_t>(count)) return fail(Code::no_queries, u);
        data.users.push_back({u, data.queries.size(), static_cast<std::size_t>(count) - test, test});
        for (int q = 0; q < count; ++q) {
            RankingQuery query{u, in(0, s.contexts - 1), static_cast<std::uint32_t>(data.candidates.size()),
                               static_cast<std::uint16_t>(in(s.candidates_least, s.candidates_most)), 0};
            const float* asked = context.data() + static_cast<std::size_t>(query.context) * width;
            float best = -INFINITY;
            for (std::uint16_t c = 0; c < query.candidates; ++c) {
                const auto first = data.candidates.begin() + query.first_candidate;
                std::uint32_t item = 0;
                do {
                    item = random.below(static_cast<std::uint32_t>(s.items));
                } while (std::find(first, data.candidates.end(), item) != data.candidates.end());
                const float* x = data.items.data() + item * width;
                float liking = 0.0f;
                for (std::size_t f = 0; f < width; ++f)
                    liking += (taste[f] + asked[f] + s.personal_part * own[f]) * x[f];
                const float wait = -std::log(random.uniform() + 0x1p-25f);
                liking = scale * liking - std::log(std::max(wait, 1e-8f));
                if (liking > best) query.chosen = c;
                best = std::max(best, liking);
                data.candidates.push_back(item);
            }
            data.queries.push_back(query);
        }
    }
    return data;
}

}  // namespace dunlin
