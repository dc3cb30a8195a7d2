// SPDX-License-Identifier: Apache-2.0
#include "core/mlp.hpp"
#include "program.hpp"
#include "source_dir.hpp"
#include "training/models/model_file.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <sstream>

#include <catch2/catch.hpp>

using namespace dunlin;
using namespace dunlin::program;

namespace {

/// Trains a little with these settings into folder/run.
void train(const Folder& folder, const std::vector<std::string>& settings) {
    std::vector<std::string> arguments = {"--out", "run", "--quiet", "--set=kernels=reference",
                                          "--set=rl.baseline=leave-one-out"};
    arguments.insert(arguments.end(), settings.begin(), settings.end());
    REQUIRE(run(folder, small_run("train", arguments)).code == 0);
}

int shell(const Folder& folder, const std::string& command) {
    return std::system(("cd " + folder.path().string() + " && " + command).c_str());
}

/// What the C of a policy answers, compiled by the C compiler, for inputs in text; as exact text too.
std::vector<float> answers_of_c(const Folder& folder, const std::string& body) {
    folder.file("main.c",
                "#include \"policy.h\"\n#include <stdio.h>\nint main(void) {\n    int k;\n"
                "    float out[DUNLIN_POLICY_OUTPUTS];\n" +
                    body + "    return 0;\n}\n");
    REQUIRE(shell(folder,
                  "cc -std=c99 -pedantic -Wall -Wextra -Werror -O2 -ffp-contract=off main.c policy.c -lm -o c") ==
            0);
    REQUIRE(shell(folder, "./c > answers.txt") == 0);
    std::istringstream text(read(folder / "answers.txt"));
    std::vector<float> answers;
    for (std::string word; text >> word;) answers.push_back(std::strtof(word.c_str(), nullptr));
    return answers;
}

const std::string print = "    for (k = 0; k < DUNLIN_POLICY_OUTPUTS; ++k) printf(\"%a\\n\", (double)out[k]);\n";

/// The output layer for one input, by the reference kernels.
std::vector<float> forward(const TrainedModel& policy, Inputs<float> inputs) {
    std::vector<float> tape(static_cast<std::size_t>(policy.shape.units()));
    const Mlp<float> network{policy.shape};
    network.forward(policy.parameters.data(), inputs, {tape.data(), 1}, 1);
    return {tape.end() - policy.shape.outputs(), tape.end()};
}

}  // namespace

TEST_CASE("a policy exported to C has the bits of the reference kernels, without a C++ compiler") {
    const Folder folder;
    for (const char* activation : {"tanh", "relu"}) {
        CAPTURE(activation);
        const Folder here;
        train(here, {std::string("--set=policy.activation=") + activation, "--set=policy.input=coordinates",
                     "--set=policy.hidden=[9,7]"});
        REQUIRE(run(here, {"export", "run", "--format", "c", "--out", "."}).code == 0);
        const TrainedModel policy = *TrainedModel::read(here / "run/policy.dunlin");
        const std::vector<float> answers = answers_of_c(
            here, "    const float input[2] = {0.25f, -0.75f};\n    dunlin_policy_forward(input, out);\n" + print);
        const std::array<float, 2> input = {0.25f, -0.75f};
        CHECK(answers == forward(policy, {{input.data(), 1}, nullptr}));
    }
}

TEST_CASE("a one-hot policy exported to C answers for every state, and its probabilities sum to one") {
    const Folder folder;
    train(folder, {"--set=policy.hidden=[6]"});
    REQUIRE(run(folder, {"export", "run", "--format", "c", "--out", "."}).code == 0);
    const TrainedModel policy = *TrainedModel::read(folder / "run/policy.dunlin");
    const std::vector<float> answers =
        answers_of_c(folder,
                     "    int s;\n    for (s = 0; s < DUNLIN_POLICY_INPUTS; ++s) {\n"
                     "        dunlin_policy_forward(s, out);\n    " +
                         print + "        dunlin_policy_softmax(out);\n    " + print + "    }\n");
    const auto outputs = static_cast<std::size_t>(policy.shape.outputs());
    REQUIRE(answers.size() == 2 * outputs * static_cast<std::size_t>(policy.shape.inputs));
    for (std::int32_t s = 0; s < policy.shape.inputs; ++s) {
        const auto at = answers.begin() + 2 * s * policy.shape.outputs();
        CHECK(std::vector<float>(at, at + policy.shape.outputs()) == forward(policy, {{}, &s}));
        float sum = 0;
        for (std::size_t k = 0; k < outputs; ++k)
            sum += *(at + policy.shape.outputs() + static_cast<std::ptrdiff_t>(k));
        CHECK(sum == Approx(1.0));
    }
}

