// SPDX-License-Identifier: Apache-2.0
#include "apps/checks.hpp"
#include "apps/dunlin/commands.hpp"
#include "apps/dunlin/interrupt.hpp"
#include "apps/output.hpp"
#include "fleet/gateway/gateway.hpp"
#include "training/host/plain_text.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <memory>
#include <thread>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <fmt/format.h>

namespace dunlin::app {
namespace {

struct GatewayOptions {
    std::string endpoint, server_key, directory = "gateway";
    std::vector<std::string> devices, baud;
    bool insecure = false, init = false;
};

/// NAME=ADDRESS
Outcome<std::pair<std::string, std::string>> parse_device(const std::string& text) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0)
        return refuse(fmt::format("--device {}: write NAME=ADDRESS, as board1=/dev/ttyACM0", text));
    const std::string name = text.substr(0, equals), address = text.substr(equals + 1);
    if (name.find('/') != std::string::npos) return refuse(fmt::format("--device {}: a name has no '/'", text));
    if (const std::string wrong = check_node_name(name); !wrong.empty())
        return refuse(fmt::format("--device {}: {}", text, wrong));
    if (!SerialPort::check(address))
        return refuse(fmt::format("--device {}: an address is a file, as /dev/ttyACM0, or tcp://HOST:PORT", text));
    return std::pair(name, address);
}

constexpr unsigned most_baud = 100'000'000;

/// What --baud says of a device: RATE of all, NAME=RATE of one. 0: nothing.
Outcome<unsigned> baud_of(const std::vector<std::string>& rates, const std::string& name) {
    unsigned of_all = 0, of_it = 0;
    for (const std::string& text : rates) {
        const std::size_t equals = text.find('=');
        const char* from = text.data() + (equals == std::string::npos ? 0 : equals + 1);
        const char* to = text.data() + text.size();
        unsigned rate = 0;
        const auto [end, error] = std::from_chars(from, to, rate);
        if (error != std::errc{} || end != to || rate == 0 || rate > most_baud)
            return refuse(fmt::format("--baud {}: write RATE or NAME=RATE, from 1 to {}", text, most_baud));
        if (equals == std::string::npos) of_all = rate;
        if (equals != std::string::npos && text.substr(0, equals) == name) of_it = rate;
    }
    return of_it != 0 ? of_it : of_all;
}

/// Is each --baud of a device that there is?
Outcome<void> check_bauds(const GatewayOptions& options) {
    for (const std::string& text : options.baud) {
        const std::size_t equals = text.find('=');
        if (equals == std::string::npos) continue;
        const bool known =
            std::any_of(options.devices.begin(), options.devices.end(),
                        [&](const std::string& device) { return device.starts_with(text.substr(0, equals + 1)); });
        if (!known) return refuse(fmt::format("--baud {}: no --device has that name", text));
    }
    return {};
}

/// A key in a file, made where there is none.
Outcome<KeyPair> key_in(const std::filesystem::path& file, bool& made) {
    const std::filesystem::path directory = file.parent_path();
    auto keys = KeyPair::load(file.string());
    made = false;
    if (keys) return *keys;
    if (keys.error().code != Code::file_missing) return refuse(keys.error(), file.string());
    std::error_code error;
    std::filesystem::create_directories(directory, error);
    if (error) return unable(fmt::format("{}: {}", directory.string(), error.message()));
    keys = KeyPair::make();
    if (!keys) return refuse(keys.error(), "a key pair");
    if (auto saved = keys->save(file.string()); !saved) return refuse(saved.error(), file.string());
    made = true;
    return *keys;
}

/// The device's key, made when it is first named.
Outcome<KeyPair> key_of(const std::filesystem::path& directory, const std::string& name) {
    bool made = false;
    auto keys = key_in(directory / "key", made);
    if (keys && made)
        note("made a key for {}; next, on the coordinator: dunlin fleet admit {} {}\n", name, name,
             to_hex(keys->public_key()));
    return keys;
}

