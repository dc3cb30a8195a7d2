// SPDX-License-Identifier: Apache-2.0
#include "fleet/coordinator/job.hpp"

#include "fleet/coordinator/plan_fields.hpp"
#include "transport/encoding.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace dunlin {
namespace {

Result<std::vector<KeptMetric>> load_report(const Record& record) {
    std::vector<KeptMetric> kept;
    Loader loader(record.payload);
    loader(kept);
    if (!loader.done()) return unreadable(record);
    return kept;
}

}  // namespace

Result<Job> Job::make(std::uint64_t number, JobPlan plan, JobRequest request) {
    const auto count = static_cast<std::uint32_t>(request.nodes.size());
    if (count == 0 || count > member_limit) return fail(Code::out_of_range, count, member_limit);
    if (plan.members() != count) return fail(Code::shape_mismatch, plan.members(), count);
    if (plan.terms.aggregation > Aggregation::push_sum) return fail(Code::bad_setting);
    if (plan.first.size() != plan.terms.dimension) return wrong_size(plan.first.size(), plan.terms.dimension);
    Job job;
    job.number_ = number;
    job.plan_ = std::move(plan);
    job.request_ = std::move(request);
    for (const std::uint32_t node : job.request_.nodes) job.members_.push_back({.node = node});
    if (job.push_sum()) {
        auto book = MassBook::make(job.plan_);
        if (!book) return tl::unexpected(book.error());
        job.book_ = *std::move(book);
    } else {
        auto server = ModelServer::make(job.plan_.server, count, job.plan_.first);
        if (!server) return tl::unexpected(server.error());
        job.server_ = *std::move(server);
    }
    return job;
}

bool Job::closing() const {
    if (!push_sum() || ended_) return false;
    return ending_ || !departed_.empty() || std::ranges::any_of(members_, [](const JobMember& member) {
               return member.state == MemberState::leaving || member.state == MemberState::lost;
           });
}

std::int64_t Job::regroup_ms() const {
    constexpr std::int64_t least_ms = 5000, rounds = 20;
    if (plan_.regroup_ms > 0) return plan_.regroup_ms;
    return std::max(least_ms, rounds * std::int64_t{plan_.terms.tick_ms});
}

ConstVector<float> Job::model() const {
    if (server_) return server_->model();
    return book_ && !ended_ ? book_->mean() : ConstVector<float>(final_model_);
}

std::uint64_t Job::version() const {
    if (server_) return server_->version();
    return book_ && !ended_ ? book_->epoch() - 1 : final_version_;
}

Result<ConstVector<float>> Job::decode_update(const EncodedValues& values, std::vector<float>& scratch) const {
    if (values.count != plan_.terms.dimension) return wrong_size(values.count, plan_.terms.dimension);
    if (values.bytes.size() != encoded_bytes(values.encoding, values.count))
        return fail(Code::message_malformed, static_cast<std::int64_t>(values.bytes.size()));
    const ConstVector<float> there = as_floats(values);
    if (!there.empty()) return there;
    scratch.resize(values.count);
    if (auto decoded = decode(values, scratch); !decoded) return tl::unexpected(decoded.error());
    return ConstVector<float>(scratch);
}

Result<JobChange> Job::apply(const Record& record) {
    const bool before = ended_.has_value();
    Result<JobChange> change = apply_any(record);
    if (change) change->ended = ended_ && !before;
    return change;
}

Result<JobChange> Job::apply_any(const Record& record) {
    if (ended_ && record.kind != RecordKind::report && record.kind != RecordKind::job_time) return {};
    const bool ends = record.kind == RecordKind::job_ending || record.kind == RecordKind::job_ended;
    if (ends && record.detail > static_cast<std::uint16_t>(JobEndReason::failed)) return unreadable(record);
    switch (record.kind) {
        case RecordKind::job_paused:
        case RecordKind::job_resumed:
            paused_ = record.kind == RecordKind::job_paused;
            return {};
        case RecordKind::job_time:
            elapsed_ms_ = std::max(elapsed_ms_, record.sequence);
            if (ended_) return {};
            end_by_budget();
            return settle();
        case RecordKind::job_ending:
            if (!ending_) ending_ = static_cast<JobEndReason>(record.detail);
            return settle();
        case RecordKind::job_ended:
            end(static_cast<JobEndReason>(record.detail));
            return {};
        case RecordKind::round_begun: {
            std::vector<std::uint32_t> participants(record.payload.size() / sizeof(std::uint32_t));
            if (participants.empty() || record.payload.size() % sizeof(std::uint32_t) != 0 || !server_)
                return unreadable(record);
            std::memcpy(participants.data(), record.payload.data(), record.payload.size());
            if (std::ranges::max(participants) >= members_.size()) return unreadable(record);
            if (!server_->begin_round(participants)) return {};
            awaited_.assign(members_.size(), 0);
            for (const std::uint32_t member : participants) awaited_[member] = 1;
            return {};
        }
        case RecordKind::round_closed:
            if (!server_ || !server_->close_round()) return {};
            awaited_.clear();
            end_by_budget();
            return {};
        case RecordKind::update:
            return apply_update(record);
        case RecordKind::mass_report:
            return apply_statement(record);
        case RecordKind::report:
        case RecordKind::member_offered:
        case RecordKind::member_accepted:
        case RecordKind::member_declined:
        case RecordKind::member_leaving:
        case RecordKind::member_gone:
        case RecordKind::member_lost:
        case RecordKind::member_fenced:
            return apply_member(record);
        case RecordKind::member_added:
            return apply_added(record);
        default:
            return unreadable(record);
    }
}

