// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace dunlin::app {

/// From now on Ctrl-C (and SIGTERM) asks the program to finish the step at hand, to keep what there is and to stop;
/// a second one ends it at once.
void catch_interrupts();
bool interrupted();

/// Exit codes that scripts can trust (`dunlin --help`).
enum ExitCode : int { succeeded = 0, failed = 1, wrong_input = 2, timed_out = 3, stopped = 130 };

}  // namespace dunlin::app
