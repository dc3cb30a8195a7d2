// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace dunlin {

/// What was compressed with gzip; "" where it is damaged. For bytes of our own: their size is not bounded.
std::string gunzip(std::string_view bytes);

}  // namespace dunlin
