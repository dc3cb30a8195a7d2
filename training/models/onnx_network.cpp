// SPDX-License-Identifier: Apache-2.0
// Networks as nodes of ONNX, opset 13, whose pictures are batch x channels x height x width, and whose sequences are steps x
// batch x numbers.
#include "core/layer_kernels.hpp"
#include "training/models/onnx_graph.hpp"

#include <array>
#include <utility>

#include <fmt/format.h>

namespace dunlin::onnx {
namespace {

/// How the numbers of a sample lie in a tensor.
enum class Form : std::uint8_t {
    row,      ///< batch x size, in Dunlin's order
    places,   ///< batch x height x width x channels
    picture,  ///< batch x channels x height x width
    walk      ///< width x batch x channels
};

struct Value {
    std::string name;
    Form form = Form::row;
    Extent extent{};
};

class Writer {
public:
    Writer(Graph& graph, const NetworkShape& shape, std::span<const float> parameters, std::string before)
        : graph_(graph), shape_(shape), parameters_(parameters), before_(std::move(before)) {}

    void write(const std::string& input, const std::string& output) {
        Value value{input, Form::row, shape_.input};
        std::vector<Value> given;
        for (int l = 0; l < shape_.layers; ++l) {
            layer_ = l;
            parts_ = 0;
            const NetworkShape::Layer& layer = shape_.layer(l);
            if (layer.spec.flat) {
                value = in_form(value, Form::row);
                value.extent = layer.in;
            }
            value = layer.spec.kind == LayerKind::add
                        ? sum(value, given[static_cast<std::size_t>(shape_.source(l))])
                        : after(layer, value);
            value.extent = layer.out;
            const Activation activation = layer.spec.activation;
            if (activation != Activation::identity) {
                const std::string out = fresh("active");
                graph_.add_node(operator_of(activation), {value.name}, {out},
                                activation == Activation::leaky_relu
                                    ? std::vector<Message>{attribute("alpha", leaky_slope)}
                                    : std::vector<Message>{});
                value.name = out;
            }
            given.push_back(value);
        }
        graph_.add_node("Identity", {in_form(value, Form::row).name}, {output});
    }

private:
    std::string fresh(std::string_view what) { return fmt::format("{}{}_{}_{}", before_, what, layer_, parts_++); }
    std::string weights(std::string_view what, std::span<const float> numbers, const Sizes& sizes) {
        std::string name = fresh(what);
        graph_.add_weights(name, numbers, sizes);
        return name;
    }
    std::string node(std::string_view type, const std::vector<std::string>& inputs,
                     const std::vector<Message>& attributes = {}) {
        std::string out = fresh("value");
        graph_.add_node(type, inputs, {out}, attributes);
        return out;
    }
    std::string reshaped(const std::string& from, const Sizes& sizes) {
        const std::string name = fresh("sizes");
        graph_.add_integers(name, sizes);
        return node("Reshape", {from, name});
    }
    std::string turned(const std::string& from, const Sizes& order) {
        return node("Transpose", {from}, {attribute("perm", order)});
    }

    /// Every form by way of `places`.
    Value in_form(Value value, Form form) {
        if (value.form == form) return value;
        const Extent e = value.extent;
        switch (value.form) {
            case Form::row:
                value.name = reshaped(value.name, {-1, e.height, e.width, e.channels});
                break;
            case Form::picture:
                value.name = turned(value.name, {0, 2, 3, 1});
                break;
            case Form::walk:
                value.name = reshaped(turned(value.name, {1, 0, 2}), {-1, 1, e.width, e.channels});
                break;
            default:
                break;
        }
        switch (form) {
            case Form::row:
                value.name = reshaped(value.name, {-1, e.size()});
                break;
            case Form::picture:
                value.name = turned(value.name, {0, 3, 1, 2});
                break;
            case Form::walk:
                value.name = turned(reshaped(value.name, {-1, e.width, e.channels}), {1, 0, 2});
                break;
            default:
                break;
        }
        value.form = form;
        return value;
    }

    Value sum(const Value& a, const Value& b) { return {node("Add", {a.name, in_form(b, a.form).name}), a.form}; }

