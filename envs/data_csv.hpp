// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "envs/data_file.hpp"

#include <deque>
#include <string>
#include <string_view>
#include <vector>

namespace dunlin {

/// Comma-separated values (RFC 4180), record by record: fields in double quotes may hold separators, line ends and
/// doubled quotes. Blanks around a field go, blank lines are skipped, a byte order mark is ignored.
class CsvReader {
public:
    /// The text must outlive it. `separator` stands between fields: a comma, a semicolon or a tab.
    explicit CsvReader(std::string_view text, char separator = ',')
        : rest_(without_mark(text)), separator_(separator) {}

    /// The next record; false at the end. Errors, with a line: file_syntax (a quote that is not closed, text
    /// behind a closing one).
    FileResult<bool> next();
    /// Valid until the next call.
    const std::vector<std::string_view>& fields() const { return fields_; }
    std::int64_t line() const { return line_; }  ///< where the record begins, from 1

private:
    FileResult<bool> take_field();
    FileResult<bool> take_quoted();

    /// Where the field ends that begins here, if it has no quotes.
    std::size_t field_end() const;

    std::string_view rest_;
    char separator_;
    std::vector<std::string_view> fields_;
    std::deque<std::string> unquoted_;  ///< of this record: fields that are not in the text as they are
    std::int64_t line_ = 0, next_line_ = 1;
};

/// The place of the column that is called so, whatever the case of its letters, or -1.
std::ptrdiff_t find_column(const std::vector<std::string_view>& header, std::string_view name);

}  // namespace dunlin
