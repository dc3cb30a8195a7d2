// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace dunlin::app {

/// From now on Ctrl-C (and SIGTERM) asks the program to finish the step at hand, to keep what there is and to stop;
/// a second one ends it at once.
void catch_interrupts();
bool interrupted();

/// From now on a log whose reader goes does not end the program. Its lines must be written by what does not throw,
/// as fmt::print does.
void outlive_readers();

/// Exit codes that scripts can trust (`dunlin --help`).
enum ExitCode : int { succeeded = 0, failed = 1, wrong_input = 2, timed_out = 3, stopped = 130 };

}  // namespace dunlin::app
