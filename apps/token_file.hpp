// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/host/failure.hpp"

#include <string>

namespace dunlin::app {

/// The token in a file that others cannot read. Errors: what is wrong with the file of --token-file.
Outcome<std::string> read_token_file(const std::string& path);

/// For CLI11, of --pin: what is wrong with it, "" if nothing.
std::string check_pin(const std::string& pin);

}  // namespace dunlin::app
