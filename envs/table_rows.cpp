// SPDX-License-Identifier: Apache-2.0
#include "envs/table_rows.hpp"

#include "envs/arff_text.hpp"
#include "envs/data_columns.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace dunlin {
namespace {

using Kind = TableAttribute::Kind;
using Role = TableAttribute::Role;

constexpr double missing = std::numeric_limits<double>::quiet_NaN();

/// 1.0 and +1 are the label 1.
std::string name_of(const TableAttribute& attribute, const std::string& text, double number) {
    const bool whole = attribute.kind == Kind::numeric && std::abs(number) < 1e15 && number == std::floor(number);
    return whole ? std::to_string(static_cast<std::int64_t>(number)) : text;
}

}  // namespace

bool comes_before(const std::string& a, const std::string& b) {
    const auto left = parse_integer(a), right = parse_integer(b);
    if (left && right && *left != *right) return *left < *right;
    if (left.has_value() != right.has_value()) return left.has_value();
    return a < b;
}

std::int32_t Names::number(const std::string& name) {
    const auto [at, is_new] = index_.emplace(name, static_cast<std::int32_t>(names_.size()));
    if (is_new) names_.push_back(name);
    return at->second;
}

std::vector<std::string> Names::sorted() const {
    std::vector<std::string> sorted = names_;
    std::sort(sorted.begin(), sorted.end(), comes_before);
    return sorted;
}

std::vector<std::int32_t> Names::places() const {
    const std::vector<std::string> in_order = sorted();
    std::vector<std::int32_t> place(names_.size());
    for (std::size_t k = 0; k < in_order.size(); ++k)
        place[static_cast<std::size_t>(index_.at(in_order[k]))] = static_cast<std::int32_t>(k);
    return place;
}

TableRows::TableRows(const TableHeader& header, const TableChoice& choice, std::string_view how_missing)
    : header_(header), how_missing_(how_missing) {
    for (const TableAttribute& attribute : header.attributes) {
        if (attribute.role == Role::label) listed_ = attribute.kind == Kind::nominal ? &attribute.values : nullptr;
        has_users_ = has_users_ || attribute.role == Role::user;
    }
    if (choice.classes.empty()) return;
    listed_ = &choice.classes;
    for (std::size_t k = 0; k < choice.classes.size(); ++k) classes_.emplace(choice.classes[k], k);
}

void TableRows::begin(std::int64_t line) {
    line_ = line;
    row_.assign(header_.features, 0.0);
    row_label_ = row_user_ = -1;
}

FileResult<void> TableRows::take(std::size_t column, const TableValue& value) {
    const TableAttribute& attribute = header_.attributes[column];
    if (attribute.role == Role::ignored) return {};
    std::size_t place = 0;
    if (attribute.kind == Kind::nominal && !value.missing) {
        const auto at = attribute.places.find(value.text);
        if (at == attribute.places.end())
            return refuse(attribute.role == Role::label ? Code::label_out_of_range : Code::file_syntax, column,
                          value.text, "one of its list (line ", attribute.line,
                          "): ", quoted_list(attribute.values));
        place = at->second;
    }
    const FileResult<double> number = number_of(column, value);
    if (!number) return tl::unexpected(number.error());
    if (attribute.role == Role::feature) {
        double* cells = row_.data() + attribute.first;
        if (attribute.kind != Kind::nominal)
            *cells = *number;
        else if (value.missing)
            std::fill_n(cells, attribute.columns(), missing);
        else
            cells[place] = 1.0;
        return {};
    }
    if (value.missing) return {};
    const std::string name = name_of(attribute, value.text, *number);
    if (attribute.role == Role::label) return take_label(column, name, place);
    row_user_ = users_.number(name);
    return {};
}

/// Of a column that has numbers; else NaN.
FileResult<double> TableRows::number_of(std::size_t column, const TableValue& value) const {
    const TableAttribute& attribute = header_.attributes[column];
    if (value.missing) return missing;
    if (attribute.kind == Kind::numeric) {
        const auto parsed = parse_number(value.text);
        if (!parsed) return refuse(Code::bad_number, column, value.text, "a number", how_missing_);
        return *parsed;
    }
    if (attribute.kind == Kind::date && attribute.role == Role::feature) {
        const auto seconds = parse_date(value.text, attribute.format);
        if (!seconds)
            return refuse(Code::bad_number, column, value.text, "a date as ",
                          attribute.format.empty() ? Quoted("yyyy-MM-dd'T'HH:mm:ss") : Quoted(attribute.format));
        return *seconds;
    }
    return missing;
}

FileResult<void> TableRows::take_label(std::size_t column, const std::string& name, std::size_t place) {
    if (!classes_.empty()) {
        const auto at = classes_.find(name);
        if (at == classes_.end())
            return refuse(Code::label_out_of_range, column, name, "one of data.classes: ", quoted_list(*listed_));
        place = at->second;
    }
    row_label_ = listed_ != nullptr ? static_cast<std::int32_t>(place) : labels_.number(name);
    if (row_label_ > 255)
        return refuse(Code::label_out_of_range, column, name,
                      "at most 256 classes; is it a number to predict? data.label names the column of classes");
    return {};
}

FileResult<void> TableRows::end() {
    if (row_label_ < 0) {
        ++unlabelled_;
        return {};
    }
    if (has_users_ && row_user_ < 0) {
        ++nobodys_;
        return {};
    }
    if (cells_.size() + row_.size() > data_cell_limit)
        return refuse_line(Code::file_too_large, line_, static_cast<std::int64_t>(data_cell_limit), "more than ",
                           data_cell_limit, " numbers; use fewer rows, or data.ignored");
    cells_.insert(cells_.end(), row_.begin(), row_.end());
    table_.labels.push_back(static_cast<std::uint8_t>(row_label_));
    if (has_users_) table_.users.push_back(row_user_);
    return {};
}

DataTable TableRows::finish(DataNotes header_notes) {
    table_.features = static_cast<int>(header_.features);
    table_.values = to_floats(cells_, header_.features, table_.origin);
    table_.class_names = listed_ != nullptr ? *listed_ : labels_.sort(table_.labels);
    table_.classes = static_cast<int>(table_.class_names.size());
    table_.user_names = users_.sort(table_.users);
    for (const std::size_t k : header_.order) {
        const TableAttribute& attribute = header_.attributes[k];
        if (attribute.kind != Kind::nominal) table_.feature_names.push_back(attribute.name);
        for (const std::string& value : attribute.values)
            table_.feature_names.push_back(attribute.name + "=" + value);
    }
    table_.notes = std::move(header_notes);
    const auto note = [&](std::string_view key, std::int64_t count, std::string_view what) {
        if (count > 0)
            table_.notes.push_back({std::string(key), count, sentence(count, count == 1 ? " row" : " rows", what)});
    };
    note("rows_without_label", unlabelled_, " without a label left out");
    note("rows_without_user", nobodys_, " without a user left out");
    return std::move(table_);
}

}  // namespace dunlin
