// SPDX-License-Identifier: Apache-2.0
#include "dnnl_rival.hpp"

#ifdef DUNLIN_ONEDNN

#include <functional>
#include <initializer_list>
#include <unordered_map>
#include <utility>
#include <vector>

#include <oneapi/dnnl/dnnl.hpp>
#ifdef _OPENMP
#include <omp.h>
#endif

namespace dunlin::bench {
namespace {

using namespace dnnl;
using Dims = memory::dims;
using Tag = memory::format_tag;

memory::desc described(const Dims& dims, Tag tag = Tag::any) {
    return {dims, memory::data_type::f32, tag};
}

class Chain final : public DnnlNetwork {
public:
    Chain(const NetworkShape& shape, int batch) : engine_(engine::kind::cpu, 0), stream_(engine_), batch_(batch) {
        const Extent in = shape.input;
        const bool steps =
            shape.layer(0).spec.kind == LayerKind::gru || shape.layer(0).spec.kind == LayerKind::lstm;
        at_ = steps ? numbers(described({in.width, batch, in.channels}, Tag::tnc))
                    : numbers(described({batch, in.channels, in.height, in.width}, Tag::nchw));
        for (int l = 0; l < shape.layers && known_; ++l) add(shape.layer(l), l == 0);
        if (!known_) return;
        memory derivative = numbers(at_.get_desc());
        while (!back_.empty()) {
            derivative = back_.back()(derivative);
            back_.pop_back();
        }
    }

    bool known() const { return known_; }
    void forward() override { run(forward_); }
    void backward() override { run(backward_); }

private:
    struct Step {
        primitive what;
        std::unordered_map<int, memory> with;
    };
    using Back = std::function<memory(memory)>;

    void run(std::vector<Step>& steps) {
        for (Step& step : steps) step.what.execute(stream_, step.with);
        stream_.wait();
    }

    memory numbers(const memory::desc& desc) {
        memory made(desc, engine_);
        auto* values = static_cast<float*>(made.get_data_handle());
        for (std::size_t k = 0; k < desc.get_size() / sizeof(float); ++k)
            values[k] = 0.02f * static_cast<float>(k % 11) - 0.1f;
        return made;
    }
    memory empty(const memory::desc& desc) { return memory(desc, engine_); }
    memory in_format(memory from, const memory::desc& desc, std::vector<Step>& steps) {
        if (from.get_desc() == desc) return from;
        memory to = empty(desc);
        steps.push_back({reorder(from, to), {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}}});
        return to;
    }

    void add(const NetworkShape::Layer& layer, bool first) {
        switch (layer.spec.kind) {
            case LayerKind::convolution:
                return convolution(layer, first);
            case LayerKind::maximum_pool:
                return pool(layer, algorithm::pooling_max, {layer.spec.kernel_height, layer.spec.kernel_width},
                            {layer.spec.stride_height, layer.spec.stride_width});
            case LayerKind::global_pool:
                return pool(layer, algorithm::pooling_avg_exclude_padding, {layer.in.height, layer.in.width},
                            {1, 1});
            case LayerKind::dense:
                return dense(layer, first);
            case LayerKind::gru:
            case LayerKind::lstm:
                return recurrent(layer);
            default:
                known_ = false;
        }
    }

    /// In front of a layer's own backward steps: those of its activation.
    memory through_relu(bool relu, memory derivative, const memory& out) {
        if (!relu) return derivative;
        const auto alg = algorithm::eltwise_relu_use_dst_for_bwd;
        derivative = in_format(derivative, out.get_desc(), backward_);
        const eltwise_forward::primitive_desc hint({prop_kind::forward_training, alg, out.get_desc(), 0.0f, 0.0f},
                                                   engine_);
        const eltwise_backward::primitive_desc by({alg, out.get_desc(), out.get_desc(), 0.0f, 0.0f}, engine_, hint);
        memory to = empty(out.get_desc());
        backward_.push_back({eltwise_backward(by),
                             {{DNNL_ARG_DST, out}, {DNNL_ARG_DIFF_DST, derivative}, {DNNL_ARG_DIFF_SRC, to}}});
        return to;
    }
    static primitive_attr relu_behind(bool relu) {
        primitive_attr with;
        post_ops after;
        if (relu) after.append_eltwise(1.0f, algorithm::eltwise_relu, 0.0f, 0.0f);
        with.set_post_ops(after);
        return with;
    }

