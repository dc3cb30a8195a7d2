// SPDX-License-Identifier: Apache-2.0
// What nodes say, and what it does.
#include "fleet/coordinator/coordinator.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

namespace dunlin {
namespace {

/// Whoever refuses an epoch's or a job's offer like this can take it later.
bool takes_later(Code code) {
    return code == Code::busy || code == Code::wrong_epoch || code == Code::not_durable;
}

/// For an error: of a number that somebody else chose.
std::int64_t whole_number(float value) {
    return std::isfinite(value) ? static_cast<std::int64_t>(std::clamp(value, -1e18f, 1e18f)) : -1;
}

}  // namespace

Result<std::unique_ptr<Coordinator>> Coordinator::open(FileSystem& files, const FileSystem::Path& directory,
                                                       const StoreSettings& store,
                                                       const CoordinatorSettings& settings, Outbox& outbox,
                                                       Journal& journal) {
    std::unique_ptr<Coordinator> coordinator(new Coordinator(settings, outbox, journal));
    auto opened = Store::open(files, directory, store, coordinator->state_);
    if (!opened) return tl::unexpected(opened.error());
    coordinator->store_ = *std::move(opened);
    for (const auto& [number, job] : coordinator->state_.jobs()) coordinator->index_job(job);
    return coordinator;
}

const Connection* Coordinator::connection(std::uint32_t node) const {
    const auto key = keys_.find(node);
    if (key == keys_.end()) return nullptr;
    const auto found = connections_.find(key->second);
    return found == connections_.end() ? nullptr : &found->second;
}

const MemberSession* Coordinator::session(std::uint64_t job, std::uint32_t member) const {
    const auto found = sessions_.find(job);
    return found == sessions_.end() || member >= found->second.size() ? nullptr : &found->second[member];
}

void Coordinator::receive(const PublicKey& from, const Message& message, std::int64_t now_ms) {
    now_ms_ = now_ms;
    ++counters_.received[message.body.index()];
    if (std::holds_alternative<Join>(message.body)) {
        joins(from, message);
        return;
    }
    const auto found = connections_.find(from);
    if (found == connections_.end() || !found->second.welcome) {
        refuse(from, message, {Code::not_joined});
        return;
    }
    found->second.heard_ms = now_ms;
    takes(from, found->second, message);
}

void Coordinator::disconnected(const PublicKey& key) {
    const auto found = connections_.find(key);
    if (found == connections_.end()) return;
    const std::uint32_t node = found->second.node;
    keys_.erase(node);
    connections_.erase(found);
    for (const auto& [number, member] : memberships_[node]) {
        const Job* job = state_.job(number);
        session_of({job, member}) = {};
        watches_[number].away_ms.erase(member);
        // Whoever gives to it is to stop at once.
        if (job->serverless() && !job->ended()) dirty_jobs_.insert(number);
    }
}

/// A device that lost its connection, or its power, said nothing for a while before it comes back. One that takes
/// the place of a connection that has just spoken, again and again, is two: a card that was copied, say.
void Coordinator::superseded(const PublicKey& key, std::int64_t now_ms) {
    now_ms_ = now_ms;
    const auto found = connections_.find(key);
    if (found != connections_.end() && now_ms - found->second.heard_ms < settings_.suspect_ms) {
        Takeovers& takeovers = takeovers_[found->second.node];
        if (takeovers.count == 0 || now_ms - takeovers.last_ms > settings_.shared_ms) takeovers = {};
        ++takeovers.count;
        takeovers.last_ms = now_ms;
    }
    disconnected(key);
}

bool Coordinator::shared(std::uint32_t node) const {
    constexpr std::uint32_t certain = 3;
    const auto found = takeovers_.find(node);
    return found != takeovers_.end() && found->second.count >= certain &&
           now_ms_ - found->second.last_ms <= settings_.shared_ms;
}

/// Is it this job that a node names? After a store was restored from a backup numbers are given again, and nodes
/// come with states of jobs that nobody else knows of. Whoever says no nonce is older than they are, or its state
/// is.
bool Coordinator::means(const Connection& connection, const Envelope& said, const Job& job) const {
    if (said.nonce != 0 && job.nonce() != 0) return said.nonce == job.nonce();
    if (connection.welcome) return connection.stray_job != job.number();
    return !state_.given_again(job.number());
}

Result<Coordinator::Membership> Coordinator::membership(const Connection& connection, const Envelope& said) const {
    const std::uint64_t job = said.job;
    const auto all = memberships_.find(connection.node);
    if (all != memberships_.end()) {
        for (const auto& [number, member] : all->second) {
            if (number == job && means(connection, said, *state_.job(job)))
                return Membership{state_.job(job), member};
        }
    }
    return fail(Code::unknown_job, static_cast<std::int64_t>(job));
}

void Coordinator::takes(const PublicKey& key, Connection& connection, const Message& message) {
    const MessageBody& body = message.body;
    const std::uint64_t number = message.envelope.job;
    if (const auto* report = std::get_if<Report>(&body); report != nullptr && number == 0) {
        connection.vitals.take(report->metrics);  // about no job: about the node's machine
        return;
    }
    const bool learned = std::holds_alternative<ModelUpdate>(body) || std::holds_alternative<ShareMessage>(body) ||
                         std::holds_alternative<Report>(body);
    if (learned) news_[connection.node] = now_ms_;
    if (const auto* update = std::get_if<ModelUpdate>(&body)) {
        if (auto taken = updated(key, connection, message, *update); !taken) {
            ++counters_.refused[taken.error().code];
            acknowledge(key, number, message.envelope.sequence, {Reception::refused, taken.error(), 0});
        }
        return;
    }
    if (const auto* masked = std::get_if<MaskedUpdate>(&body)) {
        if (auto taken = mask_update(key, connection, message, *masked); !taken) {
            ++counters_.refused[taken.error().code];
            acknowledge(key, number, message.envelope.sequence, {Reception::refused, taken.error(), 0});
        }
        return;
    }
    if (const auto* beat = std::get_if<Heartbeat>(&body)) {
        if (const auto at = membership(connection, message.envelope)) {
            if (beat->tick > session_of(*at).tick) news_[connection.node] = now_ms_;
            session_of(*at).tick = beat->tick;
        }
        sent(key, 0, Heartbeat{});
        return;
    }
    if (std::holds_alternative<Refusal>(body)) return;
    // An older node forgets its stray state before it accepts another job of that number.
    const auto* accepted = std::get_if<JobAnswer>(&body);
    if (accepted != nullptr && accepted->accepted && number == connection.stray_job && connection.stray_told &&
        message.envelope.nonce == 0) {
        connection.stray_job = 0;
    }
    const auto at = membership(connection, message.envelope);
    Result<void> taken;
    if (!at) {
        taken = tl::unexpected(at.error());
    } else if (const auto* share = std::get_if<ShareMessage>(&body)) {
        taken = shared(*at, message, *share);
    } else if (const auto* receipt = std::get_if<ShareReceipt>(&body)) {
        taken = receipted(*at, *receipt);
    } else if (const auto* answer = std::get_if<JobAnswer>(&body)) {
        taken = answered(connection, *at, *answer);
    } else if (std::holds_alternative<ModelRequest>(body)) {
        taken = asked(*at);
    } else if (const auto* report = std::get_if<Report>(&body)) {
        taken = reported(connection, *at, *report);
    } else if (std::holds_alternative<Leave>(body)) {
        taken = left(connection, *at);
    } else if (const auto* frozen = std::get_if<Frozen>(&body)) {
        taken = froze(*at, *frozen);
    } else if (const auto* statement = std::get_if<MassReport>(&body)) {
        taken = stated(connection, *at, *statement);
    } else if (const auto* said = std::get_if<MaskExchange>(&body)) {
        taken = mask_said(*at, *said);
    } else {
        taken = fail(Code::message_unknown, static_cast<std::int64_t>(body.index()));
    }
    if (!taken) refuse(key, message, taken.error());
}

void Coordinator::refuse(const PublicKey& key, const Message& message, const Error& error) {
    ++counters_.refused[error.code];
    (void)outbox_.send(
        key, {{message.envelope.job, coordinator_number, 0, message.envelope.sequence, message.envelope.nonce},
              Refusal{error}});
}

void Coordinator::acknowledge(const PublicKey& key, std::uint64_t job, std::uint64_t sequence,
                              const Verdict& verdict) {
    const bool applied = verdict.outcome != Reception::refused;
    const Job* known = state_.job(job);
    sent(key, job, Acknowledgement{sequence, applied, verdict.refusal, known == nullptr ? 0 : known->version()});
}

/// With its final report a node is done with the job, and free for others.
void Coordinator::report_is_kept(const Membership& at) {
    session_of(at) = {.ended = true, .tick = session_of(at).tick};
    const auto key = keys_.find(at.job->members()[at.member].node);
    if (key == keys_.end()) return;
    acknowledge(key->second, at.job->number(), 0, {.outcome = Reception::applied});
    Connection& connection = connections_[key->second];
    if (connection.job == at.job->number()) connection.job = 0;
}

/// A node's credit outlives its connection: joining again gives it no more.
Result<void> Coordinator::gather(const Connection& connection, const Record& record) {
    Gathered& gathered = gathered_[connection.node];
    const std::size_t bytes = gathered.bytes + record_bytes(record.payload.size());
    if (gathered.records >= settings_.credit && bytes > settings_.credit_bytes)
        return fail(Code::busy, gathered.records, settings_.credit);
    auto added = store_->add(record);
    if (!added) return added;
    ++gathered.records;
    gathered.bytes = bytes;
    return {};
}

Result<void> Coordinator::answered(Connection& connection, const Membership& at, const JobAnswer& answer) {
    MemberSession& session = session_of(at);
    const JobMember& member = at.job->members()[at.member];
    const bool runs = at.job->serverless() && member.in() && !at.job->ended();
    // Of an epoch that is over: it is offered the one that runs.
    if (runs && answer.epoch != 0 && answer.epoch != at.job->epoch()) return {};
    const bool cannot = !answer.accepted && answer.refusal.code == Code::not_durable;
    if (cannot) session = {};  // whatever it said before, it keeps nothing of the job
    session.cannot = cannot;
    if (answer.accepted) {
        session.joined = true;
        session.epoch = at.job->epoch();
        connection.job = at.job->number();
        tell(connection, at);
        return {};
    }
    if (takes_later(answer.refusal.code)) {
        session.busy_until_ms = now_ms_ + (session.joined ? settings_.retry_ms : settings_.offer_retry_ms);
        if (!session.joined) connection.job = 0;
        return {};
    }
    session = {};
    connection.job = 0;
    if (!member.in() || at.job->ended()) return {};
    const std::vector<std::byte> payload = refusal_payload(answer.refusal, answer.reason);
    return gather(
        connection,
        {.kind = RecordKind::member_declined, .node = at.member, .job = at.job->number(), .payload = payload});
}

Result<void> Coordinator::asked(const Membership& at) {
    MemberSession& session = session_of(at);
    session.model_due = true;
    tell_model(keys_[at.job->members()[at.member].node], at, session);
    return {};
}

Result<void> Coordinator::updated(const PublicKey& key, Connection& connection, const Message& message,
                                  const ModelUpdate& update) {
    const auto at = membership(connection, message.envelope);
    if (!at) return tl::unexpected(at.error());
    const JobMember& member = at->job->members()[at->member];
    MemberSession& session = session_of(*at);
    const std::uint64_t sequence = message.envelope.sequence;
    if (member.sequence == sequence && member.incarnation == message.envelope.incarnation && sequence != 0) {
        ++counters_.repeated;
        acknowledge(key, at->job->number(), sequence, {.outcome = Reception::applied});
        session.model_due = true;
        tell(connection, *at);
        return {};
    }
    if (session.waiting_sequence == sequence && sequence != 0) return {};  // its acknowledgement is on its way
    Record record;
    if (auto fit = check_update(connection, *at, message, update, record); !fit) {
        if (at->job->ended() || at->job->request().push) {
            session.has_model = true;
            session.ended = false;
            tell(connection, *at);
        }
        return fit;
    }
    if (auto gathered = gather(connection, record); !gathered) return gathered;
    session.waiting_sequence = sequence;
    waiting_updates_.push_back({*at, sequence});
    return {};
}

/// Would this update be taken? Then the record that it becomes.
Result<void> Coordinator::check_update(const Connection& connection, const Membership& at, const Message& message,
                                       const ModelUpdate& update, Record& record) {
    const Job& job = *at.job;
    if (job.ended() || job.request().push) return fail(Code::job_over, static_cast<std::int64_t>(job.number()));
    if (job.server() == nullptr || job.plan().server.masks.enabled())
        return fail(Code::message_unknown, static_cast<std::int64_t>(message.body.index()));
    if (update.member != at.member || !job.members()[at.member].in())
        return fail(Code::not_a_participant, at.member);
    // Its weight in a mean is the plan's to say, not its own.
    const float samples = job.plan().member_terms(at.member).samples;
    if (update.samples != samples)
        return fail(Code::out_of_range, whole_number(update.samples), whole_number(samples));
    const std::uint32_t incarnation = message.envelope.incarnation;
    if (message.envelope.sequence == 0 || incarnation > state_.roster()[connection.node].incarnation)
        return fail(Code::message_malformed);
    const auto numbers = job.decode_update(update.values, scratch_);
    if (!numbers) return tl::unexpected(numbers.error());
    const Update seen{at.member,           incarnation,    message.envelope.sequence,
                      update.base_version, update.samples, *numbers};
    if (auto fit = job.server()->check(seen); !fit) return fit;
    if (auto usual = job.norms().check(std::sqrt(squared_norm(*numbers))); !usual) {
        job.too_large(at.member);
        return usual;
    }
    record = {.kind = RecordKind::update,
              .node = at.member,
              .incarnation = incarnation,
              .job = job.number(),
              .sequence = message.envelope.sequence,
              .base_version = update.base_version,
              .detail = static_cast<std::uint16_t>(update.values.encoding),
              .samples = update.samples,
              .payload = update.values.bytes};
    return {};
}

Result<void> Coordinator::reported(Connection& connection, const Membership& at, const Report& report) {
    ReportCount& count = report_counts_[connection.node];
    if (now_ms_ - count.since_ms >= 1000) count = {.since_ms = now_ms_};
    if (++count.reports > settings_.reports_per_s) return fail(Code::busy, count.reports, settings_.reports_per_s);
    if (report.metrics.size() > WireLimits::metrics)
        return fail(Code::message_too_long, static_cast<std::int64_t>(report.metrics.size()), WireLimits::metrics);
    if (report.final && at.job->members()[at.member].reported) {
        report_is_kept(at);  // the first acknowledgement was lost
        return {};
    }
    // What is left out is said, and the rest is taken: a node is done with a job when its final report is.
    std::vector<Metric> kept(report.metrics.begin(), report.metrics.end());
    const bool withheld = at.job->plan().server.masks.enabled();
    std::erase_if(kept,
                  [&](const Metric& metric) { return withheld || !journal_.takes(at.job->number(), metric.name); });
    const std::vector<std::byte> payload = report_payload(kept);
    auto gathered = gather(connection, {.kind = RecordKind::report,
                                        .node = at.member,
                                        .job = at.job->number(),
                                        .sequence = static_cast<std::uint64_t>(report.at),
                                        .detail = report.final,
                                        .payload = payload});
    const std::size_t left_out = report.metrics.size() - kept.size();
    if (gathered && left_out > 0)
        return fail(Code::message_too_long, static_cast<std::int64_t>(report.metrics.size()),
                    static_cast<std::int64_t>(kept.size()));
    return gathered;
}

Result<void> Coordinator::left(Connection& connection, const Membership& at) {
    const JobMember& member = at.job->members()[at.member];
    if (at.job->ended() || !member.in() || member.state == MemberState::leaving) {
        tell(connection, at);
        return {};
    }
    return gather(connection, {.kind = RecordKind::member_leaving, .node = at.member, .job = at.job->number()});
}

}  // namespace dunlin
