// SPDX-License-Identifier: Apache-2.0
#include "transport/encoding.hpp"

#include "core/finite.hpp"

#include <bit>
#include <cstring>

namespace dunlin {
namespace {

static_assert(std::endian::native == std::endian::little, "the wire is little-endian");

constexpr float largest_half = 0x1.ffdffep15f;  // what comes next, 65520, rounds to infinity
constexpr float largest_int8 = 0x1p127f;        // beyond, 127 (x / 127) may be infinite

/// The nearest integer of |value| < 2^22, ties to even: past 2^23 a float has no fraction left.
float round_to_even(float value) {
    constexpr float shift = 0x1.8p23f;
    return (value + shift) - shift;
}

void encode_block(ConstVector<float> values, std::byte* out) {
    float largest = 0.0f;
    for (const float value : values)
        largest = std::max(largest, std::bit_cast<float>(std::bit_cast<std::uint32_t>(value) & 0x7fffffffu));
    const float scale = largest / 127.0f;
    std::memcpy(out, &scale, 4);
    for (std::size_t k = 0; k < values.size(); ++k) {
        // A denormal scale is coarse: the quotient may leave the range, or there may be none.
        const float quotient = scale > 0.0f ? std::clamp(values[k] / scale, -127.0f, 127.0f) : 0.0f;
        out[4 + k] = static_cast<std::byte>(static_cast<std::int8_t>(round_to_even(quotient)));
    }
}

void decode_block(const std::byte* in, Vector<float> out) {
    float scale = 0.0f;
    std::memcpy(&scale, in, 4);
    for (std::size_t k = 0; k < out.size(); ++k)
        out[k] = scale * static_cast<float>(static_cast<std::int8_t>(in[4 + k]));
}

/// Calls body(first, count, place of its bytes) for every block.
template <class Body>
void for_blocks(std::size_t count, Body body) {
    for (std::size_t first = 0, at = 0; first < count; first += int8_block, at += int8_block + 4)
        body(first, std::min(int8_block, count - first), at);
}

}  // namespace

std::uint16_t to_half(float value) {
    const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
    const std::uint16_t sign = static_cast<std::uint16_t>(bits >> 16 & 0x8000u);
    const std::uint32_t magnitude = bits & 0x7fffffffu;
    if (magnitude >= 0x7f800000u) return sign | (magnitude > 0x7f800000u ? 0x7e00u : 0x7c00u);
    if (magnitude >= 0x47800000u) return sign | 0x7c00u;  // 65536 and more
    if (magnitude < 0x38800000u) {
        // Below 2^-14 the units are 2^-24: adding 1/2 = 2^23 of them leaves the rounded count in the low bits.
        const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
        return sign | static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(shifted) - 0x3f000000u);
    }
    // Half of the last bit that stays, less one where that bit is even; a carry moves into the exponent, as it
    // should.
    const std::uint32_t rounded = magnitude - 0x38000000u + 0xfffu + (magnitude >> 13 & 1u);
    return sign | static_cast<std::uint16_t>(rounded >> 13);
}

float from_half(std::uint16_t bits) {
    const std::uint32_t sign = (bits & 0x8000u) << 16, magnitude = bits & 0x7fffu;
    if (magnitude >= 0x7c00u) return std::bit_cast<float>(sign | 0x7f800000u | (magnitude & 0x3ffu) << 13);
    if (magnitude >= 0x0400u) return std::bit_cast<float>(sign | ((magnitude << 13) + 0x38000000u));
    const float small = static_cast<float>(magnitude) * 0x1p-24f;
    return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(small));
}

EncodedValues view_values(ConstVector<float> values) {
    return {Encoding::float32, static_cast<std::uint32_t>(values.size()), std::as_bytes(values)};
}

