// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <CLI/App.hpp>

namespace dunlin::app {

// What a program's own declaration of its commands and options gives beside --help, so that it cannot go stale.

/// A script that completes the program's commands, options and files; `shell` is bash, zsh or fish.
std::string completion_script(const CLI::App& program, std::string_view shell);

/// The program's manual page, section 1, in the man macros: every command with its options and footer.
std::string manual_page(const CLI::App& program, std::string_view version);

/// Adds `completion SHELL` and, for the build, a `manual` that --help does not show.
struct TextCommands {
    CLI::App* completion = nullptr;
    CLI::App* manual = nullptr;
    std::string shell;
};
void add_text_commands(CLI::App& program, TextCommands& commands);
/// What the command that was given prints; nothing where it was another one.
std::optional<std::string> text_of(const CLI::App& program, const TextCommands& commands, std::string_view version);

}  // namespace dunlin::app
