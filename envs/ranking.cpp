// SPDX-License-Identifier: Apache-2.0
#include "envs/ranking.hpp"

#include "core/math.hpp"

#include <array>

namespace dunlin {

template <class S>
void RankingScore::add(std::span<const S> scores, int chosen) {
    const S own = scores[static_cast<std::size_t>(chosen)];
    int above = 0, equal = 0;
    double random = 0.0, reciprocal = 0.0;
    for (std::size_t k = 0; k < scores.size(); ++k) {
        above += scores[k] > own ? 1 : 0;
        equal += scores[k] == own ? 1 : 0;
        random += 1.0 / static_cast<double>(k + 1);
    }
    equal = equal > 0 ? equal : 1;  // a score that is not a number equals nothing, not even itself
    for (int k = 1; k <= equal; ++k) reciprocal += 1.0 / (above + k);
    ++queries;
    first_sum += above == 0 ? 1.0 / equal : 0.0;
    reciprocal_sum += reciprocal / equal;
    random_sum += random / static_cast<double>(scores.size());
}
template void RankingScore::add(std::span<const float>, int);
template void RankingScore::add(std::span<const double>, int);

void RankingScore::add(const RankingScore& other) {
    queries += other.queries;
    first_sum += other.first_sum;
    reciprocal_sum += other.reciprocal_sum;
    random_sum += other.random_sum;
}

namespace {

/// One query's part of a row of scores (and of tangents of scores), and where its derivatives go.
template <class S>
struct Slate {
    int size;
    int chosen;
    const S* scores;
    const S* tangents;  ///< null where only deltas are wanted
    S* deltas;
    S* tangent_deltas;

    S target(int k) const { return k == chosen ? S(1) : S(0); }
    S top() const { return *std::max_element(scores, scores + size); }

