// SPDX-License-Identifier: Apache-2.0
// Operators that are layers: products, windows, recurrent layers, activations. Weights of ONNX become those of Dunlin.
#include "core/layer_kernels.hpp"
#include "training/models/onnx_nodes.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace dunlin::onnx {
namespace {

std::size_t count(std::int64_t size) {
    return static_cast<std::size_t>(size);
}

bool zero(const std::vector<float>& numbers) {
    return std::ranges::all_of(numbers, [](float number) { return number == 0.0f; });
}

}  // namespace

/// A layer that needs no axes gets an input in the order of the graph's.
Made<void> Nodes::settle(const View& x) {
    if (!stack_.empty() || x.rank() == 2) {
        auto fits = stack_.empty() ? stack_.row(x).map([](const auto&) {}) : Made<void>();
        if (!fits) return fits;
        if (x.layer != stack_.top()) return no("takes what an earlier node gave");
        return {};
    }
    if (x.rank() != 3 && x.rank() != 4) return no("is the first layer and is given no picture, sequence or row");
    return stack_.seen_as(x, x.rank() == 4 ? "nchw" : "nwc").map([](const Extent&) {});
}

Made<View> Nodes::activated(const Node& node, const View& x) {
    constexpr std::array<std::pair<std::string_view, Activation>, 4> known{{{"Relu", Activation::relu},
                                                                            {"LeakyRelu", Activation::leaky_relu},
                                                                            {"Tanh", Activation::tanh},
                                                                            {"Sigmoid", Activation::sigmoid}}};
    const auto* const found = std::ranges::find(known, node.type, [](const auto& one) { return one.first; });
    if (found->second == Activation::leaky_relu && !(std::abs(node.number("alpha", 0.01f) - leaky_slope) <= 1e-7f))
        return no(fmt::format("has a slope of {}; here it is {}", node.number("alpha", 0.01f), leaky_slope));
    if (stack_.open(x)) {
        stack_.last().spec.activation = found->second;
        return x;
    }
    // On top of what stays as it is: a layer that does nothing else.
    const bool first = stack_.empty();
    if (auto settled = settle(x); !settled) return no(settled.error());
    const LayerSpec alone{.kind = LayerKind::dropout, .activation = found->second};
    if (auto added = stack_.append(alone, {}); !added) return no(added.error());
    View out = x;
    if (first && x.rank() > 2) out = View::of(0, stack_.out(), x.rank() == 4 ? "nchw" : "nwc");
    if (first && x.rank() == 2) out = View::of(0, stack_.out(), "nc");
    out.layer = stack_.top();
    return out;
}

Made<LayerSpec> Nodes::window(const Node& node, LayerKind kind, std::size_t sides) const {
    const auto list = [&](std::string_view key, std::int64_t missing,
                          std::size_t length) -> std::vector<std::int64_t> {
        std::vector<std::int64_t> numbers = node.integers(key);
        if (numbers.empty()) numbers.assign(length, missing);
        numbers.resize(length, -1);
        return numbers;
    };
    const auto kernel = list("kernel_shape", -1, sides), strides = list("strides", 1, sides),
               apart = list("dilations", 1, sides);
    auto pads = list("pads", 0, 2 * sides);
    const std::string fill = node.text("auto_pad", "NOTSET");
    if (fill == "SAME_UPPER" || fill == "SAME_LOWER") {
        for (std::size_t k = 0; k < sides; ++k) {
            if (strides[k] != 1 || kernel[k] % 2 == 0)
                return no("is padded differently on two sides (SAME); pads on both sides are to be equal");
            pads[k] = pads[sides + k] = (kernel[k] - 1) / 2;
        }
    } else if (fill != "NOTSET" && fill != "VALID" && !fill.empty()) {
        return no("has a padding that is not read");
    }
    if (!std::ranges::all_of(apart, [](std::int64_t one) { return one == 1; })) return no("has dilations");
    if (node.integer("ceil_mode", 0) != 0) return no("rounds sizes up (ceil_mode)");
    for (std::size_t k = 0; k < sides; ++k) {
        if (pads[k] != pads[sides + k])
            return no("is padded differently on two sides; pads on both sides are to be equal");
        const auto within = [](std::int64_t one) { return one >= 0 && one <= Windows2d::side_limit; };
        if (!within(kernel[k]) || !within(strides[k]) || !within(pads[k]))
            return no(fmt::format("has a window, stride or padding above {}", Windows2d::side_limit));
    }
    LayerSpec spec{.kind = kind};
    const std::size_t last = sides - 1;
    const auto number = [](std::int64_t one) { return static_cast<int>(one); };
    spec.kernel_width = number(kernel[last]);
    spec.stride_width = number(strides[last]);
    spec.pad_width = number(pads[last]);
    if (sides == 2) {
        spec.kernel_height = number(kernel[0]);
        spec.stride_height = number(strides[0]);
        spec.pad_height = number(pads[0]);
    }
    return spec;
}

