// SPDX-License-Identifier: Apache-2.0
// Bundles for other build systems, built by the compilers that are here.
#include "program.hpp"
#include "source_dir.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <regex>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace dunlin;
using namespace dunlin::program;

namespace {

int shell(const Folder& folder, const std::string& command) {
    return std::system(("cd " + folder.path().string() + " && " + command).c_str());
}
bool has(const Folder& folder, const std::string& program) {
    return shell(folder, "command -v " + program + " >which.txt") == 0;
}

void train(const Folder& folder, const char* out, const std::vector<std::string>& settings) {
    std::vector<std::string> arguments = {"--out", out, "--quiet", "--set=kernels=reference",
                                          "--set=rl.baseline=leave-one-out"};
    arguments.insert(arguments.end(), settings.begin(), settings.end());
    REQUIRE(run(folder, small_run("train", arguments)).code == 0);
}

/// Two models in one folder: one for a grid, and one for a real body.
void make_bundle(const Folder& folder) {
    train(folder, "run", {"--set=policy.hidden=[4]", "--set=seed=5"});
    REQUIRE(run(folder, {"export", "run", "--format", "bundle", "--name", "rover", "--out", "pack"}).code == 0);
    REQUIRE(
        run(folder, {"export", "run", "--format", "bundle", "--name", "arm", "--one-body", "--out", "pack"}).code ==
        0);
}

/// What a core of Arduino would give.
const std::string arduino =
    "#include <cstdio>\n#define HIGH 1\n#define LOW 0\n#define OUTPUT 1\n#define LED_BUILTIN 13\n"
    "static int writes;\nvoid pinMode(int, int) {}\nvoid delay(unsigned) {}\n"
    "void digitalWrite(int, int) { ++writes; }\n";

}  // namespace

TEST_CASE("a bundle holds what it includes and no more, with manifests and licences, and takes a second model") {
    const Folder folder;
    make_bundle(folder);
    const std::filesystem::path pack = folder / "pack";
    const auto json = nlohmann::json::parse(read(pack / "library.json"));
    CHECK(json.at("name") == "rover");  // the library stays what it was
    for (const char* file : {"library.properties", "idf_component.yml", "CMakeLists.txt", "zephyr/module.yml",
                             "zephyr/Kconfig", "zephyr/CMakeLists.txt", "Makefile", "README.md", "LICENSE",
                             "LICENSE.expected", "src/rover.hpp", "src/arm.hpp", "src/dunlin/tl/expected.hpp",
                             "examples/rover/rover.ino", "examples/arm/esp-idf/main/main.cpp"})
        CHECK(std::filesystem::exists(pack / file));

    std::vector<std::string> named;
    const std::regex include("#include \"([^\"]+)\""), placeholder("@[A-Z_]+@");
    for (const auto& entry : std::filesystem::recursive_directory_iterator(pack)) {
        if (!entry.is_regular_file()) continue;
        const std::string text = read(entry.path());
        CAPTURE(entry.path().string());
        CHECK_FALSE(std::regex_search(text, placeholder));
        if (entry.path().string().find("/src/") == std::string::npos) continue;
        for (std::sregex_iterator at(text.begin(), text.end(), include), end; at != end; ++at) {
            CHECK(std::filesystem::exists(pack / "src" / (*at)[1].str()));
            named.push_back((*at)[1].str());
        }
    }
    for (const auto& entry : std::filesystem::recursive_directory_iterator(pack / "src/dunlin")) {
        const std::string file = std::filesystem::relative(entry.path(), pack / "src").string();
        CAPTURE(file);
        if (entry.path().extension() == ".hpp" && !file.ends_with("_learner.hpp") &&
            !file.ends_with("flash_log.hpp"))
            CHECK(std::ranges::find(named, file) != named.end());
    }
    // Nothing of a host, of fleets, or of layers that a perceptron has not.
    for (const char* file : {"core/kernels/avx2.cpp", "core/network/gru.hpp", "transport", "envs/ranking.hpp"})
        CHECK_FALSE(std::filesystem::exists(pack / "src/dunlin" / file));

    const Ended unnamed = run(folder, {"export", "run", "--format", "bundle"});
    CHECK(unnamed.code == 2);
    CHECK(unnamed.err.find("--name") != std::string::npos);
    folder.file("pack/src/dunlin/core/arena.hpp", "// another version\n");
    const Ended mixed = run(folder, {"export", "run", "--format", "bundle", "--name", "third", "--out", "pack"});
    CHECK(mixed.code == 2);
    CHECK(mixed.err.find("empty folder") != std::string::npos);
    CHECK_FALSE(std::filesystem::exists(pack / "src/third.hpp"));
}

