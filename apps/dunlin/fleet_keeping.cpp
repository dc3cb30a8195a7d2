// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/fleet_commands.hpp"
#include "apps/dunlin/interrupt.hpp"
#include "apps/output.hpp"
#include "fleet/coordinator/backup.hpp"
#include "fleet/coordinator/control_socket.hpp"
#include "training/host/shell_text.hpp"
#include "transport/zeromq/server_link.hpp"

#include <chrono>
#include <memory>
#include <thread>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <fmt/format.h>
#include <sys/resource.h>

namespace dunlin::app {
namespace {

namespace fs = std::filesystem;

struct CopyOptions {
    FleetOptions fleet;
    std::string path;
    bool yes = false;
};

/// Where a backup lies, on the machine of the fleet. Error: a path that says it for this machine alone.
Outcome<std::string> backup_path(const std::string& given) {
    if (fleet_at().url.empty()) return fs::absolute(given).lexically_normal().string();
    if (!fs::path(given).is_absolute())
        return refuse(given + ": with --at this is a path on the fleet's machine; begin it with /");
    return fs::path(given).lexically_normal().string();
}

Outcome<int> backup(const CopyOptions& options) {
    const auto wanted = backup_path(options.path);
    if (!wanted) return tl::unexpected(wanted.error());
    const std::string& path = *wanted;
    std::error_code ignored;
    if (fleet_at().url.empty() && fs::exists(path, ignored))
        return refuse(path + ": is there already; name a new directory");
    const auto reply = ask_fleet(options.fleet.store, {{"command", "backup"}, {"path", path}}, {}, 600'000);
    if (!reply) return tl::unexpected(reply.error());
    if (options.fleet.json)
        say("{}\n", reply->json.dump());
    else
        say("{}\n", path);
    hint(options.fleet, fmt::format("a whole fleet as of record {}, with its secret key: keep it safe\n"
                                    "to go back to it: dunlin fleet restore {}",
                                    reply->json["record"].dump(), shell_path(path)));
    return succeeded;
}

/// Says what the restore undoes beside what was asked about.
void say_undone(const FleetOptions& options, const Json& undone) {
    for (const char* list : {"undone", "other"}) {
        for (const Json& line : undone.value(list, Json::array())) hint(options, line.get<std::string>());
    }
}

/// Asks whoever has the store open: the process that serves, or this one. A store that cannot be read has nothing
/// to be compared with.
Outcome<void> ask_first(const CopyOptions& options, const std::string& backup, bool served) {
    if (fleet_at().url.empty()) {
        std::error_code ignored;
        if (!fs::exists(options.fleet.store + "/fleet.toml", ignored)) return {};
        if (auto whole = read_backup(backup); !whole) return refuse(whole.error(), backup);
    }
    const auto asked = ask_fleet(options.fleet.store,
                                 {{"command", "restore"}, {"path", backup}, {"yes", options.yes}, {"look", true}});
    if (asked) {
        say_undone(options.fleet, asked->json);
        return {};
    }
    if (served || (!asked.error().unable && !options.yes)) return tl::unexpected(asked.error());
    hint(options.fleet, asked.error().text + "\nso what the restore undoes is not known");
    return {};
}

/// Asks the process that serves, which starts anew from the backup, and waits until it has. Where it put what was
/// there before.
Outcome<std::string> restore_served(const std::string& store, const std::string& backup) {
    const auto before = ask_fleet(store, {{"command", "status"}});
    if (!before) return tl::unexpected(before.error());
    const auto asked = ask_fleet(store, {{"command", "restore"}, {"path", backup}, {"yes", true}});
    if (!asked) return tl::unexpected(asked.error());
    for (const std::int64_t begin = steady_now_ms(); steady_now_ms() - begin < 60'000;) {
        const auto now = is_served_somewhere(store) ? ask_fleet(store, {{"command", "status"}}) : before;
        if (!now || now->json["started_unix_ms"] == before->json["started_unix_ms"]) {
            std::this_thread::sleep_for(std::chrono::milliseconds(20));
            continue;
        }
        if (const std::string wrong = now->json["restore_problem"]; !wrong.empty())
            return unable(wrong + "\nthe coordinator goes on as before; end it, restore, and start it again");
        return now->json["restored"].get<std::string>();
    }
    return unable("the coordinator did not come back; its log says why");
}

Outcome<int> restore(const CopyOptions& options) {
    const auto wanted = backup_path(options.path);
    if (!wanted) return tl::unexpected(wanted.error());
    const std::string& path = *wanted;
    const std::string& store = options.fleet.store;
    const bool served = is_served_somewhere(store);
    if (auto fine = ask_first(options, path, served); !fine) return tl::unexpected(fine.error());
    std::string kept;
    if (served) {
        const auto before = restore_served(store, path);
        if (!before) return tl::unexpected(before.error());
        kept = *before;
    } else {
        const auto before = restore_backup(path, store);
        if (!before) return refuse(before.error(), path);
        std::error_code ignored;
        if (fs::exists(*before, ignored)) kept = before->string();
    }
    if (options.fleet.json) say("{}\n", Json{{"ok", true}, {"before", kept}}.dump());
    hint(options.fleet,
         fmt::format("restored{}\nnext: dunlin fleet {}",
                     kept.empty() ? "" : "; what was there before is in " + kept, served ? "status" : "serve"));
    return succeeded;
}

/// One thing that was looked at.
struct Finding {
    std::string what, problem, fix;  ///< no problem: all is well
};

class Doctor {
public:
    explicit Doctor(const std::string& store) : store_(store) {}

    std::vector<Finding> examine() {
        if (!fleet_at().url.empty()) {  // of another machine what its coordinator says
            served();
            return std::move(findings_);
        }
        keys();
        config();
        disk();
        limits();
        if (is_served(store_))
            served();
        else
            alone();
        return std::move(findings_);
    }

private:
    void find(std::string what, std::string problem = "", std::string fix = "") {
        findings_.push_back({std::move(what), std::move(problem), std::move(fix)});
    }

    void keys() {
        const auto loaded = KeyPair::load(store_ + "/key");
        if (loaded) return find("keys");
        const bool exposed = loaded.error().code == Code::key_exposed;
        find("keys", describe(loaded.error(), store_ + "/key").text,
             exposed ? "chmod 600 " + store_ + "/key; if others may have read it, make a new fleet key"
                     : "dunlin fleet init, or dunlin fleet restore BACKUP");
    }

    void config() {
        const auto read = read_config(store_);
        if (!read) return find("settings", read.error().text, "dunlin fleet init, or correct the file");
        config_ = *read;
        std::error_code ignored;
        const auto mode =
            fs::status(store_, ignored).permissions() & (fs::perms::group_all | fs::perms::others_all);
        if (mode != fs::perms::none)
            return find("settings", store_ + " can be entered by others, who then command the fleet",
                        "chmod 700 " + store_);
        find("settings");
    }

    void disk() {
        std::error_code error;
        const fs::space_info space = fs::space(store_, error);
        if (!error && space.available < (std::uintmax_t{1} << 30))
            find("disk space", fmt::format("{} MB are left", space.available >> 20),
                 "make room: at a full disk all updates are refused");
        else
            find("disk space");
        const std::string probe = store_ + "/doctor.new";
        const std::vector<std::byte> page(4096);
        auto file = posix_file_system().open(probe);
        const std::int64_t begin = steady_now_ms();
        bool wrote = file.has_value();
        for (int k = 0; wrote && k < 10; ++k) wrote = (*file)->append(page) && (*file)->sync();
        const double ms = static_cast<double>(steady_now_ms() - begin) / 10.0;
        (void)posix_file_system().remove(probe);
        if (!wrote)
            find("writing", store_ + " cannot be written", "check owner and mount options");
        else if (ms > 100)
            find("writing", fmt::format("one durable write takes {:.0f} ms", ms),
                 "use a faster disk for the store");
        else
            find(fmt::format("writing ({:.1f} ms a durable write)", ms));
    }

    void limits() {
        rlimit files{};
        getrlimit(RLIMIT_NOFILE, &files);
        if (files.rlim_cur < 4096)
            find("open files", fmt::format("this shell allows {}: each node takes one", files.rlim_cur),
                 "ulimit -n 65536, or LimitNOFILE= in the unit; matters from a few hundred nodes on");
        else
            find("open files");
    }

    void clock(const Json& lines) {
        std::int64_t newest = 0;
        for (const Json& line : lines) newest = std::max(newest, line["time_ms"].get<std::int64_t>());
        if (unix_now_ms() < newest - 60'000)
            find("clock", "it stands before the newest record of the log: " + time_text(newest),
                 "set it (timedatectl set-ntp true); nothing is decided by it, but logs will confuse");
        else
            find("clock");
    }

    void served() {
        const auto status = ask_fleet(store_, {{"command", "status"}});
        if (!status)
            return find("coordinator", status.error().text, "look at its log; restart it: what is stored is safe");
        find(fmt::format("coordinator (serves at {})", status->json["endpoint"].get<std::string>()));
        const auto failures = status->json["counters"]["commit_failures"].get<std::uint64_t>();
        if (failures > 0)
            find("store", fmt::format("{} writes have failed", failures),
                 "check disk and dmesg; `dunlin fleet logs`");
        const auto lines = ask_fleet(store_, {{"command", "logs"}, {"lines", 1}});
        if (lines) clock(lines->json["lines"]);
        const auto nodes = ask_fleet(store_, {{"command", "nodes"}});
        if (!nodes) return;
        for (const Json& node : nodes->json["nodes"]) {
            const std::string state = node["state"];
            if (state == "here" || state == "revoked") continue;
            find("node " + node["name"].get<std::string>(), state == "suspect" ? "says nothing" : "is away",
                 "on it: is dunlin-node running, with this --server-key, and can it reach the port? its log says "
                 "why");
        }
        if (nodes->json["nodes"].empty()) find("roster", "is empty", "dunlin fleet admit NAME PUBLIC_KEY");
    }

    void alone() {
        const auto status = ask_fleet(store_, {{"command", "status"}});
        if (!status) return find("store", status.error().text, "dunlin fleet restore BACKUP");
        find(fmt::format("store ({} records)", status->json["records"].dump()));
        const auto lines = ask_fleet(store_, {{"command", "logs"}, {"lines", 1}});
        if (lines) clock(lines->json["lines"]);
        const auto keys = KeyPair::load(store_ + "/key");
        if (!keys) return;
        ServerLinkSettings settings;
        settings.endpoint = config_.listen;
        settings.keys = *keys;
        const auto link = ServerLink::open(settings);
        if (!link)
            find("port", describe(link.error(), config_.listen).text,
                 "who has it: ss -ltnp; another: listen in " + store_ + "/fleet.toml");
        else
            find(fmt::format("port ({} is free)", config_.listen));
        find("coordinator", "nobody serves this fleet", "dunlin fleet serve");
    }

    std::string store_;
    FleetConfig config_;
    std::vector<Finding> findings_;
};

Outcome<int> doctor(const FleetOptions& options) {
    const std::vector<Finding> findings = Doctor(options.store).examine();
    Json all = Json::array();
    bool well = true;
    for (const Finding& finding : findings) {
        const bool good = finding.problem.empty();
        well = well && good;
        all.push_back({{"what", finding.what}, {"ok", good}, {"problem", finding.problem}, {"fix", finding.fix}});
        if (options.json) continue;
        if (good)
            say("ok       {}\n", finding.what);
        else
            say("problem  {}: {}\n         fix: {}\n", finding.what, finding.problem, finding.fix);
    }
    if (options.json) say("{}\n", Json{{"ok", well}, {"findings", all}}.dump());
    if (well) hint(options, "all is well\nnext: dunlin fleet run EXPERIMENT, or dunlin fleet watch");
    return well ? succeeded : failed;
}

}  // namespace

void add_fleet_keeping(CLI::App& fleet, Command& run) {
    auto saved = std::make_shared<CopyOptions>();
    CLI::App* command =
        fleet.add_subcommand("backup", "Copy the whole fleet to a new directory, also while it runs");
    add_fleet_options(*command, saved->fleet);
    command->add_option("directory", saved->path, "where; must not exist")->required();
    command->footer("Example:\n  dunlin fleet backup /media/stick/fleet-monday\n");
    command->callback([saved, &run] { run = [saved] { return backup(*saved); }; });

    auto restored = std::make_shared<CopyOptions>();
    command = fleet.add_subcommand("restore",
                                   "Go back to a backup, also while the fleet runs; what is there is kept aside");
    add_fleet_options(*command, restored->fleet);
    command->add_option("directory", restored->path, "what `dunlin fleet backup` made")->required();
    command->add_flag("--yes", restored->yes,
                      "also where it lets revoked keys in again, or discards a running job or what its nodes hold");
    command->footer(
        "Updates acknowledged since the backup are gone from the model then.\n"
        "Example:\n  dunlin fleet restore /media/stick/fleet-monday\n");
    command->callback([restored, &run] { run = [restored] { return restore(*restored); }; });

    auto examined = std::make_shared<FleetOptions>();
    command =
        fleet.add_subcommand("doctor", "Look for what is wrong: keys, disk, port, clock, nodes; and say the fix");
    add_fleet_options(*command, *examined);
    command->footer("Exit codes: 0 all is well, 1 something is not.\nExample:\n  dunlin fleet doctor\n");
    command->callback([examined, &run] { run = [examined] { return doctor(*examined); }; });
}

}  // namespace dunlin::app
