// SPDX-License-Identifier: Apache-2.0
// A supervised node of a fleet behind a serial line: it learns a classifier from samples of its own, which never leave
// it, in whatever job its coordinator offers. Without a sensor it meets the samples that were exported with the model.
#include "sample_node.hpp"

#include "exported_policy.hpp"
#include "exported_samples.hpp"
#include "node_life.hpp"

namespace {

using namespace dunlin;
using exported::Samples;

constinit device::SampleNode<exported::Supervised, Samples::Cell, Samples::learned> learner;

/// What a body would do in its life so far.
bool start() {
    if (!learner.start(1)) return false;
    constexpr std::span values(Samples::values);
    constexpr std::span labels(Samples::labels);
    constexpr std::size_t inputs = Samples::inputs;
    for (std::size_t k = 0; k < Samples::learned; ++k)
        learner.keep(values.subspan(k * inputs, inputs), static_cast<float>(labels[k]));
    learner.judge_on(values.subspan(Samples::learned * inputs), labels.subspan(Samples::learned));
    return true;
}

}  // namespace

int main() {
    return live(learner, start);
}
