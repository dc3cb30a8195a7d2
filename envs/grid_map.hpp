// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string_view>

namespace dunlin {

/// Row 0 is the top row and column 0 the left column. May lie outside a map.
struct GridCell {
    int row = 0;
    int column = 0;

    friend constexpr bool operator==(GridCell, GridCell) = default;
};

/// A side of a map is at most this long: any cell's number fits 22 bits, and exact in a float.
inline constexpr int grid_side_limit = 2048;

/// A map of free cells and walls: a view of rows * columns characters, row by row, '.' free and anything else a
/// wall. The characters belong to the caller. Cells are numbered row * columns + column, walls too, so that the
/// number of a cell is the same in every task of a map.
class GridMap {
public:
    constexpr GridMap(std::string_view text, int row_count, int column_count)
        : text_(text), rows_(row_count), columns_(column_count) {}

    constexpr int rows() const { return rows_; }
    constexpr int columns() const { return columns_; }
    constexpr int cells() const { return rows_ * columns_; }
    constexpr std::string_view text() const { return text_; }

    /// Sides within the limits, and as many characters as they say. All else below asks for it.
    constexpr bool valid() const {
        return rows_ >= 1 && rows_ <= grid_side_limit && columns_ >= 1 && columns_ <= grid_side_limit &&
               text_.size() == static_cast<std::size_t>(cells());
    }

    constexpr bool inside(GridCell at) const {
        return at.row >= 0 && at.row < rows_ && at.column >= 0 && at.column < columns_;
    }
    /// False outside the map.
    constexpr bool free(GridCell at) const { return inside(at) && free(index(at)); }
    constexpr bool free(int index) const { return text_[static_cast<std::size_t>(index)] == '.'; }

    constexpr int index(GridCell at) const { return at.row * columns_ + at.column; }
    constexpr GridCell cell(int index) const { return {index / columns_, index % columns_}; }

private:
    std::string_view text_;
    int rows_;
    int columns_;
};

}  // namespace dunlin
