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
    Result<JobChange> change;
    if (of_job)
        change = apply_to_job(record);
    else if (auto done = apply_to_fleet(record); !done)
        change = tl::unexpected(done.error());
    if (change) journal_.applied(*this, record, of_job ? &*change : nullptr);
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
    auto change = found->second.apply(record);
    if (change && record.kind == RecordKind::member_added && !knows_members(found->second))
        return unreadable(record);
    return change;
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
    // And what most have nothing of.
    std::vector<std::uint64_t> unbalanced;
    std::vector<float> factors;
    bool usual = true;
    for (const auto& [number, job] : jobs_) {
        if (job.unbalanced() > 0) unbalanced.insert(unbalanced.end(), {number, job.unbalanced()});
        factors.push_back(job.plan().server.norm_factor);
        usual = usual && factors.back() == UpdateLimits{}.factor;
    }
    if (!unbalanced.empty() || !usual) saver(unbalanced);
    if (!usual) saver(factors);
    return saver.take();
}

Result<void> FleetState::load(std::span<const std::byte> state) {
    Loader loader(state);
    std::vector<std::uint64_t> numbers;
    jobs_.clear();
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
        std::vector<std::uint64_t> unbalanced;
        if (loader.ok() && !loader.done()) loader(unbalanced);
        std::vector<float> factors;
        if (loader.ok() && !loader.done()) loader(factors);
        if (factors.size() == jobs_.size()) {
            std::size_t at = 0;
            for (auto& [number, job] : jobs_) job.set_norm_factor(factors[at++]);
        }
        for (std::size_t k = 0; k + 1 < unbalanced.size(); k += 2) {
            const auto found = jobs_.find(unbalanced[k]);
            if (found != jobs_.end()) found->second.set_unbalanced(static_cast<std::uint32_t>(unbalanced[k + 1]));
        }
    } else {
        for (auto& [number, job] : jobs_) job.set_identity({.epoch_before = job.epoch() - 1});
    }
    if (!loader.done()) return fail(Code::store_damaged, static_cast<std::int64_t>(newest_));
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
