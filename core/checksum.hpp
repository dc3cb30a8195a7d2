// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

namespace dunlin {

/// What four bits do to a remainder.
inline constexpr std::array<std::uint32_t, 16> crc32_table = [] {
    std::array<std::uint32_t, 16> table{};
    for (std::uint32_t half = 0; half < 16; ++half) {
        std::uint32_t crc = half;
        for (int bit = 0; bit < 4; ++bit) crc = crc >> 1 ^ ((crc & 1u) != 0 ? 0xedb88320u : 0u);
        table[half] = crc;
    }
    return table;
}();

/// CRC-32 as zlib, Ethernet and PNG compute it (polynomial 0x04c11db7, reflected); of "123456789" it is 0xcbf43926.
/// A text in parts: hand the result of one part to the next. A constant where its bytes are.
constexpr std::uint32_t crc32_byte(std::uint8_t byte, std::uint32_t crc) {
    crc ^= byte;
    for (int half = 0; half < 2; ++half) crc = crc >> 4 ^ crc32_table[crc & 15u];
    return crc;
}
constexpr std::uint32_t crc32(std::span<const std::uint8_t> bytes, std::uint32_t before = 0) {
    std::uint32_t crc = ~before;
    for (const std::uint8_t byte : bytes) crc = crc32_byte(byte, crc);
    return ~crc;
}

/// CRC-32 of numbers as they lie in a little-endian memory.
constexpr std::uint32_t crc32(std::span<const float> numbers, std::uint32_t before = 0) {
    std::uint32_t crc = ~before;
    for (const float number : numbers) {
        const std::uint32_t bits = std::bit_cast<std::uint32_t>(number);
        for (int shift = 0; shift < 32; shift += 8) crc = crc32_byte(static_cast<std::uint8_t>(bits >> shift), crc);
    }
    return ~crc;
}

}  // namespace dunlin
