// SPDX-License-Identifier: Apache-2.0
#include "core/checksum.hpp"
#include "training/models/c_activations.hpp"
#include "training/models/model_c_network.hpp"
#include "training/models/model_export.hpp"

#include <algorithm>
#include <cctype>
#include <string_view>

#include <fmt/format.h>

namespace dunlin {
namespace {

/// core/math.hpp in C: the same constants in the same order. A NaN stays one: no integer is made of it.
constexpr std::string_view softmax = R"(
{linkage} {prefix}_softmax(float* output) {{
    float top = output[0], sum = 0.0f, scale;
    int k;
    for (k = 1; k < {upper}_OUTPUTS; ++k) top = output[k] > top ? output[k] : top;
    for (k = 0; k < {upper}_OUTPUTS; ++k) {{
        output[k] = exponential(output[k] - top);
        sum += output[k];
    }}
    scale = 1.0f / sum;
    for (k = 0; k < {upper}_OUTPUTS; ++k) output[k] *= scale;
}}
)";

constexpr std::string_view best = R"(
int32_t {prefix}_best(const float* output) {{
    int32_t k, at = 0;
    for (k = 0; k < {upper}_OUTPUTS; ++k) {{
        if (output[k] != output[k]) return -1;
        if (output[k] > output[at]) at = k;
    }}
    return at;
}}
)";

constexpr std::string_view affine = R"(
static void affine(const float* weights, const float* bias, const float* x, float* y, int inputs, int outputs) {
    int i, o;
    for (o = 0; o < outputs; ++o) y[o] = bias ? bias[o] : 0.0f;
    for (i = 0; i < inputs; ++i) {
        for (o = 0; o < outputs; ++o) y[o] = fmaf(weights[i * outputs + o], x[i], y[o]);
    }
}
)";

std::string upper(std::string name) {
    for (char& letter : name) letter = static_cast<char>(std::toupper(static_cast<unsigned char>(letter)));
    return name;
}

std::string declaration(const TrainedModel& model, const std::string& prefix) {
    return fmt::format("void {}_forward({}, float* output)", prefix,
                       !model.tokens()     ? "const float* input"
                       : model.steps() > 1 ? "const int32_t* tokens"
                                           : "int32_t state");
}

/// A number by which two models of one name are told apart.
std::uint32_t contents(const TrainedModel& model) {
    std::uint32_t sum = model.signature();
    for (const auto* numbers : {&model.parameters, &model.centre, &model.scale, &model.weights})
        sum = crc32(std::span<const float>(*numbers), sum);
    return sum;
}

/// Outputs are logits or probabilities of one of several.
bool chooses(const TrainedModel& model) {
    return model.head == ModelHead::actions || model.head == ModelHead::classes || model.head == ModelHead::mixture;
}

std::string numbers(const std::string& declared, std::span<const float> values) {
    std::string text = fmt::format("\n{}[{}] = {{", declared, values.size());
    for (std::size_t k = 0; k < values.size(); ++k)
        text += fmt::format("{}{:a}f,", k % 6 == 0 ? "\n    " : " ", values[k]);
    return text + "\n};\n";
}

/// What a network's arrays are called: weights_0, or of the second of a mixture weights_1_0.
std::string called(const TrainedModel& model, const char* what, int network) {
    return model.networks == 1 ? fmt::format("{}_", what) : fmt::format("{}_{}_", what, network);
}
std::string called(const TrainedModel& model, const char* what, int network, int layer) {
    return fmt::format("{}{}", called(model, what, network), layer);
}

/// The statements that put one network's outputs into `result`.
std::string layers(const TrainedModel& model, int network, const std::string& input, const std::string& result) {
    if (model.network)
        return c_network::statements(*model.network, called(model, "weights", network), input, result);
    const MlpShape& shape = model.shape;
    std::string text;
    for (int l = 0; l < shape.layers; ++l) {
        const std::string to = l + 1 == shape.layers ? result : fmt::format("hidden_{}", l);
        const std::string weights = called(model, "weights", network, l), bias = called(model, "bias", network, l);
        if (l == 0 && shape.one_hot) {
            text += fmt::format("    for (k = 0; k < {0}; ++k) {1}[k] = {2} + {3}[state * {0} + k];\n",
                                shape.width(0), to, shape.bias ? bias + "[k]" : "0.0f", weights);
        } else {
            text +=
                fmt::format("    affine({}, {}, {}, {}, {}, {});\n", weights, shape.bias ? bias : "0",
                            l == 0 ? input : fmt::format("hidden_{}", l - 1), to, shape.fan_in(l), shape.width(l));
        }
        if (shape.activation(l) != Activation::identity)
            text += fmt::format("    for (k = 0; k < {0}; ++k) {1}[k] = activate({1}[k]);\n", shape.width(l), to);
    }
    return text;
}

