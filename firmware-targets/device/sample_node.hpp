// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/checksum.hpp"
#include "core/error.hpp"
#include "core/reservoir.hpp"
#include "node_objective.hpp"
#include "sample_network.hpp"
#include "target.hpp"

#include <array>
#include <cassert>
#include <concepts>
#include <cstdint>
#include <span>
#include <string_view>

namespace dunlin::device {

/// What a supervised node of a fleet learns: its own labelled samples, which stay on the device, by an exported model's
/// network and in the way of its experiment (`Exported::learning`). A learner of SerialNode: PersA-FL's options A, B
/// first-order and C, and PARS-Push, on
///
///     classes  -log softmax(y)[label],   value  (y - label)^2 / 2
///
/// averaged over a batch of kept samples. A batch is drawn as Classification and Regression draw theirs, so that a
/// host with the same rows in the same order goes through the same batches.
///
/// `Cell` is what a sample is kept in: float, raw as the exported model's inputs are; or std::uint8_t, whose 0 to 255
/// stand for 0 to 1, as pictures and LogMel have it. `capacity` samples are kept in RAM by reservoir replacement, so that each of a
/// life's samples is among them with the same probability. All memory is in the object: declare it `constinit` and static.
template <class Exported, class Cell, std::uint32_t capacity>
class SampleNode {
    static_assert(std::same_as<Cell, float> || std::same_as<Cell, std::uint8_t>);
    static_assert(Exported::target != Target::score, "a node of a fleet ranks no lists");
    static_assert(Exported::frozen == 0, "a job's model learns in all of its layers");
    static constexpr bool classifies = Exported::target == Target::classes;
    using Network = SampleNetwork<Exported>;
    static constexpr const SampleLearning& learning = Exported::learning;

public:
    static constexpr int inputs = Network::inputs, outputs = Network::outputs;
    static constexpr std::size_t dimension = Network::dimension;
    static constexpr std::size_t workspace_bytes = 0;
    void lend(std::span<std::byte>) {}

    /// Error: file_checksum (the exported numbers were damaged in flash).
    Result<void> start(std::uint64_t seed) {
        if (const std::uint32_t found = crc32(std::span<const float>(Exported::parameters));
            found != Exported::checksum)
            return fail(Code::file_checksum, found, Exported::checksum);
        random_ = Stream(seed, 0, Purpose::samples);
        personal_ = Exported::parameters;
        reservoir_.capacity = capacity;
        return {};
    }

    /// Offers a sample with its class or number to the store. One that is no class, or no finite number, is not kept.
    /// False: it was none.
    bool keep(std::span<const Cell> sample, float label) {
        assert(sample.size() == static_cast<std::size_t>(inputs));
        if (classifies ? !(label >= 0.0f && label < static_cast<float>(outputs)) : !(label - label == 0.0f))
            return false;
        if (const auto place = reservoir_.place(random_)) {
            std::copy(sample.begin(), sample.end(), cells_.begin() + *place * sample.size());
            labels_[*place] = label;
        }
        return true;
    }
    std::uint32_t kept() const { return reservoir_.kept(); }
    /// Samples that are never learned from, for what the node reports; the caller's, one behind the other. None: it reports
    /// how well the model does on what was kept.
    void judge_on(std::span<const Cell> samples, std::span<const std::uint8_t> labels) {
        assert(samples.size() == labels.size() * static_cast<std::size_t>(inputs));
        judged_ = samples;
        judged_labels_ = labels;
    }

    /// Probabilities of the classes, or the number, for one sample by the model that is the node's own; until the next
    /// call.
    std::span<const float> answer(std::span<const Cell> sample) {
        float* const out = outputs_of(personal_, sample.data());
        if constexpr (classifies) first_order_kernels.softmax({out, 1}, {out, 1}, outputs, 1);
        return {out, static_cast<std::size_t>(outputs)};
    }
    ConstVector<float> personal() const { return personal_; }

    /// Exact MAML wants products with Hessians, which devices do not take.
    static constexpr bool understands(Objective objective, const MoreauEnvelope&, const Maml& maml) {
        return objective == Objective::plain || objective == Objective::moreau ||
               (objective == Objective::maml && maml.first_order);
    }
    template <class Pause>
    void gradient(Objective objective, const MoreauEnvelope& inner, const Maml& maml, ConstVector<float> w,
                  Stream& random, Vector<float> out, Pause&& pause) {
        KeptTask<Pause> task{*this, pause};
        node_gradient(task, objective, inner, maml, w, random, Vector<float>(personal_), out, pause);
    }

