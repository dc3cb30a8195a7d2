// SPDX-License-Identifier: Apache-2.0
#include "training/settings/settings.hpp"

#include "training/navigation/navigation.hpp"
#include "training/problems/classification_fleet.hpp"
#include "training/problems/decentralised_fleet.hpp"
#include "training/problems/navigation_fleet.hpp"
#include "training/problems/pdbo_fleet.hpp"
#include "training/problems/ranking_fleet.hpp"
#include "training/problems/regression_fleet.hpp"
#include "training/settings/method_settings.hpp"

#include <set>
#include <sstream>

#include <catch2/catch.hpp>
#include <fmt/format.h>

using namespace dunlin;

namespace {

enum class Colour : std::uint8_t { red, blue };

struct Values {
    bool loud = false;
    int count = 3;
    std::uint64_t seed = 1;
    float rate = 0.5f;
    std::string name = "plain";
    std::vector<int> widths{4, 5};
    std::vector<std::string> goals;
    Colour colour = Colour::red;

    friend bool operator==(const Values&, const Values&) = default;
};

Settings list_of(Values& values) {
    Settings list;
    list.add("seed", values.seed, "the seed");
    list.add("name", values.name, "a name");
    list.add("part.loud", values.loud, "whether");
    list.add("part.count", values.count, "how many", {1, 10});
    list.add("part.rate", values.rate, "how fast", {0, 1, true});
    list.add("part.widths", values.widths, "widths", {1, 64});
    list.add("part.goals", values.goals, "goals");
    list.add("part.colour", values.colour, "which", {{"red", Colour::red}, {"blue", Colour::blue}});
    return list;
}

/// The problem with a document; the values stay as they were.
std::string failure_of(const std::string& toml) {
    Values values;
    const Outcome<void> read = list_of(values).read(toml, "x.toml");
    REQUIRE_FALSE(read);
    CHECK(values == Values{});
    return read.error().text;
}

std::string failure_of_set(const std::string& assignment) {
    Values values;
    const Outcome<void> set = list_of(values).set(assignment);
    REQUIRE_FALSE(set);
    CHECK(values == Values{});
    return set.error().text;
}

using Catch::Matchers::Contains;

}  // namespace

TEST_CASE("a document sets the values it names and leaves the others") {
    Values values;
    REQUIRE(
        list_of(values).read("seed = 12\n[part]\nloud = true\nwidths = []\ngoals = ['1,2', \"3,4\"]\n"
                             "colour = 'blue'\nrate = 1\n",
                             "x.toml"));
    CHECK(values.seed == 12);
    CHECK(values.loud);
    CHECK(values.widths.empty());
    CHECK(values.goals == std::vector<std::string>{"1,2", "3,4"});
    CHECK(values.colour == Colour::blue);
    CHECK(values.rate == 1.0f);
    CHECK(values.count == 3);
    CHECK(values.name == "plain");
}

TEST_CASE("what is written reads back as the same values") {
    Values values;
    values.rate = 0.1f + 0.2f;
    values.seed = 9'007'199'254'740'993u;    // beyond a double's whole numbers
    values.name = "quote \" back\\slash ü";  // a tab is refused: one line without control characters
    values.goals = {"a", "b, c"};
    values.colour = Colour::blue;
    const std::string text = list_of(values).write();
    Values again;
    const Outcome<void> read = list_of(again).read(text, "again");
    INFO(text);
    REQUIRE(read);
    CHECK(again == values);
    CHECK(list_of(again).write() == text);
    CHECK_THAT(text, Contains("# how many"));
}

TEST_CASE("an unknown key is named with its line and the nearest key") {
    CHECK_THAT(failure_of("seed = 1\n[part]\ncuont = 3\n"),
               Contains("x.toml:3") && Contains("part.cuont") && Contains("did you mean part.count?"));
    CHECK_THAT(failure_of("sed = 1\n"), Contains("did you mean seed?"));
    CHECK_THAT(failure_of("[prat]\ncount = 3\n"), Contains("x.toml:1") && Contains("[prat]"));
    CHECK_THAT(failure_of("part = 3\n"), Contains("part"));
    CHECK_THAT(failure_of("[seed]\n"), Contains("seed"));
}

