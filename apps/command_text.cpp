// SPDX-License-Identifier: Apache-2.0
#include "apps/command_text.hpp"

#include <algorithm>
#include <functional>
#include <vector>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace dunlin::app {
namespace {

std::vector<const CLI::App*> commands_of(const CLI::App& app) {
    auto all = app.get_subcommands([](const CLI::App* command) { return !command->get_group().empty(); });
    return {all.begin(), all.end()};
}

/// A place in the program: "" or " fleet rollout", and what may follow there.
struct Place {
    std::string path;
    std::vector<std::string> commands, options;
};

void gather(const CLI::App& app, const std::string& path, std::vector<Place>& places) {
    Place here{.path = path, .commands = {}, .options = {}};
    for (const CLI::Option* option : app.get_options()) {
        for (const std::string& name : option->get_lnames()) here.options.push_back("--" + name);
    }
    const auto commands = commands_of(app);
    for (const CLI::App* command : commands) here.commands.push_back(command->get_name());
    places.push_back(std::move(here));
    for (const CLI::App* command : commands) gather(*command, path + " " + command->get_name(), places);
}

/// As a function's name may be.
std::string identifier(std::string name) {
    std::ranges::replace(name, '-', '_');
    return name;
}

/// The shells' own languages differ little here: the words so far lead to a place, and its words are offered; where
/// none fits, files are.
std::string bash_script(const std::string& name, const std::vector<Place>& places, bool zsh) {
    const std::string function = "_" + identifier(name);
    const std::string_view offered = zsh ? "offered" : "words";
    std::string text = zsh ? fmt::format("#compdef {}\n", name) : "";
    text += fmt::format("# Completion of {0} for {1}; made by: {0} completion {1}\n", name, zsh ? "zsh" : "bash");
    text += fmt::format("{}() {{\n  local place= {}= word\n", function, offered);
    text += zsh ? "  for word in \"${(@)words[2,CURRENT-1]}\"; do\n"
                : "  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n";
    text += "    case \"$place $word\" in\n";
    std::vector<std::string> paths;
    for (const Place& place : places) {
        if (!place.path.empty()) paths.push_back("\"" + place.path + "\"");
    }
    text += fmt::format("      {}) place=\"$place $word\" ;;\n    esac\n  done\n", fmt::join(paths, "|"));
    text += "  case \"$place\" in\n";
    for (const Place& place : places)
        text +=
            fmt::format("    \"{}\") {}=\"{}{}{}\" ;;\n", place.path, offered, fmt::join(place.commands, " "),
                        place.commands.empty() || place.options.empty() ? "" : " ", fmt::join(place.options, " "));
    text += "  esac\n";
    if (zsh) {
        text += "  compadd -- ${=offered}\n  _files\n}\n";
        text += fmt::format("if [ \"$funcstack[1]\" = {0} ]; then {0}; else compdef {0} {1}; fi\n", function, name);
    } else {
        text += "  COMPREPLY=($(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n}\n";
        text += fmt::format("complete -o default -F {} {}\n", function, name);
    }
    return text;
}

std::string fish_script(const std::string& name, const CLI::App& program, const std::vector<Place>& places) {
    const std::string function = fmt::format("__{}_place", identifier(name));
    std::string text = fmt::format("# Completion of {0} for fish; made by: {0} completion fish\n", name);
    text += fmt::format("function {}\n  set -l place ''\n  for word in (commandline -opc)[2..-1]\n", function);
    text += "    switch \"$place $word\"\n      case";
    for (const Place& place : places) {
        if (!place.path.empty()) text += fmt::format(" '{}'", place.path);
    }
    text += "\n        set place \"$place $word\"\n    end\n  end\n  test \"$place\" = \"$argv[1]\"\nend\n";
    const std::function<void(const CLI::App&, const std::string&)> offer = [&](const CLI::App& app,
                                                                               const std::string& path) {
        const std::string begin = fmt::format("complete -c {} -n \"{} '{}'\"", name, function, path);
        for (const CLI::App* command : commands_of(app))
            text += fmt::format("{} -f -a {}\n", begin, command->get_name());
        for (const CLI::Option* option : app.get_options()) {
            for (const std::string& word : option->get_lnames()) text += fmt::format("{} -l {}\n", begin, word);
        }
        for (const CLI::App* command : commands_of(app)) offer(*command, path + " " + command->get_name());
    };
    offer(program, "");
    return text;
}

/// Text as troff takes it: no control lines, and what the macros mean otherwise.
std::string roff(std::string_view text) {
    std::string out;
    for (const char c : text) {
        const bool begins = out.empty() || out.back() == '\n';
        if (c == '\\') {
            out += "\\e";
        } else if (c == '-') {
            out += "\\-";
        } else if (c == '\'' || c == '.') {
            out += begins ? "\\&" : "";
            out += c == '\'' ? "\\(aq" : ".";
        } else {
            out += c;
        }
    }
    return out;
}

std::string paragraph(std::string_view text) {
    return text.empty() ? "" : fmt::format(".PP\n.nf\n{}\n.fi\n", roff(text));
}

std::string options_of(const CLI::App& app) {
    std::string text;
    for (const CLI::Option* option : app.get_options()) {
        std::string names = option->get_name(option->get_positional(), !option->get_positional());
        if (const std::string type = option->get_type_name(); !type.empty() && option->get_items_expected_max() > 0)
            names += " " + type;
        // A place of the machine that writes the page says nothing to who reads it.
        const std::string value = option->get_default_str();
        if (!value.empty() && !value.starts_with('/')) names += " [" + value + "]";
        text += fmt::format(".TP\n.B {}\n{}{}\n", roff(names), roff(option->get_description()),
                            option->get_required() ? " (required)" : "");
    }
    return text;
}

void describe(const CLI::App& app, const std::string& path, std::string& text) {
    for (const CLI::App* command : commands_of(app)) {
        const std::string name = path + " " + command->get_name();
        text += fmt::format(".SS {}\n{}\n{}{}", roff(name), roff(command->get_description()), options_of(*command),
                            paragraph(command->get_footer()));
        describe(*command, name, text);
    }
}

}  // namespace

