// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/arena.hpp"
#include "core/heads.hpp"
#include "core/task.hpp"
#include "envs/mlp_derivatives.hpp"
#include "envs/network_derivatives.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace dunlin {

/// What one node classifies: some rows of a table of features (row-major, `features` floats each) with a label for
/// every row of the table. All memory is the caller's.
struct LabelledRows {
    const float* values = nullptr;
    const std::uint8_t* labels = nullptr;
    int features = 0;
    std::span<const std::uint32_t> rows;    ///< which rows of the table; not empty
    const std::uint8_t* relabel = nullptr;  ///< null, or the node's own name for every label
    int places = 1;                         ///< labels of a row, next to each other: one a step

    const float* row(std::uint32_t index) const { return values + static_cast<std::size_t>(index) * features; }
    int label(std::uint32_t index) const { return relabel ? relabel[labels[index]] : labels[index]; }
    /// That of a place, or -1 where it has none; where there are several places.
    int label(std::uint32_t index, int place) const {
        const std::uint8_t said = labels[static_cast<std::size_t>(index) * static_cast<std::size_t>(places) +
                                         static_cast<std::size_t>(place)];
        if (places > 1 && said == unlabelled) return -1;
        return relabel ? relabel[said] : said;
    }
    static constexpr std::uint8_t unlabelled = 255;  ///< of a place that is not judged, where there are several
};

/// How well a model does on rows.
struct ClassificationScore {
    std::int64_t rows = 0;  ///< labels, where a row has several
    std::int64_t correct = 0;
    double loss_sum = 0.0;  ///< of the cross-entropy, in nats

    double accuracy() const { return static_cast<double>(correct) / static_cast<double>(rows); }
    double loss() const { return loss_sum / static_cast<double>(rows); }
};

/// Largest number of rows in a batch.
inline constexpr int classification_batch_limit = 1 << 16;

/// Cross-entropy of a network's softmax on minibatches of a node's rows:
///
///     f(w, D) = -1/|D| sum over D of log softmax(net(w, x))_label
///
/// `Net` is the network with memory for its derivatives: MlpDerivatives, or NetworkDerivatives for layers of any kind.
/// Dropout belongs to a batch: it is drawn with it, and the same at every call. Where tokens come in, a row's features
/// are tokens.
///
/// Where a row has a label at each of several places, the network gives all classes of the first place, then those of the
/// next, and f is the mean over the places of D that have one.
///
/// A batch is `batch` rows drawn uniformly with replacement, or all of a node's rows where they are no more than
/// that. Any number of nodes may share one task object: `node` may change between a batch's last use and the next
/// draw.
template <class S, class Net = MlpDerivatives<S>>
class Classification {
public:
    using Shape = typename Net::Shape;

    LabelledRows node;  ///< features are the shape's inputs, labels are below its outputs

    static constexpr std::size_t bytes(const Shape& shape, int batch, int slots) {
        const auto columns = static_cast<std::size_t>(pad_columns(batch));
        const auto rows = static_cast<std::size_t>(Net::inputs(shape) + shape.outputs());
        const auto batches = static_cast<std::size_t>(slots) + 1;
        return Net::bytes(shape, batch) + Arena::bytes<Batch>(batches) + batches * Arena::bytes<S>(rows * columns) +
               Arena::bytes<S>(static_cast<std::size_t>(shape.outputs()) * columns);
    }

    /// Takes bytes(...) of `arena`. The shape's outputs are the classes, of each place. Errors: out_of_range (batch,
    /// slots, more than 256 classes, of several places more than 255); shape_mismatch (outputs, places: no whole
    /// number of classes).
    static Result<Classification> make(const Shape& shape, const Kernels<S>& kernels, int batch, int slots,
                                       Arena& arena, int places = 1);

    std::size_t dimension() const { return shape().parameters(); }
    int slots() const { return static_cast<int>(batches_.size()) - 1; }
    const Shape& shape() const {
        if constexpr (Net::knows_few) {
            return net_.mlp.shape;
        } else {
            return net_.shape;
        }
    }

    void draw(int slot, ConstVector<S> w, Stream& random);
    S value(int slot, ConstVector<S> w);
    void gradient(int slot, ConstVector<S> w, Vector<S> out);
    void hessian_vector(int slot, ConstVector<S> w, ConstVector<S> v, Vector<S> out);

    /// The model w on all of `rows`; leaves the slots alone.
    ClassificationScore evaluate(const LabelledRows& rows, ConstVector<S> w);

private:
    struct Batch {
        Columns<S> inputs;   ///< of few samples these, one after the other
        Columns<S> weights;  ///< classes x columns: -1/|D| at each label, else 0 (see Categorical)
        int count;           ///< samples
        int columns;         ///< padded
        int labels;          ///< |D|
        Stream dropout{};    ///< of a batch that was drawn to train on
    };

    Classification(const Net& net, const Kernels<S>& kernels, std::span<Batch> batches, Columns<S> probabilities,
                   int batch, int places)
        : net_(net),
          kernels_(&kernels),
          batches_(batches),
          probabilities_(probabilities),
          batch_(batch),
          places_(places) {}

    void fill(Batch& batch, const LabelledRows& from, int count, Stream* random);
    void spread(const Batch& batch);
    void forward(const Batch& batch, ConstVector<S> w);
    bool few(const Batch& batch) const {
        if constexpr (Net::knows_few) return &batch != &batches_.back() && net_.few(batch.count);
        return false;
    }
    bool to_train_on(const Batch& batch) const { return &batch != &batches_.back(); }
    Samples<S> samples(const Batch& batch) const { return {batch.inputs.data, Net::inputs(shape())}; }
    Categorical<S> head() const { return {shape().outputs() / places_}; }
    /// A place's classes of a matrix of all outputs.
    Columns<S> at(Columns<S> all, int place) const {
        return {all.row(static_cast<std::ptrdiff_t>(place) * head().classes), all.stride};
    }
    void set_deltas(const Batch& batch);

    Net net_;
    const Kernels<S>* kernels_;
    std::span<Batch> batches_;  ///< the slots, then one for evaluation and for Hessians of few samples
    Columns<S> probabilities_;
    int batch_, places_;
};

extern template class Classification<float>;
extern template class Classification<double>;
extern template class Classification<float, NetworkDerivatives<float>>;
extern template class Classification<double, NetworkDerivatives<double>>;

}  // namespace dunlin