Result<JobChange> Job::apply_update(const Record& record) {
    if (!server_ || record.node >= members_.size()) return unreadable(record);
    const EncodedValues values{static_cast<Encoding>(record.detail), plan_.terms.dimension, record.payload};
    const auto numbers = decode_update(values, scratch_);
    if (!numbers) return unreadable(record);
    const Verdict verdict = server_->receive(
        {record.node, record.incarnation, record.sequence, record.base_version, record.samples, *numbers});
    if (verdict.outcome != Reception::refused) {
        JobMember& member = members_[record.node];
        member.incarnation = record.incarnation;
        member.sequence = record.sequence;
        ++member.updates;
        ++updates_;
        if (!awaited_.empty()) awaited_[record.node] = 0;
        if (!server_->round_running()) awaited_.clear();
        close_if_all_came();
        end_by_budget();
    }
    return JobChange{.verdict = verdict};
}

/// A round does not wait for members that are out of the job.
void Job::close_if_all_came() {
    if (awaited_.empty() || std::ranges::find(awaited_, 1) != awaited_.end()) return;
    (void)server_->close_round();
    awaited_.clear();
}

Result<JobChange> Job::apply_added(const Record& record) {
    AddedMember added;
    Loader loader(record.payload);
    loader(added);
    const std::uint32_t number = record.node;
    if (!loader.done() || number > members_.size() || number >= member_limit) return unreadable(record);
    if (ended_ || ending_) return {};
    if (number == members_.size()) {
        const std::uint32_t count = number + 1;
        if (server_) {
            auto larger = ModelServer::make(plan_.server, count, plan_.first);
            if (!larger) return tl::unexpected(larger.error());
            (*larger)->continue_from(*server_);
            server_ = *std::move(larger);
            plan_.samples.resize(number, 1.0f);
            plan_.samples.push_back(added.samples);
        }
        if (book_) {
            if (auto added_to = book_->add_member(); !added_to) return tl::unexpected(added_to.error());
        }
        plan_.terms.members = count;
        plan_.experiment = std::move(added.experiment);
        if (added.weight_floor > 0)
            plan_.terms.weight_floor = std::min(plan_.terms.weight_floor, added.weight_floor);
        request_.nodes.push_back(added.node);
        members_.push_back({.node = added.node});
        if (!awaited_.empty()) awaited_.push_back(0);
    } else if (members_[number].in() || members_[number].node != added.node) {
        return {};
    }
    JobMember& member = members_[number];
    // It begins with the next epoch: mass is counted from there.
    member.state = push_sum() ? MemberState::lost : MemberState::invited;
    member.reported = false;
    member.refusal = {};
    member.reason.clear();
    return settle();
}

