// SPDX-License-Identifier: Apache-2.0
#include "fleet/node/node.hpp"

#include <algorithm>
#include <chrono>
#include <new>

#include <fmt/format.h>

namespace dunlin {
namespace {

std::int64_t now_ms() {
    using namespace std::chrono;
    return duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count();
}

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
                .store_every = settings_.store_every}) {}

Outcome<std::unique_ptr<Node>> Node::make(NodeSettings settings, NodeLog log) {
    const std::string where = settings.directory.string();
    auto store = NodeStore::open(posix_file_system(), settings.directory);
    if (!store) return problem(store.error(), where);
    // Of one that lost power; the process with this number may be a stranger by now.
    std::error_code ignored;
    std::filesystem::remove(settings.directory / "pid", ignored);
    auto link = NodeLink::open(settings.link);
    if (!link) return problem(link.error(), settings.link.endpoint);
    std::unique_ptr<Node> node(new Node(std::move(settings), *std::move(store), *std::move(link), std::move(log)));
    const auto saved = node->store_.load();
    if (!saved) return problem(saved.error(), where + "/state");
    if (*saved) {
        if (auto resumed = node->session_.resume(std::as_bytes(std::span(**saved))); !resumed) {
            return problem(resumed.error(), where + "/state");
        }
        node->log_("resumed", fmt::format("goes on with job {}, epoch {}, after {} updates", node->session_.job(),
                                          node->session_.terms().epoch, node->session_.updates()));
    }
    return node;
}

void Node::run(const std::atomic<bool>& stop, const std::atomic<bool>& leave) {
    while (!stop) {
        take_arrivals();
        give_up_silence();
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
                session_.connected(now_ms());
                break;
            case Arrival::Kind::down:
                // Once for each reason: it is dialled for as long as it takes.
                if (arrival_.reason.code != away_because_) {
                    log_("disconnected", describe(arrival_.reason, settings_.link.endpoint).text);
                }
                away_because_ = arrival_.reason.code;
                session_.disconnected();
                if (session_.job() == 0) break;
                for (const std::uint32_t member : session_.terms().out_neighbours)
                    session_.set_reachable(member, link_.reaches(member));
                break;
            case Arrival::Kind::message:
                take(arrival_.message.message());
                break;
        }
    }
}

void Node::take(const Message& message) {
    if (const auto* peers = std::get_if<Peers>(&message.body)) link_.set_peers(peers->peers);
    if (const auto* refusal = std::get_if<Refusal>(&message.body)) {
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

bool Node::act(Duty duty) {
    switch (duty) {
        case Duty::wait:
            return false;
        case Duty::send:
            send();
            break;
        case Duty::prepare:
            prepare();
            break;
        case Duty::store:
            store();
            break;
        case Duty::learn:
            learn();
            break;
        case Duty::report:
            report();
            break;
        case Duty::finish:
            log_("job_over", fmt::format("job {} is over: {}", session_.job(), name_of(session_.end_reason())));
            if (auto erased = store_.erase(); !erased) log_("store_failed", describe(erased.error(), "state").text);
            session_.finished();
            task_.reset();
            break;
    }
    return true;
}

void Node::send() {
    const bool share = session_.recipient() != coordinator_number;
    const auto sent = share ? link_.send_to_peer(session_.message()) : link_.send(session_.message());
    sent ? session_.sent() : session_.not_sent();
}

void Node::prepare() {
    const JobTerms& terms = session_.terms();
    auto made = settings_.make_task(terms);
    if (!made) {
        log_("job_refused", fmt::format("job {}: {}", session_.job(), made.error().text));
        session_.refuse({Code::job_not_understood, 0, 0});
        return;
    }
    task_ = *std::move(made);
    log_("job_taken",
         fmt::format("takes part in job {} as member {} of {}", session_.job(), terms.member, terms.members));
    session_.prepared();
}

void Node::store() {
    const auto saved = store_.save(session_.state());
    if (saved) {
        storing_failed_ = false;
        session_.stored();
        return;
    }
    if (!storing_failed_) {
        log_("store_failed",
             describe(saved.error(), settings_.directory.string()).text + "; nothing leaves until it can");
    }
    storing_failed_ = true;
    session_.store_failed(now_ms());
}

void Node::learn() {
    task_->learner().gradient(session_.parameters(), session_.random(), session_.gradient());
    const std::uint64_t job = session_.job();
    if (auto taken = session_.learned(now_ms()); !taken) {
        log_("diverged", describe(taken.error(), fmt::format("job {}", job)).text);
    }
}

void Node::report() {
    const auto measured = task_->measure(session_.parameters());
    metrics_.assign(measured.begin(), measured.end());
    metrics_.push_back({"updates", static_cast<double>(session_.updates())});
    for (const Metric& metric : metrics_) log_("metric", fmt::format("{} {:.4g}", metric.name, metric.value));
    if (session_.final_report()) keep_personal();
    session_.reported(metrics_);
}

/// What the job was for. It stays here, also when the job's state is gone.
void Node::keep_personal() {
    const std::string file = task_->personal_file();
    if (file.empty()) return;
    const auto kept = store_.keep_personal(session_.job(), std::as_bytes(std::span(file)));
    if (kept) {
        log_("personal",
             fmt::format("what this node made its own in job {} is in {}", session_.job(), kept->string()));
    } else {
        log_("store_failed", fmt::format("what this node made its own in job {} is lost: {}", session_.job(),
                                         describe(kept.error(), settings_.directory.string()).text));
    }
}

}  // namespace dunlin
