// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/fleet_client.hpp"

#include "apps/checks.hpp"
#include "apps/dunlin/fleet_commands.hpp"
#include "apps/dunlin/run_directory.hpp"
#include "apps/output.hpp"
#include "apps/token_file.hpp"
#include "fleet/coordinator/backup.hpp"
#include "fleet/coordinator/control_socket.hpp"
#include "fleet/coordinator/metrics.hpp"
#include "fleet/web/web_client.hpp"
#include "training/host/shell_text.hpp"
#include "training/settings/settings.hpp"
#include "transport/zeromq/keys.hpp"

#include <chrono>
#include <cstdlib>
#include <ctime>
#include <optional>
#include <thread>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace dunlin::app {
namespace {

/// Nobody is connected to a command.
struct Nobody final : Outbox {
    Result<void> send(const PublicKey&, const Message&) override { return fail(Code::not_connected); }
};

/// While this lives, root is the store's owner, so that a service's user can read and write what was written.
class AsOwner {
public:
    explicit AsOwner(const std::string& store) {
        struct stat status {};
        if (geteuid() != 0 || stat(store.c_str(), &status) != 0 || status.st_uid == 0) return;
        changed_ = setegid(status.st_gid) == 0 && seteuid(status.st_uid) == 0;
    }
    ~AsOwner() {
        if (changed_) changed_ = seteuid(0) != 0 || setegid(0) != 0;
    }
    AsOwner(const AsOwner&) = delete;

private:
    bool changed_ = false;
};

/// While nobody serves. Nothing where another process has the store open just now.
Outcome<std::optional<Letter>> ask_here(const std::string& store, const Letter& request) {
    const AsOwner owner(store);
    const std::filesystem::path directory = store;
    StoreSettings settings;
    settings.unix_ms = unix_now_ms;
    auto lock = posix_file_system().lock(directory / "lock");
    if (!lock && lock.error().code == Code::store_in_use) return std::nullopt;
    if (!lock) return refuse(lock.error(), store + "/lock");
    settings.lock = *std::move(lock);
    auto index = Index::open(directory / "store.db");
    if (!index) return refuse(index.error(), store + "/store.db");
    Nobody nobody;
    auto coordinator = Coordinator::open(posix_file_system(), directory, settings, {}, nobody, **index);
    if (!coordinator) return refuse(coordinator.error(), store);
    if (auto noticed = notice_copy(**coordinator); !noticed) return refuse(noticed.error(), store);
    Desk::Place place;
    if (const auto keys = KeyPair::load(store + "/key")) place.server_key = to_hex(keys->public_key());
    Letter answer = Desk(**coordinator, **index, place).answer(request, steady_now_ms());
    (void)(*index)->flush();
    return answer;
}

Outcome<Letter> ask_elsewhere(const Letter& request, int patience_ms) {
    const FleetAt& at = fleet_at();
    if (at.token_file.empty())
        return refuse(
            "--at wants --token-file FILE, with a token that was made there by: dunlin fleet token create");
    auto token = read_token_file(at.token_file);
    if (!token) return tl::unexpected(token.error());
    return ask_web({.url = at.url, .token = *token, .ca = at.ca, .pin = at.pin}, request, patience_ms);
}

/// Of the coordinator's answer what it says; its refusal is an error.
Outcome<Reply> reply_of(const std::string& where, Letter answer) {
    Json reply = Json::parse(answer.json, nullptr, false);
    if (!reply.is_object()) return unable(where + ": the coordinator's answer is none; is it another version?");
    if (!reply.value("ok", false)) {
        const Json& error = reply["error"];
        return tl::unexpected(Failure{error.value("text", "refused"), error.value("failure", false)});
    }
    return Reply{std::move(reply), std::move(answer.numbers)};
}

}  // namespace

FleetAt& fleet_at() {
    static FleetAt at;
    return at;
}

void add_fleet_at(CLI::App& fleet) {
    FleetAt& at = fleet_at();
    fleet.add_option("--at", at.url, "the fleet of another machine, by its web port: https://laptop:7710")
        ->envname("DUNLIN_FLEET_AT");
    fleet.add_option("--token-file", at.token_file, "with --at: the file of a token that was made there")
        ->envname("DUNLIN_FLEET_TOKEN_FILE");
    fleet.add_option("--ca", at.ca,
                     "with --at: who issued its certificate (PEM); default: whom this system trusts");
    fleet.add_option("--pin", at.pin, "with --at: the certificate itself, sha256:...")->check(check_pin);
}

Outcome<void> need_here(const std::string& command) {
    if (fleet_at().url.empty()) return {};
    return refuse(fmt::format("dunlin fleet {} is done on the machine itself, without --at", command));
}

bool is_served_somewhere(const std::string& store) {
    return !fleet_at().url.empty() || is_served(store);
}

std::string default_store() {
    if (const char* chosen = std::getenv("DUNLIN_FLEET"); chosen != nullptr && *chosen != '\0') return chosen;
    if (geteuid() == 0) return "/var/lib/dunlin-fleet";
    if (const char* state = std::getenv("XDG_STATE_HOME"); state != nullptr && *state != '\0')
        return std::string(state) + "/dunlin-fleet";
    const char* home = std::getenv("HOME");
    return std::string(home != nullptr ? home : ".") + "/.local/state/dunlin-fleet";
}

