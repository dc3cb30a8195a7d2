// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/host/failure.hpp"

#include <filesystem>
#include <string>
#include <vector>

#include <CLI/App.hpp>
#include <nlohmann/json.hpp>

namespace dunlin::app {

using Json = nlohmann::ordered_json;

/// What the commands of a fleet have in common.
struct FleetOptions {
    std::string store;
    bool json = false;
    bool quiet = false;
};

/// $DUNLIN_FLEET, else /var/lib/dunlin-fleet for root and ~/.local/state/dunlin-fleet for others.
std::string default_store();
/// --store, --json and --quiet.
void add_fleet_options(CLI::App& command, FleetOptions& options);

/// A fleet of another machine, by its web port, in the place of a directory here: what `dunlin fleet --at` said, of this
/// process. Empty `url`: none.
struct FleetAt {
    std::string url, token_file, ca, pin;
};
FleetAt& fleet_at();
/// --at, --token-file, --ca and --pin.
void add_fleet_at(CLI::App& fleet);
/// Error: --at was given, and `command` is done on the machine itself.
Outcome<void> need_here(const std::string& command);
/// Does a process serve the fleet that commands ask?
bool is_served_somewhere(const std::string& store);

/// An answer of the coordinator, and the numbers that came with it.
struct Reply {
    Json json;
    std::vector<float> numbers;
};

/// Asks the fleet of --at; or else the process that serves this store, or opens the store itself while nobody does; waits for another command
/// that has it open. Errors: what the coordinator refused; no store; an answer that takes longer than
/// `patience_ms`.
Outcome<Reply> ask_fleet(const std::string& store, const Json& request, const std::vector<float>& numbers = {},
                         int patience_ms = 30'000);

/// Is there a fleet in this directory? Error: what is there instead, and what to do.
Outcome<void> find_fleet(const std::string& store);

/// The settings that `dunlin fleet init` wrote: fleet.toml.
struct FleetConfig {
    std::string listen = "tcp://*:7700";
    std::string metrics = "127.0.0.1:9464";
};
/// For CLI11: what is wrong with an address of the metrics, "" if nothing.
std::string check_metrics(const std::string& address);
/// Errors also: a value that cannot be.
Outcome<FleetConfig> read_config(const std::string& store);
Outcome<void> write_config(const std::string& store, FleetConfig config);

/// "2026-11-22 08:33:19" (UTC).
std::string time_text(std::int64_t unix_ms);
/// What a noisy job's `privacy` says, as a sentence.
std::string privacy_text(const Json& privacy);
std::int64_t unix_now_ms();
std::int64_t steady_now_ms();

/// Says on stderr what to do next, with commands that find this store; nothing where stdout is for programs.
void hint(const FleetOptions& options, std::string text);

}  // namespace dunlin::app
