// SPDX-License-Identifier: Apache-2.0
#include "training/navigation/grid_world.hpp"

#include "training/host/host_memory.hpp"
#include "training/navigation/scenario_file.hpp"
#include "training/settings/task_text.hpp"

#include <algorithm>
#include <iterator>

#include <fmt/ranges.h>

namespace dunlin {
namespace {

/// Where the map was named.
std::string place_of(const NavigationSettings& s) {
    return s.rows.empty() ? "environment.map: " + s.map : "environment.rows";
}

/// Fewest steps from a task's own start to its goal, where neither wind nor slips help.
int fewest_steps(const GridTask& task) {
    const GridNavigation& grid = task.environment();
    std::vector<int> steps(static_cast<std::size_t>(grid.state_count()), -1);
    std::vector<GridNavigation::State> queue{grid.starts().front()};
    steps[static_cast<std::size_t>(queue.front())] = 0;
    for (std::size_t done = 0; queue[done] != grid.goal(); ++done) {  // the task was made: a way leads there
        const int passed = steps[static_cast<std::size_t>(queue[done])];
        for (int action = 0; action < grid.action_count(); ++action) {
            const GridNavigation::State next = grid.after_action(queue[done], action);
            if (steps[static_cast<std::size_t>(next)] >= 0) continue;
            steps[static_cast<std::size_t>(next)] = passed + 1;
            queue.push_back(next);
        }
    }
    return steps[static_cast<std::size_t>(grid.goal())];
}

/// Scenarios whose ways are longer than a trajectory may be.
struct FarScenarios {
    int count = 0, most_steps = 0, line = 0;

