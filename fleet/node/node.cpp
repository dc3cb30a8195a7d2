// SPDX-License-Identifier: Apache-2.0
#include "fleet/node/node.hpp"

#include <algorithm>
#include <chrono>
#include <new>

#include <fmt/format.h>

namespace dunlin {
namespace {

constexpr std::chrono::milliseconds at_once{2};  ///< that a thing may take before the node looks for messages

std::int64_t now_ms() {
    using namespace std::chrono;
    return duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count();
}

/// As a message may carry it.
std::string one_line(std::string text) {
    for (char& c : text) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
    }
    std::size_t end = std::min(text.size(), WireLimits::line_bytes);
    // Not within a character.
    while (end < text.size() && end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
    text.resize(end);
    return text;
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
                .store_every = settings_.store_every}),
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
    const auto saved = node->store_.load();
    if (!saved) return refuse(saved.error(), where + "/state");
    if (*saved) {
        if (auto resumed = node->session_.resume(std::as_bytes(std::span(**saved))); !resumed) {
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
            if (auto erased = store_.erase(); !erased) log_("store_failed", describe(erased.error(), "state").text);
            session_.finished();
            task_.reset();
            break;
    }
}

void Node::send() {
    const bool share = session_.recipient() != coordinator_number;
    const auto sent = share ? link_.send_to_peer(session_.message()) : link_.send(session_.message());
    sent ? session_.sent() : session_.not_sent();
}

// the disk

void Node::begin_store() {
    storing_.assign(session_.state().begin(), session_.state().end());
    session_.begun(Duty::store);
    store_thread_.begin([this] { stored_ = store_.save(storing_); });
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

// what a job asks for

void Node::begin_work(Duty duty) {
    work_.duty = duty;
    work_.job = session_.job();
    if (duty == Duty::prepare) {
        work_.terms = session_.terms();
        work_.experiment = work_.terms.experiment;
        work_.in.assign(work_.terms.in_neighbours.begin(), work_.terms.in_neighbours.end());
        work_.out.assign(work_.terms.out_neighbours.begin(), work_.terms.out_neighbours.end());
        work_.terms.experiment = work_.experiment;
        work_.terms.in_neighbours = work_.in;
        work_.terms.out_neighbours = work_.out;
    } else {
        const ConstVector<float> parameters = session_.parameters();
        work_.parameters.assign(parameters.begin(), parameters.end());
        work_.task = task_;
        work_.random = session_.random();
        work_.final = session_.final_report();
    }
    if (duty == Duty::prepare)
        job_memory_.allow(static_cast<std::int64_t>(settings_.memory_bytes) - beside_data(work_.terms));
    session_.begun(duty);
    work_thread_.begin([this] { work(); });
    // Most gradients are quick, and waiting for one is quicker than being woken.
    if (work_thread_.collect(at_once)) end_work();
}

/// On the second thread.
void Node::work() {
    work_.too_large = false;
    try {
        const Spending spending(job_memory_);
        do_work();
    } catch (const std::bad_alloc&) {
        work_.too_large = true;
    } catch (const std::exception& unforeseen) {
        // It may name a file.
        work_.task = tl::unexpected(Failure{unforeseen.what(), true, "an unforeseen error, which its log names"});
    }
}

void Node::do_work() {
    Work& w = work_;
    if (w.duty == Duty::prepare) {
        w.task = settings_.make_task(w.terms).map(
            [](std::unique_ptr<NodeTask>&& made) { return std::shared_ptr<NodeTask>(std::move(made)); });
    } else if (w.duty == Duty::learn) {
        w.gradient.resize(w.parameters.size());
        (*w.task)->learner().gradient(w.parameters, w.random, w.gradient);
    } else {
        const auto measured = (*w.task)->measure(w.parameters);
        w.metrics.assign(measured.begin(), measured.end());
        w.names.clear();
        for (const Metric& metric : measured) w.names.emplace_back(metric.name);
        if (!w.final) return;
        w.personal_file = (*w.task)->personal_file();
        if (!w.personal_file.empty())
            w.personal = store_.keep_personal(w.job, std::as_bytes(std::span(w.personal_file)));
    }
}

/// Bytes that a job takes beside what the second thread allocates: the session's, copies of parameters, gradient
/// and state, and a message that comes or goes.
std::int64_t Node::beside_data(const JobTerms& terms) const {
    const std::size_t session = NodeSession::bytes(terms, true);
    return static_cast<std::int64_t>(3 * session + std::size_t{16} * terms.dimension);
}

/// The node goes on without the job, and says what it would take.
void Node::too_large() {
    work_.task = nullptr;
    if (!session_.wanted()) return session_.refuse({Code::job_too_large});
    const JobTerms& terms = session_.terms();
    const std::int64_t needed = beside_data(terms) + job_memory_.wanted();
    const auto allowed = static_cast<std::int64_t>(settings_.memory_bytes);
    constexpr std::int64_t mb = std::int64_t{1} << 20;
    refusal_ =
        fmt::format("needs {} MB or more with its data, and --memory-mb allows {}", needed / mb + 1, allowed / mb);
    log_("job_refused", fmt::format("job {}: {}", session_.job(), refusal_));
    task_.reset();
    session_.refuse({Code::job_too_large, needed, allowed}, refusal_);
}

void Node::end_work() {
    if (work_.too_large) return too_large();
    if (!work_.task) {
        const Failure& why = work_.task.error();
        refusal_ = one_line(why.told.empty() ? why.text : why.told);
        log_("job_refused", fmt::format("job {}: {}", work_.job, one_line(why.text)));
        work_.task = nullptr;
        return session_.refuse({Code::job_not_understood, 0, 0}, refusal_);
    }
    if (work_.duty == Duty::prepare) return prepared();
    work_.duty == Duty::learn ? learned() : reported();
    work_.task = nullptr;
}

void Node::prepared() {
    auto made = std::exchange(work_.task, nullptr);
    if (!session_.wanted()) return session_.prepared();  // the offer is gone
    task_ = *std::move(made);
    log_("job_taken", fmt::format("takes part in job {} as member {} of {}", work_.job, work_.terms.member,
                                  work_.terms.members));
    for (const DataNote& note : task_->notes()) {
        if (!note.text.empty()) log_("data", note.text);
    }
    session_.prepared();
}

void Node::learned() {
    if (session_.wanted()) {
        std::ranges::copy(work_.gradient, session_.gradient().begin());
        session_.random() = work_.random;
    }
    if (auto taken = session_.learned(now_ms()); !taken) {
        log_("diverged", describe(taken.error(), fmt::format("job {}", work_.job)).text);
    }
}

void Node::reported() {
    if (session_.wanted()) {
        names_ = std::move(work_.names);
        for (std::size_t k = 0; k < names_.size(); ++k) work_.metrics[k].name = names_[k];
        work_.metrics.push_back({"updates", static_cast<double>(session_.updates())});
        for (const Metric& metric : work_.metrics)
            log_("metric", fmt::format("{} {:.4g}", metric.name, metric.value));
        if (work_.final) log_personal();
    }
    session_.reported(work_.metrics);
}

/// What the job was for. It stays here, also when the job's state is gone.
void Node::log_personal() const {
    if (work_.personal_file.empty()) return;
    if (work_.personal) {
        log_("personal",
             fmt::format("what this node made its own in job {} is in {}", work_.job, work_.personal->string()));
    } else {
        log_("store_failed", fmt::format("what this node made its own in job {} is lost: {}", work_.job,
                                         describe(work_.personal.error(), settings_.directory.string()).text));
    }
}

}  // namespace dunlin
