// SPDX-License-Identifier: Apache-2.0
#include "fleet/node/machine_vitals.hpp"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>

#include <catch2/catch.hpp>

using namespace dunlin;

namespace {

/// A machine's /sys and /proc, as far as the test writes them.
struct Machine {
    std::filesystem::path root;
    Machine() {
        std::string name = (std::filesystem::temp_directory_path() / "dunlin-vitals-XXXXXX").string();
        REQUIRE(mkdtemp(name.data()) != nullptr);
        root = name;
    }
    ~Machine() { std::filesystem::remove_all(root); }
    void write(const std::string& path, const std::string& text) const {
        std::filesystem::create_directories((root / path).parent_path());
        std::ofstream(root / path) << text;
    }
};

}  // namespace

TEST_CASE("a machine that has no sensors says nothing of them") {
    const Machine machine;
    CHECK(read_vitals(machine.root, machine.root / "no such folder").empty());
}

TEST_CASE("the hottest sensor, the emptiest battery, the load a processor and the disk's free part are read") {
    const Machine machine;
    machine.write("sys/class/thermal/thermal_zone0/temp", "41234\n");
    machine.write("sys/class/thermal/thermal_zone1/temp", "-274000\n");  // not connected
    machine.write("sys/class/thermal/cooling_device0/temp", "99000\n");
    machine.write("sys/class/hwmon/hwmon0/temp1_input", "55500\n");
    machine.write("sys/class/hwmon/hwmon0/temp2_input", "no number\n");
    machine.write("sys/class/hwmon/hwmon0/fan1_input", "90000\n");
    machine.write("sys/class/power_supply/BAT0/type", "Battery\n");
    machine.write("sys/class/power_supply/BAT0/capacity", "73\n");
    machine.write("sys/class/power_supply/BAT1/type", "Battery\n");
    machine.write("sys/class/power_supply/BAT1/capacity", "12\n");
    machine.write("sys/class/power_supply/mouse/type", "Battery\n");
    machine.write("sys/class/power_supply/mouse/scope", "Device\n");
    machine.write("sys/class/power_supply/mouse/capacity", "3\n");
    machine.write("sys/class/power_supply/AC/type", "Mains\n");
    machine.write("proc/loadavg", "1.50 0.20 0.10 1/234 567\n");
    const std::vector<Metric> vitals = read_vitals(machine.root, machine.root);
    REQUIRE(vitals.size() == 4);
    CHECK(vitals[0].name == "temperature");
    CHECK(vitals[0].value == Approx(55.5));
    CHECK(vitals[1].value == Approx(1.5 / std::max(1u, std::thread::hardware_concurrency())));
    CHECK(vitals[2].value == Approx(12));
    CHECK(vitals[3].name == "disk");
    CHECK(vitals[3].value > 0);
    CHECK(vitals[3].value <= 100);
}
