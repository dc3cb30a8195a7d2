// SPDX-License-Identifier: Apache-2.0
// The ARFF format (Weka, "ARFF (stable version)" and "Sparse ARFF files"): a header, then a row a line, dense
// "1,2,red" or sparse "{0 1, 2 red}", where what is left out is 0 or the first value of the list.
#include "envs/arff_header.hpp"
#include "envs/arff_text.hpp"
#include "envs/data_columns.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace dunlin {
namespace {

using Kind = ArffAttribute::Kind;
using Role = ArffAttribute::Role;

constexpr double missing = std::numeric_limits<double>::quiet_NaN();

/// Numbers before names, numbers by size: users 2, 10, anna.
bool comes_before(const std::string& a, const std::string& b) {
    const auto left = parse_integer(a), right = parse_integer(b);
    if (left && right && *left != *right) return *left < *right;
    if (left.has_value() != right.has_value()) return left.has_value();
    return a < b;
}

/// Names, numbered as they come and put in order at the end.
class Names {
public:
    std::int32_t number(const std::string& name) {
        const auto [at, is_new] = index_.emplace(name, static_cast<std::int32_t>(names_.size()));
        if (is_new) names_.push_back(name);
        return at->second;
    }
    std::size_t size() const { return names_.size(); }
    /// The names in order; `numbers` become their places in it.
    template <class Number>
    std::vector<std::string> sort(std::vector<Number>& numbers) const {
        std::vector<std::string> sorted = names_;
        std::sort(sorted.begin(), sorted.end(), comes_before);
        std::vector<std::size_t> place(names_.size());
        for (std::size_t k = 0; k < sorted.size(); ++k) place[static_cast<std::size_t>(index_.at(sorted[k]))] = k;
        for (Number& number : numbers) number = static_cast<Number>(place[static_cast<std::size_t>(number)]);
        return sorted;
    }

private:
    std::vector<std::string> names_;
    std::unordered_map<std::string, std::int32_t> index_;
};

class ArffReader {
public:
    explicit ArffReader(std::string_view text) : lines_(text) {}

    FileResult<DataTable> read(const ArffColumns& columns) {
        FileResult<ArffHeader> header = ArffHeader::read(lines_, columns);
        if (!header) return tl::unexpected(header.error());
        header_ = *std::move(header);
        for (const ArffAttribute& attribute : header_.attributes) {
            if (attribute.role == Role::label)
                listed_ = attribute.kind == Kind::nominal ? &attribute.values : nullptr;
            has_users_ = has_users_ || attribute.role == Role::user;
        }
        const std::int64_t data_line = lines_.number();
        while (lines_.next()) {
            std::string_view line = trimmed(lines_.line());
            if (ArffScanner(line).at_end()) continue;
            if (auto row = read_row(line); !row) return tl::unexpected(row.error());
        }
        if (table_.labels.empty())
            return refuse_text({Code::file_truncated, lines_.number(), data_line},
                               "no row with a label behind @data (line ", data_line, " of ", lines_.number(),
                               unlabelled_ + nobodys_ > 0 ? "; rows have '?' for the class or the user" : "",
                               "); expected one at least");
        return finish();
    }

private:
    FileResult<void> read_row(std::string_view line) {
        row_.assign(header_.features, 0.0);
        row_label_ = row_user_ = -1;
        if (auto read = line.front() == '{' ? read_sparse(line) : read_dense(line); !read) return read;
        if (row_label_ < 0) {
            ++unlabelled_;
            return {};
        }
        if (has_users_ && row_user_ < 0) {
            ++nobodys_;
            return {};
        }
        if (cells_.size() + row_.size() > data_cell_limit)
            return refuse_line(Code::file_too_large, lines_.number(), static_cast<std::int64_t>(data_cell_limit),
                               "more than ", data_cell_limit, " numbers; use fewer rows, or data.ignored");
        cells_.insert(cells_.end(), row_.begin(), row_.end());
        table_.labels.push_back(static_cast<std::uint8_t>(row_label_));
        if (has_users_) table_.users.push_back(row_user_);
        return {};
    }

