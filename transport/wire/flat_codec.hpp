// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "transport/messages.hpp"

#include <array>

namespace dunlin {

/// Messages as FlatBuffers (wire.fbs): data on every link, and all messages on serial lines. Freestanding: no heap,
/// no exceptions; decoding reads where the bytes are, encoding writes values once.

/// "DNF1", at bytes 4 to 7 of every such message.
inline constexpr std::array<char, 4> flat_identifier = {'D', 'N', 'F', '1'};

/// Bytes of buffer that `encode_flat` needs at most.
std::size_t flat_bytes(const Message& message);

/// Writes a message to the end of `buffer`, and returns the part that it takes: a multiple of 8 bytes that starts
/// on a multiple of 8. Errors: too_little_memory (first: bytes given; second: bytes needed), and those of
/// check_limits.
Result<std::span<std::byte>> encode_flat(const Message& message, std::span<std::byte> buffer);

/// A message in two parts. The numbers are those of its first list of numbers, where they are: of a model, an
/// update, a share and a grant of mass that is all that is long.
struct FlatParts {
    std::span<std::byte> head;  ///< as encode_flat's result
    std::span<const std::byte> numbers;
};
/// Writes a message but for those numbers, so that `buffer` need not hold them. Errors: encode_flat's.
Result<FlatParts> encode_flat_head(const Message& message, std::span<std::byte> buffer);

/// Where decoding puts lists of structs. Who never gets a list (a device gets neither) gives no room for it.
struct DecodeScratch {
    std::span<Metric> metrics;
    std::span<PeerAddress> peers;
};

/// A message whose texts and numbers are views into `bytes` and `scratch`. `bytes` starts on a multiple of 8, or it
/// traps. Fields that this version does not know are ignored. Errors: message_malformed (first: bytes),
/// message_too_long, message_unknown (first: the body's tag in wire.fbs), wire_version_unknown (not for Join and
/// Refusal, which every version can read), too_little_memory where a list exceeds its scratch.
Result<Message> decode_flat(std::span<const std::byte> bytes, const DecodeScratch& scratch = {});

/// Does it claim to be one?
bool is_flat(std::span<const std::byte> bytes);

}  // namespace dunlin
