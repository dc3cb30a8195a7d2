// SPDX-License-Identifier: Apache-2.0
#include "training/navigation/scenario_file.hpp"

#include <array>
#include <charconv>
#include <fstream>
#include <iterator>

#include <fmt/format.h>

namespace dunlin {
namespace {

constexpr std::size_t size_limit = std::size_t{16} << 20;  ///< bytes

std::vector<std::string_view> fields_of(std::string_view line) {
    constexpr std::string_view blanks = " \t\r";
    std::vector<std::string_view> fields;
    while (true) {
        line.remove_prefix(std::min(line.find_first_not_of(blanks), line.size()));
        if (line.empty()) return fields;
        const std::size_t end = std::min(line.find_first_of(blanks), line.size());
        fields.push_back(line.substr(0, end));
        line.remove_prefix(end);
    }
}

template <class Number>
bool read(std::string_view text, Number& value) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size();
}

/// The beginning of a line as a message may show it.
std::string shown(std::string_view line) {
    std::string text(line.substr(0, 40));
    for (char& c : text) c = c >= ' ' && c <= '~' ? c : ' ';
    return text;
}

}  // namespace

Outcome<std::vector<Scenario>> parse_scenarios(std::string_view text, int rows, int columns,
                                               const std::string& where) {
    constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
    if (text.starts_with(byte_order_mark)) text.remove_prefix(byte_order_mark.size());
    std::vector<Scenario> all;
    for (int number = 1; !text.empty(); ++number) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        const std::vector<std::string_view> fields = fields_of(line);
        const auto wrong = [&](const std::string& what) {
            return refuse(fmt::format("{}: line {}: {}; there stands \"{}\"", where, number, what, shown(line)));
        };
        if (number == 1) {
            if (fields.size() != 2 || fields[0] != "version") return wrong("expected `version 1`");
            continue;
        }
        if (fields.empty()) continue;
        Scenario scenario;
        scenario.line = number;
        int width = 0, height = 0;
        if (fields.size() != 9 || !read(fields[2], width) || !read(fields[3], height) ||
            !read(fields[4], scenario.start.column) || !read(fields[5], scenario.start.row) ||
            !read(fields[6], scenario.goal.column) || !read(fields[7], scenario.goal.row) ||
            !read(fields[8], scenario.octile_length)) {
            return wrong("expected bucket, map, width, height, start x, start y, goal x, goal y and length");
        }
        if (width != columns || height != rows) {
            return wrong(
                fmt::format("it is about a map of {} x {} (width x height), and environment.map has {} x {}; "
                            "take the map that belongs to it",
                            width, height, columns, rows));
        }
        all.push_back(scenario);
    }
    if (all.empty()) return refuse(where + ": no scenarios; expected `version 1` and a line for each");
    return all;
}

Outcome<std::vector<Scenario>> read_scenarios(const std::string& path, int rows, int columns) {
    std::ifstream file(path, std::ios::binary);
    std::array<char, 65536> piece;
    std::string text;
    while (file.read(piece.data(), piece.size()) || file.gcount() > 0) {
        text.append(piece.data(), static_cast<std::size_t>(file.gcount()));
        if (text.size() > size_limit) return refuse(fmt::format("{}: more than {} bytes", path, size_limit));
    }
    if (text.empty()) return refuse(Error{Code::file_missing}, path);
    return parse_scenarios(text, rows, columns, path);
}

}  // namespace dunlin
