// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/bilevel_task.hpp"
#include "envs/classification.hpp"

#include <cstddef>
#include <span>

namespace dunlin {

struct MixtureSettings {
    static constexpr int predictor_limit = 64;

    int predictors = 3;          ///< K, in [1, predictor_limit]
    int batch = 32;              ///< rows
    float inner_ridge = 0.001f;  ///< on x
    float outer_ridge = 0.01f;   ///< on lambda
};

/// PDBO-MTL's bilevel problem of one node (Terashita and Hara 2023, appendix A.2): K perceptrons whose predictions
/// are averaged with the node's own weights, sigma = softmax(lambda). x is all their parameters, one after another.
///
///     f(x, lambda) = -1/|D| sum over D of log sum over k of sigma_k p_k(label | row) + inner_ridge/2 |x|^2
///     F(x, lambda) = the same sum over all of the node's rows                        + outer_ridge/2 |lambda|^2
///
/// With r_k = sigma_k p_k / sum, a predictor's responsibility for a row: df/dlambda = mean (sigma - r), predictor k
/// learns from the row with weight r_k, and along a direction s of x, with a_k = R log p_k(label),
/// R r_k = r_k (a_k - sum r a): one tangent pass gives both products.
///
/// A batch is `batch` rows drawn with replacement, or all of a node's where they are no more than that. Any number
/// of nodes may share one object: `node` may change between a batch's last use and the next draw.
template <class S>
class MixtureClassification {
public:
    LabelledRows node;

    static std::size_t bytes(const MlpShape& shape, const MixtureSettings& settings);

    /// Takes bytes(...) of `arena`. `shape` is one predictor's. Errors: out_of_range (predictors, batch, or more
    /// than 256 classes).
    static Result<MixtureClassification> make(const MlpShape& shape, const Kernels<S>& kernels,
                                              const MixtureSettings& settings, Arena& arena);

    std::size_t dimension() const { return predictors() * part(); }
    std::size_t outer_dimension() const { return predictors(); }

    void draw(Stream& random);
    S value(ConstVector<S> x, ConstVector<S> lambda);
    void gradient(ConstVector<S> x, ConstVector<S> lambda, Vector<S> out);
    void products(ConstVector<S> x, ConstVector<S> lambda, ConstVector<S> direction, Vector<S> hessian,
                  Vector<S> mixed);
    S outer_gradient(ConstVector<S> x, ConstVector<S> lambda, Vector<S> inner, Vector<S> outer);

    /// The averaged prediction on all of `rows`. These two overwrite the batch.
    ClassificationScore evaluate(const LabelledRows& rows, ConstVector<S> x, ConstVector<S> lambda);

private:
    struct Batch {
        Columns<S> inputs;
        std::span<int> labels;
        int count = 0;
        int columns = 0;  ///< padded
    };

    MixtureClassification() = default;

    std::size_t predictors() const { return nets_.size(); }
    std::size_t part() const { return nets_.front().mlp.shape.parameters(); }
    int classes() const { return nets_.front().mlp.shape.outputs(); }
    Columns<S> probability(std::size_t k) const {
        return {probabilities_.row(static_cast<std::ptrdiff_t>(k) * classes()), probabilities_.stride};
    }

    void fill(const LabelledRows& from, std::size_t first, int count, Stream* random);
    S forward(ConstVector<S> x, ConstVector<S> lambda);
    void backward(ConstVector<S> x, std::size_t k, Vector<S> out);

    MixtureSettings settings_;
    std::span<MlpDerivatives<S>> nets_;
    Batch batch_;
    Columns<S> probabilities_;   ///< K classes rows
    Columns<S> responsibility_;  ///< K rows
    Columns<S> slope_;           ///< K rows: R log p(label), then R r
    std::span<S> sigma_;
    std::span<S> scratch_;  ///< one predictor's gradient
};

extern template class MixtureClassification<float>;
extern template class MixtureClassification<double>;

}  // namespace dunlin
