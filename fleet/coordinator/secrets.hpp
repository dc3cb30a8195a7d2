// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace dunlin {

/// 256 bits of the operating system's generator (libsodium), as 43 characters that need no quoting anywhere.
std::string new_secret();

/// BLAKE2b with 256 bits, as 64 hexadecimal digits. Of a secret with 256 bits it tells nothing.
std::string blake2b_hex(std::string_view bytes);

/// What base64 (RFC 4648) stands for; nothing where it is none.
std::optional<std::string> from_base64(std::string_view text);
std::string to_base64(std::string_view bytes);

}  // namespace dunlin
