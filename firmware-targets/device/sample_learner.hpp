// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/error.hpp"
#include "core/kernels/first_order.hpp"
#include "core/mlp.hpp"
#include "core/reservoir.hpp"
#include "stored_numbers.hpp"
#include "target.hpp"

#include <array>
#include <cassert>
#include <cstdint>
#include <span>

namespace dunlin::device {

/// A model that a device runs and makes its own by samples that it keeps. `Exported` is the struct in the file that
/// `dunlin export RUN --format header` writes for classification, regression and ranking. Labels come from the body or
/// over a line; the caller decides. Inputs are raw: the exported scaling is applied here.
///
/// `capacity` samples are kept in RAM, by reservoir replacement; a sample of a ranking has up to `list` suggestions.
/// A step of learning is one kept sample, drawn at random, of the loss
///
///     classes  -log softmax(y)[label],   value  (y - label)^2 / 2,   score  -log softmax over the list (y)[chosen]
///     w <- w - rate (gradient + pull (w - exported w))
///
/// done in the parameters themselves, so that there is no gradient in memory. The exported model's frozen layers stay.
/// All memory is in the object: declare it `constinit` and static. Allocates nothing.
template <class Exported, std::uint32_t capacity = 32, int list = 1>
class SampleLearner {
public:
    static constexpr MlpShape shape = Exported::shape;
    static constexpr Target target = Exported::target;
    static constexpr int inputs = shape.inputs, outputs = shape.outputs();
    static constexpr std::size_t dimension = Exported::parameters.size();
    static_assert(target == Target::classes || outputs == 1);
    static_assert(list == 1 || target == Target::score);
    static_assert(!shape.one_hot, "samples are numbers");

    /// Takes the model that was stored, or else the exported one. Error: file_checksum (the exported numbers were
    /// damaged in flash).
    Result<void> start(std::uint64_t seed) {
        if (const std::uint32_t found = crc32(std::span<const float>(Exported::parameters));
            found != Exported::checksum)
            return fail(Code::file_checksum, found, Exported::checksum);
        own_.load();
        random_ = Stream(seed, 0, Purpose::samples);
        return {};
    }

    /// Probabilities of the classes, or the number, for one sample; until the next call.
    std::span<const float> answer(std::span<const float> sample) {
        float* const out = run(sample, 1);
        if constexpr (target == Target::classes) network.kernels->softmax({out, 1}, {out, 1}, outputs, 1);
        return {out, static_cast<std::size_t>(outputs)};
    }
    /// The class of a sample, or of a list the suggestion that ranks first (`samples`: one behind the other); of equals
    /// the first. -1 where an output is NaN.
    int best(std::span<const float> samples) {
        const int count = target == Target::score ? static_cast<int>(samples.size()) / inputs : outputs;
        const float* const out = run(samples, target == Target::score ? count : 1);
        int at = 0;
        for (int k = 0; k < count; ++k) {
            if (out[k] != out[k]) return -1;
            if (out[k] > out[at]) at = k;
        }
        return at;
    }

    /// Offers a sample with its class or number to the store. One that is no class, or no finite number, is not kept.
    void keep(std::span<const float> sample, float label) requires(target != Target::score) {
        store(sample, 1, label);
    }
    /// Offers a list (`samples`: one behind the other, at most `list`) and the one that was chosen. It is not kept where
    /// it is too long, or has no such one.
    void keep(std::span<const float> samples, int chosen) requires(target == Target::score) {
        store(samples, static_cast<int>(samples.size()) / inputs, static_cast<float>(chosen));
    }
    std::uint32_t kept() const { return reservoir_.kept(); }
    void forget_samples() { reservoir_.offered = 0; }

    /// How far a number is from what the model expects, in typical distances of those that were kept: what is
    /// seen of a machine that is as always stays around 1.
    float surprise(std::span<const float> sample, float number) requires(target == Target::value) {
        float sum = 0;
        for (std::uint32_t k = 0; k < kept(); ++k) {
            const float off = *load(k) - labels_[k];
            sum += off * off;
        }
        const float typical = kept() > 0 ? portable::sqrt(sum / static_cast<float>(kept())) : 0.0f;
        const float off = answer(sample)[0] - number;
        return (off < 0 ? -off : off) / (typical > 0 ? typical : 1e-30f);
    }

    /// One step on a kept sample; returns its loss before. Nothing is kept: 0, and nothing happens.
    float learn(float rate, float pull = 0) {
        if (kept() == 0) return 0;
        const std::uint32_t k = random_.below(kept());
        float* const out = load(k);
        const int count = counts_[k];
        float* const delta = deltas_.data() + static_cast<std::ptrdiff_t>(shape.row_at(shape.layers - 1)) * count;
        const float loss = differentiate(out, labels_[k], count, delta);
        for (int o = 0; o < outputs * count; ++o) delta[o] *= -rate;
        descend(count);
        if (pull > 0) {
            for (std::size_t p = Exported::frozen; p < dimension; ++p)
                own_.numbers[p] -= rate * pull * (own_.numbers[p] - Exported::parameters[p]);
        }
        return loss;
    }

