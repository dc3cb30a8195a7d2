// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace dunlin {

/// Makes an open terminal a raw line of so many bits a second, any number that its driver can do (3 % off at most). What
/// is no terminal is left as it is. Returns what is wrong, for people; empty: nothing.
std::string set_line_speed(int file, unsigned baud);

}  // namespace dunlin
