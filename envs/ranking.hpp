// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/arena.hpp"
#include "core/task.hpp"
#include "envs/mlp_derivatives.hpp"
#include "envs/network_derivatives.hpp"

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

namespace dunlin {

/// Most suggestions of one query, and the largest context.
inline constexpr int ranking_candidate_limit = 64, ranking_context_limit = 4096;
/// Most queries of a batch.
inline constexpr int ranking_batch_limit = 1 << 14;

/// One search: what was asked, what was suggested, and which suggestion the user took.
struct RankingQuery {
    std::int32_t user = 0;
    std::int32_t context = 0;           ///< what was asked for, in [0, RankingView::contexts)
    std::uint32_t first_candidate = 0;  ///< in RankingView::candidates
    std::uint16_t candidates = 0;       ///< n, in [2, ranking_candidate_limit]
    std::uint16_t chosen = 0;           ///< in [0, n)
};

/// What queries refer to; the memory is the caller's. A scorer sees for a suggestion its item's features, then the
/// query's context, one-hot: inputs() numbers.
struct RankingView {
    const float* items = nullptr;               ///< row-major, `features` floats each
    const std::uint32_t* candidates = nullptr;  ///< item indices
    int features = 0;
    int contexts = 0;

    int inputs() const { return features + contexts; }
    const float* item(const RankingQuery& query, int candidate) const {
        return items +
               static_cast<std::size_t>(candidates[query.first_candidate + static_cast<unsigned>(candidate)]) *
                   static_cast<std::size_t>(features);
    }
};

/// How rankings are judged: sums over queries of what the ranking by score does, and of what a random one would do
/// on the same queries. Ties are broken at random: their expectation counts.
struct RankingScore {
    std::int64_t queries = 0;
    double first_sum = 0.0;       ///< queries whose chosen suggestion comes first
    double reciprocal_sum = 0.0;  ///< reciprocal ranks of the chosen suggestion
    double random_sum = 0.0;      ///< expected reciprocal ranks of a uniform permutation: H_n/n

    /// One query's n scores.
    template <class S>
    void add(std::span<const S> scores, int chosen);
    void add(const RankingScore& other);

    double accuracy_at_1() const { return first_sum / static_cast<double>(queries); }
    double mrr() const { return reciprocal_sum / static_cast<double>(queries); }
    double random_mrr() const { return random_sum / static_cast<double>(queries); }
    /// (MRR - random)/(1 - random): 0 is chance, 1 is perfect.
    double normalised_mrr() const { return (mrr() - random_mrr()) / (1.0 - random_mrr()); }
};

/// What a scorer learns from. With scores s of a query's suggestions and y = 1 for the chosen one, else 0:
enum class RankingLoss : std::uint8_t {
    binary_cross_entropy,  ///< mean over suggestions of log(1 + e^s) - y s
    squared_error,         ///< mean over suggestions of (s - y)^2
    choice,                ///< log(sum of e^s) - s_chosen: the first choice of a Plackett-Luce model
    reward  ///< reinforcement learning: minus the expected reciprocal rank under a Plackett-Luce policy
};

/// Personalised search ranking: a perceptron scores each suggestion of a query. The three supervised losses are
/// means over a batch's queries. With RankingLoss::reward the perceptron is a policy: suggestions are placed one by
/// one, each with probability proportional to e^s among those left, until the chosen one is placed, at rank k, for
/// a reward of 1/k (what would follow it changes nothing). `draw` plays `samples` such rankings per query, and
///
///     value    = - mean of rewards r
///     gradient = - mean over rankings of (r - mean of the query's other rewards) d log pi(ranking; w)
///     log pi   = sum over j = 1..k of  s_(j) - log(sum over those left of e^s)
///
/// so that a batch's gradient is unbiased under the parameters that it was drawn under, and no importance weight
/// corrects it elsewhere; hessian_vector is the derivative of gradient.
///
/// With NetworkDerivatives in the place of the perceptron's the scorer sees a query's whole list, `longest` steps of
/// inputs() numbers of which those behind the last suggestion are 0, and gives a score for each step: convolutions over
/// the list see a suggestion beside others (000: "MLP with convolutional layers"). What it gives for empty steps counts
/// for nothing.
///
/// A batch is `batch` queries drawn with replacement, or all of the node's where they are no more. Any number of
/// nodes may share one task object: `node` may change between a batch's last use and the next draw.
///
/// Source: slides of PersA-FL, "Personalized Ranking of Suggestions" (losses, metrics); Plackett 1975, Luce 1959;
/// leave-one-out baseline: Kool et al. 2019.
template <class S, class Net = MlpDerivatives<S>>
class Ranking {
public:
    using Shape = typename Net::Shape;
    /// Does a sample hold a whole list?
    static constexpr bool lists = std::same_as<Shape, NetworkShape>;

