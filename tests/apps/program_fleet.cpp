// SPDX-License-Identifier: Apache-2.0
#include "program.hpp"

#include <csignal>
#include <cstdlib>

#include <catch2/catch.hpp>

using namespace dunlin::program;
using Catch::Matchers::Contains;

namespace {

/// Where the program makes its temporary directory.
class Scratch {
public:
    Scratch() { setenv("TMPDIR", folder_.path().c_str(), 1); }
    ~Scratch() { unsetenv("TMPDIR"); }
    const Folder& folder() const { return folder_; }
    bool empty() const { return std::filesystem::is_empty(folder_.path()); }

private:
    Folder folder_;
};

}  // namespace

TEST_CASE("the fleet demo learns in both modes with real processes and leaves nothing behind") {
    const Scratch scratch;
    Running demo(scratch.folder(), {"fleet", "demo", "--nodes", "3", "--rounds", "80", "--seed", "3", "--json"});
    const Ended ended = demo.wait();
    INFO(ended.err);
    REQUIRE(ended.code == 0);
    const auto result = nlohmann::json::parse(ended.out);
    REQUIRE(result["modes"].size() == 2);
    CHECK(result["modes"][0]["method"] == "persafl-me");
    CHECK(result["modes"][1]["method"] == "pars-push");
    for (const auto& mode : result["modes"]) {
        CHECK(mode["updates"] > 50);
        CHECK(mode["seconds"] > 0);
        REQUIRE(mode["tasks"].size() == 3);
        for (const auto& task : mode["tasks"]) CHECK((task["return_ratio"] > 0.1 && task["return_ratio"] <= 1.0));
    }
    CHECK(scratch.empty());
    CHECK(demo.everyone_ends());
}

TEST_CASE("a fleet demo that is interrupted, or killed, leaves no process and no file behind") {
    for (const int signal : {SIGINT, SIGTERM, SIGKILL}) {
        const Scratch scratch;
        Running demo(scratch.folder(), {"fleet", "demo", "--nodes", "3", "--rounds", "10000"});
        REQUIRE(demo.wait_for_error_text("PersA-FL"));
        CHECK_FALSE(scratch.empty());
        demo.send(signal);
        const Ended ended = demo.wait();
        INFO(signal << ": " << ended.err);
        if (signal == SIGKILL) {
            CHECK(ended.signal == SIGKILL);
        } else {
            CHECK(ended.code == 130);
        }
        CHECK(scratch.empty());
        CHECK(demo.everyone_ends());
    }
}

TEST_CASE("wrong input to the fleet's commands is refused with what is expected") {
    const Folder folder;
    CHECK(run(folder, {"fleet", "demo", "--nodes", "1"}).code == 2);
    CHECK(run(folder, {"fleet", "demo", "--nodes", "eight"}).code == 2);
    const Ended nothing = run(folder, {"fleet"});
    CHECK(nothing.code == 2);
    CHECK_THAT(nothing.err, Contains("fleet --help"));
}
