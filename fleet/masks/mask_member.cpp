// SPDX-License-Identifier: Apache-2.0
#include "fleet/masks/mask_member.hpp"

#include "core/robust/chacha20.hpp"
#include "core/robust/discrete_gaussian.hpp"
#include "core/robust/ring_values.hpp"
#include "core/robust/rows.hpp"
#include "core/robust/secret_sharing.hpp"
#include "fleet/masks/ring_words.hpp"

#include <cmath>
#include <cstring>

namespace dunlin {
namespace {

RingValues values_of(const MaskTerms& terms) {
    return {terms.ring_bits, terms.value_bits, terms.range, terms.largest_weight};
}

std::span<const std::uint8_t> octets(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()};
}
std::span<std::uint8_t> octets(std::span<std::byte> bytes) {
    return {reinterpret_cast<std::uint8_t*>(bytes.data()), bytes.size()};
}

template <class T>
void wipe_all(std::vector<T>& secrets) {
    wipe(std::as_writable_bytes(std::span(secrets)));
    secrets.clear();
}

}  // namespace

void MaskMember::forget() {
    wipe(masking_);
    wipe(sealing_);
    wipe(self_);
    wipe_all(shares_);
    wipe_all(sealing_with_);
    wipe_all(opened_said_);
    attempt_ = version_ = 0;
    masked_sequence_ = opened_sequence_ = 0;
    masked_incarnation_ = opened_incarnation_ = 0;
    keys_said_.clear();
    shares_said_.clear();
    others_.clear();
    group_.clear();
    keys_.clear();
    sharing_.clear();
    masked_.clear();
    opened_.clear();
    answer_due_ = false;
}

void MaskMember::say(MaskStep step, std::span<const std::uint32_t> members, std::span<const std::byte> bytes) {
    answer_ = {};
    answer_.attempt = attempt_;
    answer_.version = version_;
    answer_.step = step;
    answer_.members = members;
    answer_.bytes = bytes;
    answer_due_ = true;
}

Result<void> MaskMember::take(const Place& place, const MaskExchange& said) {
    if (said.step == MaskStep::begin) return begin(place, said);
    const bool same = place.nonce == place_.nonce && place.member == place_.member;
    if (!same || said.attempt != attempt_ || said.version != version_ || attempt_ == 0)
        return fail(Code::wrong_epoch, static_cast<std::int64_t>(said.version),
                    static_cast<std::int64_t>(version_));
    switch (said.step) {
        case MaskStep::group:
            return group(said);
        case MaskStep::delivered:
            return delivered(said);
        case MaskStep::survivors:
            return survivors(said);
        default:
            return fail(Code::message_unknown, static_cast<std::int64_t>(said.step));
    }
}

Result<void> MaskMember::begin(const Place& place, const MaskExchange& said) {
    if (!values_of(said.terms).valid() || said.attempt == 0 || place.nonce == 0 || !(said.terms.clip >= 0.0f) ||
        !(said.terms.noise >= 0.0f && said.terms.noise <= 1e4f))
        return fail(Code::message_malformed, static_cast<std::int64_t>(said.attempt));
    const bool again = said.attempt == attempt_ && said.version == version_ && place.nonce == place_.nonce &&
                       place.member == place_.member;
    if (!again) {
        const std::uint32_t incarnation = opened_incarnation_;
        const std::uint64_t sequence = opened_sequence_;
        const bool same_job = place.nonce == place_.nonce;
        forget();
        if (same_job) {
            opened_incarnation_ = incarnation;
            opened_sequence_ = sequence;
        }
        place_ = place;
        attempt_ = said.attempt;
        version_ = said.version;
        terms_ = said.terms;
        secrets_(masking_);
        secrets_(sealing_);
        secrets_(self_);
        const MaskKeys keys{public_key(masking_), public_key(sealing_),
                            derived_key(self_, commit_purpose, context(place_.member, place_.member))};
        keys_said_.resize(MaskExchange::keys_bytes);
        keys.write(std::span<std::byte, MaskExchange::keys_bytes>(keys_said_));
    }
    say(MaskStep::keys, {}, keys_said_);
    return {};
}

