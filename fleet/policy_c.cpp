// SPDX-License-Identifier: Apache-2.0
#include "fleet/policy_export.hpp"

#include <string_view>

#include <fmt/format.h>

namespace dunlin {
namespace {

/// core/math.hpp in C: the same constants in the same order. A NaN stays one: no integer is made of it.
constexpr std::string_view exponential = R"(
static float exponential(float x) {
    union { int32_t bits; float value; } scale;
    float scaled, k, r, p, y;
    int32_t n;
    if (x != x) return x;
    x = x < -87.3f ? -87.3f : x;
    x = x > 88.3f ? 88.3f : x;
    scaled = x * 1.44269504088896341f;
    n = (int32_t)(scaled + (scaled < 0.0f ? -0.5f : 0.5f));
    k = (float)n;
    r = fmaf(-k, -2.12194440e-4f, fmaf(-k, 0.693359375f, x));
    p = 1.9875691500e-4f;
    p = fmaf(p, r, 1.3981999507e-3f);
    p = fmaf(p, r, 8.3334519073e-3f);
    p = fmaf(p, r, 4.1665795894e-2f);
    p = fmaf(p, r, 1.6666665459e-1f);
    p = fmaf(p, r, 5.0000001201e-1f);
    y = fmaf(p, r * r, r) + 1.0f;
    scale.bits = (n + 127) << 23;
    return y * scale.value;
}
)";

constexpr std::string_view relu = R"(
static float activate(float x) {
    return x < 0.0f ? 0.0f : x;
}
)";
constexpr std::string_view hyperbolic = R"(
static float activate(float x) {
    const float a = x < 0.0f ? -x : x, z = x * x;
    float p = -5.70498872745e-3f, small, large;
    p = fmaf(p, z, 2.06390887954e-2f);
    p = fmaf(p, z, -5.37397155531e-2f);
    p = fmaf(p, z, 1.33314422036e-1f);
    p = fmaf(p, z, -3.33332819422e-1f);
    small = fmaf(p * z, x, x);
    large = 1.0f - 2.0f / (exponential(a > 9.1f ? 18.2f : a + a) + 1.0f);
    return a < 0.625f ? small : (x < 0.0f ? -large : large);
}
)";
constexpr std::string_view logistic = R"(
static float activate(float x) {
    return 1.0f / (1.0f + exponential(-x));
}
)";

constexpr std::string_view softmax = R"(
void dunlin_policy_softmax(float* output) {
    float top = output[0], sum = 0.0f, scale;
    int k;
    for (k = 1; k < DUNLIN_POLICY_OUTPUTS; ++k) top = output[k] > top ? output[k] : top;
    for (k = 0; k < DUNLIN_POLICY_OUTPUTS; ++k) {
        output[k] = exponential(output[k] - top);
        sum += output[k];
    }
    scale = 1.0f / sum;
    for (k = 0; k < DUNLIN_POLICY_OUTPUTS; ++k) output[k] *= scale;
}
)";

std::string_view activation_source(Activation activation) {
    switch (activation) {
        case Activation::relu:
            return relu;
        case Activation::tanh:
            return hyperbolic;
        case Activation::sigmoid:
            return logistic;
        default:
            return "";
    }
}

std::string declaration(const PolicyFile& policy) {
    return fmt::format("void dunlin_policy_forward({}, float* output)",
                       policy.shape.one_hot ? "int32_t state" : "const float* input");
}

}  // namespace

std::string policy_c_header(const PolicyFile& policy) {
    std::string text = R"(/* SPDX-License-Identifier: Apache-2.0 */
/* Written by `dunlin export --format c`; do not edit. */
#ifndef DUNLIN_POLICY_H
#define DUNLIN_POLICY_H

#include <stdint.h>

)";
    text += fmt::format("#define DUNLIN_POLICY_INPUTS {}\n#define DUNLIN_POLICY_OUTPUTS {}\n\n",
                        policy.shape.inputs, policy.shape.outputs());
    text += "#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n";
    text += policy.shape.one_hot ? "/* `state`: 0 to DUNLIN_POLICY_INPUTS - 1; for any other the output is NaN.\n"
                                 : "/* `input`: DUNLIN_POLICY_INPUTS numbers; where one is NaN, the output is.\n";
    text += policy.gaussian
                ? "   `output` gets the mean of each action's normal distribution; the standard deviations\n"
                  "   are exp of dunlin_policy_log_sigma. */\n"
                : "   `output` gets DUNLIN_POLICY_OUTPUTS logits, one an action. */\n";
    text += declaration(policy) + ";\n\n";
    text += policy.gaussian
                ? "extern const float dunlin_policy_log_sigma[DUNLIN_POLICY_OUTPUTS];\n"
                : "/* Turns logits into probabilities, in place. */\nvoid dunlin_policy_softmax(float* output);\n";
    text += "\n#ifdef __cplusplus\n}\n#endif\n\n#endif\n";
    return text;
}