TEST_CASE("a header compiles as it is, and knows when a number was changed or is missing") {
    const Folder folder;
    train(folder, {"--set=policy.hidden=[4]"});
    const Ended exported = run(folder, {"export", "run", "--format", "header", "--task", "goal=1,2;wind=0.1"});
    REQUIRE(exported.code == 0);
    CHECK(exported.out == "run/policy.hpp\n");
    const std::string header = read(folder / "run/policy.hpp");
    folder.file("main.cpp",
                "#include \"run/policy.hpp\"\n"
                "static_assert(dunlin::exported::Policy::task.goal == dunlin::GridCell{1, 2});\n"
                "static_assert(dunlin::exported::Policy::task.wind == 0.1f);\n");
    const std::string compile = "c++ -std=c++20 -fsyntax-only -I. -I" DUNLIN_SOURCE_DIR " main.cpp 2>errors.txt";
    CHECK(shell(folder, compile) == 0);

    const std::string check = "c++ -std=c++20 -I. -I" DUNLIN_SOURCE_DIR " intact.cpp -o intact 2>errors.txt";
    folder.file("intact.cpp",
                "#include \"run/policy.hpp\"\nint main() { return dunlin::exported::Policy::intact() ? 0 : 1; }\n");
    REQUIRE(shell(folder, check) == 0);
    CHECK(shell(folder, "./intact") == 0);

    std::string damaged = header;
    const std::size_t number = damaged.find("0x1.", damaged.find("parameters = "));
    REQUIRE(number != std::string::npos);
    damaged[number + 4] = damaged[number + 4] == '5' ? '6' : '5';
    folder.file("run/policy.hpp", damaged);
    REQUIRE(shell(folder, check) == 0);
    CHECK(shell(folder, "./intact") != 0);

    std::string shorter = header;
    const std::size_t array = shorter.find("array<float, ") + 13;
    shorter.replace(array, shorter.find('>', array) - array, "1000");
    folder.file("run/policy.hpp", shorter);
    CHECK(shell(folder, compile) != 0);
}

TEST_CASE("a header of more numbers than a constant expression may go through compiles, with every compiler here") {
    const Folder folder;
    REQUIRE(run(folder, {"train", "board", "--set=rl.iterations=0", "--set=policy.hidden=[256,128]", "--out", "run",
                         "--quiet"})
                .code == 0);
    REQUIRE(run(folder, {"export", "run", "--format", "header"}).code == 0);
    folder.file("main.cpp", "#include \"run/policy.hpp\"\n");
    for (const std::string compiler : {"g++", "clang++"}) {
        if (shell(folder, "command -v " + compiler + " >which.txt") != 0) continue;
        CAPTURE(compiler);
        CHECK(shell(folder, compiler + " -std=c++20 -fsyntax-only -I. -I" DUNLIN_SOURCE_DIR " main.cpp") == 0);
    }
}

TEST_CASE("two exported models live in one program under names of their own") {
    const Folder folder;
    train(folder, {"--set=policy.hidden=[4]"});
    for (const char* name : {"left_arm", "right_arm"}) {
        for (const char* format : {"header", "c", "onnx"})
            REQUIRE(run(folder, {"export", "run", "--format", format, "--name", name, "--out", "."}).code == 0);
    }
    folder.file("main.c",
                "#include \"left_arm.h\"\n#include \"right_arm.h\"\n"
                "int main(void) {\n    float a[LEFT_ARM_OUTPUTS], b[RIGHT_ARM_OUTPUTS];\n"
                "    left_arm_forward(3, a);\n    right_arm_forward(3, b);\n"
                "    return left_arm_best(a) == right_arm_best(b) ? 0 : 1;\n}\n");
    REQUIRE(shell(folder,
                  "cc -std=c99 -pedantic -Wall -Wextra -Werror main.c left_arm.c right_arm.c -lm -o both") == 0);
    CHECK(shell(folder, "./both") == 0);
    folder.file("main.cpp",
                "#include \"left_arm.hpp\"\n#include \"right_arm.hpp\"\n"
                "static_assert(dunlin::exported::left_arm::Policy::checksum == "
                "dunlin::exported::right_arm::Policy::checksum);\n");
    CHECK(shell(folder, "c++ -std=c++20 -fsyntax-only -I. -I" DUNLIN_SOURCE_DIR " main.cpp") == 0);
    for (const char* wrong : {"", "1st", "left-arm", "int", "class", "_x", "a__b", "math", "a b", "caf\xc3\xa9"}) {
        CAPTURE(wrong);
        const Ended refused = run(folder, {"export", "run", "--format", "c", "--name", wrong});
        CHECK(refused.code == 2);
        CHECK(refused.err.find("--name") != std::string::npos);
    }
}

