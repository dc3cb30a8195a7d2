// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/robust/ring_values.hpp"
#include "fleet/masks/mask_group.hpp"

#include <map>
#include <optional>
#include <string>

namespace dunlin {

struct MaskRoundSettings {
    std::uint64_t nonce = 0;    ///< the job's
    std::uint64_t attempt = 0;  ///< random, not 0
    std::uint64_t version = 0;  ///< of the model that updates start from
    std::uint32_t dimension = 0;
    std::uint32_t group = 17;  ///< most members of a group, in [2 * least_summed, largest_group]
    MaskTerms terms;
};

/// What became of a round: of all groups that could be opened together.
struct MaskedSum {
    std::vector<std::int64_t> values;  ///< sum of the members' integers, in units of RingValues
    std::int64_t weight = 0;           ///< and of their weights
    struct Part {
        std::uint32_t member = 0, incarnation = 0;
        std::uint64_t sequence = 0;
    };
    std::vector<Part> members;  ///< ascending
};

/// The coordinator's side of one attempt at a masked round (mask_member.hpp has the equations): a machine without I/O. Of
/// each group it keeps the sum of what came, and never a single update. It goes from stage to stage when all that it waits
/// for are there, or when whoever drives it has waited for long enough.
class MaskRound {
public:
    enum class Stage : std::uint8_t { keys, shares, updates, opening, over };

    /// Participants ascend.
    MaskRound(const MaskRoundSettings& settings, std::span<const std::uint32_t> participants, SecretSource secrets);

    Stage stage() const { return stage_; }
    std::uint64_t attempt() const { return settings_.attempt; }
    std::uint64_t version() const { return settings_.version; }

    /// A member's word. What is of another attempt, came too late or came before changes nothing. Errors:
    /// message_malformed, bad_participants.
    Result<void> take(std::uint32_t member, const MaskExchange& said);
    /// A member's masked update. Errors: shape_mismatch, not_a_participant (it has no part in this attempt).
    Result<void> take(std::uint32_t member, std::uint32_t incarnation, std::uint64_t sequence,
                      const MaskedUpdate& update);

    /// Is there nobody more to wait for in this stage?
    bool complete() const;
    /// Goes on with those who have spoken: to the next stage, or to the end where they are too few.
    void next();
    /// What a member is to be told until it answers; views that live until `next`. Nothing: it has answered, or has no
    /// part any more.
    std::optional<MaskExchange> word_for(std::uint32_t member);
    /// Does it take part, as far as it has come?
    bool includes(std::uint32_t member) const;

    /// Over: what could be opened; nothing where no group could.
    const std::optional<MaskedSum>& sum() const { return sum_; }
    /// Why groups were left out, for people; "" where none was.
    const std::string& trouble() const { return trouble_; }

private:
    struct Member {
        bool out = false;  ///< came too late for some stage, or its group is dissolved
        std::optional<MaskKeys> keys;
        std::size_t group = 0;
        std::vector<std::byte> sealed;  ///< for each of the others of its group, in order
        bool delivered = false;         ///< its masked update is in the group's sum
        std::uint32_t incarnation = 0;
        std::uint64_t sequence = 0;
        std::vector<std::byte> opened;  ///< a share of each that shared
        // what it is told now
        std::vector<std::uint32_t> told_members;
        std::vector<std::byte> told_bytes;
    };
    struct Group {
        std::vector<std::uint32_t> members;   ///< ascending
        std::vector<std::uint32_t> sharing;   ///< who gave shares
        std::vector<std::uint32_t> going_on;  ///< whose updates came
        std::vector<std::uint64_t> sum;       ///< ring_words.hpp
    };

    bool spoke(const Member& member) const;
    void make_groups();
    void dissolve(Group& group, std::string_view what, std::size_t there);
    void give_shares();
    void name_survivors();
    void open();
    std::vector<std::uint32_t> openers_of(const Group& group) const;
    bool open(Group& group, MaskedSum& sum);
    std::optional<MaskKey> secret_of(const Group& group, std::span<const std::uint32_t> openers, std::size_t place);
    MaskContext context(std::uint32_t from, std::uint32_t to) const {
        return {settings_.nonce, settings_.attempt, settings_.version, from, to};
    }
    std::size_t update_bytes() const {
        return (std::size_t{settings_.dimension} + 1) * settings_.terms.ring_bits / 8;
    }

    MaskRoundSettings settings_;
    SecretSource secrets_;
    Stage stage_ = Stage::keys;
    std::map<std::uint32_t, Member> members_;
    std::vector<Group> groups_;
    std::optional<MaskedSum> sum_;
    std::string trouble_;
};

}  // namespace dunlin
