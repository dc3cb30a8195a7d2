// SPDX-License-Identifier: Apache-2.0
#include "training/navigation/map_set.hpp"

#include "training/navigation/grid_world.hpp"

#include <filesystem>
#include <fstream>
#include <set>

#include <catch2/catch.hpp>
#include <unistd.h>

using namespace dunlin;
using Catch::Contains;

namespace {

/// A folder of maps that is gone with its test.
class MapFolder {
public:
    MapFolder() {
        std::string name = (std::filesystem::temp_directory_path() / "dunlin-maps-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        path_ = name;
    }
    ~MapFolder() { std::filesystem::remove_all(path_); }
    MapFolder(const MapFolder&) = delete;
    MapFolder& operator=(const MapFolder&) = delete;

    void add(const std::string& name, const std::vector<std::string>& rows) const {
        std::ofstream file(path_ / name);
        file << "type octile\nheight " << rows.size() << "\nwidth " << rows.front().size() << "\nmap\n";
        for (const std::string& row : rows) file << row << "\n";
    }
    std::string path() const { return path_.string(); }

private:
    std::filesystem::path path_;
};

NavigationSettings sampled(const std::vector<std::string>& maps) {
    NavigationSettings s;
    s.tasks = TaskSource::sampled;
    s.maps = maps;
    s.training_tasks = 7;
    s.held_out_tasks = 4;
    return s;
}

std::vector<std::string> names_of(const std::vector<NamedMap>& maps) {
    std::vector<std::string> names;
    for (const NamedMap& one : maps) names.push_back(one.name);
    return names;
}

}  // namespace

TEST_CASE("Maps of a set have one frame, in which cells keep their place") {
    const MapFolder folder;
    folder.add("b.map", {"....", ".@@.", "...."});
    folder.add("a.map", {"..", "..", "..", "@."});
    folder.add("notes.txt", {"no map"});
    NavigationSettings s = sampled({folder.path(), "empty-2x3"});
    s.held_out_maps = {"empty-3x3"};
    const auto set = read_map_set(s);
    REQUIRE(set);
    REQUIRE(names_of(set->training) == std::vector<std::string>{"a", "b", "empty-2x3"});
    REQUIRE(names_of(set->held_out) == std::vector<std::string>{"empty-3x3"});
    REQUIRE(set->rows() == 4);
    REQUIRE(set->columns() == 4);
    REQUIRE(set->training[0].map.text == "..##..##..###.##");
    REQUIRE(set->training[1].map.text == ".....##.....####");
    REQUIRE(set->held_out[0].map.text == "...#...#...#####");
}

TEST_CASE("A quarter of the maps is held out by the seed, and no map is on both sides") {
    std::vector<std::string> maps;
    for (int side = 2; side <= 10; ++side) maps.push_back("empty-" + std::to_string(side) + "x3");
    std::set<std::vector<std::string>> choices;
    for (std::uint64_t seed = 1; seed <= 8; ++seed) {
        NavigationSettings s = sampled(maps);
        s.seed = seed;
        const auto set = read_map_set(s);
        REQUIRE(set);
        REQUIRE(set->held_out.size() == 3);
        REQUIRE(set->training.size() == 6);
        std::vector<std::string> all = names_of(set->training), held_out = names_of(set->held_out);
        all.insert(all.end(), held_out.begin(), held_out.end());
        REQUIRE(std::set<std::string>(all.begin(), all.end()).size() == 9);
        choices.insert(held_out);
        REQUIRE(names_of(read_map_set(s)->held_out) == held_out);
    }
    REQUIRE(choices.size() > 1);
}

TEST_CASE("Equal maps count once, and one that is held out is not trained on") {
    NavigationSettings s = sampled({"empty-3x3", "empty-4x4", "empty-3x3"});
    s.held_out_maps = {"empty-4x4", "empty-4x4"};
    const auto set = read_map_set(s);
    REQUIRE(set);
    REQUIRE(names_of(set->training) == std::vector<std::string>{"empty-3x3"});
    REQUIRE(names_of(set->held_out) == std::vector<std::string>{"empty-4x4"});
    REQUIRE(set->repeated == 3);
}

TEST_CASE("Maps of a folder that are too large are left out, which is said") {
    const MapFolder folder;
    folder.add("small.map", {"...", "..."});
    folder.add("tall.map", {"..", "..", "..", ".."});
    folder.add("wide.map", {".....", "....."});
    NavigationSettings s = sampled({folder.path(), "empty-2x2"});
    s.largest_side = 4;
    const auto set = read_map_set(s);
    REQUIRE(set);
    REQUIRE(set->too_large == 1);
    const auto world = GridWorld::make(s);
    REQUIRE(world);
    std::string notes;
    for (const std::string& note : world->notes()) notes += note + "\n";
    REQUIRE_THAT(notes,
                 Contains("left out: 1 of the maps, a side of which is longer than environment.largest_side = 4"));
    s.maps.push_back("empty-5x5");
    const auto named = read_map_set(s);
    REQUIRE_FALSE(named);
    REQUIRE_THAT(named.error().text, Contains("empty-5x5") && Contains("environment.largest_side = 4"));
}

TEST_CASE("Tasks are shared out among the maps, and every one says its map") {
    NavigationSettings s = sampled({"empty-4x4", "empty-5x3"});
    s.held_out_maps = {"empty-6x2", "empty-3x3"};
    auto world = GridWorld::make(s);
    REQUIRE(world);
    const std::vector<std::string> training = world->names(TaskSet::training),
                                   held_out = world->names(TaskSet::held_out);
    REQUIRE(training.size() == 7);
    REQUIRE(held_out.size() == 4);
    for (std::size_t k = 0; k < training.size(); ++k)
        REQUIRE_THAT(training[k], Contains(k < 4 ? "empty-4x4, goal" : "empty-5x3, goal"));
    for (const GridNavigation& task : world->environments(TaskSet::held_out)) {
        REQUIRE(task.rows() == 6);
        REQUIRE(task.columns() == 4);
    }
    const auto added = world->add_held_out("map=empty-6x2;goal=5,1");
    REQUIRE(added);
    REQUIRE_FALSE(world->grid_task(TaskSet::held_out, *added)->environment().connected(2));  // outside of 6 x 2
    REQUIRE_THAT(world->add_held_out("goal=1,1").error().text, Contains("map=NAME"));
    REQUIRE_THAT(world->add_held_out("map=empty-9x9;goal=1,1").error().text, Contains("map=empty-9x9"));
}

TEST_CASE("A set of maps that cannot be is refused with the setting") {
    const MapFolder folder;
    const auto refusal = [](const NavigationSettings& s) {
        const auto world = GridWorld::make(s);
        REQUIRE_FALSE(world);
        return world.error().text;
    };
    REQUIRE_THAT(refusal(sampled({folder.path()})), Contains("environment.maps") && Contains(".map"));
    REQUIRE_THAT(refusal(sampled({folder.path() + "/none.map"})),
                 Contains("environment.maps: ") && Contains("none.map"));
    REQUIRE_THAT(refusal(sampled({"empty-3x3"})), Contains("of one map none can be held out"));
    NavigationSettings s = sampled({"empty-3x3", "empty-4x4"});
    s.tasks = TaskSource::three;
    REQUIRE_THAT(refusal(s), Contains("environment.tasks = sampled"));
    s = sampled({"empty-3x3", "empty-4x4", "empty-5x5"});
    s.held_out_maps = {"empty-6x6"};
    s.training_tasks = 2;
    REQUIRE_THAT(refusal(s), Contains("environment.training_tasks = 2: there are 3 such maps"));
    s = sampled({});
    s.held_out_maps = {"empty-6x6"};
    REQUIRE_THAT(refusal(s), Contains("environment.held_out_maps"));
    s = sampled({"empty-3x3"});
    s.held_out_maps = {"empty-3x3"};
    REQUIRE_THAT(refusal(s), Contains("none is left to train on") && Contains("1 equal to others"));
}