TEST_CASE("no input of the C export has undefined behaviour: what is not a number gives none") {
    for (const char* settings : {"--set=policy.activation=tanh", "--set=policy.activation=relu"}) {
        const Folder folder;
        train(folder, {settings, "--set=policy.input=coordinates", "--set=policy.hidden=[5]"});
        REQUIRE(run(folder, {"export", "run", "--format", "c", "--out", "."}).code == 0);
        folder.file("main.c",
                    "#include \"policy.h\"\n#include <math.h>\nint main(void) {\n"
                    "    const float bad[] = {NAN, -NAN, INFINITY, -INFINITY, 3e38f};\n    int i, k;\n"
                    "    for (i = 0; i < 5; ++i) {\n"
                    "        float in[2], out[DUNLIN_POLICY_OUTPUTS];\n        in[0] = bad[i]; in[1] = 0.5f;\n"
                    "        dunlin_policy_forward(in, out);\n"
                    "        if (i < 2 && dunlin_policy_best(out) != -1) return 1;\n"
                    "        dunlin_policy_softmax(out);\n"
                    "        for (k = 0; i < 2 && k < DUNLIN_POLICY_OUTPUTS; ++k) if (!isnan(out[k])) return 2;\n"
                    "    }\n    return 0;\n}\n");
        REQUIRE(
            shell(folder,
                  "cc -std=c99 -fsanitize=undefined,float-cast-overflow -fno-sanitize-recover=all main.c policy.c "
                  "-lm -o c") == 0);
        CHECK(shell(folder, "./c") == 0);
    }
    const Folder folder;
    train(folder, {"--set=policy.hidden=[]"});
    REQUIRE(run(folder, {"export", "run", "--format", "c", "--out", "."}).code == 0);
    folder.file(
        "main.c",
        "#include \"policy.h\"\nint main(void) {\n    float out[DUNLIN_POLICY_OUTPUTS];\n"
        "    dunlin_policy_forward(-1, out);\n    if (dunlin_policy_best(out) != -1) return 1;\n"
        "    dunlin_policy_forward(DUNLIN_POLICY_INPUTS, out);\n    return dunlin_policy_best(out) == -1 ? 0 : "
        "1;\n}\n");
    REQUIRE(shell(folder, "cc -std=c99 -fsanitize=undefined,address main.c policy.c -lm -o c") == 0);
    CHECK(shell(folder, "./c") == 0);
}

TEST_CASE("what an export would ignore is refused by name") {
    const Folder folder;
    train(folder, {"--set=policy.hidden=[]"});
    const std::vector<std::string> options[] = {
        {"--task", "goal=1,2"}, {"--steps", "3"}, {"--count", "3"}, {"--name", "a"}, {"--node", "0"}};
    const struct {
        std::vector<std::string> what;
        std::vector<std::string> used;
    } exports[] = {{{"--trajectories"}, {"--steps", "--count"}},
                   {{"--format", "header"}, {"--task", "--steps", "--name", "--node"}},
                   {{"--format", "c"}, {"--name", "--node"}},
                   {{"--format", "onnx"}, {"--name", "--node"}},
                   {{"--format", "npy"}, {"--node"}},
                   {{"--format", "csv"}, {"--node"}}};
    for (const auto& kind : exports) {
        for (const auto& option : options) {
            if (std::find(kind.used.begin(), kind.used.end(), option[0]) != kind.used.end()) continue;
            std::vector<std::string> arguments{"export", "run"};
            arguments.insert(arguments.end(), kind.what.begin(), kind.what.end());
            arguments.insert(arguments.end(), option.begin(), option.end());
            const Ended refused = run(folder, arguments);
            CAPTURE(kind.what, option, refused.err);
            CHECK(refused.code == 2);
            CHECK(refused.err.find(option[0]) != std::string::npos);
        }
    }
    CHECK(run(folder, {"adapt", "run", "--node", "1", "--no-plot"}).code == 2);
    for (const std::vector<std::string>& wrong :
         std::vector<std::vector<std::string>>{{"--neighbours", "2"},
                                               {"--table", "--hidden", "8"},
                                               {"--table", "--activation", "tanh"},
                                               {"--one-hot", "--inputs", "9", "--cells", "10"}}) {
        std::vector<std::string> arguments{"footprint"};
        arguments.insert(arguments.end(), wrong.begin(), wrong.end());
        CHECK(run(folder, arguments).code == 2);
    }
}