Made<View> Nodes::pooled(const Node& node, const View& x) {
    const char* axes = x.rank() == 4 ? "nchw" : "ncw";
    LayerSpec spec{.kind = LayerKind::global_pool};
    bool keeps = true;
    if (node.type == "ReduceMean") {
        const auto over = axes_of(node, x);
        keeps = node.integer("keepdims", 1) != 0;
        if (x.rank() == 3 && over == std::vector<std::int64_t>{1})
            axes = "nwc";
        else if (!(x.rank() == 4 && over == std::vector<std::int64_t>{2, 3}) &&
                 !(x.rank() == 3 && over == std::vector<std::int64_t>{2}))
            return no("is read over all places of a channel alone, or as part of a normalisation");
    } else if (node.type != "GlobalAveragePool") {
        const std::size_t sides = x.rank() == 4 ? 2 : 1;
        const bool largest = node.type == "MaxPool";
        auto read = window(node, largest ? LayerKind::maximum_pool : LayerKind::average_pool, sides);
        if (!read) return no(read.error());
        spec = *read;
        if (!largest && (spec.pad_height > 0 || spec.pad_width > 0) && node.integer("count_include_pad", 0) == 0)
            return no("leaves padding out of its means (count_include_pad = 0)");
    }
    if (auto seen = stack_.seen_as(x, axes); !seen) return no(seen.error());
    if (auto added = stack_.append(spec, {}); !added) return no(added.error());
    return View::of(stack_.top(), stack_.out(), keeps ? axes : "nc");
}

Made<View> Nodes::convolved(const Node& node, const View& x) {
    const auto w = weights(node, 1);
    if (!w) return no(w.error());
    const std::vector<std::int64_t>& sizes = (*w)->sizes;
    const std::size_t sides = sizes.size() < 3 ? 0 : sizes.size() - 2;
    if ((sides != 1 && sides != 2) || x.rank() != sizes.size()) return no("is read over one or two sides");
    Node with = node;  // whose window is said by its weights, too
    if (with.integers("kernel_shape").empty())
        with.attributes["kernel_shape"].integers.assign(sizes.begin() + 2, sizes.end());
    if (!std::ranges::equal(with.integers("kernel_shape"), std::span(sizes).subspan(2)))
        return no("has weights of another window");
    auto spec = window(with, LayerKind::convolution, sides);
    if (!spec) return no(spec.error());
    const char* const axes = sides == 2 ? "nchw" : "ncw";
    const auto extent = stack_.seen_as(x, axes);
    if (!extent) return no(extent.error());
    const std::int64_t groups = node.integer("group", 1);
    if (groups < 1 || groups > extent->channels || extent->channels % groups != 0 || sizes[0] % groups != 0 ||
        sizes[1] != extent->channels / groups || sizes[0] > NetworkShape::width_limit)
        return no("has weights that do not fit the channels that come in");
    spec->groups = static_cast<int>(groups);
    spec->outputs = static_cast<int>(sizes[0]);
    const std::size_t in = count(sizes[1]), out = count(sizes[0] / groups), taps = count(Windows2d::taps(*spec));
    std::vector<float> own;
    own.reserve((*w)->numbers.size() + count(sizes[0]));
    for (std::size_t g = 0; g < count(groups); ++g) {
        for (std::size_t t = 0; t < taps; ++t) {
            for (std::size_t i = 0; i < in; ++i) {
                for (std::size_t o = 0; o < out; ++o)
                    own.push_back((*w)->numbers[((g * out + o) * in + i) * taps + t]);
            }
        }
    }
    const bool biased = node.inputs.size() > 2 && !node.inputs[2].empty();
    std::vector<float> bias(count(sizes[0]), 0.0f);
    if (biased) {
        const auto b = weights(node, 2);
        if (!b) return no(b.error());
        if ((*b)->numbers.size() != bias.size()) return no("has as many biases as do not fit its weights");
        bias = (*b)->numbers;
    }
    own.insert(own.end(), bias.begin(), bias.end());
    if (auto added = stack_.append(*spec, std::move(own), biased); !added) return no(added.error());
    return View::of(stack_.top(), stack_.out(), axes);
}