void add_fleet_options(CLI::App& command, FleetOptions& options) {
    options.store = default_store();
    command.add_option("--store", options.store, "the fleet's directory; $DUNLIN_FLEET")->capture_default_str();
    command.add_flag("--json", options.json, "one JSON object on stdout");
    command.add_flag("--quiet", options.quiet, "print the result and errors only: no hints");
}

Outcome<void> find_fleet(const std::string& store) {
    std::error_code error;
    if (std::filesystem::exists(store + "/fleet.toml", error)) return {};
    if (error) return refuse(fmt::format("{}: {}; are you its owner?", store, error.message()));
    return refuse(fmt::format("{}: no fleet here; first: dunlin fleet init --store {}", store, shell_path(store)));
}

Outcome<Reply> ask_fleet(const std::string& store, const Json& request, const std::vector<float>& numbers,
                         int patience_ms) {
    const Letter letter{request.dump(-1, ' ', false, Json::error_handler_t::replace), numbers};
    if (!fleet_at().url.empty()) {
        auto answer = ask_elsewhere(letter, patience_ms);
        if (!answer) return tl::unexpected(answer.error());
        return reply_of(fleet_at().url, *std::move(answer));
    }
    if (auto found = find_fleet(store); !found) return tl::unexpected(found.error());
    std::optional<Letter> answer;
    const std::int64_t begin = steady_now_ms();
    while (!answer) {
        if (is_served(store)) {
            auto asked = ask_server(store, letter, patience_ms);
            if (!asked)
                return unable(store + ": the coordinator does not answer; is it stopped, or its disk stuck?");
            answer = *std::move(asked);
            break;
        }
        auto here = ask_here(store, letter);
        if (!here) return tl::unexpected(here.error());
        answer = *std::move(here);
        if (answer) break;
        if (steady_now_ms() - begin > patience_ms) return refuse({Code::store_in_use}, store);
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return reply_of(store, *std::move(answer));
}

namespace {

Settings config_settings(FleetConfig& config) {
    Settings settings;
    settings.add("listen", config.listen, "where nodes reach the coordinator");
    settings.add("metrics", config.metrics, "where Prometheus finds /metrics; \"\": nowhere");
    return settings;
}

}  // namespace

std::string check_metrics(const std::string& address) {
    const bool fits = address.empty() || address == "off" || MetricsEndpoint::is_address(address);
    return fits ? "" : std::string("expected ") + metrics_form;
}

Outcome<FleetConfig> read_config(const std::string& store) {
    const std::string path = store + "/fleet.toml";
    const Outcome<std::string> text = read_text(path);
    if (!text) return tl::unexpected(text.error());
    FleetConfig config;
    if (auto read = config_settings(config).read(*text, path); !read) return tl::unexpected(read.error());
    if (const std::string wrong = check_listen(config.listen); !wrong.empty())
        return refuse(fmt::format("{}: listen = \"{}\": {}", path, config.listen, wrong));
    if (const std::string wrong = check_metrics(config.metrics); !wrong.empty())
        return refuse(fmt::format("{}: metrics = \"{}\": {}", path, config.metrics, wrong));
    return config;
}

Outcome<void> write_config(const std::string& store, FleetConfig config) {
    const std::string text = config_settings(config).write();
    const auto bytes = std::as_bytes(std::span(text));
    if (auto written = replace_file(posix_file_system(), store + "/fleet.toml", bytes); !written)
        return refuse(written.error(), store + "/fleet.toml");
    return {};
}

std::string privacy_text(const Json& privacy) {
    return fmt::format("epsilon {:.3g} at delta {:g} after {} versions, of {}; against {}; not charged: {}",
                       privacy["epsilon"].get<double>(), privacy["delta"].get<double>(), privacy["rounds"].dump(),
                       privacy["unit"].get<std::string>(), privacy["against"].get<std::string>(),
                       privacy["not_charged"].get<std::string>());
}

std::string time_text(std::int64_t unix_ms) {
    return fmt::format("{:%F %T}", fmt::gmtime(static_cast<std::time_t>(unix_ms / 1000)));
}

std::int64_t unix_now_ms() {
    using namespace std::chrono;
    return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

std::int64_t steady_now_ms() {
    using namespace std::chrono;
    return duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count();
}

void hint(const FleetOptions& options, std::string text) {
    if (options.json || options.quiet) return;
    const std::string& url = fleet_at().url;
    if (!url.empty() || options.store != default_store()) {
        const std::string command = "dunlin fleet",
                          chosen = !url.empty()
                                       ? fmt::format("dunlin fleet --at {} --token-file {}", shell_word(url),
                                                     shell_path(fleet_at().token_file))
                                       : fmt::format("DUNLIN_FLEET={} {}", shell_path(options.store), command);
        for (std::size_t at = 0; (at = text.find(command, at)) != std::string::npos; at += chosen.size())
            text.replace(at, command.size(), chosen);
    }
    note("{}\n", text);
}

}  // namespace dunlin::app
