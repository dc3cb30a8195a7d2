// SPDX-License-Identifier: Apache-2.0
// The sealed line: the small ciphers by the vectors of their standards and against libsodium, and what a third party on
// the wire can do.
#include "core/random.hpp"
#include "fleet/gateway/sodium_ciphers.hpp"
#include "transport/serial/sealed_guard.hpp"
#include "transport/serial/serial_line.hpp"

#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <sodium.h>

using namespace dunlin;

namespace {

using Bytes = std::vector<std::byte>;

Bytes hex(const std::string& text) {
    Bytes bytes;
    std::string digits;
    for (const char c : text) {
        if (c != ' ') digits += c;
        if (digits.size() < 2) continue;
        bytes.push_back(static_cast<std::byte>(std::stoi(digits, nullptr, 16)));
        digits.clear();
    }
    return bytes;
}

template <std::size_t size>
std::array<std::byte, size> fixed(const Bytes& bytes) {
    REQUIRE(bytes.size() == size);
    std::array<std::byte, size> made;
    std::copy(bytes.begin(), bytes.end(), made.begin());
    return made;
}

Bytes drawn(Stream& random, std::size_t size) {
    Bytes bytes(size);
    for (std::byte& byte : bytes) byte = std::byte(random.below(256));
    return bytes;
}

CipherKey counting_key(unsigned first = 0) {
    CipherKey key;
    for (unsigned k = 0; k < key.size(); ++k) key[k] = std::byte(first + k);
    return key;
}

/// Numbers that were never given, for what tests replay.
bool counted(std::span<std::byte, 16> to) {
    static std::uint64_t count = 0;
    ++count;
    std::fill(to.begin(), to.end(), std::byte{});
    std::memcpy(to.data(), &count, sizeof count);
    return true;
}

bool nothing(std::span<std::byte, 16>) {
    return false;
}

/// A gateway with libsodium, a board with its own ciphers, and what went over the wire.
struct Pair {
    SealedGuard<SodiumCiphers> leaders;
    SealedGuard<SmallCiphers> followers;
    Bytes leader_inbox = Bytes(4096), follower_inbox = Bytes(4096);
    SerialLine leader, follower;
    std::vector<std::vector<std::uint8_t>> down = {}, up = {};
    std::int64_t now = 0;
    bool cut = false;  ///< the device hears nothing

    explicit Pair(const CipherKey& gateways = counting_key(), const CipherKey& boards = counting_key(),
                  SealedGuard<SmallCiphers>::Fresh fresh = counted)
        : leaders(gateways, SodiumCiphers::fresh),
          followers(boards, fresh),
          leader({.role = SerialRole::leader, .inbox = leader_inbox, .guard = &leaders}),
          follower({.inbox = follower_inbox, .guard = &followers}) {}

    static void feed(SerialLine& to, const std::vector<std::uint8_t>& bytes, std::int64_t now) {
        for (const std::uint8_t byte : bytes) to.take(byte, now);
    }
    void run(std::int64_t ms) {
        for (const std::int64_t end = now + ms; now < end; ++now) {
            for (auto bytes = leader.next(now); !bytes.empty(); bytes = leader.next(now)) {
                down.emplace_back(bytes.begin(), bytes.end());
                if (!cut) feed(follower, down.back(), now);
            }
            for (auto bytes = follower.next(now); !bytes.empty(); bytes = follower.next(now)) {
                up.emplace_back(bytes.begin(), bytes.end());
                feed(leader, up.back(), now);
            }
        }
    }
};

bool contains(const std::vector<std::vector<std::uint8_t>>& wire, const Bytes& text) {
    for (const auto& bytes : wire) {
        const auto found = std::search(bytes.begin(), bytes.end(), text.begin(), text.end(),
                                       [](std::uint8_t a, std::byte b) { return std::byte{a} == b; });
        if (found != bytes.end()) return true;
    }
    return false;
}

}  // namespace

