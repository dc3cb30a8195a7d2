// SPDX-License-Identifier: Apache-2.0
#include "fleet/coordinator/numbered_file.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace dunlin {

std::string numbered_name(std::string_view kind, std::uint64_t number) {
    return fmt::format("{}-{:016x}", kind, number);
}

Result<std::vector<std::uint64_t>> numbered_files(FileSystem& files, const FileSystem::Path& directory,
                                                  std::string_view kind) {
    const auto names = files.list(directory);
    if (!names) return tl::unexpected(names.error());
    std::vector<std::uint64_t> numbers;
    for (const std::string& name : *names) {
        std::uint64_t number = 0;
        if (name.size() != kind.size() + 17 || !name.starts_with(kind)) continue;
        const char* first = name.data() + kind.size() + 1;
        const char* last = name.data() + name.size();
        if (std::from_chars(first, last, number, 16).ptr == last) numbers.push_back(number);
    }
    std::ranges::sort(numbers);
    return numbers;
}

}  // namespace dunlin
