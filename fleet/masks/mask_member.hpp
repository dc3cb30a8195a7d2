// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fleet/masks/mask_group.hpp"
#include "transport/session/update_masks.hpp"

#include <optional>

namespace dunlin {

/// A member's side of masked sums (Bonawitz et al. 2017, with the groups of Bell et al. 2020 as whole groups of their
/// own). Of member i in a group U, in the ring of 2^32 or 2^64:
///
///     y_i = x_i + PRG(b_i) + sum over j in U of  +PRG(s_ij) where i < j,  -PRG(s_ij) where i > j
///
/// s_ij comes from i's secret key and j's public one; of b_i and of the secret key everybody in U has a share. When the
/// coordinator says whose y came, a member gives for each of those its share of b, and for each other its share of the
/// secret key: one of the two and never the other, for the list that it opened for is kept with the shares and cannot be
/// exchanged for another one.
///
/// All of it is in memory alone. A node that starts again has neither shares nor keys: it opens nothing any more and masks
/// nothing with what it masked with before, and the others make up for it as for one that went. So there is nothing on its
/// disk, or in a backup or on a cloned card, by which a choice could be made a second time.
class MaskMember final : public UpdateMasks {
public:
    explicit MaskMember(SecretSource secrets = system_secrets) : secrets_(std::move(secrets)) {}
    ~MaskMember() { forget(); }
    MaskMember(const MaskMember&) = delete;
    MaskMember& operator=(const MaskMember&) = delete;

    Result<void> take(const Place& place, const MaskExchange& said) override;
    const MaskExchange* answer() const override { return answer_due_ ? &answer_ : nullptr; }
    void answered() override { answer_due_ = false; }
    bool may_mask(const Update& update) const override;
    bool ready(const Update& update) const override;
    MaskedUpdate masked(const Update& update) override;
    void forget() override;

    /// Components of the last update that were beyond the range and clipped to it.
    std::size_t clipped() const { return clipped_; }

private:
    Result<void> begin(const Place& place, const MaskExchange& said);
    Result<void> group(const MaskExchange& said);
    Result<void> delivered(const MaskExchange& said);
    Result<void> survivors(const MaskExchange& said);
    void say(MaskStep step, std::span<const std::uint32_t> members, std::span<const std::byte> bytes);
    void quantise(const Update& update, std::span<std::uint64_t> out);
    MaskContext context(std::uint32_t from, std::uint32_t to) const {
        return {place_.nonce, attempt_, version_, from, to};
    }
    MaskContext pair(std::uint32_t other) const {
        return context(std::min(other, place_.member), std::max(other, place_.member));
    }

    SecretSource secrets_;
    Place place_;
    std::uint64_t attempt_ = 0, version_ = 0;
    MaskTerms terms_;
    MaskKey masking_{}, sealing_{}, self_{};  ///< secrets
    std::vector<std::byte> keys_said_, shares_said_, opened_said_;
    std::vector<std::uint32_t> others_;  ///< of the group
    std::vector<std::uint32_t> group_;   ///< with this member
    std::vector<MaskKeys> keys_;         ///< of the group
    std::vector<MaskKey> sealing_with_;  ///< by place in the group: the key that shares are sealed with
    /// By place in the group: the shares that this member has of a masking secret, and behind it of a self-mask's.
    std::vector<std::array<std::byte, 64>> shares_;
    std::vector<std::uint32_t> sharing_;    ///< of the group, who shared: those whose pairwise masks are in y
    std::vector<std::byte> masked_;         ///< y
    std::uint32_t masked_incarnation_ = 0;  ///< of the update in it
    std::uint64_t masked_sequence_ = 0;
    std::vector<std::uint32_t> opened_;  ///< the list that this member opened for; empty: none yet
    /// The update that a sum which this member helped to open may hold.
    std::uint32_t opened_incarnation_ = 0;
    std::uint64_t opened_sequence_ = 0;
    MaskExchange answer_;
    bool answer_due_ = false;
    std::size_t clipped_ = 0;
};

}  // namespace dunlin
