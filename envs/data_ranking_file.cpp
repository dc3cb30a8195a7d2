// SPDX-License-Identifier: Apache-2.0
#include "envs/data_columns.hpp"
#include "envs/data_csv.hpp"
#include "envs/data_ranking.hpp"

#include <algorithm>
#include <array>
#include <unordered_map>

namespace dunlin {
namespace {

struct Items {
    std::vector<double> cells;
    std::vector<std::string> names;                               ///< of the features
    std::unordered_map<std::int64_t, std::uint32_t> index;        ///< by number
    std::unordered_map<std::string, std::int32_t> context_index;  ///< by name
};

/// "field 3 ('chosen')", of a record.
std::string field_text(std::size_t place, std::string_view column) {
    return sentence("field ", place + 1, " (", Quoted(column), ")");
}

std::vector<std::string> owned(const std::vector<std::string_view>& fields) {
    return {fields.begin(), fields.end()};
}

tl::unexpected<FileFailure> wrong_count(const CsvReader& csv, std::size_t expected) {
    const std::size_t found = csv.fields().size();
    return refuse_line(
        Code::column_count, csv.line(), static_cast<std::int64_t>(found), quoted_list(owned(csv.fields())),
        found == 1 ? ": 1 field" : ": " + std::to_string(found) + " fields", "; the header has ", expected);
}

FileResult<Items> parse_items(std::string_view text) {
    Items items;
    CsvReader csv(text);
    auto more = csv.next();
    if (!more) return tl::unexpected(more.error());
    if (!*more) return refuse_text({Code::file_truncated, 0, 1}, "an empty file; expected a header line");
    const std::vector<std::string> header = owned(csv.fields());
    const std::size_t width = header.size();
    if (width < 2)
        return refuse_line(Code::column_missing, csv.line(), 0, "the header ", Quoted(header[0]),
                           " has one column; expected the item's number, then features, separated by commas");
    items.names.assign(header.begin() + 1, header.end());
    for (const std::string& name : header) {
        if (!same_but_case(std::string_view(name).substr(0, 2), "g_")) continue;
        items.context_index.emplace(name.substr(2), static_cast<std::int32_t>(items.context_index.size()));
    }
    if (items.context_index.empty())
        return refuse_line(Code::column_missing, csv.line(), 1, "the header ", quoted_list(header),
                           " has no column g_NAME; expected one for each genre that queries ask for");
    for (;;) {
        more = csv.next();
        if (!more) return tl::unexpected(more.error());
        if (!*more) break;
        const auto& fields = csv.fields();
        if (fields.size() != width) return wrong_count(csv, width);
        const auto number = parse_integer(fields[0]);
        if (!number)
            return refuse_line(Code::bad_number, csv.line(), 1, Quoted(fields[0]), " stands in ",
                               field_text(0, header[0]), "; expected the item's number, a whole one");
        const auto row = static_cast<std::uint32_t>(items.index.size());
        if (!items.index.emplace(*number, row).second)
            return refuse_line(Code::repeated_item, csv.line(), *number, "item ", *number,
                               " stands there again; expected each item once");
        if (items.cells.size() + width > data_cell_limit)
            return refuse_line(Code::file_too_large, csv.line(), static_cast<std::int64_t>(data_cell_limit),
                               "more than ", data_cell_limit, " numbers");
        for (std::size_t f = 1; f < width; ++f) {
            const auto value = parse_number(fields[f]);
            if (!value)
                return refuse_line(Code::bad_number, csv.line(), static_cast<std::int64_t>(f) + 1,
                                   Quoted(fields[f]), " stands in ", field_text(f, header[f]),
                                   "; expected a number");
            items.cells.push_back(*value);
        }
    }
    if (items.index.empty())
        return refuse_line(Code::file_truncated, csv.line(), 1, "the header is all; expected a line for each item");
    return items;
}

enum Column { user, context, split, count, chosen, candidates, column_count };
constexpr std::array<std::string_view, column_count> column_names{"user_id", "query_genre", "split",
                                                                  "n",       "chosen",      "candidates"};

/// Reads the table of queries, record by record.
class QueryTable {
public:
    QueryTable(std::string_view text, const Items& items) : csv_(text), items_(items) {}

    FileResult<RankingData> read() {
        if (auto header = read_header(); !header) return tl::unexpected(header.error());
        for (;;) {
            const auto more = csv_.next();
            if (!more) return tl::unexpected(more.error());
            if (!*more) break;
            if (auto done = read_record(); !done) return tl::unexpected(done.error());
        }
        if (by_user_.empty())
            return refuse_line(Code::file_truncated, csv_.line(), 1,
                               "the header is all; expected a line for each query");
        std::int64_t untrained = 0, left_out = 0;
        for (UserQueries& u : by_user_) {
            if (u.train.empty()) {
                ++untrained;
                left_out += std::ssize(u.test);
                continue;
            }
            const auto place = static_cast<std::int32_t>(data_.users.size());
            data_.users.push_back({u.name, data_.queries.size(), u.train.size(), u.test.size()});
            for (const auto* part : {&u.train, &u.test}) {
                for (const RankingQuery& query : *part) data_.queries.emplace_back(query).user = place;
            }
        }
        if (data_.users.empty())
            return refuse_text({Code::no_queries, by_user_.front().name}, "no query to train on, neither of user ",
                               by_user_.front().name, " nor of another: column split never says train");
        if (untrained > 0)
            data_.notes.push_back({"users_without_training", untrained,
                                   sentence(untrained, untrained == 1 ? " user has" : " users have",
                                            " no query to train on and left out, with ", left_out,
                                            left_out == 1 ? " query" : " queries", " to test on")});
        return std::move(data_);
    }

private:
    struct UserQueries {
        std::int64_t name;
        std::vector<RankingQuery> train, test;
    };

