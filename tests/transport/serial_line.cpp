// SPDX-License-Identifier: Apache-2.0
#include "transport/serial/serial_line.hpp"

#include "core/random.hpp"

#include <algorithm>
#include <deque>
#include <memory>
#include <optional>
#include <vector>

#include <catch2/catch.hpp>

using namespace dunlin;

namespace {

using Bytes = std::vector<std::byte>;

/// Bytes of a line: damaged, dropped and doubled with some probability.
struct Wire {
    Stream random;
    float damage = 0.0f, drop = 0.0f;
    std::deque<std::uint8_t> bytes = {};

    void put(std::uint8_t byte) {
        const float drawn = random.uniform();
        if (drawn < drop) return;
        if (drawn < drop + damage) byte = static_cast<std::uint8_t>(byte ^ (1u + random.below(255)));
        bytes.push_back(byte);
    }
};

/// One end of a line, with messages that it is to send and those that it received.
struct End {
    SerialSettings settings;
    Bytes inbox = Bytes(4096);
    std::optional<SerialLine> line;
    std::deque<Bytes> outbox;
    std::vector<Bytes> received;
    std::uint32_t session = 0;
    bool under_way = false;

    explicit End(SerialRole role) {
        settings.role = role;
        restart();
    }
    void restart() {
        settings.inbox = inbox;
        ++settings.first_session;
        line.emplace(settings);
        session = 0;
        under_way = false;
    }
    void turn(Wire& in, Wire& out, std::int64_t now, int most_bytes) {
        for (int k = 0; k < most_bytes && !in.bytes.empty(); ++k) {
            line->take(in.bytes.front(), now);
            in.bytes.pop_front();
        }
        if (const auto arrived = line->received(); !arrived.empty()) {
            received.emplace_back(arrived.begin(), arrived.end());
            line->release();
        }
        const bool same = session == line->sessions();
        if (under_way && same && line->up() && !line->sending()) outbox.pop_front();
        under_way = under_way && same && line->sending();
        session = line->sessions();
        if (!under_way && line->up() && !outbox.empty()) {
            REQUIRE(line->send(outbox.front()));
            under_way = true;
        }
        while (out.bytes.size() < static_cast<std::size_t>(most_bytes)) {
            const auto bytes = line->next(now);
            if (bytes.empty()) break;
            if (bytes.size() > 107) FAIL(bytes.size());
            for (const std::uint8_t byte : bytes) out.put(byte);
        }
    }
};

Bytes message(Stream& random, std::size_t longest) {
    Bytes bytes(1 + random.below(static_cast<std::uint32_t>(longest)));
    for (std::byte& byte : bytes) byte = random.below(3) == 0 ? std::byte{} : std::byte(random.below(256));
    return bytes;
}

std::vector<std::uint8_t> written(const Fragment& fragment) {
    std::array<std::uint8_t, Fragment::raw_bytes> room;
    std::array<std::uint8_t, Fragment::line_bytes> line;
    const auto raw = write_head(fragment, room);
    const std::size_t size = write_line(raw, PlainGuard().tag(raw, true, false, 0), line);
    return {line.begin(), line.begin() + static_cast<std::ptrdiff_t>(size)};
}

bool reads(FragmentReader& reader, const std::vector<std::uint8_t>& bytes) {
    bool found = false;
    for (const std::uint8_t byte : bytes) {
        const bool formed = reader.take(byte);
        found = found || (formed && reader.fragment().tag == PlainGuard().tag(reader.raw(), false, false, 0));
    }
    return found;
}

/// What both sides have to say in these milliseconds, over a line that harms nothing.
void talk(SerialLine& leader, SerialLine& follower, std::int64_t from_ms, std::int64_t to_ms) {
    const auto pass = [](SerialLine& from, SerialLine& to, std::int64_t now_ms) {
        for (auto bytes = from.next(now_ms); !bytes.empty(); bytes = from.next(now_ms)) {
            for (const std::uint8_t byte : bytes) to.take(byte, now_ms);
        }
    };
    for (; from_ms < to_ms; ++from_ms) pass(leader, follower, from_ms), pass(follower, leader, from_ms);
}

}  // namespace

