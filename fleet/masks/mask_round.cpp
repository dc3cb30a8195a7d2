// SPDX-License-Identifier: Apache-2.0
#include "fleet/masks/mask_round.hpp"

#include "core/robust/secret_sharing.hpp"
#include "fleet/masks/ring_words.hpp"

#include <cassert>
#include <cstring>
#include <string>
#include <utility>

namespace dunlin {

MaskRound::MaskRound(const MaskRoundSettings& settings, std::span<const std::uint32_t> participants,
                     SecretSource secrets)
    : settings_(settings), secrets_(std::move(secrets)) {
    assert(settings.group >= 2 * least_summed && settings.group <= largest_group && settings.attempt != 0);
    for (const std::uint32_t member : participants) members_[member];
}

bool MaskRound::includes(std::uint32_t member) const {
    const auto found = members_.find(member);
    return found != members_.end() && !found->second.out;
}

bool MaskRound::spoke(const Member& member) const {
    switch (stage_) {
        case Stage::keys:
            return member.keys.has_value();
        case Stage::shares:
            return !member.sealed.empty();
        case Stage::updates:
            return member.delivered;
        case Stage::opening:
            return !member.opened.empty();
        case Stage::over:
            break;
    }
    return true;
}

Result<void> MaskRound::take(std::uint32_t number, const MaskExchange& said) {
    const auto found = members_.find(number);
    if (found == members_.end() || said.attempt != settings_.attempt || said.version != settings_.version)
        return {};
    Member& member = found->second;
    if (member.out) return {};
    const auto malformed = [&] {
        return fail(Code::message_malformed, static_cast<std::int64_t>(said.bytes.size()));
    };
    const auto expected = [](MaskStep step) {
        return step == MaskStep::keys ? Stage::keys : step == MaskStep::shares ? Stage::shares : Stage::opening;
    };
    if (said.step != MaskStep::keys && said.step != MaskStep::shares && said.step != MaskStep::opened)
        return malformed();
    if (stage_ != expected(said.step) || spoke(member)) return {};
    if (said.step == MaskStep::keys) {
        if (said.bytes.size() != MaskExchange::keys_bytes) return malformed();
        member.keys = MaskKeys::read(said.bytes);
        return {};
    }
    const Group& group = groups_[member.group];
    if (said.step == MaskStep::shares) {
        const std::size_t others = group.members.size() - 1;
        if (said.bytes.size() != others * MaskExchange::sealed_bytes) return malformed();
        if (!std::ranges::equal(said.members, member.told_members)) return fail(Code::bad_participants, number);
        member.sealed.assign(said.bytes.begin(), said.bytes.end());
        return {};
    }
    if (said.bytes.size() != group.sharing.size() * MaskExchange::share_bytes) return malformed();
    if (!std::ranges::equal(said.members, group.sharing)) return fail(Code::bad_participants, number);
    member.opened.assign(said.bytes.begin(), said.bytes.end());
    return {};
}

Result<void> MaskRound::take(std::uint32_t number, std::uint32_t incarnation, std::uint64_t sequence,
                             const MaskedUpdate& update) {
    const auto found = members_.find(number);
    const bool meant = update.attempt == settings_.attempt && update.base_version == settings_.version;
    if (found == members_.end() || found->second.out || !meant) return fail(Code::not_a_participant, number);
    Member& member = found->second;
    if (member.delivered) return {};
    if (stage_ != Stage::updates) return fail(Code::not_a_participant, number);
    if (update.bytes.size() != update_bytes())
        return fail(Code::shape_mismatch, static_cast<std::int64_t>(update.bytes.size()),
                    static_cast<std::int64_t>(update_bytes()));
    const std::span<std::byte> sum = std::as_writable_bytes(std::span(groups_[member.group].sum));
    add_numbers(settings_.terms.ring_bits, update.bytes, false, sum);
    member.delivered = true;
    member.incarnation = incarnation;
    member.sequence = sequence;
    return {};
}

bool MaskRound::complete() const {
    if (stage_ == Stage::opening) {
        return std::ranges::all_of(groups_, [this](const Group& group) {
            return group.sum.empty() || openers_of(group).size() == threshold_of(group.members.size());
        });
    }
    return std::ranges::all_of(members_,
                               [this](const auto& entry) { return entry.second.out || spoke(entry.second); });
}

void MaskRound::next() {
    if (stage_ == Stage::over) return;
    // Who did not open is no less in the sum.
    for (auto& [number, member] : members_) {
        if (stage_ != Stage::opening && !spoke(member)) member.out = true;
        member.told_members.clear();
        member.told_bytes.clear();
    }
    switch (stage_) {
        case Stage::keys:
            make_groups();
            break;
        case Stage::shares:
            give_shares();
            break;
        case Stage::updates:
            name_survivors();
            break;
        default:
            open();
    }
    const bool any = std::ranges::any_of(members_, [](const auto& entry) { return !entry.second.out; });
    stage_ = any ? static_cast<Stage>(static_cast<int>(stage_) + 1) : Stage::over;
}

void MaskRound::dissolve(Group& group, std::string_view what, std::size_t there) {
    trouble_ += trouble_.empty() ? "" : "; ";
    trouble_ += "of a group of " + std::to_string(group.members.size()) + ' ' + std::string(what) + ' ' +
                std::to_string(there) + ", and it takes " + std::to_string(least_going_on(group.members.size()));
    for (const std::uint32_t member : group.members) members_[member].out = true;
}

/// At random, so that nobody chooses whom its mask is hidden among.
void MaskRound::make_groups() {
    std::vector<std::uint32_t> there;
    for (const auto& [number, member] : members_) {
        if (!member.out) there.push_back(number);
    }
    if (there.size() < least_summed) {
        trouble_ = "of " + std::to_string(members_.size()) + " members " + std::to_string(there.size()) +
                   " sent keys, and it takes " + std::to_string(least_summed);
        for (auto& [number, member] : members_) member.out = true;
        return;
    }
    for (std::size_t left = there.size(); left > 1; --left) {
        std::uint64_t bits = 0;
        secrets_(std::as_writable_bytes(std::span(&bits, 1)));
        std::swap(there[static_cast<std::size_t>(bits % left)], there[left - 1]);
    }
    const std::size_t count = (there.size() + settings_.group - 1) / settings_.group;
    groups_.resize(count);
    for (std::size_t k = 0; k < there.size(); ++k) groups_[k % count].members.push_back(there[k]);
    for (std::size_t g = 0; g < count; ++g) {
        std::vector<std::uint32_t>& all = groups_[g].members;
        std::ranges::sort(all);
        for (const std::uint32_t number : all) {
            Member& member = members_[number];
            member.group = g;
            for (const std::uint32_t other : all) {
                if (other == number) continue;
                member.told_members.push_back(other);
                member.told_bytes.resize(member.told_bytes.size() + MaskExchange::keys_bytes);
                members_[other].keys->write(std::span(member.told_bytes).last<MaskExchange::keys_bytes>());
            }
        }
    }
}

void MaskRound::give_shares() {
    for (Group& group : groups_) {
        for (const std::uint32_t member : group.members) {
            if (!members_[member].sealed.empty()) group.sharing.push_back(member);
        }
        if (group.sharing.size() < least_going_on(group.members.size())) {
            dissolve(group, "gave shares", group.sharing.size());
            continue;
        }
        group.sum.assign(ring_words(settings_.terms.ring_bits, std::size_t{settings_.dimension} + 1), 0);
        for (const std::uint32_t number : group.sharing) {
            Member& member = members_[number];
            for (const std::uint32_t from : group.sharing) {
                if (from == number) continue;
                // Of its sealed shares the one for this member: it has none for itself.
                const std::size_t place = place_in(group.members, number), own = place_in(group.members, from);
                const auto sealed =
                    std::span<const std::byte>(members_[from].sealed)
                        .subspan((place - (place > own)) * MaskExchange::sealed_bytes, MaskExchange::sealed_bytes);
                member.told_members.push_back(from);
                member.told_bytes.insert(member.told_bytes.end(), sealed.begin(), sealed.end());
            }
        }
    }
}

void MaskRound::name_survivors() {
    for (Group& group : groups_) {
        if (group.sum.empty()) continue;  // it is dissolved
        for (const std::uint32_t member : group.sharing) {
            if (members_[member].delivered) group.going_on.push_back(member);
        }
        if (group.going_on.size() < least_going_on(group.members.size())) {
            dissolve(group, "sent updates", group.going_on.size());
            group.sum.clear();
            continue;
        }
        for (const std::uint32_t member : group.going_on) members_[member].told_members = group.going_on;
    }
}

void MaskRound::open() {
    MaskedSum sum;
    sum.values.assign(settings_.dimension, 0);
    for (Group& group : groups_) {
        if (group.sum.empty() || open(group, sum)) continue;
        const std::size_t openers = openers_of(group).size();
        const bool enough = openers == threshold_of(group.members.size());
        dissolve(group, enough ? "gave shares that do not fit" : "opened", openers);
    }
    std::ranges::sort(sum.members, {}, &MaskedSum::Part::member);
    if (!sum.members.empty()) sum_ = std::move(sum);
}

/// Of the member at this place: the secret of its self-mask if its update came, else the one of its pairwise masks.
std::optional<MaskKey> MaskRound::secret_of(const Group& group, std::span<const std::uint32_t> openers,
                                            std::size_t place) {
    std::vector<std::uint8_t> xs;
    for (const std::uint32_t opener : openers)
        xs.push_back(static_cast<std::uint8_t>(place_in(group.members, opener) + 1));
    std::array<std::uint8_t, 32> secret{};
    for (std::size_t k = 0; k < openers.size(); ++k) {
        const auto share = std::span<const std::byte>(members_[openers[k]].opened)
                               .subspan(place * MaskExchange::share_bytes, MaskExchange::share_bytes);
        secret_sharing::add({reinterpret_cast<const std::uint8_t*>(share.data()), share.size()},
                            secret_sharing::weight(xs, k), secret);
    }
    MaskKey key;
    std::memcpy(key.data(), secret.data(), key.size());
    const std::uint32_t number = group.sharing[place];
    const MaskKeys& said = *members_[number].keys;
    const bool fits = members_[number].delivered
                          ? derived_key(key, commit_purpose, context(number, number)) == said.commitment
                          : public_key(key) == said.masking;
    if (!fits) return std::nullopt;
    return key;
}

/// The first t of a group who gave what opens its sum; or as many as there are.
std::vector<std::uint32_t> MaskRound::openers_of(const Group& group) const {
    std::vector<std::uint32_t> openers;
    for (const std::uint32_t member : group.going_on) {
        const bool opened = !members_.at(member).opened.empty();
        if (opened && openers.size() < threshold_of(group.members.size())) openers.push_back(member);
    }
    return openers;
}

bool MaskRound::open(Group& group, MaskedSum& sum) {
    const std::vector<std::uint32_t> openers = openers_of(group);
    if (openers.size() < threshold_of(group.members.size())) return false;
    for (std::size_t place = 0; place < group.sharing.size(); ++place) {
        auto secret = secret_of(group, openers, place);
        if (!secret) return false;
        const std::uint32_t number = group.sharing[place];
        if (members_[number].delivered) {
            add_mask(derived_key(*secret, self_purpose, context(number, number)), true, settings_.terms.ring_bits,
                     group.sum);
            continue;
        }
        for (const std::uint32_t other : group.going_on) {
            const auto key = shared_key(*secret, members_[other].keys->masking, pair_purpose,
                                        context(std::min(other, number), std::max(other, number)));
            // What `other` added where it comes first, and took off where it comes second.
            if (key) add_mask(*key, other < number, settings_.terms.ring_bits, group.sum);
        }
    }
    const std::uint32_t bits = settings_.terms.ring_bits;
    for (std::size_t k = 0; k < sum.values.size(); ++k) sum.values[k] += number_at(bits, group.sum, k);
    sum.weight += number_at(bits, group.sum, sum.values.size());
    for (const std::uint32_t number : group.going_on) {
        const Member& member = members_[number];
        sum.members.push_back({number, member.incarnation, member.sequence});
    }
    return true;
}

std::optional<MaskExchange> MaskRound::word_for(std::uint32_t number) {
    const auto found = members_.find(number);
    if (found == members_.end() || found->second.out || stage_ == Stage::over || spoke(found->second))
        return std::nullopt;
    const Member& member = found->second;
    constexpr MaskStep steps[] = {MaskStep::begin, MaskStep::group, MaskStep::delivered, MaskStep::survivors};
    MaskExchange said;
    said.attempt = settings_.attempt;
    said.version = settings_.version;
    said.step = steps[static_cast<std::size_t>(stage_)];
    if (stage_ == Stage::keys) said.terms = settings_.terms;
    said.members = member.told_members;
    said.bytes = member.told_bytes;
    return said;
}

}  // namespace dunlin