/// What its line is sealed with; only `--init` makes it, for the board's image has to have it too.
Outcome<CipherKey> line_key_of(const std::filesystem::path& directory, const std::string& name) {
    const std::filesystem::path file = directory / "line-key";
    const auto keys = KeyPair::load(file.string());
    if (keys) return keys->secret_key();
    if (keys.error().code != Code::file_missing) return refuse(keys.error(), file.string());
    return refuse(
        fmt::format("{} is missing: `dunlin gateway --device {}=... --init` makes it, and the board's image is "
                    "built with it; --insecure leaves all lines in clear",
                    file.string(), name));
}

Outcome<int> run_gateway(const GatewayOptions& options) {
    if (auto known = check_bauds(options); !known) return tl::unexpected(known.error());
    if (!options.init && options.endpoint.empty()) return refuse("--join is missing: tcp://HOST:7700");
    NodeLinkSettings link;
    link.endpoint = options.endpoint;
    link.insecure = options.insecure && options.server_key.empty();
    link.context = make_link_context(static_cast<int>(options.devices.size()));
    if (!options.init && !link.insecure) {
        if (options.server_key.empty())
            return refuse("--server-key is missing: `dunlin fleet status` on the coordinator shows it");
        const auto server = parse_public_key(options.server_key);
        if (!server) return refuse(server.error(), "--server-key");
        link.server_key = *server;
    }
    if (!options.init) outlive_readers();
    Gateway gateway([](const std::string& device, std::string_view, const std::string& text) {
        note("{}: {}\n", device, shown(text, false));
    });
    for (const std::string& text : options.devices) {
        const auto device = parse_device(text);
        if (!device) return tl::unexpected(device.error());
        const auto& [name, address] = *device;
        const auto baud = baud_of(options.baud, name);
        if (!baud) return tl::unexpected(baud.error());
        const std::filesystem::path directory = std::filesystem::path(options.directory) / name;
        auto keys = key_of(directory, name);
        if (!keys) return tl::unexpected(keys.error());
        if (options.init) {
            bool made = false;
            const auto line_key = key_in(directory / "line-key", made);
            if (!line_key) return tl::unexpected(line_key.error());
            if (made) note("made a key for {}'s line: {}\n", name, (directory / "line-key").string());
            say("{} {}\n", name, to_hex(keys->public_key()));
            continue;
        }
        link.keys = *keys;
        GatewayDeviceSettings settings;
        settings.name = name;
        settings.address = address;
        settings.baud = *baud;
        settings.directory = directory;
        settings.link = link;
        if (!options.insecure) {
            const auto line_key = line_key_of(directory, name);
            if (!line_key) return tl::unexpected(line_key.error());
            settings.line_key = *line_key;
        }
        if (auto added = gateway.add(std::move(settings)); !added) return tl::unexpected(added.error());
    }
    if (options.init) return 0;
    catch_interrupts();
    gateway.start();
    while (!interrupted()) std::this_thread::sleep_for(std::chrono::milliseconds(100));
    return 0;
}

}  // namespace

void add_gateway(CLI::App& program, Command& run) {
    auto options = std::make_shared<GatewayOptions>();
    CLI::App* command = program.add_subcommand(
        "gateway", "Join boards on serial lines to a fleet, each as a node with its own key");
    command
        ->add_option("--device", options->devices,
                     "NAME=ADDRESS, any number: /dev/ttyACM0, a pseudo-terminal, or tcp://HOST:PORT")
        ->required();
    command->add_option("--join", options->endpoint, "the coordinator, tcp://HOST:7700")->check(check_join);
    command->add_option("--server-key", options->server_key, "the coordinator's public key");
    command->add_option("--dir", options->directory, "where the devices' keys and states live")
        ->capture_default_str();
    command->add_option(
        "--baud", options->baud,
        "bits a second: RATE of all devices, NAME=RATE of one, any number of times; any rate that the "
        "port can do. 115200 if not given; a TCP connection then takes what it takes");
    command->add_flag("--insecure", options->insecure,
                      "lines to boards in clear; without --server-key the connection too, on loopback only");
    command->add_flag("--init", options->init,
                      "only make the devices' keys, print the public ones, and make their lines' keys");
    command->footer(
        "Example:\n  dunlin gateway --device board1=/dev/ttyACM0 --init\n"
        "  dunlin gateway --device board1=/dev/ttyACM0 --join tcp://laptop:7700 --server-key KEY\n");
    command->callback([options, &run] { run = [options] { return run_gateway(*options); }; });
}

}  // namespace dunlin::app
