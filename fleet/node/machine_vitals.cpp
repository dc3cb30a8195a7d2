// SPDX-License-Identifier: Apache-2.0
#include "fleet/node/machine_vitals.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <string>
#include <thread>

#include <sys/statvfs.h>

namespace dunlin {
namespace {

namespace fs = std::filesystem;

constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

double number_in(const fs::path& path) {
    std::ifstream file(path);
    double number = 0;
    return file >> number ? number : unknown;
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

std::vector<Metric> read_vitals(const fs::path& root, const fs::path& directory) {
    double temperature = unknown, battery = unknown;
    const auto hotter = [&temperature](double thousandths) {
        constexpr double coldest = -60'000,
                         hottest = 200'000;  // beyond is what a sensor says that is not connected
        if (thousandths > coldest && thousandths < hottest)
            temperature = std::fmax(temperature, thousandths / 1000);
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
    each(root / "sys/class/power_supply", [&](const fs::path& supply) {
        if (word_in(supply / "type") == "Battery" && word_in(supply / "scope") != "Device")
            battery = std::fmin(battery, number_in(supply / "capacity"));
    });
    const double load = number_in(root / "proc/loadavg") / std::max(1u, std::thread::hardware_concurrency());
    struct statvfs disk {};
    const bool told = ::statvfs(directory.c_str(), &disk) == 0 && disk.f_blocks > 0;
    const double free =
        told ? 100 * static_cast<double>(disk.f_bavail) / static_cast<double>(disk.f_blocks) : unknown;
    std::vector<Metric> vitals{{"temperature", temperature}, {"load", load}, {"battery", battery}, {"disk", free}};
    std::erase_if(vitals, [](const Metric& vital) { return std::isnan(vital.value); });
    return vitals;
}

}  // namespace dunlin
