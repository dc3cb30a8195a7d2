// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string_view>

namespace dunlin {

/// Bytes of the character that `text` starts with, if a terminal, a page and a file may show it as it is; else 0:
/// control characters (C0, C1), what turns the direction of writing or is invisible, and what is not UTF-8.
constexpr std::size_t shown_bytes(std::string_view text) {
    const auto byte = [text](std::size_t k) {
        return k < text.size() ? static_cast<unsigned char>(text[k]) : static_cast<unsigned char>(0);
    };
    const unsigned char first = byte(0);
    if (first < 0x80) return first >= 0x20 && first != 0x7f ? 1 : 0;
    const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4) return 0;
    char32_t code = first & (0x7fu >> length);
    for (std::size_t k = 1; k < length; ++k) {
        if ((byte(k) & 0xc0) != 0x80) return 0;
        code = code << 6 | (byte(k) & 0x3fu);
    }
    const char32_t least = length == 4 ? 0x10000 : length == 3 ? 0x800 : 0x80;
    if (code < least || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return 0;
    const bool hidden = code < 0xa0 || code == 0xad || code == 0x61c || (code >= 0x200b && code <= 0x200f) ||
                        (code >= 0x2028 && code <= 0x202e) || (code >= 0x2060 && code <= 0x206f) ||
                        code == 0xfeff || (code >= 0xe0000 && code < 0xe1000);
    return hidden ? 0 : length;
}

/// Text from outside as a message may show it: in quotes, the first 40 bytes or so, and what must not be shown as
/// it is as \xNN. Holds what it shows.
class Quoted {
public:
    explicit constexpr Quoted(std::string_view text) {
        constexpr std::size_t limit = 40;
        std::size_t at = 0;
        put('\'');
        while (at < text.size() && at < limit) {
            const std::size_t bytes = shown_bytes(text.substr(at));
            if (bytes == 0) {
                constexpr std::string_view digits = "0123456789abcdef";
                const auto code = static_cast<unsigned char>(text[at++]);
                for (const char c : {'\\', 'x', digits[code >> 4], digits[code & 15]}) put(c);
            }
            for (std::size_t k = 0; k < bytes; ++k) put(text[at++]);
        }
        put('\'');
        for (int dots = 0; dots < 3 && at < text.size(); ++dots) put('.');
    }
    constexpr std::string_view view() const { return {text_, size_}; }

private:
    constexpr void put(char c) { text_[size_++] = c; }

    char text_[176] = {};
    std::size_t size_ = 0;
};

}  // namespace dunlin
