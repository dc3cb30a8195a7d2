// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "envs/grid_map.hpp"
#include "training/host/failure.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace dunlin {

/// A line of a MovingAI .scen file: a way to find on a map.
struct Scenario {
    GridCell start, goal;
    /// Length of the shortest way of eight directions: 1 straight, sqrt(2) diagonal where both cells beside are
    /// free. Dunlin's moves are of four directions: a shortest way of theirs is at least as long, and at most
    /// sqrt(2) times.
    double octile_length = 0;
    int line = 0;  ///< from 1
};

/// Reads the text of such a file, for a map of these sizes: `version N`, then lines of bucket, map, width, height,
/// start x, start y, goal x, goal y and length, parted by tabs or blanks. The map's name is not looked at. Errors
/// say the line, what stands there and what is expected; `where` is the file.
Outcome<std::vector<Scenario>> parse_scenarios(std::string_view text, int rows, int columns,
                                               const std::string& where);

/// Reads such a file.
Outcome<std::vector<Scenario>> read_scenarios(const std::string& path, int rows, int columns);

}  // namespace dunlin
