// SPDX-License-Identifier: Apache-2.0
// What fleets and boards take of navigation: apart from the training in one process, which nodes have no room for.
#include "training/navigation/grid_world.hpp"

namespace dunlin {

Outcome<Mlp<float>> critic_of(const NavigationSettings& s, const MlpShape& policy, const Kernels<float>* kernels) {
    if (s.rollout.baseline != Baseline::value) return Mlp<float>{{}, kernels};
    const Result<MlpShape> shape =
        MlpShape::make(policy.inputs, s.value_hidden, 1, Activation::tanh, policy.one_hot);
    if (!shape) return refuse(shape.error(), "policy.value_hidden");
    return Mlp<float>{*shape, kernels};
}

template class PolicyGradientTask<GridNavigation, CategoricalPolicy<float>>;

}  // namespace dunlin
