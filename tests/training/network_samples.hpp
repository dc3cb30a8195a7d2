// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/network/network.hpp"
#include "training/models/layer_text.hpp"
#include "training/models/model_file.hpp"

#include <string>
#include <vector>

#include <catch2/catch.hpp>

namespace dunlin::test {

struct NetworkSample {
    std::string name;
    Extent input;
    bool tokens;
    std::vector<std::string> layers;
};

/// Networks in which every kind of layer stands, with every option that it has.
inline std::vector<NetworkSample> network_samples() {
    return {{"keywords",
             {20, 20, 1},
             false,
             {"conv 3x3 8 stride=2 relu", "depthwise 3x3 relu", "conv 1x1 16 relu", "global-average", "dense 10"}},
            {"pictures",
             {9, 8, 4},
             false,
             {"conv 3x2 6 stride=2x1 pad=1x0 groups=2 leaky-relu", "max-pool 2x2 stride=1 pad=1 tanh",
              "group-norm 3 sigmoid", "average-pool 3x2 stride=1 pad=1x0", "dropout 0.5", "flatten", "layer-norm",
              "dense 4 sigmoid", "dense 3"}},
            {"residual",
             {6, 5, 3},
             false,
             {"conv 1x1 4", "conv 3x3 4 pad=same relu", "layer-norm", "add 2 relu", "depthwise 2x2 stride=2",
              "dense 7 leaky-relu", "dense 2"}},
            {"windows",
             {1, 20, 3},
             false,
             {"conv 5 6 pad=2 stride=2 relu", "max-pool 2", "gru 5 every-step both-ways", "gru 4", "dense 3"}},
            {"speech", {1, 7, 4}, false, {"dense 5 tanh", "dense 6"}},
            {"walks",
             {1, 6, 4},
             false,
             {"conv 1 4", "lstm 4 every-step both-ways tanh", "lstm 4 every-step", "layer-norm",
              "gru 3 both-ways relu", "dense 3"}},
            {"last", {1, 5, 3}, false, {"lstm 4 both-ways", "flatten", "group-norm 4", "dense 2"}},
            {"characters", {1, 6, 11}, true, {"embedding 5 tanh", "lstm 4 every-step", "lstm 4", "dense 11"}},
            {"states", {1, 1, 9}, true, {"dense 6 leaky-relu", "dense 4"}}};
}

inline NetworkShape shape_of(const NetworkSample& sample) {
    const auto shape = read_layers("layers", sample.input, sample.tokens, sample.layers, 0);
    if (!shape) FAIL(shape.error().text);
    return *shape;
}

/// A classifier of such a network with random parameters, biases and all.
inline TrainedModel model_of(const NetworkSample& sample, std::uint64_t seed = 3) {
    TrainedModel model{.experiment = sample.name, .shape = {}, .head = ModelHead::classes, .parameters = {}};
    model.network = shape_of(sample);
    model.parameters.resize(model.count());
    Stream random(seed, 0, Purpose::evaluate);
    initialise(*model.network, random, model.parameters);
    for (float& value : model.parameters) value += 0.1f * random.normal();
    return model;
}

/// What a model gives for one raw input, numbers or tokens, by the reference kernels.
inline std::vector<float> outputs_of(const TrainedModel& model, std::vector<float> input,
                                     const std::vector<std::int32_t>& tokens) {
    const NetworkShape& shape = *model.network;
    for (std::size_t k = 0; k < model.centre.size(); ++k) input[k] = (input[k] - model.centre[k]) * model.scale[k];
    std::vector<float> scratch(shape.scratch_scalars()), rows(static_cast<std::size_t>(shape.units()));
    const Network<float> network{shape, generic_kernels<float>(), scratch.data()};
    const NetworkInputs<float> inputs =
        shape.tokens ? NetworkInputs<float>{{}, tokens.data(), 1} : NetworkInputs<float>{{input.data(), 1}};
    network.forward(model.parameters.data(), inputs, {rows.data(), 1}, 1);
    const auto at = rows.begin() + shape.last().row;
    return {at, at + shape.outputs()};
}

}  // namespace dunlin::test
