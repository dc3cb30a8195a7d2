// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/host/file_system.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace dunlin {

/// "log-000000000000002a"
std::string numbered_name(std::string_view kind, std::uint64_t number);
/// The numbers of the files of this kind, ascending.
Result<std::vector<std::uint64_t>> numbered_files(FileSystem& files, const FileSystem::Path& directory,
                                                  std::string_view kind);

}  // namespace dunlin