    std::span<const float> parameters() const { return own_.numbers; }
    /// Keeps the model across a reset, if the firmware has a place to keep it (hooks.h).
    bool save() { return own_.save(); }
    void forget() { own_.forget(); }

private:
    static constexpr Mlp<float> network{shape, &first_order_kernels};
    static constexpr std::size_t sample_numbers = static_cast<std::size_t>(inputs) * static_cast<std::size_t>(list);
    static constexpr int first_learned = [] {
        int layer = 0;
        while (layer < shape.layers && shape.weights_at(layer) < Exported::frozen) ++layer;
        return layer;
    }();

    /// Columns of what comes in, scaled; the network's outputs, one suggestion beside the other.
    float* run(std::span<const float> samples, int count) {
        scale(samples, count, seen_.data());
        return forward(count);
    }
    float* load(std::uint32_t k) {
        std::copy_n(samples_.data() + k * sample_numbers, static_cast<std::size_t>(inputs * counts_[k]),
                    seen_.data());
        return forward(counts_[k]);
    }
    float* forward(int count) {
        network.forward(own_.numbers.data(), {{seen_.data(), count}}, {tape_.data(), count}, count);
        return tape_.data() + static_cast<std::ptrdiff_t>(shape.row_at(shape.layers - 1)) * count;
    }
    static void scale(std::span<const float> samples, int count, float* out) {
        assert(count >= 1 && count <= list && samples.size() == static_cast<std::size_t>(inputs * count));
        for (int c = 0; c < count; ++c) {
            for (int i = 0; i < inputs; ++i) {
                float x = samples[static_cast<std::size_t>(c * inputs + i)];
                if constexpr (requires { Exported::centre; })
                    x = (x - Exported::centre[static_cast<std::size_t>(i)]) *
                        Exported::scale[static_cast<std::size_t>(i)];
                out[i * count + c] = x;
            }
        }
    }
    void store(std::span<const float> samples, int count, float label) {
        // What `differentiate` indexes by. NaN compares false.
        if (count < 1 || count > list) return;
        if constexpr (target == Target::value) {
            if (!(label - label == 0.0f)) return;
        } else {
            if (!(label >= 0.0f && label < static_cast<float>(target == Target::classes ? outputs : count))) return;
        }
        const auto place = reservoir_.place(random_);
        if (!place) return;
        scale(samples, count, samples_.data() + *place * sample_numbers);
        labels_[*place] = label;
        counts_[*place] = static_cast<std::uint8_t>(count);
    }

    /// The loss, and its derivative by the outputs.
    static float differentiate(float* out, float label, int count, float* delta) {
        if constexpr (target == Target::value) {
            delta[0] = out[0] - label;
            return 0.5f * delta[0] * delta[0];
        } else {
            const int choices = target == Target::classes ? outputs : count, right = static_cast<int>(label);
            network.kernels->softmax({out, 1}, {delta, 1}, choices, 1);
            const float loss = -portable::log(delta[right]);
            delta[right] -= 1.0f;
            return loss;
        }
    }

    /// Backwards through the layers that learn. A layer's weights move once those below have their deltas.
    void descend(int count) {
        const auto rows = [&](auto& matrix, int l) {
            return Columns<float>{matrix.data() + static_cast<std::ptrdiff_t>(shape.row_at(l)) * count, count};
        };
        for (int l = shape.layers - 1; l >= first_learned; --l) {
            float* const weights = own_.numbers.data() + shape.weights_at(l);
            const Columns<float> delta = rows(deltas_, l);
            const Columns<float> x = l == 0 ? Columns<float>{seen_.data(), count} : rows(tape_, l - 1);
            if (l > first_learned)
                network.kernels->backpropagate(weights, delta, x, rows(deltas_, l - 1), shape.fan_in(l),
                                               shape.width(l), count, shape.activation(l - 1));
            network.kernels->weight_gradient(x, delta, weights,
                                             shape.bias ? own_.numbers.data() + shape.bias_at(l) : nullptr,
                                             shape.fan_in(l), shape.width(l), count);
        }
    }

    static constexpr std::size_t cells = static_cast<std::size_t>(shape.units()) * static_cast<std::size_t>(list);

    StoredNumbers<Exported> own_{};
    std::array<float, capacity * sample_numbers> samples_{};  ///< scaled, feature by feature
    std::array<float, capacity> labels_{};
    std::array<std::uint8_t, capacity> counts_{};
    std::array<float, sample_numbers> seen_{};
    std::array<float, cells> tape_{}, deltas_{};
    Reservoir reservoir_{.capacity = capacity};
    Stream random_{};
};

}  // namespace dunlin::device
