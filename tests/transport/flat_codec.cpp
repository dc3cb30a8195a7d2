// SPDX-License-Identifier: Apache-2.0
#include "transport/wire/flat_codec.hpp"

#include "message_samples.hpp"
#include "transport/encoding.hpp"

#include <algorithm>
#include <cstring>

using namespace dunlin;
using namespace dunlin::testing;

namespace {

struct Scratch {
    std::vector<Metric> metrics = std::vector<Metric>(WireLimits::metrics);
    std::vector<PeerAddress> peers = std::vector<PeerAddress>(WireLimits::neighbours);
    operator DecodeScratch() { return {metrics, peers}; }
};

/// Bytes that start on a multiple of 8.
class Aligned {
public:
    explicit Aligned(std::size_t bytes) : words_((bytes + 7) / 8), bytes_(bytes) {}
    explicit Aligned(std::span<const std::byte> other) : Aligned(other.size()) {
        std::copy(other.begin(), other.end(), span().begin());
    }
    std::span<std::byte> span() { return std::as_writable_bytes(std::span(words_)).first(bytes_); }

private:
    std::vector<std::uint64_t> words_;
    std::size_t bytes_;
};

}  // namespace

TEST_CASE("every message comes back from FlatBuffers as it went") {
    Samples samples;
    Scratch scratch;
    Stream random(11, 0, Purpose::user);
    for (std::size_t kind = 0; kind < message_kinds; ++kind) {
        for (int k = 0; k < 60; ++k) {
            const Message& message = k == 0 ? samples.plain(kind) : samples.any(kind, random, k < 50 ? 40 : 5000);
            Aligned buffer(flat_bytes(message));
            const auto encoded = encode_flat(message, buffer.span());
            REQUIRE(encoded);
            CHECK(encoded->size() % 8 == 0);
            CHECK(is_flat(*encoded));
            const auto decoded = decode_flat(*encoded, scratch);
            REQUIRE(decoded);
            CHECK(described(*decoded) == described(in_flat_form(message)));
        }
    }
}

TEST_CASE("a message is written into as much memory as it asks for, wherever that starts, and not into less") {
    Samples samples;
    Stream random(13, 0, Purpose::user);
    for (std::size_t kind = 0; kind < message_kinds; ++kind) {
        const Message& message = samples.any(kind, random, 100);
        const std::size_t needed = flat_bytes(message);
        std::vector<std::byte> memory(needed + 64);
        for (std::size_t shift = 0; shift < 8; ++shift) {
            std::fill(memory.begin(), memory.end(), std::byte{0xa5});
            const auto encoded = encode_flat(message, std::span(memory).subspan(16 + shift, needed));
            REQUIRE(encoded);
            CHECK(reinterpret_cast<std::uintptr_t>(encoded->data()) % 8 == 0);
            CHECK(std::all_of(memory.begin(), memory.begin() + 16 + shift,
                              [](auto b) { return b == std::byte{0xa5}; }));
            CHECK(std::all_of(memory.begin() + 16 + shift + needed, memory.end(),
                              [](auto b) { return b == std::byte{0xa5}; }));
        }
        for (std::size_t less = 0; less < needed - 14; less += 1 + needed / 50) {
            std::fill(memory.begin(), memory.end(), std::byte{0xa5});
            const auto encoded = encode_flat(message, std::span(memory).subspan(16, less));
            CHECK(encoded.error().code == Code::too_little_memory);
            CHECK(
                std::all_of(memory.begin() + 16 + less, memory.end(), [](auto b) { return b == std::byte{0xa5}; }));
        }
    }
}

TEST_CASE("a message in two parts is one to who reads them in a row, and its head is small") {
    Samples samples;
    Scratch scratch;
    Stream random(12, 0, Purpose::user);
    for (std::size_t kind = 0; kind < message_kinds; ++kind) {
        for (int k = 0; k < 60; ++k) {
            const Message& message = k == 0 ? samples.plain(kind) : samples.any(kind, random, k < 50 ? 40 : 5000);
            Aligned buffer(flat_bytes(message));
            const auto parts = encode_flat_head(message, buffer.span());
            REQUIRE(parts);
            CHECK(parts->head.size() % 8 == 0);
            Aligned joined(parts->head.size() + parts->numbers.size());
            std::copy(parts->head.begin(), parts->head.end(), joined.span().begin());
            std::copy(parts->numbers.begin(), parts->numbers.end(), joined.span().begin() + parts->head.size());
            const auto decoded = decode_flat(joined.span(), scratch);
            REQUIRE(decoded);
            CHECK(described(*decoded) == described(in_flat_form(message)));
        }
    }
    std::vector<float> values(1001, 1.5f);
    std::vector<Mass> mass(1001, 7);
    const Message said[] = {{{}, ModelUpdate{1, 2, 1.0f, view_values(values)}},
                            {{}, ShareMessage{1, 2, 3, 4, 5, mass}},
                            {{}, MassReport{1, 2, mass, {}}}};
    for (const Message& message : said) {
        Aligned buffer(200);
        CHECK(encode_flat_head(message, buffer.span()));
        CHECK(encode_flat(message, buffer.span()).error().code == Code::too_little_memory);
    }
}