Made<View> Nodes::multiplied(const Node& node, const View& x) {
    if (value(node, 0)->kind != Value::view) return no("has what comes in on its right");
    const auto w = weights(node, 1);
    if (!w) return no(w.error());
    const Tensor& tensor = **w;
    if (tensor.sizes.size() != 2) return no("is read with a matrix of weights alone");
    const bool gemm = node.type == "Gemm", turned = gemm && node.integer("transB", 0) != 0;
    if (gemm && node.integer("transA", 0) != 0) return no("turns what comes in");
    const std::size_t inputs = count(tensor.sizes[turned ? 1 : 0]), outputs = count(tensor.sizes[turned ? 0 : 1]);
    if (outputs < 1 || outputs > count(NetworkShape::width_limit)) return no("gives too many numbers");
    const float times = gemm ? node.number("alpha", 1.0f) : 1.0f;
    LayerSpec spec{.kind = LayerKind::dense, .outputs = static_cast<int>(outputs)};
    const char* axes = "nc";
    std::vector<std::int32_t> places(inputs);
    if (x.rank() == 2) {
        if (auto paid = spend(static_cast<std::uint64_t>(x.size())); !paid) return no(paid.error());
        const auto row = stack_.row(x);
        if (!row) return no(row.error());
        if (row->size() != inputs)
            return no(fmt::format("has weights for {} numbers, and {} come in", inputs, row->size()));
        places = *row;
    } else {  // place by place
        axes = x.rank() == 4 ? "nhwc" : x.batch == 0 ? "nwc" : "wnc";
        const auto extent = stack_.seen_as(x, axes);
        if (!extent) return no(extent.error());
        if (count(extent->channels) != inputs)
            return no(fmt::format("has weights for {} numbers, and {} come in", inputs, extent->channels));
        for (std::size_t k = 0; k < inputs; ++k) places[k] = static_cast<std::int32_t>(k);
        spec.kind = LayerKind::convolution;
    }
    std::vector<float> own((inputs + 1) * outputs, 0.0f);
    for (std::size_t i = 0; i < inputs; ++i) {
        for (std::size_t o = 0; o < outputs; ++o)
            own[count(places[i]) * outputs + o] = times * tensor.numbers[turned ? o * inputs + i : i * outputs + o];
    }
    const bool biased = gemm && node.inputs.size() > 2 && !node.inputs[2].empty();
    if (biased) {
        const auto c = weights(node, 2);
        if (!c) return no(c.error());
        const std::vector<float>& b = (*c)->numbers;
        if ((b.size() != outputs && b.size() != 1) || (!(*c)->sizes.empty() && (*c)->sizes.back() != std::ssize(b)))
            return no("has biases that do not fit its outputs");
        for (std::size_t o = 0; o < outputs; ++o)
            own[inputs * outputs + o] = node.number("beta", 1.0f) * b[b.size() == 1 ? 0 : o];
    }
    if (auto added = stack_.append(spec, std::move(own), biased); !added) return no(added.error());
    return View::of(stack_.top(), stack_.out(), axes);
}

/// Rows of a table, by tokens.
Made<View> Nodes::looked_up(const Node& node, const View& x) {
    const auto table = weights(node, 0);
    if (!table) return no(table.error());
    const std::vector<std::int64_t>& sizes = (*table)->sizes;
    if (x.layer != -1 || !stack_.empty() || !file_.inputs[input_].whole || x.batch != 0 || x.rank() > 2 ||
        sizes.size() != 2 || node.integer("axis", 0) != 0)
        return no("is read with a table of weights and the tokens that come in alone");
    if (sizes[0] < 1 || sizes[0] > NetworkShape::width_limit || sizes[1] < 1 ||
        sizes[1] > NetworkShape::width_limit / 2)
        return no("has a table that is too large");
    const bool steps = x.rank() == 2;
    stack_.take_tokens(static_cast<int>(sizes[0]), steps ? static_cast<int>(x.size()) : 1);
    LayerSpec spec{.kind = steps ? LayerKind::embedding : LayerKind::dense, .outputs = static_cast<int>(sizes[1])};
    std::vector<float> own = (*table)->numbers;
    if (!steps) own.insert(own.end(), count(sizes[1]), 0.0f);
    if (auto added = stack_.append(spec, std::move(own), false); !added) return no(added.error());
    return View::of(0, stack_.out(), steps ? "nwc" : "nc");
}

