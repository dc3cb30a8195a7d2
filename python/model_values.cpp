// SPDX-License-Identifier: Apache-2.0
#include "python/model_values.hpp"

#include "core/arena.hpp"
#include "core/mlp.hpp"
#include "core/network/network.hpp"
#include "training/host/host_memory.hpp"

#include <algorithm>
#include <memory>

namespace dunlin::python {
namespace {

constexpr int block_columns = 256;  ///< whose activations stay in a core's cache

struct Space {
    Columns<float> inputs, activations, sum;
    std::int32_t* tokens;
    float* scratch;
};

/// Memory of this thread that grows to what was asked for.
template <class A>
Space lay_out(const TrainedModel& model, int columns, A& arena) {
    const auto width = static_cast<std::size_t>(columns);
    const int units = model.network ? model.network->units() : model.shape.units();
    const auto matrix = [&](int rows) {
        return Columns<float>{arena.template take<float>(static_cast<std::size_t>(rows) * width).data(), columns};
    };
    Space space{};
    if (!model.tokens()) space.inputs = matrix(model.inputs());
    space.activations = matrix(units);
    if (model.head == ModelHead::mixture) space.sum = matrix(model.outputs());
    if (model.tokens())
        space.tokens = arena.template take<std::int32_t>(static_cast<std::size_t>(model.steps()) * width).data();
    space.scratch = arena.template take<float>(model.network ? model.network->scratch_scalars() : 0).data();
    return space;
}

Space space_for(const TrainedModel& model, int columns) {
    thread_local std::unique_ptr<HostMemory> memory;
    ArenaSize size;
    lay_out(model, columns, size);
    if (!memory || memory->bytes().size() < size.bytes()) memory = std::make_unique<HostMemory>(size.bytes());
    Arena arena(memory->bytes());
    return lay_out(model, columns, arena);
}

void take_in(const TrainedModel& model, Samples samples, int first, int count, const Space& space) {
    const int columns = pad_columns(count);
    if (model.tokens()) {
        const int steps = model.steps();
        for (int t = 0; t < steps; ++t) {
            for (int c = 0; c < columns; ++c)
                space.tokens[t * columns + c] = static_cast<std::int32_t>(
                    samples.tokens[static_cast<std::ptrdiff_t>(first + std::min(c, count - 1)) * steps + t]);
        }
        return;
    }
    const int inputs = model.inputs();
    for (int k = 0; k < inputs; ++k) {
        const float centre = model.centre.empty() ? 0.0f : model.centre[static_cast<std::size_t>(k)];
        const float scale = model.scale.empty() ? 1.0f : model.scale[static_cast<std::size_t>(k)];
        float* row = space.inputs.row(k);
        for (int c = 0; c < columns; ++c) {
            const std::ptrdiff_t sample = first + std::min(c, count - 1);
            row[c] = (samples.numbers[sample * inputs + k] - centre) * scale;
        }
    }
}

Columns<float> run(const TrainedModel& model, const Kernels<float>& kernels, const float* w, const Space& space,
                   int columns) {
    if (model.network) {
        const Network<float> network{*model.network, kernels, space.scratch};
        network.forward(w, {space.inputs, space.tokens, columns}, space.activations, columns);
        return network.output(space.activations);
    }
    const Mlp<float> network{model.shape, &kernels};
    network.forward(w, {space.inputs, space.tokens}, space.activations, columns);
    return network.output(space.activations);
}

}  // namespace

void model_outputs(const TrainedModel& model, const Kernels<float>& kernels, ConstVector<float> w, Samples samples,
                   bool probabilities, float* out) {
    const int outputs = model.outputs();
    const bool mixed = model.head == ModelHead::mixture;
    for (int first = 0; first < samples.count; first += block_columns) {
        const int count = std::min(block_columns, samples.count - first), columns = pad_columns(count);
        const Space space = space_for(model, columns);
        take_in(model, samples, first, count, space);
        Columns<float> result;
        for (int n = 0; n < model.networks; ++n) {
            result = run(model, kernels, w.data() + static_cast<std::size_t>(n) * model.network_parameters(), space,
                         columns);
            if (probabilities || mixed) kernels.softmax(result, result, outputs, columns);
            for (int k = 0; mixed && k < outputs; ++k) {
                const float weight = model.weights[static_cast<std::size_t>(n)];
                for (int c = 0; c < columns; ++c)
                    space.sum.row(k)[c] = (n == 0 ? 0.0f : space.sum.row(k)[c]) + weight * result.row(k)[c];
            }
        }
        if (mixed) result = space.sum;
        float* to = out + static_cast<std::ptrdiff_t>(first) * outputs;
        for (int c = 0; c < count; ++c) {
            for (int k = 0; k < outputs; ++k) to[c * outputs + k] = result.row(k)[c];
        }
    }
}

}  // namespace dunlin::python