    void convolution(const NetworkShape::Layer& layer, bool first) {
        const LayerSpec& s = layer.spec;
        const auto alg = algorithm::convolution_direct;
        const bool relu = s.activation == Activation::relu;
        const memory::desc src = described({batch_, layer.in.channels, layer.in.height, layer.in.width}),
                           dst = described({batch_, layer.out.channels, layer.out.height, layer.out.width}),
                           bias = described({s.outputs}, Tag::x),
                           weights =
                               s.groups > 1
                                   ? described({s.groups, s.outputs / s.groups, layer.in.channels / s.groups,
                                                s.kernel_height, s.kernel_width})
                                   : described({s.outputs, layer.in.channels, s.kernel_height, s.kernel_width});
        const Dims strides{s.stride_height, s.stride_width}, pad{s.pad_height, s.pad_width};
        const convolution_forward::desc desc(prop_kind::forward_training, alg, src, weights, bias, dst, strides,
                                             pad, pad);
        const convolution_forward::primitive_desc by(desc, relu_behind(relu), engine_), hint(desc, engine_);
        const memory x = in_format(at_, by.src_desc(), forward_), y = empty(by.dst_desc());
        forward_.push_back({convolution_forward(by),
                            {{DNNL_ARG_SRC, x},
                             {DNNL_ARG_WEIGHTS, numbers(by.weights_desc())},
                             {DNNL_ARG_BIAS, numbers(by.bias_desc())},
                             {DNNL_ARG_DST, y}}});
        at_ = y;
        back_.push_back([=, this](memory derivative) {
            derivative = through_relu(relu, derivative, y);
            const convolution_backward_weights::primitive_desc w({alg, src, weights, bias, dst, strides, pad, pad},
                                                                 engine_, hint);
            backward_.push_back({convolution_backward_weights(w),
                                 {{DNNL_ARG_SRC, in_format(x, w.src_desc(), backward_)},
                                  {DNNL_ARG_DIFF_DST, in_format(derivative, w.diff_dst_desc(), backward_)},
                                  {DNNL_ARG_DIFF_WEIGHTS, empty(w.diff_weights_desc())},
                                  {DNNL_ARG_DIFF_BIAS, empty(w.diff_bias_desc())}}});
            if (first) return derivative;
            const convolution_backward_data::primitive_desc d({alg, src, weights, dst, strides, pad, pad}, engine_,
                                                              hint);
            memory to = empty(d.diff_src_desc());
            backward_.push_back({convolution_backward_data(d),
                                 {{DNNL_ARG_WEIGHTS, numbers(d.weights_desc())},
                                  {DNNL_ARG_DIFF_DST, in_format(derivative, d.diff_dst_desc(), backward_)},
                                  {DNNL_ARG_DIFF_SRC, to}}});
            return to;
        });
    }

    void pool(const NetworkShape::Layer& layer, algorithm alg, const Dims& window, const Dims& strides) {
        const Dims pad{0, 0};
        const memory::desc dst = described({batch_, layer.out.channels, layer.out.height, layer.out.width});
        const pooling_forward::primitive_desc by(
            {prop_kind::forward_training, alg, at_.get_desc(), dst, strides, window, pad, pad}, engine_);
        const memory x = at_, y = empty(by.dst_desc());
        std::unordered_map<int, memory> with{{DNNL_ARG_SRC, x}, {DNNL_ARG_DST, y}};
        memory chosen;
        if (alg == algorithm::pooling_max) {
            chosen = empty(by.workspace_desc());
            with[DNNL_ARG_WORKSPACE] = chosen;
        }
        forward_.push_back({pooling_forward(by), with});
        at_ = y;
        back_.push_back([=, this](memory derivative) {
            const pooling_backward::primitive_desc d({alg, x.get_desc(), y.get_desc(), strides, window, pad, pad},
                                                     engine_, by);
            memory to = empty(d.diff_src_desc());
            std::unordered_map<int, memory> args{
                {DNNL_ARG_DIFF_DST, in_format(derivative, d.diff_dst_desc(), backward_)}, {DNNL_ARG_DIFF_SRC, to}};
            if (chosen) args[DNNL_ARG_WORKSPACE] = chosen;
            backward_.push_back({pooling_backward(d), args});
            return to;
        });
    }

