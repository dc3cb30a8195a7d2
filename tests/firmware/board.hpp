// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

/// One board's images, built and run in its emulator. Where they are is told by the environment, as
/// scripts/firmware.sh sets it: DUNLIN_BOARD, DUNLIN_BOARD_BUILD (the build folder), DUNLIN_BOARD_RUN (the run
/// whose policy they hold), DUNLIN_NODE_BUILD (the folder of a node of 2-32-32-5 without an audit, if there is
/// one).
namespace dunlin::firmware {

/// An environment variable that has to be there.
std::string variable(const char* name);
std::filesystem::path build_folder();

/// What a program wrote to stdout; throws if it failed.
std::string output_of(const std::string& command);
/// Runs an image to its end and returns what it wrote to the serial line, which is also left in NAME.txt beside it;
/// throws if it did not end well. `options` are the emulator's.
std::string run_image(const std::string& name, const std::string& options = {});
/// What the bench image wrote. Run once a program.
const std::string& bench_text();
/// The words of the line that begins with `first`; throws if there is none.
std::vector<std::string> words_after(const std::string& text, const std::string& first);

/// An output section that was linked: where it came from and how long it is.
struct Piece {
    std::string section;  ///< .text.NAME, .rodata.NAME, .bss.NAME, ...
    std::string object;
    std::uint64_t bytes = 0;
};
/// The linked pieces of a map file; what the linker left out is not among them.
std::vector<Piece> linked_pieces(const std::string& map);
/// Names in the linked part of a map file that have no place in firmware: an allocator, exceptions, formatted
/// output, locales, the C library's start-up.
std::vector<std::string> forbidden_names(const std::string& map);
/// Flash and RAM of an image, the stack's room not counted.
struct Size {
    std::uint64_t flash = 0, ram = 0;
};
Size size_of(const std::vector<Piece>& pieces);
/// What the board's memory.ld sets aside for the stack.
std::int64_t stack_room();

std::string read(const std::filesystem::path& path);

/// What the bench image and the learner's map say, by the names of baseline.json. Measured once a program.
const std::map<std::string, std::int64_t>& measured();

}  // namespace dunlin::firmware