std::string forward(const TrainedModel& model, const std::string& prefix) {
    const MlpShape& shape = model.shape;
    std::string text = fmt::format("\n{} {{\n", declaration(model, prefix));
    const bool scaled = !model.centre.empty();
    const int outputs = model.outputs();
    if (scaled) text += fmt::format("    float scaled[{}];\n", model.inputs());
    if (model.network) text += c_network::buffers(*model.network);
    for (int l = 0; l + 1 < shape.layers; ++l) text += fmt::format("    float hidden_{}[{}];\n", l, shape.width(l));
    if (model.networks > 1) text += fmt::format("    float part[{}];\n", outputs);
    text += "    int k;\n";
    if (model.tokens() && model.steps() > 1) {
        text += fmt::format(
            "    for (k = 0; k < {}; ++k) {{\n        if (tokens[k] >= 0 && tokens[k] < {}) continue;\n        for "
            "(k = 0; k < "
            "{}; ++k) output[k] = NAN;\n        return;\n    }}\n",
            model.steps(), model.inputs(), outputs);
    } else if (model.tokens()) {
        text += fmt::format(
            "    if (state < 0 || state >= {}) {{\n        for (k = 0; k < {}; ++k) output[k] = NAN;\n        "
            "return;\n    }}\n",
            model.inputs(), outputs);
    }
    if (scaled)
        text += fmt::format("    for (k = 0; k < {}; ++k) scaled[k] = (input[k] - centre[k]) * scale[k];\n",
                            model.inputs());
    const std::string input = scaled ? "scaled" : "input";
    if (model.networks == 1) {
        text += layers(model, 0, input, "output");
    } else {
        text += fmt::format("    for (k = 0; k < {}; ++k) output[k] = 0.0f;\n", outputs);
        for (int n = 0; n < model.networks; ++n) {
            text += layers(model, n, input, "part") + fmt::format("    {}_softmax(part);\n", prefix);
            text += fmt::format("    for (k = 0; k < {}; ++k) output[k] = fmaf({:a}f, part[k], output[k]);\n",
                                outputs, model.weights[static_cast<std::size_t>(n)]);
        }
    }
    return text + "    (void)k;\n}\n";
}

}  // namespace

std::string model_c_header(const TrainedModel& model, const std::string& prefix) {
    const std::string macro = upper(prefix);
    std::string text =
        "/* SPDX-License-Identifier: Apache-2.0 */\n/* Written by `dunlin export --format c`; do not edit.\n\n";
    for (const std::string& line : about(model)) text += "   " + line + "\n";
    text += fmt::format(R"(*/
#if defined({0}_H) && {0}_MODEL != 0x{1:08x}
#error "two models are called {2}: export one of them with another --name"
#endif
#ifndef {0}_H
#define {0}_H
#define {0}_MODEL 0x{1:08x}

#include <stdint.h>

)",
                        macro, contents(model), prefix);
    text += fmt::format("#define {0}_INPUTS {1}\n#define {0}_OUTPUTS {2}\n\n", macro,
                        model.tokens() && model.steps() > 1 ? model.steps() : model.inputs(), model.outputs());
    text += "#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n";
    text +=
        model.tokens() && model.steps() > 1
            ? fmt::format("/* `tokens`: {}_INPUTS of them, each 0 to {}; where one is none, the output is NaN.\n",
                          macro, model.inputs() - 1)
        : model.tokens()
            ? fmt::format("/* `state`: 0 to {}_INPUTS - 1; for any other the output is NaN.\n", macro)
            : fmt::format("/* `input`: {}_INPUTS numbers; where one is NaN, the output is NaN.\n", macro);
    switch (model.head) {
        case ModelHead::gaussian:
            text += fmt::format(
                "   `output` gets the mean of each number's normal distribution; the standard deviations\n"
                "   are exp of {}_log_sigma. */\n",
                prefix);
            break;
        case ModelHead::mixture:
            text += fmt::format("   `output` gets {}_OUTPUTS probabilities. */\n", macro);
            break;
        case ModelHead::actions:
        case ModelHead::classes:
            text += fmt::format("   `output` gets {}_OUTPUTS logits, one {}. */\n", macro,
                                model.head == ModelHead::actions ? "an action" : "a class");
            break;
        default:
            text +=
                fmt::format("   `output` gets {}_OUTPUTS number{}. */\n", macro, model.outputs() == 1 ? "" : "s");
    }
    text += declaration(model, prefix) + ";\n";
    if (model.gaussian()) text += fmt::format("\nextern const float {}_log_sigma[{}_OUTPUTS];\n", prefix, macro);
    if (chooses(model)) {
        if (model.head != ModelHead::mixture)
            text += fmt::format(
                "\n/* Turns logits into probabilities, in place; where one is NaN or +infinity, all become NaN. "
                "*/\n"
                "void {}_softmax(float* output);\n",
                prefix);
        text += fmt::format(
            "\n/* The number of the largest output, of equals the first; -1 where one is NaN. */\n"
            "int32_t {}_best(const float* output);\n",
            prefix);
    }
    text += fmt::format(R"(
#ifdef __GNUC__
/* Takes this model's own file out of a library, so that a second model of this name is an error of the linker. */
extern const char {0}_is_{1:08x};
static const char* const {0}_linked __attribute__((used)) = &{0}_is_{1:08x};
#endif

#ifdef __cplusplus
}}
#endif

