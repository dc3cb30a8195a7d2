// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

/// What an image asks of a board. A board is a folder in boards/: board.cmake (processor, emulator), memory.ld
/// (flash and RAM) and board.cpp, which defines these. docs/boards.md has the checklist for another one.
namespace dunlin::board {

/// Called once before main, with data in place: clocks, the serial line, the counter.
void start();

/// Sends a byte over the serial line, when it has room.
void write(std::uint8_t byte);
/// Takes a byte that came over the serial line; false when there is none.
bool read(std::uint8_t& byte);

/// Counts up at ticks_per_second(), wraps around.
std::uint32_t ticks();
std::uint32_t ticks_per_second();

/// Bytes of stack that were in use at some time since the start.
std::uint32_t deepest_stack();

/// Ends the program: under an emulator with this exit code, on silicon by sleeping for ever.
[[noreturn]] void stop(int code);

}  // namespace dunlin::board
