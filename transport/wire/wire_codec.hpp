// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "transport/messages.hpp"
#include "transport/wire/frame.hpp"

#include <array>

namespace dunlin {

/// Messages between hosts as bytes: data as FlatBuffers, control as Protobuf behind four bytes (docs/wire.md).

/// In front of every control message: "DNC1".
inline constexpr std::array<char, 4> control_identifier = {'D', 'N', 'C', '1'};

/// Most bytes of a control message that is taken: Protobuf's objects in memory are some thirty times as large as
/// the smallest bytes that ask for them.
inline constexpr std::size_t control_bytes_limit = 512u << 10;

/// A message that was received, with all that it refers to. May be moved; `message()` stays where it is.
class DecodedMessage {
public:
    DecodedMessage();
    DecodedMessage(DecodedMessage&&) noexcept;
    DecodedMessage& operator=(DecodedMessage&&) noexcept;
    ~DecodedMessage();

    const Message& message() const;
    /// The bytes that it came in, for who hands it on.
    std::span<const std::byte> bytes() const;
    /// Gives them away; the message is gone then.
    Frame release() &&;

private:
    friend Result<DecodedMessage> decode_frame(Frame frame);
    struct Contents;
    std::unique_ptr<Contents> contents_;
};

/// Writes a message into memory of its own; values are copied once. Errors: those of check_limits, and
/// message_too_long for a control message beyond control_bytes_limit.
Result<Frame> encode_frame(const Message& message);

/// Reads a message, without copying its numbers. Errors: message_malformed, message_too_long, message_unknown,
/// wire_version_unknown (not for Join and Refusal, which every version can read).
Result<DecodedMessage> decode_frame(Frame frame);

/// The same with a copy of the bytes.
Result<DecodedMessage> decode_copy(std::span<const std::byte> bytes);

}  // namespace dunlin