    struct Settings {
        RankingLoss loss = RankingLoss::binary_cross_entropy;
        int batch = 20;  ///< queries
        int slots = 1;
        int longest = 25;  ///< most suggestions of one query
        int samples = 8;   ///< rankings per query, >= 2, for RankingLoss::reward
    };

    RankingView view;
    std::span<const RankingQuery> node;  ///< not empty; none has more than settings().longest suggestions

    static constexpr std::size_t bytes(const Shape& shape, const Settings& s) {
        const auto columns = static_cast<std::size_t>(pad_columns(most_columns(s)));
        const auto queries = static_cast<std::size_t>(s.batch), batches = static_cast<std::size_t>(s.slots) + 1;
        return Net::bytes(shape, most_columns(s)) + Arena::bytes<Batch>(batches) +
               batches * (Arena::bytes<S>(static_cast<std::size_t>(Net::inputs(shape)) * columns) +
                          Arena::bytes<RankingQuery>(queries) + Arena::bytes<std::uint8_t>(order_size(s)) +
                          Arena::bytes<std::uint8_t>(plays(s)) + Arena::bytes<S>(plays(s)));
    }

    /// Takes bytes(...) of `arena`. Errors: shape_mismatch (the shape's inputs are not the view's, or its outputs not one
    /// a suggestion); out_of_range (batch, slots, longest, samples).
    static Result<Ranking> make(const Shape& shape, const Kernels<S>& kernels, const RankingView& view,
                                const Settings& settings, Arena& arena);

    std::size_t dimension() const {
        if constexpr (lists) {
            return net_.shape.parameters();
        } else {
            return net_.mlp.shape.parameters();
        }
    }
    int slots() const { return settings_.slots; }
    const Settings& settings() const { return settings_; }

    void draw(int slot, ConstVector<S> w, Stream& random);
    S value(int slot, ConstVector<S> w);
    void gradient(int slot, ConstVector<S> w, Vector<S> out);
    void hessian_vector(int slot, ConstVector<S> w, ConstVector<S> v, Vector<S> out);
    /// For RankingLoss::reward: the sum over rankings of d log pi. For the others zero: their batches do not depend
    /// on w.
    void score_sum(int slot, ConstVector<S> w, Vector<S> out);

    /// The ranking by score of all `queries`, of no more than settings().longest suggestions each; leaves the slots
    /// alone.
    RankingScore evaluate(std::span<const RankingQuery> queries, ConstVector<S> w);

private:
    struct Batch {
        Columns<S> inputs;
        RankingQuery* queries;
        std::uint8_t* orders;  ///< for each play, the suggestions in the order in which they were placed
        std::uint8_t* placed;  ///< for each play, how many were
        S* advantages;         ///< for each play
        int count;             ///< queries
        int columns;           ///< padded
    };

    static constexpr int most_columns(const Settings& s) { return lists ? s.batch : s.batch * s.longest; }
    static constexpr std::size_t plays(const Settings& s) {
        return s.loss == RankingLoss::reward
                   ? static_cast<std::size_t>(s.batch) * static_cast<std::size_t>(s.samples)
                   : 0;
    }
    static constexpr std::size_t order_size(const Settings& s) {
        return plays(s) * static_cast<std::size_t>(s.longest);
    }

    Ranking(const Settings& settings, const RankingView& data, const Net& net, std::span<Batch> batches)
        : view(data), settings_(settings), net_(net), batches_(batches) {}

    Batch& batch(int slot) const { return batches_[static_cast<std::size_t>(slot)]; }
    void fill(Batch& batch, std::span<const RankingQuery> from, int count, Stream* random);
    void play(Batch& batch, ConstVector<S> w, const Stream& random);
    void forward(const Batch& batch, ConstVector<S> w) { net_.forward(w.data(), batch.inputs, batch.columns); }
    /// Calls body(q, slate) with every query's part of what the network gave; `deltas` says that it may write to the
    /// slate's deltas, which are 0 before.
    template <class Body>
    void each_slate(const Batch& batch, bool deltas, bool tangents, Body body);
    /// Fills the output deltas and, where `tangents`, also their tangents.
    void deltas(const Batch& batch, bool tangents, bool scores_only);

    Settings settings_;
    Net net_;
    std::span<Batch> batches_;  ///< the slots, then one for evaluation
};

extern template class Ranking<float>;
extern template class Ranking<double>;
extern template class Ranking<float, NetworkDerivatives<float>>;
extern template class Ranking<double, NetworkDerivatives<double>>;

}  // namespace dunlin