TEST_CASE("ChaCha20 and Poly1305 give what RFC 8439 gives") {
    // Section 2.4.2, whose nonce begins with zeros.
    const CipherKey key = counting_key();
    std::string text =
        "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen "
        "would be it.";
    Bytes bytes(text.size());
    std::memcpy(bytes.data(), text.data(), text.size());
    SmallCiphers::stream(key, 0x000000004a000000, 0, bytes);
    CHECK(bytes ==
          hex("6e2e359a2568f98041ba0728dd0d6981e97e7aec1d4360c20a27afccfd9fae0bf91b65c5524733ab8f593dabcd62b357"
              "1639d624e65152ab8f530c359f0861d807ca0dbf500d6a6156a38e088a22b65e52bc514d16ccf806818ce91ab7793736"
              "5af90bbf74a35be6b40b8eedf2785e42874d"));
    // Appendix A.3, those of whole blocks (1 and 7 to 11): sums at the modulus.
    const auto tag = [](const std::string& of_key, const std::string& of_text) {
        SmallCiphers::Authenticator vector(fixed<32>(hex(of_key)));
        vector.add(hex(of_text));
        const auto made = vector.tag();
        return Bytes(made.begin(), made.end());
    };
    const std::string zeros(32, '0'), ones(32, 'f');
    CHECK(tag(zeros + zeros, zeros + zeros) == hex(zeros));
    CHECK(tag("02" + std::string(30, '0') + zeros, ones) == hex("03" + std::string(30, '0')));
    CHECK(tag("02" + std::string(30, '0') + ones, "02" + std::string(30, '0')) == hex("03" + std::string(30, '0')));
    CHECK(tag("01" + std::string(30, '0') + zeros, ones + "f0" + std::string(30, 'f') + "11" +
                                                       std::string(30, '0')) == hex("05" + std::string(30, '0')));
    std::string fe = "fb", one;
    for (int k = 0; k < 15; ++k) fe += "fe";
    for (int k = 0; k < 16; ++k) one += "01";
    CHECK(tag("01" + std::string(30, '0') + zeros, ones + fe + one) == hex(zeros));
    CHECK(tag("02" + std::string(30, '0') + zeros, "fd" + std::string(30, 'f')) ==
          hex("fa" + std::string(30, 'f')));
}

TEST_CASE("HChaCha20 gives what its draft gives, SipHash-2-4 what its paper gives") {
    const auto made = SmallCiphers::derive(counting_key(), fixed<16>(hex("000000090000004a0000000031415927")));
    CHECK(Bytes(made.begin(), made.end()) ==
          hex("82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc"));
    TagKey key;
    Bytes text(15);
    for (unsigned k = 0; k < key.size(); ++k) key[k] = std::byte(k);
    for (unsigned k = 0; k < text.size(); ++k) text[k] = std::byte(k);
    CHECK(SmallCiphers::hash(key, text) == 0xa129ca6149be45e5);
}

TEST_CASE("the small ciphers and libsodium agree for any key, nonce, length and place") {
    Stream random(1, 0, Purpose::samples);
    REQUIRE(sodium_init() >= 0);
    for (int k = 0; k < 400; ++k) {
        const auto key = fixed<32>(drawn(random, 32));
        const std::uint64_t nonce = random.bits64();
        const std::size_t at = 16 * random.below(40);
        const Bytes text = drawn(random, random.below(300));
        Bytes small = text, large = text;
        SmallCiphers::stream(key, nonce, at, small);
        SodiumCiphers::stream(key, nonce, at, large);
        CHECK(small == large);
        CHECK(SmallCiphers::one_time_key(key, nonce) == SodiumCiphers::one_time_key(key, nonce));
        const auto from = fixed<16>(drawn(random, 16));
        CHECK(SmallCiphers::derive(key, from) == SodiumCiphers::derive(key, from));
        CHECK(SmallCiphers::hash(from, text) == SodiumCiphers::hash(from, text));
        SmallCiphers::Authenticator ours(key);
        SodiumCiphers::Authenticator theirs(key);
        for (int part = 0; part < 3; ++part) {
            Bytes piece = drawn(random, random.below(70));
            if (k % 3 == 0) std::fill(piece.begin(), piece.end(), std::byte{0xff});
            ours.add(piece);
            theirs.add(piece);
        }
        CHECK(ours.tag() == theirs.tag());
    }
}

