// SPDX-License-Identifier: Apache-2.0
#include "training/models/onnx_stack.hpp"

#include "training/models/layer_text.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace dunlin::onnx {
namespace {

bool has_weights(const Stack::Layer& layer) {
    return layer.spec.kind == LayerKind::dense || layer.spec.kind == LayerKind::convolution;
}

}  // namespace

Made<void> Stack::on_top(const View& view) const {
    if (view.layer == top()) return {};
    return no("takes what an earlier node gave; layers follow one another, and Add alone may reach back");
}

Made<Extent> Stack::seen_as(const View& view, std::string_view axes) {
    if (auto fits = on_top(view); !fits) return no(fits.error());
    if (tokens_ && empty()) return no("takes tokens, which Gather makes numbers of");
    if (view.rank() != axes.size() || view.batch != axes.find('n'))
        return no(fmt::format("is given {} axes with the batch at {}; wanted are {} with the batch at {}",
                              view.rank(), view.batch, axes.size(), axes.find('n')));
    const auto side = [&](char name) {
        const std::size_t at = axes.find(name);
        return at == std::string_view::npos ? 1 : static_cast<int>(view.size(at));
    };
    const Extent extent{side('h'), side('w'), side('c')};
    if (empty()) {
        View turned{-1, {}, 0};
        for (const char name : std::string_view("hwc")) {
            const std::size_t at = axes.find(name);
            if (at != std::string_view::npos) turned.axes.push_back(view.axes[at]);
        }
        input_ = extent;
        order_ = turned.order();
        return extent;
    }
    const View wanted = View::of(top(), out(), std::string(axes).c_str());
    for (std::size_t k = 0; k < axes.size(); ++k) {
        if (View::simple(wanted.axes[k]) != View::simple(view.axes[k]))
            return no(fmt::format("takes numbers in another order than {} come in", extent_text(out())));
    }
    return extent;
}

Made<std::vector<std::int32_t>> Stack::row(const View& view) {
    if (auto fits = on_top(view); !fits) return no(fits.error());
    if (tokens_ && empty()) return no("takes tokens, which Gather makes numbers of");
    if (view.rank() != 2 || view.batch != 0) return no("is wanted to take a row of numbers for each of the batch");
    std::vector<std::int32_t> places = view.order();
    if (!empty()) return places;
    input_ = {1, 1, static_cast<int>(places.size())};
    order_ = places;
    for (std::size_t k = 0; k < places.size(); ++k) places[k] = static_cast<std::int32_t>(k);
    return places;
}

bool Stack::open(const View& view) const {
    return !empty() && view.layer == top() && !layers_.back().closed &&
           layers_.back().spec.activation == Activation::identity;
}

Made<NetworkShape> Stack::shape() const {
    std::vector<LayerSpec> specs;
    for (const Layer& layer : layers_) specs.push_back(layer.spec);
    const auto made = NetworkShape::make(input_, tokens_, specs);
    if (made) return *made;
    if (made.error().code == Code::too_many_layers)
        return no(fmt::format("is layer {}; a network has at most {}", specs.size(), NetworkShape::layer_limit));
    return no("makes a layer that cannot stand here: " + layer_text(specs.back(), out()) + " on " +
              extent_text(out()));
}

Made<void> Stack::append(LayerSpec spec, std::vector<float> weights, bool biased) {
    layers_.push_back({spec, std::move(weights), biased, false});
    auto made = shape();
    if (!made) {
        layers_.pop_back();
        return no(made.error());
    }
    extents_.push_back(made->last().out);
    return {};
}

void Stack::keep_last_step() {
    layers_.back().spec.every_step = false;
    extents_.back().width = 1;
}

bool Stack::row_follows(std::size_t l) const {
    while (l < layers_.size() && layers_[l].spec.kind == LayerKind::dropout) ++l;
    return l == layers_.size() || layers_[l].spec.kind == LayerKind::dense;
}

Made<NetworkShape> Stack::finish(Extent& input, std::vector<float>& parameters, bool& biases) {
    if (empty()) return no("makes no layer");
    biases = std::ranges::any_of(layers_, [](const Layer& layer) { return !has_weights(layer) || layer.biased; });
    for (std::size_t l = 0; l < layers_.size(); ++l) {
        Layer& layer = layers_[l];
        if (layer.spec.kind != LayerKind::normalise) continue;
        const std::size_t size = layer.weights.size() / 2,
                          channels = static_cast<std::size_t>(extents_[l].channels);
        const auto alike = [&](std::size_t at) { return layer.weights[at] == layer.weights[at - channels]; };
        bool even = true;
        for (std::size_t k = channels; k < size; ++k) even = even && alike(k) && alike(size + k);
        if (even) {
            std::vector<float> own(layer.weights.begin(), layer.weights.begin() + extents_[l].channels);
            own.insert(own.end(), layer.weights.begin() + static_cast<std::ptrdiff_t>(size),
                       layer.weights.begin() + static_cast<std::ptrdiff_t>(size + channels));
            layer.weights = std::move(own);
        } else if (layer.spec.groups == 1 && row_follows(l + 1)) {
            layer.spec.flat = true;  // one row, each number with a scale of its own
        } else {
            return no("normalises with other scales at other places; here a channel has one");
        }
    }
    for (const Layer& layer : layers_)
        parameters.insert(parameters.end(), layer.weights.begin(), layer.weights.end());
    input = input_;
    return shape();
}

}  // namespace dunlin::onnx
