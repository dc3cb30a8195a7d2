// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstring>
#include <string>
#include <unordered_set>
#include <vector>

namespace dunlin::test {

/// Do three personal parameters in a row appear in what was said, at any byte?
inline bool appears(const std::vector<std::vector<float>>& personal,
                    const std::vector<std::vector<std::byte>>& frames) {
    constexpr std::size_t window = 3 * sizeof(float);
    std::unordered_set<std::string> secrets;
    for (const auto& theta : personal) {
        for (std::size_t k = 0; k + 3 <= theta.size(); k += 3) {
            secrets.emplace(reinterpret_cast<const char*>(theta.data() + k), window);
        }
    }
    std::string piece(window, '\0');
    for (const auto& frame : frames) {
        for (std::size_t at = 0; at + window <= frame.size(); ++at) {
            std::memcpy(piece.data(), frame.data() + at, window);
            if (secrets.contains(piece)) return true;
        }
    }
    return false;
}

}  // namespace dunlin::test
