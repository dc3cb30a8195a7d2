// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/vector.hpp"
#include "transport/messages.hpp"

#include <algorithm>

namespace dunlin {

/// Numbers of one block of Encoding::int8, which share a scale.
inline constexpr std::size_t int8_block = 64;

/// Bytes that `count` numbers take in an encoding.
constexpr std::size_t encoded_bytes(Encoding encoding, std::size_t count) {
    switch (encoding) {
        case Encoding::float32:
            return count * 4;
        case Encoding::float16:
            return count * 2;
        case Encoding::int8:
            return count + (count + int8_block - 1) / int8_block * 4;
    }
    return 0;
}

/// `values` themselves as float32, not copied.
EncodedValues view_values(ConstVector<float> values);

/// Writes `values` to the front of `out`, which holds encoded_bytes() bytes, and returns a view of them. Every
/// processor writes the same bits.
///
///     float32   as they are
///     float16   to the nearest, ties to even; a magnitude that rounds beyond 65504 does not fit
///     int8      for each block of 64, s = max|x| / 127 as a float32, then q = round(x / s) as signed bytes;
///               |x| <= 2^127
///
/// Errors: too_little_memory, not_finite (int8 and float16), update_too_large (likewise), message_too_long.
Result<EncodedValues> encode_values(ConstVector<float> values, Encoding encoding, std::span<std::byte> out);

/// Writes the numbers to `out`. Errors: shape_mismatch where out.size() is not values.count, message_malformed
/// where the bytes are not as many as the encoding takes. NaN and infinity go through: who uses the numbers checks
/// them.
Result<void> decode(const EncodedValues& values, Vector<float> out);

/// The numbers where they are, without a copy, if they are float32 and aligned; empty otherwise.
ConstVector<float> as_floats(const EncodedValues& values);

/// One number to and from the bits of IEEE binary16, to nearest even; beyond 65504 it becomes infinity.
std::uint16_t to_half(float value);
float from_half(std::uint16_t bits);

/// What rounding takes away from one message is added to the next, so that over time everything arrives:
///
///     v_k = u_k + r_{k-1},   m_k = decode(encode(v_k)),   r_k = v_k - m_k
///
/// and sum of m_k = sum of u_k - r_K, to the rounding of the additions. Source: Seide et al. 2014, section 3.
class ErrorFeedback {
public:
    /// `residual`, d floats, is r; it belongs to the caller, zero before the first message.
    explicit ErrorFeedback(Vector<float> residual) : residual_(residual) {}

    /// Encodes v_k into `out` and keeps r_k. Errors: as encode_values, and shape_mismatch; then r is unchanged,
    /// but to the rounding of r + u - u.
    Result<EncodedValues> encode(ConstVector<float> update, Encoding encoding, std::span<std::byte> out);

    ConstVector<float> residual() const { return residual_; }
    void clear() { std::fill(residual_.begin(), residual_.end(), 0.0f); }

private:
    Vector<float> residual_;
};

}  // namespace dunlin
