// SPDX-License-Identifier: Apache-2.0
#include "firmware/board.hpp"
#include "program_path.hpp"
#include "source_dir.hpp"

#include <bit>
#include <cstdlib>
#include <fstream>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace dunlin;
using namespace dunlin::firmware;

namespace {

double from_bits(const std::string& hexadecimal) {
    return std::bit_cast<double>(std::uint64_t{std::stoull(hexadecimal, nullptr, 16)});
}

std::filesystem::path baseline_path() {
    return std::filesystem::path(DUNLIN_SOURCE_DIR) / "firmware-targets/baseline.json";
}

/// What no board may exceed, whatever its baseline says (issue: the same learner on microcontrollers).
struct Target {
    const char* board;  ///< "": all that have it
    const char* name;
    std::int64_t most;
};
constexpr Target targets[] = {{"mps2-an386", "forward_2_64_64_5", 7'500},
                              {"mps2-an386", "forward_backward_2_64_64_5", 21'000},
                              {"mps2-an386", "sgd_2_64_64_5", 8'500},
                              {"mps2-an386", "forward_backward_keywords", 75'000},
                              {"mps2-an386", "keywords_ram_bytes", 20'000},
                              {"mps2-an386", "gru_32_8_20", 420'000},
                              {"mps2-an386", "tanh_unit", 32},
                              {"mps2-an386", "crc_byte", 12},
                              {"mps2-an386", "forward_64_64_int8", 7'000},
                              {"microbit", "forward_64_64_int8", 25'000},
                              {"mps3-an547", "forward_64_64", 3'300},
                              {"virt-rv32", "forward_2_64_64_5", 11'500},
                              {"mps2-an386", "text_bytes", 12'000},
                              {"mps2-an386", "ram_bytes", 1'000},
                              {"mps2-an386", "one_body_ram_bytes", 6'000},
                              {"", "node_flash_bytes", 65'535},
                              {"", "node_secure_flash_bytes", 98'304},
                              {"", "node_ram_bytes", 98'303}};

bool has_node() {
    return read(std::filesystem::path(DUNLIN_SOURCE_DIR) / "firmware-targets/boards" / variable("DUNLIN_BOARD") /
                "board.cmake")
               .find("BOARD_HAS_NODE OFF") == std::string::npos;
}
/// Whether the node went through the job of a whole fleet, and said how deep its stack was.
bool node_lived() {
    return has_node() && std::filesystem::exists(variable("DUNLIN_NODE_BUILD") + "/node.txt");
}

}  // namespace

TEST_CASE("a name that has no place in firmware is found in a map, and only where it is linked") {
    const std::string map =
        "Discarded input sections\n .text.malloc 0x0 0x10 libc.a(malloc.o)\n"
        "Linker script and memory map\n\n .text._ZN6dunlin4mainE\n                0x00000010       0x20 a.o\n";
    CHECK(forbidden_names(map).empty());
    for (const char* name :
         {"malloc", "_malloc_r", "_sbrk", "__cxa_throw", "printf", "vfprintf", "_ZNSt6locale5facetE"}) {
        CAPTURE(name);
        CHECK(forbidden_names(map + " .text." + name + "\n                0x00000030 0x4 b.o\n") ==
              std::vector<std::string>{name});
    }
    REQUIRE(linked_pieces(map).size() == 1);
    CHECK(size_of(linked_pieces(map)).flash == 0x20);
}

TEST_CASE("no image links an allocator, exceptions, formatted output or locales") {
    for (const auto& folder : {build_folder(), std::filesystem::path(variable("DUNLIN_NODE_BUILD"))}) {
        if (!std::filesystem::exists(folder)) continue;
        for (const auto& file : std::filesystem::directory_iterator(folder)) {
            if (file.path().extension() != ".map") continue;
            CAPTURE(file.path().filename());
            const std::string map = read(file.path());
            CHECK_FALSE(linked_pieces(map).empty());
            CHECK(forbidden_names(map) == std::vector<std::string>{});
        }
    }
    // Else what was not there passed.
    for (const char* image : {"adapt", "bench"})
        CHECK(std::filesystem::exists(build_folder() / (std::string(image) + ".map")));
    if (has_node()) CHECK(std::filesystem::exists(variable("DUNLIN_NODE_BUILD") + "/node.map"));
}

TEST_CASE("a board lifts a task that it has never seen, with the returns of the host to the bit") {
    const std::string text = run_image("adapt");
    const auto run =
        nlohmann::json::parse(output_of(std::string(DUNLIN_PROGRAM) + " adapt " + variable("DUNLIN_BOARD_RUN") +
                                        " --kernels reference --json --no-plot"));
    const auto& steps = run.at("tasks").at(0).at("steps");
    const double optimum = from_bits(words_after(text, "optimum").at(0));
    CHECK(optimum == steps.at(0).at("optimal_return").get<double>());

    std::vector<double> returns;
    std::istringstream lines(text);
    for (std::string word; lines >> word;) {
        if (word != "return") continue;
        int step = 0;
        std::string bits;
        lines >> step >> bits;
        REQUIRE(step == static_cast<int>(returns.size()));
        returns.push_back(from_bits(bits));
        CAPTURE(step, returns.back());
        CHECK(returns.back() == steps.at(static_cast<std::size_t>(step)).at("return").get<double>());
    }
    REQUIRE(returns.size() == steps.size());
    CHECK(returns.front() < 0.5 * optimum);
    CHECK(returns.back() >= 0.9 * optimum);
}

TEST_CASE("no count is more than 3 percent above the baseline, and none above its target") {
    const std::string board = variable("DUNLIN_BOARD");
    auto baseline = nlohmann::ordered_json::parse(read(baseline_path()));
    for (const Target& target : targets) {
        if (target.board[0] != '\0' ? board != target.board : measured().count(target.name) == 0) continue;
        CAPTURE(target.name);
        CHECK(measured().at(target.name) <= target.most);
    }
    if (std::getenv("DUNLIN_ACCEPT") != nullptr) {
        baseline[board] = nlohmann::ordered_json(measured());
        std::ofstream(baseline_path()) << baseline.dump(2) << "\n";
        return;
    }
    INFO("accept the new numbers with: scripts/firmware.sh " << board << " --accept, and commit baseline.json");
    REQUIRE(baseline.contains(board));
    for (const auto& [name, now] : measured()) {
        CAPTURE(name, now);
        REQUIRE(baseline.at(board).contains(name));
        const auto before = baseline.at(board).at(name).get<std::int64_t>();
        CAPTURE(before);
        // How deep a node's stack was depends on what came while it lived, and when.
        const double margin = name == "node_stack_bytes" ? 1.10 : 1.03;
        CHECK(static_cast<double>(now) <= margin * static_cast<double>(before));
    }
    for (const auto& [name, before] : baseline.at(board).items()) {
        CAPTURE(name);
        if (name == "node_stack_bytes" && !node_lived()) continue;
        CHECK(measured().count(name) == 1);
    }
}

TEST_CASE("the stack stays within three quarters of its room") {
    const std::int64_t room = stack_room();
    for (const char* image : {"adapt", "bench", "push", "body"}) {
        const bool built = std::filesystem::exists(build_folder() / (std::string(image) + ".elf"));
        if ((image == std::string_view("push") || image == std::string_view("body")) && !built)
            continue;  // a small board
        CAPTURE(image);
        const std::int64_t used = std::stoll(words_after(run_image(image), "stack").at(0));
        CHECK(used > 100);  // the paint was there
        CHECK(used * 4 <= room * 3);
    }
    if (node_lived()) CHECK(measured().at("node_stack_bytes") * 4 <= room * 3);
}

TEST_CASE("dunlin footprint tells flash and RAM to 5 percent of what is linked") {
    if (!has_node()) return;  // a board too small for it
    const auto held = [](const std::string& arguments, std::int64_t flash, std::int64_t ram) {
        CAPTURE(arguments);
        const auto told = nlohmann::json::parse(output_of(DUNLIN_PROGRAM + (" footprint --json " + arguments)));
        // Code is told for a Cortex-M4F; one with double precision links less of it.
        if (variable("DUNLIN_BOARD") == "mps2-an386") {
            CHECK(told.at("flash_bytes").get<double>() == Approx(static_cast<double>(flash)).epsilon(0.05));
        }
        CHECK(told.at("ram_bytes").get<double>() == Approx(static_cast<double>(ram)).epsilon(0.05));
    };
    held("--one-hot --inputs 49 --hidden 32 --activation tanh --method adapt", measured().at("adapt_flash_bytes"),
         measured().at("adapt_ram_bytes") + std::stoll(words_after(run_image("adapt"), "stack").at(0)));
    held("--inputs 2 --hidden 32,32 --cells 25 --trajectories 16 --horizon 16 --method pars-push --neighbours 3",
         measured().at("node_flash_bytes"), measured().at("node_ram_bytes"));
    held("--one-body --inputs 4 --outputs 3 --hidden 32,32 --activation tanh --trajectories 1 --horizon 16",
         measured().at("body_flash_bytes"),
         measured().at("body_ram_bytes") + std::stoll(words_after(run_image("body"), "stack").at(0)));
}