    FileResult<void> read_dense(std::string_view line) {
        if (line.ends_with(';')) line.remove_suffix(1);
        const std::size_t expected = header_.attributes.size();
        std::size_t count = 0;
        if (const auto wrong = split_arff_row(line, expected, values_, count))
            return refuse_line(Code::file_syntax, lines_.number(), static_cast<std::int64_t>(wrong->value),
                               "value ", wrong->value, ": ", wrong->text);
        if (count == expected + 1 && values_[expected].text.starts_with('{')) {
            ++weights_;
        } else if (count != expected && !(count == expected + 1 && values_[expected].text.empty())) {
            return refuse_line(Code::column_count, lines_.number(), static_cast<std::int64_t>(count), Quoted(line),
                               " has ", count, count == 1 ? " value" : " values", "; the header declares ",
                               expected, " columns");
        }
        for (std::size_t k = 0; k < expected; ++k) {
            if (auto taken = take(k, values_[k]); !taken) return taken;
        }
        return {};
    }

    FileResult<void> read_sparse(std::string_view line) {
        const auto wrong = [&](std::string_view rest) {
            return refuse_line(Code::file_syntax, lines_.number(), line.size() - rest.size() + 1,
                               "a sparse row goes on with ", Quoted(rest), "; expected {INDEX VALUE, INDEX VALUE}");
        };
        ArffScanner scanner(line.substr(1));
        const std::size_t columns = header_.attributes.size();
        given_.assign(columns, false);
        ArffValue index, value;
        for (bool more = !scanner.take('}'); more;) {
            const std::string_view here = scanner.rest();
            if (!scanner.value(" \t,}", index) || scanner.at_end() || !scanner.value(",}", value))
                return wrong(here);
            const auto k = parse_integer(index.text);
            if (!k || *k < 0 || *k >= static_cast<std::int64_t>(columns))
                return refuse_line(Code::file_syntax, lines_.number(), 1, Quoted(index.text),
                                   " is no column; a sparse row names columns from 0 to ", columns - 1);
            const auto column = static_cast<std::size_t>(*k);
            if (given_[column])
                return refuse_line(Code::file_syntax, lines_.number(), *k + 1, "column ", *k,
                                   " stands there twice");
            given_[column] = true;
            if (auto taken = take(column, value); !taken) return taken;
            const std::string_view behind = scanner.rest();
            more = scanner.take(',');
            if (!more && !scanner.take('}')) return wrong(behind);
        }
        if (scanner.take(',') && scanner.take('{'))
            ++weights_;
        else if (!scanner.at_end())
            return wrong(scanner.rest());
        for (std::size_t k = 0; k < columns; ++k) {
            const ArffAttribute& attribute = header_.attributes[k];
            if (given_[k] || attribute.role == Role::ignored) continue;
            if (attribute.kind == Kind::nominal && !attribute.values.empty()) {
                value = {attribute.values.front(), true};
            } else if (attribute.kind == Kind::numeric) {
                value = {"0", false};
            } else if (attribute.kind == Kind::date) {
                row_[attribute.first] = 0.0;
                continue;
            } else {
                return refuse_line(Code::file_syntax, lines_.number(), static_cast<std::int64_t>(k) + 1,
                                   "a sparse row without column ", k, " (", Quoted(attribute.name),
                                   "), which is text and so has no value to leave out");
            }
            if (auto taken = take(k, value); !taken) return taken;
        }
        return {};
    }

