// SPDX-License-Identifier: Apache-2.0
#include "envs/map_file.hpp"
#include "envs/navigation_tasks.hpp"
#include "source_dir.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <unistd.h>

using namespace dunlin;

namespace {

Error error_of(const Result<StoredMap>& result) {
    REQUIRE_FALSE(result.has_value());
    return result.error();
}

Result<StoredMap> rows(std::vector<std::string_view> lines) {
    return parse_rows(lines);
}

const std::string header = "type octile\nheight 2\nwidth 3\nmap\n";

int free_cells(const StoredMap& map) {
    return static_cast<int>(std::count(map.text.begin(), map.text.end(), '.'));
}

/// A task whose goal is some free cell starts in all the others.
bool connected(const StoredMap& map) {
    GridTaskSettings settings;
    settings.goal = GridMap(map).cell(static_cast<int>(map.text.find('.')));
    const auto task = GridTask::make(map, settings);
    return task && static_cast<int>(task->environment().starts().size()) == free_cells(map) - 1;
}

/// A file that disappears with the test.
struct TemporaryFile {
    std::string path = (std::filesystem::temp_directory_path() / "dunlin-map-XXXXXX").string();
    explicit TemporaryFile(const std::string& contents) {
        close(mkstemp(path.data()));
        std::ofstream(path, std::ios::binary) << contents;
    }
    ~TemporaryFile() { std::filesystem::remove(path); }
};

}  // namespace

TEST_CASE("a map in MovingAI's format is read as it stands") {
    const auto map = parse_map(header + "..@\n.T.\n");
    REQUIRE(map);
    CHECK(*map == StoredMap{"..#.#.", 2, 3});
    const GridMap view = *map;
    CHECK(view.valid());
    CHECK(view.free(GridCell{0, 1}));
    CHECK_FALSE(view.free(GridCell{0, 2}));
    CHECK_FALSE(view.free(GridCell{1, 1}));
    CHECK_FALSE(view.free(GridCell{2, 0}));
    CHECK_FALSE(view.free(GridCell{0, -1}));
    CHECK(view.cell(5) == GridCell{1, 2});
    CHECK(view.index({1, 2}) == 5);
    CHECK(*parse_map(header + "GS.\nOW.\n") == StoredMap{"...##.", 2, 3});
}

TEST_CASE("carriage returns, a missing last line break and empty last lines do not matter") {
    const StoredMap expected{"..#.#.", 2, 3};
    CHECK(*parse_map("type octile\r\nheight 2\r\nwidth 3\r\nmap\r\n..@\r\n.T.\r\n") == expected);
    CHECK(*parse_map(header + "..@\n.T.") == expected);
    CHECK(*parse_map(header + "..@\n.T.\n\n\r\n") == expected);
}

TEST_CASE("maps as they are in the wild are read: width first, blanks, a byte order mark, '#'") {
    const StoredMap expected{"..#.#.", 2, 3};
    CHECK(*parse_map("type octile\nwidth 3\nheight 2\nmap\n..@\n.T.\n") == expected);
    CHECK(*parse_map("\xef\xbb\xbftype octile\nheight 2\nwidth 3\nmap\n..@\n.T.\n") == expected);
    CHECK(*parse_map("type octile \nheight  2 \nwidth\t3\t\nmap  \n..@ \n.T.\t\r\n  \n \r\n") == expected);
    CHECK(*parse_map(header + "..#\n.#.\n") == expected);
    CHECK(*rows({"..W", "GOS"}) == StoredMap{"..#.#.", 2, 3});
}

