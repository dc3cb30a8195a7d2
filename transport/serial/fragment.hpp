// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/checksum.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace dunlin {

/// Messages cross a serial line in fragments: a head, up to 48 bytes of the message and their CRC-32, as COBS
/// between zero bytes (Cheshire and Baker 1999: no zero inside, one byte longer), 64 bytes on the line at most. A
/// damaged byte costs the fragment that it is in, or the two that it joins; the next zero starts afresh.
enum class FragmentKind : std::uint8_t {
    hello = 1,  ///< follower: I have just started
    start,      ///< leader: forget what was before, this is session `session`
    ready,      ///< follower: I am in session `session`
    data,       ///< bytes 48 index to 48 index + 47 of message `message`; of the last one maybe fewer
    query,      ///< what is missing of `message`? `index` is the sender's round
    answer,     ///< of `message` all up to `index` is there, and behind it what `there` says; asked in `round`
    refusal     ///< `message` will not be taken; `index` is the Code
};

struct Fragment {
    static constexpr std::size_t payload_bytes = 48;
    static constexpr std::size_t head_bytes = 9, checksum_bytes = 4;
    static constexpr std::size_t raw_bytes = head_bytes + payload_bytes + checksum_bytes;
    static constexpr std::size_t line_bytes = raw_bytes + 3;  ///< COBS's byte and the zeros around
    static constexpr std::uint16_t index_limit = 0x7fff;

    FragmentKind kind = FragmentKind::hello;
    std::uint32_t session = 0;
    std::uint16_t message = 0;
    std::uint16_t index = 0;
    bool last = false;        ///< data
    std::uint64_t there = 0;  ///< answer: bit k for fragment index + k
    std::uint16_t round = 0;  ///< answer: the query's
    std::span<const std::byte> payload = {};
};

/// Writes a fragment as it goes over the line; returns how many bytes that are.
std::size_t write_fragment(const Fragment& fragment, std::span<std::uint8_t, Fragment::line_bytes> line);

/// Finds fragments in a stream of bytes. The work of each byte is bounded.
class FragmentReader {
public:
    /// True when this byte completed a fragment with the right checksum: it is in `fragment()` until the next call.
    bool take(std::uint8_t byte);
    const Fragment& fragment() const { return fragment_; }
    /// What ended and was not one: wrong checksum, too long, unknown kind.
    std::uint32_t damaged() const { return damaged_; }

private:
    void put(std::uint8_t byte);
    bool complete();
    void restart();

    std::array<std::uint8_t, Fragment::raw_bytes> raw_{};
    std::size_t size_ = 0;
    std::uint32_t checksum_ = 0xffffffff;
    std::uint8_t code_ = 0, left_ = 0;  ///< COBS: the block's code, and bytes that are missing of it
    bool broken_ = false;
    std::uint32_t damaged_ = 0;
    Fragment fragment_{};
};

}  // namespace dunlin
