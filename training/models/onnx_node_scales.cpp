// SPDX-License-Identifier: Apache-2.0
// Operators that add to numbers and scale them: biases, residual sums, normalisations in each form that exporters write.
#include "training/models/onnx_nodes.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace dunlin::onnx {
namespace {

std::size_t count(std::int64_t size) {
    return static_cast<std::size_t>(size);
}

}  // namespace

Made<std::vector<float>> Nodes::spread(const View& x, const Tensor& tensor) {
    const auto cannot = [] { return no("has a constant that does not fit what comes in"); };
    if (tensor.whole || tensor.sizes.size() > x.rank()) return cannot();
    if (auto paid = spend(static_cast<std::uint64_t>(x.size())); !paid) return no(paid.error());
    View source = x;
    std::int64_t stride = 1;
    for (std::size_t k = x.rank(), t = tensor.sizes.size(); k-- > 0;) {
        const std::int64_t size = t > 0 ? tensor.sizes[--t] : 1;
        if (size != 1 && (k == x.batch || size != x.size(k))) return cannot();
        if (k != x.batch) source.axes[k] = {{x.size(k), size == 1 ? 0 : stride}};
        stride *= size;
    }
    const std::vector<std::int32_t> from = source.order(), to = x.order();
    std::vector<float> out(to.size());
    for (std::size_t k = 0; k < to.size(); ++k) out[count(to[k])] = tensor.numbers[count(from[k])];
    return out;
}

/// A number for each of an axis.
Made<std::vector<float>> Nodes::along(const View& x, std::size_t axis, const Tensor& tensor) {
    Tensor turned = tensor;
    if (axis >= x.rank() || std::ssize(tensor.numbers) != x.size(axis))
        return no("has as many constants as do not fit its channels");
    turned.sizes.assign(x.rank() - axis, 1);
    turned.sizes[0] = x.size(axis);
    return spread(x, turned);
}

Made<View> Nodes::with_constant(const Node& node, const View& x, const Tensor& tensor) {
    auto numbers = spread(x, tensor);
    if (!numbers) return no(numbers.error());
    if (node.type == "Mul") return scaled(x, *std::move(numbers), {});
    if (node.type == "Div") {
        for (float& number : *numbers) number = 1.0f / number;
        return scaled(x, *std::move(numbers), {});
    }
    const bool first = value(node, 0)->kind == Value::view;
    if (node.type == "Add") return scaled(x, {}, *std::move(numbers));
    if (first) {
        for (float& number : *numbers) number = -number;
        return scaled(x, {}, *std::move(numbers));
    }
    return scaled(x, std::vector<float>(numbers->size(), -1.0f), *std::move(numbers));
}

