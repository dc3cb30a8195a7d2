// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "transport/serial/ciphers.hpp"
#include "transport/serial/line_guard.hpp"

#include <algorithm>
#include <cstring>

namespace dunlin {

/// A line on which nobody else can read, say anything or say it again: messages are sealed by ChaCha20-Poly1305 (RFC
/// 8439) with a tag of 128 bits, fragments carry 32 bits of SipHash in place of a CRC-32. Who cuts or fills the line can still
/// stop it.
///
/// Each board has a key K of 32 bytes, which its gateway has too. The greetings carry 16 fresh bytes of either side, so
/// that neither can be led into an old session:
///
///     S         = H(H(K, leader's), follower's)            H: HChaCha20
///     keys      = H(S, name of what the key is for)        two directions, messages and fragments
///     nonce     = number of the message in its direction and session, from 1
///
/// The follower's greeting is tagged together with the leader's bytes. Whoever learns K can read what was recorded:
/// there is no forward secrecy. docs/threats.md says more.
///
/// `Ciphers` is SmallCiphers or what has the same members.
template <class Ciphers>
class SealedGuard final : public LineGuard {
public:
    /// Writes 16 bytes that were never given before, also before a reset; false where there are none: no session then.
    using Fresh = bool (*)(std::span<std::byte, most_greeting> to);

    SealedGuard(const CipherKey& key, Fresh fresh) : key_(key), fresh_(fresh) {
        greeting_key_ = tag_key(key_, "dunlin greetings");
    }

    std::size_t greeting(std::uint32_t session, std::span<std::byte, most_greeting> to) override {
        // A follower makes its own when a session begins; its hello has none.
        if (session == 0) return 0;
        if (session != session_) {
            if (!fresh_(own_)) return 0;
            session_ = session;
            leaders_ = own_;
        }
        std::memcpy(to.data(), own_.data(), own_.size());
        return own_.size();
    }

    bool begin(std::uint32_t session, bool leads, std::span<const std::byte> theirs) override {
        Nonce other;
        if (theirs.size() != other.size()) return false;
        std::memcpy(other.data(), theirs.data(), other.size());
        if (!leads && !fresh_(own_)) return false;
        leads_ = leads;
        session_ = session;
        leaders_ = leads ? own_ : other;
        const CipherKey shared = Ciphers::derive(Ciphers::derive(key_, leaders_), leads ? other : own_);
        message_keys_ = {derive(shared, "dunlin messages0"), derive(shared, "dunlin messages1")};
        fragment_keys_ = {tag_key(shared, "dunlin fragment0"), tag_key(shared, "dunlin fragment1")};
        return true;
    }

    std::uint32_t tag(std::span<const std::uint8_t> raw, bool outgoing, bool bound,
                      std::uint32_t message) override {
        std::array<std::byte, 160> text;
        std::size_t size = std::min(raw.size(), text.size() - sizeof(Nonce));
        std::memcpy(text.data(), raw.data(), size);
        if (bound) {
            std::memcpy(text.data() + size, &message, sizeof message);
            size += sizeof message;
        } else if ((raw[0] & 7u) == ready_kind) {
            std::memcpy(text.data() + size, leaders_.data(), leaders_.size());
            size += leaders_.size();
        }
        const TagKey& key = bound ? fragment_keys_[way(outgoing)] : greeting_key_;
        return static_cast<std::uint32_t>(Ciphers::hash(key, std::span(text).first(size)));
    }

    std::span<const std::byte> seal(std::uint32_t message, const MessageParts& parts,
                                    const MessageStart& last) override {
        auto authenticator = authenticate(true, message);
        std::array<std::byte, 64> block;
        const std::size_t size = plain_bytes_ = parts.size();
        for (std::size_t at = 0; at < size; at += block.size()) {
            const auto piece = parts.copy_difference(last, at, block);
            cover(message, at, piece);
            authenticator.add(piece);
        }
        seal_ = finish(authenticator, size);
        return seal_;
    }

    void cover(std::uint32_t message, std::size_t at, std::span<std::byte> piece) override {
        // The seal itself, behind the message, stays as it is.
        if (at >= plain_bytes_) return;
        const auto secret = piece.first(std::min(piece.size(), plain_bytes_ - at));
        Ciphers::stream(message_keys_[way(true)], message, at, secret);
    }

    std::span<std::byte> open(std::uint32_t message, std::span<std::byte> bytes) override {
        if (bytes.size() <= most_growth) return {};
        const auto text = bytes.first(bytes.size() - most_growth);
        auto authenticator = authenticate(false, message);
        authenticator.add(text);
        const auto made = finish(authenticator, text.size());
        std::uint8_t different = 0;
        for (std::size_t k = 0; k < made.size(); ++k)
            different |= static_cast<std::uint8_t>(made[k] ^ bytes[text.size() + k]);
        if (different != 0) return {};
        Ciphers::stream(message_keys_[way(false)], message, 0, text);
        return text;
    }

private:
    using Nonce = std::array<std::byte, most_greeting>;
    static constexpr std::uint8_t ready_kind = 3;

    std::size_t way(bool outgoing) const { return outgoing == leads_ ? 0 : 1; }

    static CipherKey derive(const CipherKey& key, const char (&name)[17]) {
        return Ciphers::derive(key, std::as_bytes(std::span(name)).template first<16>());
    }
    static TagKey tag_key(const CipherKey& key, const char (&name)[17]) {
        const CipherKey whole = derive(key, name);
        TagKey made;
        std::memcpy(made.data(), whole.data(), made.size());
        return made;
    }
    auto authenticate(bool outgoing, std::uint32_t message) const {
        return typename Ciphers::Authenticator(Ciphers::one_time_key(message_keys_[way(outgoing)], message));
    }
    static std::array<std::byte, most_growth> finish(typename Ciphers::Authenticator& authenticator,
                                                     std::size_t size) {
        const std::uint64_t lengths[2] = {0, size};
        authenticator.add(std::as_bytes(std::span(lengths)));
        return authenticator.tag();
    }

    CipherKey key_;
    Fresh fresh_;
    TagKey greeting_key_;
    std::array<CipherKey, 2> message_keys_{};  ///< from the leader, from the follower
    std::array<TagKey, 2> fragment_keys_{};
    Nonce own_{}, leaders_{};
    std::array<std::byte, most_growth> seal_{};
    std::size_t plain_bytes_ = 0;
    std::uint32_t session_ = 0;
    bool leads_ = true;
};

}  // namespace dunlin
