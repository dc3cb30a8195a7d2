// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/adapt/moreau_envelope.hpp"
#include "envs/grid_navigation.hpp"
#include "envs/map_file.hpp"
#include "fleet/policy_file.hpp"
#include "fleet/problem.hpp"
#include "rl/policy_gradient_task.hpp"

#include <cstdint>
#include <string>

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

/// A C++20 header with a struct dunlin::exported::Policy of constants: parameters with their checksum, which the
/// compiler verifies, and the task; for firmware-targets/device/grid_learner.hpp. Numbers are hexadecimal, so the
/// bits are the file's. Errors: a setting that a device does not have.
Outcome<std::string> policy_header(const PolicyFile& policy, const BoardTask& task);

/// The policy in C99, without any library but <math.h>'s fmaf: what `policy.h` declares and `policy.c` defines. The
/// same bits as the reference kernels wherever fmaf rounds once.
std::string policy_c_header(const PolicyFile& policy);
std::string policy_c_source(const PolicyFile& policy);

/// The policy as an ONNX model, opset 13: input "observation" (batch x inputs, float) or of a one-hot policy
/// "state" (batch, int64); outputs "logits" and "probabilities", or of a Gaussian policy "mean" and "log_sigma".
std::string policy_onnx(const PolicyFile& policy);

}  // namespace dunlin