    void dense(const NetworkShape::Layer& layer, bool first) {
        const bool relu = layer.spec.activation == Activation::relu;
        const Dims in = at_.get_desc().dims();
        Dims weight_sides = in;
        weight_sides[0] = layer.spec.outputs;
        const memory::desc src = described(in), dst = described({batch_, layer.spec.outputs}),
                           bias = described({layer.spec.outputs}, Tag::x), weights = described(weight_sides);
        const inner_product_forward::desc desc(prop_kind::forward_training, src, weights, bias, dst);
        const inner_product_forward::primitive_desc by(desc, relu_behind(relu), engine_), hint(desc, engine_);
        const memory x = in_format(at_, by.src_desc(), forward_), y = empty(by.dst_desc());
        forward_.push_back({inner_product_forward(by),
                            {{DNNL_ARG_SRC, x},
                             {DNNL_ARG_WEIGHTS, numbers(by.weights_desc())},
                             {DNNL_ARG_BIAS, numbers(by.bias_desc())},
                             {DNNL_ARG_DST, y}}});
        at_ = y;
        back_.push_back([=, this](memory derivative) {
            derivative = through_relu(relu, derivative, y);
            const inner_product_backward_weights::primitive_desc w({src, weights, bias, dst}, engine_, hint);
            backward_.push_back({inner_product_backward_weights(w),
                                 {{DNNL_ARG_SRC, in_format(x, w.src_desc(), backward_)},
                                  {DNNL_ARG_DIFF_DST, in_format(derivative, w.diff_dst_desc(), backward_)},
                                  {DNNL_ARG_DIFF_WEIGHTS, empty(w.diff_weights_desc())},
                                  {DNNL_ARG_DIFF_BIAS, empty(w.diff_bias_desc())}}});
            if (first) return derivative;
            const inner_product_backward_data::primitive_desc d({src, weights, dst}, engine_, hint);
            memory to = empty(d.diff_src_desc());
            backward_.push_back({inner_product_backward_data(d),
                                 {{DNNL_ARG_WEIGHTS, numbers(d.weights_desc())},
                                  {DNNL_ARG_DIFF_DST, in_format(derivative, d.diff_dst_desc(), backward_)},
                                  {DNNL_ARG_DIFF_SRC, to}}});
            return to;
        });
    }

