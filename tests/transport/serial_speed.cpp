// SPDX-License-Identifier: Apache-2.0
// How fast messages cross a wire of so many bits a second, in simulated time: what a device and its gateway say for an
// update of a table of 80 numbers.
#include "core/random.hpp"
#include "transport/encoding.hpp"
#include "transport/serial/gateway_message.hpp"
#include "transport/serial/serial_line.hpp"
#include "transport/wire/flat_codec.hpp"

#include <deque>
#include <vector>

#include <catch2/catch.hpp>

using namespace dunlin;

namespace {

using Bytes = std::vector<std::byte>;

/// One direction: bytes take their time, and some are damaged or dropped, half each.
struct Wire {
    Stream random;
    double bytes_per_ms;
    float harm;
    double due = 0.0;
    std::deque<std::uint8_t> queue = {};
    std::size_t crossed = 0;

    void put(std::span<const std::uint8_t> bytes) { queue.insert(queue.end(), bytes.begin(), bytes.end()); }
    void pass(SerialLine& to, std::int64_t now) {
        due = queue.empty() ? 0.0 : due + bytes_per_ms;
        for (; due >= 1.0 && !queue.empty(); due -= 1.0, queue.pop_front(), ++crossed) {
            const float drawn = random.uniform();
            if (drawn < harm / 2) continue;
            const auto other = static_cast<std::uint8_t>(1u + random.below(255));
            to.take(drawn < harm ? queue.front() ^ other : queue.front(), now);
        }
    }
};

struct Conditions {
    unsigned baud = 115'200;
    float harm = 0.0f;
    std::uint64_t seed = 1;
    /// What lies between a port and the wire: a UART that takes a byte at a time, or buffers of any size.
    std::size_t buffer = 16;
    int learning_ms = 2;
};

/// A device that learns and says so, a gateway that acknowledges and gives it the next model; in simulated time.
struct Exchange {
    Conditions conditions;
    Bytes device_inbox = Bytes(2048), gateway_inbox = Bytes(2048);
    SerialLine gateway, device;
    Wire down, up;
    std::int64_t now = 0;
    Bytes update, acknowledgement, model;
    std::deque<const Bytes*> to_device;
    int updates = 0;
    std::int64_t learned_at = -1, said_update = 0;

