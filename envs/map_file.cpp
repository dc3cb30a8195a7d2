// SPDX-License-Identifier: Apache-2.0
#include "envs/map_file.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <optional>

namespace dunlin {
namespace {

/// Above any map within the limits, with its header and with CR LF.
constexpr std::size_t file_size_limit = std::size_t{128} * 1024;

struct Alphabet {
    std::string_view free;
    std::string_view wall;
};

/// Appends one row to the map. `line` is for errors.
Result<void> append_row(StoredMap& map, std::string_view row, const Alphabet& alphabet, int line) {
    if (row.size() != static_cast<std::size_t>(map.columns)) {
        return fail(Code::map_row_length, line, static_cast<std::int64_t>(row.size()));
    }
    for (std::size_t column = 0; column < row.size(); ++column) {
        const bool free = alphabet.free.find(row[column]) != std::string_view::npos;
        const bool wall = alphabet.wall.find(row[column]) != std::string_view::npos;
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
        if (line.ends_with('\r')) line.remove_suffix(1);
        ++number;
        return line;
    }

    /// The number in a header line `name VALUE`.
    Result<int> field(std::string_view name) {
        std::string_view line = take();
        if (!line.starts_with(name)) return fail(Code::map_header, number);
        const auto value = whole_number(line.substr(name.size()));
        if (!value) return fail(Code::map_header, number);
        return *value;
    }
};

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
    constexpr Alphabet alphabet{".", "#@T"};
    const std::size_t columns = rows.empty() ? 0 : rows[0].size();
    if (const auto size = check_size(static_cast<std::int64_t>(rows.size()), static_cast<std::int64_t>(columns));
        !size) {
        return tl::unexpected(size.error());
    }
    StoredMap map{{}, 0, static_cast<int>(columns)};
    for (const std::string_view row : rows) {
        if (const auto added = append_row(map, row, alphabet, map.rows + 1); !added) {
            return tl::unexpected(added.error());
        }
    }
    return finish(std::move(map));
}

Result<StoredMap> parse_map(std::string_view contents) {
    constexpr Alphabet alphabet{".GS", "@OTW"};
    Lines lines{contents};
    if (lines.take() != "type octile") return fail(Code::map_header, lines.number);
    const auto height = lines.field("height ");
    if (!height) return tl::unexpected(height.error());
    const auto width = lines.field("width ");
    if (!width) return tl::unexpected(width.error());
    if (lines.take() != "map") return fail(Code::map_header, lines.number);
    if (const auto size = check_size(*height, *width); !size) return tl::unexpected(size.error());

    StoredMap map{{}, 0, *width};
    while (map.rows < *height) {
        if (lines.done()) return fail(Code::map_truncated, map.rows, *height);
        const std::string_view row = lines.take();
        // A short piece without a line break is where the file was cut, not a wrong row.
        if (!lines.complete && row.size() < static_cast<std::size_t>(*width)) {
            return fail(Code::map_truncated, map.rows, *height);
        }
        if (const auto added = append_row(map, row, alphabet, lines.number); !added) {
            return tl::unexpected(added.error());
        }
    }
    while (!lines.done()) {
        if (!lines.take().empty()) return fail(Code::map_rest, lines.number);
    }
    return finish(std::move(map));
}

Result<StoredMap> load_map(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::string contents(file_size_limit + 1, '\0');
    // A folder opens, but does not read.
    if (!file || (!file.read(contents.data(), static_cast<std::streamsize>(contents.size())) && !file.eof())) {
        return fail(Code::file_missing);
    }
    const auto size = static_cast<std::size_t>(file.gcount());
    if (size > file_size_limit) {
        return fail(Code::file_too_large, static_cast<std::int64_t>(size),
                    static_cast<std::int64_t>(file_size_limit));
    }
    contents.resize(size);
    return parse_map(contents);
}

std::span<const std::string_view> built_in_maps() {
    return names;
}

Result<StoredMap> find_map(std::string_view name_or_path) {
    if (name_or_path == names[0]) return parse_rows(four_rooms);
    if (name_or_path == names[1]) return parse_rows(two_rooms);
    if (name_or_path == names[2]) return parse_rows(maze);
    if (auto empty = empty_map(name_or_path)) return *std::move(empty);
    return load_map(std::string(name_or_path));
}

}  // namespace dunlin
