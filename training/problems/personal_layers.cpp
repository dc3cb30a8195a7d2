// SPDX-License-Identifier: Apache-2.0
#include "training/problems/personal_layers.hpp"

#include <cassert>
#include <charconv>
#include <memory>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace dunlin {
namespace {

class SharedLearner final : public Learner {
public:
    SharedLearner(PersonalLayers& layers, const SplitGradient& gradient, int worker)
        : layers_(layers),
          gradient_(gradient),
          worker_(worker),
          w_(layers.split().dimension()),
          out_(layers.split().dimension()) {}

    std::uint32_t node = 0;

    std::size_t dimension() const override { return layers_.split().shared_size(); }
    int gradient(ConstVector<float> x, Stream& random, Vector<float> out) override {
        layers_.compose(node, x, w_);
        const int taken = gradient_(node, worker_, w_, random, out_);
        layers_.split().take_personal<float>(w_, layers_.of(node));
        layers_.split().take_shared<float>(out_, out);
        return taken;
    }

private:
    PersonalLayers& layers_;
    SplitGradient gradient_;
    int worker_;
    std::vector<float> w_, out_;
};

class FollowingLearner final : public Learner {
public:
    FollowingLearner(PersonalLayers& layers, const LearnerOf& whole, const Follow& follow, int worker)
        : layers_(layers), whole_(whole), follow_(follow), worker_(worker) {}

    std::uint32_t node = 0;

    std::size_t dimension() const override { return layers_.split().dimension(); }
    int given(ConstVector<float> w, Stream& random) override {
        return follow_(node, worker_, w, random, layers_.model_of(node));
    }
    int gradient(ConstVector<float> w, Stream& random, Vector<float> out) override {
        return whole_(node, worker_).gradient(w, random, out);
    }

private:
    PersonalLayers& layers_;
    LearnerOf whole_;
    Follow follow_;
    int worker_;
};

class OuterLearner final : public Learner {
public:
    OuterLearner(PersonalLayers& layers, const LearnerOf& whole, const HessianProduct& product,
                 const Bilevel& bilevel, int worker)
        : layers_(layers),
          whole_(whole),
          product_(product),
          bilevel_(bilevel),
          worker_(worker),
          w_(layers.split().dimension()),
          direction_(w_.size()),
          out_(w_.size()),
          personal_(layers.split().personal_size()) {}

    std::uint32_t node = 0;

    std::size_t dimension() const override { return layers_.split().shared_size(); }
    int gradient(ConstVector<float> x, Stream& random, Vector<float> out) override {
        return answer({}, x, random, out);
    }
    int answer(const Question& question, ConstVector<float> x, Stream& random, Vector<float> out) override {
        using Kind = Question::Kind;
        const LayerSplit& split = layers_.split();
        layers_.compose(node, x, w_);
        int taken = 0;
        if (question.kind == Kind::products) {
            std::ranges::fill(direction_, 0.0f);
            split.put_shared<float>(out, direction_);
            taken = product_(node, worker_, w_, direction_, random, out_);
        } else {
            taken = whole_(node, worker_).gradient(w_, random, out_);
        }
        split.take_shared<float>(out_, out);
        if (question.kind == Kind::gradient) return taken;
        split.take_personal<float>(out_, personal_);
        const Vector<float> y = layers_.of(node), v = layers_.slope_of(node);
        for (std::size_t k = 0; k < v.size(); ++k)
            v[k] = question.kind == Kind::products ? v[k] - question.step_size * personal_[k]
                                                   : personal_[k] + bilevel_.ridge * y[k];
        if (question.last) {
            for (std::size_t k = 0; k < v.size(); ++k) y[k] -= bilevel_.personal_rate * v[k];
        }
        return taken;
    }

private:
    PersonalLayers& layers_;
    LearnerOf whole_;
    HessianProduct product_;
    Bilevel bilevel_;
    int worker_;
    std::vector<float> w_, direction_, out_, personal_;
};

/// Layers that have parameters.
template <class Shape>
int weighted_layers(const Shape& shape) {
    int count = 0;
    for (int l = 0; l < shape.layers; ++l) count += shape.weights_at(l + 1) > shape.weights_at(l) ? 1 : 0;
    return count;
}

/// One learner a thread, told whose it is.
template <class Made>
LearnerOf by_worker(std::vector<Made> learners) {
    auto all = std::make_shared<std::vector<Made>>(std::move(learners));
    return [all](std::uint32_t node, int worker) -> Learner& {
        Made& learner = (*all)[static_cast<std::size_t>(worker)];
        learner.node = node;
        return learner;
    };
}

}  // namespace

