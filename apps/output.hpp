// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include <fmt/format.h>

namespace dunlin::app {

/// Writes to stdout with what may come from a peer or a file made safe for a terminal (`shown`). What cannot be
/// written is found by `end_output`, or before that by `output_lost`.
void write_out(std::string_view text);
template <class... Arguments>
void say(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    write_out(fmt::format(format, std::forward<Arguments>(arguments)...));
}

/// The same to stderr, for people. Where it cannot be written nobody sees it, and the work goes on.
void write_note(std::string_view text);
template <class... Arguments>
void note(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    write_note(fmt::format(format, std::forward<Arguments>(arguments)...));
}

/// From now on neither is written, for another process says the same; or both are again.
void mute_output(bool mute);

/// What a program says, where it is a part of another one that asks for it. For one at a time.
struct KeptOutput {
    std::string out, notes;  ///< of `say` and of `note`
};
/// From now on both are kept there and written nowhere; null: they are written again.
void keep_output(KeptOutput* kept);

/// Hands what was written to stdout to the system; has any of it been lost so far?
bool output_lost();

/// At the end of a program: `code`, or 1 where it is 0 and some of stdout was lost. What was lost is said on stderr.
int end_output(std::string_view program, int code);

}  // namespace dunlin::app
