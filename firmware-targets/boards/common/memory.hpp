// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <initializer_list>

namespace dunlin::board {

/// For start-up code that is on the stack already: data in place, zeros elsewhere, the stack painted, so that an image can
/// tell how deep it once was.
void prepare_memory();

}  // namespace dunlin::board
