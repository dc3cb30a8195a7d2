// SPDX-License-Identifier: Apache-2.0
#include "fleet/coordinator/fleet_state.hpp"

#include <algorithm>

namespace dunlin {

const Job* FleetState::job(std::uint64_t number) const {
    const auto found = jobs_.find(number);
    return found == jobs_.end() ? nullptr : &found->second;
}

const Job* FleetState::job_with_token(const std::string& token) const {
    if (token.empty()) return nullptr;
    for (const auto& [number, job] : jobs_) {
        if (job.request().token == token) return &job;
    }
    return nullptr;
}

bool FleetState::knows_members(const Job& job) const {
    return std::ranges::all_of(job.members(),
                               [this](const JobMember& member) { return member.node < roster_.nodes().size(); });
}

Result<JobChange> FleetState::apply(const Record& record) {
    newest_ = record.index;
    const bool of_job = record.kind >= RecordKind::job_created;
    const bool of_model = record.kind == RecordKind::model_kept || record.kind == RecordKind::model_named;
    Result<JobChange> change;
    if (record.kind >= RecordKind::model_kept)
        change = rollouts_.apply(record, jobs_);
    else if (of_job)
        change = apply_to_job(record);
    else if (auto done = apply_to_fleet(record); !done)
        change = tl::unexpected(done.error());
    if (change) journal_.applied(*this, record, of_job && !of_model ? &*change : nullptr);
    return change;
}

Result<JobChange> FleetState::apply_to_job(const Record& record) {
    if (record.kind == RecordKind::job_created) {
        auto job = read_job(record);
        if (!job || !knows_members(*job) || !jobs_.emplace(record.job, *std::move(job)).second)
            return unreadable(record);
        return {};
    }
    const auto found = jobs_.find(record.job);
    if (found == jobs_.end()) return unreadable(record);
    if (record.kind == RecordKind::job_archived || record.kind == RecordKind::job_deleted)
        return apply_to_list(record, found->second);
    auto change = found->second.apply(record);
    if (change && record.kind == RecordKind::report) rollouts_.reported(record);
    if (change && record.kind == RecordKind::member_added && !knows_members(found->second))
        return unreadable(record);
    return change;
}

Result<JobChange> FleetState::apply_to_list(const Record& record, const Job& job) {
    if (record.kind == RecordKind::job_archived) {
        if (record.detail != 0)
            archived_.insert(record.job);
        else
            archived_.erase(record.job);
        return {};
    }
    if (!job.ended() || rollouts_.of_job(record.job) != 0) return unreadable(record);
    jobs_.erase(record.job);
    archived_.erase(record.job);
    deleted_up_to_ = std::max(deleted_up_to_, record.job);
    return {};
}

Result<void> FleetState::apply_to_fleet(const Record& record) {
    const bool known = record.node < roster_.nodes().size();
    switch (record.kind) {
        case RecordKind::node_admitted: {
            const auto node = read_node(record);
            if (!node) return tl::unexpected(node.error());
            roster_.admit(node->name, node->key, node->labels);
            return {};
        }
        case RecordKind::node_revoked:
            if (!known) return unreadable(record);
            roster_.revoke(record.node);
            return {};
        case RecordKind::node_rotated: {
            const auto node = read_node(record);
            if (!node || !known) return unreadable(record);
            roster_.rotate(record.node, node->key);
            return {};
        }
        case RecordKind::node_incarnation:
            if (!known) return unreadable(record);
            roster_.set_incarnation(record.node, record.incarnation);
            return {};
        case RecordKind::store_copied:
            given_again_from_ = std::min(given_again_from_, record.sequence);
            for (auto& [number, job] : jobs_) job.skip_epochs(static_cast<std::uint32_t>(record.base_version));
            return {};
        default:
            return unreadable(record);
    }
}

bool FleetState::plain() const {
    return rollouts_.empty() && archived_.empty() && deleted_up_to_ == 0 &&
           std::ranges::all_of(jobs_, [](const auto& entry) {
               const Job& job = entry.second;
               return job.unbalanced() == 0 && job.plan().server.norm_factor == UpdateLimits{}.factor;
           });
}

std::vector<std::byte> FleetState::save() const {
    Saver saver;
    std::vector<std::uint64_t> numbers;
    for (const auto& [number, job] : jobs_) numbers.push_back(number);
    saver(newest_, roster_, numbers);
    for (const auto& [number, job] : jobs_) saver(job);
    for (const auto& [number, job] : jobs_) const_cast<Job&>(job).later_fields(saver);  // which only reads
    // From here on what older programs did not keep.
    saver(given_again_from_);
    for (const auto& [number, job] : jobs_) saver(job.identity());
    for (const auto& [number, job] : jobs_) saver(job.plan().equal_shares);
    for (const auto& [number, job] : jobs_) {
        if (says_floats(job.plan().terms.aggregation)) saver(job.first_round());
    }
    if (plain()) return saver.take();
    // And what most have nothing of: version 4.
    saver(deleted_up_to_, std::vector<std::uint64_t>(archived_.begin(), archived_.end()), rollouts_);
    for (const auto& [number, job] : jobs_) saver(job.unbalanced(), job.plan().server.norm_factor);
    return saver.take();
}

Result<void> FleetState::load(std::span<const std::byte> state) {
    Loader loader(state);
    std::vector<std::uint64_t> numbers;
    jobs_.clear();
    rollouts_ = {};
    archived_.clear();
    deleted_up_to_ = 0;
    loader(newest_, roster_, numbers);
    for (const std::uint64_t number : numbers) {
        loader(jobs_[number]);
        if (!loader.ok()) break;
    }
    if (!loader.done()) {
        for (auto& [number, job] : jobs_) job.later_fields(loader);
    }
    for (auto& [number, job] : jobs_) {
        if (!loader.ok()) break;
        if (auto restored = job.restore(); !restored) return restored;
        if (job.number() != number || !knows_members(job))
            return fail(Code::store_damaged, static_cast<std::int64_t>(newest_));
    }
    if (loader.ok() && !loader.done()) {
        loader(given_again_from_);
        for (auto& [number, job] : jobs_) {
            Job::Identity identity;
            loader(identity);
            job.set_identity(std::move(identity));
        }
        for (auto& [number, job] : jobs_) {
            bool equal_shares = false;
            if (loader.ok() && !loader.done()) loader(equal_shares);
            job.set_equal_shares(equal_shares);
        }
        for (auto& [number, job] : jobs_) {
            std::int64_t first_round = 0;
            if (!says_floats(job.plan().terms.aggregation)) continue;
            loader(first_round);
            job.set_first_round(first_round);
        }
        if (loader.ok() && !loader.done()) {
            std::vector<std::uint64_t> archived;
            loader(deleted_up_to_, archived, rollouts_);
            archived_ = {archived.begin(), archived.end()};
            for (auto& [number, job] : jobs_) {
                std::uint32_t unbalanced = 0;
                float factor = 0.0f;
                loader(unbalanced, factor);
                job.set_unbalanced(unbalanced);
                job.set_norm_factor(factor);
            }
        }
    } else {
        for (auto& [number, job] : jobs_) job.set_identity({.epoch_before = job.epoch() - 1});
    }
    if (!loader.done() || !rollouts_.fits_together(jobs_, roster_.nodes().size()))
        return fail(Code::store_damaged, static_cast<std::int64_t>(newest_));
    rollouts_.index();
    journal_.loaded(*this, newest_);
    return {};
}

std::vector<std::byte> node_payload(const RosterNode& node) {
    Saver saver;
    saver(node);
    return saver.take();
}

Result<RosterNode> read_node(const Record& record) {
    RosterNode node;
    Loader loader(record.payload);
    loader(node);
    if (!loader.done() || node.name.empty()) return unreadable(record);
    return node;
}

}  // namespace dunlin
