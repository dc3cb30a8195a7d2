// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "transport/messages.hpp"

namespace dunlin {

/// Is this a message that may be sent, and used where it was received: no list or text longer than WireLimits,
/// every enumeration known, as many bytes of values as their encoding takes, keys of 32 bytes, and texts that are
/// well-formed UTF-8 without control characters, so that they can be printed anywhere? What the numbers mean for a
/// job is the receiver's to check. Every encoder and decoder asks this. Errors: message_too_long,
/// message_malformed.
Result<void> check_limits(const Message& message);

/// May alternative `kind` of MessageBody be read here if it says that it is of this wire version? Join and Refusal
/// always: they only ever grow by fields at the end, so that both sides can say what they speak. Errors:
/// wire_version_unknown.
Result<void> check_version(std::uint32_t version, std::size_t kind);

/// Bytes of the character at the front of `text`, or 0 if it is not well-formed UTF-8 (Unicode, table 3-7).
std::size_t character_bytes(std::string_view text);

/// Well-formed UTF-8 without control characters; with `lines`, line feeds, carriage returns and tabs are allowed.
bool is_text(std::string_view text, bool lines);

}  // namespace dunlin
