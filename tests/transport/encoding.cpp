// SPDX-License-Identifier: Apache-2.0
#include "transport/encoding.hpp"

#include "core/random.hpp"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

using namespace dunlin;

namespace {

constexpr Encoding encodings[] = {Encoding::float32, Encoding::float16, Encoding::int8};

std::vector<float> random_values(Stream& random, std::size_t count, float scale) {
    std::vector<float> values(count);
    for (float& value : values) value = scale * (2.0f * random.uniform() - 1.0f);
    return values;
}

/// The value of binary16 bits, by its definition.
double half_value(unsigned bits) {
    const int exponent = static_cast<int>(bits >> 10 & 31), fraction = static_cast<int>(bits & 1023);
    const double magnitude = exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
    return (bits & 0x8000u) != 0 ? -magnitude : magnitude;
}

}  // namespace

TEST_CASE("every float16 is the float32 of its definition, and comes back as it was") {
    bool values = true, back = true;
    for (unsigned bits = 0; bits < 0x10000u; ++bits) {
        const float value = from_half(static_cast<std::uint16_t>(bits));
        if ((bits & 0x7c00u) == 0x7c00u) {
            values = values && ((bits & 0x3ffu) != 0 ? std::isnan(value) : std::isinf(value));
        } else {
            values = values && value == half_value(bits);
        }
        if (!std::isnan(value)) back = back && to_half(value) == bits;
    }
    CHECK(values);
    CHECK(back);
    CHECK(std::isnan(from_half(to_half(std::numeric_limits<float>::quiet_NaN()))));
}

TEST_CASE("float16 rounds to the nearest, ties to the even one, through all magnitudes") {
    bool nearest = true;
    for (unsigned bits = 0; bits < 0x7bffu; ++bits) {
        const float below = from_half(static_cast<std::uint16_t>(bits));
        const float above = from_half(static_cast<std::uint16_t>(bits + 1));
        const float middle = 0.5f * (below + above);  // exact: 12 bits
        const std::uint16_t even = static_cast<std::uint16_t>(bits + (bits & 1u));
        nearest = nearest && to_half(middle) == even && to_half(-middle) == (even | 0x8000u) &&
                  to_half(std::nextafter(middle, 0.0f)) == bits &&
                  to_half(std::nextafter(middle, 1e9f)) == bits + 1;
    }
    CHECK(nearest);
    CHECK(to_half(65519.996f) == 0x7bffu);
    CHECK(to_half(65520.0f) == 0x7c00u);
    CHECK(to_half(std::numeric_limits<float>::max()) == 0x7c00u);
}

TEST_CASE("an encoding loses no more than it says") {
    Stream random(1, 0, Purpose::user);
    for (const std::size_t count : {0, 1, 63, 64, 65, 128, 1000}) {
        const std::vector<float> values = random_values(random, count, 3.0f);
        for (const Encoding encoding : encodings) {
            std::vector<std::byte> bytes(encoded_bytes(encoding, count));
            const EncodedValues encoded = encode_values(values, encoding, bytes).value();
            CHECK(encoded.count == count);
            CHECK(encoded.bytes.size() == bytes.size());
            std::vector<float> back(count, 99.0f);
            REQUIRE(decode(encoded, back));
            float worst = 0.0f;
            for (std::size_t k = 0; k < count; ++k) worst = std::max(worst, std::abs(back[k] - values[k]));
            const float allowed = encoding == Encoding::float32   ? 0.0f
                                  : encoding == Encoding::float16 ? 3.0f * 0x1p-11f
                                                                  : 3.0f / 254.0f * 1.00001f;
            CHECK(worst <= allowed);
        }
    }
}

TEST_CASE("int8 keeps the largest of a block, zeros, and the other blocks' resolution") {
    std::vector<float> values(130, 0.0f);
    values[3] = -1000.0f;
    values[64] = 0.5f;
    values[65] = 0.25f;
    std::vector<std::byte> bytes(encoded_bytes(Encoding::int8, values.size()));
    CHECK(bytes.size() == 130 + 3 * 4);
    std::vector<float> back(values.size());
    REQUIRE(decode(encode_values(values, Encoding::int8, bytes).value(), back));
    CHECK(std::abs(back[3] + 1000.0f) < 1e-3f);
    CHECK(back[0] == 0.0f);
    CHECK(std::abs(back[64] - 0.5f) < 1e-6f);
    CHECK(std::abs(back[65] - 0.25f) < 0.5f / 127.0f);
    CHECK(back[129] == 0.0f);
}

TEST_CASE("numbers too small for a scale, and the largest, survive int8") {
    const float tiny = std::numeric_limits<float>::denorm_min(), huge = 0x1p127f;
    for (const float value : {tiny, 200 * tiny, 1e-40f, huge}) {
        const std::vector<float> values = {value, -value, 0.0f};
        std::vector<std::byte> bytes(encoded_bytes(Encoding::int8, 3));
        std::vector<float> back(3);
        REQUIRE(decode(encode_values(values, Encoding::int8, bytes).value(), back));
        CHECK(std::abs(back[0] - value) <= std::max(127 * tiny, value / 254.0f));
        CHECK(back[0] == -back[1]);
        CHECK(back[2] == 0.0f);
    }
}

