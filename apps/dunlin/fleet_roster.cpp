// SPDX-License-Identifier: Apache-2.0
#include "apps/checks.hpp"
#include "apps/dunlin/fleet_commands.hpp"
#include "apps/dunlin/interrupt.hpp"
#include "apps/output.hpp"
#include "apps/report/table.hpp"
#include "fleet/web/web_client.hpp"
#include "training/host/shell_text.hpp"
#include "transport/zeromq/keys.hpp"

#include <algorithm>
#include <memory>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <fmt/format.h>
#include <sys/utsname.h>

namespace dunlin::app {
namespace {

struct InitOptions {
    FleetOptions fleet;
    FleetConfig config;
};

/// A directory that only the owner may enter; not one that holds something else.
Outcome<void> prepare_store(const std::string& store) {
    namespace fs = std::filesystem;
    std::error_code error;
    const bool there = fs::exists(store, error);
    if (there && !fs::exists(store + "/key", error) && !fs::is_empty(store, error) && !error)
        return refuse(store + ": holds something that is no fleet; choose a new or an empty directory");
    if (!error) fs::create_directories(store, error);
    if (!error) fs::permissions(store, fs::perms::owner_all, error);
    if (error) return unable(fmt::format("{}: {}", store, error.message()));
    return {};
}

Outcome<int> init(const InitOptions& options) {
    if (auto here = need_here("init"); !here) return tl::unexpected(here.error());
    const std::string& store = options.fleet.store;
    const std::string path = store + "/key";
    if (auto prepared = prepare_store(store); !prepared) return tl::unexpected(prepared.error());
    auto keys = KeyPair::load(path);
    const bool there = keys.has_value();
    if (!there && keys.error().code != Code::file_missing) return refuse(keys.error(), path);
    if (!there) {
        keys = KeyPair::make();
        if (!keys) return refuse(keys.error(), "a key pair");
        if (auto saved = keys->save(path); !saved) return refuse(saved.error(), path);
    }
    std::error_code ignored;
    if (!std::filesystem::exists(store + "/fleet.toml", ignored)) {
        if (auto written = write_config(store, options.config); !written) return tl::unexpected(written.error());
    }
    const std::string key = to_hex(keys->public_key());
    if (options.fleet.json) {
        say("{}\n", Json{{"store", store}, {"server_key", key}, {"made", !there}}.dump());
    } else {
        say("{}\n", key);
    }
    hint(options.fleet, fmt::format("{} fleet in {}; above is its public key\n"
                                    "next, on each board: dunlin-node init\n"
                                    "then here:           dunlin fleet admit NAME PUBLIC_KEY\n"
                                    "                     dunlin fleet serve",
                                    there ? "there is a" : "made a", store));
    return succeeded;
}

/// What can be typed, seen in a table and written into a log.
std::string check_name(const std::string& name) {
    if (std::string wrong = check_node_name(name); !wrong.empty()) return wrong;
    const bool plain = name.find_first_of(" \"\\") == std::string::npos && name.front() != '-';
    return plain ? "" : "a name has no spaces, quotes or control characters";
}

struct NodeOptions {
    FleetOptions fleet;
    std::string name, key;
    std::vector<std::string> labels;
};

/// Where nodes of other machines find the coordinator, as far as this machine can say.
std::string join_address(const std::string& store) {
    const auto config = read_config(store);
    std::string address = config ? config->listen : "tcp://*:7700";
    utsname names{};
    const std::size_t star = address.find('*');
    if (star != std::string::npos) address.replace(star, 1, uname(&names) == 0 ? names.nodename : "THIS_HOST");
    return address;
}

/// The same of the fleet of --at, by the name that it is asked by.
std::string join_address_elsewhere(std::string address) {
    for (const std::string_view everywhere : {"*", "0.0.0.0", "[::]"}) {
        const std::size_t at = address.find(everywhere);
        if (at != std::string::npos)
            address.replace(at, everywhere.size(),
                            host_of({.url = fleet_at().url, .token = {}, .ca = {}, .pin = {}}).value_or("HOST"));
    }
    return address;
}

std::string server_key(const std::string& store) {
    const auto keys = KeyPair::load(store + "/key");
    return keys ? to_hex(keys->public_key()) : "KEY";
}

Outcome<int> done(const NodeOptions& options, const Outcome<Reply>& reply, const std::string& next) {
    if (!reply) return tl::unexpected(reply.error());
    if (options.fleet.json) say("{}\n", reply->json.dump());
    hint(options.fleet, next);
    return succeeded;
}

Outcome<int> admit(const NodeOptions& options) {
    const auto reply =
        ask_fleet(options.fleet.store,
                  {{"command", "admit"}, {"name", options.name}, {"key", options.key}, {"labels", options.labels}});
    if (!reply) return tl::unexpected(reply.error());
    std::string address, key;
    if (fleet_at().url.empty()) {
        address = join_address(options.fleet.store);
        key = server_key(options.fleet.store);
    } else {
        const auto status = ask_fleet(options.fleet.store, {{"command", "status"}});
        if (!status) return tl::unexpected(status.error());
        address = join_address_elsewhere(status->json["endpoint"]);
        key = status->json["server_key"];
    }
    return done(
        options, reply,
        fmt::format("{} is on the roster\nnext, on it: dunlin-node run --join {} --name {} --server-key {}\n"
                    "and here: dunlin fleet serve, dunlin fleet nodes",
                    options.name, shell_word(address), shell_word(options.name), key));
}

Outcome<int> revoke(const NodeOptions& options) {
    return done(
        options, ask_fleet(options.fleet.store, {{"command", "revoke"}, {"name", options.name}}),
        fmt::format("{} is off the roster, and gone for good from its jobs; `dunlin fleet ledger` says what "
                    "it took along",
                    options.name));
}

Outcome<int> rotate(const NodeOptions& options) {
    return done(
        options,
        ask_fleet(options.fleet.store, {{"command", "rotate"}, {"name", options.name}, {"key", options.key}}),
        fmt::format("{} has a new key; the old one is refused from now on", options.name));
}

Outcome<int> nodes(const FleetOptions& options) {
    const auto reply = ask_fleet(options.store, {{"command", "nodes"}});
    if (!reply) return tl::unexpected(reply.error());
    if (options.json) {
        say("{}\n", reply->json.dump());
        return succeeded;
    }
    report::Table table{{"node", "state", "job", "labels", "heard", "software", "public key"}, {}, ""};
    for (const Json& node : reply->json["nodes"]) {
        const bool here = node.contains("heard_ms_ago");
        std::string labels;
        for (const Json& label : node["labels"]) labels += (labels.empty() ? "" : " ") + label.get<std::string>();
        const std::uint64_t job = here ? node["job"].get<std::uint64_t>() : 0;
        table.rows.push_back({node["name"], node["state"], job == 0 ? "" : std::to_string(job), labels,
                              here ? fmt::format("{:.1f} s ago", node["heard_ms_ago"].get<double>() / 1000) : "",
                              here ? node["software"].get<std::string>() : "",
                              node["public_key"].get<std::string>().substr(0, 12)});
    }
    say("{}", report::text_table(table));
    hint(options,
         table.rows.empty() ? "next: dunlin fleet admit NAME PUBLIC_KEY" : "next: dunlin fleet run EXPERIMENT");
    return succeeded;
}

}  // namespace

void add_fleet_roster(CLI::App& fleet, Command& run) {
    auto first = std::make_shared<InitOptions>();
    CLI::App* command =
        fleet.add_subcommand("init", "Make a fleet on this machine: its directory and its key pair");
    add_fleet_options(*command, first->fleet);
    command->add_option("--listen", first->config.listen, "where nodes will reach the coordinator")
        ->check(check_listen)
        ->capture_default_str();
    command->add_option("--metrics", first->config.metrics, "HOST:PORT of /metrics; off: nowhere")
        ->check(check_metrics)
        ->capture_default_str();
    command->footer(
        "Prints the coordinator's public key. Where there is a fleet already, it is left as it is.\n"
        "Example:\n  dunlin fleet init\n");
    command->callback([first, &run] { run = [first] { return init(*first); }; });

    auto admitted = std::make_shared<NodeOptions>();
    command = fleet.add_subcommand("admit", "Put a node on the roster: only such nodes get in");
    add_fleet_options(*command, admitted->fleet);
    command->add_option("name", admitted->name, "what to call it")->required()->check(check_name);
    command->add_option("public_key", admitted->key, "as `dunlin-node init` prints it on the device")->required();
    command->add_option("--label", admitted->labels, "a word to choose nodes by; may be given many times")
        ->check(check_name);
    command->footer("Example:\n  dunlin fleet admit kitchen 3f5a...9c --label arm --label indoors\n");
    command->callback([admitted, &run] { run = [admitted] { return admit(*admitted); }; });

    auto revoked = std::make_shared<NodeOptions>();
    command = fleet.add_subcommand("revoke", "Take a node off the roster and, for good, out of its jobs");
    add_fleet_options(*command, revoked->fleet);
    command->add_option("name", revoked->name, "the node")->required();
    command->footer(
        "A node that leaves by `dunlin-node leave` hands its mass over; one that is revoked takes it along.\n"
        "Example:\n  dunlin fleet revoke kitchen\n");
    command->callback([revoked, &run] { run = [revoked] { return revoke(*revoked); }; });

    auto rotated = std::make_shared<NodeOptions>();
    command = fleet.add_subcommand("rotate", "Give a node a new key");
    add_fleet_options(*command, rotated->fleet);
    command->add_option("name", rotated->name, "the node")->required();
    command->add_option("public_key", rotated->key, "the new one")->required();
    command->footer("Example:\n  dunlin fleet rotate kitchen 77ab...01\n");
    command->callback([rotated, &run] { run = [rotated] { return rotate(*rotated); }; });

    auto listed = std::make_shared<FleetOptions>();
    command = fleet.add_subcommand("nodes", "List the roster: who is here, who is away");
    add_fleet_options(*command, *listed);
    command->footer(
        "States: here; suspect: silent for three seconds; away; revoked.\nExample:\n  dunlin fleet nodes --json\n");
    command->callback([listed, &run] { run = [listed] { return nodes(*listed); }; });
}

}  // namespace dunlin::app
