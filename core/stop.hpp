// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace dunlin {

/// Asked now and then by what takes long, from any of its threads. Once it says yes it goes on saying so, and the
/// work is left off as soon as it can be.
using StopAsked = bool (*)();

inline bool never_asked() {
    return false;
}

}  // namespace dunlin
