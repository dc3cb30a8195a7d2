// SPDX-License-Identifier: Apache-2.0
// Networks of every kind of layer as ONNX and as C, run by others.
#include "network_folder.hpp"
#include "network_samples.hpp"
#include "source_dir.hpp"
#include "training/models/model_export.hpp"

#include <algorithm>
#include <sstream>

#include <catch2/catch.hpp>

using namespace dunlin;
using namespace dunlin::test;

TEST_CASE("networks of every kind of layer are valid ONNX, and compute there what they compute here") {
    if (!has_onnx()) return;
    const Folder folder;
    for (const NetworkSample& sample : network_samples()) {
        const TrainedModel model = scaled(model_of(sample));
        const Lines lines = lines_of(model);
        folder.write(sample.name + ".onnx", model_onnx(model, sample.name));
        folder.write(sample.name + ".in", lines.in);
        folder.write(sample.name + ".out", lines.out);
    }
    CHECK(folder.shell("/usr/bin/python3 " DUNLIN_SOURCE_DIR "/tests/training/onnx_evaluate.py . >log.txt 2>&1") ==
          0);
    INFO(folder.read("log.txt"));
    CHECK(folder.read("log.txt").find("Error") == std::string::npos);
}

TEST_CASE("networks of every kind of layer have in C the bits of the reference kernels, without a C++ compiler") {
    const Folder folder;
    std::string program = "#include <stdio.h>\n#include <math.h>\n", body, wanted, sources;
    for (const NetworkSample& sample : network_samples()) {
        const TrainedModel model = scaled(model_of(sample));
        folder.write(sample.name + ".h", model_c_header(model, sample.name));
        folder.write(sample.name + ".c", model_c_source(model, sample.name, sample.name + ".h"));
        sources += sample.name + ".c ";
        const Lines lines = lines_of(model);
        const bool state = model.tokens() && model.steps() == 1;
        program += "#include \"" + sample.name + ".h\"\n";
        std::istringstream rows(lines.in);
        for (std::string row; std::getline(rows, row);) {
            std::replace(row.begin(), row.end(), ' ', ',');
            body += fmt::format(
                "    {{\n    const {} in[] = {{{}}};\n    float out[{}];\n    int k;\n    {}_forward({}, out);\n"
                "    for (k = 0; k < {}; ++k) printf(\"%.9g \", (double)out[k]);\n    printf(\"\\n\");\n    }}\n",
                model.tokens() ? "int32_t" : "float", row, model.outputs(), sample.name, state ? "in[0]" : "in",
                model.outputs());
        }
        wanted += lines.out;
    }
    // What is not there, or not a number, gives no number.
    body +=
        "    {\n    const int32_t none[6] = {0, 1, 2, 11, 0, 0};\n    float in[400] = {0}, out[11];\n"
        "    characters_forward(none, out);\n    if (out[0] == out[0] || characters_best(out) != -1) return 1;\n"
        "    in[17] = NAN;\n    keywords_forward(in, out);\n    if (out[0] == out[0]) return 2;\n    }\n";
    folder.write("main.c", program + "int main(void) {\n" + body + "    return 0;\n}\n");
    REQUIRE(folder.shell("cc -std=c99 -pedantic -Wall -Wextra -Werror -O1 -ffp-contract=off -fsanitize=undefined "
                         "-fno-sanitize-recover=all main.c " +
                         sources + "-lm -o all && ./all > answers.txt") == 0);
    std::istringstream given(folder.read("answers.txt")), expected(wanted);
    int count = 0;
    for (float is = 0, was = 0; given >> is && expected >> was; ++count) {
        if (is != was) FAIL("number " << count << ": " << is << ", not " << was);
    }
    CHECK(count == 3 * (10 + 3 + 2 + 3 + 6 + 3 + 2 + 11 + 4));
}

TEST_CASE(
    "networks of every kind of layer run in firmware by their headers, freestanding, to the bits of the "
    "reference") {
    const Folder folder;
    std::string program = "#include \"core/network/fixed_network.hpp\"\n#include <cstdio>\n", body, wanted;
    for (const NetworkSample& sample : network_samples()) {
        const TrainedModel model = scaled(model_of(sample));
        const auto header = network_header(model, sample.name);
        REQUIRE(header);
        folder.write(sample.name + ".hpp", *header);
        const Lines lines = lines_of(model);
        program += "#include \"" + sample.name + ".hpp\"\n";
        std::istringstream rows(lines.in);
        for (std::string row; std::getline(rows, row);) {
            std::replace(row.begin(), row.end(), ' ', ',');
            body += fmt::format("    run<exported::{}::Network>({{{}}});\n", sample.name, row);
        }
        wanted += lines.out;
    }
    program += R"(
using namespace dunlin;
template <class N>
void run(std::array<float, static_cast<std::size_t>(N::shape.tokens ? N::shape.input.width : N::shape.input.size())> in) {
    static float rows[N::units];
    std::array<std::int32_t, in.size()> tokens{};
    for (std::size_t k = 0; k < in.size(); ++k) {
        tokens[k] = static_cast<std::int32_t>(in[k]);
        if constexpr (requires { N::centre; }) in[k] = (in[k] - N::centre[k]) * N::scale[k];
    }
    NetworkInputs<float> inputs{{in.data(), 1}};
    if (N::shape.tokens) inputs = {{}, tokens.data(), 1};
    FixedNetwork<N::shape>::forward(N::parameters.data(), inputs, {rows, 1}, 1);
    if (!N::intact()) std::printf("damaged ");
    for (int k = 0; k < N::outputs; ++k) std::printf("%.9g ", static_cast<double>(rows[N::output_row + k]));
}
)";
    folder.write("main.cpp", program + "int main() {\n" + body + "}\n");
    REQUIRE(folder.shell("c++ -std=c++20 -O1 -fno-exceptions -fno-rtti -ffp-contract=off -Wall -Wextra -Werror -I. "
                         "-I" DUNLIN_SOURCE_DIR " main.cpp " DUNLIN_SOURCE_DIR
                         "/core/kernels/generic.cpp " DUNLIN_SOURCE_DIR
                         "/core/kernels/generic_layers.cpp -o all && ./all > answers.txt") == 0);
    std::istringstream given(folder.read("answers.txt")), expected(wanted);
    int count = 0;
    for (float is = 0, was = 0; given >> is && expected >> was; ++count) {
        if (is != was) FAIL("number " << count << ": " << is << ", not " << was);
    }
    CHECK(count == 3 * (10 + 3 + 2 + 3 + 6 + 3 + 2 + 11 + 4));
}