    explicit Exchange(const Conditions& given)
        : conditions(given),
          gateway({.role = SerialRole::leader, .inbox = gateway_inbox, .bits_per_second = given.baud}),
          device({.inbox = device_inbox, .bits_per_second = given.baud}),
          down{Stream(given.seed, 1, Purpose::samples), given.baud / 10'000.0, given.harm},
          up{Stream(given.seed, 2, Purpose::samples), given.baud / 10'000.0, given.harm} {
        Stream random(given.seed, 3, Purpose::samples);
        std::vector<float> values(80);
        for (float& value : values) value = random.normal();
        const Envelope envelope{7, 3, 2, 1234, 0x0123456789abcdefu};
        update = of({envelope, ModelUpdate{3, 1233, 1.0f, view_values(values)}});
        model = of({envelope, Model{1234, view_values(values)}});
        acknowledgement = of({envelope, Acknowledgement{1234, true, {}, 1234}});
    }
    static Bytes of(const Message& message) {
        Bytes bytes(SerialHead::bytes + flat_bytes(message));
        const auto head = SerialHead::of(SerialKind::fleet);
        std::copy(head.begin(), head.end(), bytes.begin());
        const auto encoded = encode_flat(message, std::span(bytes).subspan(SerialHead::bytes));
        REQUIRE(encoded);
        std::copy(encoded->begin(), encoded->end(), bytes.begin() + SerialHead::bytes);
        bytes.resize(SerialHead::bytes + encoded->size());
        return bytes;
    }
    static void write(SerialLine& from, Wire& to, std::int64_t now, std::size_t buffer) {
        while (to.queue.size() < buffer) {
            const auto bytes = from.next(now);
            if (bytes.empty()) return;
            to.put(bytes);
        }
    }
    void step() {
        down.pass(device, now);
        up.pass(gateway, now);
        if (const auto arrived = gateway.received(); !arrived.empty()) {
            if (std::equal(arrived.begin(), arrived.end(), update.begin(), update.end())) {
                ++updates;
                to_device = {&acknowledgement, &model};
            }
            gateway.release();
        }
        if (!to_device.empty() && gateway.up() && !gateway.sending()) {
            REQUIRE(gateway.send(*to_device.front()));
            to_device.pop_front();
        }
        if (const auto arrived = device.received(); !arrived.empty()) {
            const bool is_model = std::equal(arrived.begin(), arrived.end(), model.begin(), model.end());
            if (!is_model)
                CHECK(std::equal(arrived.begin(), arrived.end(), acknowledgement.begin(), acknowledgement.end()));
            if (is_model) learned_at = now + conditions.learning_ms;
            device.release();
        }
        const bool learned = learned_at >= 0 ? now >= learned_at : updates == 0 && said_update == 0;
        if (learned && device.up() && !device.sending()) {
            REQUIRE(device.send(update));
            ++said_update;
            learned_at = -1;
        }
        write(gateway, down, now, conditions.buffer);
        write(device, up, now, conditions.buffer);
        ++now;
    }
    /// Milliseconds for so many updates; the limit where it takes longer.
    std::int64_t time(int enough, std::int64_t limit_ms) {
        while (updates < enough && now < limit_ms) step();
        return now;
    }
};

}  // namespace

TEST_CASE("at 9600 baud a device delivers an update of 80 numbers each second") {
    for (const std::size_t buffer : {std::size_t{16}, std::size_t{100'000}}) {
        Conditions conditions;
        conditions.baud = 9600;
        conditions.buffer = buffer;
        Exchange exchange(conditions);
        const auto taken = exchange.time(30, 120'000);
        const double rate = exchange.updates / (static_cast<double>(taken) / 1000.0);
        INFO(exchange.update.size() << " + " << exchange.model.size() << " + " << exchange.acknowledgement.size());
        INFO("bytes up " << exchange.up.crossed / 30 << ", down " << exchange.down.crossed / 30);
        INFO("repeated " << exchange.device.counters().repeated << " " << exchange.gateway.counters().repeated);
        CAPTURE(buffer, rate, exchange.device.round_trip_ms(), exchange.gateway.round_trip_ms());
        CHECK(rate >= 1.0);
    }
}

TEST_CASE("with 5 percent of all bytes harmed 60 updates take at most ten times as long") {
    const std::int64_t clean = Exchange({}).time(60, 600'000);
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
        Conditions conditions;
        conditions.harm = 0.05f;
        conditions.seed = seed;
        conditions.buffer = seed % 2 == 0 ? 16 : 100'000;
        Exchange exchange(conditions);
        const std::int64_t bad = exchange.time(60, 600'000);
        CAPTURE(seed, clean, bad, exchange.updates, exchange.device.fragment_bytes());
        CHECK(exchange.updates == 60);
        CHECK(exchange.gateway.sessions() == 1);
        CHECK(bad <= 10 * clean);
    }
}

TEST_CASE("fragments shrink where bytes are harmed, and grow again when that is over") {
    Conditions conditions;
    conditions.harm = 0.05f;
    Exchange exchange(conditions);
    exchange.time(10, 60'000);
    CHECK(exchange.device.fragment_bytes() == Fragment::unit_bytes);
    CHECK(exchange.gateway.fragment_bytes() == Fragment::unit_bytes);
    CHECK(exchange.gateway.counters().damaged > 100);
    exchange.up.harm = exchange.down.harm = 0.0f;
    exchange.time(30, 120'000);
    CHECK(exchange.device.fragment_bytes() == Fragment::payload_bytes);
    CHECK(exchange.gateway.fragment_bytes() == Fragment::payload_bytes);
}

TEST_CASE("how long to wait for an answer follows the round trip") {
    for (const unsigned baud : {9600u, 115'200u, 1'000'000u}) {
        Conditions conditions;
        conditions.baud = baud;
        Exchange exchange(conditions);
        exchange.time(20, 120'000);
        CAPTURE(baud, exchange.device.round_trip_ms());
        // A fragment and its answer, as they lie on the wire.
        const double wire_ms = 10'000.0 * (107 + 20) / baud;
        CHECK(exchange.device.round_trip_ms() <= 1.5 * wire_ms + 4);
        CHECK(exchange.device.counters().repeated == 0);
    }
}

TEST_CASE("a device that says when it is back keeps its session through a sleep that is longer than a silence") {
    for (const float harm : {0.0f, 0.03f}) {
        Conditions conditions;
        conditions.harm = harm;
        Exchange exchange(conditions);
        exchange.time(3, 60'000);
        const auto sessions = exchange.gateway.sessions();
        exchange.device.sleep(60);
        const std::int64_t asked = exchange.now;
        while (!exchange.device.asleep() && exchange.now < asked + 5000) exchange.step();
        REQUIRE(exchange.device.asleep());
        // Nothing is said to whoever sleeps, and nothing is heard.
        const std::int64_t until = exchange.now + 60'000;
        std::size_t said = 0;
        for (; exchange.now < until; ++exchange.now) {
            for (auto bytes = exchange.gateway.next(exchange.now); !bytes.empty();
                 bytes = exchange.gateway.next(exchange.now))
                said += bytes.size();
            if (exchange.now > until - 59'000) CHECK(said <= 200);
        }
        CHECK(exchange.gateway.up());
        exchange.down.queue.clear();
        exchange.up.queue.clear();
        exchange.device.sleep(0);
        const int before = exchange.updates;
        exchange.time(before + 3, exchange.now + 10'000);
        CHECK(exchange.updates == before + 3);
        CHECK(exchange.gateway.sessions() == sessions);
        CHECK(exchange.gateway.counters().silences == 0);
    }
}
