// SPDX-License-Identifier: Apache-2.0
#include "transport/serial/fragment.hpp"

#include <cstring>

namespace dunlin {
namespace {

constexpr std::uint32_t right_checksum = 0xdebb20e3;  ///< what is left of any text with its own CRC-32 behind it
constexpr std::uint16_t last_bit = 0x8000;

/// Little-endian numbers in a row.
struct Cursor {
    std::uint8_t* at;

    void put(std::uint64_t value, int bytes) {
        for (int k = 0; k < bytes; ++k) *at++ = static_cast<std::uint8_t>(value >> 8 * k);
    }
    std::uint64_t take(int bytes) {
        std::uint64_t value = 0;
        for (int k = 0; k < bytes; ++k) value |= std::uint64_t{*at++} << 8 * k;
        return value;
    }
};

bool is_kind(std::uint8_t byte) {
    return byte >= static_cast<std::uint8_t>(FragmentKind::hello) &&
           byte <= static_cast<std::uint8_t>(FragmentKind::refusal);
}

}  // namespace

std::size_t write_fragment(const Fragment& fragment, std::span<std::uint8_t, Fragment::line_bytes> line) {
    std::array<std::uint8_t, Fragment::raw_bytes> raw;
    Cursor to{raw.data()};
    to.put(static_cast<std::uint8_t>(fragment.kind), 1);
    to.put(fragment.session, 4);
    to.put(fragment.message, 2);
    to.put(fragment.index | (fragment.last ? last_bit : 0u), 2);
    if (fragment.kind == FragmentKind::answer) {
        to.put(fragment.there, 8);
        to.put(fragment.round, 2);
    }
    if (!fragment.payload.empty()) std::memcpy(to.at, fragment.payload.data(), fragment.payload.size());
    to.at += fragment.payload.size();
    const auto size = static_cast<std::size_t>(to.at - raw.data());
    to.put(crc32(std::span<const std::uint8_t>(raw.data(), size)), 4);

    // COBS: each zero is replaced by the distance to the next one.
    std::uint8_t* out = line.data();
    *out++ = 0;
    std::uint8_t* code = out++;
    for (const std::uint8_t* at = raw.data(); at != to.at; ++at) {
        if (*at != 0) {
            *out++ = *at;
            continue;
        }
        *code = static_cast<std::uint8_t>(out - code);
        code = out++;
    }
    *code = static_cast<std::uint8_t>(out - code);
    *out++ = 0;
    return static_cast<std::size_t>(out - line.data());
}

void FragmentReader::restart() {
    size_ = 0;
    checksum_ = 0xffffffff;
    code_ = left_ = 0;
    broken_ = false;
}

void FragmentReader::put(std::uint8_t byte) {
    if (size_ == raw_.size()) {
        broken_ = true;
        return;
    }
    raw_[size_++] = byte;
    checksum_ = crc32_byte(byte, checksum_);
}

bool FragmentReader::take(std::uint8_t byte) {
    if (byte == 0) {
        const bool empty = code_ == 0;
        const bool found = !empty && complete();
        damaged_ += !empty && !found ? 1 : 0;
        restart();
        return found;
    }
    if (broken_) return false;
    if (left_ > 0) {
        put(byte);
        --left_;
        return false;
    }
    if (code_ != 0) put(0);
    code_ = byte;
    left_ = static_cast<std::uint8_t>(byte - 1);
    return false;
}

/// Reads the head of what has arrived, if it is whole.
bool FragmentReader::complete() {
    if (broken_ || left_ > 0 || checksum_ != right_checksum) return false;
    if (size_ < Fragment::head_bytes + Fragment::checksum_bytes || !is_kind(raw_[0])) return false;
    Cursor from{raw_.data()};
    Fragment found;
    found.kind = static_cast<FragmentKind>(from.take(1));
    found.session = static_cast<std::uint32_t>(from.take(4));
    found.message = static_cast<std::uint16_t>(from.take(2));
    const auto index = static_cast<std::uint16_t>(from.take(2));
    found.index = found.kind == FragmentKind::data ? index & Fragment::index_limit : index;
    found.last = found.kind == FragmentKind::data && (index & last_bit) != 0;
    std::size_t rest = size_ - Fragment::head_bytes - Fragment::checksum_bytes;
    if (found.kind == FragmentKind::answer) {
        if (rest != 10) return false;
        found.there = from.take(8);
        found.round = static_cast<std::uint16_t>(from.take(2));
        rest = 0;
    }
    if ((found.kind == FragmentKind::data) != (rest > 0) || rest > Fragment::payload_bytes) return false;
    found.payload = std::as_bytes(std::span<const std::uint8_t>(from.at, rest));
    fragment_ = found;
    return true;
}

}  // namespace dunlin