template <class Shape>
Outcome<LayerSplit> split_of(const Shape& shape, const std::vector<std::string>& personal, std::size_t behind,
                             std::string_view section) {
    std::vector<int> layers;
    for (const std::string& name : personal) {
        int layer = name == "last" ? -1 : 0;
        if (name != "last" && name != "first") {
            const char* end = name.data() + name.size();
            if (std::from_chars(name.data(), end, layer).ptr != end || name.empty() || layer < 0) {
                return refuse(
                    fmt::format("model.personal_layers: \"{}\" is no layer; expected first, last, or a "
                                "number from 0 to {}",
                                name, weighted_layers(shape) - 1));
            }
        }
        layers.push_back(layer);
    }
    const auto split = LayerSplit::make(shape, layers, behind);
    if (!split)
        return refuse(split.error(), fmt::format("{}.personal_layers = [{}]", section, fmt::join(personal, ", ")));
    return *split;
}

template <class Shape>
Outcome<LayerSplit> split_for(const Shape& shape, const std::vector<std::string>& personal, Objective objective,
                              DataNotes& notes, std::size_t behind, std::string_view section) {
    if (objective != Objective::bilevel || !personal.empty()) return split_of(shape, personal, behind, section);
    if (weighted_layers(shape) < 2)
        return refuse(fmt::format(
            "objective.name = bilevel: one layer alone cannot be both shared and personal; set {}.hidden",
            section));
    notes.push_back(
        {"", 0,
         fmt::format("{}.personal_layers: none is named, so the bilevel objective keeps the last one", section)});
    return split_of(shape, {"last"}, behind, section);
}

template Outcome<LayerSplit> split_of(const MlpShape&, const std::vector<std::string>&, std::size_t,
                                      std::string_view);
template Outcome<LayerSplit> split_of(const NetworkShape&, const std::vector<std::string>&, std::size_t,
                                      std::string_view);
template Outcome<LayerSplit> split_for(const MlpShape&, const std::vector<std::string>&, Objective, DataNotes&,
                                       std::size_t, std::string_view);
template Outcome<LayerSplit> split_for(const NetworkShape&, const std::vector<std::string>&, Objective, DataNotes&,
                                       std::size_t, std::string_view);

PersonalLayers::PersonalLayers(const LayerSplit& split, std::uint32_t nodes, ConstVector<float> first,
                               std::uint32_t from)
    : split_(split), from_(from), all_(nodes, std::vector<float>(split.personal_size())) {
    for (std::vector<float>& y : all_) split.take_personal<float>(first, y);
}

void PersonalLayers::take_kept(std::uint32_t node, Vector<float> kept) const {
    auto behind = std::ranges::copy(of(node), kept.begin()).out;
    if (keeps_models()) behind = std::ranges::copy(model_of(node), behind).out;
    if (keeps_slopes()) std::ranges::copy(slopes_[node - from_], behind);
}

void PersonalLayers::put_kept(std::uint32_t node, ConstVector<float> kept) {
    assert(kept.size() == kept_size());
    std::ranges::copy(kept.first(split_.personal_size()), of(node).begin());
    ConstVector<float> rest = kept.subspan(split_.personal_size());
    if (keeps_models()) {
        std::ranges::copy(rest.first(split_.dimension()), model_of(node).begin());
        rest = rest.subspan(split_.dimension());
    }
    if (keeps_slopes()) std::ranges::copy(rest, slope_of(node).begin());
}

SplitGradient descend_together(LearnerOf whole, const LayerSplit& split, float personal_rate) {
    return [whole = std::move(whole), split, personal_rate](std::uint32_t node, int worker, Vector<float> w,
                                                            Stream& random, Vector<float> out) {
        const int taken = whole(node, worker).gradient(w, random, out);
        split.each_personal([&](std::size_t k) { w[k] -= personal_rate * out[k]; });
        return taken;
    };
}

LearnerOf shared_learners(PersonalLayers& layers, SplitGradient gradient, int threads) {
    std::vector<SharedLearner> all;
    for (int worker = 0; worker < threads; ++worker) all.emplace_back(layers, gradient, worker);
    return by_worker(std::move(all));
}

LearnerOf outer_learners(PersonalLayers& layers, LearnerOf whole, HessianProduct product, const Bilevel& bilevel,
                         int threads) {
    std::vector<OuterLearner> all;
    for (int worker = 0; worker < threads; ++worker) all.emplace_back(layers, whole, product, bilevel, worker);
    return by_worker(std::move(all));
}

LearnerOf following_learners(PersonalLayers& layers, LearnerOf whole, Follow follow, int threads) {
    std::vector<FollowingLearner> all;
    for (int worker = 0; worker < threads; ++worker) all.emplace_back(layers, whole, follow, worker);
    return by_worker(std::move(all));
}

}  // namespace dunlin
