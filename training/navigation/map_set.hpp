// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "envs/map_file.hpp"
#include "training/host/failure.hpp"
#include "training/navigation/navigation.hpp"

#include <string>
#include <vector>

namespace dunlin {

struct NamedMap {
    std::string name;  ///< built-in, or the file's without its folder and ending
    StoredMap map;
};

/// Maps that tasks are drawn on, all of one frame: of as many rows and columns as the largest has, with walls below
/// and to the right of the others, so that a cell has the same number on each.
struct MapSet {
    std::vector<NamedMap> training, held_out;
    int too_large = 0;  ///< maps of folders that environment.largest_side left out
    int repeated = 0;   ///< that are another one's equal and were left out

    int rows() const { return training.front().map.rows; }
    int columns() const { return training.front().map.columns; }
};

/// The maps that environment.maps and environment.held_out_maps name; where there are none of the second, a quarter of the
/// first, at least one, drawn by the seed. No map is in both. Errors name the setting: a map that cannot be read, a folder
/// without one, too few to hold one out.
Outcome<MapSet> read_map_set(const NavigationSettings& settings);

/// Rows and columns of what tasks lie on: the map's, or the frame of a set. Errors: of reading them.
Outcome<StoredMap> frame_of(const NavigationSettings& settings);

}  // namespace dunlin
