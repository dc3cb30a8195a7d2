// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/adapt/objective.hpp"
#include "core/layer_split.hpp"
#include "envs/data_notes.hpp"
#include "training/host/problem.hpp"
#include "training/simulation/learner.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace dunlin {

/// The split that a setting names: "first", "last", or layers by number from 0. Errors name model.personal_layers:
/// no such layer, nothing left to share.
Outcome<LayerSplit> split_of(const MlpShape& shape, const std::vector<std::string>& personal);

/// The same for a method: with the bilevel objective, and nothing named, the last layer, which `notes` say. Errors
/// also: where the bilevel objective has no layer to share.
Outcome<LayerSplit> split_for(const MlpShape& shape, const std::vector<std::string>& personal, Objective objective,
                              DataNotes& notes);

/// What the nodes of a fleet keep to themselves: the personal part y_i of every node's model. Methods and messages
/// see the shared part alone, through the learners that shared_learners makes (invariant 10).
class PersonalLayers {
public:
    /// Every node starts from the y of `first`, a whole model.
    PersonalLayers(const LayerSplit& split, std::uint32_t nodes, ConstVector<float> first);

    const LayerSplit& split() const { return split_; }
    Vector<float> of(std::uint32_t node) { return all_[node]; }
    ConstVector<float> of(std::uint32_t node) const { return all_[node]; }

    /// The node's whole model (x, y_i).
    void compose(std::uint32_t node, ConstVector<float> shared, Vector<float> w) const {
        split_.put_shared(shared, w);
        split_.put_personal(of(node), w);
    }
    /// The x of a whole model.
    std::vector<float> shared_of(ConstVector<float> w) const {
        std::vector<float> x(split_.shared_size());
        split_.take_shared<float>(w, x);
        return x;
    }

private:
    LayerSplit split_;
    std::vector<std::vector<float>> all_;
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

}  // namespace dunlin