std::string completion_script(const CLI::App& program, std::string_view shell) {
    std::vector<Place> places;
    gather(program, "", places);
    if (shell == "fish") return fish_script(program.get_name(), program, places);
    return bash_script(program.get_name(), places, shell == "zsh");
}

std::string manual_page(const CLI::App& program, std::string_view version) {
    const std::string name = program.get_name();
    std::string about = program.get_description();
    const std::string line = about.substr(0, about.find('\n'));
    const std::size_t colon = line.find(": ");
    std::string upper = name;
    std::ranges::transform(upper, upper.begin(), [](char c) { return c >= 'a' && c <= 'z' ? char(c - 32) : c; });
    std::string text = fmt::format(".TH {} 1 \"\" \"dunlin {}\" \"User Commands\"\n", roff(upper), version);
    text +=
        fmt::format(".SH NAME\n{} \\- {}\n", roff(name), roff(colon == line.npos ? line : line.substr(colon + 2)));
    text += fmt::format(".SH SYNOPSIS\n.B {}\n.I COMMAND\n[options]\n", roff(name));
    if (about.size() > line.size()) text += ".SH DESCRIPTION\n" + paragraph(about.substr(line.size() + 1));
    text += ".SH OPTIONS\n" + options_of(program) + ".SH COMMANDS\n";
    describe(program, name, text);
    if (const std::string footer = program.get_footer(); !footer.empty()) text += ".SH NOTES\n" + paragraph(footer);
    return text;
}

void add_text_commands(CLI::App& program, TextCommands& commands) {
    commands.completion = program.add_subcommand("completion", "Print a script that completes commands in a shell");
    commands.completion->add_option("shell", commands.shell, "bash, zsh or fish")
        ->required()
        ->check(CLI::IsMember({"bash", "zsh", "fish"}));
    commands.completion->footer(fmt::format(
        "Example:\n  {0} completion bash > ~/.local/share/bash-completion/completions/{0}\n", program.get_name()));
    commands.manual = program.add_subcommand("manual", "Print the manual page")->group("");
}

std::optional<std::string> text_of(const CLI::App& program, const TextCommands& commands,
                                   std::string_view version) {
    if (commands.completion->parsed()) return completion_script(program, commands.shell);
    if (commands.manual->parsed()) return manual_page(program, version);
    return std::nullopt;
}

}  // namespace dunlin::app