    /// What a node reports of the model that it made its own, on the samples that `judge_on` named.
    std::array<std::string_view, 2> metrics() const {
        if (judged_labels_.empty()) return {classifies ? "train_accuracy" : "train_squared_error", "train_loss"};
        return {classifies ? "accuracy" : "squared_error", "loss"};
    }
    /// Makes w the node's own, which stays so until the next call, and judges it. `scratch` holds as many numbers as w.
    template <class Pause>
    void measure(const MoreauEnvelope&, ConstVector<float> w, std::uint64_t seed, std::uint32_t member,
                 Vector<float> scratch, std::span<double> out, Pause&& pause) {
        Stream random(seed, member, Purpose::evaluate);
        KeptTask<Pause> task{*this, pause};
        personalise(task,
                    {.prox_weight = learning.pull,
                     .inner_rate = learning.rate,
                     .accuracy = learning.accuracy,
                     .step_limit = kept() > 0 ? learning.steps : 0,
                     .step_clip = learning.step_clip,
                     .fresh_batches = true},
                    w, random, Vector<float>(personal_), scratch, pause);
        const bool held_out = !judged_labels_.empty();
        const std::size_t count = held_out ? judged_labels_.size() : kept();
        double correct = 0, loss = 0;
        for (std::size_t k = 0; k < count; ++k) {
            if (k % 16 == 0) pause();
            const std::size_t at = k * static_cast<std::size_t>(inputs);
            const float label = held_out ? static_cast<float>(judged_labels_[k]) : labels_[k];
            float* const y = outputs_of(personal_, (held_out ? judged_.data() : cells_.data()) + at);
            if constexpr (classifies) correct += best(y) == static_cast<int>(label) ? 1 : 0;
            const float value = differentiate(y, label);
            if constexpr (!classifies) correct += 2.0 * static_cast<double>(value);
            loss += static_cast<double>(value);
        }
        const double share = count > 0 ? 1.0 / static_cast<double>(count) : 0.0;
        out[0] = share * correct;
        out[1] = share * loss;
    }

private:
    /// A core Task on the samples that are kept, one slot.
    template <class Pause>
    struct KeptTask {
        SampleNode& node;
        Pause& pause;

        std::size_t dimension() const { return SampleNode::dimension; }
        int slots() const { return 1; }
        void draw(int, ConstVector<float>, Stream& random) { node.draw(random); }
        float value(int, ConstVector<float> w) { return node.batch(w, nullptr, pause); }
        void gradient(int, ConstVector<float> w, Vector<float> out) {
            set_zero(out);
            node.batch(w, out.data(), pause);
        }
        /// For the concept: `understands` declines what asks for it.
        void hessian_vector(int, ConstVector<float>, ConstVector<float>, Vector<float>);
    };

    void draw(Stream& random) {
        random.next_epoch();
        const std::uint32_t kept = this->kept();
        const bool all = kept <= batch_limit;
        drawn_ = all ? kept : batch_limit;
        for (std::uint32_t k = 0; k < drawn_; ++k)
            batch_[k] = static_cast<std::uint16_t>(all ? k : random.below(kept));
    }
    /// The mean loss of the batch; adds its derivative to `gradient`, where there is one. Nothing is kept: 0.
    template <class Pause>
    float batch(ConstVector<float> w, float* gradient, Pause& pause) {
        float sum = 0;
        const float share = 1.0f / static_cast<float>(drawn_ > 0 ? drawn_ : 1);
        for (std::uint32_t k = 0; k < drawn_; ++k) {
            pause();
            float* const y = outputs_of(w, cells_.data() + batch_[k] * static_cast<std::size_t>(inputs));
            sum += differentiate(y, labels_[batch_[k]]);
            if (gradient == nullptr) continue;
            float* const deltas = network_.output_deltas();
            for (int o = 0; o < outputs; ++o) deltas[o] = share * y[o];
            network_.backward(w.data(), seen_.data(), gradient);
        }
        return share * sum;
    }
    float* outputs_of(ConstVector<float> w, const Cell* sample) {
        for (std::size_t i = 0; i < static_cast<std::size_t>(inputs); ++i) {
            float x = static_cast<float>(sample[i]);
            if constexpr (std::same_as<Cell, std::uint8_t>) x /= 255.0f;
            if constexpr (requires { Exported::centre; }) x = (x - Exported::centre[i]) * Exported::scale[i];
            seen_[i] = x;
        }
        return network_.forward(w.data(), seen_.data());
    }
    /// Of equals the first; -1 where one is NaN.
    static int best(const float* y) {
        int at = 0;
        for (int k = 0; k < outputs; ++k) {
            if (y[k] != y[k]) return -1;
            if (y[k] > y[at]) at = k;
        }
        return at;
    }
    /// The loss; the outputs become its derivative by them.
    static float differentiate(float* y, float label) {
        if constexpr (classifies) {
            const int right = static_cast<int>(label);
            first_order_kernels.softmax({y, 1}, {y, 1}, outputs, 1);
            const float loss = -portable::log(y[right]);
            y[right] -= 1.0f;
            return loss;
        } else {
            y[0] -= label;
            return 0.5f * y[0] * y[0];
        }
    }

    static constexpr std::uint32_t batch_limit = static_cast<std::uint32_t>(learning.batch);
    static_assert(capacity <= 0xffff && learning.batch >= 1);

    Network network_{};
    std::array<float, static_cast<std::size_t>(inputs)> seen_{};
    std::array<float, dimension> personal_{};
    std::array<Cell, capacity* static_cast<std::size_t>(inputs)> cells_{};
    std::array<float, capacity> labels_{};
    std::array<std::uint16_t, batch_limit> batch_{};
    std::uint32_t drawn_ = 0;
    std::span<const Cell> judged_{};
    std::span<const std::uint8_t> judged_labels_{};
    Reservoir reservoir_{};
    Stream random_{};
};

}  // namespace dunlin::device
