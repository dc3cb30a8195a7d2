// SPDX-License-Identifier: Apache-2.0
#include "training/models/model_c_network.hpp"

#include "training/models/c_activations.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include <fmt/format.h>

namespace dunlin::c_network {
namespace {

/// y += W' x, where a row of W is `stride` numbers.
constexpr std::string_view add_product = R"(
static void add_product(const float* w, int stride, const float* x, float* y, int inputs, int outputs) {
    int i, o;
    for (i = 0; i < inputs; ++i) {
        for (o = 0; o < outputs; ++o) y[o] = fmaf(w[i * stride + o], x[i], y[o]);
    }
}
)";
constexpr std::string_view dense = R"(
static void dense(const float* w, const float* x, float* y, int inputs, int outputs) {
    int o;
    for (o = 0; o < outputs; ++o) y[o] = w[inputs * outputs + o];
    add_product(w, outputs, x, y, inputs, outputs);
}
)";
/// Pictures are height x width x channels.
constexpr std::string_view window = R"(
typedef struct {
    int h, w, c, oh, ow, kh, kw, sh, sw, ph, pw;
} window;
)";
constexpr std::string_view convolution = R"(
static void convolution(const window* s, const float* w, const float* x, float* y, int outputs, int groups) {
    const int in = s->c / groups, out = outputs / groups, taps = s->kh * s->kw;
    const float* const bias = w + taps * in * outputs;
    int oy, ox, ky, kx, g, o;
    for (oy = 0; oy < s->oh; ++oy) {
        for (ox = 0; ox < s->ow; ++ox, y += outputs) {
            for (o = 0; o < outputs; ++o) y[o] = bias[o];
            for (ky = 0; ky < s->kh; ++ky) {
                const int row = oy * s->sh - s->ph + ky;
                if (row < 0 || row >= s->h) continue;
                for (kx = 0; kx < s->kw; ++kx) {
                    const int column = ox * s->sw - s->pw + kx;
                    if (column < 0 || column >= s->w) continue;
                    for (g = 0; g < groups; ++g)
                        add_product(w + (g * taps + ky * s->kw + kx) * in * out, out,
                                    x + (row * s->w + column) * s->c + g * in, y + g * out, in, out);
                }
            }
        }
    }
}
)";
constexpr std::string_view pool = R"(
static void pool(const window* s, const float* x, float* y, int largest) {
    const float share = 1.0f / (float)(s->kh * s->kw);
    int oy, ox, ky, kx, k;
    for (oy = 0; oy < s->oh; ++oy) {
        for (ox = 0; ox < s->ow; ++ox) {
            for (k = 0; k < s->c; ++k) {
                float sum = 0.0f, top = -INFINITY;
                for (ky = 0; ky < s->kh; ++ky) {
                    const int row = oy * s->sh - s->ph + ky;
                    if (row < 0 || row >= s->h) continue;
                    for (kx = 0; kx < s->kw; ++kx) {
                        const int column = ox * s->sw - s->pw + kx;
                        float value;
                        if (column < 0 || column >= s->w) continue;
                        value = x[(row * s->w + column) * s->c + k];
                        sum += value;
                        if (value > top || value != value) top = value;
                    }
                }
                *y++ = largest ? top : sum * share;
            }
        }
    }
}
)";
constexpr std::string_view normalise = R"(
static void normalise(const float* w, const float* x, float* y, int places, int channels, int groups) {
    const int own = channels / groups;
    const float count = (float)(own * places);
    int g, p, k;
    for (g = 0; g < groups; ++g) {
        float mean = 0.0f, squares = 0.0f, rate;
        for (p = 0; p < places; ++p) {
            for (k = g * own; k < (g + 1) * own; ++k) mean += x[p * channels + k];
        }
        mean = mean / count;
        for (p = 0; p < places; ++p) {
            for (k = g * own; k < (g + 1) * own; ++k) {
                const float from = x[p * channels + k] - mean;
                squares += from * from;
            }
        }
        rate = 1.0f / sqrtf(squares / count + 1e-5f);
        for (p = 0; p < places; ++p) {
            for (k = g * own; k < (g + 1) * own; ++k)
                y[p * channels + k] = (x[p * channels + k] - mean) * rate * w[k] + w[channels + k];
        }
    }
}
)";
/// `at` holds the gates, the state and, of an LSTM, what its cells keep.
constexpr std::string_view gru = R"(
static void gru(const float* w, const float* x, float* y, float* at, int steps, int c, int h, int ways, int every) {
    float *const n = at, *const z = at + h, *const r = at + 2 * h, *const q = at + 3 * h, *const state = at + 4 * h;
    int way, step, u;
    for (way = 0; way < ways; ++way) {
        const float *const b = w + c * 3 * h, *const states = b + 3 * h, *const own = states + 3 * h * h;
        for (u = 0; u < h; ++u) state[u] = 0.0f;
        for (step = 0; step < steps; ++step) {
            const int time = way ? steps - 1 - step : step;
            for (u = 0; u < 3 * h; ++u) n[u] = b[u];
            for (u = 0; u < h; ++u) q[u] = own[u];
            add_product(w, 3 * h, x + time * c, n, c, 3 * h);
            if (step > 0) {
                add_product(states, 3 * h, state, z, h, 2 * h);
                add_product(states + 2 * h, 3 * h, state, q, h, h);
            }
            for (u = 0; u < 2 * h; ++u) z[u] = act_sigmoid(z[u]);
            for (u = 0; u < h; ++u) {
                n[u] = act_tanh(n[u] + r[u] * q[u]);
                state[u] = n[u] + z[u] * (state[u] - n[u]);
                if (every) y[time * ways * h + way * h + u] = state[u];
                else y[way * h + u] = state[u];
            }
        }
        w = own + h;
    }
}
)";
constexpr std::string_view lstm = R"(
static void lstm(const float* w, const float* x, float* y, float* at, int steps, int c, int h, int ways, int every) {
    float *const i = at, *const f = at + h, *const o = at + 2 * h, *const g = at + 3 * h, *const cell = at + 4 * h,
                *const state = at + 5 * h;
    int way, step, u;
    for (way = 0; way < ways; ++way) {
        const float *const b = w + c * 4 * h, *const states = b + 4 * h;
        for (u = 0; u < h; ++u) cell[u] = state[u] = 0.0f;
        for (step = 0; step < steps; ++step) {
            const int time = way ? steps - 1 - step : step;
            for (u = 0; u < 4 * h; ++u) i[u] = b[u];
            add_product(w, 4 * h, x + time * c, i, c, 4 * h);
            if (step > 0) add_product(states, 4 * h, state, i, h, 4 * h);
            for (u = 0; u < 3 * h; ++u) i[u] = act_sigmoid(i[u]);
            for (u = 0; u < h; ++u) {
                cell[u] = f[u] * cell[u] + i[u] * act_tanh(g[u]);
                state[u] = o[u] * act_tanh(cell[u]);
                if (every) y[time * ways * h + way * h + u] = state[u];
                else y[way * h + u] = state[u];
            }
        }
        w = states + h * 4 * h;
    }
}
)";

