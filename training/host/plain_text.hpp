// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace dunlin {

/// Text from outside - a peer, a file, an argument - as it may reach a terminal or a log: control characters (C0,
/// DEL and C1, so that no escape sequence gets through), those that turn the direction of writing and those that
/// break lines become \uXXXX, and what is not UTF-8 becomes U+FFFD. Of JSON the meaning stays the same. With
/// `lines`, line feeds and tabs are kept.
std::string shown(std::string_view text, bool lines = true);

/// Why `text` cannot be a name that travels (of a node, a label, a token): "" if it can. A name has 1 to `most`
/// bytes of well-formed UTF-8 without any character that `shown` replaces.
std::string name_fault(std::string_view text, std::size_t most);

/// "9.8M", "356k", "12".
std::string count_text(double count);

}  // namespace dunlin