TEST_CASE("a value of the wrong type or out of range is named with what is expected") {
    CHECK_THAT(failure_of("[part]\ncount = 2.5\n"),
               Contains("x.toml:2") && Contains("part.count = 2.5") && Contains("a whole number"));
    CHECK_THAT(failure_of("[part]\ncount = 0\n"), Contains("at least 1 and at most 10"));
    CHECK_THAT(failure_of("[part]\ncount = 11\n"), Contains("part.count = 11"));
    CHECK_THAT(failure_of("[part]\ncount = 99999999999999999\n"), Contains("part.count"));
    CHECK_THAT(failure_of("[part]\nrate = 0\n"), Contains("above 0 and at most 1"));
    CHECK_THAT(failure_of("[part]\nrate = nan\n"), Contains("part.rate"));
    CHECK_THAT(failure_of("[part]\nrate = 'fast'\n"), Contains("a number"));
    CHECK_THAT(failure_of("[part]\nloud = 1\n"), Contains("true or false"));
    CHECK_THAT(failure_of("[part]\nwidths = [1, 'a']\n"), Contains("a list of whole numbers"));
    CHECK_THAT(failure_of("[part]\nwidths = [0]\n"), Contains("each at least 1"));
    CHECK_THAT(failure_of("[part]\ngoals = [1.5]\n"), Contains("a list of strings"));
    CHECK_THAT(failure_of("[part]\ncolour = 'green'\n"), Contains("one of red, blue"));
    CHECK_THAT(failure_of("seed = -1\n"), Contains("a whole number from 0 to"));
    CHECK_THAT(failure_of("name = 3\n"), Contains("a string"));
    CHECK_THAT(failure_of("name = \"a\\nb\"\n"), Contains("of one line"));
    CHECK_THAT(failure_of("name = \"a\\u001Bb\"\n"), Contains("control"));
    CHECK_THAT(failure_of("[part]\ngoals = [\"a\\nb\"]\n"), Contains("one line"));
}

TEST_CASE("what is not TOML is named with its line") {
    CHECK_THAT(failure_of("seed = 1\nname = \n"), Contains("x.toml:2"));
    CHECK_THAT(failure_of("seed = 1\nseed = 2\n"), Contains("x.toml:2"));
}

TEST_CASE("an assignment takes TOML values, and bare words for strings and names") {
    Values values;
    Settings list = list_of(values);
    REQUIRE(list.set("name=maps/a.map"));
    REQUIRE(list.set("part.widths=[8, 9]"));
    REQUIRE(list.set("part.colour=blue"));
    REQUIRE(list.set("part.rate=1e-3"));
    REQUIRE(list.set("part.loud=true"));
    CHECK(values.name == "maps/a.map");
    CHECK(values.widths == std::vector<int>{8, 9});
    CHECK(values.colour == Colour::blue);
    CHECK(values.rate == 1e-3f);
    CHECK(values.loud);
    REQUIRE(list.set("name=a = b # c"));
    CHECK(values.name == "a = b # c");
}

TEST_CASE("a wrong assignment is named as it was typed") {
    CHECK_THAT(failure_of_set("part.count"), Contains("--set part.count") && Contains("KEY=VALUE"));
    CHECK_THAT(failure_of_set("=3"), Contains("KEY=VALUE"));
    CHECK_THAT(failure_of_set("part.cuont=3"), Contains("did you mean part.count?"));
    CHECK_THAT(failure_of_set("part.count=many"), Contains("--set part.count=many") && Contains("a whole number"));
    CHECK_THAT(failure_of_set("part.count=3\npart.rate=1"), Contains("part.count"));
}

