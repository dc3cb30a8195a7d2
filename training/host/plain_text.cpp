// SPDX-License-Identifier: Apache-2.0
#include "training/host/plain_text.hpp"

#include "transport/wire/limits.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace dunlin {
namespace {

/// The code point of the well-formed character at the front of `text`, which has this many bytes.
char32_t code_point(std::string_view text, std::size_t bytes) {
    constexpr unsigned char lead_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    char32_t point = static_cast<unsigned char>(text[0]) & lead_bits[bytes];
    for (std::size_t k = 1; k < bytes; ++k) point = point << 6 | (static_cast<unsigned char>(text[k]) & 0x3f);
    return point;
}

/// Does it do something to a terminal, or to the text around it, instead of being seen?
bool acts(char32_t point) {
    const auto between = [point](char32_t low, char32_t high) { return low <= point && point <= high; };
    return point < 0x20 || between(0x7f, 0x9f) || point == 0x61c ||  // C0, DEL and C1; Arabic letter mark
           between(0x200b, 0x200f) ||                     // of no width; left-to-right mark and its mirror
           between(0x2028, 0x202e) ||                     // line and paragraph; embeddings and overrides
           between(0x2060, 0x2069) || point == 0xfeff ||  // isolates; byte order mark
           between(0xfff9, 0xfffb);                       // annotations
}

}  // namespace

std::string shown(std::string_view text, bool lines) {
    std::string safe;
    safe.reserve(text.size());
    while (!text.empty()) {
        const std::size_t bytes = character_bytes(text);
        if (bytes == 0) {
            safe += "\xef\xbf\xbd";
            text.remove_prefix(1);
            continue;
        }
        const char32_t point = code_point(text, bytes);
        const bool blank = lines && (point == '\n' || point == '\t');
        if (acts(point) && !blank)
            safe += fmt::format("\\u{:04x}", static_cast<std::uint32_t>(point));
        else
            safe += text.substr(0, bytes);
        text.remove_prefix(bytes);
    }
    return safe;
}

std::string name_fault(std::string_view text, std::size_t most) {
    if (text.empty()) return "is empty";
    if (text.size() > most) return fmt::format("has {} bytes, of at most {}", text.size(), most);
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t bytes = character_bytes(text.substr(at));
        if (bytes == 0) return fmt::format("is not UTF-8 at byte {}", at + 1);
        const char32_t point = code_point(text.substr(at), bytes);
        if (acts(point)) {
            return fmt::format("holds U+{:04X} at byte {}: no control characters and none that turn the writing",
                               static_cast<std::uint32_t>(point), at + 1);
        }
        at += bytes;
    }
    return "";
}

std::string count_text(double count) {
    if (count >= 1e6) return fmt::format("{:.1f}M", count / 1e6);
    if (count >= 1e4) return fmt::format("{:.0f}k", count / 1e3);
    return fmt::format("{:.0f}", count);
}

}  // namespace dunlin