    /// The last state goes on; a GRU is the one that multiplies by the reset gate behind the product, as Dunlin's does.
    void recurrent(const NetworkShape::Layer& layer) {
        const memory::dim steps = layer.in.width, in = layer.in.channels, units = layer.spec.outputs;
        const bool lstm = layer.spec.kind == LayerKind::lstm;
        const memory::dim gates = lstm ? 4 : 3;
        const auto along = rnn_direction::unidirectional_left2right;
        const memory::desc x = described({steps, batch_, in}, Tag::tnc),
                           y = described({steps, batch_, units}, Tag::tnc),
                           state = described({1, 1, batch_, units}, Tag::ldnc),
                           of_input = described({1, 1, in, gates, units}),
                           of_state = described({1, 1, units, gates, units}),
                           bias = described({1, 1, 4, units}, Tag::ldgo);
        const auto finish = [&, this](const auto& by, auto step, const auto& backward_of) {
            std::unordered_map<int, memory> with{{DNNL_ARG_SRC_LAYER, at_},
                                                 {DNNL_ARG_SRC_ITER, numbers(state)},
                                                 {DNNL_ARG_WEIGHTS_LAYER, numbers(by.weights_layer_desc())},
                                                 {DNNL_ARG_WEIGHTS_ITER, numbers(by.weights_iter_desc())},
                                                 {DNNL_ARG_BIAS, numbers(bias)},
                                                 {DNNL_ARG_DST_LAYER, empty(y)},
                                                 {DNNL_ARG_DST_ITER, empty(state)},
                                                 {DNNL_ARG_WORKSPACE, empty(by.workspace_desc())}};
            if (lstm) {
                with[DNNL_ARG_SRC_ITER_C] = numbers(state);
                with[DNNL_ARG_DST_ITER_C] = empty(state);
            }
            forward_.push_back({step, with});
            const memory last = with[DNNL_ARG_DST_ITER];
            at_ = memory(described({batch_, units}, Tag::nc), engine_, last.get_data_handle());
            kept_.push_back(last);
            back_.push_back([=, this](memory derivative) {
                const auto d = backward_of();
                derivative = in_format(derivative, described({batch_, units}, Tag::nc), backward_);
                kept_.push_back(derivative);
                std::unordered_map<int, memory> args = with;
                args[DNNL_ARG_WEIGHTS_LAYER] = numbers(d.first.weights_layer_desc());
                args[DNNL_ARG_WEIGHTS_ITER] = numbers(d.first.weights_iter_desc());
                args[DNNL_ARG_DIFF_SRC_LAYER] = empty(x);
                args[DNNL_ARG_DIFF_SRC_ITER] = empty(state);
                args[DNNL_ARG_DIFF_WEIGHTS_LAYER] = empty(d.first.diff_weights_layer_desc());
                args[DNNL_ARG_DIFF_WEIGHTS_ITER] = empty(d.first.diff_weights_iter_desc());
                args[DNNL_ARG_DIFF_BIAS] = empty(bias);
                args[DNNL_ARG_DIFF_DST_LAYER] = numbers(y);
                args[DNNL_ARG_DIFF_DST_ITER] = memory(state, engine_, derivative.get_data_handle());
                if (lstm) {
                    args[DNNL_ARG_DIFF_SRC_ITER_C] = empty(state);
                    args[DNNL_ARG_DIFF_DST_ITER_C] = numbers(state);
                }
                backward_.push_back({d.second, args});
                return args[DNNL_ARG_DIFF_SRC_LAYER];
            });
        };
        const auto training = prop_kind::forward_training;
        if (lstm) {
            const lstm_forward::primitive_desc by(
                {training, along, x, state, state, of_input, of_state, bias, y, state, state}, engine_);
            finish(by, primitive(lstm_forward(by)), [=, this] {
                const lstm_backward::primitive_desc d({prop_kind::backward,
                                                       along,
                                                       x,
                                                       state,
                                                       state,
                                                       of_input,
                                                       of_state,
                                                       bias,
                                                       y,
                                                       state,
                                                       state,
                                                       x,
                                                       state,
                                                       state,
                                                       of_input,
                                                       of_state,
                                                       bias,
                                                       y,
                                                       state,
                                                       state},
                                                      engine_, by);
                return std::pair(d, primitive(lstm_backward(d)));
            });
        } else {
            const lbr_gru_forward::primitive_desc by(
                {training, along, x, state, of_input, of_state, bias, y, state}, engine_);
            finish(by, primitive(lbr_gru_forward(by)), [=, this] {
                const lbr_gru_backward::primitive_desc d(
                    {prop_kind::backward, along, x, state, of_input, of_state, bias, y, state, x, state, of_input,
                     of_state, bias, y, state},
                    engine_, by);
                return std::pair(d, primitive(lbr_gru_backward(d)));
            });
        }
    }

    engine engine_;
    stream stream_;
    memory::dim batch_;
    memory at_;  ///< what the layers so far give
    std::vector<Step> forward_, backward_;
    std::vector<Back> back_;
    std::vector<memory> kept_;  ///< whose numbers another memory views
    bool known_ = true;
};

}  // namespace

std::unique_ptr<DnnlNetwork> make_dnnl_network(const NetworkShape& shape, int batch) {
#ifdef _OPENMP
    omp_set_num_threads(1);
#endif
    auto chain = std::make_unique<Chain>(shape, batch);
    if (!chain->known()) return nullptr;
    return chain;
}

}  // namespace dunlin::bench

#else

namespace dunlin::bench {
std::unique_ptr<DnnlNetwork> make_dnnl_network(const NetworkShape&, int) {
    return nullptr;
}
}  // namespace dunlin::bench

#endif