bool any_of(const NetworkShape& shape, auto&& is) {
    return std::any_of(shape.all.begin(), shape.all.begin() + shape.layers, is);
}
bool has(const NetworkShape& shape, LayerKind kind) {
    return any_of(shape, [&](const NetworkShape::Layer& layer) { return layer.spec.kind == kind; });
}
bool walks(const NetworkShape& shape) {
    return has(shape, LayerKind::gru) || has(shape, LayerKind::lstm);
}
bool active(const NetworkShape& shape, Activation activation) {
    return any_of(shape, [&](const NetworkShape::Layer& layer) { return layer.spec.activation == activation; });
}

/// In which of few buffers each layer's output lies: it is held until the last layer that wants it.
struct Buffers {
    std::array<int, NetworkShape::layer_limit> of{};
    std::vector<int> sizes;
    int cell = 0;  ///< numbers of a recurrent layer's step

    explicit Buffers(const NetworkShape& shape) {
        std::array<int, NetworkShape::layer_limit> until{};
        for (int l = 0; l < shape.layers; ++l) {
            until[at(l)] = l + 1;
            if (shape.layer(l).spec.kind == LayerKind::add) until[at(shape.source(l))] = l;
        }
        std::vector<int> free_from;
        for (int l = 0; l + 1 < shape.layers; ++l) {
            const NetworkShape::Layer& layer = shape.layer(l);
            int buffer = 0;
            while (buffer < std::ssize(sizes) && free_from[at(buffer)] >= l) ++buffer;
            if (buffer == std::ssize(sizes)) {
                sizes.push_back(0);
                free_from.push_back(0);
            }
            sizes[at(buffer)] = std::max(sizes[at(buffer)], layer.out.size());
            free_from[at(buffer)] = until[at(l)];
            of[at(l)] = buffer;
        }
        for (int l = 0; l < shape.layers; ++l) {
            const LayerSpec& spec = shape.layer(l).spec;
            if (spec.kind == LayerKind::gru) cell = std::max(cell, 5 * spec.outputs);
            if (spec.kind == LayerKind::lstm) cell = std::max(cell, 6 * spec.outputs);
        }
    }
    static std::size_t at(int k) { return static_cast<std::size_t>(k); }
};

std::string window_of(const NetworkShape::Layer& layer) {
    const LayerSpec& s = layer.spec;
    const bool all = s.kind == LayerKind::global_pool;
    const Extent in = layer.in, out = layer.out;
    const auto sides = all ? std::array{in.height, in.width, 1, 1, 0, 0}
                           : std::array{s.kernel_height, s.kernel_width, s.stride_height,
                                        s.stride_width,  s.pad_height,   s.pad_width};
    return fmt::format("    {{\n    static const window s = {{{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}}};\n",
                       in.height, in.width, in.channels, out.height, out.width, sides[0], sides[1], sides[2],
                       sides[3], sides[4], sides[5]);
}

std::string each(int size, std::string_view statement) {
    return fmt::format("    for (k = 0; k < {}; ++k) {};\n", size, statement);
}

}  // namespace

