// SPDX-License-Identifier: Apache-2.0
#include "python/native_environments.hpp"

#include "training/navigation/grid_world.hpp"

#include <array>
#include <utility>

#include <pybind11/stl.h>

namespace dunlin::python {
namespace {

/// One grid task as Python says it.
struct GridAsked {
    std::array<int, 2> goal{};
    std::optional<std::array<int, 2>> start;
    std::array<int, move_count> moves{};
    float wind = 0.0f, slip = 0.0f;
    int wind_direction = 0;
    bool dense = false;
};

GridTaskSettings settings_of(const GridAsked& asked, int horizon, float discount) {
    GridTaskSettings settings;
    settings.goal = GridCell{asked.goal[0], asked.goal[1]};
    if (asked.start) settings.start = GridCell{(*asked.start)[0], (*asked.start)[1]};
    for (std::size_t k = 0; k < asked.moves.size(); ++k)
        settings.moves[k] = static_cast<std::uint8_t>(std::clamp(asked.moves[k], 0, 255));
    settings.wind = asked.wind;
    settings.slip = asked.slip;
    settings.wind_direction = static_cast<Move>(asked.wind_direction);
    settings.reward = asked.dense ? GridReward::dense : GridReward::sparse;
    settings.horizon = horizon;
    settings.discount = discount;
    return settings;
}

std::unique_ptr<GridVector> make_grid(const std::string& map, const std::vector<std::string>& rows,
                                      const std::vector<GridAsked>& tasks, int horizon, float discount, int count,
                                      Autoreset mode, bool indices) {
    const StoredMap stored = value_of(map_of(map, rows));
    const auto held = std::make_shared<std::vector<GridTask>>();
    for (const GridAsked& asked : tasks)
        held->push_back(value_of(GridTask::make(stored, settings_of(asked, horizon, discount)), "grid"));
    std::vector<GridNavigation> environments;
    for (const GridTask& task : *held) environments.push_back(task.environment());
    return std::make_unique<GridVector>(std::move(environments), held, count, mode, indices);
}

std::unique_ptr<PointVector> make_point(const std::vector<std::array<float, 2>>& goals, bool distance, int horizon,
                                        float discount, int count, Autoreset mode) {
    std::vector<PointNavigation> environments;
    for (const auto& goal : goals) {
        environments.push_back({.goal_x = goal[0],
                                .goal_y = goal[1],
                                .reward = distance ? PointReward::distance : PointReward::squared_distance,
                                .horizon_steps = horizon,
                                .discount_factor = discount});
    }
    return std::make_unique<PointVector>(std::move(environments), nullptr, count, mode, false);
}

/// A map by its name, file or rows, as lines of '.' and '#'.
std::vector<std::string> map_rows(const std::string& map, const std::vector<std::string>& rows) {
    const StoredMap stored = value_of(map_of(map, rows));
    std::vector<std::string> lines;
    for (int row = 0; row < stored.rows; ++row)
        lines.push_back(stored.text.substr(static_cast<std::size_t>(row) * static_cast<std::size_t>(stored.columns),
                                           static_cast<std::size_t>(stored.columns)));
    return lines;
}

template <class V>
void add_vector(py::module_& module, const char* name) {
    py::class_<V>(module, name)
        .def_property_readonly("count", &V::count)
        .def_property_readonly("observations", &V::observations)
        .def_property_readonly("final_observations", &V::final_observations)
        .def_property_readonly("rewards", &V::rewards)
        .def_property_readonly("terminated", &V::terminated)
        .def_property_readonly("truncated", &V::truncated)
        .def("seed", &V::seed)
        .def("reset", &V::reset, py::arg("mask") = py::none())
        .def("step", &V::step);
}

}  // namespace

void add_environments(py::module_& module) {
    py::enum_<Autoreset>(module, "Autoreset")
        .value("next_step", Autoreset::next_step)
        .value("same_step", Autoreset::same_step)
        .value("disabled", Autoreset::disabled);
    py::class_<GridAsked>(module, "GridTask")
        .def(py::init([](std::array<int, 2> goal, std::optional<std::array<int, 2>> start,
                         std::array<int, move_count> moves, float wind, int wind_direction, float slip,
                         bool dense) { return GridAsked{goal, start, moves, wind, slip, wind_direction, dense}; }));
    add_vector<GridVector>(module, "GridVector");
    add_vector<PointVector>(module, "PointVector");
    module.def("make_grid", make_grid);
    module.def("make_point", make_point);
    module.def("map_rows", map_rows);
}

}  // namespace dunlin::python
