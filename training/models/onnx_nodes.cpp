// SPDX-License-Identifier: Apache-2.0
// The graph: what comes in and goes out, what is known before, and where numbers are moved about.
#include "training/models/onnx_nodes.hpp"

#include "training/host/plain_text.hpp"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include <fmt/format.h>

namespace dunlin::onnx {
namespace {

constexpr std::uint64_t work_limit = std::uint64_t{1} << 32;  ///< numbers that are looked at

bool one_of(std::string_view type, std::initializer_list<std::string_view> list) {
    return std::ranges::find(list, type) != list.end();
}

}  // namespace

Made<void> Nodes::walk() {
    if (file_.opset < 9) return no(fmt::format("is of operator set {}; 9 is the oldest that is read", file_.opset));
    for (const Tensor& tensor : file_.tensors) values_[tensor.name] = {Value::constant, {}, &tensor, {}};
    for (const Node& node : file_.nodes) {
        // What asks for sizes alone does not hold on to the numbers.
        for (const std::string& input : node.inputs) uses_[input] += node.type == "Shape" ? 0 : 1;
        for (const std::string& output : node.outputs) makers_[output] = &node;
    }
    for (const Port& output : file_.outputs) ++uses_[output.name];
    if (auto taken = take_input(); !taken) return taken;
    for (const Node& node : file_.nodes) {
        if (!node.domain.empty() && node.domain != "ai.onnx")
            return no(fmt::format("{}: of the operators \"{}\", which are not read", node.shown(),
                                  shown(node.domain, false)));
        std::vector<std::string> used;
        for (const std::string& output : node.outputs) {
            if (!output.empty() && uses_[output] > 0) used.push_back(output);
        }
        if (used.empty()) continue;
        const bool walks = node.type == "GRU" || node.type == "LSTM";
        if (used.size() > 1 || (!walks && used[0] != node.outputs[0]))
            return no(fmt::format("{}: more than one of its outputs is used", node.shown()));
        auto made = of(node);
        if (!made) return no(fmt::format("{} {}", node.shown(), made.error()));
        if (made->kind == Value::view && made->seen.layer >= 0 && uses_[used[0]] > 1)
            stack_.layer(made->seen.layer).closed = true;
        values_[used[0]] = *std::move(made);
    }
    return take_outputs();
}

Made<void> Nodes::take_input() {
    std::vector<std::size_t> open;
    for (std::size_t k = 0; k < file_.inputs.size(); ++k) {
        if (!values_.contains(file_.inputs[k].name) && uses_[file_.inputs[k].name] > 0) open.push_back(k);
    }
    if (open.size() != 1) return no(fmt::format("has {} inputs that are used; a network has one", open.size()));
    input_ = open[0];
    const Port& port = file_.inputs[input_];
    const std::string name = fmt::format("input \"{}\"", shown(port.name, false));
    if (!port.sized || port.sizes.empty() || port.sizes.size() > File::rank_limit)
        return no(name + " says no sizes; export the model with them");
    const auto unsaid = std::ranges::count(port.sizes, -1);
    std::size_t batch = 0;
    if (unsaid == 1) batch = static_cast<std::size_t>(std::ranges::find(port.sizes, -1) - port.sizes.begin());
    if (unsaid > 1)
        return no(name + " leaves more open than the batch; export the model with a fixed length or size");
    if (unsaid == 0 && port.sizes.size() == 3) {  // a sequence that goes into a recurrent layer as it is
        const bool walks = std::ranges::any_of(file_.nodes, [&](const Node& node) {
            return one_of(node.type, {"GRU", "LSTM"}) && !node.inputs.empty() && node.inputs[0] == port.name;
        });
        batch = walks ? 1 : 0;
    }
    std::int64_t size = 1;
    for (std::size_t k = 0; k < port.sizes.size(); ++k) {
        if (k == batch) continue;
        if (port.sizes[k] > NetworkShape::size_limit / size)
            return no(fmt::format("{} has more than {} numbers", name, NetworkShape::size_limit));
        size *= port.sizes[k];
    }
    values_[port.name] = {Value::view, View::plain(-1, port.sizes, batch), nullptr, {}};
    return {};
}

Made<void> Nodes::take_outputs() {
    bool any_view = false;
    for (const Port& port : file_.outputs) {
        const std::string name = fmt::format("output \"{}\"", shown(port.name, false));
        const auto found = values_.find(port.name);
        if (found == values_.end()) return no(name + " is given by no node");
        const Value& value = found->second;
        if (value.kind == Value::constant && port.name == "log_sigma" && any_view &&
            std::ssize(value.tensor->numbers) == stack_.out().size()) {
            log_sigma_ = value.tensor->numbers;
            continue;
        }
        if (value.kind != Value::view || value.seen.layer < 0 || value.seen.layer != stack_.top())
            return no(name + " is not what the last layer gives; a network has one output");
        if (auto paid = spend(static_cast<std::uint64_t>(value.seen.size())); !paid) return paid;
        if (value.seen.batch != 0 || !std::ranges::is_sorted(value.seen.order()))
            return no(name + " puts numbers in another order than the last layer gives them");
        any_view = true;
    }
    return any_view ? Made<void>() : no("has no output");
}

Made<Nodes::Value> Nodes::of(const Node& node) {
    if (auto known = of_sizes(node)) return *known;
    if (auto part = of_parts(node)) return *part;
    if (node.type == "Constant") {
        const auto found = node.attributes.find(std::string_view("value"));
        if (found != node.attributes.end() && found->second.tensor)
            return Value{Value::constant, {}, &*found->second.tensor, {}};
        const float number = node.number("value_float", NAN);
        if (std::isnan(number)) return no("holds no tensor");
        made_.push_back({"", {}, false, {number}, {}});
        return Value{Value::constant, {}, &made_.back(), {}};
    }
    const Value *first = value(node, 0), *second = value(node, 1);
    const auto take = [&](Made<View> made) -> Made<Value> {
        if (!made) return no(made.error());
        made->cut = made->cut || (first->kind == Value::view && first->seen.cut && node.type != "Gather");
        made->scalings = scalings_;  // as what it was made of has them, which was looked at
        return Value{Value::view, *std::move(made), nullptr, {}};
    };
    if (first == nullptr) return no("takes nothing that is known here");
    for (const Value* one : {first, second}) {
        // The scale is the model's: all must read what comes in scaled alike.
        if (one != nullptr && one->kind == Value::view && one->seen.layer == -1 && one->seen.scalings != scalings_)
            return no("reads what comes in without the scale that another node gives it");
        if (one != nullptr && one->kind == Value::view && one->seen.cut &&
            !one_of(node.type, {"Gather", "Identity", "Cast", "Reshape", "Squeeze", "Unsqueeze", "Flatten"}))
            return no("takes numbers that were cast to whole ones, and only a Gather from a table does here");
    }
    const bool views = second != nullptr && first->kind == Value::view && second->kind == Value::view;
    if (chooses_ && !one_of(node.type, {"Identity"}))
        return no("comes behind Softmax, which is known at the end alone");
    if (node.type == "Add" && views) return take(summed(node));
    if (node.type == "Div" && second != nullptr && first->kind == Value::part && second->kind == Value::part)
        return take(divided_by_deviation(node));
    if (one_of(node.type, {"Add", "Sub", "Mul", "Div"}) && second != nullptr) {
        if (first->kind == Value::view && second->kind == Value::constant)
            return take(with_constant(node, first->seen, *second->tensor));
        if (first->kind == Value::constant && second->kind == Value::view && node.type != "Div")
            return take(with_constant(node, second->seen, *first->tensor));
    }
    if (node.type == "Gather" && first->kind == Value::constant && second != nullptr && second->kind == Value::view)
        return take(looked_up(node, second->seen));
    if (one_of(node.type, {"Identity", "Cast"}) && first->kind == Value::constant) return *first;
    if (first->kind != Value::view) return no("is not among the operators that are read, for what comes in");
    return take(of_view(node, first->seen));
}

Made<View> Nodes::of_view(const Node& node, const View& x) {
    if (one_of(node.type,
               {"Identity", "Dropout", "Cast", "Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze"}))
        return rearranged(node, x);
    if (one_of(node.type, {"Gather", "Slice"})) return picked(node, x);
    if (one_of(node.type, {"Relu", "LeakyRelu", "Tanh", "Sigmoid"})) return activated(node, x);
    if (one_of(node.type, {"MaxPool", "AveragePool", "GlobalAveragePool", "ReduceMean"})) return pooled(node, x);
    if (node.type == "Conv") return convolved(node, x);
    if (one_of(node.type, {"Gemm", "MatMul"})) return multiplied(node, x);
    if (one_of(node.type, {"GRU", "LSTM"})) return walked(node, x);
    if (one_of(node.type,
               {"InstanceNormalization", "BatchNormalization", "LayerNormalization", "GroupNormalization"}))
        return normalised(node, x);
    if (one_of(node.type, {"Softmax", "LogSoftmax"})) {
        const auto axis = x.axis(node.integer("axis", file_.opset < 13 ? 1 : -1));
        if (!axis || *axis == x.batch || x.size(*axis) != x.size() || x.layer < 0 || x.layer != stack_.top())
            return no("is known at the end alone, over all outputs");
        chooses_ = true;
        return x;
    }
    return no(
        "is not among the operators that are read: Gemm, MatMul, Conv, pools, GRU, LSTM, Gather, normalisations, "
        "Add, "
        "Reshape, Flatten, Transpose, Relu, LeakyRelu, Tanh, Sigmoid, Softmax");
}

std::optional<Nodes::Value> Nodes::of_sizes(const Node& node) const {
    const auto sizes = [](std::vector<std::int64_t> numbers) {
        return Value{Value::sizes, {}, nullptr, std::move(numbers)};
    };
    const Value* const first = value(node, 0);
    if (node.type == "Constant") {
        if (node.attributes.contains(std::string_view("value_ints"))) return sizes(node.integers("value_ints"));
        if (node.attributes.contains(std::string_view("value_int"))) return sizes({node.integer("value_int", 0)});
        return std::nullopt;
    }
    if (first == nullptr) return std::nullopt;
    if (node.type == "Shape" && first->kind == Value::view) {
        std::vector<std::int64_t> numbers;
        for (std::size_t k = 0; k < first->seen.rank(); ++k)
            numbers.push_back(k == first->seen.batch ? any : first->seen.size(k));
        return sizes(std::move(numbers));
    }
    if (node.type == "Concat") {
        std::vector<std::int64_t> all;
        bool known = false;
        for (std::size_t k = 0; k < node.inputs.size(); ++k) {
            const auto one = whole(node, k);
            constexpr std::size_t most_sizes = 64;  // no tensor has so many dimensions
            if (!one || all.size() + one->size() > most_sizes) return std::nullopt;
            known = known || value(node, k)->kind == Value::sizes;
            all.insert(all.end(), one->begin(), one->end());
        }
        return known ? std::optional(sizes(std::move(all))) : std::nullopt;
    }
    if (node.type == "ConstantOfShape") {
        const auto found = node.attributes.find(std::string_view("value"));
        const bool zero = found == node.attributes.end() || !found->second.tensor ||
                          (found->second.tensor->numbers == std::vector<float>{0.0f});
        return zero ? std::optional(Value{Value::zeros, {}, nullptr, {}}) : std::nullopt;
    }
    if (node.type == "Expand" && first->kind == Value::constant && !first->tensor->whole &&
        std::ranges::all_of(first->tensor->numbers, [](float number) { return number == 0.0f; }))
        return Value{Value::zeros, {}, nullptr, {}};
    if (first->kind != Value::sizes) return std::nullopt;
    if (one_of(node.type, {"Unsqueeze", "Squeeze", "Cast", "Identity"})) return *first;
    if (node.type == "Gather") {
        const auto at = whole(node, 1);
        std::vector<std::int64_t> picked;
        if (at && at->size() > first->numbers.size()) return std::nullopt;
        for (std::int64_t place : at.value_or(std::vector<std::int64_t>{})) {
            const auto count = std::ssize(first->numbers);
            if (place < 0) place += count;
            if (place < 0 || place >= count) return std::nullopt;
            picked.push_back(first->numbers[static_cast<std::size_t>(place)]);
        }
        return sizes(std::move(picked));
    }
    return std::nullopt;
}

Made<View> Nodes::rearranged(const Node& node, const View& x) {
    if (node.type == "Cast") {
        constexpr std::int64_t to_float = 1, to_double = 11;
        const std::int64_t type = node.integer("to", to_float);
        View out = x;
        out.cut = x.cut || (type != to_float && type != to_double);
        return out;
    }
    if (one_of(node.type, {"Identity", "Dropout"})) return x;
    const auto cannot = [] { return no("mixes the batch with other numbers, or fits nothing that comes in"); };
    if (node.type == "Reshape" || node.type == "Flatten") {
        std::optional<std::vector<std::int64_t>> sizes = whole(node, 1);
        if (node.type == "Flatten")
            sizes = x.axis(node.integer("axis", 1)) == 1 && x.batch == 0
                        ? std::optional(std::vector{any, std::int64_t{-1}})
                        : std::nullopt;
        const auto made = sizes && sizes->size() <= File::rank_limit ? x.reshaped(*sizes, any) : std::nullopt;
        return made ? Made<View>(*made) : cannot();
    }
    if (node.type == "Transpose") {
        std::vector<std::int64_t> order = node.integers("perm");
        if (order.empty()) {
            for (std::size_t k = x.rank(); k-- > 0;) order.push_back(static_cast<std::int64_t>(k));
        }
        View out{x.layer, {}, 0};
        if (order.size() != x.rank() || std::set(order.begin(), order.end()).size() != order.size())
            return cannot();
        for (const std::int64_t from : order) {
            const auto axis = x.axis(from);
            if (!axis) return cannot();
            if (*axis == x.batch) out.batch = out.axes.size();
            out.axes.push_back(x.axes[*axis]);
        }
        return out;
    }
    std::optional<std::vector<std::int64_t>> axes = whole(node, 1);
    if (node.inputs.size() < 2) axes = node.integers("axes");
    if (!axes) return cannot();
    View out{x.layer, {}, 0};
    if (node.type == "Squeeze") {
        std::set<std::size_t> gone;
        for (const std::int64_t number : *axes) {
            const auto axis = x.axis(number);
            if (!axis || *axis == x.batch || x.size(*axis) != 1) return cannot();
            gone.insert(*axis);
        }
        for (std::size_t k = 0; k < x.rank(); ++k) {
            if (axes->empty() && k != x.batch && x.size(k) == 1) gone.insert(k);
            if (k == x.batch) out.batch = out.axes.size();
            if (!gone.contains(k)) out.axes.push_back(x.axes[k]);
        }
        return out;
    }
    const std::size_t rank = x.rank() + axes->size();
    if (rank > File::rank_limit) return cannot();
    std::set<std::int64_t> added;
    for (const std::int64_t axis : *axes) added.insert(axis < 0 ? axis + static_cast<std::int64_t>(rank) : axis);
    std::size_t next = 0;
    for (std::size_t k = 0; k < rank; ++k) {
        if (added.contains(static_cast<std::int64_t>(k))) {
            out.axes.emplace_back();
            continue;
        }
        if (next == x.rank()) return cannot();
        if (next == x.batch) out.batch = k;
        out.axes.push_back(x.axes[next++]);
    }
    return next == x.rank() ? Made<View>(out) : cannot();
}

/// One of an axis: of one that has no more, or the last step of a recurrent layer.
Made<View> Nodes::picked(const Node& node, const View& x) {
    const bool gathers = node.type == "Gather";
    const auto cannot = [] {
        return no(
            "picks some of the numbers; what is read is the last step of a recurrent layer that goes one way");
    };
    const auto starts = whole(node, 1), axes = whole(node, 3);
    if (!starts || starts->size() != 1 || (!gathers && axes && axes->size() != 1)) return cannot();
    const auto axis = x.axis(gathers ? node.integer("axis", 0) : axes ? axes->front() : 0);
    if (!axis || *axis == x.batch) return cannot();
    const std::int64_t size = x.size(*axis), at = starts->front() < 0 ? starts->front() + size : starts->front();
    if (!gathers) {
        const auto ends = whole(node, 2), steps = whole(node, 4);
        if (!ends || ends->size() != 1 || (steps && *steps != std::vector<std::int64_t>{1})) return cannot();
        const std::int64_t end = ends->front() < 0 ? ends->front() + size : std::min(ends->front(), size);
        if (at == 0 && end == size) return x;
        if (end - 1 != at) return cannot();
    }
    if (at < 0 || at >= size) return cannot();
    View out = x;
    if (size > 1) {
        const bool last_step = at == size - 1 && stack_.open(x) && stack_.last().spec.every_step &&
                               !stack_.last().spec.both_ways && stack_.out().width == size &&
                               View::simple(x.axes[*axis]) == Axis{{size, stack_.out().channels}};
        if (!last_step) return cannot();
        stack_.keep_last_step();
        out.axes[*axis].clear();
    }
    const Value* const index = value(node, 1);
    if (gathers && (index->kind == Value::sizes || index->tensor->sizes.empty())) {
        out.axes.erase(out.axes.begin() + static_cast<std::ptrdiff_t>(*axis));
        if (*axis < out.batch) --out.batch;
    }
    return out;
}

const Nodes::Value* Nodes::value(const Node& node, std::size_t input) const {
    if (input >= node.inputs.size() || node.inputs[input].empty()) return nullptr;
    const auto found = values_.find(node.inputs[input]);
    return found == values_.end() ? nullptr : &found->second;
}

Made<const Tensor*> Nodes::weights(const Node& node, std::size_t input) const {
    const Value* const found = value(node, input);
    if (found != nullptr && found->kind == Value::constant && !found->tensor->whole) return found->tensor;
    return no(
        fmt::format("has no numbers in the file as its input {}; save the model with its weights", input + 1));
}

std::optional<std::vector<std::int64_t>> Nodes::whole(const Node& node, std::size_t input) const {
    const Value* const found = value(node, input);
    if (found == nullptr) return std::nullopt;
    if (found->kind == Value::sizes) return found->numbers;
    if (found->kind == Value::constant && found->tensor->whole) return found->tensor->integers;
    return std::nullopt;
}

const Node* Nodes::maker(const std::string& name, std::string_view type) const {
    const auto found = makers_.find(name);
    return found != makers_.end() && found->second->type == type ? found->second : nullptr;
}

Made<void> Nodes::spend(std::uint64_t numbers) {
    spent_ += numbers;
    return spent_ <= work_limit ? Made<void>() : no("makes the graph larger than what is read here");
}

}  // namespace dunlin::onnx
