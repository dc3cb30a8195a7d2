// SPDX-License-Identifier: Apache-2.0
#include "fleet/node/node.hpp"

#include "fleet/node/machine_vitals.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <new>

#include <fmt/format.h>

namespace dunlin {
namespace {

std::string_view name_of(JobEndReason reason) {
    switch (reason) {
        case JobEndReason::finished:
            return "finished";
        case JobEndReason::stopped:
            return "stopped";
        case JobEndReason::removed:
            return "without this node from now on";
        case JobEndReason::failed:
            return "failed";
    }
    return "";
}

}  // namespace

std::int64_t Node::now_ms() {
    using namespace std::chrono;
    return duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count();
}

// Untouched pages cost nothing, so the memory is not written before it is used.
Node::Memory::Memory(std::size_t size)
    : bytes(static_cast<std::byte*>(::operator new (size, std::align_val_t{Arena::alignment})), size) {}
Node::Memory::~Memory() {
    ::operator delete (bytes.data(), std::align_val_t{Arena::alignment});
}

Node::Node(NodeSettings settings, NodeStore store, NodeLink link, NodeLog log)
    : settings_(std::move(settings)),
      store_(std::move(store)),
      link_(std::move(link)),
      log_(std::move(log)),
      memory_(settings_.memory_bytes),
      session_({.name = settings_.name,
                .software = settings_.software,
                .endpoint = link_.listening(),
                .memory = memory_.bytes,
                .store_every = settings_.store_every,
                .masks = &masks_}),
      work_thread_([this] { link_.wake(); }),
      store_thread_([this] { link_.wake(); }) {}

Outcome<std::unique_ptr<Node>> Node::make(NodeSettings settings, NodeLog log) {
    const std::string where = settings.directory.string();
    auto store = NodeStore::open(posix_file_system(), settings.directory);
    if (!store) return refuse(store.error(), where);
    // Of one that lost power; the process with this number may be a stranger by now.
    std::error_code ignored;
    std::filesystem::remove(settings.directory / "pid", ignored);
    auto link = NodeLink::open(settings.link);
    if (!link) return refuse(link.error(), settings.link.endpoint);
    std::unique_ptr<Node> node(new Node(std::move(settings), *std::move(store), *std::move(link), std::move(log)));
    auto saved = node->store_.load();
    if (!saved) return refuse(saved.error(), where + "/state");
    if (*saved) node->kept_ = std::move((*saved)->kept);
    if (*saved && !(*saved)->session.empty()) {
        if (auto resumed = node->session_.resume(std::as_bytes(std::span((*saved)->session))); !resumed) {
            const Code code = resumed.error().code;
            if (code != Code::state_mismatch && code != Code::state_size)
                return refuse(resumed.error(), where + "/state");
            return refuse(
                fmt::format("{0}/state: {1}. Another version of Dunlin wrote it: go on with that one until "
                            "the job is over, or remove this file; then the node begins anew with what the "
                            "others have, and what it held is in the ledger as lost",
                            where, describe(resumed.error(), "it").text));
        }
        node->expect_shares(node->session_.terms());
        node->log_("resumed", fmt::format("goes on with job {}, epoch {}, after {} updates", node->session_.job(),
                                          node->session_.terms().epoch, node->session_.updates()));
    }
    return node;
}

void Node::run(const std::atomic<bool>& stop, const std::atomic<bool>& leave) {
    while (!stop) {
        take_arrivals();
        give_up_silence();
        if (work_thread_.collect()) end_work();
        if (store_thread_.collect()) end_store();
        if (leave) {
            session_.leave();
            if (session_.job() == 0) return;
        }
        const std::int64_t now = now_ms();
        const Duty duty = session_.next(now);
        if (duty != Duty::wait) {
            act(duty);
        } else if (!stop) {
            link_.poll(static_cast<int>(std::clamp<std::int64_t>(session_.wake_at_ms() - now, 0, 60'000)));
        }
    }
}

/// Every heartbeat is answered. A connection on which nothing comes is dead in one direction at least, say because
/// a damaged length swallows what is said on it, though TCP may call it alive.
void Node::give_up_silence() {
    constexpr std::int64_t missed_beats = 5;
    const std::int64_t now = now_ms();
    if (!link_.up() || now - heard_ms_ < missed_beats * heartbeat_ms_) return;
    log_("silence", fmt::format("{} says nothing; a new connection is made", settings_.link.endpoint));
    heard_ms_ = now;
    link_.redial();
}

void Node::take_arrivals() {
    while (link_.receive(arrival_)) {
        heard_ms_ = now_ms();
        switch (arrival_.kind) {
            case Arrival::Kind::up:
                log_("connected", "connected to " + settings_.link.endpoint);
                away_because_ = {};
                vitals_wanted_ = true;
                vitals_ms_ = 0;
                session_.connected(now_ms());
                break;
            case Arrival::Kind::down:
                // Once for each reason: it is dialled for as long as it takes.
                if (arrival_.reason.code != away_because_) {
                    log_("disconnected", describe(arrival_.reason, settings_.link.endpoint).text);
                }
                away_because_ = arrival_.reason.code;
                session_.disconnected();
                break;
            case Arrival::Kind::message:
                take(arrival_.message.message());
                break;
        }
    }
    // Without the coordinator, who says so otherwise, an edge is as open as its direct connection.
    if (link_.up() || session_.job() == 0) return;
    for (const std::uint32_t member : session_.terms().out_neighbours)
        session_.set_reachable(member, link_.reaches(member));
}

void Node::take(const Message& message) {
    if (const auto* peers = std::get_if<Peers>(&message.body)) link_.set_peers(peers->peers);
    if (const auto* offer = std::get_if<JobOffer>(&message.body)) expect_shares(offer->terms);
    if (const auto* refusal = std::get_if<Refusal>(&message.body)) {
        if (refusal->error.code == Code::unknown_job && message.envelope.job == 0) {
            vitals_wanted_ = false;  // an older coordinator, which takes no report about no job
            return;
        }
        log_("refused", describe(refusal->error, settings_.link.endpoint).text);
        // A share that was under way when the connection broke comes before Join; that is no reason to go.
        if (!session_.joined() && refusal->error.code != Code::not_joined) link_.redial();
    }
    if (const auto* welcome = std::get_if<Welcome>(&message.body)) {
        heartbeat_ms_ = std::max<std::int64_t>(welcome->heartbeat_ms, 1);
        log_("joined", fmt::format("joined as node {}, incarnation {}", welcome->node, welcome->incarnation));
    }
    if (auto taken = session_.receive(message, now_ms()); !taken) {
        log_("ignored", describe(taken.error(), "a message").text);
    }
}

void Node::expect_shares(const JobTerms& terms) {
    if (terms.aggregation == Aggregation::federated) return;
    if (auto fits = link_.expect_shares(terms.dimension); !fits)
        log_("disconnected", describe(fits.error(), settings_.link.listen).text);
}

void Node::act(Duty duty) {
    switch (duty) {
        case Duty::wait:
            break;
        case Duty::send:
            send();
            break;
        case Duty::store:
            begin_store();
            break;
        case Duty::prepare:
        case Duty::learn:
        case Duty::report:
            begin_work(duty);
            break;
        case Duty::finish:
            log_("job_over", fmt::format("job {} is over: {}", session_.job(), name_of(session_.end_reason())));
            forget();
            session_.finished();
            task_.reset();
            break;
    }
}

void Node::send() {
    const bool share = session_.recipient() != coordinator_number;
    const bool beat = std::holds_alternative<Heartbeat>(session_.message().body);
    const auto sent = share ? link_.send_to_peer(session_.message()) : link_.send(session_.message());
    sent ? session_.sent() : session_.not_sent();
    if (beat && sent) say_vitals();
}

/// Beside the session, which boards have too: a report about no job is about this machine.
void Node::say_vitals() {
    constexpr std::int64_t often_ms = 10'000;
    if (!vitals_wanted_ || (vitals_ms_ != 0 && now_ms() - vitals_ms_ < often_ms)) return;
    const std::vector<Metric> vitals = read_vitals("/", settings_.directory);
    Report report;
    report.metrics = vitals;
    if (link_.send({{}, report})) vitals_ms_ = now_ms();  // else with the next heartbeat
}

// the disk

void Node::begin_store() {
    storing_.assign(session_.state().begin(), session_.state().end());
    kept_.nonce = session_.nonce();  // it may have been told only now
    storing_kept_ = kept_;
    session_.begun(Duty::store);
    store_thread_.begin([this] { stored_ = store_.save(storing_, storing_kept_); });
    if (store_thread_.collect(at_once)) end_store();
}

void Node::end_store() {
    if (stored_) {
        storing_failed_ = false;
        session_.stored();
        return;
    }
    if (!storing_failed_) {
        log_("store_failed",
             describe(stored_.error(), settings_.directory.string()).text + "; nothing leaves until it can");
    }
    storing_failed_ = true;
    session_.store_failed(now_ms());
}

/// Of a job that is over. Who was taken out of it, or fell out, may be taken in again, and goes on with what stayed with
/// it.
void Node::forget() {
    const JobEndReason why = session_.end_reason();
    const bool returns = (why == JobEndReason::removed || why == JobEndReason::failed) && !kept_.numbers.empty();
    if (!returns) kept_ = {};
    const Result<void> done = returns ? store_.save({}, kept_) : store_.erase();
    if (!done) log_("store_failed", describe(done.error(), "state").text);
}

}  // namespace dunlin
