// SPDX-License-Identifier: Apache-2.0
// What the programs say of themselves to shells and to man.
#include "program.hpp"

#include <catch2/catch.hpp>
#include <fmt/format.h>

using namespace dunlin::program;

namespace {

/// What bash offers behind these words, the last of which is being typed.
std::string offered(const Folder& folder, const std::string& words) {
    const Ended ended =
        Running(folder,
                {"-c", "source ./script; COMP_WORDS=(" + words +
                           "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _dunlin; echo \"${COMPREPLY[@]}\""},
                "/bin/bash")
            .wait();
    INFO(ended.err);
    REQUIRE(ended.code == 0);
    return ended.out;
}

}  // namespace

TEST_CASE("bash completes commands and options from the program's own declaration") {
    Folder folder;
    const Ended script = run(folder, {"completion", "bash"});
    REQUIRE(script.code == 0);
    folder.file("script", script.out);
    CHECK(offered(folder, "dunlin tra") == "train\n");
    CHECK(offered(folder, "dunlin fleet rollout sh") == "show\n");
    CHECK(offered(folder, "dunlin fleet --quiet rollout --lower") == "--lower-is-better\n");
    CHECK(offered(folder, "dunlin fleet rollout show --batch") == "\n");
    CHECK(run(folder, {"completion", "tcsh"}).code == 2);
    CHECK(run(folder, {"completion", "zsh"}).out.starts_with("#compdef dunlin\n"));
    CHECK(run(folder, {"completion", "fish"}).out.find("'", 0) != std::string::npos);
}

TEST_CASE("the manual page has every command that --help has") {
    Folder folder;
    for (const std::string program : {"dunlin", "dunlin-node"}) {
        const Ended page = Running(folder, {"manual"}, program).wait();
        REQUIRE(page.code == 0);
        CHECK(page.out.starts_with(".TH "));
        const Ended help = Running(folder, {"--help"}, program).wait();
        bool commands = false;
        for (const std::string& line : lines(help.out)) {
            if (commands && line.starts_with("  ") && line[2] != ' ') {
                const std::string name = line.substr(2, line.find(' ', 2) - 2);
                std::string section = "\n.SS ";
                for (const char letter : fmt::format("{} {}", program, name)) {
                    if (letter == '-') section.push_back('\\');
                    section.push_back(letter);
                }
                INFO(section);
                CHECK(page.out.find(section) != std::string::npos);
            }
            if (commands && line.empty()) commands = false;
            commands = commands || line == "Subcommands:";
        }
        CHECK(page.out.find("completion") != std::string::npos);
        CHECK(page.out.find(folder.path().string()) == std::string::npos);
    }
}