TEST_CASE("what a sealed line carries is RFC 8439's AEAD") {
    REQUIRE(sodium_init() >= 0);
    SealedGuard<SmallCiphers> guard(counting_key(), counted);
    std::array<std::byte, 16> greeting{};
    REQUIRE(guard.greeting(5, greeting) == 16);
    const Bytes theirs(16, std::byte{9});
    REQUIRE(guard.begin(5, true, theirs));
    const auto shared =
        SodiumCiphers::derive(SodiumCiphers::derive(counting_key(), greeting), std::span(theirs).first<16>());
    const auto key = SodiumCiphers::derive(shared, std::as_bytes(std::span("dunlin messages0")).first<16>());
    Stream random(2, 0, Purpose::samples);
    for (const std::size_t size : {1u, 15u, 16u, 17u, 64u, 200u}) {
        const Bytes text = drawn(random, size);
        const MessageParts parts{{std::span(text).first(size / 3), std::span(text).subspan(size / 3), {}}};
        const auto seal = guard.seal(7, parts, {});
        Bytes covered = text;
        guard.cover(7, 0, covered);
        covered.resize(size + seal.size());
        std::copy(seal.begin(), seal.end(), covered.begin() + static_cast<std::ptrdiff_t>(size));
        Bytes expected(size + 16);
        const std::array<unsigned char, 12> nonce{0, 0, 0, 0, 7};
        unsigned long long length = 0;
        crypto_aead_chacha20poly1305_ietf_encrypt(reinterpret_cast<unsigned char*>(expected.data()), &length,
                                                  reinterpret_cast<const unsigned char*>(text.data()), size,
                                                  nullptr, 0, nullptr, nonce.data(),
                                                  reinterpret_cast<const unsigned char*>(key.data()));
        CHECK(covered == expected);
    }
}

TEST_CASE("messages cross a sealed line both ways, and nothing of them is seen on it") {
    Pair pair;
    pair.run(300);
    REQUIRE(pair.leader.up());
    REQUIRE(pair.follower.up());
    const Bytes secret(900, std::byte{'s'}), head(8, std::byte{1}), other(70, std::byte{'t'});
    REQUIRE(pair.leader.send(head, secret));
    REQUIRE(pair.follower.send(other));
    pair.run(100);
    Bytes whole(head.size() + secret.size(), std::byte{'s'});
    std::copy(head.begin(), head.end(), whole.begin());
    const auto arrived = pair.follower.received();
    CHECK(Bytes(arrived.begin(), arrived.end()) == whole);
    const auto back = pair.leader.received();
    CHECK(Bytes(back.begin(), back.end()) == other);
    pair.follower.release();
    pair.leader.release();
    pair.run(100);
    CHECK_FALSE(pair.leader.sending());
    CHECK_FALSE(contains(pair.down, Bytes(6, std::byte{'s'})));
    CHECK_FALSE(contains(pair.up, Bytes(6, std::byte{'t'})));
    // The same message again looks otherwise.
    const auto first = pair.down;
    REQUIRE(pair.leader.send(head, secret));
    pair.run(100);
    for (std::size_t k = first.size(); k < pair.down.size(); ++k) {
        if (pair.down[k].size() > 40) CHECK(std::find(first.begin(), first.end(), pair.down[k]) == first.end());
    }
}

TEST_CASE("messages of any lengths follow each other on a sealed line, also those that are shorter than a seal") {
    Pair pair;
    pair.run(300);
    REQUIRE(pair.leader.up());
    Stream random(4, 0, Purpose::user);
    for (int k = 0; k < 60; ++k) {
        Bytes message(1 + random.below(k % 3 == 0 ? 12 : 200));
        for (std::byte& byte : message) byte = static_cast<std::byte>(random.below(256));
        const bool down = random.below(2) == 0;
        CAPTURE(k, message.size());
        REQUIRE((down ? pair.leader : pair.follower).send(message));
        pair.run(60);
        SerialLine& to = down ? pair.follower : pair.leader;
        const auto arrived = to.received();
        REQUIRE(Bytes(arrived.begin(), arrived.end()) == message);
        to.release();
        pair.run(60);
    }
}

TEST_CASE("a board with another key, or without a fresh number, has no session") {
    Pair strangers(counting_key(), counting_key(1));
    strangers.run(5000);
    CHECK_FALSE(strangers.leader.up());
    CHECK_FALSE(strangers.follower.up());
    CHECK(strangers.leader.counters().damaged > 0);
    Pair poor(counting_key(), counting_key(), nothing);
    poor.run(5000);
    CHECK_FALSE(poor.leader.up());
    CHECK_FALSE(poor.follower.up());
}

TEST_CASE("a line without seals and one with them do not understand each other") {
    Pair pair;
    Bytes inbox(100);
    SerialLine plain({.inbox = inbox});
    std::int64_t now = 0;
    for (; now < 5000; ++now) {
        for (auto bytes = pair.leader.next(now); !bytes.empty(); bytes = pair.leader.next(now))
            for (const std::uint8_t byte : bytes) plain.take(byte, now);
        for (auto bytes = plain.next(now); !bytes.empty(); bytes = plain.next(now))
            for (const std::uint8_t byte : bytes) pair.leader.take(byte, now);
    }
    CHECK_FALSE(plain.up());
    CHECK_FALSE(pair.leader.up());
}