/// x factor + shift, number by number in the order of the layer; either may be empty.
Made<View> Nodes::scaled(const View& x, std::vector<float> factor, std::vector<float> shift) {
    const std::size_t size = count(x.size());
    if (stack_.empty()) {  // of raw inputs
        if (file_.inputs[input_].whole) return no("takes tokens, which Gather makes numbers of");
        if (scale_.empty()) {
            centre_.assign(size, 0.0f);
            scale_.assign(size, 1.0f);
        }
        for (std::size_t k = 0; k < size; ++k) {
            if (!factor.empty()) scale_[k] *= factor[k];
            if (!shift.empty()) centre_[k] -= shift[k] / scale_[k];
            if (!std::isfinite(centre_[k]) || !std::isfinite(scale_[k]) || scale_[k] == 0.0f)
                return no("scales what comes in by nothing, or by too much");
        }
        ++scalings_;
        return x;
    }
    if (x.layer != stack_.top()) return no("takes what an earlier node gave");
    const bool open = stack_.open(x);
    Stack::Layer& last = stack_.last();
    if (open && last.spec.kind == LayerKind::normalise) {
        for (std::size_t k = 0; k < size; ++k) {
            if (!factor.empty()) last.weights[k] *= factor[k];
            if (!factor.empty()) last.weights[size + k] *= factor[k];
            if (!shift.empty()) last.weights[size + k] += shift[k];
        }
        return x;
    }
    const std::size_t channels = count(stack_.out().channels);
    const auto even = [&](const std::vector<float>& numbers) {
        for (std::size_t k = channels; k < numbers.size(); ++k) {
            if (numbers[k] != numbers[k - channels]) return false;
        }
        return true;
    };
    if (!even(factor) || !even(shift)) return no("adds to or scales places of a channel differently");
    if (open && (last.spec.kind == LayerKind::dense || last.spec.kind == LayerKind::convolution)) {
        const std::size_t groups = count(last.spec.groups), of_group = channels / groups,
                          weights = last.weights.size() - channels, rows = weights / channels;
        for (std::size_t k = 0; k < weights && !factor.empty(); ++k)
            last.weights[k] *= factor[k / (rows * of_group) * of_group + k % of_group];
        for (std::size_t o = 0; o < channels; ++o) {
            float& bias = last.weights[weights + o];
            if (!factor.empty()) bias *= factor[o];
            if (!shift.empty()) bias += shift[o];
        }
        last.biased = last.biased || !shift.empty();
        return x;
    }
    // By itself: a convolution that looks at one place and one channel.
    std::vector<float> own(channels, 1.0f);
    if (!factor.empty()) own.assign(factor.begin(), factor.begin() + stack_.out().channels);
    own.resize(2 * channels, 0.0f);
    for (std::size_t o = 0; o < channels && !shift.empty(); ++o) own[channels + o] = shift[o];
    const LayerSpec spec{
        .kind = LayerKind::convolution, .outputs = stack_.out().channels, .groups = stack_.out().channels};
    if (auto added = stack_.append(spec, std::move(own)); !added) return no(added.error());
    View out = x;
    out.layer = stack_.top();
    return out;
}

Made<View> Nodes::summed(const Node& node) {
    const View &a = value(node, 0)->seen, &b = value(node, 1)->seen;
    const View &top = a.layer > b.layer ? a : b, &from = a.layer > b.layer ? b : a;
    if (top.layer != stack_.top() || from.layer < 0 || from.layer == top.layer)
        return no("is read of what the last layer gives and what an earlier layer gave, and of constants");
    bool alike = top.rank() == from.rank() && top.batch == from.batch && stack_.out(from.layer) == stack_.out();
    for (std::size_t k = 0; alike && k < top.rank(); ++k)
        alike = View::simple(top.axes[k]) == View::simple(from.axes[k]);
    if (!alike) return no("adds numbers in other orders, or of other sizes");
    const LayerSpec spec{.kind = LayerKind::add, .back = top.layer - from.layer};
    View out = top;
    if (auto added = stack_.append(spec, {}); !added) return no(added.error());
    out.layer = stack_.top();
    return out;
}

/// To mean 0 and variance 1 over groups of axis 1, or over everything.
Made<View> Nodes::normal(const View& x, int groups, float epsilon) {
    if (std::abs(epsilon - NormaliseLayer::epsilon) > 1e-8f)
        return no(fmt::format("has an epsilon of {}; here it is {}", epsilon, NormaliseLayer::epsilon));
    const bool first = stack_.empty();
    if (auto settled = settle(x); !settled) return no(settled.error());
    LayerSpec spec{.kind = LayerKind::normalise, .groups = groups};
    const Extent in = stack_.out();
    if (groups > 1) {
        const Axis axis = x.rank() > 1 && !first ? View::simple(x.axes[1]) : Axis{};
        const std::int64_t all = groups;
        const auto of = [&](std::int64_t numbers) {
            return axis == View::simple({{all, numbers / all}}) && numbers % all == 0;
        };
        spec.flat = !of(in.channels) && of(in.size());
        if (!of(in.channels) && !spec.flat)
            return no("normalises groups that are none of channels next to each other");
    }
    std::vector<float> own(2 * count(in.size()), 1.0f);
    std::fill(own.begin() + in.size(), own.end(), 0.0f);
    if (auto added = stack_.append(spec, std::move(own)); !added) return no(added.error());
    View out = first ? View::of(0, stack_.out(), x.rank() == 4 ? "nchw" : x.rank() == 3 ? "nwc" : "nc") : x;
    out.layer = stack_.top();
    return out;
}

