// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>

namespace dunlin::test {

/// How often this program has asked the heap for memory so far. Does not move under a sanitizer, which has a heap
/// of its own.
std::size_t allocations();

}  // namespace dunlin::test