TEST_CASE("two models of a bundle are one program, by make alone, and as sketches with setup and loop") {
    const Folder folder;
    make_bundle(folder);
    REQUIRE(shell(folder,
                  "make -s -C pack BUILD=../built 'OPTIONS=-O1 -DNDEBUG -ffp-contract=off' >log.txt 2>&1") == 0);
    const std::string compile = "c++ -std=c++20 -O1 -Wall -Wextra -Werror -ffp-contract=off -Ipack/src ";
    for (const char* sketch : {"rover", "arm"}) {
        CAPTURE(sketch);
        folder.file("sketch.cpp",
                    arduino + "#include \"pack/examples/" + sketch + "/" + sketch +
                        ".ino\"\nint main() {\n    setup();\n    for (int k = 0; k < 3; ++k) loop();\n"
                        "    return ready && writes == 3 ? 0 : 1;\n}\n");
        REQUIRE(shell(folder, compile + "sketch.cpp built/librover.a -o sketch 2>>log.txt") == 0);
        CHECK(shell(folder, "./sketch") == 0);
    }
    folder.file("both.cpp",
                "#include <arm.hpp>\n#include <rover.hpp>\nusing namespace dunlin::exported;\n"
                "int main() { return arm::Policy::intact() && rover::Policy::intact() ? 0 : 1; }\n");
    REQUIRE(shell(folder, compile + "both.cpp built/librover.a -o both") == 0);
    CHECK(shell(folder, "./both") == 0);
    CHECK(shell(folder, compile + "-ffast-math -fsyntax-only both.cpp 2>fast.txt") != 0);
    CHECK(read(folder / "fast.txt").find("without -ffast-math") != std::string::npos);
    CHECK(shell(folder, "c++ -std=c++17 -Ipack/src -fsyntax-only both.cpp 2>old.txt") != 0);
}

TEST_CASE("a bundle compiles for a Cortex-M and for RISC-V where their compilers are") {
    const Folder folder;
    make_bundle(folder);
    const std::string headers = "/usr/include/newlib/c++/12.2.1";
    const struct {
        std::string prefix, flags;
    } processors[] = {
        {"arm-none-eabi-", "-mcpu=cortex-m4 -mthumb -mfpu=fpv4-sp-d16 -mfloat-abi=hard"},
        {"riscv64-unknown-elf-", "-march=rv32imafc -mabi=ilp32f --specs=picolibc.specs -nostdinc++ -isystem " +
                                     headers + " -isystem " + headers + "/arm-none-eabi/thumb/v6-m/nofp"}};
    for (const auto& [prefix, flags] : processors) {
        if (!has(folder, prefix + "g++") || !std::filesystem::exists(headers)) continue;
        CAPTURE(prefix);
        CHECK(shell(folder, "make -s -C pack BUILD=../" + prefix + "built CC=" + prefix + "gcc CXX=" + prefix +
                                "g++ AR=" + prefix + "ar 'FLAGS=-Werror -Wall -Wextra " + flags +
                                "' >log.txt 2>&1") == 0);
    }
}

TEST_CASE("two models that were given no names do not share their numbers without a word") {
    const Folder folder;
    train(folder, "a", {"--set=policy.hidden=[4]", "--set=seed=5"});
    train(folder, "b", {"--set=policy.hidden=[4]", "--set=seed=6"});
    for (const char* of : {"a", "b"}) {
        const std::string name(of);
        REQUIRE(run(folder, {"export", name, "--format", "header"}).code == 0);
        REQUIRE(run(folder, {"export", name, "--format", "c"}).code == 0);
        folder.file(name + ".cpp", "#include \"" + name + "/policy.hpp\"\nextern const float* const numbers_of_" +
                                       name + " = dunlin::exported::Policy::parameters.data();\n");
    }
    folder.file(
        "main.cpp",
        "extern const float* const numbers_of_a;\nextern const float* const numbers_of_b;\n"
        "int main() { return numbers_of_a != numbers_of_b && numbers_of_a[0] != numbers_of_b[0] ? 0 : 1; }\n");
    REQUIRE(shell(folder, "c++ -std=c++20 -O0 -I. -I" DUNLIN_SOURCE_DIR " main.cpp a.cpp b.cpp -o two") == 0);
    CHECK(shell(folder, "./two") == 0);

    // In C: in one file an error of the compiler, in two libraries one of the linker.
    folder.file("main.c", "#include \"a/policy.h\"\n#include \"b/policy.h\"\nint main(void) { return 0; }\n");
    CHECK(shell(folder, "cc -fsyntax-only main.c 2>errors.txt") != 0);
    CHECK(read(folder / "errors.txt").find("--name") != std::string::npos);
    folder.file("main.c", "int use_a(void);\nint use_b(void);\nint main(void) { return use_a() + use_b(); }\n");
    for (const char* of : {"a", "b"}) {
        const std::string name(of);
        folder.file(name + "/use.c", "#include \"policy.h\"\nint use_" + name +
                                         "(void) {\n    float out[DUNLIN_POLICY_OUTPUTS];\n"
                                         "    dunlin_policy_forward(0, out);\n    return (int)out[0];\n}\n");
        REQUIRE(shell(folder,
                      "cd " + name + " && cc -c use.c policy.c && ar rcs lib" + name + ".a use.o policy.o") == 0);
    }
    CHECK(shell(folder, "cc main.c a/liba.a b/libb.a -lm -o two-c 2>errors.txt") != 0);
    CHECK(read(folder / "errors.txt").find("dunlin_policy_forward") != std::string::npos);
}
