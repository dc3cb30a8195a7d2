// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dunlin {

/// A value of an ARFF file as it is meant, without quotes and escapes.
struct ArffValue {
    std::string text;
    bool quoted = false;
    bool missing() const { return text == "?" && !quoted; }
};

/// Reads one line of an ARFF file value by value. A quoted value ('...' or "...") may hold separators, '%' and,
/// with backslashes, quotes. An unquoted one ends at any of `stops`, at '%', which starts a comment, or at the
/// line's end, and blanks around it go.
class ArffScanner {
public:
    explicit ArffScanner(std::string_view line) : rest_(line) {}

    /// Nothing is left but blanks and a comment.
    bool at_end();
    /// Takes the character if it is the next one.
    bool take(char c);
    /// Takes a value; false where a quote is not closed.
    bool value(std::string_view stops, ArffValue& out);
    std::string_view rest() const { return rest_; }

private:
    std::string_view rest_;
};

/// What is wrong with a row, besides the number of its values.
struct ArffRowFailure {
    std::size_t value = 0;  ///< which, from 1
    std::string text{};     ///< what stands there and what is expected
};

/// Splits a row into `values`, of which the first *count are its own. A row with another number of values than
/// `expected` is split at blanks too, as Weka does.
std::optional<ArffRowFailure> split_arff_row(std::string_view line, std::size_t expected,
                                             std::vector<ArffValue>& values, std::size_t& count);

/// Seconds since 1970 (UTC) of a date in a format of java.text.SimpleDateFormat (letters y, M, d, H, m, s, S and
/// text in single quotes); without a format: ISO 8601, with or without a time of day.
std::optional<double> parse_date(std::string_view text, std::string_view format);
/// The first letter of a format that parse_date does not know; 0: none.
char unknown_date_letter(std::string_view format);

}  // namespace dunlin