    /// About a field of the record at hand: what stands there and what is expected.
    template <class... Parts>
    auto refuse(Code code, std::int64_t second, Column column, const Parts&... expected) {
        return refuse_line(code, csv_.line(), second, Quoted(csv_.fields()[place_[column]]), " stands in ",
                           field_text(place_[column], column_names[column]), "; expected ", expected...);
    }

    FileResult<void> read_header() {
        const auto more = csv_.next();
        if (!more) return tl::unexpected(more.error());
        if (!*more) return refuse_text({Code::file_truncated, 0, 1}, "an empty file; expected a header line");
        width_ = csv_.fields().size();
        for (std::size_t k = 0; k < column_names.size(); ++k) {
            const std::ptrdiff_t found = find_column(csv_.fields(), column_names[k]);
            if (found < 0)
                return refuse_line(Code::column_missing, csv_.line(), static_cast<std::int64_t>(k), "the header ",
                                   quoted_list(owned(csv_.fields())), " has no column ", column_names[k],
                                   "; expected user_id, query_genre, split, n, chosen and candidates, separated by "
                                   "commas, in any order");
            place_[k] = static_cast<std::size_t>(found);
        }
        return {};
    }

    FileResult<void> read_record() {
        const auto& fields = csv_.fields();
        if (fields.size() != width_) return wrong_count(csv_, width_);
        std::array<std::int64_t, column_count> number{};
        for (Column column : {user, count, chosen}) {
            const auto value = parse_integer(fields[place_[column]]);
            if (!value)
                return refuse(Code::bad_number, static_cast<std::int64_t>(place_[column]) + 1, column,
                              "a whole number");
            number[column] = *value;
        }
        const auto asked = items_.context_index.find(std::string(fields[place_[context]]));
        if (asked == items_.context_index.end())
            return refuse(Code::unknown_context, 0, context, "a NAME of the columns g_NAME of items.csv");
        const std::string_view part = fields[place_[split]];
        const bool train = same_but_case(part, "train");
        if (!train && !same_but_case(part, "test"))
            return refuse(Code::file_syntax, static_cast<std::int64_t>(place_[split]) + 1, split, "train or test");

        RankingQuery query;
        query.context = asked->second;
        query.first_candidate = static_cast<std::uint32_t>(data_.candidates.size());
        split_words(fields[place_[candidates]], names_);
        const std::int64_t found = std::ssize(names_);
        if (found != number[count] || found < 2 || found > ranking_candidate_limit)
            return refuse(Code::candidate_count, found, candidates, number[count],
                          " item numbers, as column n says, ", "and from 2 to ", ranking_candidate_limit,
                          "; there are ", found);
        if (number[chosen] < 0 || number[chosen] >= found)
            return refuse(Code::chosen_outside, number[chosen], chosen, "a place from 0 to ", found - 1,
                          " among the candidates");
        query.candidates = static_cast<std::uint16_t>(found);
        query.chosen = static_cast<std::uint16_t>(number[chosen]);
        for (std::string_view name : names_) {
            const auto item = parse_integer(name);
            if (!item)
                return refuse(Code::bad_number, static_cast<std::int64_t>(place_[candidates]) + 1, candidates,
                              "item numbers separated by blanks, not ", Quoted(name));
            const auto at = items_.index.find(*item);
            if (at == items_.index.end())
                return refuse(Code::unknown_item, *item, candidates, "items of items.csv, which lacks ", *item);
            const auto first = data_.candidates.begin() + query.first_candidate;
            if (std::find(first, data_.candidates.end(), at->second) != data_.candidates.end())
                return refuse(Code::repeated_item, *item, candidates, "each item once, and ", *item,
                              " stands there again");
            data_.candidates.push_back(at->second);
        }

        const auto [at, added] = user_index_.emplace(number[user], by_user_.size());
        if (added) by_user_.push_back({number[user], {}, {}});
        UserQueries& own = by_user_[at->second];
        (train ? own.train : own.test).push_back(query);
        return {};
    }

    CsvReader csv_;
    const Items& items_;
    std::vector<std::string_view> names_;
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
    data->features = static_cast<int>(items->names.size());
    data->contexts = static_cast<int>(items->context_index.size());
    data->items = to_floats(items->cells, items->names.size(), data->origin);
    data->feature_names = std::move(items->names);
    return data;
}

FileResult<RankingData> load_ranking_folder(const std::string& folder) {
    return load_ranking_data(plain_or_packed(folder + "/items.csv"), plain_or_packed(folder + "/queries.csv"));
}

}  // namespace dunlin