    /// One value of the row at hand.
    FileResult<void> take(std::size_t k, const ArffValue& value) {
        const ArffAttribute& attribute = header_.attributes[k];
        if (attribute.role == Role::ignored) return {};
        const auto refuse = [&](Code code, const auto&... expected) {
            return refuse_line(code, lines_.number(), static_cast<std::int64_t>(k) + 1, Quoted(value.text),
                               " stands in column ", k + 1, " (", Quoted(attribute.name), "); expected ",
                               expected...);
        };
        if (value.text.empty() && !value.quoted)
            return refuse(Code::bad_number, "a value, or '?' where it is missing");
        std::size_t place = 0;
        if (attribute.kind == Kind::nominal && !value.missing()) {
            const auto at = attribute.places.find(value.text);
            if (at == attribute.places.end())
                return refuse(attribute.role == Role::label ? Code::label_out_of_range : Code::file_syntax,
                              "one of its list (line ", attribute.line, "): ", quoted_list(attribute.values));
            place = at->second;
        }
        double number = missing;
        if (attribute.kind == Kind::numeric && !value.missing()) {
            const auto parsed = parse_number(value.text);
            if (!parsed) return refuse(Code::bad_number, "a number, or '?' where it is missing");
            number = *parsed;
        }
        if (attribute.role == Role::feature) {
            if (attribute.kind == Kind::date && !value.missing()) {
                const auto seconds = parse_date(value.text, attribute.format);
                if (!seconds)
                    return refuse(
                        Code::bad_number, "a date as ",
                        attribute.format.empty() ? Quoted("yyyy-MM-dd'T'HH:mm:ss") : Quoted(attribute.format));
                number = *seconds;
            }
            double* cells = row_.data() + attribute.first;
            if (attribute.kind != Kind::nominal)
                *cells = number;
            else if (value.missing())
                std::fill_n(cells, attribute.columns(), missing);
            else
                cells[place] = 1.0;
            return {};
        }
        if (value.missing()) return {};
        const bool whole =
            attribute.kind == Kind::numeric && std::abs(number) < 1e15 && number == std::floor(number);
        const std::string name = whole ? std::to_string(static_cast<std::int64_t>(number)) : value.text;
        if (attribute.role == Role::user) {
            row_user_ = users_.number(name);
            return {};
        }
        row_label_ = listed_ != nullptr ? static_cast<std::int32_t>(place) : labels_.number(name);
        if (row_label_ > 255)
            return refuse(Code::label_out_of_range,
                          "at most 256 classes; is it a number to predict? data.label names the column of classes");
        return {};
    }

    FileResult<DataTable> finish() {
        table_.features = static_cast<int>(header_.features);
        table_.values = to_floats(cells_, header_.features, table_.origin);
        table_.class_names = listed_ != nullptr ? *listed_ : labels_.sort(table_.labels);
        table_.classes = static_cast<int>(table_.class_names.size());
        table_.user_names = users_.sort(table_.users);
        for (const ArffAttribute& attribute : header_.attributes) {
            if (attribute.role != Role::feature) continue;
            if (attribute.kind != Kind::nominal) table_.feature_names.push_back(attribute.name);
            for (const std::string& value : attribute.values)
                table_.feature_names.push_back(attribute.name + "=" + value);
        }
        table_.notes = std::move(header_.notes);
        const auto note = [&](std::string_view key, std::int64_t count, std::string_view what) {
            if (count > 0)
                table_.notes.push_back(
                    {std::string(key), count, sentence(count, count == 1 ? " row" : " rows", what)});
        };
        note("rows_without_label", unlabelled_, " without a label left out");
        note("rows_without_user", nobodys_, " without a user left out");
        note("instance_weights", weights_, " had an instance weight, which is not used");
        return std::move(table_);
    }

    Lines lines_;
    ArffHeader header_;
    const std::vector<std::string>* listed_ = nullptr;  ///< the classes, where the header names them
    bool has_users_ = false;
    DataTable table_;
    std::vector<double> cells_;
    Names labels_, users_;
    std::int64_t unlabelled_ = 0, nobodys_ = 0, weights_ = 0;
    // of the row at hand
    std::vector<ArffValue> values_;
    std::vector<bool> given_;
    std::vector<double> row_;
    std::int32_t row_label_ = -1, row_user_ = -1;
};

}  // namespace

FileResult<DataTable> parse_arff(std::string_view text, const ArffColumns& columns) {
    return ArffReader(text).read(columns);
}

FileResult<DataTable> load_arff(const std::string& path, const ArffColumns& columns) {
    return load_file(path, [&](std::string_view text) { return parse_arff(text, columns); });
}

bool looks_like_arff(std::string_view text) {
    for (Lines lines(text); lines.next();) {
        ArffScanner scanner(lines.line());
        ArffValue word;
        if (scanner.at_end()) continue;
        return scanner.value(" \t", word) && same_but_case(word.text, "@relation");
    }
    return false;
}

}  // namespace dunlin