TEST_CASE("the help names every key, its range and its value") {
    Values values;
    const std::string help = list_of(values).help();
    for (const char* part :
         {"part.count", "how many", "at least 1 and at most 10", "one of red, blue", "now [4, 5]"})
        CHECK_THAT(help, Contains(part));
    CHECK(list_of(values).value("part.count") == "3");
    CHECK(list_of(values).value("part.cuont").empty());
}

TEST_CASE("what is written of any kind's settings opens every section once, so that it can be read again") {
    const auto opens_once = [](auto settings, auto list_of) {
        std::istringstream lines(list_of(settings).write());
        std::set<std::string> sections;
        for (std::string line; std::getline(lines, line);) {
            if (!line.starts_with("[")) continue;
            INFO(line);
            CHECK(sections.insert(line).second);
        }
        CHECK(sections.size() > 2);
    };
    opens_once(ClassificationSettings(), classification_settings);
    opens_once(DecentralisedSettings(), decentralised_settings);
    opens_once(FleetNavigationSettings(), fleet_navigation_settings);
    opens_once(NavigationSettings(), navigation_settings);
    opens_once(PdboSettings(), pdbo_settings);
    opens_once(RankingSettings(), ranking_settings);
    opens_once(RegressionRunSettings(), regression_settings);
}

TEST_CASE("any cut of a document, and any change of a byte, is read or refused") {
    NavigationSettings settings;
    const std::string text = navigation_settings(settings).write();
    std::size_t refused = 0;
    for (std::size_t k = 0; k < text.size(); ++k) {
        std::string changed = text;
        changed[k] = static_cast<char>(changed[k] ^ (1 << (k % 8)));
        for (const std::string& document : {text.substr(0, k), changed}) {
            NavigationSettings read;
            if (const Outcome<void> done = navigation_settings(read).read(document, "x"); !done) {
                ++refused;
                if (done.error().text.find('\n') != std::string::npos) FAIL(done.error().text);
            }
        }
    }
    CHECK(refused > 0);
    // What toml++ 3.3 itself takes for impossible, in every place that reads TOML.
    NavigationSettings read;
    CHECK_FALSE(navigation_settings(read).read("seed = [}]", "x"));
    CHECK_FALSE(method_settings("seed = [}]", "x"));
}

TEST_CASE("a run that goes on may change what says how long it is and what is reported, and nothing else") {
    NavigationSettings settings;
    Settings list = navigation_settings(settings);
    const auto before = list.values();
    const auto refusal = [&](std::string_view assignment) {
        settings = {};
        const std::string assignments[] = {std::string(assignment)};
        REQUIRE(list.set(assignments));
        const Outcome<void> checked = list.check_resumed(before, assignments);
        return checked ? std::string() : checked.error().text;
    };
    CHECK(refusal("rl.iterations=7") == "");
    CHECK(refusal("report.evaluate_every=7") == "");
    CHECK(refusal(fmt::format("rl.horizon={}", list.value("rl.horizon"))) == "");
    CHECK(refusal("rl.horizon=7").starts_with("rl.horizon: the run was made with "));
    CHECK(refusal("seed=7").starts_with("seed: the run was made with 1, "));

    DecentralisedSettings other;
    Settings others = decentralised_settings(other);
    const auto had = others.values();
    other.batch = 5;  // as who edits the file does
    CHECK_FALSE(others.check_resumed(had, {}));
}

TEST_CASE("a preset that changes a run is refused by its own name, and by what it stands for where that was said") {
    FleetNavigationSettings settings;
    Settings list = fleet_navigation_settings(settings);
    const auto before = list.values();
    for (const std::string_view key : {"method.name", "aggregation.name"}) {
        settings = {};
        const std::string assignments[] = {fmt::format("{}=dpsgd", key)};
        REQUIRE(list.set(assignments));
        const Outcome<void> checked = list.check_resumed(before, assignments);
        REQUIRE_FALSE(checked);
        CHECK(checked.error().text.starts_with(fmt::format("{}: ", key)));
    }
}
