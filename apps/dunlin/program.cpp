// SPDX-License-Identifier: Apache-2.0
#include "apps/command_text.hpp"
#include "apps/dunlin/commands.hpp"
#include "apps/dunlin/interrupt.hpp"
#include "apps/dunlin/view_commands.hpp"
#include "apps/option_values.hpp"
#include "apps/output.hpp"
#include "apps/programs.hpp"
#include "core/kernels.hpp"
#include "training/host/plain_text.hpp"
#include "transport/zeromq/link.hpp"

#include <cstdio>
#include <exception>
#include <new>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace dunlin::app {
namespace {

/// " train" or " fleet admit", for a hint; empty when no command was named.
std::string command_name(const CLI::App& program) {
    const auto chosen = program.get_subcommands();
    return chosen.empty() ? "" : " " + chosen.front()->get_name() + command_name(*chosen.front());
}

int run_program(int argc, char** argv) {
    raise_descriptor_limit();
    CLI::App program{
        "Dunlin: meta-reinforcement learning and personalised federated learning on fleets of small devices",
        "dunlin"};
    program.set_version_flag("--version",
                             fmt::format("dunlin {} ({} kernels)", DUNLIN_VERSION, (*available_kernels())->name));
    program.require_subcommand(0, 1);
    program.footer(
        "Example:\n"
        "  dunlin train navigation        learn to navigate, with a report in runs/navigation\n"
        "Exit codes: 0 done, 1 failed while running, 2 wrong input, 130 stopped by Ctrl-C.\n"
        "`dunlin COMMAND --help` explains a command.");
    Command run;
    add_train(program, run);
    add_compare(program, run);
    add_sweep(program, run);
    add_adapt(program, run);
    add_audit(program, run);
    add_export(program, run);
    add_import(program, run);
    add_inspect(program, run);
    add_fleet(program, run);
    add_footprint(program, run);
    add_gateway(program, run);
    add_list(program, run);
    add_privacy(program, run);
    add_report(program, run);
    add_view(program, run);
    TextCommands texts;
    add_text_commands(program, texts);
    dunlin::read_options_as_settings(program);
    try {
        program.parse(argc, argv);
    } catch (const CLI::CallForHelp& help) {
        return program.exit(help);
    } catch (const CLI::CallForVersion& version) {
        return program.exit(version);
    } catch (const CLI::ExtrasError&) {
        note("dunlin: unexpected: {}; see `dunlin{} --help`\n",
             dunlin::shown(fmt::format("{}", fmt::join(program.remaining(true), " ")), false),
             command_name(program));
        return wrong_input;
    } catch (const CLI::ParseError& error) {
        note("dunlin: {}; see `dunlin{} --help`\n", dunlin::shown(error.what(), false), command_name(program));
        return wrong_input;
    }
    if (const auto text = text_of(program, texts, DUNLIN_VERSION)) {
        say("{}", *text);
        return succeeded;
    }
    if (!run) {
        note("{}", program.help());
        return wrong_input;
    }
    const Outcome<int> code = [&]() -> Outcome<int> {
        try {
            return run();
        } catch (const std::bad_alloc&) {
            return unable("out of memory; lower what makes the run large: batches, networks or threads");
        } catch (const std::exception& unforeseen) {  // say an output that cannot be written
            return unable(unforeseen.what());
        }
    }();
    if (!code) {
        note("dunlin: {}\n", code.error().text);
        return code.error().unable ? failed : wrong_input;
    }
    return *code;
}

}  // namespace

int run_dunlin(int argc, char** argv) {
    return end_output("dunlin", run_program(argc, argv));
}

}  // namespace dunlin::app
