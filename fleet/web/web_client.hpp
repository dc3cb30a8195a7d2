// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fleet/coordinator/letter.hpp"
#include "fleet/https/https_client.hpp"

namespace dunlin {

/// Asks the desk of a fleet's web port. Errors: post_web's; a token that is refused; not what the desk refuses.
Outcome<Letter> ask_web(const WebTarget& target, const Letter& request, int timeout_ms);

}  // namespace dunlin