TEST_CASE("a fragment comes back as it was written, in at most 107 bytes with zeros only at its end") {
    Stream random(1, 0, Purpose::samples);
    for (int k = 0; k < 500; ++k) {
        Bytes payload = message(random, Fragment::payload_bytes);
        if (k == 0) payload.assign(Fragment::payload_bytes, std::byte{});
        if (k == 1) payload.assign(Fragment::payload_bytes, std::byte{0xff});
        if (k > 400)
            std::fill(payload.begin(), payload.begin() + std::min<long>(k % 130, std::ssize(payload)), std::byte{});
        const Fragment fragment{.kind = FragmentKind::data,
                                .ask = random.below(2) == 0,
                                .last = random.below(2) == 0,
                                .number = static_cast<std::uint8_t>(random.below(8)),
                                .message = static_cast<std::uint8_t>(random.below(1 << 8)),
                                .index = static_cast<std::uint16_t>(random.below(1 << 15)),
                                .payload = payload};
        const auto line = written(fragment);
        CHECK(line.size() <= 107);
        CHECK(line.size() <= payload.size() + 11);
        CHECK(std::count(line.begin(), line.end(), 0) == 2);
        FragmentReader reader;
        REQUIRE(reads(reader, line));
        const Fragment& found = reader.fragment();
        CHECK(found.kind == fragment.kind);
        CHECK(found.ask == fragment.ask);
        CHECK(found.number == fragment.number);
        CHECK(found.message == fragment.message);
        CHECK(found.index == fragment.index);
        CHECK(found.last == fragment.last);
        CHECK(std::equal(found.payload.begin(), found.payload.end(), payload.begin(), payload.end()));
        if (k == 0) CHECK(line.size() < 20);  // a row of zeros takes one byte
    }
}

TEST_CASE("a fragment with one wrong, missing or doubled byte is never taken, and the next one is") {
    const Bytes payload(20, std::byte{7});
    const auto line = written({.kind = FragmentKind::data, .message = 1, .payload = payload});
    Stream random(2, 0, Purpose::samples);
    for (std::size_t at = 0; at + 2 < line.size(); ++at) {
        for (int way = 0; way < 3; ++way) {
            auto damaged = line;
            const auto place = damaged.begin() + static_cast<std::ptrdiff_t>(at);
            if (way == 0) *place = static_cast<std::uint8_t>(*place ^ (1u + random.below(255)));
            if (way == 1) damaged.erase(place);
            if (way == 2) {
                damaged.resize(line.size() + 1);
                damaged[at] = static_cast<std::uint8_t>(1 + random.below(255));
                std::copy(line.begin() + static_cast<std::ptrdiff_t>(at), line.end(),
                          damaged.begin() + static_cast<std::ptrdiff_t>(at) + 1);
            }
            FragmentReader reader;
            CAPTURE(at, way);
            CHECK_FALSE(reads(reader, damaged));
            CHECK(reads(reader, line));
        }
    }
}

