// SPDX-License-Identifier: Apache-2.0
#include "apps/checks.hpp"
#include "apps/command_text.hpp"
#include "apps/dunlin-node/commands.hpp"
#include "apps/option_values.hpp"
#include "apps/output.hpp"
#include "apps/programs.hpp"
#include "apps/token_file.hpp"
#include "training/host/plain_text.hpp"

#include <CLI/CLI.hpp>

namespace dunlin::node_app {
namespace {

int run_program(int count, char** arguments) {
    raise_descriptor_limit();
    CLI::App app{
        "dunlin-node: a node of a Dunlin fleet\n\n"
        "First time, on this machine:   dunlin-node init\n"
        "then, on the coordinator's:    dunlin fleet admit NAME PUBLIC_KEY\n"
        "and here again:                dunlin-node run --join tcp://HOST:7700 --server-key KEY\n\n"
        "Or with a token of that fleet: dunlin-node enrol --at https://HOST:7710 --token-file FILE\n"
        "and then:                      dunlin-node run\n\n"
        "Exit codes: 0 done, 1 failed, 2 wrong input.",
        "dunlin-node"};
    app.set_version_flag("--version", DUNLIN_VERSION);
    app.require_subcommand(1);
    app.fallthrough();
    std::string directory = default_directory();
    app.add_option("--dir", directory, "where keys and state live")->capture_default_str();

    bool json = false;
    CLI::App* init = app.add_subcommand("init", "make this node's key pair and print the public key");
    init->add_flag("--json", json, "one JSON object on stdout");

    EnrolOptions enrolment;
    CLI::App* enrols = app.add_subcommand(
        "enrol", "come onto a fleet's roster by a token of `dunlin fleet token create --role enrol`");
    enrols->add_option("--at", enrolment.url, "the fleet's web port: https://laptop:7710")->required();
    enrols->add_option("--token-file", enrolment.token_file, "a file with the token, which only you can read")
        ->required();
    enrols->add_option("--name", enrolment.name, "on the roster; default: this machine's");
    enrols->add_option("--ca", enrolment.ca,
                       "who issued its certificate (PEM); default: the one that the token names");
    enrols->add_option("--pin", enrolment.pin, "the certificate itself, sha256:...")->check(dunlin::app::check_pin);
    enrols->add_flag("--json", enrolment.json, "one JSON object on stdout");
    enrols->footer(
        "Example:\n  dunlin-node enrol --at https://laptop:7710 --token-file token && dunlin-node run\n"
        "A token is good once, for an hour; the first node that shows it is the only one that it is good for.\n");

    RunOptions options;
    CLI::App* run = app.add_subcommand("run", "join a fleet and learn until told to stop (SIGTERM, Ctrl-C)");
    run->add_option(
           "--join", options.endpoints,
           "the coordinator, tcp://HOST:PORT; with several addresses of it, the next one is tried where one "
           "does not answer; left out, it is where this node enrolled")
        ->check(dunlin::app::check_join);
    run->add_option("--server-key", options.server_key,
                    "the coordinator's public key, as `dunlin fleet init` shows it");
    run->add_option("--name", options.name, "this node's name on the roster")->capture_default_str();
    run->add_option("--listen", options.listen,
                    "let other nodes reach this one without the coordinator, for example tcp://*:7701")
        ->check(dunlin::app::check_listen);
    run->add_option("--data", options.data,
                    "this node's own data, a file or folder, for jobs that are learned from such (data.source = "
                    "nodes); it is read when a job begins and stays here")
        ->check(CLI::ExistingPath);
    run->add_flag("--insecure", options.insecure, "without encryption; on loopback only");
    run->add_option(
           "--store-every", options.store_every,
           "updates (push-sum: wake-ups) between two writes to disk; more spare an SD card and cost, in a power "
           "cut, as many updates of learning; with push-sum news travel that much slower")
        ->check(CLI::Range(1, 1'000'000))
        ->capture_default_str();
    run->add_option(
           "--memory-mb", options.memory_mb,
           "most that a job may take, its data included; one that needs more is declined. Default: half of this "
           "machine's memory, at most 1024")
        ->check(CLI::Range(std::size_t{1}, std::min(std::size_t{1} << 20, SIZE_MAX >> 20)))
        ->capture_default_str();
    run->add_option("--log-format", options.log_format, "text or json, on stderr")
        ->check(CLI::IsMember({"text", "json"}))
        ->capture_default_str();
    run->add_flag("--with-parent", options.with_parent, "end when the process that started this one ends");

    CLI::App* leave =
        app.add_subcommand("leave", "tell the node that runs in --dir to hand over what it holds and to end");
    leave->add_flag("--json", json, "one JSON object on stdout");

    dunlin::app::TextCommands texts;
    dunlin::app::add_text_commands(app, texts);
    dunlin::read_options_as_settings(app);
    app.failure_message([](const CLI::App*, const CLI::Error& wrong) {
        return dunlin::shown(wrong.what(), false) + "\nRun with --help for more information.\n";
    });
    try {
        app.parse(count, arguments);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    }
    if (const auto text = dunlin::app::text_of(app, texts, DUNLIN_VERSION)) {
        dunlin::app::say("{}", *text);
        return 0;
    }
    if (init->parsed()) return make_keys(directory, json);
    if (enrols->parsed()) return enrol(directory, enrolment);
    if (run->parsed()) return run_node(directory, options);
    return leave_fleet(directory, json);
}

}  // namespace
}  // namespace dunlin::node_app

int dunlin::app::run_dunlin_node(int argc, char** argv) {
    return end_output("dunlin-node", node_app::run_program(argc, argv));
}
