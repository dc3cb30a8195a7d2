// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/adapt/bilevel.hpp"
#include "core/adapt/objective.hpp"
#include "core/layer_split.hpp"
#include "core/mlp.hpp"
#include "core/network/network_shape.hpp"
#include "envs/data_notes.hpp"
#include "training/host/failure.hpp"
#include "training/host/rank_group.hpp"
#include "training/simulation/learner.hpp"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace dunlin {

/// The split that a setting names: "first", "last", or layers by number from 0. Errors name SECTION.personal_layers:
/// no such layer, nothing left to share. `behind` as LayerSplit::make has it. `shape` is a perceptron's or a network's,
/// whose layers without parameters are not counted.
template <class Shape>
Outcome<LayerSplit> split_of(const Shape& shape, const std::vector<std::string>& personal, std::size_t behind = 0,
                             std::string_view section = "model");

/// The same for a method: with the bilevel objective, and nothing named, the last layer, which `notes` say. Errors
/// also: where the bilevel objective has no layer to share.
template <class Shape>
Outcome<LayerSplit> split_for(const Shape& shape, const std::vector<std::string>& personal, Objective objective,
                              DataNotes& notes, std::size_t behind = 0, std::string_view section = "model");

/// What the nodes of a fleet keep to themselves: the personal part y_i of every node's model. Methods and messages
/// see the shared part alone, through the learners that shared_learners makes (invariant 10).
class PersonalLayers {
public:
    /// Every node starts from the y of `first`, a whole model. The nodes are those numbered from `from`.
    PersonalLayers(const LayerSplit& split, std::uint32_t nodes, ConstVector<float> first, std::uint32_t from = 0);

    const LayerSplit& split() const { return split_; }
    Vector<float> of(std::uint32_t node) { return all_[node - from_]; }
    ConstVector<float> of(std::uint32_t node) const { return all_[node - from_]; }

    /// The node's whole model (x, y_i).
    void compose(std::uint32_t node, ConstVector<float> shared, Vector<float> w) const {
        split_.put_shared(shared, w);
        split_.put_personal(of(node), w);
    }
    /// Each rank has what is of its own nodes; then all have all.
    void known_to_all(RankGroup& ranks) {
        ranks.share(all_);
        if (keeps_models()) ranks.share(models_);
        if (keeps_slopes()) ranks.share(slopes_);
    }
    /// All y and models, for an archive; `fits` says whether what was read is as it was: of so many nodes, with whole
    /// models of their own or without. Slopes are there only where they are kept.
    template <class Archive>
    void fields(Archive& archive) {
        const bool slopes = keeps_slopes();
        archive(all_, models_);
        if (slopes) archive(slopes_);
    }
    bool fits(std::uint32_t nodes, bool with_models, bool with_slopes) const {
        const auto each = [](const auto& vectors, std::size_t count, std::size_t size) {
            return vectors.size() == count &&
                   std::ranges::all_of(vectors, [&](const std::vector<float>& one) { return one.size() == size; });
        };
        return each(all_, nodes, split_.personal_size()) &&
               each(models_, with_models ? nodes : 0, split_.dimension()) &&
               each(slopes_, with_slopes ? nodes : 0, split_.personal_size());
    }

    /// The x of a whole model.
    std::vector<float> shared_of(ConstVector<float> w) const {
        std::vector<float> x(split_.shared_size());
        split_.take_shared<float>(w, x);
        return x;
    }

    /// From now on every node also keeps a whole model of its own, which begins as `first`.
    void keep_models(ConstVector<float> first) {
        models_.assign(all_.size(), std::vector<float>(first.begin(), first.end()));
    }
    bool keeps_models() const { return !models_.empty(); }
    Vector<float> model_of(std::uint32_t node) { return models_[node - from_]; }
    ConstVector<float> model_of(std::uint32_t node) const { return models_[node - from_]; }

    /// From now on every node also keeps v, the derivative by its y that a series is adding up; it begins as zero.
    void keep_slopes() { slopes_.assign(all_.size(), std::vector<float>(split_.personal_size())); }
    bool keeps_slopes() const { return !slopes_.empty(); }
    Vector<float> slope_of(std::uint32_t node) { return slopes_[node - from_]; }

    /// All that a node keeps in one vector of kept_size() numbers: y, then its own model where it has one, or v.
    std::size_t kept_size() const {
        return split_.personal_size() + (keeps_models() ? split_.dimension() : 0) +
               (keeps_slopes() ? split_.personal_size() : 0);
    }
    void take_kept(std::uint32_t node, Vector<float> kept) const;
    void put_kept(std::uint32_t node, ConstVector<float> kept);

private:
    LayerSplit split_;
    std::uint32_t from_;
    std::vector<std::vector<float>> all_;
    std::vector<std::vector<float>> models_, slopes_;
};

/// Moves y inside w = (x, y) and writes a gradient whose shared part is that of x, both of the node's, on thread
/// `worker`; `out` holds w.size() floats. Returns the task gradients that it cost.
using SplitGradient =
    std::function<int(std::uint32_t node, int worker, Vector<float> w, Stream& random, Vector<float> out)>;

/// One gradient for both: y steps along its part of what any task and adaptation give for the whole model.
SplitGradient descend_together(LearnerOf whole, const LayerSplit& split, float personal_rate);

/// Learners of the shared part, for any fleet: each puts its node's model together, asks `gradient`, and keeps y.
/// `layers` outlives them.
LearnerOf shared_learners(PersonalLayers& layers, SplitGradient gradient, int threads);

/// H s of the node's loss at its whole model w, on a fresh batch, on thread `worker`; all hold w.size() floats. Returns
/// the task gradients that it cost.
using HessianProduct = std::function<int(std::uint32_t node, int worker, ConstVector<float> w, ConstVector<float> s,
                                         Stream& random, Vector<float> out)>;

/// Learners of the shared part for hyper-gradient push, with lambda = y: f is the loss of `whole`, F is that with
/// bilevel.ridge/2 |y|^2, both on fresh batches, and beta is bilevel.personal_rate. C u is the personal part of the
/// Hessian's product with u, whose own personal part is zero. `layers` keeps slopes, and outlives them.
LearnerOf outer_learners(PersonalLayers& layers, LearnerOf whole, HessianProduct product, const Bilevel& bilevel,
                         int threads);

/// Lets a node's own model v follow the shared w, on thread `worker`. Returns the task gradients that it cost.
using Follow =
    std::function<int(std::uint32_t node, int worker, ConstVector<float> w, Stream& random, Vector<float> v)>;

/// Learners of the whole model that let the one which their node keeps follow whatever it is given. `layers` keeps
/// models, and outlives them.
LearnerOf following_learners(PersonalLayers& layers, LearnerOf whole, Follow follow, int threads);

}  // namespace dunlin
