// SPDX-License-Identifier: Apache-2.0
#include "training/navigation/map_set.hpp"

#include "training/navigation/grid_world.hpp"

#include <algorithm>
#include <filesystem>
#include <span>
#include <system_error>

#include <fmt/format.h>

namespace dunlin {
namespace {

namespace fs = std::filesystem;

/// The .map files of a folder in the order of their names; what is no folder is one map.
Outcome<std::vector<std::string>> files_of(const std::string& name, std::string_view key) {
    std::error_code error;
    if (is_built_in_map(name) || !fs::is_directory(name, error)) return std::vector{name};
    std::vector<std::string> files;
    for (const fs::directory_entry& entry : fs::directory_iterator(name, error)) {
        if (entry.path().extension() == ".map") files.push_back(entry.path().string());
    }
    if (error) return unable(fmt::format("{}: {}: {}", key, name, error.message()));
    if (files.empty()) return refuse(fmt::format("{}: {}: a folder without a file that ends in .map", key, name));
    std::ranges::sort(files);
    return files;
}

Outcome<std::vector<NamedMap>> read_maps(const std::vector<std::string>& names, std::string_view key,
                                         int largest_side, MapSet& set) {
    std::vector<NamedMap> maps;
    for (const std::string& name : names) {
        const auto files = files_of(name, key);
        if (!files) return tl::unexpected(files.error());
        const bool folder = files->size() > 1 || files->front() != name;
        for (const std::string& file : *files) {
            auto map = read_map(file, key);
            if (!map) return tl::unexpected(map.error());
            if (largest_side > 0 && std::max(map->rows, map->columns) > largest_side) {
                if (!folder)
                    return refuse(fmt::format("{}: {}: {} x {} is more than environment.largest_side = {}", key,
                                              file, map->rows, map->columns, largest_side));
                ++set.too_large;
                continue;
            }
            maps.push_back({is_built_in_map(file) ? file : fs::path(file).stem().string(), *std::move(map)});
        }
    }
    return maps;
}

StoredMap framed(const StoredMap& map, int rows, int columns) {
    StoredMap frame{std::string(static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns), '#'), rows,
                    columns};
    for (int row = 0; row < map.rows; ++row) {
        const auto from = map.text.begin() + static_cast<std::ptrdiff_t>(row) * map.columns;
        std::copy_n(from, map.columns, frame.text.begin() + static_cast<std::ptrdiff_t>(row) * columns);
    }
    return frame;
}

void put_into_one_frame(MapSet& set) {
    int rows = 0, columns = 0;
    for (const auto* maps : {&set.training, &set.held_out}) {
        for (const NamedMap& one : *maps) {
            rows = std::max(rows, one.map.rows);
            columns = std::max(columns, one.map.columns);
        }
    }
    for (auto* maps : {&set.training, &set.held_out}) {
        for (NamedMap& one : *maps) one.map = framed(one.map, rows, columns);
    }
}

/// Leaves the first of equal ones.
int drop_repeated(std::vector<NamedMap>& maps, std::span<const NamedMap> others) {
    std::vector<NamedMap> kept;
    int dropped = 0;
    for (NamedMap& one : maps) {
        const auto same = [&](const NamedMap& other) { return other.map == one.map; };
        if (std::ranges::any_of(kept, same) || std::ranges::any_of(others, same)) {
            ++dropped;
        } else {
            kept.push_back(std::move(one));
        }
    }
    maps = std::move(kept);
    return dropped;
}

}  // namespace

Outcome<MapSet> read_map_set(const NavigationSettings& s) {
    MapSet set;
    auto training = read_maps(s.maps, "environment.maps", s.largest_side, set);
    if (!training) return tl::unexpected(training.error());
    auto held_out = read_maps(s.held_out_maps, "environment.held_out_maps", s.largest_side, set);
    if (!held_out) return tl::unexpected(held_out.error());
    set.held_out = *std::move(held_out);
    set.repeated = drop_repeated(set.held_out, {});
    set.training = *std::move(training);
    set.repeated += drop_repeated(set.training, set.held_out);
    if (set.held_out.empty() && s.held_out_tasks > 0) {
        Stream random(s.seed, 2, Purpose::tasks);
        for (std::size_t left = (set.training.size() + 3) / 4; left > 0 && set.training.size() > 1; --left) {
            const auto at =
                static_cast<std::ptrdiff_t>(random.below(static_cast<std::uint32_t>(set.training.size())));
            set.held_out.push_back(std::move(set.training[static_cast<std::size_t>(at)]));
            set.training.erase(set.training.begin() + at);
        }
        if (set.held_out.empty() && !set.training.empty())
            return refuse(
                "environment.maps: of one map none can be held out; name more, or environment.held_out_maps, or "
                "set "
                "environment.held_out_tasks = 0");
    }
    if (set.training.empty())
        return refuse(
            fmt::format("environment.maps: none is left to train on ({} longer than environment.largest_side = {}, "
                        "{} equal to others)",
                        set.too_large, s.largest_side, set.repeated));
    put_into_one_frame(set);
    return set;
}

Outcome<StoredMap> frame_of(const NavigationSettings& s) {
    if (s.maps.empty()) return map_of(s.map, s.rows);
    auto set = read_map_set(s);
    if (!set) return tl::unexpected(set.error());
    return std::move(set->training.front().map);
}

}  // namespace dunlin