TEST_CASE("what is longer than a fragment is skipped up to the next zero") {
    FragmentReader reader;
    CHECK_FALSE(reads(reader, std::vector<std::uint8_t>(100'000, 0xee)));
    CHECK_FALSE(reads(reader, {0}));
    CHECK(reader.damaged() == 1);
    CHECK(reads(reader, written({.kind = FragmentKind::hello})));
}

TEST_CASE("every message arrives whole, once and in order while bytes are damaged and dropped both ways") {
    for (std::uint64_t seed = 1; seed <= 30; ++seed) {
        const float loss = seed % 3 == 0 ? 0.0f : seed % 3 == 1 ? 0.01f : 0.025f;
        CAPTURE(seed, loss);
        Stream random(seed, 0, Purpose::samples);
        End leader(SerialRole::leader), follower(SerialRole::follower);
        Wire there{Stream(seed, 1, Purpose::samples), loss / 2, loss / 2};
        Wire back{Stream(seed, 2, Purpose::samples), loss / 2, loss / 2};
        std::vector<Bytes> down, up;
        for (int k = 0; k < 12; ++k) down.push_back(message(random, 4096)), up.push_back(message(random, 300));
        leader.outbox.assign(down.begin(), down.end());
        follower.outbox.assign(up.begin(), up.end());
        std::int64_t now = 0;
        while (now < 60'000 && (follower.received.size() < down.size() || leader.received.size() < up.size())) {
            leader.turn(back, there, now, 200);
            follower.turn(there, back, now, 200);
            ++now;
        }
        CHECK((follower.received == down));  // in brackets: bytes are not to be printed
        CHECK((leader.received == up));
        CHECK(leader.line->sessions() == 1);
    }
}

TEST_CASE("a follower that starts anew gets a new session, and messages flow again") {
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
        CAPTURE(seed);
        Stream random(seed, 0, Purpose::samples);
        End leader(SerialRole::leader), follower(SerialRole::follower);
        Wire there{Stream(seed, 1, Purpose::samples), 0.005f, 0.005f};
        Wire back{Stream(seed, 2, Purpose::samples), 0.005f, 0.005f};
        std::int64_t now = 0;
        const auto run = [&](int ms) {
            for (const std::int64_t end = now + ms; now < end; ++now) {
                leader.turn(back, there, now, 100);
                follower.turn(there, back, now, 100);
            }
        };
        leader.outbox.assign(100, message(random, 4000));
        run(500);
        REQUIRE(leader.line->up());
        follower.restart();
        follower.received.clear();
        run(3000);
        CHECK(leader.line->up());
        CHECK(leader.line->counters().resets == 1);
        CHECK(leader.line->sessions() == 2);
        CHECK_FALSE(follower.received.empty());

        leader.restart();
        leader.settings.first_session = 1000;
        leader.restart();
        leader.outbox.assign(3, message(random, 4000));
        follower.received.clear();
        run(6000);
        CHECK(follower.received.size() >= 3);
    }
}

TEST_CASE("a leader begins anew when nothing comes for too long, and says so") {
    End leader(SerialRole::leader), follower(SerialRole::follower);
    Wire there{Stream(1, 1, Purpose::samples)}, back{Stream(1, 2, Purpose::samples)};
    std::int64_t now = 0;
    for (; now < 1000; ++now) leader.turn(back, there, now, 100), follower.turn(there, back, now, 100);
    REQUIRE(leader.line->up());
    for (; now < 1000 + leader.settings.silence_ms + 10; ++now) leader.turn(back, there, now, 100);
    CHECK_FALSE(leader.line->up());
    CHECK(leader.line->counters().silences == 1);
    for (const auto end = now + 3000; now < end; ++now)
        leader.turn(back, there, now, 100), follower.turn(there, back, now, 100);
    CHECK(leader.line->up());
}

TEST_CASE("a message that is too long for the other side is refused with a code, and the next one arrives") {
    End leader(SerialRole::leader), follower(SerialRole::follower);
    Wire there{Stream(1, 1, Purpose::samples)}, back{Stream(1, 2, Purpose::samples)};
    const Bytes too_long(4097, std::byte{1}), fits(4096, std::byte{2});
    leader.outbox = {too_long};
    std::int64_t now = 0;
    for (; now < 2000; ++now) leader.turn(back, there, now, 100), follower.turn(there, back, now, 100);
    CHECK(leader.line->refusal() == Code::message_too_long);
    CHECK(follower.received.empty());
    leader.outbox = {fits};
    for (; now < 4000; ++now) leader.turn(back, there, now, 100), follower.turn(there, back, now, 100);
    CHECK(leader.line->refusal() == Code{});
    REQUIRE(follower.received.size() == 1);
    CHECK(follower.received.front() == fits);
}

TEST_CASE("a message of two parts arrives as one, wherever they meet") {
    for (std::size_t cut = 0; cut <= 130; cut += 13) {
        End leader(SerialRole::leader), follower(SerialRole::follower);
        Wire there{Stream(1, 1, Purpose::samples)}, back{Stream(1, 2, Purpose::samples)};
        Stream random(cut, 3, Purpose::samples);
        Bytes whole(130);
        for (std::byte& byte : whole) byte = std::byte(random.below(256));
        std::int64_t now = 0;
        for (; now < 500; ++now) leader.turn(back, there, now, 100), follower.turn(there, back, now, 100);
        REQUIRE(leader.line->send(std::span(whole).first(cut), std::span(whole).subspan(cut)));
        for (; now < 1000; ++now) leader.turn(back, there, now, 100), follower.turn(there, back, now, 100);
        REQUIRE(follower.received.size() == 1);
        CHECK(follower.received.front() == whole);
    }
}

TEST_CASE("a line that is closed keeps who sends waiting, and takes all of the message when it opens") {
    for (const bool from_the_start : {false, true}) {
        Bytes inbox(1000), other(1000, std::byte{9});
        SerialLine leader({.role = SerialRole::leader}),
            follower({.inbox = from_the_start ? std::span<std::byte>() : inbox, .begins_closed = from_the_start});
        const auto run = [&](std::int64_t from, std::int64_t to) { talk(leader, follower, from, to); };
        run(0, 200);
        REQUIRE(follower.up());
        if (!from_the_start) follower.close();
        const Bytes message(500, std::byte{1}), written = inbox;
        REQUIRE(leader.send(message));
        run(200, 3000);
        CHECK(leader.sending());
        CHECK(follower.received().empty());
        CHECK_FALSE(follower.receiving());
        CHECK(inbox == written);
        // What it says goes out meanwhile.
        REQUIRE(follower.send(message));
        Bytes leaders(1000);
        leader.open(leaders);
        run(3000, 5000);
        CHECK(leader.received().size() == 500);
        leader.release();
        run(5000, 5100);
        CHECK_FALSE(follower.sending());
        follower.open(other);
        run(5100, 7000);
        REQUIRE(follower.received().size() == 500);
        CHECK(std::equal(message.begin(), message.end(), follower.received().begin()));
        CHECK(follower.received().data() == other.data());
        follower.release();
        run(7000, 7100);
        CHECK_FALSE(leader.sending());
        CHECK(leader.refusal() == Code{});
    }
}

TEST_CASE("a message is delivered when the other side has dealt with it, and not before") {
    for (const Code answer : {Code{}, Code::not_durable}) {
        SerialLine leader({.role = SerialRole::leader}), follower({});
        Bytes inbox(100);
        follower.open(inbox);
        const auto run = [&](std::int64_t from, std::int64_t to) { talk(leader, follower, from, to); };
        run(0, 200);
        const Bytes message(100, std::byte{1});
        REQUIRE(leader.send(message));
        run(200, 2000);
        REQUIRE(follower.received().size() == 100);
        CHECK(leader.sending());
        follower.release(answer);
        run(2000, 2010);
        CHECK_FALSE(leader.sending());
        CHECK(leader.refusal() == answer);
    }
}
