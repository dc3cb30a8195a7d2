// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace dunlin {

/// Messages cross a serial line in fragments: a head, up to six units of 16 bytes of the message and a tag of 32
/// bits (LineGuard), as COBS before two zero bytes (Cheshire and Baker 1999: no zero inside), in which a row of zeros
/// takes one byte. A damaged byte costs the fragment that it is in, or the two that it joins; the next zero starts
/// afresh.
enum class FragmentKind : std::uint8_t {
    hello = 1,  ///< follower: I have just started
    start,      ///< leader: this is session `payload`; forget what was before. `index`: sleep as long as you said
    ready,      ///< follower: I am in session `payload`; away for `index` seconds from now on
    data,       ///< units from `index` on of `message`
    query,      ///< what is missing of `message`?
    answer,     ///< of `message` all before `index` is there
    refusal     ///< `message` will not be taken; `index` is the Code
};

struct Fragment {
    static constexpr std::size_t unit_bytes = 16, most_units = 6;
    static constexpr std::size_t payload_bytes = unit_bytes * most_units;
    static constexpr std::size_t head_bytes = 4, tag_bytes = 4;
    static constexpr std::size_t raw_bytes = head_bytes + payload_bytes + tag_bytes;
    static constexpr std::size_t line_bytes = raw_bytes + 3;  ///< COBS's byte and two zeros
    static constexpr std::uint16_t index_limit = 0xffff;

    FragmentKind kind = FragmentKind::hello;
    bool ask = false;          ///< data, query: say what is there; answer: nothing is taken in for now
    bool last = false;         ///< data: with the end; answer: it was dealt with; refusal: it was whole
    std::uint8_t number = 0;   ///< three bits, of what asks and in its answer
    std::uint8_t message = 0;  ///< the last eight bits of its number
    std::uint16_t index = 0;
    std::span<const std::byte> payload = {};
    std::uint32_t tag = 0;  ///< as it was read

    /// Is it of a message, and not of what comes before one?
    bool bound() const { return kind >= FragmentKind::data; }
    /// Of a message from where the fragment comes from?
    bool onward() const { return kind == FragmentKind::data || kind == FragmentKind::query; }
};

/// Writes head and payload of a fragment; the tag is to be put behind them.
std::span<std::uint8_t> write_head(const Fragment& fragment, std::span<std::uint8_t, Fragment::raw_bytes> raw);
/// Writes head, payload and tag as they go over the line; returns how many bytes that are.
std::size_t write_line(std::span<const std::uint8_t> raw, std::uint32_t tag,
                       std::span<std::uint8_t, Fragment::line_bytes> line);

/// Finds fragments in a stream of bytes. The work of each byte is bounded.
class FragmentReader {
public:
    /// True when this byte completed something of a fragment's form: it is in `fragment()` until the next call. Whether
    /// it is one is told by its tag, which is that of `raw()`.
    bool take(std::uint8_t byte);
    const Fragment& fragment() const { return fragment_; }
    std::span<const std::uint8_t> raw() const;
    /// What ended and was not one: too short or too long, unknown kind.
    std::uint32_t damaged() const { return damaged_; }

private:
    void put(std::uint8_t byte);
    bool complete();

    std::array<std::uint8_t, Fragment::raw_bytes> raw_{};
    std::size_t size_ = 0;
    std::uint8_t code_ = 0, left_ = 0;  ///< COBS: the block's code, and bytes that are missing of it
    bool broken_ = false, ended_ = false;
    std::uint32_t damaged_ = 0;
    Fragment fragment_{};
};

}  // namespace dunlin