TEST_CASE("a wrong header is refused with its line") {
    CHECK(error_of(parse_map("")) == Error{Code::map_header, 1});
    CHECK(error_of(parse_map("type tile\nheight 2\nwidth 3\nmap\n...\n...\n")) == Error{Code::map_header, 1});
    CHECK(error_of(parse_map("type octile\n")) == Error{Code::map_header, 2});
    CHECK(error_of(parse_map("type octile\nheight 3\nheight 2\nmap\n...\n...\n")) == Error{Code::map_header, 3});
    CHECK(error_of(parse_map("type octile\nheight\nwidth 3\nmap\n...\n")) == Error{Code::map_header, 2});
    CHECK(error_of(parse_map("type octile\nheight 2x\nwidth 3\nmap\n...\n")) == Error{Code::map_header, 2});
    CHECK(error_of(parse_map("type octile\nheight 99999999999\nwidth 3\nmap\n")) == Error{Code::map_header, 2});
    CHECK(error_of(parse_map("type octile\nheight 2\nwidth \nmap\n...\n")) == Error{Code::map_header, 3});
    CHECK(error_of(parse_map("type octile\nheight 2\nwidth 3\n...\n...\n")) == Error{Code::map_header, 4});
    CHECK(error_of(parse_map("type octile\nheight 2\nwidth 3")) == Error{Code::map_header, 4});
}

TEST_CASE("sides outside 1 to 2048 are refused") {
    for (const int side : {-1, 0, 2049}) {
        const std::string number = std::to_string(side);
        CHECK(error_of(parse_map("type octile\nheight " + number + "\nwidth 3\nmap\n")) ==
              Error{Code::map_size, side, 3});
        CHECK(error_of(parse_map("type octile\nheight 3\nwidth " + number + "\nmap\n")) ==
              Error{Code::map_size, 3, side});
    }
    CHECK(error_of(rows({})) == Error{Code::map_size, 0, 0});
    CHECK(error_of(rows({""})) == Error{Code::map_size, 1, 0});
    CHECK(error_of(parse_rows(std::vector<std::string_view>(2049, "."))) == Error{Code::map_size, 2049, 1});
    CHECK(parse_rows(std::vector<std::string_view>(2048, std::string_view("........"))).has_value());
}

TEST_CASE("rows of a wrong length are refused with line and length") {
    CHECK(error_of(parse_map(header + "..\n...\n")) == Error{Code::map_row_length, 5, 2});
    CHECK(error_of(parse_map(header + "...\n....\n")) == Error{Code::map_row_length, 6, 4});
    CHECK(error_of(parse_map(header + "...\n....")) == Error{Code::map_row_length, 6, 4});
    CHECK(error_of(rows({"...", ".."})) == Error{Code::map_row_length, 2, 2});
}

TEST_CASE("a truncated map is told from a wrong one") {
    CHECK(error_of(parse_map(header)) == Error{Code::map_truncated, 0, 2});
    CHECK(error_of(parse_map(header + "...\n")) == Error{Code::map_truncated, 1, 2});
    CHECK(error_of(parse_map(header + "...\n..")) == Error{Code::map_truncated, 1, 2});
    const std::string whole = header + "..@\n.T.";
    for (std::size_t length = 0; length < whole.size(); ++length) {
        const auto map = parse_map(whole.substr(0, length));
        const Error error = error_of(map);
        CHECK((error.code == Code::map_header || error.code == Code::map_truncated));
    }
}

TEST_CASE("foreign characters, text after the rows and maps without a free cell are refused") {
    CHECK(error_of(parse_map(header + "..x\n...\n")) == Error{Code::map_character, 5, 3});
    CHECK(error_of(parse_map(header + "...\n #.\n")) == Error{Code::map_character, 6, 1});
    CHECK(error_of(parse_map(header + std::string("...\n.\0.\n", 8))) == Error{Code::map_character, 6, 2});
    CHECK(error_of(parse_map(header + "...\n...\n\n...\n")) == Error{Code::map_rest, 8});
    CHECK(error_of(parse_map(header + "@@@\nTTT\n")) == Error{Code::map_no_free_cell});
    CHECK(error_of(rows({"#?"})) == Error{Code::map_character, 1, 2});
    CHECK(error_of(rows({"#@", "T#"})) == Error{Code::map_no_free_cell});
    CHECK(*rows({"#@", "T."}) == StoredMap{"###.", 2, 2});
}

