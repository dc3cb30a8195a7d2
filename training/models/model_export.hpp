// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/adapt/moreau_envelope.hpp"
#include "envs/grid_navigation.hpp"
#include "envs/map_file.hpp"
#include "rl/one_body.hpp"
#include "rl/policy_gradient_task.hpp"
#include "training/host/failure.hpp"
#include "training/models/model_file.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace dunlin {

/// What a board needs beside the meta-policy to adapt it by itself: the loop's settings and a task.
struct BoardTask {
    StoredMap map;
    GridTaskSettings settings;
    MoreauEnvelope adaptation;
    RolloutSettings rollout;
    int steps = 0;             ///< inner steps
    std::uint64_t seed = 1;    ///< of the random numbers, with the two below: `dunlin adapt` draws the same
    std::uint32_t number = 0;  ///< of the task among those held out
    std::uint32_t epoch = 0;
};

/// How a node of a fleet learns an exported model from samples of its own: what firmware-targets/device/target.hpp has of
/// the same names.
struct BoardLearning {
    int batch = 1, steps = 0;
    float rate = 0.1f, pull = 0.0f, accuracy = 0.0f, step_clip = 0.0f;
};

/// Error: text that is no identifier of C, is reserved there, is a keyword of C or C++, or whose files would hide a
/// header of the C library.
Outcome<void> check_export_name(const std::string& name);

/// What a model is for, what goes in and what comes out, a line each: for comments and for people. Without control
/// characters, whatever the data had.
std::vector<std::string> about(const TrainedModel& model);

/// A C++20 header with a struct of constants, dunlin::exported::Policy or with a name
/// dunlin::exported::NAME::Policy: parameters with their checksum, and the task; for
/// firmware-targets/device/grid_learner.hpp, which compares the checksum when it starts. Numbers are hexadecimal,
/// so the bits are the file's. Errors: a setting that a device does not have.
Outcome<std::string> model_header(const TrainedModel& model, const BoardTask& task, const std::string& name);

/// The same for a network of layers that a firmware runs or trains (core/network/fixed_network.hpp): a struct
/// dunlin::exported::Network, or with a name dunlin::exported::NAME::Network, of its shape and parameters. Errors: a
/// perceptron, a mixture. With `learning`, of a model of classes or of one number, it has what device/sample_node.hpp
/// wants too.
Outcome<std::string> network_header(const TrainedModel& model, const std::string& name,
                                    const std::optional<BoardLearning>& learning = {});

/// A policy for one real body (rl/one_body.hpp): a struct dunlin::exported::Policy, or dunlin::exported::NAME::Policy, for
/// firmware-targets/device/body_learner.hpp.
std::string body_header(const TrainedModel& policy, const OneBodySettings& body, std::uint64_t seed,
                        const std::string& name);

/// A perceptron of samples (classification, regression, ranking): a struct dunlin::exported::Model, or
/// dunlin::exported::NAME::Model, for firmware-targets/device/sample_learner.hpp. Error: a mixture.
Outcome<std::string> sample_header(const TrainedModel& model, const std::string& name,
                                   const std::optional<BoardLearning>& learning = {});

/// Labelled samples of one node, as a body would have met them.
struct BoardSamples {
    std::string of;  ///< whose, for people
    int features = 0;
    bool bytes = false;         ///< values in [0, 1] that are rounded to 8 bits
    std::vector<float> values;  ///< raw, row by row: those that are learned from, then those that are held out
    std::vector<std::uint8_t> labels;
    std::size_t learned = 0;  ///< rows that are learned from
};
/// A C++20 header with a struct dunlin::exported::Samples, or with a name dunlin::exported::NAME::Samples, for
/// firmware-targets/images/sample_node.cpp and whoever tries device/sample_node.hpp without a sensor.
std::string samples_header(const BoardSamples& samples, const std::string& name);

/// The model in C99, without any library but <math.h>'s fmaf: what NAME.h declares and NAME.c defines, with names
/// that begin with `prefix`. The same bits as the reference kernels wherever fmaf rounds once. No input has
/// undefined behaviour: where a number in is NaN, or a state is none, NaN comes out. `file` is the header's name.
std::string model_c_header(const TrainedModel& model, const std::string& prefix);
std::string model_c_source(const TrainedModel& model, const std::string& prefix, const std::string& file);

/// The model as an ONNX model, opset 13, with what it is for as its description: input "observation" (batch x
/// inputs, float; raw, where the model has a scaling) or of a one-hot policy "state" (batch, int64); outputs
/// "logits" and "probabilities", of a Gaussian policy "mean" and "log_sigma", of a mixture "probabilities", else
/// "output".
std::string model_onnx(const TrainedModel& model, const std::string& name);

}  // namespace dunlin
