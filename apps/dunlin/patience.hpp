// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace dunlin::app {

/// Interrupted (interrupt.hpp) half a second ago or more: what is still at work is left off, so that the program
/// ends soon.
bool out_of_patience();

}  // namespace dunlin::app