/// Gates of ONNX and of Dunlin: see the writer (onnx_network.cpp).
Made<View> Nodes::walked(const Node& node, const View& x) {
    const bool gru = node.type == "GRU";
    const std::array<std::size_t, 4> inputs = gru ? std::array<std::size_t, 4>{1, 2, 0, 0}
                                                  : std::array<std::size_t, 4>{0, 2, 1, 3},
                                     states = gru ? std::array<std::size_t, 4>{0, 1, 2, 0} : inputs;
    const std::size_t gates = gru ? 3 : 4;
    const std::string direction = node.text("direction", "forward");
    const std::size_t ways = direction == "bidirectional" ? 2 : 1;
    if (direction != "forward" && ways != 2) return no("goes backwards alone");
    if (gru && node.integer("linear_before_reset", 0) == 0)
        return no(
            "resets its state before the product (linear_before_reset = 0); train it with reset_after, as PyTorch "
            "does");
    if (node.integer("layout", 0) != 0 || node.integer("input_forget", 0) != 0 ||
        node.attributes.contains(std::string_view("clip")) ||
        node.attributes.contains(std::string_view("activations")))
        return no("has a layout, a clip, coupled gates or activations of its own");
    for (std::size_t k = 4; k < node.inputs.size(); ++k) {
        const Value* const given = value(node, k);
        if (node.inputs[k].empty()) continue;
        const bool begins = k == 5 || (!gru && k == 6);
        if (!begins || given == nullptr ||
            !(given->kind == Value::zeros ||
              (given->kind == Value::constant && !given->tensor->whole && zero(given->tensor->numbers))))
            return no(begins ? "begins with a state that is not zero" : "has lengths of sequences, or peepholes");
    }
    const auto extent = stack_.seen_as(x, "wnc");
    if (!extent) return no(extent.error());
    const auto w = weights(node, 1), r = weights(node, 2);
    if (!w || !r) return no(w ? r.error() : w.error());
    const auto whole_sizes = [&](std::int64_t last) {
        return std::vector<std::int64_t>{static_cast<std::int64_t>(ways),
                                         (*w)->sizes.size() == 3 ? (*w)->sizes[1] : -1, last};
    };
    const std::int64_t h64 = (*r)->sizes.size() == 3 ? (*r)->sizes[2] : -1;
    if (h64 < 1 || h64 > NetworkShape::width_limit / 4 || (*w)->sizes != whole_sizes(extent->channels) ||
        (*r)->sizes != whole_sizes(h64) || (*w)->sizes[1] != static_cast<std::int64_t>(gates) * h64)
        return no("has weights that do not fit what comes in");
    const std::size_t h = count(h64), c = count(extent->channels), own_bias = gru ? 1 : 0;
    std::vector<float> b(ways * 2 * gates * h, 0.0f);
    if (node.inputs.size() > 3 && !node.inputs[3].empty()) {
        const auto given = weights(node, 3);
        if (!given) return no(given.error());
        if ((*given)->numbers.size() != b.size()) return no("has biases that do not fit its weights");
        b = (*given)->numbers;
    }
    const std::size_t one_way = (c + 1) * gates * h + h * gates * h + own_bias * h;
    std::vector<float> own(ways * one_way, 0.0f);
    for (std::size_t way = 0; way < ways; ++way) {
        float* const W = own.data() + way * one_way;
        float *const bias = W + c * gates * h, *const U = bias + gates * h, *const a = U + h * gates * h;
        const float *const from = (*w)->numbers.data() + way * gates * h * c,
                           *const back = (*r)->numbers.data() + way * gates * h * h,
                           *const biases = b.data() + way * 2 * gates * h;
        for (std::size_t gate = 0; gate < gates; ++gate) {
            for (std::size_t u = 0; u < h; ++u) {
                const std::size_t row = gate * h + u, to = inputs[gate] * h + u;
                for (std::size_t i = 0; i < c; ++i) W[i * gates * h + to] = from[row * c + i];
                for (std::size_t i = 0; i < h; ++i) U[i * gates * h + states[gate] * h + u] = back[row * h + i];
                const bool apart = gru && gate == 2;  // the bias inside the reset product
                bias[to] = biases[row] + (apart ? 0.0f : biases[gates * h + row]);
                if (apart) a[u] = biases[gates * h + row];
            }
        }
    }
    const auto used = uses_.find(node.outputs[0]);
    const bool every_step = !node.outputs[0].empty() && used != uses_.end() && used->second > 0;
    if (!every_step && (node.outputs.size() < 2 || node.outputs[1].empty() || !uses_.contains(node.outputs[1])))
        return no("is read by its steps or its last state, not by the state of its cells");
    const LayerSpec spec{.kind = gru ? LayerKind::gru : LayerKind::lstm,
                         .outputs = static_cast<int>(h),
                         .every_step = every_step,
                         .both_ways = ways == 2};
    if (auto added = stack_.append(spec, std::move(own)); !added) return no(added.error());
    const Axis way{{static_cast<std::int64_t>(ways), h64}}, unit{{h64, 1}};
    if (!every_step) return View{stack_.top(), {way, {}, unit}, 1};
    return View{stack_.top(), {{{extent->width, static_cast<std::int64_t>(ways) * h64}}, way, {}, unit}, 2};
}

}  // namespace dunlin::onnx