std::string policy_c_source(const PolicyFile& policy) {
    const MlpShape& shape = policy.shape;
    std::string text = R"(/* SPDX-License-Identifier: Apache-2.0 */
/* Written by `dunlin export --format c`; do not edit. C99; no heap. Compile with -ffp-contract=off for the bits of
   Dunlin's reference kernels. */
#include "policy.h"

#include <math.h>
)";
    const auto array = [&](const std::string& declared, std::size_t first, std::size_t count) {
        text += fmt::format("\n{}[{}] = {{", declared, count);
        for (std::size_t k = 0; k < count; ++k) {
            text += fmt::format("{}{:a}f,", k % 6 == 0 ? "\n    " : " ", policy.parameters[first + k]);
        }
        text += "\n};\n";
    };
    const bool curved =
        shape.layers > 1 && (shape.hidden == Activation::tanh || shape.hidden == Activation::sigmoid);
    for (int l = 0; l < shape.layers; ++l) {
        const auto width = static_cast<std::size_t>(shape.width(l));
        array(fmt::format("static const float weights_{}", l), shape.weights_at(l),
              static_cast<std::size_t>(shape.fan_in(l)) * width);
        if (shape.bias) array(fmt::format("static const float bias_{}", l), shape.bias_at(l), width);
    }
    if (policy.gaussian) {
        array("const float dunlin_policy_log_sigma", shape.parameters(), static_cast<std::size_t>(shape.outputs()));
    }
    if (curved || !policy.gaussian) text += exponential;
    if (shape.layers > 1) text += activation_source(shape.hidden);

    if (!shape.one_hot || shape.layers > 1) {
        text += R"(
static void affine(const float* weights, const float* bias, const float* x, float* y, int inputs, int outputs) {
    int i, o;
    for (o = 0; o < outputs; ++o) y[o] = bias ? bias[o] : 0.0f;
    for (i = 0; i < inputs; ++i) {
        for (o = 0; o < outputs; ++o) y[o] = fmaf(weights[i * outputs + o], x[i], y[o]);
    }
}
)";
    }
    text += fmt::format("\n{} {{\n", declaration(policy));
    for (int l = 0; l + 1 < shape.layers; ++l) text += fmt::format("    float hidden_{}[{}];\n", l, shape.width(l));
    text += "    int k;\n";
    if (shape.one_hot) {
        text += fmt::format(
            "    if (state < 0 || state >= {}) {{\n        for (k = 0; k < {}; ++k) output[k] = NAN;\n        "
            "return;\n    }}\n",
            shape.inputs, shape.outputs());
    }
    for (int l = 0; l < shape.layers; ++l) {
        const bool last = l + 1 == shape.layers;
        const std::string to = last ? "output" : fmt::format("hidden_{}", l);
        const std::string bias = shape.bias ? fmt::format("bias_{}", l) : "0";
        if (l == 0 && shape.one_hot) {
            text += fmt::format("    for (k = 0; k < {0}; ++k) {1}[k] = {2} + weights_0[state * {0} + k];\n",
                                shape.width(0), to, shape.bias ? "bias_0[k]" : "0.0f");
        } else {
            text += fmt::format("    affine(weights_{}, {}, {}, {}, {}, {});\n", l, bias,
                                l == 0 ? "input" : fmt::format("hidden_{}", l - 1), to, shape.fan_in(l),
                                shape.width(l));
        }
        if (!last && shape.hidden != Activation::identity) {
            text += fmt::format("    for (k = 0; k < {0}; ++k) {1}[k] = activate({1}[k]);\n", shape.width(l), to);
        }
    }
    text += "    (void)k;\n}\n";
    if (!policy.gaussian) text += softmax;
    return text;
}

}  // namespace dunlin
