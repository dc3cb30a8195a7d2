// SPDX-License-Identifier: Apache-2.0
// A job in a snapshot.
#include "fleet/coordinator/job.hpp"
#include "fleet/coordinator/plan_fields.hpp"

#include <algorithm>
#include <utility>

namespace dunlin {

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
           known(ending_) && plan_.terms.aggregation <= last_aggregation && serverless() == book_.has_value() &&
           (!book_ || book_->fits(count, dimension)) && (awaited_.empty() || awaited_.size() == count) &&
           std::ranges::all_of(departed_, [count](std::uint32_t member) { return member < count; }) &&
           std::ranges::all_of(members_, [](const JobMember& m) { return m.state <= MemberState::fenced; });
}

Result<void> Job::restore() {
    const std::vector<std::byte> saved = std::exchange(loaded_, {});
    watch_norms();
    if (!fits_together()) return fail(Code::store_damaged, static_cast<std::int64_t>(number_));
    if (book_) return book_->link();
    if (ended_) return {};
    auto server =
        ModelServer::make(plan_.server, plan_.terms.seed, static_cast<std::uint32_t>(members_.size()), plan_.first);
    if (!server) return tl::unexpected(server.error());
    server_ = *std::move(server);
    return server_->restore(saved);
}

}  // namespace dunlin
