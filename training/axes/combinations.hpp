// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/axes/axes.hpp"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dunlin {

/// Why two or more members of the axes cannot be combined.
enum class RefusalKind : std::uint8_t {
    none,
    mathematics,
    memory,  ///< of a device
    privacy,
    not_built
};
std::string_view name_of(RefusalKind kind);

enum class LinkName : std::uint8_t { simulated, zeromq, serial, mpi };
std::string_view name_of(LinkName link);

/// What a task says of itself, for what it can be combined with.
struct TaskTraits {
    std::string_view name;
    std::string_view experiment;  ///< that runs it
    std::string_view settings =
        {};                  ///< KEY=VALUE that make the experiment this task; "" where it is that as it stands
    bool linear = false;     ///< one layer, and judged by its distance from an exact minimiser
    bool has_layers = true;  ///< of which a node can keep some
    bool on_real_nodes = false;
    bool on_boards = false;
};
std::span<const TaskTraits> task_traits();

/// One of all: a task, an objective, an aggregation and a link.
struct Combination {
    const TaskTraits* task = nullptr;
    Objective objective = Objective::plain;
    std::string_view aggregation;
    LinkName link = LinkName::simulated;
    RefusalKind refused = RefusalKind::none;
    std::string reason;  ///< why, and what to take instead; "" where it is allowed

    bool allowed() const { return refused == RefusalKind::none; }
};
/// Of Dunlin's tasks, and of `more`, which outlive them.
std::vector<Combination> all_combinations(std::span<const TaskTraits> more = {});

}  // namespace dunlin