TEST_CASE("what was said in one session is nothing in the next, and what was said once is not taken twice") {
    Pair pair;
    pair.run(300);
    const Bytes message(200, std::byte{5});
    REQUIRE(pair.leader.send(message));
    pair.run(50);
    REQUIRE(pair.follower.received().size() == 200);
    pair.follower.release();
    pair.run(50);
    const auto recorded = pair.down;
    // Again in the same session, also after so many messages that the short number on the wire comes round.
    const auto replay = [&] {
        for (const auto& bytes : recorded) {
            // A greeting that is heard again begins a session; that is what a cut line does as well.
            if (bytes.size() > 2 && (bytes[1] & 7u) <= 3 && bytes.size() < 36) continue;
            Pair::feed(pair.follower, bytes, pair.now);
        }
        CHECK(pair.follower.received().empty());
    };
    replay();
    const Bytes small(3, std::byte{1});
    for (int k = 0; k < 255; ++k) {
        REQUIRE(pair.leader.send(small));
        pair.run(3);
        REQUIRE_FALSE(pair.follower.received().empty());
        pair.follower.release();
        pair.run(3);
        REQUIRE_FALSE(pair.leader.sending());
    }
    replay();
    // Another session of the same keys.
    SerialLine again({.inbox = pair.follower_inbox, .guard = &pair.followers});
    for (const auto& bytes : recorded) Pair::feed(again, bytes, 0);
    CHECK(again.received().empty());
}

TEST_CASE("a board's greeting of an old session is not taken by a gateway that begins a new one") {
    Pair pair;
    pair.run(300);
    REQUIRE(pair.leader.up());
    const auto said = pair.up;
    SealedGuard<SodiumCiphers> guard(counting_key(), SodiumCiphers::fresh);
    Bytes inbox(100);
    // With the same number, as chance may have it.
    SerialLine leader({.role = SerialRole::leader, .inbox = inbox, .guard = &guard});
    for (std::int64_t now = 0; now < 200; ++now) {
        for (auto bytes = leader.next(now); !bytes.empty(); bytes = leader.next(now)) continue;
        for (const auto& bytes : said) Pair::feed(leader, bytes, now);
    }
    CHECK_FALSE(leader.up());
    CHECK(leader.counters().damaged > 0);
}

TEST_CASE("a message whose seal is wrong is refused though all of its fragments are right") {
    // Who guessed the tags of all fragments still has 128 bits before them: here the guard that writes covers other bytes.
    struct Forger final : LineGuard {
        SealedGuard<SmallCiphers> inner{counting_key(), counted};
        std::size_t greeting(std::uint32_t session, std::span<std::byte, most_greeting> to) override {
            return inner.greeting(session, to);
        }
        bool begin(std::uint32_t session, bool leads, std::span<const std::byte> theirs) override {
            return inner.begin(session, leads, theirs);
        }
        std::uint32_t tag(std::span<const std::uint8_t> raw, bool outgoing, bool bound,
                          std::uint32_t message) override {
            return inner.tag(raw, outgoing, bound, message);
        }
        std::span<const std::byte> seal(std::uint32_t message, const MessageParts& parts,
                                        const MessageStart& last) override {
            return inner.seal(message, parts, last);
        }
        void cover(std::uint32_t message, std::size_t at, std::span<std::byte> piece) override {
            inner.cover(message, at, piece);
            piece[0] ^= std::byte{1};
        }
    } forger;
    Pair pair;
    SerialLine leader({.role = SerialRole::leader, .inbox = pair.leader_inbox, .guard = &forger});
    const Bytes message(100, std::byte{5});
    bool sent = false;
    for (std::int64_t now = 0; now < 500; ++now) {
        for (auto bytes = leader.next(now); !bytes.empty(); bytes = leader.next(now))
            Pair::feed(pair.follower, {bytes.begin(), bytes.end()}, now);
        for (auto bytes = pair.follower.next(now); !bytes.empty(); bytes = pair.follower.next(now))
            for (const std::uint8_t byte : bytes) leader.take(byte, now);
        if (!sent && leader.up()) {
            sent = true;
            REQUIRE(leader.send(message));
        }
    }
    REQUIRE(sent);
    CHECK(pair.follower.received().empty());
    CHECK(pair.follower.counters().forged == 1);
    CHECK(leader.refusal() == Code::message_malformed);
}
