// SPDX-License-Identifier: Apache-2.0
#include "fleet/coordinator/job.hpp"

#include "transport/encoding.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace dunlin {

Result<Job> Job::make(std::uint64_t number, JobPlan plan, JobRequest request) {
    const auto count = static_cast<std::uint32_t>(request.nodes.size());
    if (count == 0 || count > member_limit) return fail(Code::out_of_range, count, member_limit);
    if (plan.members() != count) return fail(Code::shape_mismatch, plan.members(), count);
    if (plan.terms.aggregation > last_aggregation) return fail(Code::bad_setting);
    if (says_floats(plan.terms.aggregation)) plan.terms.audit = false;  // there is no mass to account for
    if (plan.first.size() != plan.terms.dimension) return wrong_size(plan.first.size(), plan.terms.dimension);
    Job job;
    job.number_ = number;
    job.plan_ = std::move(plan);
    job.request_ = std::move(request);
    for (const std::uint32_t node : job.request_.nodes) job.members_.push_back({.node = node});
    job.watch_norms();
    if (job.serverless()) {
        auto book = MassBook::make(job.plan_);
        if (!book) return tl::unexpected(book.error());
        job.book_ = *std::move(book);
    } else {
        auto server = ModelServer::make(job.plan_.server, job.plan_.terms.seed, count, job.plan_.first);
        if (!server) return tl::unexpected(server.error());
        job.server_ = *std::move(server);
    }
    return job;
}

bool Job::closing() const {
    if (!serverless() || ended_) return false;
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
        case RecordKind::round_begun:
            return apply_round(record);
        case RecordKind::round_closed:
            if (!server_ || !server_->close_round()) return {};
            awaited_.clear();
            end_by_budget();
            return {};
        case RecordKind::round_summed:
            return apply_sum(record);
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

/// Detail 1: before the participants stands the key of the round's noise.
Result<JobChange> Job::apply_round(const Record& record) {
    std::span<const std::byte> payload = record.payload;
    const std::size_t key_bytes = record.detail == 1 ? sizeof(MaskKey) : 0;
    if (payload.size() <= key_bytes || payload.size() % sizeof(std::uint32_t) != 0 || !server_ || record.detail > 1)
        return unreadable(record);
    const auto key = payload.first(key_bytes);
    payload = payload.subspan(key_bytes);
    std::vector<std::uint32_t> participants(payload.size() / sizeof(std::uint32_t));
    std::memcpy(participants.data(), payload.data(), payload.size());
    if (std::ranges::max(participants) >= members_.size()) return unreadable(record);
    if (!server_->begin_round(participants)) return {};
    if (!key.empty()) server_->set_noise_key(key.first<sizeof(MaskKey)>());
    awaited_.assign(members_.size(), 0);
    for (const std::uint32_t member : participants) awaited_[member] = 1;
    return {};
}

/// The sum of a masked round: the mean of the integers that it holds moves the model.
Result<JobChange> Job::apply_sum(const Record& record) {
    const ServerPlan& plan = plan_.server;
    MaskedSum sum;
    std::uint64_t count = 0;
    Loader loader(record.payload);
    loader(sum.values, sum.weight, count);
    if (!loader.ok() || !server_ || !plan.masks.enabled() || sum.values.size() != plan_.terms.dimension ||
        sum.weight <= 0 || count == 0 || count > members_.size())
        return unreadable(record);
    std::vector<Update> delivered(count);
    sum.members.resize(count);
    for (std::size_t k = 0; k < count; ++k) {
        MaskedSum::Part& part = sum.members[k];
        loader(part.member, part.incarnation, part.sequence);
        if (!loader.ok() || part.member >= members_.size()) return unreadable(record);
        delivered[k].node = part.member;
        delivered[k].incarnation = part.incarnation;
        delivered[k].sequence = part.sequence;
    }
    if (!loader.done()) return unreadable(record);
    const MaskTerms& terms = plan.masks.terms;
    const double unit = RingValues{terms.ring_bits, terms.value_bits, terms.range, terms.largest_weight}.unit();
    const double parts =
        plan.privacy.enabled() ? static_cast<double>(plan.privacy.expected) : static_cast<double>(sum.weight);
    scratch_.resize(sum.values.size());
    for (std::size_t k = 0; k < scratch_.size(); ++k)
        scratch_[k] = static_cast<float>(unit * static_cast<double>(sum.values[k]) / parts);
    if (!server_->close_round_with(scratch_, delivered)) return {};
    awaited_.clear();
    for (const MaskedSum::Part& part : sum.members) {
        JobMember& member = members_[part.member];
        member.incarnation = part.incarnation;
        member.sequence = part.sequence;
        ++member.updates;
        ++updates_;
    }
    end_by_budget();
    JobChange change;
    change.summed = std::move(sum.members);
    return change;
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
        norms_.took(record.node, std::sqrt(squared_norm(*numbers)));
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
    const bool again = number < members_.size();
    if (!loader.done() || number > members_.size() || number >= member_limit) return unreadable(record);
    if (ended_ || ending_) return {};
    if (number == members_.size()) {
        const std::uint32_t count = number + 1;
        if (server_) {
            auto larger = ModelServer::make(plan_.server, plan_.terms.seed, count, plan_.first);
            if (!larger) return unreadable(record);
            (*larger)->continue_from(*server_);
            server_ = *std::move(larger);
            plan_.samples.resize(number, 1.0f);
            plan_.samples.push_back(added.samples);
        }
        if (book_ && !book_->add_member()) return unreadable(record);
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
    // It begins with the next epoch: mass is counted from there. Who was handed a model out before may have it.
    member.state = serverless()             ? MemberState::lost
                   : again && request_.push ? MemberState::offered
                                            : MemberState::invited;
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
            if (member.state != MemberState::invited || (serverless() && closing())) return {};
            member.state = MemberState::offered;
            break;
        case RecordKind::member_accepted:
            if (member.state != MemberState::offered) return {};
            member.state = MemberState::active;
            break;
        case RecordKind::member_leaving:
            member.state = serverless() ? started ? MemberState::leaving : MemberState::gone : MemberState::left;
            if (member.state == MemberState::gone && !fenced) departed_.push_back(record.node);
            break;
        case RecordKind::member_lost:
            if (!serverless() || (!started && !fenced)) return {};
            if (member.holds()) departed_.push_back(record.node);
            member.state = MemberState::lost;
            break;
        case RecordKind::member_fenced:
            if (!serverless() || member.state == MemberState::lost || fenced) return {};
            member.state = member.state == MemberState::leaving ? MemberState::gone : MemberState::fenced;
            departed_.push_back(record.node);
            break;
        default: {  // declined or gone
            member.state = record.kind == RecordKind::member_gone ? MemberState::gone : MemberState::declined;
            if (serverless() && !fenced) departed_.push_back(record.node);
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
    if (alone && !serverless()) end(served ? JobEndReason::finished : JobEndReason::failed);
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
    if (serverless()) {
        if (out_of_time && !ending_) ending_ = JobEndReason::finished;
        return;
    }
    if (out_of_time || (budget.updates > 0 && updates_ >= budget.updates) ||
        (budget.rounds > 0 && version() >= budget.rounds)) {
        end(JobEndReason::finished);
    }
}

}  // namespace dunlin