bool curved(const NetworkShape& shape) {
    return walks(shape) || active(shape, Activation::tanh) || active(shape, Activation::sigmoid);
}

std::string functions(const NetworkShape& shape) {
    std::string text;
    const auto add = [&](bool wanted, std::string_view source) {
        if (wanted) text += source;
    };
    const bool pools = has(shape, LayerKind::maximum_pool) || has(shape, LayerKind::average_pool) ||
                       has(shape, LayerKind::global_pool);
    const bool products = any_of(shape, [&](const NetworkShape::Layer& layer) {
        return layer.spec.kind == LayerKind::dense && !(shape.tokens && layer.at == 0 && layer.row == 0);
    });
    const bool convolves = has(shape, LayerKind::convolution);
    add(active(shape, Activation::relu), c_activation(Activation::relu, "act_relu"));
    add(active(shape, Activation::leaky_relu), c_activation(Activation::leaky_relu, "act_leaky_relu"));
    add(walks(shape) || active(shape, Activation::tanh), c_activation(Activation::tanh, "act_tanh"));
    add(walks(shape) || active(shape, Activation::sigmoid), c_activation(Activation::sigmoid, "act_sigmoid"));
    add(products || convolves || walks(shape), add_product);
    add(products, dense);
    add(convolves || pools, window);
    add(convolves, convolution);
    add(pools, pool);
    add(has(shape, LayerKind::normalise), normalise);
    add(has(shape, LayerKind::gru), gru);
    add(has(shape, LayerKind::lstm), lstm);
    return text;
}

std::string buffers(const NetworkShape& shape) {
    const Buffers between(shape);
    std::string text;
    for (std::size_t k = 0; k < between.sizes.size(); ++k)
        text += fmt::format("    float between_{}[{}];\n", k, between.sizes[k]);
    if (between.cell > 0) text += fmt::format("    float cell[{}];\n", between.cell);
    return text;
}

std::string statements(const NetworkShape& shape, const std::string& weights, const std::string& input,
                       const std::string& result) {
    const Buffers between(shape);
    const auto name = [&](int l) {
        return l + 1 == shape.layers ? result
               : l < 0               ? input
                                     : fmt::format("between_{}", between.of[Buffers::at(l)]);
    };
    std::string text;
    for (int l = 0; l < shape.layers; ++l) {
        const NetworkShape::Layer& layer = shape.layer(l);
        const LayerSpec& spec = layer.spec;
        const std::string x = name(l - 1), y = name(l), w = fmt::format("{}{}", weights, l);
        const int size = layer.out.size(), ways = spec.both_ways ? 2 : 1;
        switch (spec.kind) {
            case LayerKind::dense:
                if (l == 0 && shape.tokens)
                    text += each(size, fmt::format("{0}[k] = {1}[{2} + k] + {1}[state * {3} + k]", y, w,
                                                   layer.in.size() * size, size));
                else
                    text += fmt::format("    dense({}, {}, {}, {}, {});\n", w, x, y, layer.in.size(), size);
                break;
            case LayerKind::convolution:
                text += window_of(layer) + fmt::format("    convolution(&s, {}, {}, {}, {}, {});\n    }}\n", w, x,
                                                       y, spec.outputs, spec.groups);
                break;
            case LayerKind::maximum_pool:
            case LayerKind::average_pool:
            case LayerKind::global_pool:
                text += window_of(layer) + fmt::format("    pool(&s, {}, {}, {});\n    }}\n", x, y,
                                                       spec.kind == LayerKind::maximum_pool ? 1 : 0);
                break;
            case LayerKind::gru:
            case LayerKind::lstm:
                text += fmt::format("    {}({}, {}, {}, cell, {}, {}, {}, {}, {});\n",
                                    spec.kind == LayerKind::gru ? "gru" : "lstm", w, x, y, layer.in.width,
                                    layer.in.channels, spec.outputs, ways, spec.every_step ? 1 : 0);
                break;
            case LayerKind::embedding:
                if (layer.in.width == 1)
                    text += each(size, fmt::format("{}[k] = {}[state * {} + k]", y, w, spec.outputs));
                else
                    text += each(size,
                                 fmt::format("{0}[k] = {1}[tokens[k / {2}] * {2} + k % {2}]", y, w, spec.outputs));
                break;
            case LayerKind::normalise:
                text += fmt::format("    normalise({}, {}, {}, {}, {}, {});\n", w, x, y, layer.in.places(),
                                    layer.in.channels, spec.groups);
                break;
            case LayerKind::add:
                text += each(size, fmt::format("{}[k] = {}[k] + {}[k]", y, x, name(shape.source(l))));
                break;
            case LayerKind::dropout:
                text += each(size, fmt::format("{}[k] = {}[k]", y, x));
                break;
        }
        constexpr std::array<std::string_view, 5> called{"", "act_relu", "act_tanh", "act_sigmoid",
                                                         "act_leaky_relu"};
        if (spec.activation != Activation::identity)
            text += each(size,
                         fmt::format("{0}[k] = {1}({0}[k])", y, called[static_cast<std::size_t>(spec.activation)]));
    }
    return text;
}

}  // namespace dunlin::c_network