#endif
)",
                        prefix, contents(model));
    return text;
}

std::string model_c_source(const TrainedModel& model, const std::string& prefix, const std::string& file) {
    const MlpShape& shape = model.shape;
    std::string text = fmt::format(R"(/* SPDX-License-Identifier: Apache-2.0 */
/* Written by `dunlin export --format c`; do not edit. C99; no heap. Compile with -ffp-contract=off for the bits of
   Dunlin's reference kernels, and without -ffast-math, which knows no NaN. */
#include "{}"

#include <math.h>
)",
                                   file);
    const std::span<const float> all(model.parameters);
    bool curved = false, active = false, products = false;
    for (int n = 0; n < model.networks; ++n) {
        const std::span<const float> own = all.subspan(static_cast<std::size_t>(n) * model.network_parameters());
        for (int l = 0; model.network && l < model.network->layers; ++l) {
            const std::size_t first = model.network->weights_at(l), count = model.network->parameters(l);
            if (count > 0)
                text += numbers("static const float " + called(model, "weights", n, l), own.subspan(first, count));
        }
        for (int l = 0; l < shape.layers; ++l) {
            const auto width = static_cast<std::size_t>(shape.width(l));
            text += numbers("static const float " + called(model, "weights", n, l),
                            own.subspan(shape.weights_at(l), static_cast<std::size_t>(shape.fan_in(l)) * width));
            if (shape.bias)
                text += numbers("static const float " + called(model, "bias", n, l),
                                own.subspan(shape.bias_at(l), width));
            const Activation activation = shape.activation(l);
            active = active || activation != Activation::identity;
            curved = curved || activation == Activation::tanh || activation == Activation::sigmoid;
            products = products || l > 0 || !shape.one_hot;
        }
    }
    if (!model.centre.empty())
        text +=
            numbers("static const float centre", model.centre) + numbers("static const float scale", model.scale);
    if (model.gaussian())
        text += numbers(fmt::format("const float {}_log_sigma", prefix), all.subspan(model.network_parameters()));
    curved = curved || (model.network && c_network::curved(*model.network));
    text += fmt::format("\nconst char {}_is_{:08x} = 1;\n", prefix, contents(model));
    if (curved || chooses(model)) text += c_exponential;
    if (model.network) text += c_network::functions(*model.network);
    if (active) text += c_activation(shape.hidden, "activate");
    if (products) text += affine;
    const auto filled = [&](std::string_view what, const char* linkage) {
        return fmt::format(fmt::runtime(what), fmt::arg("linkage", linkage), fmt::arg("prefix", prefix),
                           fmt::arg("upper", upper(prefix)));
    };
    if (model.head == ModelHead::mixture) text += filled(softmax, "static void");
    text += forward(model, prefix);
    if (chooses(model) && model.head != ModelHead::mixture) text += filled(softmax, "void");
    if (chooses(model)) text += filled(best, "");
    return text;
}

}  // namespace dunlin