TEST_CASE("every processor encodes to the same bits") {
    Stream random(7, 0, Purpose::user);
    const std::vector<float> values = random_values(random, 1000, 10.0f);
    std::uint64_t hash = 0xcbf29ce484222325u;
    for (const Encoding encoding : encodings) {
        std::vector<std::byte> bytes(encoded_bytes(encoding, values.size()));
        REQUIRE(encode_values(values, encoding, bytes));
        std::vector<float> back(values.size());
        REQUIRE(decode({encoding, 1000, bytes}, back));
        for (const std::byte byte : bytes) hash = (hash ^ static_cast<std::uint64_t>(byte)) * 0x100000001b3u;
        for (const float value : back) hash = (hash ^ std::bit_cast<std::uint32_t>(value)) * 0x100000001b3u;
    }
    CHECK(hash == 0x2e5d6a4081e2a51bu);
}

TEST_CASE("what cannot be encoded is refused and says which number it was") {
    std::vector<float> values(100, 1.0f);
    std::vector<std::byte> bytes(400);
    CHECK(encode_values(values, Encoding::float32, std::span(bytes).first(399)).error().code ==
          Code::too_little_memory);
    values[70] = 65520.0f;
    CHECK(encode_values(values, Encoding::float16, bytes).error() == Error{Code::update_too_large, 70, 0});
    CHECK(encode_values(values, Encoding::int8, bytes));
    values[70] = 0x1.000002p127f;
    CHECK(encode_values(values, Encoding::int8, bytes).error() == Error{Code::update_too_large, 70, 0});
    values[71] = std::numeric_limits<float>::infinity();
    CHECK(encode_values(values, Encoding::int8, bytes).error() == Error{Code::not_finite, 71, 0});
    CHECK(encode_values(values, Encoding::float32, bytes));
    values.resize(99);
    CHECK(decode({Encoding::float32, 100, bytes}, values).error().code == Code::shape_mismatch);
    CHECK(decode({Encoding::float16, 99, bytes}, values).error().code == Code::message_malformed);
    CHECK(decode({static_cast<Encoding>(9), 99, bytes}, values).error().code == Code::message_malformed);
}

TEST_CASE("float32 is viewed without a copy where it is aligned") {
    const std::vector<float> values = {1.0f, 2.0f, 3.0f};
    const EncodedValues view = view_values(values);
    CHECK(as_floats(view).data() == values.data());
    CHECK(as_floats(view).size() == 3);
    std::vector<std::byte> shifted(17);
    std::memcpy(shifted.data() + 1, values.data(), 12);
    EncodedValues unaligned{Encoding::float32, 3, std::span<const std::byte>(shifted).subspan(1, 12)};
    CHECK(as_floats(unaligned).empty());
    std::vector<float> back(3);
    REQUIRE(decode(unaligned, back));
    CHECK(back == values);
}

TEST_CASE("with error feedback, messages and residual add up to what was put in") {
    Stream random(5, 0, Purpose::user);
    for (const Encoding encoding : encodings) {
        const std::size_t d = 200;
        std::vector<float> residual(d, 0.0f), decoded(d);
        std::vector<double> put_in(d, 0.0), arrived(d, 0.0);
        ErrorFeedback feedback(residual);
        std::vector<std::byte> bytes(encoded_bytes(encoding, d));
        for (int message = 0; message < 400; ++message) {
            // Multiples of 2^-14 below 1: float32 adds them exactly, so that only the encoding rounds.
            std::vector<float> update(d);
            for (float& value : update) value = (static_cast<float>(random.below(16384)) - 8192.0f) * 0x1p-14f;
            REQUIRE(decode(feedback.encode(update, encoding, bytes).value(), decoded));
            for (std::size_t k = 0; k < d; ++k) {
                put_in[k] += static_cast<double>(update[k]);
                arrived[k] += static_cast<double>(decoded[k]);
            }
        }
        double worst = 0.0, largest_residual = 0.0;
        for (std::size_t k = 0; k < d; ++k) {
            worst = std::max(worst, std::abs(arrived[k] + static_cast<double>(residual[k]) - put_in[k]));
            largest_residual = std::max(largest_residual, std::abs(static_cast<double>(residual[k])));
        }
        CHECK(worst < 400 * 0x1p-24);  // one rounding of r + u a message
        CHECK(largest_residual <=
              0.0041);  // half a step of the coarsest encoding, 0.5 / 127 / 2 and what it carries
        CHECK((encoding == Encoding::float32) == (largest_residual == 0.0));
    }
}

TEST_CASE("an update that cannot be sent leaves the residual as it was") {
    std::vector<float> residual = {0.25f, -0.5f, 0.125f};
    const std::vector<float> before = residual;
    ErrorFeedback feedback(residual);
    std::vector<std::byte> bytes(64);
    const float nan = std::numeric_limits<float>::quiet_NaN(), largest = std::numeric_limits<float>::max();
    for (const std::vector<float>& update : {std::vector<float>{1.0f, nan, 1.0f},
                                             std::vector<float>{1.0f, 70000.0f, 1.0f}, std::vector<float>{1.0f}}) {
        CHECK_FALSE(feedback.encode(update, Encoding::float16, bytes));
        CHECK(residual == before);
    }
    residual[0] = largest;
    CHECK(feedback.encode(std::vector<float>{largest, 0.0f, 0.0f}, Encoding::int8, bytes).error() ==
          Error{Code::not_finite, 0, 0});
    CHECK(residual[0] == largest);
}
