// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "source_dir.hpp"

#include <filesystem>
#include <string>

#include <catch2/catch.hpp>

namespace dunlin::test {

/// A file of the measured data beside the source; empty, with a warning, where there is none.
inline std::string measured_file(const char* name) {
    const auto path = std::filesystem::path(DUNLIN_SOURCE_DIR) / "../shared/data" / name;
    if (std::filesystem::exists(path)) return path.string();
    WARN("no measured data beside the source: skipped");
    return {};
}

}  // namespace dunlin::test
