// SPDX-License-Identifier: Apache-2.0
#include "envs/arff_text.hpp"

#include "envs/data_file.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace dunlin {

bool ArffScanner::at_end() {
    rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t"), rest_.size()));
    return rest_.empty() || rest_.front() == '%';
}

bool ArffScanner::take(char c) {
    if (at_end() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
}

bool ArffScanner::value(std::string_view stops, ArffValue& out) {
    out.quoted = !at_end() && (rest_.front() == '"' || rest_.front() == '\'');
    if (!out.quoted) {
        std::size_t end = 0;
        while (end < rest_.size() && rest_[end] != '%' && stops.find(rest_[end]) == std::string_view::npos) ++end;
        out.text = trimmed(rest_.substr(0, end));
        rest_.remove_prefix(end);
        return true;
    }
    out.text.clear();
    for (std::size_t at = 1; at < rest_.size(); ++at) {
        char c = rest_[at];
        if (c == rest_.front()) {
            rest_.remove_prefix(at + 1);
            return true;
        }
        if (c == '\\' && at + 1 < rest_.size()) {
            c = rest_[++at];
            constexpr std::string_view letters = "tnr", meant = "\t\n\r";
            if (const std::size_t k = letters.find(c); k != std::string_view::npos) c = meant[k];
        }
        out.text.push_back(c);
    }
    return false;
}

namespace {

std::optional<ArffRowFailure> split_at(std::string_view line, std::string_view stops,
                                       std::vector<ArffValue>& values, std::size_t& count) {
    ArffScanner scanner(line);
    count = 0;
    for (bool more = true; more; ++count) {
        if (count == values.size()) values.emplace_back();
        const std::string_view from = scanner.rest();
        if (!scanner.value(stops, values[count]))
            return ArffRowFailure{count + 1,
                                  sentence(Quoted(trimmed(from)), " begins with a quote that is not closed")};
        more = scanner.take(',');
        if (more || scanner.at_end()) continue;
        more = stops.size() > 1;  // blanks separate too
        if (!more)
            return ArffRowFailure{count + 1, sentence(Quoted(scanner.rest()), " stands behind the quoted value ",
                                                      Quoted(values[count].text), "; expected a comma")};
    }
    return std::nullopt;
}

}  // namespace

std::optional<ArffRowFailure> split_arff_row(std::string_view line, std::size_t expected,
                                             std::vector<ArffValue>& values, std::size_t& count) {
    const auto whole = [&] {  // an instance weight may follow, and a comma at the end is no value
        return count == expected ||
               (count == expected + 1 && (values[expected].text.empty() || values[expected].text.starts_with('{')));
    };
    std::optional<ArffRowFailure> wrong = split_at(line, ",", values, count);
    if (!wrong && whole()) return wrong;
    if (!split_at(line, ", \t", values, count) && whole()) return std::nullopt;
    return split_at(line, ",", values, count);
}

namespace {

std::optional<int> take_digits(std::string_view& text, std::size_t most) {
    int value = 0;
    const char* end = text.data() + std::min(most, text.size());
    const auto [stop, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc{} || value < 0) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(stop - text.data()));
    return value;
}

std::optional<int> take_month_name(std::string_view& text) {
    constexpr std::string_view names = "JanFebMarAprMayJunJulAugSepOctNovDec";
    for (std::size_t k = 0; k < 12; ++k) {
        if (!same_but_case(text.substr(0, 3), names.substr(3 * k, 3))) continue;
        text.remove_prefix(3);
        return static_cast<int>(k) + 1;
    }
    return std::nullopt;
}

constexpr std::string_view date_letters = "yMdHmsS";

bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/// Days from 1970-01-01 in the Gregorian calendar (H. Hinnant, "chrono-compatible low-level date algorithms").
double days_from_civil(int year, int month, int day) {
    year -= month <= 2 ? 1 : 0;
    const int era = (year >= 0 ? year : year - 399) / 400;
    const int of_era = year - era * 400;
    const int of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return era * 146097.0 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

std::optional<double> parse_in_format(std::string_view text, std::string_view format) {
    std::array<int, date_letters.size()> parts{1970, 1, 1, 0, 0, 0, 0};
    bool literal = false;
    for (std::size_t at = 0; at < format.size();) {
        const char c = format[at];
        if (c == '\'') {
            literal = !literal;
            ++at;
            continue;
        }
        const std::size_t part = date_letters.find(c);
        if (literal || part == std::string_view::npos) {
            if (text.empty() || text.front() != c) return std::nullopt;
            text.remove_prefix(1);
            ++at;
            continue;
        }
        const std::size_t length = std::min(format.find_first_not_of(c, at), format.size()) - at;
        at += length;
        const bool digits_follow = at < format.size() && date_letters.find(format[at]) != std::string_view::npos;
        const auto value =
            c == 'M' && length >= 3 ? take_month_name(text) : take_digits(text, digits_follow ? length : 9);
        if (!value) return std::nullopt;
        parts[part] = c == 'y' && length <= 2 && *value < 100 ? *value + (*value < 70 ? 2000 : 1900) : *value;
    }
    const auto [year, month, day, hour, minute, second, millisecond] = parts;
    constexpr int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (!text.empty() || year > 9999 || month < 1 || month > 12 || day < 1 || day > days[month - 1] || hour > 23 ||
        minute > 59 || second > 60 || millisecond > 999)
        return std::nullopt;
    return days_from_civil(year, month, day) * 86400 + hour * 3600 + minute * 60 + second + millisecond * 1e-3;
}

}  // namespace

std::optional<double> parse_date(std::string_view text, std::string_view format) {
    if (!format.empty()) return parse_in_format(text, format);
    if (text.ends_with('Z')) text.remove_suffix(1);
    for (const std::string_view iso :
         {"yyyy-MM-dd'T'HH:mm:ss", "yyyy-MM-dd HH:mm:ss", "yyyy-MM-dd", "yyyy-MM-dd'T'HH:mm:ss.SSS",
          "yyyy-MM-dd HH:mm:ss.SSS", "yyyy-MM-dd'T'HH:mm", "yyyy-MM-dd HH:mm"}) {
        if (const auto seconds = parse_in_format(text, iso)) return seconds;
    }
    return std::nullopt;
}

char unknown_date_letter(std::string_view format) {
    bool literal = false;
    for (const char c : format) {
        if (c == '\'') literal = !literal;
        if (!literal && is_letter(c) && date_letters.find(c) == std::string_view::npos) return c;
    }
    return 0;
}

}  // namespace dunlin