TEST_CASE("numbers are read where they are, aligned as they are used") {
    std::vector<float> values(1000, 1.5f);
    std::vector<Mass> mass(1000, 7);
    Aligned buffer(16384);
    const auto model = encode_flat({{}, Model{3, view_values(values)}}, buffer.span());
    REQUIRE(model);
    const Message decoded = decode_flat(*model).value();
    const ConstVector<float> floats = as_floats(std::get<Model>(decoded.body).values);
    REQUIRE(floats.size() == 1000);
    CHECK(reinterpret_cast<const std::byte*>(floats.data()) > model->data());
    CHECK(reinterpret_cast<const std::byte*>(floats.data() + 1000) <= model->data() + model->size());
    CHECK(floats[999] == 1.5f);
    CHECK(model->size() < 4000 + 150);

    const auto share = encode_flat({{}, ShareMessage{1, 2, 3, 4, 5, mass}}, buffer.span());
    const Message other = decode_flat(share.value()).value();
    CHECK(reinterpret_cast<std::uintptr_t>(std::get<ShareMessage>(other.body).values.data()) % 8 == 0);
}

TEST_CASE("truncated FlatBuffers and flipped bits are refused or read, and nothing else happens") {
    Samples samples;
    Scratch scratch;
    Stream random(17, 0, Purpose::user);
    int refused = 0;
    for (std::size_t kind = 0; kind < message_kinds; ++kind) {
        const Message& message = samples.plain(kind);
        Aligned buffer(flat_bytes(message));
        const auto encoded = encode_flat(message, buffer.span());
        REQUIRE(encoded);
        for (std::size_t size = 0; size < encoded->size(); ++size) {
            // In memory of its own, so that a sanitizer sees what is read beyond the end.
            Aligned cut(encoded->first(size));
            if (!decode_flat(cut.span(), scratch)) ++refused;
        }
        for (int k = 0; k < 400; ++k) {
            Aligned wrong(*encoded);
            for (int flips = 0; flips <= k % 4; ++flips)
                wrong.span()[random.below(static_cast<std::uint32_t>(encoded->size()))] ^=
                    static_cast<std::byte>(1u << random.below(8));
            if (const auto decoded = decode_flat(wrong.span(), scratch)) (void)described(*decoded);
        }
    }
    CHECK(refused > 1000);
}

TEST_CASE("a version that is not understood is refused, but for the messages that say what one speaks") {
    Samples samples;
    Scratch scratch;
    for (std::size_t kind = 0; kind < message_kinds; ++kind) {
        Aligned buffer(flat_bytes(samples.plain(kind)));
        auto encoded = encode_flat(samples.plain(kind), buffer.span());
        REQUIRE(encoded);
        // The version is the last but one field of the frame: find its two bytes by what they change.
        int places = 0;
        for (std::size_t k = 0; k + 1 < encoded->size(); ++k) {
            const auto said = static_cast<std::byte>(version_of(kind));
            if ((*encoded)[k] != said || (*encoded)[k + 1] != std::byte{0}) continue;
            (*encoded)[k] = std::byte{wire_version + 1};
            const auto decoded = decode_flat(*encoded, scratch);
            if (!decoded &&
                decoded.error() == Error{Code::wire_version_unknown, wire_version + 1, oldest_wire_version})
                ++places;
            (*encoded)[k] = said;
        }
        CHECK(places == (kind == body_index<Join> || kind == body_index<Refusal> ? 0 : 1));
    }
}

TEST_CASE("what is longer than allowed, or does not fit together, is neither sent nor taken") {
    std::vector<std::byte> buffer(1 << 20);
    const auto refusal = [&](const MessageBody& body) {
        const auto encoded = encode_flat({{}, body}, buffer);
        return encoded ? Error{} : encoded.error();
    };
    const std::string name(65, 'n'), text(65537, 't');
    const std::vector<Metric> metrics(33);
    const std::vector<std::uint32_t> neighbours(4097);
    const std::vector<std::byte> bytes(40);
    const std::vector<Mass> mass(3);
    CHECK(refusal(Join{.name = name}) == Error{Code::message_too_long, 65, 64});
    CHECK(refusal(Report{.metrics = metrics}) == Error{Code::message_too_long, 33, 32});
    CHECK(refusal(JobOffer{{.experiment = text}}) == Error{Code::message_too_long, 65537, 65536});
    CHECK(refusal(JobOffer{{.in_neighbours = neighbours}}) == Error{Code::message_too_long, 4097, 4096});
    CHECK(refusal(JobOffer{{.objective = static_cast<Objective>(9)}}).code == Code::message_malformed);
    CHECK(refusal(Model{1, {Encoding::float32, 11, bytes}}).code == Code::message_malformed);
    CHECK(refusal(Model{1, {Encoding::float32, 10, bytes}}) == Error{});
    CHECK(refusal(MassReport{.values = mass, .steps = std::span(mass).first(2)}).code == Code::message_malformed);
    const PeerAddress peer{1, "tcp://a:1", std::span(bytes).first(31)};
    CHECK(refusal(Peers{std::span(&peer, 1)}).code == Code::message_malformed);
    for (const std::string_view bad : {"a\nb", "\x1b[31m", "\xff", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80",
                                       "\xe2\x82", "\x7f", "\xc2\x85"})
        CHECK(refusal(Join{.name = bad}).code == Code::message_malformed);
    for (const std::string_view good : {"", "laptop", "größe", "\xe2\x82\xac", "\xf0\x9f\x90\xa6", "\xc2\xa0"})
        CHECK(refusal(Join{.name = good}) == Error{});
    CHECK(refusal(JobOffer{{.experiment = "[job]\n\tname = 'ü'\r\n"}}) == Error{});
}

TEST_CASE("lists need room where they are decoded to") {
    Samples samples;
    std::vector<std::byte> buffer(1 << 16);
    for (const std::size_t kind : {body_index<Report>, body_index<Peers>}) {
        const auto encoded = encode_flat(samples.plain(kind), buffer);
        REQUIRE(encoded);
        CHECK(decode_flat(*encoded).error().code == Code::too_little_memory);
    }
}