Made<View> Nodes::normalised(const Node& node, const View& x) {
    const auto scale = weights(node, 1);
    if (!scale) return no(scale.error());
    const bool shifts = node.inputs.size() > 2 && !node.inputs[2].empty();
    const auto shift = shifts ? weights(node, 2) : scale;
    if (!shift) return no(shift.error());
    const float epsilon = node.number("epsilon", 1e-5f);
    if (node.type == "BatchNormalization") {
        const auto mean = weights(node, 3), variance = weights(node, 4);
        if (!mean || !variance) return no(mean ? variance.error() : mean.error());
        const std::size_t channels = (*scale)->numbers.size();
        if (node.integer("training_mode", 0) != 0 || (*shift)->numbers.size() != channels ||
            (*mean)->numbers.size() != channels || (*variance)->numbers.size() != channels)
            return no("is read as it runs, with as many means and variances as scales");
        Tensor by{"", {static_cast<std::int64_t>(channels)}, false, std::vector<float>(channels), {}}, plus = by;
        for (std::size_t k = 0; k < channels; ++k) {
            by.numbers[k] = (*scale)->numbers[k] / std::sqrt((*variance)->numbers[k] + epsilon);
            plus.numbers[k] = (*shift)->numbers[k] - (*mean)->numbers[k] * by.numbers[k];
        }
        auto factor = along(x, 1, by), added = along(x, 1, plus);
        if (!factor || !added) return no(factor ? added.error() : factor.error());
        return scaled(x, *std::move(factor), *std::move(added));
    }
    Made<View> out = no("");
    const bool layer = node.type == "LayerNormalization";
    if (layer) {
        const auto axis = x.axis(node.integer("axis", -1));
        std::int64_t within = 1;
        for (std::size_t k = axis.value_or(x.rank()); k < x.rank(); ++k) within *= x.size(k);
        if (!axis || *axis <= x.batch || within != x.size())
            return no(
                "normalises each step or place by itself; here a layer normalises all that comes in together");
        out = normal(x, 1, epsilon);
    } else {
        const std::int64_t groups = node.type == "GroupNormalization" ? node.integer("num_groups", 1)
                                    : x.rank() > 1                    ? x.size(1)
                                                                      : 0;
        if (x.batch != 0 || x.rank() < 3 || groups < 1 || groups > NetworkShape::width_limit)
            return no("is read over channels alone");
        View grouped = x;
        if (groups != x.size(1)) {
            const auto made = x.reshaped({any, groups, -1}, any);
            if (!made) return no("has groups that do not divide the channels");
            grouped = *made;
        }
        out = normal(grouped, static_cast<int>(groups), epsilon);
        if (out) {
            const int at = out->layer;
            *out = x;
            out->layer = at;
        }
    }
    if (!out) return out;
    auto factor = layer ? spread(*out, **scale) : along(*out, 1, **scale);
    if (!factor) return no(factor.error());
    auto plus = layer ? spread(*out, **shift) : along(*out, 1, **shift);
    if (!plus) return no(plus.error());
    if (!shifts) plus->clear();
    return scaled(*out, *std::move(factor), *std::move(plus));
}

std::optional<std::vector<std::int64_t>> Nodes::axes_of(const Node& node, const View& x) const {
    std::optional<std::vector<std::int64_t>> axes = whole(node, 1);
    if (node.inputs.size() < 2) axes = node.integers("axes");
    if (!axes) return axes;
    for (std::int64_t& axis : *axes) axis += axis < 0 ? static_cast<std::int64_t>(x.rank()) : 0;
    std::ranges::sort(*axes);
    return axes;
}