    Value after(const NetworkShape::Layer& layer, const Value& x) {
        const std::span<const float> own = parameters_.subspan(layer.at, shape_.parameters(layer_));
        const LayerSpec& spec = layer.spec;
        switch (spec.kind) {
            case LayerKind::dense:
                return dense(layer, own, x);
            case LayerKind::convolution:
                return {node("Conv",
                             {in_form(x, Form::picture).name, kernel(layer, own),
                              weights("bias", own.last(size(spec.outputs)), {spec.outputs})},
                             window(spec, true)),
                        Form::picture};
            case LayerKind::maximum_pool:
                return {node("MaxPool", {in_form(x, Form::picture).name}, window(spec, false)), Form::picture};
            case LayerKind::average_pool: {
                std::vector<Message> attributes = window(spec, false);
                attributes.push_back(attribute("count_include_pad", std::int64_t{1}));
                return {node("AveragePool", {in_form(x, Form::picture).name}, attributes), Form::picture};
            }
            case LayerKind::global_pool:
                return {node("GlobalAveragePool", {in_form(x, Form::picture).name}), Form::picture};
            case LayerKind::gru:
                // Gates here n, z, r and by the state z, r, n; in ONNX z, r, n.
                return walk(layer, own, x, "GRU", {1, 2, 0}, {0, 1, 2}, 1);
            case LayerKind::lstm:
                // Gates here i, f, o, g; in ONNX i, o, f, g.
                return walk(layer, own, x, "LSTM", {0, 2, 1, 3}, {0, 2, 1, 3}, 0);
            case LayerKind::embedding: {
                const std::string table = weights("table", own, {layer.in.channels, spec.outputs});
                // Of one step the input is (batch), and that is the row's form.
                return {node("Gather", {table, x.name}), layer.in.width == 1 ? Form::row : Form::places};
            }
            case LayerKind::normalise:
                return normalised(layer, own, x);
            default:  // what dropout leaves out, it leaves out in training
                return x;
        }
    }

    Value dense(const NetworkShape::Layer& layer, std::span<const float> own, const Value& x) {
        const Sizes sizes{layer.in.size(), layer.spec.outputs};
        const std::string w = weights("weights", own.first(own.size() - size(layer.spec.outputs)), sizes),
                          b = weights("bias", own.last(size(layer.spec.outputs)), {layer.spec.outputs});
        if (layer_ == 0 && shape_.tokens) return {node("Add", {node("Gather", {w, x.name}), b})};
        return {node("Gemm", {in_form(x, Form::row).name, w, b})};
    }

    /// From groups x taps x channels in x channels out.
    std::string kernel(const NetworkShape::Layer& layer, std::span<const float> own) {
        const LayerSpec& spec = layer.spec;
        const std::size_t taps = size(spec.kernel_height * spec.kernel_width),
                          in = size(layer.in.channels / spec.groups), out = size(spec.outputs / spec.groups);
        std::vector<float> turned(size(spec.groups) * taps * in * out);
        std::size_t from = 0;
        for (std::size_t g = 0; g < size(spec.groups); ++g) {
            for (std::size_t t = 0; t < taps; ++t) {
                for (std::size_t i = 0; i < in; ++i) {
                    for (std::size_t o = 0; o < out; ++o) turned[((g * out + o) * in + i) * taps + t] = own[from++];
                }
            }
        }
        return weights("weights", turned,
                       {spec.outputs, layer.in.channels / spec.groups, spec.kernel_height, spec.kernel_width});
    }
    static std::vector<Message> window(const LayerSpec& spec, bool groups) {
        std::vector<Message> out{
            attribute("kernel_shape", Sizes{spec.kernel_height, spec.kernel_width}),
            attribute("pads", Sizes{spec.pad_height, spec.pad_width, spec.pad_height, spec.pad_width}),
            attribute("strides", Sizes{spec.stride_height, spec.stride_width})};
        if (groups) out.push_back(attribute("group", std::int64_t{spec.groups}));
        return out;
    }

