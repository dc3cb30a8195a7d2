// SPDX-License-Identifier: Apache-2.0
#include "apps/checks.hpp"
#include "apps/dunlin/fleet_commands.hpp"
#include "apps/dunlin/fleet_log.hpp"
#include "apps/dunlin/fleet_web.hpp"
#include "apps/dunlin/interrupt.hpp"
#include "apps/dunlin/talking_index.hpp"
#include "fleet/coordinator/backup.hpp"
#include "fleet/coordinator/control_socket.hpp"
#include "fleet/coordinator/metrics.hpp"
#include "fleet/web/alert_teller.hpp"

#include <map>
#include <memory>
#include <set>
#include <thread>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <fmt/format.h>

namespace dunlin::app {
namespace {

using Level = FleetLog::Level;

struct ServeOptions {
    FleetOptions fleet;
    std::string listen, metrics;
    std::string log_format = "text";
    bool insecure = false, metrics_everywhere = false;
    WebOptions web;
};

/// A command that looks at the store has it for moments only.
Outcome<std::shared_ptr<void>> wait_for_store(const std::filesystem::path& store) {
    for (const std::int64_t begin = steady_now_ms();;) {
        auto lock = posix_file_system().lock(store / "lock");
        if (lock) return *std::move(lock);
        if (lock.error().code != Code::store_in_use || interrupted() || steady_now_ms() - begin > 10'000)
            return refuse(lock.error(), store.string());
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
}

/// Everything that a process which serves has open, until it ends or its store is replaced.
class Service {
public:
    /// `place` says how a restore went that this is the continuation of.
    Service(const ServeOptions& options, FleetLog& log, Desk::Place place)
        : options_(options), log_(log), place_(std::move(place)) {}

    /// Errors: wrong settings.
    Outcome<void> configure();
    /// Errors: the store's, the port's.
    Outcome<void> open();
    std::string endpoint() const { return place_.endpoint; }
    std::string web_address() const { return web_ ? web_->address() : std::string(); }
    /// The backup to restore, or nothing when it was told to end.
    Outcome<std::optional<std::filesystem::path>> run();

private:
    Outcome<void> open_metrics();
    void look_at_nodes();
    void look_at_snapshots();
    void look_for_alerts();
    void every_second();

    const ServeOptions& options_;
    FleetLog& log_;
    Desk::Place place_;
    FleetServerSettings settings_;
    std::string metrics_address_;    ///< "": none
    std::shared_ptr<void> serving_;  ///< the lock of who serves
    std::unique_ptr<Index> index_;
    std::unique_ptr<TalkingIndex> journal_;
    std::unique_ptr<FleetServer> server_;
    std::optional<ControlSocket> control_;
    std::optional<MetricsEndpoint> metrics_;
    std::optional<WebDoor> web_;
    std::unique_ptr<Desk> desk_;
    AlertTeller teller_;
    std::int64_t alerts_ms_ = 0;
    std::set<std::uint32_t> shared_;            ///< nodes with a key that two use, as was said
    std::map<std::uint32_t, bool> seen_;        ///< nodes that are connected, and whether they are suspect
    std::uint64_t failures_ = 0, commits_ = 0;  ///< as of the last look
    bool snapshot_failed_ = false;              ///< as was said
    bool failing_ = false, index_failed_ = false, no_metrics_said_ = false, door_said_ = false;
    std::uint64_t seconds_without_metrics_ = 0, pauses_ = 0;
    std::int64_t second_ms_ = 0;
};

Outcome<void> Service::configure() {
    const std::string& store = options_.fleet.store;
    if (auto found = find_fleet(store); !found) return found;
    const auto config = read_config(store);
    if (!config) return tl::unexpected(config.error());
    const auto keys = KeyPair::load(store + "/key");
    if (!keys) return refuse(keys.error(), store + "/key");
    settings_.directory = store;
    settings_.store.unix_ms = unix_now_ms;
    settings_.link.endpoint = options_.listen.empty() ? config->listen : options_.listen;
    settings_.link.keys = *keys;
    settings_.link.insecure = options_.insecure;
    settings_.link.message_bytes = WireLimits::message_bytes;
    metrics_address_ = options_.metrics.empty() ? config->metrics : options_.metrics;
    if (metrics_address_ == "off") metrics_address_.clear();
    return {};
}

Outcome<void> Service::open() {
    const std::filesystem::path store = options_.fleet.store;
    auto serving = posix_file_system().lock(store / "serve.lock");
    if (!serving && serving.error().code == Code::store_in_use)
        return unable(store.string() + ": another process serves this fleet already; see: dunlin fleet status");
    if (!serving) return refuse(serving.error(), (store / "serve.lock").string());
    serving_ = *std::move(serving);
    // From now on commands ask this process, and wait for it.
    auto control = ControlSocket::open(store);
    if (!control) return refuse(control.error(), control_path(store).string());
    control_.emplace(*std::move(control));
    auto lock = wait_for_store(store);
    if (!lock) return tl::unexpected(lock.error());
    settings_.store.lock = *std::move(lock);
    auto index = Index::open(store / "store.db");
    if (!index) return refuse(index.error(), (store / "store.db").string());
    index_ = *std::move(index);
    journal_ = std::make_unique<TalkingIndex>(*index_, log_);
    auto server = FleetServer::open(settings_, *journal_);
    if (!server) return tl::unexpected(server.error());
    server_ = *std::move(server);
    journal_->talks = true;
    if (auto open = open_metrics(); !open) return open;
    if (!options_.web.address.empty()) {
        auto web = WebDoor::open(options_.web, store.string());
        if (!web) return tl::unexpected(web.error());
        web_.emplace(*std::move(web));
        web_->tell(place_);
    }
    const std::string key = to_hex(settings_.link.keys.public_key());
    place_.endpoint = server_->link().endpoint();
    place_.server_key = key;
    place_.started_unix_ms = unix_now_ms();
    desk_ = std::make_unique<Desk>(server_->coordinator(), *index_, place_);
    log_.say(Level::info, "serving",
             fmt::format("nodes join at {} --server-key {}{}", server_->link().endpoint(), key,
                         metrics_ ? fmt::format("; metrics at http://{}/metrics", metrics_->address()) : ""));
    if (web_) log_.say(Level::info, "web", web_->greeting(steady_now_ms()));
    return {};
}

/// A fleet works as well without metrics: where their port is taken it is tried again. Errors: an address that was
/// given for this start and must not be.
Outcome<void> Service::open_metrics() {
    if (metrics_address_.empty()) return {};
    auto endpoint = MetricsEndpoint::open(metrics_address_, options_.metrics_everywhere);
    if (endpoint) {
        metrics_.emplace(*std::move(endpoint));
        return {};
    }
    Failure wrong = describe(endpoint.error(), "metrics at " + metrics_address_);
    const bool taken = endpoint.error().code == Code::link_failed;
    if (endpoint.error().code == Code::not_loopback)
        wrong.text = fmt::format(
            "metrics at {}: other machines reach this address, and metrics are not encrypted; "
            "--metrics-everywhere allows it",
            metrics_address_);
    if (!options_.metrics.empty() && !taken) return tl::unexpected(wrong);
    if (!no_metrics_said_) {
        log_.say(Level::warning, "no-metrics",
                 fmt::format("{}; the fleet is served without{}; --metrics HOST:PORT moves them, --metrics off "
                             "stops this",
                             wrong.text, taken ? ", and it is tried again every 5 s" : ""));
    }
    no_metrics_said_ = true;
    if (!taken) metrics_address_.clear();
    return {};
}

void Service::look_at_nodes() {
    std::map<std::uint32_t, bool> now;
    const Coordinator& coordinator = server_->coordinator();
    for (const auto& [key, connection] : coordinator.connections()) {
        if (connection.welcome) now[connection.node] = connection.suspect;
    }
    const auto name = [&](std::uint32_t node) { return coordinator.state().roster()[node].name; };
    for (const auto& [node, suspect] : now) {
        const auto before = seen_.find(node);
        if (before == seen_.end())
            log_.say(Level::info, "node-here", "is here", name(node));
        else if (before->second && !suspect)
            log_.say(Level::info, "node-here", "is heard again", name(node));
        else if (!before->second && suspect)
            log_.say(Level::warning, "node-suspect", "says nothing any more", name(node));
    }
    std::erase_if(shared_, [&](std::uint32_t node) { return !coordinator.shared(node); });
    for (std::uint32_t node = 0; node < coordinator.state().roster().nodes().size(); ++node) {
        if (!coordinator.shared(node) || !shared_.insert(node).second) continue;
        Event event{.time_ms = unix_now_ms(), .kind = "key-shared", .text = shared_key_text(name(node))};
        log_.say(Level::warning, event);
        index_->note(std::move(event));
    }
    for (const auto& [node, suspect] : seen_) {
        if (!now.contains(node)) log_.say(Level::warning, "node-away", "is away", name(node));
    }
    seen_ = std::move(now);
}

void Service::look_at_snapshots() {
    const std::optional<Error>& error = server_->coordinator().snapshot_failure();
    if (error.has_value() == snapshot_failed_) return;
    snapshot_failed_ = error.has_value();
    Event event{.time_ms = unix_now_ms(),
                .kind = error ? "snapshot-failed" : "snapshot-written",
                .text = error ? snapshot_failure_text(*error) : "the store's snapshot is written again"};
    log_.say(error ? Level::warning : Level::info, event);
    index_->note(std::move(event));
}

void Service::look_for_alerts() {
    constexpr std::int64_t often_ms = 5000;
    const std::int64_t now = steady_now_ms();
    for (const AlertTold& told : teller_.told()) {
        desk_->note_told(told.to, told.text, told.problem);
        if (!told.problem.empty())
            log_.say(Level::warning, "alert-untold", fmt::format("{}: {}", told.text, told.problem));
    }
    if (alerts_ms_ != 0 && now - alerts_ms_ < often_ms) return;
    alerts_ms_ = now;
    if (auto read = desk_->read_alert_rules(); !read) log_.say(Level::error, "alerts-unread", read.error().text);
    desk_->look_for_alerts(now, [this](const AlertRule& rule, const AlertChange& change) {
        const std::string text = change.raised ? change.alert.text : "over: " + change.alert.text;
        log_.say(change.raised ? Level::warning : Level::info, change.raised ? "alert" : "alert-over", text,
                 change.alert.node);
        teller_.tell(rule, change, unix_now_ms());
    });
}

void Service::every_second() {
    look_at_nodes();
    look_at_snapshots();
    look_for_alerts();
    const auto written = index_->flush();
    if (!written && !index_failed_) {
        log_.say(Level::error, "index-failed", describe(written.error(), "store.db").text);
    }
    index_failed_ = !written;
    const CoordinatorCounters& counters = server_->coordinator().counters();
    const std::uint64_t failures = counters.commit_failures;
    const bool failing = failures > failures_;
    if (failing && !failing_)
        log_.say(Level::error, "not-durable",
                 "what nodes send is refused until the store can be written; is the disk full?");
    if (counters.commits > commits_ && !failing && failing_)
        log_.say(Level::info, "durable", "the store is written again");
    if (counters.commits > commits_) failing_ = failing;
    failures_ = failures;
    commits_ = counters.commits;
    const LinkCounters link = server_->link_counters();
    if (link.pauses > pauses_ && !door_said_) {
        log_.say(
            Level::warning, "door-full",
            "too many connections at a time, or too many that say nothing: new ones wait. Nodes of your own? "
            "Raise the limit of open files (ulimit -n, LimitNOFILE=); strangers? let a firewall hold them off");
    }
    door_said_ = link.pauses > pauses_;
    pauses_ = link.pauses;
    if (!metrics_ && !metrics_address_.empty() && ++seconds_without_metrics_ % 5 == 0) {
        (void)open_metrics();
        if (metrics_)
            log_.say(Level::info, "metrics", fmt::format("metrics at http://{}/metrics", metrics_->address()));
    }
    if (metrics_) metrics_->publish(metrics_text(*server_));
}

Outcome<std::optional<std::filesystem::path>> Service::run() {
    while (!interrupted() && !desk_->restore_wanted()) {
        if (auto done = server_->turn(20); !done) return tl::unexpected(done.error());
        control_->serve([this](std::uint64_t asker, const Letter& request) {
            if (auto answer = desk_->take(asker, request, steady_now_ms())) control_->answer(asker, *answer);
        });
        if (web_) web_->serve(*desk_, steady_now_ms(), unix_now_ms());
        while (auto answer = desk_->finished(steady_now_ms())) {
            if (!web_ || !web_->answer(answer->first, answer->second))
                control_->answer(answer->first, answer->second);
        }
        const std::int64_t now = steady_now_ms();
        if (now - second_ms_ < 1000) continue;
        second_ms_ = now;
        every_second();
    }
    if (!desk_->restore_wanted()) {
        if (auto written = server_->coordinator().snapshot(); !written)
            log_.say(Level::warning, "snapshot-failed",
                     describe(written.error(), "the store's snapshot").text + "; all is in the log");
    }
    (void)index_->flush();  // what it lacks is written after the next opening, from the log
    return desk_->restore_wanted();
}

/// Puts a backup in the store's place, while nothing of the store is open here.
Desk::Place restore(const std::filesystem::path& backup, const std::string& store, FleetLog& log) {
    auto before = restore_backup(backup, store);
    for (int k = 0; k < 500 && !before && before.error().code == Code::store_in_use; ++k) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));  // a command has it for a moment
        before = restore_backup(backup, store);
    }
    Desk::Place place;
    if (before) {
        place.restored = before->string();
        log.say(Level::warning, "restored",
                fmt::format("{}; what was there before is in {}", backup.string(), place.restored));
    } else {
        place.restore_problem = describe(before.error(), backup.string()).text;
        log.say(Level::error, "restore-failed", place.restore_problem);
    }
    return place;
}

Outcome<int> serve(ServeOptions options) {
    if (auto here = need_here("serve"); !here) return tl::unexpected(here.error());
    catch_interrupts();
    outlive_readers();
    FleetLog log(options.log_format == "json");
    const auto fails = [&](const Failure& wrong) {
        log.say(Level::error, "failed", wrong.text);
        return wrong.unable ? failed : wrong_input;
    };
    Desk::Place place;
    for (;;) {
        std::optional<std::filesystem::path> backup;
        {
            Service service(options, log, place);
            if (auto configured = service.configure(); !configured) return tl::unexpected(configured.error());
            if (auto opened = service.open(); !opened) {
                if (interrupted()) return succeeded;  // while it waited for the store
                return fails(opened.error());
            }
            const auto ended = service.run();
            if (!ended) return fails({ended.error().text, true});
            backup = *ended;
            options.listen = service.endpoint();  // where nodes dial, also where the system chose the port
            options.web.address = service.web_address();
        }
        if (!backup) break;
        place = restore(*backup, options.fleet.store, log);
    }
    log.say(Level::info, "ended", "all is stored; nodes wait for the coordinator to come back");
    return succeeded;
}

}  // namespace

void add_fleet_serve(CLI::App& fleet, Command& run) {
    auto options = std::make_shared<ServeOptions>();
    CLI::App* command = fleet.add_subcommand("serve", "Be the fleet's coordinator until Ctrl-C or SIGTERM");
    add_fleet_options(*command, options->fleet);
    command->add_option("--listen", options->listen, "where nodes reach it, over fleet.toml: tcp://*:7700")
        ->check(check_listen);
    command->add_option("--metrics", options->metrics, "HOST:PORT of /metrics, over fleet.toml; off: nowhere")
        ->check(check_metrics);
    command->add_flag("--metrics-everywhere", options->metrics_everywhere,
                      "let other machines read the metrics, which are not encrypted");
    command->add_option("--log-format", options->log_format, "text or json, on stderr")
        ->check(CLI::IsMember({"text", "json"}))
        ->capture_default_str();
    add_web_options(*command, options->web);
    command->add_flag("--insecure", options->insecure, "without encryption; on loopback only");
    command->footer(
        "Example:\n  dunlin fleet serve --log-format json\nExit codes: 0 ended, 1 store, port or disk failed, 2 "
        "wrong input.\n");
    command->callback([options, &run] { run = [options] { return serve(*options); }; });
}

}  // namespace dunlin::app