Result<JobChange> Job::apply_member(const Record& record) {
    if (record.node >= members_.size()) return unreadable(record);
    JobMember& member = members_[record.node];
    if (record.kind == RecordKind::report) {
        if (!load_report(record)) return unreadable(record);
        if (record.detail == 0) return {};
        member.reported = true;
        if (request_.push && !ended_ &&
            std::ranges::none_of(members_, [](const JobMember& m) { return m.in() && !m.reported; })) {
            end(JobEndReason::finished);
        }
        return {};
    }
    if (!member.in()) return {};
    const bool fenced = member.state == MemberState::fenced;
    const bool started = member.state != MemberState::invited && member.state != MemberState::lost && !fenced;
    switch (record.kind) {
        case RecordKind::member_offered:
            if (member.state != MemberState::invited || (push_sum() && closing())) return {};
            member.state = MemberState::offered;
            break;
        case RecordKind::member_accepted:
            if (member.state != MemberState::offered) return {};
            member.state = MemberState::active;
            break;
        case RecordKind::member_leaving:
            member.state = push_sum() ? started ? MemberState::leaving : MemberState::gone : MemberState::left;
            if (member.state == MemberState::gone && !fenced) departed_.push_back(record.node);
            break;
        case RecordKind::member_lost:
            if (!push_sum() || (!started && !fenced)) return {};
            if (member.holds()) departed_.push_back(record.node);
            member.state = MemberState::lost;
            break;
        case RecordKind::member_fenced:
            if (!push_sum() || member.state == MemberState::lost || fenced) return {};
            member.state = member.state == MemberState::leaving ? MemberState::gone : MemberState::fenced;
            departed_.push_back(record.node);
            break;
        default: {  // declined or gone
            member.state = record.kind == RecordKind::member_gone ? MemberState::gone : MemberState::declined;
            if (push_sum() && !fenced) departed_.push_back(record.node);
            if (record.kind == RecordKind::member_gone && record.payload.empty()) break;
            Loader loader(record.payload);
            loader(member.refusal.code, member.refusal.first, member.refusal.second);
            if (!loader.done()) loader(member.reason);
            if (!loader.done()) return unreadable(record);
        }
    }
    if (!member.in() && !awaited_.empty()) {
        awaited_[record.node] = 0;
        close_if_all_came();
    }
    const bool alone = std::ranges::none_of(members_, [](const JobMember& m) { return m.in(); });
    // Those that were handed a policy, measured it and went are what a push is for.
    const bool served = request_.push && std::ranges::any_of(members_, &JobMember::reported);
    if (alone && !push_sum()) end(served ? JobEndReason::finished : JobEndReason::failed);
    return settle();
}

Result<JobChange> Job::apply_statement(const Record& record) {
    if (!book_ || record.node >= members_.size()) return unreadable(record);
    if (!closing() || record.incarnation != book_->epoch()) return {};
    if (!members_[record.node].holds() || book_->statement(record.node).given()) return {};
    MassStatement statement;
    Loader loader(record.payload);
    loader(statement);
    const std::size_t dimension = plan_.terms.dimension;
    const std::size_t steps = plan_.terms.audit ? dimension : 0;
    if (!loader.done() || statement.held.values.size() != dimension || statement.steps.size() != steps)
        return unreadable(record);
    statement.tick = static_cast<std::int64_t>(record.sequence);
    statement.wire = record.detail;
    book_->state(record.node, std::move(statement));
    return settle();
}

JobChange Job::settle() {
    if (!closing()) return {};
    std::vector<std::uint32_t> staying, leaving, joining, gone = departed_;
    for (std::uint32_t i = 0; i < members_.size(); ++i) {
        const MemberState state = members_[i].state;
        // Who began nothing took along the weight that it was to begin with.
        if (state == MemberState::invited) gone.push_back(i);
        if (members_[i].holds() && !book_->statement(i).given()) return {};
        if (state == MemberState::offered || state == MemberState::active) staying.push_back(i);
        if (state == MemberState::leaving) leaving.push_back(i);
        if (state == MemberState::invited || state == MemberState::lost) joining.push_back(i);
    }
    std::ranges::sort(gone);
    const bool alone = staying.empty() && joining.empty();
    const bool over = ending_ || alone;
    JobChange change;
    change.ledger = book_->turn(plan_, staying, leaving, joining, gone, over);
    departed_.clear();
    for (const std::uint32_t i : leaving) members_[i].state = MemberState::left;
    for (const std::uint32_t i : joining) {
        members_[i].state = MemberState::invited;
        members_[i].sequence = book_->epoch();
    }
    if (over) end(ending_.value_or(JobEndReason::failed));
    return change;
}

void Job::end(JobEndReason reason) {
    const ConstVector<float> last = model();
    final_model_.assign(last.begin(), last.end());
    final_version_ = version();
    server_.reset();
    awaited_.clear();
    ended_ = reason;
    ending_.reset();
}

void Job::end_by_budget() {
    const JobBudget& budget = plan_.budget;
    const bool out_of_time = budget.seconds > 0 && elapsed_ms_ >= budget.seconds * 1000;
    if (push_sum()) {
        if (out_of_time && !ending_) ending_ = JobEndReason::finished;
        return;
    }
    if (out_of_time || (budget.updates > 0 && updates_ >= budget.updates) ||
        (budget.rounds > 0 && version() >= budget.rounds)) {
        end(JobEndReason::finished);
    }
}

