// SPDX-License-Identifier: Apache-2.0
#include "transport/wire/wire_codec.hpp"

#include "message_samples.hpp"
#include "source_dir.hpp"
#include "transport/wire/flat_codec.hpp"

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>

using namespace dunlin;
using namespace dunlin::testing;

namespace {

std::vector<std::byte> as_vector(std::span<const std::byte> bytes) {
    return {bytes.begin(), bytes.end()};
}

std::string golden_path(const std::string& name) {
    return DUNLIN_SOURCE_DIR "/tests/transport/golden/" + name;
}

std::vector<std::byte> read_golden(const std::string& name) {
    std::ifstream file(golden_path(name), std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    return as_vector(std::as_bytes(std::span(text)));
}

/// A protobuf field of bytes (wire type 2).
std::vector<std::byte> protobuf_field(unsigned number, std::span<const std::byte> value) {
    std::vector<std::byte> out;
    const auto varint = [&](std::uint64_t bits) {
        for (; bits >= 128; bits >>= 7) out.push_back(static_cast<std::byte>(bits | 128));
        out.push_back(static_cast<std::byte>(bits));
    };
    varint(number << 3 | 2u);
    varint(value.size());
    out.insert(out.end(), value.begin(), value.end());
    return out;
}

std::vector<std::byte> framed(std::vector<std::byte> control) {
    const auto magic = std::as_bytes(std::span(control_identifier));
    control.insert(control.begin(), magic.begin(), magic.end());
    return control;
}

}  // namespace

TEST_CASE("every message comes back from its frame as it went, and when it was moved") {
    Samples samples;
    Stream random(21, 0, Purpose::user);
    for (std::size_t kind = 0; kind < message_kinds; ++kind) {
        for (int k = 0; k < 60; ++k) {
            const Message& message = k == 0 ? samples.plain(kind) : samples.any(kind, random, k < 50 ? 40 : 3000);
            auto frame = encode_frame(message);
            REQUIRE(frame);
            auto decoded = decode_frame(std::move(*frame));
            REQUIRE(decoded);
            const DecodedMessage moved = std::move(*decoded);
            CHECK(described(moved.message()) == described(message));
            CHECK(described(decode_copy(moved.bytes()).value().message()) == described(message));
        }
    }
}

TEST_CASE("data travels as FlatBuffers, control as Protobuf behind four bytes") {
    Samples samples;
    for (std::size_t kind = 0; kind < message_kinds; ++kind) {
        const Frame frame = encode_frame(samples.plain(kind)).value();
        CHECK(is_flat(frame.bytes()) == (kind >= body_index<Model>));
        CHECK((std::memcmp(frame.bytes().data(), "DNC1", 4) == 0) == (kind < body_index<Model>));
    }
    // Control in the form for serial lines is not for hosts.
    std::vector<std::uint64_t> buffer(100);
    const auto flat = encode_flat(samples.plain(body_index<Heartbeat>), std::as_writable_bytes(std::span(buffer)));
    CHECK(decode_copy(flat.value()).error().code == Code::message_malformed);
}

TEST_CASE("every message has the bytes that it had") {
    // DUNLIN_WRITE_GOLDEN=1 writes them anew: for a new message only, since those of a released version never
    // change.
    const bool write = std::getenv("DUNLIN_WRITE_GOLDEN") != nullptr;
    Samples samples;
    for (std::size_t kind = 0; kind < message_kinds; ++kind) {
        const Message& message = samples.plain(kind);
        std::vector<std::uint64_t> buffer(200);
        const auto flat = encode_flat(message, std::as_writable_bytes(std::span(buffer)));
        const Frame frame = encode_frame(message).value();
        for (const auto& [name, bytes] :
             {std::pair{kind_name(kind) + ".flat", std::span<const std::byte>(flat.value())},
              std::pair{kind_name(kind) + ".frame", frame.bytes()}}) {
            if (write) {
                std::ofstream file(golden_path(name), std::ios::binary);
                file.write(reinterpret_cast<const char*>(bytes.data()), std::ssize(bytes));
            }
            INFO(name);
            CHECK(read_golden(name) == as_vector(bytes));
        }
        const auto decoded = decode_copy(read_golden(kind_name(kind) + ".frame"));
        REQUIRE(decoded);
        CHECK(described(decoded->message()) == described(message));
    }
}

TEST_CASE("an offer from before a job said into how many parts mass is divided says none") {
    Samples samples;
    const auto decoded = decode_copy(read_golden("job_offer_without_parts.frame"));
    REQUIRE(decoded);
    const auto& old = std::get<JobOffer>(decoded->message().body);
    Message offer = samples.plain(body_index<JobOffer>);
    auto& same = std::get<JobOffer>(offer.body);
    same.terms.least_parts = 0;
    same.terms.aggregation = old.terms.aggregation;  // whose last one is another now
    same.grant = old.grant;                          // numbers that count up, of fields behind it
    same.shift = old.shift;
    same.weights = {};
    same.first_round = same.last_round = 0;
    CHECK(described(decoded->message()) == described(offer));
}

TEST_CASE("an offer of version 2 of the wire says nothing of rounds") {
    Samples samples;
    const auto decoded = decode_copy(read_golden("job_offer_without_rounds.frame"));
    REQUIRE(decoded);
    Message offer = samples.plain(body_index<JobOffer>);
    auto& same = std::get<JobOffer>(offer.body);
    same.terms.aggregation = Aggregation::push_sum;
    same.weights = {};
    same.first_round = same.last_round = 0;
    CHECK(described(decoded->message()) == described(offer));
}

TEST_CASE("truncated frames and flipped bits are refused or read, and nothing else happens") {
    Samples samples;
    Stream random(23, 0, Purpose::user);
    int refused = 0;
    for (std::size_t kind = 0; kind < message_kinds; ++kind) {
        const Frame frame = encode_frame(samples.plain(kind)).value();
        for (std::size_t size = 0; size < frame.bytes().size(); ++size) {
            if (const auto decoded = decode_copy(frame.bytes().first(size))) {
                (void)described(decoded->message());
            } else {
                ++refused;
            }
        }
        for (int k = 0; k < 400; ++k) {
            std::vector<std::byte> wrong = as_vector(frame.bytes());
            for (int flips = 0; flips <= k % 4; ++flips)
                wrong[random.below(static_cast<std::uint32_t>(wrong.size()))] ^=
                    static_cast<std::byte>(1u << random.below(8));
            if (const auto decoded = decode_copy(wrong)) (void)described(decoded->message());
        }
    }
    CHECK(refused > 800);
}

TEST_CASE("fields that a newer version added are ignored") {
    Samples samples;
    const std::vector<std::byte> extra(5, std::byte{7});
    for (std::size_t kind = 0; kind < body_index<Model>; ++kind) {
        std::vector<std::byte> bytes = as_vector(encode_frame(samples.plain(kind)).value().bytes());
        const std::vector<std::byte> field = protobuf_field(1000, extra);
        bytes.insert(bytes.end(), field.begin(), field.end());
        // A field behind the body's own: the same oneof again merges into it.
        const std::vector<std::byte> body = protobuf_field(static_cast<unsigned>(kind) + 16, field);
        bytes.insert(bytes.end(), body.begin(), body.end());
        const auto decoded = decode_copy(bytes);
        REQUIRE(decoded);
        CHECK(described(decoded->message()) == described(samples.plain(kind)));
    }
}

TEST_CASE("a message of a newer kind or version is refused with a code that says so") {
    Samples samples;
    const std::vector<std::byte> version_1 = {std::byte{8}, std::byte{1}},
                                 newer_version = {std::byte{8}, std::byte{wire_version + 1}};
    std::vector<std::byte> newer_kind = version_1;
    const std::vector<std::byte> body = protobuf_field(200, {});
    newer_kind.insert(newer_kind.end(), body.begin(), body.end());
    CHECK(decode_copy(framed(newer_kind)).error().code == Code::message_unknown);
    CHECK(decode_copy(framed(version_1)).error().code == Code::message_unknown);

    for (std::size_t kind = 0; kind < body_index<Model>; ++kind) {
        std::vector<std::byte> bytes = as_vector(encode_frame(samples.plain(kind)).value().bytes());
        // Of a field that comes twice, the last counts.
        bytes.insert(bytes.end(), newer_version.begin(), newer_version.end());
        const auto decoded = decode_copy(bytes);
        if (kind == body_index<Join> || kind == body_index<Refusal>) {
            CHECK(decoded);
        } else {
            CHECK(decoded.error() == Error{Code::wire_version_unknown, wire_version + 1, oldest_wire_version});
        }
    }
}

TEST_CASE("the first client there ever was can still say what it speaks") {
    // Version 0 was never released: its Join stands for one of a version that is no longer understood, and must be
    // read all the same, to be answered with a refusal that its sender can read.
    const auto join = decode_copy(read_golden("version0_join.frame"));
    REQUIRE(join);
    CHECK(std::get<Join>(join->message().body).newest_version == 0);
    CHECK(std::get<Join>(join->message().body).name == "old-board");
    CHECK(decode_copy(read_golden("version0_heartbeat.frame")).error() ==
          Error{Code::wire_version_unknown, 0, oldest_wire_version});
}

TEST_CASE("what a program of version 1 says is read, and it reads all of today's messages that it knows") {
    // As written by it: without the fields of version 2, which mean then what they always did.
    const auto offer = decode_copy(read_golden("version1_job_offer.frame"));
    REQUIRE(offer);
    CHECK(std::get<JobOffer>(offer->message().body).shift == 0);
    const auto presence = decode_copy(read_golden("version1_presence.frame"));
    REQUIRE(presence);
    CHECK_FALSE(std::get<Presence>(presence->message().body).confirms);
    for (std::size_t kind = 0; kind < message_kinds; ++kind) {
        const bool masks = kind == body_index<MaskExchange> || kind == body_index<MaskedUpdate>;
        CHECK(version_of(kind) == (kind == body_index<ShareReceipt> ? 2 : masks ? 4 : 1));
    }
}

TEST_CASE("frames that are too large or nothing at all are refused before they are read") {
    CHECK(decode_frame({}).error().code == Code::message_malformed);
    std::vector<std::byte> bytes(control_bytes_limit + 1);
    std::memcpy(bytes.data(), "DNC1", 4);
    CHECK(decode_copy(bytes).error().code == Code::message_too_long);
    std::memcpy(bytes.data(), "GET / HTTP/1.1", 14);
    CHECK(decode_copy(bytes).error().code == Code::message_malformed);

    // Two bytes ask for each entry of a list.
    std::vector<std::byte> peers;
    for (int k = 0; k < 100000; ++k) peers.insert(peers.end(), {std::byte{10}, std::byte{0}});
    std::vector<std::byte> control = protobuf_field(static_cast<unsigned>(body_index<Peers>) + 16, peers);
    control.insert(control.begin(), {std::byte{8}, std::byte{1}});
    CHECK(decode_copy(framed(control)).error() == Error{Code::message_too_long, 100000, WireLimits::neighbours});

    std::vector<PeerAddress> many(WireLimits::neighbours);
    const std::string endpoint(200, 'e');
    const PublicKey key{};
    for (PeerAddress& peer : many) peer = {1, endpoint, key};
    CHECK(encode_frame({{}, Peers{many}}).error().code == Code::message_too_long);
}
