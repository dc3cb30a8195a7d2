// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/checksum.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace dunlin {

/// The beginning of the last message that was delivered in one direction, which both sides have: what the next one
/// begins with goes over the line as its difference, for heads of messages are much alike, and a row of zeros takes one
/// byte there.
using MessageStart = std::array<std::byte, 96>;

/// A message that leaves, in three parts that stay where they are.
struct MessageParts {
    std::array<std::span<const std::byte>, 3> parts = {};

    std::size_t size() const { return parts[0].size() + parts[1].size() + parts[2].size(); }
    /// Copies what lies from `at` on, as much as there is room for.
    std::span<std::byte> copy(std::size_t at, std::span<std::byte> to) const;
    /// The same as it goes over the line, beside the seal: as the difference to another start.
    std::span<std::byte> copy_difference(const MessageStart& start, std::size_t at, std::span<std::byte> to) const;
    /// What it begins with, as the other side has it then: without the seal. Behind a short message's end `start` stays.
    void remember_in(MessageStart& start) const;
};

/// What makes fragments and messages those of one session of one line. This one finds damage: a CRC-32, with the
/// session's number mixed in, so that what is left of another session is no fragment of this one. Against people
/// with a hand on the line there is SealedGuard (sealed_guard.hpp). A guard belongs to one SerialLine and holds all that
/// it needs. Messages count from 1 in each direction of a session.
///
/// All inline, for it crosses from files with type information to those without.
class LineGuard {
public:
    /// Most bytes that a side adds to its greeting, and a message grows by.
    static constexpr std::size_t most_greeting = 16, most_growth = 16;

    /// What this side says in the greeting of a session, the same each time; returns how many bytes.
    virtual std::size_t greeting(std::uint32_t /*session*/, std::span<std::byte, most_greeting> /*to*/) {
        return 0;
    }
    /// Both sides: a session begins, with the other's greeting. False: it may not.
    virtual bool begin(std::uint32_t session, bool /*leads*/, std::span<const std::byte> /*theirs*/) {
        session_ = session;
        return true;
    }

    /// The 32 bits behind a fragment. `bound`: to the session; the greetings are not.
    virtual std::uint32_t tag(std::span<const std::uint8_t> raw, bool /*outgoing*/, bool bound,
                              std::uint32_t /*message*/) {
        return crc32(raw) ^ (bound ? session_ : 0);
    }

    /// Before a message leaves: what comes behind its two parts.
    virtual std::span<const std::byte> seal(std::uint32_t /*message*/, const MessageParts& /*parts*/,
                                            const MessageStart& /*last*/) {
        return {};
    }
    /// A piece of it, from the byte `at` on, a multiple of 16, on its way out.
    virtual void cover(std::uint32_t /*message*/, std::size_t /*at*/, std::span<std::byte> /*piece*/) {}
    /// A message that is whole, in place; returns its bytes, or none of a forged one.
    virtual std::span<std::byte> open(std::uint32_t /*message*/, std::span<std::byte> bytes) { return bytes; }

protected:
    ~LineGuard() = default;

private:
    std::uint32_t session_ = 0;
};

struct PlainGuard final : LineGuard {};

}  // namespace dunlin
