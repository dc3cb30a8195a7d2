// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "board.hpp"

#include <bit>
#include <cstdint>
#include <string_view>

/// Text over the serial line, without the C library's formatting.
namespace dunlin::console {

struct Hex {
    std::uint64_t value;
    int digits;
};
/// A number with `decimals` digits behind the point, cut off; magnitude below 10^9.
struct Fixed {
    double value;
    int decimals;
};

inline void print(std::string_view text) {
    for (const char c : text) board::write(static_cast<std::uint8_t>(c));
}
inline void print(std::uint32_t value) {
    char digits[10];
    int count = 0;
    do {
        digits[count++] = static_cast<char>('0' + value % 10);
        value /= 10;
    } while (value > 0);
    while (count > 0) board::write(static_cast<std::uint8_t>(digits[--count]));
}
inline void print(int value) {
    if (value < 0) print("-");
    print(static_cast<std::uint32_t>(value < 0 ? -value : value));
}
inline void print(Hex number) {
    for (int digit = number.digits - 1; digit >= 0; --digit) {
        board::write(static_cast<std::uint8_t>("0123456789abcdef"[number.value >> 4 * digit & 15]));
    }
}
inline void print(Fixed number) {
    double rest = number.value;
    if (rest < 0.0) {
        print("-");
        rest = -rest;
    }
    const auto whole = static_cast<std::uint32_t>(rest);
    print(whole);
    print(".");
    rest -= static_cast<double>(whole);
    for (int k = 0; k < number.decimals; ++k) {
        rest *= 10.0;
        const auto digit = static_cast<std::uint32_t>(rest);
        print(digit);
        rest -= static_cast<double>(digit);
    }
}

template <class... Parts>
void line(const Parts&... parts) {
    (print(parts), ...);
    print("\r\n");
}

/// A double so that another program gets the same bits.
inline Hex exact(double value) {
    return {std::bit_cast<std::uint64_t>(value), 16};
}

}  // namespace dunlin::console
