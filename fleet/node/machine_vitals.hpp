// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "transport/messages.hpp"

#include <filesystem>

namespace dunlin {

/// How this machine is, of Linux: the hottest of /sys/class/thermal and /sys/class/hwmon, the last minute's load of
/// /proc/loadavg over the processors, the emptiest battery of /sys/class/power_supply (of the machine, not of a mouse),
/// and what is free where `directory` lies. `root` stands for "/". What is not there, or is no number, stays unknown.
Vitals read_vitals(const std::filesystem::path& root, const std::filesystem::path& directory);

}  // namespace dunlin
