// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace dunlin {

/// One word of a command line that a POSIX shell reads back as this text: in single quotes where it must be.
std::string shell_word(std::string_view text);
/// The same of a file: one whose name begins with '-' is no option.
std::string shell_path(const std::filesystem::path& path);

}  // namespace dunlin