/// Shares of both secrets for everybody in the group.
Result<void> MaskMember::group(const MaskExchange& said) {
    if (!group_.empty()) {
        if (!std::ranges::equal(said.members, others_)) return fail(Code::bad_participants);
        say(MaskStep::shares, others_, shares_said_);
        return {};
    }
    const std::size_t count = said.members.size() + 1;
    if (!ascending(said.members) || std::ranges::binary_search(said.members, place_.member) ||
        count < least_summed || count > largest_group)
        return fail(Code::bad_participants, static_cast<std::int64_t>(count));
    if (said.bytes.size() != said.members.size() * MaskExchange::keys_bytes)
        return fail(Code::message_malformed, static_cast<std::int64_t>(said.bytes.size()));
    std::vector<std::uint32_t> all(said.members.begin(), said.members.end());
    all.insert(std::ranges::lower_bound(all, place_.member), place_.member);
    std::vector<MaskKeys> keys;
    for (std::size_t k = 0, other = 0; k < all.size(); ++k) {
        keys.push_back(MaskKeys::read(all[k] == place_.member
                                          ? std::span<const std::byte>(keys_said_)
                                          : said.bytes.subspan(MaskExchange::keys_bytes * other++)));
    }
    // Of both secrets, one after the other: the secret, then random coefficients.
    std::vector<std::byte> coefficients(64 * threshold_of(count));
    secrets_(coefficients);
    std::ranges::copy(masking_, coefficients.begin());
    std::ranges::copy(self_, coefficients.begin() + 32);
    std::vector<std::array<std::byte, 64>> shares(count);
    std::vector<std::byte> sealed(said.members.size() * MaskExchange::sealed_bytes);
    std::vector<MaskKey> sealing_with(count);
    Result<void> done;
    for (std::size_t k = 0, other = 0; k < count && done; ++k) {
        std::array<std::byte, 64> share;
        secret_sharing::share(octets(std::span<const std::byte>(coefficients)), static_cast<std::uint8_t>(k + 1),
                              octets(std::span<std::byte>(share)));
        if (all[k] == place_.member) {
            shares[k] = share;
        } else if (auto key = shared_key(sealing_, keys[k].sealing, seal_purpose, pair(all[k]))) {
            seal(*key, place_.member < all[k], share,
                 std::span(sealed).subspan(MaskExchange::sealed_bytes * other++, MaskExchange::sealed_bytes));
            sealing_with[k] = *key;
            wipe(*key);
        } else {
            done = fail(Code::handshake_failed, all[k]);
        }
        wipe(share);
    }
    wipe(coefficients);
    if (!done) return done;
    others_.assign(said.members.begin(), said.members.end());
    group_ = std::move(all);
    keys_ = std::move(keys);
    shares_ = std::move(shares);
    sealing_with_ = std::move(sealing_with);
    shares_said_ = std::move(sealed);
    say(MaskStep::shares, others_, shares_said_);
    return {};
}

Result<void> MaskMember::delivered(const MaskExchange& said) {
    if (group_.empty()) return fail(Code::bad_participants);
    std::vector<std::uint32_t> sharing(said.members.begin(), said.members.end());
    if (!ascending(sharing) || !std::ranges::includes(others_, sharing) ||
        sharing.size() + 1 < least_going_on(group_.size()))
        return fail(Code::bad_participants, static_cast<std::int64_t>(sharing.size()));
    sharing.insert(std::ranges::lower_bound(sharing, place_.member), place_.member);
    if (!sharing_.empty()) return sharing == sharing_ ? Result<void>{} : fail(Code::bad_participants);
    if (said.bytes.size() != said.members.size() * MaskExchange::sealed_bytes)
        return fail(Code::message_malformed, static_cast<std::int64_t>(said.bytes.size()));
    std::vector<std::array<std::byte, 64>> shares = shares_;
    for (std::size_t k = 0; k < said.members.size(); ++k) {
        const std::uint32_t from = said.members[k];
        const std::size_t at = place_in(group_, from);
        const auto sealed = said.bytes.subspan(k * MaskExchange::sealed_bytes, MaskExchange::sealed_bytes);
        if (unseal(sealing_with_[at], from < place_.member, sealed, shares[at])) continue;
        wipe_all(shares);
        return fail(Code::handshake_failed, from);
    }
    wipe_all(shares_);
    shares_ = std::move(shares);
    wipe_all(sealing_with_);
    sharing_ = std::move(sharing);
    return {};
}

bool MaskMember::may_mask(const Update& update) const {
    const bool told = opened_sequence_ == update.sequence && opened_incarnation_ == update.incarnation;
    return !told && (attempt_ == 0 || update.base_version == version_);
}

bool MaskMember::ready(const Update& update) const {
    const bool another =
        !masked_.empty() && (masked_sequence_ != update.sequence || masked_incarnation_ != update.incarnation);
    return !sharing_.empty() && update.base_version == version_ && !another;
}

