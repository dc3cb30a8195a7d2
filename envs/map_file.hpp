// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/error.hpp"
#include "envs/grid_map.hpp"

#include <span>
#include <string>
#include <string_view>

namespace dunlin {

/// A map with its own memory. For hosts; dynamics see it as a GridMap.
struct StoredMap {
    std::string text;  ///< rows * columns characters, '.' free, '#' wall
    int rows = 0;
    int columns = 0;

    operator GridMap() const { return {text, rows, columns}; }
    friend bool operator==(const StoredMap&, const StoredMap&) = default;
};

/// A map from rows of text, of the characters that MovingAI's format has (below). Lines and columns of errors count
/// from 1. Errors: map_size, map_row_length (a row unlike the first), map_character, map_no_free_cell.
Result<StoredMap> parse_rows(std::span<const std::string_view> rows);

/// A map in MovingAI's format: the lines `type octile`, `height H` and `width W` in either order, `map`, then H
/// rows of W characters: '.', 'G' (ground) and 'S' (swamp, which can be walked into from the ground) are free; '@',
/// 'O' (out of bounds), 'T' (trees), 'W' (water, which cannot be walked into from the ground) and '#' are walls. A
/// byte order mark is skipped; lines may end in blanks or CR LF; blank lines may follow the last row, anything else
/// may not. Errors: map_header, map_size, map_row_length, map_truncated, map_character, map_rest, map_no_free_cell.
Result<StoredMap> parse_map(std::string_view contents);

/// Reads such a file. Errors: file_missing, file_too_large, and parse_map's.
Result<StoredMap> load_map(const std::string& path);

/// What stands in a file where an error of load_map is: its character, or the beginning of its line; what cannot be
/// printed is shown as '?'. Empty where the error has no place.
std::string text_at(const std::string& path, const Error& error);

/// The names of built-in maps, for help texts; beside them "empty-RxC" with any R and C up to 2048 is known.
std::span<const std::string_view> built_in_maps();

/// Whether it is the name of a built-in map, which comes before a file of that name.
bool is_built_in_map(std::string_view name);

/// A built-in map by its name, or else a file by its path.
/// Errors: map_size ("empty-RxC" beyond the limits) and load_map's.
Result<StoredMap> find_map(std::string_view name_or_path);

}  // namespace dunlin
