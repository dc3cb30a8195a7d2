// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "transport/messages.hpp"

#include <filesystem>
#include <vector>

namespace dunlin {

/// How this machine is, of Linux: `temperature`, the hottest of /sys/class/thermal and /sys/class/hwmon in degrees Celsius;
/// `load`, of the last minute (/proc/loadavg), a processor; `battery`, per cent that are left in the emptiest of
/// /sys/class/power_supply (of the machine, not of a mouse); `disk`, per cent that are free where `directory` lies. `root`
/// stands for "/". What is not there, or is no number, is left out.
std::vector<Metric> read_vitals(const std::filesystem::path& root, const std::filesystem::path& directory);

}  // namespace dunlin
