// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>

namespace dunlin {

/// Shamir's sharing of secrets: of each byte s a random polynomial of degree t - 1 over the field of 256 elements,
///
///     p(x) = s + a_1 x + ... + a_(t-1) x^(t-1)        share of x: p(x), x from 1 to 255
///
/// so that any t shares give s, and fewer say nothing. Sums are exclusive ors; products are modulo x^8 + x^4 + x^3 + x + 1.
/// Neither branches nor looks anything up by a secret. Source: Shamir 1979.
namespace secret_sharing {

inline std::uint8_t product(std::uint8_t a, std::uint8_t b) {
    unsigned sum = 0, factor = a;
    for (unsigned bit = 0; bit < 8; ++bit) {
        sum ^= factor & (0u - ((b >> bit) & 1u));
        factor = (factor << 1) ^ (0x11bu & (0u - (factor >> 7)));
    }
    return static_cast<std::uint8_t>(sum);
}

/// 1/a = a^254; 0 of 0.
inline std::uint8_t inverse(std::uint8_t a) {
    std::uint8_t power = a;
    for (int k = 0; k < 6; ++k) power = product(product(power, power), a);
    return product(power, power);
}

/// The share of x, of a secret whose coefficients are, one after the other, the secret itself and (t - 1) times as many
/// random bytes, all of the secret's size, which is out.size().
inline void share(std::span<const std::uint8_t> coefficients, std::uint8_t x, std::span<std::uint8_t> out) {
    assert(x > 0 && !out.empty() && coefficients.size() % out.size() == 0);
    const std::size_t size = out.size();
    for (std::size_t k = 0; k < size; ++k) {
        std::uint8_t value = 0;
        for (std::size_t at = coefficients.size(); at > 0; at -= size)
            value = static_cast<std::uint8_t>(product(value, x) ^ coefficients[at - size + k]);
        out[k] = value;
    }
}

/// The weight of the share of xs[i] where the secret is put together from those of all xs, which differ:
/// the product over j != i of x_j / (x_j - x_i).
inline std::uint8_t weight(std::span<const std::uint8_t> xs, std::size_t i) {
    std::uint8_t above = 1, below = 1;
    for (std::size_t j = 0; j < xs.size(); ++j) {
        if (j == i) continue;
        above = product(above, xs[j]);
        below = product(below, static_cast<std::uint8_t>(xs[j] ^ xs[i]));
    }
    return product(above, inverse(below));
}

/// Adds a share to the secret that is being put together; it begins with zeros.
inline void add(std::span<const std::uint8_t> share, std::uint8_t weight, std::span<std::uint8_t> secret) {
    assert(share.size() == secret.size());
    for (std::size_t k = 0; k < secret.size(); ++k) secret[k] ^= product(share[k], weight);
}

}  // namespace secret_sharing

}  // namespace dunlin
