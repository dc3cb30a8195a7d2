// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/kernels.hpp"
#include "core/vector.hpp"
#include "training/models/model_file.hpp"

#include <cstdint>

namespace dunlin::python {

/// What a batch of samples is: numbers, a row of `model.inputs()` for each, or tokens, `model.steps()` for each (of a
/// one-hot policy the number of its state).
struct Samples {
    const float* numbers = nullptr;
    const std::int64_t* tokens = nullptr;
    int count = 0;
};

/// The model's outputs by its parameters w, a row of `model.outputs()` for each sample: of actions and classes logits,
/// or with `probabilities` those; of a mixture always probabilities; of a Gaussian means. Tokens are below
/// `model.inputs()`. From any thread: work space is the thread's own.
void model_outputs(const TrainedModel& model, const Kernels<float>& kernels, ConstVector<float> w, Samples samples,
                   bool probabilities, float* out);

}  // namespace dunlin::python