TEST_CASE("built-in maps are found by name, each connected") {
    for (const std::string_view name : built_in_maps()) {
        INFO(name);
        const auto map = find_map(name);
        REQUIRE(map);
        CHECK(connected(*map));
    }
    CHECK(free_cells(*find_map("four-rooms")) == 104);
    CHECK(*find_map("empty-5x7") == StoredMap{std::string(35, '.'), 5, 7});
    CHECK(find_map("empty-2048x2048").has_value());
    CHECK(error_of(find_map("empty-2049x5")) == Error{Code::map_size, 2049, 5});
    CHECK(error_of(find_map("empty-5x0")) == Error{Code::map_size, 5, 0});
    for (const char* name : {"empty-5", "empty-x5", "empty-5x5x5", "five-rooms", ""}) {
        CHECK(error_of(find_map(name)).code == Code::file_missing);
    }
}

TEST_CASE("a file is read whole, and one that cannot be a map is not") {
    const TemporaryFile good(header + "..@\n.T.\n");
    CHECK(*find_map(good.path) == StoredMap{"..#.#.", 2, 3});
    const TemporaryFile large(header + std::string(17'000'000, '.'));
    CHECK(error_of(load_map(large.path)).code == Code::file_too_large);
    CHECK(error_of(load_map(std::filesystem::temp_directory_path().string())).code == Code::file_missing);
    CHECK(error_of(load_map(good.path + ".not")).code == Code::file_missing);
}

TEST_CASE("an error tells what stands where it is") {
    const auto told = [](const std::string& contents) {
        const TemporaryFile file(contents);
        return text_at(file.path, error_of(load_map(file.path)));
    };
    CHECK(told(header + "..x\n...\n") == "x");
    CHECK(told(header + "..\x1b\n...\n") == "?");
    CHECK(told(header + "....\r\n...\n") == "....");
    CHECK(told("type tile\n") == "type tile");
    CHECK(told(header + "...\n...\n" + std::string(100, 'a')).size() == 43);
    CHECK(told(header + "@@@\n@@@\n").empty());
}

TEST_CASE("the largest map has exact rows and columns, distances and steps, in 9 bytes a cell") {
    const StoredMap map = find_map("empty-2048x2048").value();
    GridTaskSettings settings;
    settings.goal = GridCell{2047, 2047};
    settings.reward = GridReward::dense;
    const auto made = GridTask::make(map, settings);
    REQUIRE(made);
    const GridNavigation& task = made->environment();
    CHECK(GridNavigation::bytes(map.rows * map.columns) <= 9 * std::size_t{2048} * 2048 + 3 * Arena::alignment);
    for (const int cell : {0, 2047, 2048, 65'535, 65'536, 2'097'151, 4'194'302, 4'194'303}) {
        float seen[2];
        task.observe(cell, seen, 1);
        CHECK(seen[0] == static_cast<float>(cell / 2048) * (2.0f / 2047) - 1);
        CHECK(seen[1] == static_cast<float>(cell % 2048) * (2.0f / 2047) - 1);
    }
    CHECK(task.reward_at(0) == 0.0f);
    CHECK(task.reward_at(4'194'302) == 1.0f - 1.0f / 4094);
    CHECK(task.after_action(4'194'302, static_cast<int>(Move::right)) == 4'194'303);
    CHECK(task.after_action(4'194'303, static_cast<int>(Move::right)) == 4'194'303);
    CHECK(task.after_action(4'194'303, static_cast<int>(Move::up)) == 4'194'303 - 2048);
}

TEST_CASE("real maps are read, and their free cells hang together") {
    const std::filesystem::path folder = std::filesystem::path(DUNLIN_SOURCE_DIR) / "../shared/data/movingai-maps";
    if (!std::filesystem::exists(folder)) {
        WARN("no real maps beside the source: skipped");
        return;
    }
    int count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        if (entry.path().extension() != ".map") continue;
        INFO(entry.path().filename().string());
        const auto map = load_map(entry.path().string());
        REQUIRE(map);
        CHECK(connected(*map));
        ++count;
    }
    CHECK(count >= 14);
    CHECK(free_cells(*load_map((folder / "empty-16-16.map").string())) == 256);
    const auto large = load_map((folder / "den312d.map").string());
    CHECK(large->rows == 81);
    CHECK(large->columns == 65);
}
