// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/models/model_file.hpp"
#include "training/models/onnx_file.hpp"

#include <string>
#include <string_view>

namespace dunlin {

/// The model of an ONNX file (opset 9 to 21), which PyTorch, Keras or `dunlin export` wrote: a network of layers that follow one
/// another, with weights inside. Weights of pictures (batch x channels x height x width) and sequences become those
/// of Dunlin's order, in which the channels of a place are next to each other; the model's notes say in which order numbers go in.
/// `file` is its name, for errors. Errors: a file that is none; an operator, or an attribute of one, that no layer is, by the
/// name of the operator and its node.
Outcome<TrainedModel> import_onnx(std::string_view bytes, const std::string& file);

}  // namespace dunlin
