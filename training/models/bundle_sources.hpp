// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string_view>

namespace dunlin {

/// A file of Dunlin's source that the program carries in itself, so that it makes bundles wherever it is installed,
/// of the version that it is.
struct BundleSource {
    std::string_view path;  ///< in Dunlin's source folder; "tl/expected.hpp" is where it was found
    std::string_view text;
};
std::span<const BundleSource> bundle_sources();

}  // namespace dunlin
