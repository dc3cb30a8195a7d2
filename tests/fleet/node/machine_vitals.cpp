// SPDX-License-Identifier: Apache-2.0
#include "fleet/node/machine_vitals.hpp"

#include <cmath>
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
    const Vitals vitals = read_vitals(machine.root, machine.root / "no such folder");
    CHECK(std::isnan(vitals.temperature));
    CHECK(std::isnan(vitals.load));
    CHECK(std::isnan(vitals.battery));
    CHECK(std::isnan(vitals.disk));
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
    const Vitals vitals = read_vitals(machine.root, machine.root);
    CHECK(vitals.temperature == Approx(55.5f));
    CHECK(vitals.battery == Approx(12.0f));
    CHECK(vitals.load == Approx(1.5f / static_cast<float>(std::max(1u, std::thread::hardware_concurrency()))));
    CHECK(vitals.disk > 0);
    CHECK(vitals.disk <= 100);
}
