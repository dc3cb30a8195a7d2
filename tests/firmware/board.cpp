// SPDX-License-Identifier: Apache-2.0
#include "firmware/board.hpp"

#include "source_dir.hpp"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <regex>
#include <sstream>
#include <stdexcept>

#include <sys/wait.h>

namespace dunlin::firmware {

std::string variable(const char* name) {
    const char* value = std::getenv(name);
    if (value == nullptr)
        throw std::runtime_error(std::string(name) + " is not set: run scripts/firmware.sh BOARD");
    return value;
}

std::filesystem::path build_folder() {
    return variable("DUNLIN_BOARD_BUILD");
}

std::string read(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    if (!in) throw std::runtime_error("no file " + path.string());
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

std::string output_of(const std::string& command) {
    std::FILE* pipe = ::popen(command.c_str(), "r");
    if (pipe == nullptr) throw std::runtime_error("cannot start: " + command);
    std::string out;
    std::array<char, 4096> buffer{};
    while (const std::size_t count = std::fread(buffer.data(), 1, buffer.size(), pipe))
        out.append(buffer.data(), count);
    const int status = ::pclose(pipe);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        throw std::runtime_error("failed with status " + std::to_string(status) + ": " + command + "\n" + out);
    }
    return out;
}

std::string run_image(const std::string& name, const std::string& options) {
    std::string emulator = read(build_folder() / "emulator.txt");
    emulator.erase(emulator.find_last_not_of('\n') + 1);
    const std::filesystem::path image = build_folder() / (name + ".elf"), text = build_folder() / (name + ".txt");
    // The timeout is for an image that hangs; instructions are counted, so they do not depend on the machine's
    // load.
    output_of(
        "timeout 120 " + emulator + " -icount shift=0 -nographic -monitor none -serial file:" + text.string() +
        " -semihosting-config enable=on,target=native -kernel " + image.string() + " " + options + " </dev/null");
    return read(text);
}

std::vector<std::string> words_after(const std::string& text, const std::string& first) {
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        std::vector<std::string> all{std::istream_iterator<std::string>(words), {}};
        if (all.empty() || all.front() != first) continue;
        all.erase(all.begin());
        return all;
    }
    throw std::runtime_error("no line begins with '" + first + "' in:\n" + text);
}

namespace {

std::string linked_part(const std::string& map) {
    const std::size_t start = map.find("Linker script and memory map");
    if (start == std::string::npos) throw std::runtime_error("not a map file");
    return map.substr(start);
}

}  // namespace

std::vector<Piece> linked_pieces(const std::string& map) {
    // " .text.name   0x00001234   0x56 object", where a long name has a line of its own.
    const std::regex entry(R"(\n (\.[^\s]+|COMMON)\s+0x([0-9a-f]+)\s+0x([0-9a-f]+) (\S[^\n]*))");
    const std::string text = linked_part(map);
    std::vector<Piece> pieces;
    for (std::sregex_iterator at(text.begin(), text.end(), entry), end; at != end; ++at) {
        const std::uint64_t bytes = std::stoull((*at)[3].str(), nullptr, 16);
        if (bytes > 0) pieces.push_back({(*at)[1].str(), (*at)[4].str(), bytes});
    }
    return pieces;
}

std::vector<std::string> forbidden_names(const std::string& map) {
    const std::regex forbidden(
        R"((^|[^A-Za-z0-9])(_?(malloc|calloc|realloc|free)(_r)?|_sbrk(_r)?|sbrk|_Znw[jm]|_Zna[jm]|_ZdlPv|__cxa_\w+|)"
        R"(__gxx_\w+|_Unwind_\w+|\w*printf\w*|puts|_ZNSt6locale\w*|_ZNSt\d*\w*_Locale\w*|_ZNSo\w*|_ZSt4cout|)"
        R"(_impure_ptr|__libc_init_array|__libc_fini_array|_exit|abort|atexit)($|[^A-Za-z0-9_]))");
    const std::string text = linked_part(map);
    std::vector<std::string> names;
    for (std::sregex_iterator at(text.begin(), text.end(), forbidden), end; at != end; ++at) {
        names.push_back((*at)[2].str());
    }
    return names;
}

Size size_of(const std::vector<Piece>& pieces) {
    Size size;
    for (const Piece& piece : pieces) {
        const auto begins = [&](const char* with) { return piece.section.rfind(with, 0) == 0; };
        if (begins(".text") || begins(".rodata") || begins(".srodata") || begins(".vectors") || begins(".ARM.ex"))
            size.flash += piece.bytes;
        if (begins(".data") || begins(".sdata")) size.flash += piece.bytes, size.ram += piece.bytes;
        if (begins(".bss") || begins(".sbss") || begins("COMMON")) size.ram += piece.bytes;
    }
    return size;
}

std::int64_t stack_room() {
    const std::string memory = read(std::filesystem::path(DUNLIN_SOURCE_DIR) / "firmware-targets/boards" /
                                    variable("DUNLIN_BOARD") / "memory.ld");
    const std::size_t at = memory.find("stack_room = ");
    if (at == std::string::npos) throw std::runtime_error("memory.ld without stack_room");
    std::size_t digits = 0;
    const std::int64_t number = std::stoll(memory.substr(at + 13), &digits);
    return memory[at + 13 + digits] == 'K' ? 1024 * number : number;
}

}  // namespace dunlin::firmware