    /// e^(s - max s), kept above e^-60 so that sums and their reciprocals stay normal numbers.
    void exponentials(std::array<S, ranking_candidate_limit>& e) const {
        const S shift = top();
        for (int k = 0; k < size; ++k) {
            const S x = scores[k] - shift;
            e[static_cast<std::size_t>(k)] = portable::exp(x < S(-60) ? S(-60) : x);
        }
    }
};

template <class S>
S supervised_value(const Slate<S>& slate, RankingLoss loss) {
    S sum = 0;
    if (loss == RankingLoss::choice) {
        const S shift = slate.top();
        for (int k = 0; k < slate.size; ++k) sum += portable::exp(slate.scores[k] - shift);
        return portable::log(sum) + shift - slate.scores[slate.chosen];
    }
    for (int k = 0; k < slate.size; ++k) {
        const S s = slate.scores[k], y = slate.target(k);
        if (loss == RankingLoss::squared_error) {
            sum += (s - y) * (s - y);
        } else {
            sum += (s > S(0) ? s : S(0)) + portable::log(S(1) + portable::exp(s > S(0) ? -s : s)) - y * s;
        }
    }
    return sum / S(slate.size);
}

/// Writes `weight` times the derivative of the loss by the scores.
template <class S>
void supervised_deltas(const Slate<S>& slate, RankingLoss loss, S weight) {
    if (loss == RankingLoss::choice) {
        std::array<S, ranking_candidate_limit> e;
        slate.exponentials(e);
        S sum = 0, moved = 0;
        for (int k = 0; k < slate.size; ++k) {
            sum += e[static_cast<std::size_t>(k)];
            if (slate.tangents) moved += e[static_cast<std::size_t>(k)] * slate.tangents[k];
        }
        for (int k = 0; k < slate.size; ++k) {
            const S p = e[static_cast<std::size_t>(k)] / sum;
            slate.deltas[k] = weight * (p - slate.target(k));
            if (slate.tangents) slate.tangent_deltas[k] = weight * p * (slate.tangents[k] - moved / sum);
        }
        return;
    }
    weight /= S(slate.size);
    for (int k = 0; k < slate.size; ++k) {
        const bool squared = loss == RankingLoss::squared_error;
        const S guess = squared ? slate.scores[k] : portable::sigmoid(slate.scores[k]);
        const S slope = squared ? S(2) : guess * (S(1) - guess);
        slate.deltas[k] = weight * (squared ? S(2) : S(1)) * (guess - slate.target(k));
        if (slate.tangents) slate.tangent_deltas[k] = weight * slope * slate.tangents[k];
    }
}

/// Adds `weight` times the derivative of log pi(order's first `placed`) by the scores: for the suggestion at place
/// p it is [p <= placed] - e_p sum over j <= min(p, placed) of 1/Z_j, Z_j the sum of e over places j and after.
template <class S>
void play_deltas(const Slate<S>& slate, const std::uint8_t* order, int placed, S weight,
                 const std::array<S, ranking_candidate_limit>& e) {
    std::array<S, ranking_candidate_limit> rest, moved;
    S sum = 0, moved_sum = 0;
    for (int p = slate.size - 1; p >= 0; --p) {
        const S x = e[order[p]];
        rest[static_cast<std::size_t>(p)] = sum += x;
        moved[static_cast<std::size_t>(p)] = moved_sum += slate.tangents ? x * slate.tangents[order[p]] : S(0);
    }
    S share = 0, share_tangent = 0;  // sum of 1/Z_j, and its tangent
    for (int p = 0; p < slate.size; ++p) {
        const auto at = static_cast<std::size_t>(p);
        if (p < placed) {
            share += S(1) / rest[at];
            share_tangent -= moved[at] / (rest[at] * rest[at]);
        }
        const std::uint8_t k = order[p];
        slate.deltas[k] += weight * ((p < placed ? S(1) : S(0)) - e[k] * share);
        if (slate.tangents) {
            slate.tangent_deltas[k] -= weight * e[k] * (slate.tangents[k] * share + share_tangent);
        }
    }
}

}  // namespace

template <class S, class Net>
Result<Ranking<S, Net>> Ranking<S, Net>::make(const Shape& shape, const Kernels<S>& kernels,
                                              const RankingView& view, const Settings& s, Arena& arena) {
    const int inputs = Net::inputs(shape), suggestions = lists ? s.longest : 1;
    if (inputs != suggestions * view.inputs())
        return fail(Code::shape_mismatch, inputs, std::int64_t{suggestions} * view.inputs());
    if (shape.outputs() != suggestions) return fail(Code::shape_mismatch, shape.outputs(), suggestions);
    if (s.batch < 1 || s.batch > ranking_batch_limit) return fail(Code::out_of_range, s.batch, ranking_batch_limit);
    if (s.slots < 1) return fail(Code::out_of_range, s.slots, 1);
    if (s.longest < 2 || s.longest > ranking_candidate_limit)
        return fail(Code::out_of_range, s.longest, ranking_candidate_limit);
    if (s.loss == RankingLoss::reward && (s.samples < 2 || s.samples > 1024))
        return fail(Code::out_of_range, s.samples, 1024);

    const Net net(shape, kernels, most_columns(s), arena);
    const std::span<Batch> batches = arena.take<Batch>(static_cast<std::size_t>(s.slots) + 1);
    const std::ptrdiff_t stride = pad_columns(most_columns(s));
    for (Batch& b : batches) {
        b.inputs = {arena.take<S>(static_cast<std::size_t>(inputs * stride)).data(), stride};
        b.queries = arena.take<RankingQuery>(static_cast<std::size_t>(s.batch)).data();
        b.orders = arena.take<std::uint8_t>(order_size(s)).data();
        b.placed = arena.take<std::uint8_t>(plays(s)).data();
        b.advantages = arena.take<S>(plays(s)).data();
    }
    return Ranking(s, view, net, batches);
}

/// The first `count` queries of `from`, or `count` drawn ones.
template <class S, class Net>
void Ranking<S, Net>::fill(Batch& batch, std::span<const RankingQuery> from, int count, Stream* random) {
    const auto choices = static_cast<std::uint32_t>(from.size());
    int column = 0;
    batch.count = count;
    if constexpr (lists) {
        const int rows = settings_.longest * view.inputs();
        for (int k = 0; k < rows; ++k) std::fill_n(batch.inputs.row(k), pad_columns(count), S(0));
    }
    for (int q = 0; q < count; ++q) {
        const RankingQuery& query = from[random ? random->below(choices) : static_cast<std::uint32_t>(q)];
        batch.queries[q] = query;
        for (int k = 0; k < query.candidates; ++k, ++column) {
            const float* item = view.item(query, k);
            const int first = lists ? k * view.inputs() : 0, at = lists ? q : column;
            for (int f = 0; f < view.features; ++f) batch.inputs.row(first + f)[at] = S(item[f]);
            for (int c = 0; c < view.contexts; ++c) {
                batch.inputs.row(first + view.features + c)[at] = c == query.context ? S(1) : S(0);
            }
        }
    }
    batch.columns = pad_columns(lists ? count : column);
}

template <class S, class Net>
template <class Body>
void Ranking<S, Net>::each_slate(const Batch& b, bool deltas, bool tangents, Body body) {
    if constexpr (lists) {
        if (deltas) {
            for (int k = 0; k < settings_.longest; ++k) {
                std::fill_n(net_.output_deltas().row(k), b.columns, S(0));
                if (tangents) std::fill_n(net_.output_tangent_deltas().row(k), b.columns, S(0));
            }
        }
        std::array<S, ranking_candidate_limit> scores, moved, d, rd;
        for (int q = 0; q < b.count; ++q) {
            const RankingQuery& query = b.queries[q];
            const auto n = static_cast<std::size_t>(query.candidates);
            const auto row = [](std::size_t k) { return static_cast<std::ptrdiff_t>(k); };
            for (std::size_t k = 0; k < n; ++k) {
                scores[k] = net_.outputs().row(row(k))[q];
                if (tangents) moved[k] = net_.output_tangents().row(row(k))[q];
                d[k] = rd[k] = S(0);
            }
            body(q, Slate<S>{query.candidates, query.chosen, scores.data(), tangents ? moved.data() : nullptr,
                             d.data(), rd.data()});
            for (std::size_t k = 0; deltas && k < n; ++k) {
                net_.output_deltas().row(row(k))[q] = d[k];
                if (tangents) net_.output_tangent_deltas().row(row(k))[q] = rd[k];
            }
        }
    } else {
        if (deltas) {
            std::fill_n(net_.output_deltas().row(0), b.columns, S(0));
            if (tangents) std::fill_n(net_.output_tangent_deltas().row(0), b.columns, S(0));
        }
        int column = 0;
        for (int q = 0; q < b.count; ++q) {
            const RankingQuery& query = b.queries[q];
            body(q, Slate<S>{query.candidates, query.chosen, net_.outputs().row(0) + column,
                             tangents ? net_.output_tangents().row(0) + column : nullptr,
                             net_.output_deltas().row(0) + column, net_.output_tangent_deltas().row(0) + column});
            column += query.candidates;
        }
    }
}

template <class S, class Net>
void Ranking<S, Net>::draw(int slot, ConstVector<S> w, Stream& random) {
    random.next_epoch();
    const bool all = node.size() <= static_cast<std::size_t>(settings_.batch);
    fill(batch(slot), node, all ? static_cast<int>(node.size()) : settings_.batch, all ? nullptr : &random);
    if (settings_.loss == RankingLoss::reward) play(batch(slot), w, random);
}

/// Gumbel-max: sorting s + Gumbel noise is placing one by one in proportion to e^s.
template <class S, class Net>
void Ranking<S, Net>::play(Batch& batch, ConstVector<S> w, const Stream& random) {
    forward(batch, w);
    std::uint8_t* order = batch.orders;
    std::array<float, ranking_candidate_limit> keys;
    each_slate(batch, false, false, [&](int q, const Slate<S>& slate) {
        const S* const scores = slate.scores;
        const RankingQuery& query = batch.queries[q];
        Stream lane = random.lane(static_cast<std::uint32_t>(q));
        S total = 0;
        for (int m = 0; m < settings_.samples; ++m, order += settings_.longest) {
            for (int k = 0; k < query.candidates; ++k) {
                const float wait = -portable::log((static_cast<float>(lane.bits() >> 8) + 0.5f) * 0x1p-24f);
                keys[static_cast<std::size_t>(k)] =
                    static_cast<float>(scores[k]) - portable::log(wait < 1e-8f ? 1e-8f : wait);
                order[k] = static_cast<std::uint8_t>(k);
            }
            int placed = 0;
            do {
                std::uint8_t* best = std::max_element(order + placed, order + query.candidates,
                                                      [&](auto a, auto b) { return keys[a] < keys[b]; });
                std::swap(order[placed], *best);
            } while (order[placed++] != query.chosen);
            const int at = q * settings_.samples + m;
            batch.placed[at] = static_cast<std::uint8_t>(placed);
            total += S(1) / S(placed);
        }
        for (int m = 0; m < settings_.samples; ++m) {
            const int at = q * settings_.samples + m;
            const S own = S(1) / S(batch.placed[at]);
            batch.advantages[at] = own - (total - own) / S(settings_.samples - 1);
        }
    });
}

template <class S, class Net>
S Ranking<S, Net>::value(int slot, ConstVector<S> w) {
    const Batch& b = batch(slot);
    S sum = 0;
    if (settings_.loss == RankingLoss::reward) {
        const int all = b.count * settings_.samples;
        for (int at = 0; at < all; ++at) sum -= S(1) / S(b.placed[at]);
        return sum / S(all);
    }
    forward(b, w);
    each_slate(b, false, false,
               [&](int, const Slate<S>& slate) { sum += supervised_value(slate, settings_.loss); });
    return sum / S(b.count);
}

template <class S, class Net>
void Ranking<S, Net>::deltas(const Batch& b, bool tangents, bool scores_only) {
    const int samples = settings_.samples;
    each_slate(b, true, tangents, [&](int q, const Slate<S>& slate) {
        if (settings_.loss != RankingLoss::reward) {
            supervised_deltas(slate, settings_.loss, S(1) / S(b.count));
            return;
        }
        std::array<S, ranking_candidate_limit> e;
        slate.exponentials(e);
        for (int at = q * samples; at < (q + 1) * samples; ++at) {
            const S weight = scores_only ? S(1) : -b.advantages[at] / S(b.count * samples);
            play_deltas(slate, b.orders + at * settings_.longest, b.placed[at], weight, e);
        }
    });
}

template <class S, class Net>
void Ranking<S, Net>::gradient(int slot, ConstVector<S> w, Vector<S> out) {
    const Batch& b = batch(slot);
    forward(b, w);
    deltas(b, false, false);
    net_.gradient(w.data(), b.inputs, b.columns, out);
}

template <class S, class Net>
void Ranking<S, Net>::hessian_vector(int slot, ConstVector<S> w, ConstVector<S> v, Vector<S> out) {
    const Batch& b = batch(slot);
    forward(b, w);
    net_.tangent(w.data(), v.data(), b.inputs, b.columns);
    deltas(b, true, false);
    net_.product(w.data(), v.data(), b.inputs, b.columns, out);
}

template <class S, class Net>
void Ranking<S, Net>::score_sum(int slot, ConstVector<S> w, Vector<S> out) {
    std::fill(out.begin(), out.end(), S(0));
    if (settings_.loss != RankingLoss::reward) return;
    const Batch& b = batch(slot);
    forward(b, w);
    deltas(b, false, true);
    net_.gradient(w.data(), b.inputs, b.columns, out);
}

template <class S, class Net>
RankingScore Ranking<S, Net>::evaluate(std::span<const RankingQuery> queries, ConstVector<S> w) {
    RankingScore score;
    Batch& b = batches_.back();
    while (!queries.empty()) {
        const std::size_t count = std::min(queries.size(), static_cast<std::size_t>(settings_.batch));
        fill(b, queries, static_cast<int>(count), nullptr);
        forward(b, w);
        each_slate(b, false, false, [&](int, const Slate<S>& slate) {
            score.add(std::span<const S>(slate.scores, static_cast<std::size_t>(slate.size)), slate.chosen);
        });
        queries = queries.subspan(count);
    }
    return score;
}

template class Ranking<float>;
template class Ranking<double>;
template class Ranking<float, NetworkDerivatives<float>>;
template class Ranking<double, NetworkDerivatives<double>>;

}  // namespace dunlin
