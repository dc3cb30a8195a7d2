// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

namespace dunlin {

/// Numbers modulo 2^32 or 2^64, as wide as their ring in memory of 64-bit words: of 2^32 two lie in each. So a sum takes as
/// much memory as what is sent of it, and is what is sent.

inline std::size_t ring_words(std::uint32_t ring_bits, std::size_t numbers) {
    return (numbers * (ring_bits / 8) + 7) / 8;
}

/// Adds numbers as they lie in memory (little-endian, as they travel) to those in `sum`, or takes them off. No more than
/// fit in it. In blocks of a size that is known, so that the compiler sees that nothing overlaps and how wide to work.
template <class Number, bool negative>
void add_numbers(std::span<const std::byte> numbers, std::span<std::byte> sum) {
    const auto add = [&]<std::size_t count>(std::size_t at, std::integral_constant<std::size_t, count>) {
        Number more[count], all[count];
        std::memcpy(more, numbers.data() + at, sizeof more);
        std::memcpy(all, sum.data() + at, sizeof all);
        for (std::size_t k = 0; k < count; ++k) all[k] = negative ? all[k] - more[k] : all[k] + more[k];
        std::memcpy(sum.data() + at, all, sizeof all);
    };
    constexpr std::size_t at_once = 64 / sizeof(Number);
    std::size_t at = 0;
    for (; at + at_once * sizeof(Number) <= numbers.size(); at += at_once * sizeof(Number))
        add(at, std::integral_constant<std::size_t, at_once>());
    for (; at < numbers.size(); at += sizeof(Number)) add(at, std::integral_constant<std::size_t, 1>());
}
inline void add_numbers(std::uint32_t ring_bits, std::span<const std::byte> numbers, bool negative,
                        std::span<std::byte> sum) {
    using Narrow = std::uint32_t;
    using Wide = std::uint64_t;
    if (ring_bits == 32)
        negative ? add_numbers<Narrow, true>(numbers, sum) : add_numbers<Narrow, false>(numbers, sum);
    else
        negative ? add_numbers<Wide, true>(numbers, sum) : add_numbers<Wide, false>(numbers, sum);
}

/// The k-th number as what it stands for, between minus and plus half the ring's size.
inline std::int64_t number_at(std::uint32_t ring_bits, std::span<const std::uint64_t> words, std::size_t k) {
    if (ring_bits != 32) return static_cast<std::int64_t>(words[k]);
    return static_cast<std::int32_t>(static_cast<std::uint32_t>(words[k / 2] >> (32 * (k % 2))));
}

/// Numbers modulo 2^64 in the ring's own width; `words` has ring_words of them.
inline void pack_numbers(std::uint32_t ring_bits, std::span<const std::uint64_t> numbers,
                         std::span<std::uint64_t> words) {
    if (ring_bits != 32) {
        std::ranges::copy(numbers, words.begin());
        return;
    }
    for (std::size_t k = 0; k + 1 < numbers.size(); k += 2)
        words[k / 2] = (numbers[k] & 0xffffffffu) | numbers[k + 1] << 32;
    if (numbers.size() % 2 == 1) words[numbers.size() / 2] = numbers.back() & 0xffffffffu;
}

}  // namespace dunlin
