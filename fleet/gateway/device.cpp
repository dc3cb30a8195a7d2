// SPDX-License-Identifier: Apache-2.0
#include "fleet/gateway/device.hpp"

#include "transport/wire/flat_codec.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <random>

#include <fmt/format.h>

namespace dunlin {
namespace {

constexpr std::size_t inbox_bytes = 2u << 20;  ///< the longest message of a device
constexpr std::size_t most_unwritten = 256;    ///< handed to a port at a time, so that answers stay quick
constexpr std::size_t most_queued = 256;       ///< messages for one device
constexpr std::int64_t reopen_ms = 1000;
constexpr std::int64_t line_report_ms = 60'000;
constexpr unsigned usual_baud = 115'200;

std::int64_t now_ms() {
    using namespace std::chrono;
    return duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count();
}

SerialSettings line_settings(const GatewayDeviceSettings& settings, std::span<std::byte> inbox, LineGuard* guard) {
    // Another number than before a restart of this program.
    return {.role = SerialRole::leader,
            .inbox = inbox,
            .first_session = std::random_device{}() | 1u,
            .bits_per_second = settings.baud,
            .silence_ms = settings.silence_ms,
            .guard = guard};
}

std::optional<SealedGuard<SodiumCiphers>> guard_of(const GatewayDeviceSettings& settings) {
    if (!settings.line_key) return std::nullopt;
    return SealedGuard<SodiumCiphers>(*settings.line_key, SodiumCiphers::fresh);
}

}  // namespace

GatewayDevice::GatewayDevice(GatewayDeviceSettings settings, NodeStore store, NodeLink link, SerialPorts& ports,
                             NodeLog log)
    : settings_(std::move(settings)),
      store_(std::move(store)),
      link_(std::move(link)),
      port_(ports, settings_.address, settings_.baud, [this] { link_.wake(); }),
      log_(std::move(log)),
      inbox_(inbox_bytes),
      guard_(guard_of(settings_)),
      line_(line_settings(settings_, inbox_, guard_ ? &*guard_ : nullptr)),
      metrics_(WireLimits::metrics),
      store_thread_([this] { link_.wake(); }) {}

Outcome<std::unique_ptr<GatewayDevice>> GatewayDevice::make(GatewayDeviceSettings settings, SerialPorts& ports,
                                                            NodeLog log) {
    if (auto fine = SerialPort::check(settings.address); !fine) return refuse(fine.error(), settings.address);
    if (settings.baud == 0 && !SerialPort::is_connection(settings.address)) settings.baud = usual_baud;
    auto store = NodeStore::open(posix_file_system(), settings.directory);
    if (!store) return refuse(store.error(), settings.directory.string());
    if (auto saved = store->load(); !saved) return refuse(saved.error(), settings.directory.string() + "/state");
    auto link = NodeLink::open(settings.link);
    if (!link) return refuse(link.error(), settings.link.endpoint);
    return std::unique_ptr<GatewayDevice>(
        new GatewayDevice(std::move(settings), *std::move(store), *std::move(link), ports, std::move(log)));
}

void GatewayDevice::run(const std::atomic<bool>& stop) {
    while (!stop) {
        const std::int64_t now = now_ms();
        tend_port(now);
        take_bytes(now);
        follow_sessions();
        tell_of_the_line(now);
        from_device();
        take_arrivals();
        push(now_ms());
        beat(now_ms());
        const std::int64_t wait = port_open_ ? line_.wake_at_ms() - now_ms() : open_at_ms_ - now_ms();
        link_.poll(
            static_cast<int>(std::clamp<std::int64_t>(wait, 0, std::min<std::int64_t>(1000, heartbeat_ms_))));
    }
    port_.close();
}

// the serial side

void GatewayDevice::tend_port(std::int64_t now) {
    const SerialPort::State state = port_.state();
    if (state == SerialPort::State::open) {
        if (!port_open_) log_("plugged", settings_.address + " is open");
        port_open_ = true;
        told_closed_ = false;
        return;
    }
    if (port_open_) open_at_ms_ = now;
    port_open_ = false;
    if (state == SerialPort::State::opening) return;
    if (!told_closed_ && !port_.reason().empty()) {
        log_("unplugged", fmt::format("{}: {}; tried again every second", settings_.address, port_.reason()));
        told_closed_ = true;
    }
    if (now < open_at_ms_) return;
    open_at_ms_ = now + reopen_ms;
    port_.open();
}

void GatewayDevice::take_bytes(std::int64_t now) {
    port_.read(bytes_);
    for (const std::uint8_t byte : bytes_) {
        line_.take(byte, now);
        // A message waits in the line until it is taken; what follows it may be the next.
        if (byte == 0) from_device();
    }
}

/// A new session of the line: the device is told what was kept of it, and says Join on a connection of its own.
void GatewayDevice::follow_sessions() {
    const SerialCounters counters = line_.counters();
    if (counters.silences != silences_)
        log_("silent", "says nothing; a new session is begun as soon as it answers");
    if (counters.resets != resets_) log_("reset", "has started anew");
    if (counters.forged != forged_) log_("forged", "a message with a wrong seal was refused; who is on its line?");
    forged_ = counters.forged;
    silences_ = counters.silences;
    resets_ = counters.resets;
    if (line_.sessions() == session_) return;
    session_ = line_.sessions();
    // Whoever asked for it has forgotten that it did, and may be given it back.
    while (store_thread_.busy() && !store_thread_.collect(std::chrono::seconds(1))) continue;
    keeps_ = false;
    joined_ = false;
    under_way_.reset();
    clear(false);
    const auto saved = store_.load();
    if (!saved) log_("store_failed", describe(saved.error(), settings_.directory.string()).text);
    if (saved && *saved) {
        enqueue_bytes(SerialKind::restore, std::as_bytes(std::span((*saved)->session)));
    } else {
        enqueue_bytes(SerialKind::nothing_kept, {});
    }
    const bool kept = saved && *saved;
    log_(kept ? "restored" : "session", kept ? "answers, and is given its state" : "answers");
    if (spoken_) {
        link_.redial();
        link_up_ = spoken_ = false;
    } else if (link_up_) {
        enqueue_bytes(SerialKind::online, {});
    }
}

/// What was harmed on the line since it was last said; nothing of a line that harms nothing.
void GatewayDevice::tell_of_the_line(std::int64_t now) {
    if (now < told_ms_ + line_report_ms) return;
    told_ms_ = now;
    const SerialCounters counters = line_.counters();
    const std::uint32_t damaged = counters.damaged - told_.damaged, whole = counters.received - told_.received;
    const std::uint32_t repeated = counters.repeated - told_.repeated, sent = counters.sent - told_.sent;
    if (damaged > 0 || repeated > 0) {
        log_("line",
             fmt::format("of {} fragments that came {} were damaged, of {} that were sent {} were sent again; "
                         "fragments of {} bytes, a round trip takes {} ms",
                         damaged + whole, damaged, sent, repeated, line_.fragment_bytes(), line_.round_trip_ms()));
    }
    told_ = counters;
}

/// How the line does, beside what a device says of itself.
void GatewayDevice::add_to_report(Report& report) {
    const SerialCounters counters = line_.counters();
    const Metric of_line[] = {{"line_received", static_cast<double>(counters.received)},
                              {"line_damaged", static_cast<double>(counters.damaged)},
                              {"line_sent", static_cast<double>(counters.sent)},
                              {"line_repeated", static_cast<double>(counters.repeated)},
                              {"line_round_trip_ms", static_cast<double>(line_.round_trip_ms())}};
    reported_.assign(report.metrics.begin(), report.metrics.end());
    for (const Metric& metric : of_line) {
        if (reported_.size() < WireLimits::metrics) reported_.push_back(metric);
    }
    report.metrics = reported_;
}

void GatewayDevice::push(std::int64_t now) {
    if (under_way_ && !line_.sending()) {
        if (line_.refusal() != Code{}) {
            log_("refused", describe({line_.refusal()}, "the device").text);
            // It could not take its state: then it has none.
            if (under_way_->kind == SerialKind::restore) {
                Outgoing none{.kind = SerialKind::nothing_kept, .words = {}};
                queue_.push_front(std::move(none));
            }
        }
        under_way_.reset();
    }
    if (!under_way_ && line_.up() && !queue_.empty()) {
        under_way_ = std::move(queue_.front());
        queue_.pop_front();
        head_ = SerialHead::of(under_way_->kind);
        if (!line_.send(head_, std::as_bytes(std::span(under_way_->words)).first(under_way_->bytes)))
            under_way_.reset();
    }
    if (!port_open_) return;
    while (port_.pending() < most_unwritten) {
        const auto fragment = line_.next(now);
        if (fragment.empty()) break;
        port_.write(fragment);
    }
}

void GatewayDevice::clear(bool fleet_only) {
    if (!fleet_only) return queue_.clear();
    std::erase_if(queue_, [](const Outgoing& waiting) {
        return waiting.kind != SerialKind::restore && waiting.kind != SerialKind::nothing_kept;
    });
}

void GatewayDevice::enqueue(Outgoing outgoing) {
    if (outgoing.share_of >= 0) {
        std::erase_if(queue_, [&](const Outgoing& waiting) { return waiting.share_of == outgoing.share_of; });
    }
    if (queue_.size() >= most_queued) {
        // Its session asks again for what it misses, on a new connection.
        log_("slow", "takes messages too slowly; the connection is made anew");
        link_.redial();
        return clear(true);
    }
    queue_.push_back(std::move(outgoing));
}

void GatewayDevice::enqueue_bytes(SerialKind kind, std::span<const std::byte> bytes) {
    Outgoing outgoing{
        .kind = kind, .words = std::vector<std::uint64_t>((bytes.size() + 7) / 8), .bytes = bytes.size()};
    if (!bytes.empty()) std::memcpy(outgoing.words.data(), bytes.data(), bytes.size());
    enqueue(std::move(outgoing));
}

// the coordinator's side

void GatewayDevice::take_arrivals() {
    while (link_.receive(arrival_)) {
        switch (arrival_.kind) {
            case Arrival::Kind::up:
                log_("connected", "connected to " + settings_.link.endpoint);
                away_because_ = {};
                link_up_ = true;
                spoken_ = joined_ = false;
                clear(true);
                if (line_.up()) enqueue_bytes(SerialKind::online, {});
                break;
            case Arrival::Kind::down:
                if (arrival_.reason.code != away_because_) {
                    log_("disconnected", describe(arrival_.reason, settings_.link.endpoint).text);
                }
                away_because_ = arrival_.reason.code;
                link_up_ = joined_ = false;
                clear(true);
                if (line_.up()) enqueue_bytes(SerialKind::offline, {});
                break;
            case Arrival::Kind::message:
                to_device(arrival_.message.message());
                break;
        }
    }
}

void GatewayDevice::to_device(const Message& message) {
    // Where members are is the gateway's to know.
    if (const auto* peers = std::get_if<Peers>(&message.body)) return link_.set_peers(peers->peers);
    if (std::holds_alternative<Heartbeat>(message.body)) return;  // an answer, also to what was said for it
    Message told = message;
    // A device brings its own task; the text may be larger than all of its memory.
    if (auto* offer = std::get_if<JobOffer>(&told.body)) offer->terms.experiment = {};
    if (const auto* refusal = std::get_if<Refusal>(&told.body)) {
        log_("refused", describe(refusal->error, settings_.link.endpoint).text);
    }
    if (const auto* welcome = std::get_if<Welcome>(&told.body)) {
        log_("joined", fmt::format("joined as node {}, incarnation {}", welcome->node, welcome->incarnation));
        heartbeat_ms_ = std::max<std::int64_t>(welcome->heartbeat_ms, 1);
        said_ms_ = now_ms();
        joined_ = true;
        beat_ = {{0, welcome->node, welcome->incarnation, 0}, Heartbeat{}};
    }
    Outgoing outgoing{.kind = SerialKind::fleet, .words = std::vector<std::uint64_t>((flat_bytes(told) + 7) / 8)};
    const auto encoded = encode_flat(told, std::as_writable_bytes(std::span(outgoing.words)));
    if (!encoded) return log_("ignored", describe(encoded.error(), "a message").text);
    // It was written to the end of the buffer.
    std::memmove(outgoing.words.data(), encoded->data(), encoded->size());
    outgoing.bytes = encoded->size();
    if (const auto* share = std::get_if<ShareMessage>(&told.body)) outgoing.share_of = share->from;
    enqueue(std::move(outgoing));
}

// what the device says

void GatewayDevice::from_device() {
    if (keeps_) return release_kept();
    const auto message = line_.received();
    // The start of a session comes first.
    if (message.empty() || line_.sessions() != session_) return;
    const SerialKind kind = SerialHead::kind(message);
    if (kind == SerialKind::keep && message.size() >= SerialHead::bytes) {
        const auto state = message.subspan(SerialHead::bytes);
        keeping_.assign(state.begin(), state.end());
        keeps_ = true;
        store_thread_.begin([this] { kept_ = store_.save(keeping_); });
        return;
    }
    line_.release(message.size() < SerialHead::bytes ? Code::message_malformed
                                                     : taken(kind, message.subspan(SerialHead::bytes)));
}

/// The device waits until its state is on disk.
void GatewayDevice::release_kept() {
    if (!store_thread_.collect()) return;
    keeps_ = false;
    if (line_.sessions() != session_) return;
    if (!kept_) log_("store_failed", describe(kept_.error(), settings_.directory.string()).text);
    line_.release(kept_ ? Code{} : Code::not_durable);
}

/// Speaks for a device that answers on its line and has said nothing to the coordinator for a while.
void GatewayDevice::beat(std::int64_t now) {
    if (!link_up_ || !joined_ || !line_.up() || now - said_ms_ < heartbeat_ms_ * 3 / 2) return;
    said_ms_ = now;
    (void)link_.send(beat_);
}

Code GatewayDevice::taken(SerialKind kind, std::span<const std::byte> body) {
    if (kind == SerialKind::fleet) return to_coordinator(body);
    if (kind != SerialKind::forget) return Code::message_unknown;
    const Result<void> done = store_.erase();
    if (done) return {};
    log_("store_failed", describe(done.error(), settings_.directory.string()).text);
    return Code::not_durable;
}

Code GatewayDevice::to_coordinator(std::span<const std::byte> body) {
    auto message = decode_flat(body, {.metrics = metrics_, .peers = {}});
    if (!message) {
        log_("ignored", describe(message.error(), "a message of the device").text);
        return message.error().code;
    }
    if (auto* join = std::get_if<Join>(&message->body)) {
        join->name = settings_.name;
        join->endpoint = {};
    }
    if (auto* report = std::get_if<Report>(&message->body)) add_to_report(*report);
    if (std::holds_alternative<ShareMessage>(message->body)) {
        const auto sent = link_.send_to_peer(*message);
        return sent ? Code{} : sent.error().code;
    }
    if (!link_up_) return Code::not_connected;
    spoken_ = true;
    said_ms_ = now_ms();
    if (std::holds_alternative<Heartbeat>(message->body)) beat_ = *message;
    const auto sent = link_.send(*message);
    return sent ? Code{} : sent.error().code;
}

}  // namespace dunlin
