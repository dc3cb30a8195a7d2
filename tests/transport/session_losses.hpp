// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/random.hpp"
#include "transport/session/node_session.hpp"

#include <algorithm>
#include <vector>

/// What the nodes of a SessionFleet minimise, and how they weigh each other.
namespace dunlin::test {

/// Metropolis weights of a node's in-neighbours.
inline std::vector<double> metropolis_weights(const std::vector<std::vector<std::uint32_t>>& in, std::uint32_t i) {
    std::vector<double> all;
    for (const std::uint32_t j : in[i])
        all.push_back(1.0 / (1.0 + static_cast<double>(std::max(in[i].size(), in[j].size()))));
    return all;
}

/// Of node i's loss at z, |z - (i, i + 1, ...)|^2 / 2; and noise.
inline void toy_gradient(std::uint32_t i, ConstVector<float> z, Stream& random, bool noisy, Vector<float> out) {
    for (std::size_t k = 0; k < z.size(); ++k)
        out[k] = z[k] - static_cast<float>(i + k) + (noisy ? 0.1f * random.normal() : 0.0f);
    if (noisy) random.next_epoch();
}

/// What a machine asks for; where that is products, of a Hessian (1 + i/10) I.
inline void answer_toy(const Question& question, std::uint32_t i, ConstVector<float> z, Stream& random, bool noisy,
                       Vector<float> out) {
    if (question.kind != Question::Kind::products) return toy_gradient(i, z, random, noisy, out);
    for (float& value : out)
        value = value * (1.0f + 0.1f * static_cast<float>(i)) + (noisy ? 0.1f * random.normal() : 0.0f);
    if (noisy) random.next_epoch();
}

}  // namespace dunlin::test
