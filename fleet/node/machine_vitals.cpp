// SPDX-License-Identifier: Apache-2.0
#include "fleet/node/machine_vitals.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <string>
#include <thread>

#include <sys/statvfs.h>

namespace dunlin {
namespace {

namespace fs = std::filesystem;

float number_in(const fs::path& path) {
    std::ifstream file(path);
    float number = 0;
    return file >> number ? number : Vitals::unknown;
}

std::string word_in(const fs::path& path) {
    std::ifstream file(path);
    std::string word;
    file >> word;
    return word;
}

/// What `take` finds in each folder of a folder, if there is one.
template <class Take>
void each(const fs::path& folder, const Take& take) {
    std::error_code error;
    for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) take(at->path());
}

}  // namespace

Vitals read_vitals(const fs::path& root, const fs::path& directory) {
    Vitals vitals;
    const auto hotter = [&vitals](float thousandths) {
        constexpr float coldest = -60'000, hottest = 200'000;  // what a sensor says that is not connected
        if (thousandths > coldest && thousandths < hottest) vitals.temperature = std::fmax(vitals.temperature, thousandths / 1000);
    };
    each(root / "sys/class/thermal", [&](const fs::path& zone) {
        if (zone.filename().string().starts_with("thermal_zone")) hotter(number_in(zone / "temp"));
    });
    each(root / "sys/class/hwmon", [&](const fs::path& chip) {
        each(chip, [&](const fs::path& file) {
            const std::string name = file.filename().string();
            if (name.starts_with("temp") && name.ends_with("_input")) hotter(number_in(file));
        });
    });
    vitals.load = number_in(root / "proc/loadavg") / static_cast<float>(std::max(1u, std::thread::hardware_concurrency()));
    each(root / "sys/class/power_supply", [&](const fs::path& supply) {
        if (word_in(supply / "type") == "Battery" && word_in(supply / "scope") != "Device")
            vitals.battery = std::fmin(vitals.battery, number_in(supply / "capacity"));
    });
    struct statvfs disk {};
    if (::statvfs(directory.c_str(), &disk) == 0 && disk.f_blocks > 0)
        vitals.disk = 100 * static_cast<float>(disk.f_bavail) / static_cast<float>(disk.f_blocks);
    return vitals;
}

}  // namespace dunlin
