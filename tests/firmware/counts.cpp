// SPDX-License-Identifier: Apache-2.0
#include "firmware/board.hpp"
#include "source_dir.hpp"

#include <fstream>
#include <sstream>
#include <stdexcept>

namespace dunlin::firmware {
namespace {

/// The cycles of a Cortex-M4F stand beside the counts of a board that has one.
bool has_cycles() {
    const std::string board = read(std::filesystem::path(DUNLIN_SOURCE_DIR) / "firmware-targets/boards" /
                                   variable("DUNLIN_BOARD") / "board.cmake");
    return board.find("cortex-m4") != std::string::npos;
}

/// Takes the counts of a bench image's lines: name, instructions, ticks, calls; and of the plugin's, in the same order,
/// the cycles of all calls.
void take_counts(const std::string& bench, const std::filesystem::path& regions,
                 std::map<std::string, std::int64_t>& numbers) {
    std::istringstream lines(bench);
    std::ifstream counted(regions);
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words(line);
        std::string name;
        std::int64_t instructions = 0, ticks = 0, calls = 0, exactly = 0, cycles = 0;
        if (!(words >> name >> instructions >> ticks >> calls)) continue;
        numbers[name] = instructions;
        if (!(counted >> exactly >> cycles)) throw std::runtime_error("no cycles for " + name);
        if (has_cycles()) numbers["cycles_" + name] = cycles / calls;
    }
}

}  // namespace

const std::string& bench_text() {
    static const std::string text =
        run_image("bench", "-plugin " DUNLIN_CYCLES_PLUGIN ",out=" + (build_folder() / "regions.txt").string());
    return text;
}

const std::map<std::string, std::int64_t>& measured() {
    static const std::map<std::string, std::int64_t> all = [] {
        std::map<std::string, std::int64_t> numbers;
        const std::string& bench = bench_text();
        const auto number = [&](const std::string& name) { return std::stoll(words_after(bench, name).at(0)); };
        take_counts(bench, build_folder() / "regions.txt", numbers);
        if (std::filesystem::exists(build_folder() / "learner.map")) {
            numbers["keywords_ram_bytes"] = number("keywords_ram_bytes");
            const std::string body = run_image("body");
            for (const char* name : {"one_body_act", "one_body_update", "one_body_update_sliced",
                                     "one_body_slice_1000", "one_body_ram_bytes", "one_body_total_bytes"})
                numbers[name] = std::stoll(words_after(body, name).at(0));
            // The learner's image without the board: start-up and drivers would be the vendor's.
            std::vector<Piece> pieces = linked_pieces(read(build_folder() / "learner.map"));
            std::erase_if(pieces, [](const Piece& piece) {
                return piece.object.find("dunlin_board.dir") != std::string::npos;
            });
            const Size size = size_of(pieces);
            numbers["text_bytes"] = static_cast<std::int64_t>(size.flash);
            // Parameters, personal parameters and their gradient; activations; what a batch recorded.
            numbers["ram_bytes"] = static_cast<std::int64_t>(size.ram) - 3 * 4 * number("learner_parameters") -
                                   number("learner_activation_bytes") - number("learner_record_bytes");
        }
        numbers["stack_bytes"] = number("stack");
        for (const char* image : {"adapt", "bench", "body"}) {
            if (!std::filesystem::exists(build_folder() / (std::string(image) + ".map")))
                continue;  // a small board
            const Size size = size_of(linked_pieces(read(build_folder() / (std::string(image) + ".map"))));
            numbers[std::string(image) + "_flash_bytes"] = static_cast<std::int64_t>(size.flash);
            numbers[std::string(image) + "_ram_bytes"] = static_cast<std::int64_t>(size.ram);
        }
        // A node's with the whole of the stack's room.
        const auto node = std::filesystem::path(variable("DUNLIN_NODE_BUILD"));
        if (std::filesystem::exists(node / "node.map")) {
            const Size size = size_of(linked_pieces(read(node / "node.map")));
            numbers["node_flash_bytes"] = static_cast<std::int64_t>(size.flash);
            numbers["node_ram_bytes"] = static_cast<std::int64_t>(size.ram) + stack_room();
            if (std::filesystem::exists(node / "node-secure.map"))
                numbers["node_secure_flash_bytes"] =
                    static_cast<std::int64_t>(size_of(linked_pieces(read(node / "node-secure.map"))).flash);
            // Of several boards not each goes through a job (scripts/firmware.sh).
            if (std::filesystem::exists(node / "node.txt"))
                numbers["node_stack_bytes"] = std::stoll(words_after(read(node / "node.txt"), "stack").at(0));
        }
        return numbers;
    }();
    return all;
}

}  // namespace dunlin::firmware