    /// Gate k of ONNX is gate inputs[k] of what x is multiplied by, and states[k] of what the state is.
    Value walk(const NetworkShape::Layer& layer, std::span<const float> own, const Value& x, std::string_view type,
               const std::vector<std::size_t>& inputs, const std::vector<std::size_t>& states,
               std::size_t own_bias) {
        const std::size_t gates = inputs.size(), h = size(layer.spec.outputs), c = size(layer.in.channels);
        const std::size_t ways = layer.spec.both_ways ? 2 : 1;
        std::vector<float> w, r, b;
        for (std::size_t way = 0; way < ways; ++way) {
            const float* const W = own.data() + way * (own.size() / ways);
            const float *const bias = W + c * gates * h, *const U = bias + gates * h, *const a = U + h * gates * h;
            for (const std::size_t gate : inputs) {
                for (std::size_t u = 0; u < h; ++u) {
                    for (std::size_t i = 0; i < c; ++i) w.push_back(W[i * gates * h + gate * h + u]);
                }
            }
            for (const std::size_t gate : states) {
                for (std::size_t u = 0; u < h; ++u) {
                    for (std::size_t i = 0; i < h; ++i) r.push_back(U[i * gates * h + gate * h + u]);
                }
            }
            for (const std::size_t gate : inputs) b.insert(b.end(), bias + gate * h, bias + (gate + 1) * h);
            b.insert(b.end(), (gates - own_bias) * h, 0.0f);
            b.insert(b.end(), a, a + own_bias * h);
        }
        const auto n = [](std::size_t count) { return static_cast<std::int64_t>(count); };
        const std::vector<std::string> arguments{in_form(x, Form::walk).name,
                                                 weights("weights", w, {n(ways), n(gates * h), n(c)}),
                                                 weights("state_weights", r, {n(ways), n(gates * h), n(h)}),
                                                 weights("bias", b, {n(ways), n(2 * gates * h)})};
        std::vector<Message> attributes{
            attribute("hidden_size", n(h)),
            attribute("direction", std::string_view(ways == 2 ? "bidirectional" : "forward"))};
        if (own_bias > 0) attributes.push_back(attribute("linear_before_reset", std::int64_t{1}));
        const std::string out = fresh("value");
        if (layer.spec.every_step) {  // steps x ways x batch x units
            graph_.add_node(type, arguments, {out}, attributes);
            return {reshaped(turned(out, {2, 0, 1, 3}), {-1, 1, layer.in.width, n(ways * h)}), Form::places};
        }
        graph_.add_node(type, arguments, {"", out}, attributes);  // ways x batch x units
        return {reshaped(turned(out, {1, 0, 2}), {-1, n(ways * h)}), Form::row};
    }

    /// By instance normalisation of the groups, as PyTorch writes it.
    Value normalised(const NetworkShape::Layer& layer, std::span<const float> own, const Value& x) {
        const Extent in = layer.in;
        const std::vector<float> ones(size(layer.spec.groups), 1.0f), zeros(ones.size(), 0.0f);
        const Sizes groups{layer.spec.groups}, channels{in.channels, 1, 1};
        const std::string grouped =
            reshaped(in_form(x, Form::picture).name, {-1, layer.spec.groups, in.size() / layer.spec.groups});
        const std::string normal =
            node("InstanceNormalization", {grouped, weights("ones", ones, groups), weights("zeros", zeros, groups)},
                 {attribute("epsilon", NormaliseLayer::epsilon)});
        const std::string back = reshaped(normal, {-1, in.channels, in.height, in.width});
        const std::string scaled = node("Mul", {back, weights("scale", own.first(size(in.channels)), channels)});
        return {node("Add", {scaled, weights("shift", own.last(size(in.channels)), channels)}), Form::picture};
    }

    static std::size_t size(int count) { return static_cast<std::size_t>(count); }

    Graph& graph_;
    const NetworkShape& shape_;
    std::span<const float> parameters_;
    std::string before_;
    int layer_ = 0, parts_ = 0;
};

}  // namespace

void add_network(Graph& graph, const NetworkShape& shape, std::span<const float> parameters,
                 const std::string& input, const std::string& output, const std::string& before) {
    Writer(graph, shape, parameters, before).write(input, output);
}

}  // namespace dunlin::onnx