template <class Archive>
void Job::all_fields(Archive& archive) {
    plan_fields(archive, plan_);
    archive(number_, request_, members_, paused_, elapsed_ms_, updates_, ending_, ended_, awaited_, book_,
            departed_, final_model_, final_version_, loaded_);
}

Job::Identity Job::identity() const {
    Identity identity{nonce(), epoch_before(), book_ ? book_->skip() : 0};
    for (const JobMember& member : members_) identity.reasons.push_back(member.reason);
    return identity;
}

void Job::set_identity(Identity identity) {
    request_.nonce = identity.nonce;
    if (book_) book_->set_epochs(identity.epoch_before, identity.skip);
    identity.reasons.resize(members_.size());
    for (std::size_t i = 0; i < members_.size(); ++i) members_[i].reason = std::move(identity.reasons[i]);
}

void Job::fields(Saver& archive) {
    loaded_.clear();
    if (server_) loaded_.assign(server_->state().begin(), server_->state().end());
    all_fields(archive);
    loaded_ = {};
}

void Job::fields(Loader& archive) {
    all_fields(archive);
}

/// A right checksum says that a state was written whole, not that Dunlin wrote it: a backup may come from anywhere.
bool Job::fits_together() const {
    const std::size_t count = members_.size(), dimension = plan_.terms.dimension;
    const auto known = [](const std::optional<JobEndReason>& reason) {
        return !reason || *reason <= JobEndReason::failed;
    };
    return count > 0 && count <= member_limit && plan_.members() == count && request_.nodes.size() == count &&
           plan_.first.size() == dimension && final_model_.size() == (ended_ ? dimension : 0) && known(ended_) &&
           known(ending_) && plan_.terms.aggregation <= Aggregation::push_sum && push_sum() == book_.has_value() &&
           (!book_ || book_->fits(count, dimension)) && (awaited_.empty() || awaited_.size() == count) &&
           std::ranges::all_of(departed_, [count](std::uint32_t member) { return member < count; }) &&
           std::ranges::all_of(members_, [](const JobMember& m) { return m.state <= MemberState::fenced; });
}

Result<void> Job::restore() {
    const std::vector<std::byte> saved = std::exchange(loaded_, {});
    if (!fits_together()) return fail(Code::store_damaged, static_cast<std::int64_t>(number_));
    if (book_) return book_->link();
    if (ended_) return {};
    auto server = ModelServer::make(plan_.server, static_cast<std::uint32_t>(members_.size()), plan_.first);
    if (!server) return tl::unexpected(server.error());
    server_ = *std::move(server);
    return server_->restore(saved);
}

std::vector<std::byte> job_payload(const JobPlan& plan, const JobRequest& request) {
    Saver saver;
    plan_fields(saver, const_cast<JobPlan&>(plan));
    saver(request, plan.regroup_ms, request.nonce);
    return saver.take();
}

Result<Job> read_job(const Record& record) {
    JobPlan plan;
    JobRequest request;
    Loader loader(record.payload);
    plan_fields(loader, plan);
    loader(request);
    if (!loader.done()) loader(plan.regroup_ms);  // a store of version 1 ends before it
    if (!loader.done()) loader(request.nonce);
    if (!loader.done()) return fail(Code::store_damaged, static_cast<std::int64_t>(record.index));
    return Job::make(record.job, std::move(plan), std::move(request));
}

std::vector<std::byte> statement_payload(const MassReport& report) {
    MassStatement statement;
    statement.held.weight = report.weight;
    statement.held.values.assign(report.values.begin(), report.values.end());
    statement.steps.assign(report.steps.begin(), report.steps.end());
    Saver saver;
    saver(statement);
    return saver.take();
}

std::vector<std::byte> report_payload(std::span<const Metric> metrics) {
    std::vector<KeptMetric> kept;
    for (const Metric& metric : metrics) kept.push_back({std::string(metric.name), metric.value});
    Saver saver;
    saver(kept);
    return saver.take();
}

std::vector<KeptMetric> read_report(const Record& record) {
    auto kept = load_report(record);
    assert(kept);
    return *std::move(kept);
}

std::vector<std::byte> refusal_payload(const Error& refusal, std::string_view reason) {
    Saver saver;
    saver(refusal.code, refusal.first, refusal.second);
    if (!reason.empty()) saver(std::string(reason));
    return saver.take();
}

}  // namespace dunlin