Result<EncodedValues> encode_values(ConstVector<float> values, Encoding encoding, std::span<std::byte> out) {
    if (values.size() > WireLimits::values)
        return fail(Code::message_too_long, static_cast<std::int64_t>(values.size()), WireLimits::values);
    const std::size_t bytes = encoded_bytes(encoding, values.size());
    if (out.size() < bytes)
        return fail(Code::too_little_memory, static_cast<std::int64_t>(out.size()),
                    static_cast<std::int64_t>(bytes));
    if (encoding != Encoding::float32) {
        if (auto finite = check_finite(values, values.size()); !finite) return tl::unexpected(finite.error());
        const std::size_t beyond =
            first_beyond(values, encoding == Encoding::float16 ? largest_half : largest_int8);
        if (beyond < values.size()) return fail(Code::update_too_large, static_cast<std::int64_t>(beyond));
    }
    switch (encoding) {
        case Encoding::float32:
            if (bytes > 0) std::memcpy(out.data(), values.data(), bytes);
            break;
        case Encoding::float16:
            for (std::size_t k = 0; k < values.size(); ++k) {
                const std::uint16_t half = to_half(values[k]);
                std::memcpy(out.data() + 2 * k, &half, 2);
            }
            break;
        case Encoding::int8:
            for_blocks(values.size(), [&](std::size_t first, std::size_t count, std::size_t at) {
                encode_block(values.subspan(first, count), out.data() + at);
            });
            break;
    }
    return EncodedValues{encoding, static_cast<std::uint32_t>(values.size()), out.first(bytes)};
}

Result<void> decode(const EncodedValues& values, Vector<float> out) {
    if (out.size() != values.count) return wrong_size(values.count, out.size());
    if (values.encoding > Encoding::int8 || values.bytes.size() != encoded_bytes(values.encoding, values.count))
        return fail(Code::message_malformed, static_cast<std::int64_t>(values.bytes.size()));
    const std::byte* in = values.bytes.data();
    switch (values.encoding) {
        case Encoding::float32:
            if (!out.empty()) std::memcpy(out.data(), in, out.size_bytes());
            break;
        case Encoding::float16:
            for (std::size_t k = 0; k < out.size(); ++k) {
                std::uint16_t half = 0;
                std::memcpy(&half, in + 2 * k, 2);
                out[k] = from_half(half);
            }
            break;
        case Encoding::int8:
            for_blocks(out.size(), [&](std::size_t first, std::size_t count, std::size_t at) {
                decode_block(in + at, out.subspan(first, count));
            });
            break;
    }
    return {};
}

ConstVector<float> as_floats(const EncodedValues& values) {
    const bool aligned = reinterpret_cast<std::uintptr_t>(values.bytes.data()) % alignof(float) == 0;
    if (values.encoding != Encoding::float32 || !aligned || values.bytes.size() != std::size_t{values.count} * 4)
        return {};
    return {reinterpret_cast<const float*>(values.bytes.data()), values.count};
}

Result<EncodedValues> ErrorFeedback::encode(ConstVector<float> update, Encoding encoding,
                                            std::span<std::byte> out) {
    if (update.size() != residual_.size()) return wrong_size(update.size(), residual_.size());
    for (std::size_t k = 0; k < update.size(); ++k) {
        const float sum = residual_[k] + update[k];
        if (!(sum <= largest_finite && sum >= -largest_finite))
            return fail(Code::not_finite, static_cast<std::int64_t>(k));
    }
    for (std::size_t k = 0; k < update.size(); ++k) residual_[k] += update[k];
    const auto encoded = encode_values(residual_, encoding, out);
    if (!encoded) {
        for (std::size_t k = 0; k < update.size(); ++k) residual_[k] -= update[k];
        return encoded;
    }
    const std::byte* in = encoded->bytes.data();
    float sent[int8_block];
    for_blocks(residual_.size(), [&](std::size_t first, std::size_t count, std::size_t at) {
        const std::size_t place = encoding == Encoding::int8 ? at : encoded_bytes(encoding, first);
        const std::span<const std::byte> bytes(in + place, encoded_bytes(encoding, count));
        (void)decode({encoding, static_cast<std::uint32_t>(count), bytes}, Vector<float>(sent, count));
        for (std::size_t k = 0; k < count; ++k) residual_[first + k] -= sent[k];
    });
    return encoded;
}

}  // namespace dunlin
