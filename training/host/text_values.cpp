// SPDX-License-Identifier: Apache-2.0
#include "training/host/text_values.hpp"

#include <charconv>
#include <cmath>
#include <cstdlib>

#include <fmt/format.h>

namespace dunlin {
namespace {

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

std::string_view trimmed(std::string_view text) {
    const std::size_t first = text.find_first_not_of(" \t");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

/// std::from_chars takes a '-', but no '+'.
std::string_view without_plus(std::string_view text) {
    const bool plus = text.size() > 1 && text[0] == '+' && text[1] != '-';
    return plus ? text.substr(1) : text;
}

}  // namespace

std::optional<std::int64_t> whole_number(std::string_view text) {
    text = without_plus(trimmed(text));
    std::string digits;
    for (std::size_t k = 0; k < text.size(); ++k) {
        const bool between = k > 0 && k + 1 < text.size() && is_digit(text[k - 1]) && is_digit(text[k + 1]);
        if (text[k] != '_' || !between) digits += text[k];
    }
    std::int64_t value = 0;
    const char* end = digits.data() + digits.size();
    const auto [stop, error] = std::from_chars(digits.data(), end, value);
    if (error != std::errc() || stop != end) return std::nullopt;
    return value;
}

std::optional<double> real_number(std::string_view text) {
    text = without_plus(trimmed(text));
    double value = 0;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc() || stop != end || !std::isfinite(value)) return std::nullopt;
    return value;
}

std::vector<std::string> split_list(std::string_view text) {
    std::vector<std::string> parts{""};
    int depth = 0;
    char quote = 0;
    bool escaped = false;
    bool begins = true;  // nothing but blanks and opening brackets so far in this element
    for (const char c : text) {
        if (quote != 0) {
            if (escaped)
                escaped = false;
            else if (c == '\\' && quote == '"')
                escaped = true;
            else if (c == quote)
                quote = 0;
        } else if (begins && (c == '"' || c == '\'')) {
            quote = c;
        } else if (c == '[') {
            ++depth;
        } else if (c == ']') {
            --depth;
        } else if (c == ',') {
            begins = true;
            if (depth <= 0) {
                parts.emplace_back();
                continue;
            }
        }
        if (c != ' ' && c != '\t' && c != '[' && c != ',') begins = false;
        parts.back() += c;
    }
    for (std::string& part : parts) part = std::string(trimmed(part));
    return parts;
}

std::string expand_home(std::string_view path) {
    const char* home = std::getenv("HOME");
    if (home == nullptr || *home == '\0' || (path != "~" && !path.starts_with("~/"))) return std::string(path);
    return home + std::string(path.substr(1));
}

std::string toml_string(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\')
            out += fmt::format("\\{}", c);
        else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
            out += fmt::format("\\u{:04X}", static_cast<unsigned>(c));
        else
            out += c;
    }
    return out + '"';
}

}  // namespace dunlin
