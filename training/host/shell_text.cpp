// SPDX-License-Identifier: Apache-2.0
#include "training/host/shell_text.hpp"

namespace dunlin {

std::string shell_word(std::string_view text) {
    constexpr std::string_view plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:=,@%+-";
    if (!text.empty() && text.find_first_not_of(plain) == std::string_view::npos) return std::string(text);
    std::string out = "'";
    for (const char c : text) {
        if (c == '\'')
            out += "'\\''";
        else
            out += c;
    }
    return out + "'";
}

std::string shell_path(const std::filesystem::path& path) {
    std::string text = path.string();
    if (text.starts_with('-')) text.insert(0, "./");
    return shell_word(text);
}

}  // namespace dunlin
