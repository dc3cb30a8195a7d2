// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <csignal>

namespace dunlin::app {

/// From now on Ctrl-C (and SIGTERM) asks the program to finish the step at hand, to keep what there is and to stop;
/// a second one ends it at once.
void catch_interrupts();
bool interrupted();

/// Asks for the same without a signal, from any thread.
void ask_to_stop();

/// Where Dunlin is a part of another program: while this lives, Ctrl-C and SIGTERM ask for a stop, however often they
/// come; what was asked before is forgotten. Then signals are handled as before, and a SIGTERM that came is raised
/// again. One at a time.
class InterruptScope {
public:
    InterruptScope();
    ~InterruptScope();
    InterruptScope(const InterruptScope&) = delete;
    InterruptScope& operator=(const InterruptScope&) = delete;

private:
    struct sigaction interrupt_ {
    }, terminate_{};
};

/// From now on a log whose reader goes does not end the program. Its lines must be written by what does not throw,
/// as fmt::print does.
void outlive_readers();

/// Exit codes that scripts can trust (`dunlin --help`).
enum ExitCode : int { succeeded = 0, failed = 1, wrong_input = 2, timed_out = 3, stopped = 130 };

}  // namespace dunlin::app
