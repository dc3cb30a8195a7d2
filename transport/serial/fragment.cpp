// SPDX-License-Identifier: Apache-2.0
#include "transport/serial/fragment.hpp"

#include <algorithm>
#include <cstring>

namespace dunlin {
namespace {

/// COBS codes up to here are blocks of bytes with a zero behind them, those above that many zeros: no block of a
/// fragment is so long.
constexpr std::uint8_t zeros_from = 0x90;
static_assert(Fragment::raw_bytes + 1 <= zeros_from);

constexpr std::uint8_t ask_bit = 0x08, last_bit = 0x10;

}  // namespace

std::span<std::uint8_t> write_head(const Fragment& fragment, std::span<std::uint8_t, Fragment::raw_bytes> raw) {
    raw[0] = static_cast<std::uint8_t>(static_cast<unsigned>(fragment.kind) | (fragment.ask ? ask_bit : 0u) |
                                       (fragment.last ? last_bit : 0u) | fragment.number << 5);
    raw[1] = fragment.message;
    raw[2] = static_cast<std::uint8_t>(fragment.index);
    raw[3] = static_cast<std::uint8_t>(fragment.index >> 8);
    const std::size_t size = fragment.payload.size();
    if (size > 0) std::memcpy(raw.data() + Fragment::head_bytes, fragment.payload.data(), size);
    return raw.first(Fragment::head_bytes + size);
}

std::size_t write_line(std::span<const std::uint8_t> raw, std::uint32_t tag,
                       std::span<std::uint8_t, Fragment::line_bytes> line) {
    std::uint8_t* out = line.data();
    std::uint8_t* code = out++;
    std::size_t zeros = 0;
    const std::size_t size = raw.size() + Fragment::tag_bytes;
    for (std::size_t k = 0; k <= size; ++k) {
        const bool inside = k < raw.size();
        // Wider than the tag, whose last step would shift all of it away (k == size, where the byte is not used).
        const auto byte = static_cast<std::uint8_t>(inside ? raw[k] : std::uint64_t{tag} >> 8 * (k - raw.size()));
        if (k < size && byte == 0 && zeros < 100) {
            ++zeros;
            continue;
        }
        if (zeros > 0) {
            // The first of them ends the block; those that follow are a block of their own.
            *code = static_cast<std::uint8_t>(out - code);
            if (zeros > 1) *out++ = static_cast<std::uint8_t>(zeros == 2 ? 1 : zeros_from + zeros - 1);
            code = out++;
            zeros = k < size && byte == 0 ? 1 : 0;
        }
        if (k < size && byte != 0) *out++ = byte;
    }
    *code = static_cast<std::uint8_t>(out - code);
    // Two, for one alone may get lost, and the fragment would wait for the next one to end it.
    *out++ = 0;
    *out++ = 0;
    return static_cast<std::size_t>(out - line.data());
}

void FragmentReader::put(std::uint8_t byte) {
    if (size_ == raw_.size()) {
        broken_ = true;
        return;
    }
    raw_[size_++] = byte;
}

bool FragmentReader::take(std::uint8_t byte) {
    if (ended_) {
        size_ = 0;
        code_ = left_ = 0;
        broken_ = ended_ = false;
    }
    if (byte == 0) {
        ended_ = true;
        const bool empty = code_ == 0, found = !empty && complete();
        damaged_ += !empty && !found ? 1 : 0;
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
    if (byte <= zeros_from) return false;
    for (left_ = 0; byte > zeros_from + 1; --byte) put(0);
    return false;
}

std::span<const std::uint8_t> FragmentReader::raw() const {
    return std::span(raw_).first(size_ - Fragment::tag_bytes);
}

/// Reads the head of what has arrived, if it has the form.
bool FragmentReader::complete() {
    if (broken_ || left_ > 0 || size_ < Fragment::head_bytes + Fragment::tag_bytes) return false;
    fragment_.kind = static_cast<FragmentKind>(raw_[0] & 7u);
    fragment_.ask = (raw_[0] & ask_bit) != 0;
    fragment_.last = (raw_[0] & last_bit) != 0;
    fragment_.number = raw_[0] >> 5;
    fragment_.message = raw_[1];
    fragment_.index = static_cast<std::uint16_t>(raw_[2] | raw_[3] << 8);
    fragment_.payload = std::as_bytes(raw().subspan(Fragment::head_bytes));
    // All that Dunlin runs on is little-endian.
    std::memcpy(&fragment_.tag, raw_.data() + size_ - Fragment::tag_bytes, Fragment::tag_bytes);
    return fragment_.kind != FragmentKind{};
}

}  // namespace dunlin