/// (x - mean) / sqrt(mean((x - mean)^2) + epsilon), as PyTorch writes it before operator set 17: its steps are parts,
/// and the division makes a layer of them.
std::optional<Nodes::Value> Nodes::of_parts(const Node& node) const {
    const Value *const first = value(node, 0), *const second = value(node, 1);
    if (first == nullptr) return std::nullopt;
    const auto is_part = [](const Value* one) { return one != nullptr && one->kind == Value::part; };
    const Value part{Value::part, {}, nullptr, {}};
    if (node.type == "Sub" && first->kind == Value::view && is_part(second)) return part;
    if (node.type == "ReduceMean" && first->kind == Value::view) {
        const bool taken_off = std::ranges::any_of(file_.nodes, [&](const Node& other) {
            return other.type == "Sub" && other.inputs.size() == 2 && other.inputs[0] == node.inputs[0] &&
                   other.inputs[1] == node.outputs[0];
        });
        return taken_off ? std::optional(part) : std::nullopt;
    }
    const bool step = node.type == "Pow" || node.type == "Sqrt" || node.type == "ReduceMean" ||
                      node.type == "Cast" || (node.type == "Mul" && is_part(second)) ||
                      (node.type == "Add" && second != nullptr && second->kind == Value::constant);
    return is_part(first) && step ? std::optional(part) : std::nullopt;
}

Made<View> Nodes::divided_by_deviation(const Node& node) {
    const auto cannot = [] { return no("divides by what is no standard deviation"); };
    const auto input = [](const Node* of, std::size_t k) -> std::string {
        return of != nullptr && k < of->inputs.size() ? of->inputs[k] : std::string();
    };
    const Node* const from = maker(input(&node, 0), "Sub");
    const Node* const root = maker(input(&node, 1), "Sqrt");
    const Node* const sum = maker(input(root, 0), "Add");
    const Node* const variance = maker(input(sum, 0), "ReduceMean");
    const Node *square = maker(input(variance, 0), "Pow"), *twice = maker(input(variance, 0), "Mul");
    if (from == nullptr || sum == nullptr || variance == nullptr || (square == nullptr && twice == nullptr))
        return cannot();
    const Node* const squared = maker(input(square != nullptr ? square : twice, 0), "Sub");
    const Node* const mean = maker(input(from, 1), "ReduceMean");
    if (squared == nullptr || mean == nullptr || input(squared, 0) != input(from, 0) ||
        input(mean, 0) != input(from, 0) || (twice != nullptr && input(twice, 0) != input(twice, 1)))
        return cannot();
    const Value* const x = value(*from, 0);
    const auto epsilon = weights(*sum, 1);
    if (x == nullptr || x->kind != Value::view || !epsilon || (*epsilon)->numbers.size() != 1) return cannot();
    if (square != nullptr) {
        const Value* const power = value(*square, 1);
        if (power == nullptr || power->kind != Value::constant ||
            !(power->tensor->numbers == std::vector<float>{2.0f} ||
              power->tensor->integers == std::vector<std::int64_t>{2}))
            return cannot();
    }
    for (const Node* one : {mean, variance}) {
        const auto axes = axes_of(*one, x->seen);
        std::int64_t within = 1;
        for (const std::int64_t axis : axes.value_or(std::vector<std::int64_t>{})) {
            if (axis < 0 || axis >= static_cast<std::int64_t>(x->seen.rank()) || count(axis) == x->seen.batch)
                return cannot();
            within *= x->seen.size(count(axis));
        }
        if (within != x->seen.size())
            return no(
                "normalises each step or place by itself; here a layer normalises all that comes in together");
    }
    return normal(x->seen, 1, (*epsilon)->numbers[0]);
}

}  // namespace dunlin::onnx
