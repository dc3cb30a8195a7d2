// SPDX-License-Identifier: Apache-2.0
#include "envs/map_file.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <optional>

namespace dunlin {
namespace {

/// Above any map within the limits, with its header, CR LF and trailing blanks.
constexpr std::size_t file_size_limit = std::size_t{16} * 1024 * 1024;

constexpr std::string_view free_characters = ".GS", wall_characters = "@OTW#";

/// Appends one row to the map. `line` is for errors.
Result<void> append_row(StoredMap& map, std::string_view row, int line) {
    if (row.size() != static_cast<std::size_t>(map.columns)) {
        return fail(Code::map_row_length, line, static_cast<std::int64_t>(row.size()));
    }
    for (std::size_t column = 0; column < row.size(); ++column) {
        const bool free = free_characters.find(row[column]) != std::string_view::npos;
        const bool wall = wall_characters.find(row[column]) != std::string_view::npos;
        if (!free && !wall) return fail(Code::map_character, line, static_cast<std::int64_t>(column) + 1);
        map.text += free ? '.' : '#';
    }
    ++map.rows;
    return {};
}

Result<StoredMap> finish(StoredMap map) {
    if (map.text.find('.') == std::string::npos) return fail(Code::map_no_free_cell);
    return map;
}

Result<void> check_size(std::int64_t rows, std::int64_t columns) {
    if (rows < 1 || rows > grid_side_limit || columns < 1 || columns > grid_side_limit) {
        return fail(Code::map_size, rows, columns);
    }
    return {};
}

std::optional<int> whole_number(std::string_view text) {
    int value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

/// Takes a text apart, line by line.
struct Lines {
    std::string_view rest;
    int number = 0;        ///< of the line last taken, from 1
    bool complete = true;  ///< whether it ended with a line break

    bool done() const { return rest.empty(); }

    std::string_view take() {
        const std::size_t end = rest.find('\n');
        complete = end != std::string_view::npos;
        std::string_view line = rest.substr(0, end);
        rest.remove_prefix(complete ? end + 1 : rest.size());
        // Blanks at the end, CR among them, are no part of a line.
        while (!line.empty() && std::string_view(" \t\r").find(line.back()) != std::string_view::npos)
            line.remove_suffix(1);
        ++number;
        return line;
    }
};

/// What a header line `name VALUE` says, or nullopt where it is not such a line.
std::optional<std::string_view> field(std::string_view line, std::string_view name) {
    if (!line.starts_with(name)) return std::nullopt;
    line.remove_prefix(name.size());
    const std::size_t value = line.find_first_not_of(" \t");
    if (value == 0 || value == std::string_view::npos) return std::nullopt;
    return line.substr(value);
}

struct Header {
    std::optional<int> height, width;
};

/// The lines up to `map`, in whatever order height and width come.
Result<Header> read_header(Lines& lines) {
    if (field(lines.take(), "type") != "octile") return fail(Code::map_header, lines.number);
    Header header;
    while (!header.height || !header.width) {
        const std::string_view line = lines.take();
        const auto height = field(line, "height"), width = field(line, "width");
        std::optional<int>& side = height ? header.height : header.width;
        if (side || (!height && !width)) return fail(Code::map_header, lines.number);
        side = whole_number(height ? *height : *width);
        if (!side) return fail(Code::map_header, lines.number);
    }
    if (lines.take() != "map") return fail(Code::map_header, lines.number);
    return header;
}

constexpr std::array<std::string_view, 3> names = {"four-rooms", "two-rooms", "maze-9x9"};

/// Sutton, Precup and Singh 1999, figure 2, without the outer wall.
constexpr std::array<std::string_view, 11> four_rooms = {
    ".....#.....",  //
    ".....#.....",  //
    "...........",  //
    ".....#.....",  //
    ".....#.....",  //
    "#.####.....",  //
    ".....###.##",  //
    ".....#.....",  //
    ".....#.....",  //
    "...........",  //
    ".....#.....",
};
constexpr std::array<std::string_view, 7> two_rooms = {
    "...#...",  //
    "...#...",  //
    "...#...",  //
    ".......",  //
    "...#...",  //
    "...#...",  //
    "...#...",
};
constexpr std::array<std::string_view, 9> maze = {
    ".#.......",  //
    ".#.#####.",  //
    ".#.#...#.",  //
    "...#.#.#.",  //
    ".###.#.#.",  //
    "...#.#.#.",  //
    "##.#.#.#.",  //
    "...#.#...",  //
    ".###.####",
};

/// nullopt: not such a name at all.
std::optional<Result<StoredMap>> empty_map(std::string_view name) {
    constexpr std::string_view prefix = "empty-";
    if (!name.starts_with(prefix)) return std::nullopt;
    name.remove_prefix(prefix.size());
    const std::size_t cross = name.find('x');
    if (cross == std::string_view::npos) return std::nullopt;
    const auto rows = whole_number(name.substr(0, cross));
    const auto columns = whole_number(name.substr(cross + 1));
    if (!rows || !columns) return std::nullopt;
    if (const auto size = check_size(*rows, *columns); !size) return tl::unexpected(size.error());
    return StoredMap{std::string(static_cast<std::size_t>(*rows) * static_cast<std::size_t>(*columns), '.'), *rows,
                     *columns};
}

}  // namespace

Result<StoredMap> parse_rows(std::span<const std::string_view> rows) {
    const std::size_t columns = rows.empty() ? 0 : rows[0].size();
    if (const auto size = check_size(static_cast<std::int64_t>(rows.size()), static_cast<std::int64_t>(columns));
        !size) {
        return tl::unexpected(size.error());
    }
    StoredMap map{{}, 0, static_cast<int>(columns)};
    for (const std::string_view row : rows) {
        if (const auto added = append_row(map, row, map.rows + 1); !added) {
            return tl::unexpected(added.error());
        }
    }
    return finish(std::move(map));
}

Result<StoredMap> parse_map(std::string_view contents) {
    constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";
    if (contents.starts_with(byte_order_mark)) contents.remove_prefix(byte_order_mark.size());
    Lines lines{contents};
    const Result<Header> header = read_header(lines);
    if (!header) return tl::unexpected(header.error());
    const std::optional<int>&height = header->height, &width = header->width;
    if (const auto size = check_size(*height, *width); !size) return tl::unexpected(size.error());

    StoredMap map{{}, 0, *width};
    while (map.rows < *height) {
        if (lines.done()) return fail(Code::map_truncated, map.rows, *height);
        const std::string_view row = lines.take();
        // A short piece without a line break is where the file was cut, not a wrong row.
        if (!lines.complete && row.size() < static_cast<std::size_t>(*width)) {
            return fail(Code::map_truncated, map.rows, *height);
        }
        if (const auto added = append_row(map, row, lines.number); !added) {
            return tl::unexpected(added.error());
        }
    }
    while (!lines.done()) {
        if (!lines.take().empty()) return fail(Code::map_rest, lines.number);
    }
    return finish(std::move(map));
}

Result<StoredMap> load_map(const std::string& path) {
    // A folder opens, but does not read.
    std::error_code none;
    std::ifstream file(path, std::ios::binary);
    if (!file || std::filesystem::is_directory(path, none)) return fail(Code::file_missing);
    std::string contents;
    std::array<char, 65536> piece;
    while (file.read(piece.data(), piece.size()) || file.gcount() > 0) {
        contents.append(piece.data(), static_cast<std::size_t>(file.gcount()));
        if (contents.size() > file_size_limit) {
            return fail(Code::file_too_large, static_cast<std::int64_t>(contents.size()),
                        static_cast<std::int64_t>(file_size_limit));
        }
    }
    if (file.bad()) return fail(Code::file_missing);
    return parse_map(contents);
}

std::string text_at(const std::string& path, const Error& error) {
    if (error.code != Code::map_header && error.code != Code::map_row_length && error.code != Code::map_character &&
        error.code != Code::map_rest) {
        return {};
    }
    std::ifstream file(path, std::ios::binary);
    std::string line;
    for (std::int64_t number = 0; number < error.first; ++number) {
        if (!std::getline(file, line)) return {};
    }
    constexpr std::size_t shown = 40;
    if (line.ends_with('\r')) line.pop_back();
    if (error.code == Code::map_character) {
        line = line.substr(std::min(line.size(), static_cast<std::size_t>(error.second - 1)), 1);
    } else if (line.size() > shown) {
        line = line.substr(0, shown) + "...";
    }
    for (char& c : line) c = c >= ' ' && c <= '~' ? c : '?';
    return line;
}

std::span<const std::string_view> built_in_maps() {
    return names;
}

bool is_built_in_map(std::string_view name) {
    return std::ranges::find(names, name) != names.end() || empty_map(name).has_value();
}

Result<StoredMap> find_map(std::string_view name_or_path) {
    if (name_or_path == names[0]) return parse_rows(four_rooms);
    if (name_or_path == names[1]) return parse_rows(two_rooms);
    if (name_or_path == names[2]) return parse_rows(maze);
    if (auto empty = empty_map(name_or_path)) return *std::move(empty);
    return load_map(std::string(name_or_path));
}

}  // namespace dunlin