TEST_CASE(
    "a board's classifier and samples for it go out together and fit each other, and what are no samples is "
    "refused") {
    const Folder folder;
    REQUIRE(run(folder,
                {"train", "keywords", "--set=data.rows=600", "--set=clock.budget_s=60", "--out", "run", "--quiet"})
                .code == 0);
    REQUIRE(run(folder, {"export", "run", "--format", "header", "--quiet"}).code == 0);
    REQUIRE(run(folder, {"export", "run", "--format", "samples", "--node", "2", "--count", "3", "--quiet"}).code ==
            0);
    folder.file("main.cpp", R"(
#include "run/model.hpp"
#include "run/samples.hpp"
#include "sample_node.hpp"
#include <cstdio>
using namespace dunlin;
using exported::Samples;
static device::SampleNode<exported::Supervised, Samples::Cell, Samples::learned> node;
int main() {
    static_assert(Samples::learned == 30 && Samples::held_out > 5 && sizeof(Samples::Cell) == 1);
    if (!node.start(1)) return 1;
    const std::span values(Samples::values);
    for (std::size_t k = 0; k < Samples::learned; ++k) {
        if (!node.keep(values.subspan(k * 400, 400), Samples::labels[k])) return 2;
    }
    node.judge_on(values.subspan(Samples::learned * 400), std::span(Samples::labels).subspan(Samples::learned));
    static std::array<float, exported::Supervised::parameters.size()> scratch;
    std::array<double, 2> told{};
    node.measure({}, exported::Supervised::parameters, 1, 2, scratch, told, [] {});
    std::printf("%d %g %g\\n", exported::Supervised::learning.steps, told[0], told[1]);
}
)");
    const std::string root = DUNLIN_SOURCE_DIR;
    REQUIRE(shell(folder, "c++ -std=c++20 -O1 -Wall -Wextra -Werror -ffp-contract=off -I. -I" + root + " -I" +
                              root + "/firmware-targets/device main.cpp " + root + "/core/kernels/generic.cpp " +
                              root + "/core/kernels/generic_layers.cpp " + root +
                              "/core/mlp.cpp -o board 2>log.txt") == 0);
    REQUIRE(shell(folder, "./board > told.txt") == 0);
    std::istringstream told(read(folder / "told.txt"));
    int steps = 0;
    double accuracy = -1, loss = -1;
    REQUIRE((told >> steps >> accuracy >> loss));
    CHECK(steps == 200);
    CHECK((accuracy >= 0 && accuracy <= 1));
    CHECK((loss > 0 && loss < 5));

    const auto refused = [&](std::vector<std::string> arguments, const std::string& word) {
        arguments.insert(arguments.begin(), "export");
        const Ended ended = run(folder, arguments);
        CHECK(ended.code == 2);
        CHECK(ended.err.find(word) != std::string::npos);
    };
    refused({"run", "--format", "samples"}, "--node");
    refused({"run", "--format", "samples", "--node", "9"}, "9");
    refused({"run", "--format", "header", "--count", "3"}, "--count");
    REQUIRE(run(folder, small_run("train", {"--out", "policy", "--quiet"})).code == 0);
    refused({"policy", "--format", "samples", "--node", "0"}, "classification");
}

TEST_CASE("what a board cannot do is refused when its policy is exported") {
    const Folder folder;
    REQUIRE(run(folder, small_run("train", {"--out", "run", "--quiet", "--set=rl.baseline=linear"})).code == 0);
    const Ended linear = run(folder, {"export", "run", "--format", "header"});
    CHECK(linear.code == 2);
    CHECK(linear.err.find("rl.baseline=leave-one-out") != std::string::npos);
    CHECK(run(folder, {"export", "run", "--format", "c"}).code == 0);  // that only evaluates
    CHECK(run(folder, {"export", "run", "--format", "pdf"}).code == 2);
    CHECK(run(folder, {"export", "run", "--format", "c", "--trajectories"}).code == 2);
    CHECK(run(folder, {"export", "run", "--format", "header", "--task", "goal=9,9"}).code == 2);
}
