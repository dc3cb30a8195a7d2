// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Values as people type them, in `--set KEY=VALUE` and in every option of the programs. Numbers are decimal: "010"
/// is ten, and "0x10", "1e3" for a whole number, trailing characters, nothing at all, "nan" and what does not fit
/// are no numbers.
namespace dunlin {

/// Digits with an optional sign; '_' may stand between two digits, as in TOML.
std::optional<std::int64_t> whole_number(std::string_view text);

/// Finite; "1", "-.5", "1e-3". A number too small to be told from 0, or too large, is none.
std::optional<double> real_number(std::string_view text);

/// The parts of "a, [1,2], 'b,c'": at the commas that no bracket and no quote encloses. A quote opens where a part
/// begins only, so that an apostrophe in a name is one. Blanks around a part are dropped; a part may be empty.
std::vector<std::string> split_list(std::string_view text);

/// "~" and what begins with "~/", with $HOME in place of the "~": a shell leaves it alone in KEY=~/maps. Other
/// text, and any text without a $HOME, stays as it is.
std::string expand_home(std::string_view path);

/// A TOML string in double quotes, on one line.
std::string toml_string(std::string_view text);

}  // namespace dunlin
