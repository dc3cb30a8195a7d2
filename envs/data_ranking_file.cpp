// SPDX-License-Identifier: Apache-2.0
#include "envs/data_ranking.hpp"

#include <algorithm>
#include <array>
#include <unordered_map>

namespace dunlin {
namespace {

struct Items {
    std::vector<float> values;
    int features = 0;
    std::unordered_map<std::int64_t, std::uint32_t> index;        ///< by number
    std::unordered_map<std::string, std::int32_t> context_index;  ///< by name
};

Result<Items> parse_items(std::string_view text) {
    Items items;
    Lines lines(text);
    std::vector<std::string_view> fields;
    if (!lines.next()) return fail(Code::file_truncated, 0, 1);
    split_fields(lines.line(), ',', fields);
    const std::size_t width = fields.size();
    if (width < 2) return fail(Code::column_missing, 0);
    for (std::string_view name : fields) {
        if (name.starts_with("g_"))
            items.context_index.emplace(name.substr(2), static_cast<std::int32_t>(items.context_index.size()));
    }
    if (items.context_index.empty()) return fail(Code::column_missing, 1);
    items.features = static_cast<int>(width) - 1;
    while (lines.next()) {
        split_fields(lines.line(), ',', fields);
        if (fields.size() != width) return fail(Code::column_count, lines.number(), std::ssize(fields));
        const auto number = parse_integer(fields[0]);
        if (!number) return fail(Code::bad_number, lines.number(), 1);
        const auto row = static_cast<std::uint32_t>(items.index.size());
        if (!items.index.emplace(*number, row).second) return fail(Code::repeated_item, lines.number(), *number);
        for (std::size_t f = 1; f < width; ++f) {
            const auto value = parse_float(fields[f]);
            if (!value) return fail(Code::bad_number, lines.number(), static_cast<std::int64_t>(f) + 1);
            items.values.push_back(*value);
        }
    }
    if (items.index.empty()) return fail(Code::file_truncated, std::ssize(text), std::ssize(text) + 1);
    return items;
}

enum Column { user, context, split, count, chosen, candidates, column_count };

/// Reads the table of queries, line by line.
class QueryTable {
public:
    QueryTable(std::string_view text, const Items& items) : lines_(text), items_(items) {}

    Result<RankingData> read() {
        if (!read_header()) return tl::unexpected(error_);
        while (lines_.next()) {
            if (!read_line()) return tl::unexpected(error_);
        }
        if (by_user_.empty()) return fail(Code::file_truncated, lines_.number(), lines_.number() + 1);
        for (UserQueries& u : by_user_) {
            if (u.train.empty()) return fail(Code::no_queries, u.name);
            data_.users.push_back({u.name, data_.queries.size(), u.train.size(), u.test.size()});
            data_.queries.insert(data_.queries.end(), u.train.begin(), u.train.end());
            data_.queries.insert(data_.queries.end(), u.test.begin(), u.test.end());
        }
        return std::move(data_);
    }

private:
    struct UserQueries {
        std::int64_t name;
        std::vector<RankingQuery> train, test;
    };

    bool refuse(Code code, std::int64_t first, std::int64_t second = 0) {
        error_ = {code, first, second};
        return false;
    }

    bool read_header() {
        static constexpr std::array<std::string_view, column_count> names{"user_id", "query_genre", "split",
                                                                          "n",       "chosen",      "candidates"};
        lines_.next();
        split_fields(lines_.line(), ',', fields_);
        width_ = fields_.size();
        for (std::size_t k = 0; k < names.size(); ++k) {
            const auto found = std::find(fields_.begin(), fields_.end(), names[k]);
            if (found == fields_.end()) return refuse(Code::column_missing, static_cast<std::int64_t>(k));
            place_[k] = static_cast<std::size_t>(found - fields_.begin());
        }
        return true;
    }

    bool read_line() {
        split_fields(lines_.line(), ',', fields_);
        const std::int64_t line = lines_.number();
        if (fields_.size() != width_) return refuse(Code::column_count, line, std::ssize(fields_));
        std::array<std::int64_t, column_count> number{};
        for (Column column : {user, count, chosen}) {
            const auto value = parse_integer(fields_[place_[column]]);
            if (!value) return refuse(Code::bad_number, line, static_cast<std::int64_t>(place_[column]) + 1);
            number[column] = *value;
        }
        const auto asked = items_.context_index.find(std::string(fields_[place_[context]]));
        if (asked == items_.context_index.end()) return refuse(Code::unknown_context, line);
        const std::string_view part = fields_[place_[split]];
        if (part != "train" && part != "test")
            return refuse(Code::file_syntax, line, part.data() - lines_.line().data() + 1);

        RankingQuery query;
        query.context = asked->second;
        query.first_candidate = static_cast<std::uint32_t>(data_.candidates.size());
        split_fields(fields_[place_[candidates]], ' ', names_);
        const std::int64_t found = std::ssize(names_);
        if (found != number[count] || found < 2 || found > ranking_candidate_limit)
            return refuse(Code::candidate_count, line, found);
        if (number[chosen] < 0 || number[chosen] >= found)
            return refuse(Code::chosen_outside, line, number[chosen]);
        query.candidates = static_cast<std::uint16_t>(found);
        query.chosen = static_cast<std::uint16_t>(number[chosen]);
        for (std::string_view name : names_) {
            const auto item = parse_integer(name);
            if (!item) return refuse(Code::bad_number, line, static_cast<std::int64_t>(place_[candidates]) + 1);
            const auto at = items_.index.find(*item);
            if (at == items_.index.end()) return refuse(Code::unknown_item, line, *item);
            data_.candidates.push_back(at->second);
        }

        const auto [at, added] = user_index_.emplace(number[user], by_user_.size());
        if (added) by_user_.push_back({number[user], {}, {}});
        query.user = static_cast<std::int32_t>(at->second);
        UserQueries& own = by_user_[at->second];
        (part == "train" ? own.train : own.test).push_back(query);
        return true;
    }

    Lines lines_;
    Error error_;
    const Items& items_;
    std::vector<std::string_view> fields_, names_;
    std::array<std::size_t, column_count> place_{};
    std::size_t width_ = 0;
    RankingData data_;
    std::vector<UserQueries> by_user_;
    std::unordered_map<std::int64_t, std::size_t> user_index_;
};

}  // namespace

FileResult<RankingData> load_ranking_data(const std::string& items_path, const std::string& queries_path) {
    FileResult<Items> items = load_file(items_path, parse_items);
    if (!items) return tl::unexpected(items.error());
    FileResult<RankingData> data =
        load_file(queries_path, [&](std::string_view text) { return QueryTable(text, *items).read(); });
    if (!data) return data;
    data->features = items->features;
    data->contexts = static_cast<int>(items->context_index.size());
    data->items = std::move(items->values);
    return data;
}

FileResult<RankingData> load_ranking_folder(const std::string& folder) {
    return load_ranking_data(plain_or_packed(folder + "/items.csv"), plain_or_packed(folder + "/queries.csv"));
}

}  // namespace dunlin
