// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace dunlin::report {

/// A table for people: the same value prints on a terminal and stands in a report.
struct Table {
    std::vector<std::string> header;
    std::vector<std::vector<std::string>> rows;
    std::string caption{};
};

/// Whether every filled cell of a column looks like a number ("0.95", "1.2M", "-3 ± 1", "–"): it stands
/// right-aligned.
bool is_numeric_column(const Table& table, std::size_t column);

/// The table as text with aligned columns and a rule below the header, each line ended.
std::string text_table(const Table& table);

/// The table as CSV (RFC 4180).
std::string csv_table(const Table& table);

/// One field of CSV, in quotes where it must be.
std::string csv_field(std::string_view text);

}  // namespace dunlin::report