/// As integers, of the length that the terms allow, with this member's part of the noise.
void MaskMember::quantise(const Update& update, std::span<std::uint64_t> out) {
    const RingValues values = values_of(terms_);
    if (!(terms_.clip > 0.0f)) {
        const auto weight = static_cast<std::uint32_t>(
            std::clamp(std::lround(update.samples), 1L, static_cast<long>(terms_.largest_weight)));
        clipped_ = values.to_ring(update.values, weight, out);
        out[update.values.size()] = weight;
        return;
    }
    // Rounding moves each component by half a unit at most.
    const double per_unit = 1.0 / values.unit(), length = static_cast<double>(terms_.clip) * per_unit;
    const double norm = std::sqrt(squared_norm(update.values)) * per_unit;
    const double room = std::max(0.0, length - std::sqrt(static_cast<double>(update.values.size())) / 2);
    const double scale = norm > room ? room / norm : 1.0;
    MaskKey key;
    secrets_(key);
    ChaCha20 random(key);
    wipe(key);
    // The sum has at least as many parts as open it.
    const double sigma =
        static_cast<double>(terms_.noise) * length / std::sqrt(static_cast<double>(least_going_on(group_.size())));
    clipped_ = norm > room ? 1 : 0;
    for (std::size_t k = 0; k < update.values.size(); ++k) {
        const double value = static_cast<double>(update.values[k]) * per_unit * scale;
        out[k] = static_cast<std::uint64_t>(static_cast<std::int64_t>(std::nearbyint(value)));
    }
    if (sigma >= 1.0) {
        DiscreteGaussian noise(sigma, random);
        for (std::uint64_t& value : out.first(update.values.size())) value += static_cast<std::uint64_t>(noise());
    }
    out[update.values.size()] = 1;
}

MaskedUpdate MaskMember::masked(const Update& update) {
    if (masked_.empty()) {
        std::vector<std::uint64_t> numbers(update.values.size() + 1);
        quantise(update, numbers);
        std::vector<std::uint64_t> sum(ring_words(terms_.ring_bits, numbers.size()));
        pack_numbers(terms_.ring_bits, numbers, sum);
        MaskKey self = derived_key(self_, self_purpose, context(place_.member, place_.member));
        add_mask(self, false, terms_.ring_bits, sum);
        wipe(self);
        for (const std::uint32_t other : sharing_) {
            if (other == place_.member) continue;
            // Of what is no key nothing is masked, and the coordinator finds the same.
            auto key = shared_key(masking_, keys_[place_in(group_, other)].masking, pair_purpose, pair(other));
            if (!key) continue;
            add_mask(*key, place_.member > other, terms_.ring_bits, sum);
            wipe(*key);
        }
        // Of the last word of a ring of 2^32 one half may hold nothing but mask.
        const auto bytes = std::as_bytes(std::span(sum)).first(numbers.size() * (terms_.ring_bits / 8));
        masked_.assign(bytes.begin(), bytes.end());
        masked_sequence_ = update.sequence;
        masked_incarnation_ = update.incarnation;
    }
    return {place_.member, attempt_, version_, masked_};
}

Result<void> MaskMember::survivors(const MaskExchange& said) {
    if (masked_.empty()) return fail(Code::bad_participants);
    if (opened_.empty()) {
        if (!ascending(said.members) || !std::ranges::includes(sharing_, said.members) ||
            !std::ranges::binary_search(said.members, place_.member) ||
            said.members.size() < least_going_on(group_.size()))
            return fail(Code::bad_participants, static_cast<std::int64_t>(said.members.size()));
        opened_.assign(said.members.begin(), said.members.end());
        opened_incarnation_ = masked_incarnation_;
        opened_sequence_ = masked_sequence_;
        opened_said_.clear();
        for (const std::uint32_t of : sharing_) {
            const bool there = std::ranges::binary_search(opened_, of);
            std::array<std::byte, 64>& shares = shares_[place_in(group_, of)];
            const auto share = std::span(shares).subspan(there ? 32 : 0, 32);
            opened_said_.insert(opened_said_.end(), share.begin(), share.end());
            wipe(shares);  // the other one is never asked for
        }
    } else if (!std::ranges::equal(said.members, opened_)) {
        return fail(Code::bad_participants, static_cast<std::int64_t>(said.members.size()));
    }
    say(MaskStep::opened, sharing_, opened_said_);
    return {};
}

}  // namespace dunlin
