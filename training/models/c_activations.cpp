// SPDX-License-Identifier: Apache-2.0
#include "training/models/c_activations.hpp"

#include <fmt/format.h>

namespace dunlin {

const std::string_view c_exponential = R"(
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

std::string c_activation(Activation activation, std::string_view name) {
    const auto function = [&](std::string_view body) {
        return fmt::format("\nstatic float {}(float x) {{\n{}}}\n", name, body);
    };
    switch (activation) {
        case Activation::identity:
            return "";
        case Activation::relu:
            return function("    return x < 0.0f ? 0.0f : x;\n");
        case Activation::leaky_relu:
            return function("    return x < 0.0f ? 0.01f * x : x;\n");
        case Activation::sigmoid:
            return function("    return 1.0f / (1.0f + exponential(-x));\n");
        case Activation::tanh:
            return function(R"(    const float a = x < 0.0f ? -x : x, z = x * x;
    float p = -5.70498872745e-3f, small, large;
    p = fmaf(p, z, 2.06390887954e-2f);
    p = fmaf(p, z, -5.37397155531e-2f);
    p = fmaf(p, z, 1.33314422036e-1f);
    p = fmaf(p, z, -3.33332819422e-1f);
    small = fmaf(p * z, x, x);
    large = 1.0f - 2.0f / (exponential(a > 9.1f ? 18.2f : a + a) + 1.0f);
    return a < 0.625f ? small : (x < 0.0f ? -large : large);
)");
    }
    return "";
}

}  // namespace dunlin
