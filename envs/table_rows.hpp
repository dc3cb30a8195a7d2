// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "envs/table_header.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace dunlin {

/// Names, numbered as they come and put in order at the end.
class Names {
public:
    std::int32_t number(const std::string& name);
    std::size_t size() const { return names_.size(); }
    /// The names in order; `numbers` become their places in it.
    template <class Number>
    std::vector<std::string> sort(std::vector<Number>& numbers) const {
        const std::vector<std::int32_t> place = places();
        for (Number& number : numbers) number = static_cast<Number>(place[static_cast<std::size_t>(number)]);
        return sorted();
    }

private:
    std::vector<std::string> sorted() const;
    std::vector<std::int32_t> places() const;

    std::vector<std::string> names_;
    std::unordered_map<std::string, std::int32_t> index_;
};

/// One value of a row.
struct TableValue {
    const std::string& text;
    bool missing = false;
};

/// Makes a table of the rows of a text, value by value: begin, take for each column that is not ignored, end.
/// Errors of all: parse_arff's, about the line that `begin` was told.
class TableRows {
public:
    /// `how_missing` says in messages what stands for a missing value: ", or '?' where it is missing". The header
    /// and the choice, whose columns were laid out, must outlive it.
    TableRows(const TableHeader& header, const TableChoice& choice, std::string_view how_missing = {});

    void begin(std::int64_t line);
    FileResult<void> take(std::size_t column, const TableValue& value);
    /// What a sparse row of ARFF says by leaving a date out.
    void leave_out_date(std::size_t column) { row_[header_.attributes[column].first] = 0.0; }
    /// Leaves out and counts a row without a label, or without a user where rows have one.
    FileResult<void> end();

    std::size_t rows() const { return table_.labels.size(); }
    bool left_out_any() const { return unlabelled_ + nobodys_ > 0; }
    /// `header_notes` come first.
    DataTable finish(DataNotes header_notes);

private:
    FileResult<double> number_of(std::size_t column, const TableValue& value) const;
    FileResult<void> take_label(std::size_t column, const std::string& name, std::size_t place);
    template <class... Parts>
    tl::unexpected<FileFailure> refuse(Code code, std::size_t column, std::string_view text,
                                       const Parts&... expected) const {
        return refuse_line(code, line_, static_cast<std::int64_t>(column) + 1, Quoted(text), " stands in column ",
                           column + 1, " (", Quoted(header_.attributes[column].name), "); expected ", expected...);
    }

    const TableHeader& header_;
    std::string how_missing_;
    const std::vector<std::string>* listed_ = nullptr;      ///< the classes, where they are listed
    std::unordered_map<std::string, std::size_t> classes_;  ///< of the choice
    bool has_users_ = false;
    DataTable table_;
    std::vector<double> cells_;
    Names labels_, users_;
    std::int64_t unlabelled_ = 0, nobodys_ = 0;
    // of the row at hand
    std::int64_t line_ = 0;
    std::vector<double> row_;
    std::int32_t row_label_ = -1, row_user_ = -1;
};

}  // namespace dunlin