    void see(const GridTask& task, const Scenario& scenario) {
        const int steps = fewest_steps(task);
        if (steps <= task.environment().horizon()) return;
        ++count;
        if (steps > most_steps) line = scenario.line;
        most_steps = std::max(most_steps, steps);
    }
    std::string refusal(const std::string& path, std::size_t used, int horizon) const {
        const std::string longer =
            most_steps <= grid_horizon_limit ? fmt::format("set rl.horizon = {} or more, or ", most_steps) : "";
        return fmt::format(
            "environment.goals: {}: {} of the {} scenarios that are used {} more steps to the goal than rl.horizon "
            "= {} allows, line {} the most with {}; {}take scenarios of shorter ways",
            path, count, used, count == 1 ? "needs" : "need", horizon, line, most_steps, longer);
    }
};

}  // namespace

Outcome<StoredMap> map_of(const std::string& name, const std::vector<std::string>& rows) {
    if (!rows.empty()) {
        const std::vector<std::string_view> lines(rows.begin(), rows.end());
        return parse_rows(lines).map_error([](const Error& e) { return describe(e, "environment.rows"); });
    }
    return read_map(name);
}

Outcome<StoredMap> read_map(const std::string& name_or_path, std::string_view setting) {
    return find_map(name_or_path).map_error([&](const Error& e) {
        Failure wrong = describe(e, fmt::format("{}: {}", setting, name_or_path));
        if (const std::string there = text_at(name_or_path, e); !there.empty())
            wrong.text += fmt::format("; there stands \"{}\"", there);
        if (e.code == Code::file_missing)
            wrong.text += fmt::format("; or use a built-in map: empty-RxC, {}", fmt::join(built_in_maps(), ", "));
        return wrong;
    });
}

Outcome<GridWorld> GridWorld::make(const NavigationSettings& s) {
    GridWorld world;
    world.common_.diagonal = s.diagonal;
    world.common_.horizon = s.horizon;
    world.common_.discount = s.discount;
    world.common_.reward = s.reward == Reward::sparse ? GridReward::sparse : GridReward::dense;
    if (!s.start.empty()) {
        if (s.start.size() != 2) return refuse("environment.start: expected [row, column]");
        world.common_.start = GridCell{s.start[0], s.start[1]};
    }
    Stream random(s.seed, 1, Purpose::tasks);
    if (!s.maps.empty()) {
        if (Outcome<void> added = world.add_maps(s, random); !added) return tl::unexpected(added.error());
        world.make_room_for_optima();
        return world;
    }
    if (!s.held_out_maps.empty())
        return refuse("environment.held_out_maps: environment.maps says those to train on");
    Outcome<StoredMap> map = map_of(s.map, s.rows);
    if (!map) return tl::unexpected(map.error());
    world.map_ = *std::move(map);

    if (s.goals.size() == 1 && s.goals.front().ends_with(".scen")) {
        if (Outcome<void> read = world.add_scenarios(s); !read) return tl::unexpected(read.error());
    } else if (!s.goals.empty()) {
        for (const std::string& goal : s.goals) {
            Outcome<GridTask> task = world.parse_task("goal=" + goal);
            if (!task) return refuse("environment.goals: " + task.error().text);
            world.training_.push_back(*std::move(task));
        }
    } else if (s.tasks == TaskSource::three) {
        Result<std::vector<GridTask>> tasks = three_tasks(world.map_, world.common_, random);
        if (!tasks) return refuse(tasks.error(), place_of(s));
        world.training_ = *std::move(tasks);
    } else {
        if (Outcome<void> fits = world.check_memory(s.training_tasks + s.held_out_tasks); !fits)
            return tl::unexpected(fits.error());
        const GridTaskDistribution distribution{world.common_, s.permute_actions, s.wind_limit, s.slip_limit};
        Result<GridTaskSplit> split =
            sample_tasks(world.map_, distribution, s.training_tasks, s.held_out_tasks, random);
        if (!split) return refuse(split.error(), place_of(s));
        world.training_ = std::move(split->training);
        world.held_out_ = std::move(split->held_out);
    }
    world.make_room_for_optima();
    return world;
}

Outcome<GridWorld::Policy> GridWorld::policy(const NavigationSettings& s, const Kernels<float>* kernels) const {
    const bool one_hot = s.input == PolicyInput::one_hot;
    if (one_hot && map_.rows * map_.columns > MlpShape::width_limit) {
        return refuse(
            fmt::format("policy.input = \"one-hot\": the map has {} x {} = {} cells, and a policy at most {} "
                        "inputs; use policy.input = \"coordinates\" or a smaller map",
                        map_.rows, map_.columns, map_.rows * map_.columns, MlpShape::width_limit));
    }
    const Result<MlpShape> shape =
        MlpShape::make(one_hot ? map_.rows * map_.columns : 2, s.hidden, common_.action_count(), s.activation,
                       one_hot, !one_hot || !s.hidden.empty());
    if (!shape) return refuse(shape.error(), "policy.hidden");
    const Outcome<Mlp<float>> critic = critic_of(s, *shape, kernels);
    if (!critic) return tl::unexpected(critic.error());
    return Policy{{Mlp<float>{*shape, kernels}}, *critic};
}

std::vector<GridNavigation> GridWorld::environments(TaskSet set) const {
    std::vector<GridNavigation> all;
    for (const GridTask& task : tasks(set)) all.push_back(task.environment());
    return all;
}

std::vector<std::string> GridWorld::names(TaskSet set) const {
    std::vector<std::string> all;
    for (const GridTask& task : tasks(set)) {
        const GridCell goal = *task.settings().goal;
        const std::vector<std::string>& on = set == TaskSet::training ? training_on_ : held_out_on_;
        const std::string map = all.size() < on.size() ? on[all.size()] + ", " : std::string();
        all.push_back(fmt::format("task {}: {}goal ({}, {})", all.size() + 1, map, goal.row, goal.column));
        const std::optional<GridCell>& start = task.settings().start;
        if (start && start != common_.start) all.back() += fmt::format(" from ({}, {})", start->row, start->column);
    }
    return all;
}

void GridWorld::describe(TaskSet set, int number, TaskRecord& record) const {
    const GridTask& task = tasks(set)[static_cast<std::size_t>(number)];
    record.rows = task.map().rows;
    record.columns = task.map().columns;
    for (char cell : task.map().text) record.walls.push_back(cell != '.');
    record.goal = {static_cast<double>(task.settings().goal->row),
                   static_cast<double>(task.settings().goal->column)};
}

std::vector<TaskOutcome> GridWorld::single_policy(TaskSet set, StopAsked stop) {
    if (!shared_policy_) {
        std::vector<double> optima;
        for (std::size_t k = 0; k < training_.size(); ++k) optima.push_back(optimum(TaskSet::training, k, stop));
        shared_policy_ = shared_policy(environments(TaskSet::training), optima, stop);
    }
    std::vector<TaskOutcome> outcomes;
    if (shared_policy_->empty() || stop()) return outcomes;
    for (std::size_t k = 0; k < tasks(set).size(); ++k) {
        const GridEvaluation exact = evaluate_policy(tasks(set)[k].environment(), *shared_policy_, stop);
        outcomes.push_back({.expected_return = exact.expected_return,
                            .optimal_return = optimum(set, k, stop),
                            .success = exact.success});
    }
    return outcomes;
}

Outcome<int> GridWorld::add_held_out(const std::string& description) {
    Outcome<GridTask> task = parse_task(description);
    if (!task) return tl::unexpected(task.error());
    held_out_.push_back(*std::move(task));
    make_room_for_optima();
    return static_cast<int>(held_out_.size()) - 1;
}

/// As many tasks on each map, as far as that goes.
Outcome<void> GridWorld::add_maps(const NavigationSettings& s, Stream& random) {
    if (!s.goals.empty() || !s.rows.empty() || s.tasks == TaskSource::three)
        return refuse(fmt::format("environment.maps: tasks are sampled from each map; {}",
                                  s.tasks == TaskSource::three
                                      ? "set environment.tasks = sampled"
                                      : "leave environment.goals and environment.rows out"));
    auto set = read_map_set(s);
    if (!set) return tl::unexpected(set.error());
    map_ = set->training.front().map;
    if (Outcome<void> fits = check_memory(s.training_tasks + s.held_out_tasks); !fits) return fits;
    const GridTaskDistribution distribution{common_, s.permute_actions, s.wind_limit, s.slip_limit};
    const auto share_out = [&](const std::vector<NamedMap>& maps, int count, bool trains) -> Outcome<void> {
        if (count > 0 && count < std::ssize(maps))
            return refuse(fmt::format("environment.{} = {}: there are {} such maps, and each has a task at least",
                                      trains ? "training_tasks" : "held_out_tasks", count, maps.size()));
        for (std::size_t k = 0; k < maps.size(); ++k) {
            const auto each = static_cast<std::size_t>(count) / maps.size();
            const int own = static_cast<int>(each + (k < static_cast<std::size_t>(count) % maps.size() ? 1 : 0));
            auto drawn = sample_tasks(maps[k].map, distribution, trains ? own : 0, trains ? 0 : own, random);
            if (!drawn) return refuse(drawn.error(), "environment.maps: " + maps[k].name);
            for (GridTask& task : trains ? drawn->training : drawn->held_out) {
                (trains ? training_ : held_out_).push_back(std::move(task));
                (trains ? training_on_ : held_out_on_).push_back(maps[k].name);
            }
        }
        return {};
    };
    if (auto done = share_out(set->training, s.training_tasks, true); !done) return done;
    if (auto done = share_out(set->held_out, s.held_out_tasks, false); !done) return done;
    std::vector<std::string> held_out;
    for (const NamedMap& one : set->held_out) held_out.push_back(one.name);
    map_notes_.push_back(fmt::format("{} maps to train on and {} held out ({}), in a frame of {} x {} cells",
                                     set->training.size(), set->held_out.size(), fmt::join(held_out, ", "),
                                     map_.rows, map_.columns));
    if (set->too_large > 0)
        map_notes_.push_back(
            fmt::format("left out: {} of the maps, a side of which is longer than environment.largest_side = {}",
                        set->too_large, s.largest_side));
    if (set->repeated > 0)
        map_notes_.push_back(fmt::format("left out: {} of the maps, equal to others", set->repeated));
    for (auto* maps : {&set->training, &set->held_out}) std::ranges::move(*maps, std::back_inserter(maps_));
    return {};
}

/// The first scenarios are trained on, those after them held out, as long as there are some. Those that repeat
/// earlier ones, or whose start is the goal, are skipped.
Outcome<void> GridWorld::add_scenarios(const NavigationSettings& s) {
    const std::string& path = s.goals.front();
    const Outcome<std::vector<Scenario>> scenarios = read_scenarios(path, map_.rows, map_.columns);
    if (!scenarios) return refuse("environment.goals: " + scenarios.error().text);
    if (Outcome<void> fits = check_memory(s.training_tasks + s.held_out_tasks); !fits) return fits;
    FarScenarios far;
    for (const Scenario& scenario : *scenarios) {
        std::vector<GridTask>& side = std::ssize(training_) < s.training_tasks ? training_ : held_out_;
        if (&side == &held_out_ && std::ssize(held_out_) >= s.held_out_tasks) break;
        if (scenario.start == scenario.goal) continue;
        GridTaskSettings settings = common_;
        settings.start = scenario.start;
        settings.goal = scenario.goal;
        Result<GridTask> task = GridTask::make(map_, settings);
        if (!task) return refuse(task.error(), fmt::format("environment.goals: {}: line {}", path, scenario.line));
        if (contains(training_, *task) || contains(held_out_, *task)) continue;
        far.see(*task, scenario);
        side.push_back(*std::move(task));
    }
    if (training_.empty()) return refuse("environment.goals: " + path + ": every start is its goal");
    if (far.count > 0) return refuse(far.refusal(path, training_.size() + held_out_.size(), s.horizon));
    return {};
}

Outcome<GridTask> GridWorld::parse_task(const std::string& description) const {
    GridTaskSettings settings = common_;
    const StoredMap* map = maps_.empty() ? &map_ : nullptr;
    const Outcome<void> read = for_each_part(description, [&](std::string_view key, std::string_view value) {
        if (key == "map" && !maps_.empty()) {
            const auto found = std::ranges::find(maps_, value, &NamedMap::name);
            map = found == maps_.end() ? nullptr : &found->map;
            return map != nullptr;
        }
        if (key == "goal") {
            const auto cell = numbers<int>(value, 2);
            if (cell) settings.goal = GridCell{(*cell)[0], (*cell)[1]};
            return cell.has_value();
        }
        if (key == "start") {
            const auto cell = numbers<int>(value, 2);
            if (cell) settings.start = GridCell{(*cell)[0], (*cell)[1]};
            return cell.has_value();
        }
        if (key == "moves") {
            const auto moves = numbers<std::uint8_t>(value, static_cast<std::size_t>(settings.action_count()));
            if (moves) std::ranges::copy(*moves, settings.moves.begin());
            return moves.has_value();
        }
        const auto probability = numbers<float>(value, 1);
        if ((key != "wind" && key != "slip") || !probability) return false;
        const float p = probability->front();
        (key == "wind" ? settings.wind : settings.slip) = p;
        return p >= 0.0f && p <= 1.0f;
    });
    if (!read) return tl::unexpected(read.error());
    if (!settings.goal) return refuse(fmt::format("cannot read \"{}\"; it needs a goal=R,C", description));
    if (map == nullptr)
        return refuse(fmt::format(
            "cannot read \"{}\"; with environment.maps it needs the map's name, map=NAME;goal=R,C", description));
    return GridTask::make(*map, settings).map_error([&](const Error& e) {
        return dunlin::describe(e, description);
    });
}

/// Of many tasks on a large map.
Outcome<void> GridWorld::check_memory(int tasks) const {
    const auto cells = static_cast<std::size_t>(map_.rows) * static_cast<std::size_t>(map_.columns);
    const std::size_t bytes =
        static_cast<std::size_t>(tasks) * (GridNavigation::bytes(static_cast<int>(cells)) + cells);
    if (bytes <= machine_memory()) return {};
    return refuse(
        fmt::format("{} tasks on a map of {} cells take {:.1f} GB of memory, and this machine has {:.1f}; lower "
                    "environment.training_tasks and environment.held_out_tasks, or take a smaller map",
                    tasks, cells, static_cast<double>(bytes) / 1e9, static_cast<double>(machine_memory()) / 1e9));
}

void GridWorld::make_room_for_optima() {
    for (TaskSet set : {TaskSet::training, TaskSet::held_out}) {
        (set == TaskSet::training ? training_optima_ : held_out_optima_)
            .resize(tasks(set).size(), TaskOutcome::none);
    }
}

}  // namespace dunlin
