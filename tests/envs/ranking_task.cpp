// SPDX-License-Identifier: Apache-2.0
#include "envs/ranking.hpp"
#include "task_checks.hpp"

#include <algorithm>
#include <numeric>

using namespace dunlin;

namespace {

/// Random items and queries with 2 to 5 suggestions.
struct Searches {
    static constexpr int features = 4, contexts = 3;
    std::vector<float> items;
    std::vector<std::uint32_t> candidates;
    std::vector<RankingQuery> queries;

    explicit Searches(int count, int least = 2, int most = 5) {
        Stream random(4, 0, Purpose::user);
        const auto below = [&](int bound) { return random.below(static_cast<std::uint32_t>(bound)); };
        for (int k = 0; k < 30 * features; ++k) items.push_back(random.normal());
        for (int q = 0; q < count; ++q) {
            RankingQuery query;
            query.context = static_cast<std::int32_t>(below(contexts));
            query.first_candidate = static_cast<std::uint32_t>(candidates.size());
            query.candidates = static_cast<std::uint16_t>(least + static_cast<int>(below(most - least + 1)));
            query.chosen = static_cast<std::uint16_t>(below(query.candidates));
            for (int k = 0; k < query.candidates; ++k) candidates.push_back(below(30));
            queries.push_back(query);
        }
    }
    RankingView view() const { return {items.data(), candidates.data(), features, contexts}; }
};

template <class S>
struct RankingTask {
    TestMemory memory;
    Ranking<S> task;

    RankingTask(const Searches& searches, const MlpShape& shape, const typename Ranking<S>::Settings& settings,
                const Kernels<S>& kernels = generic_kernels<S>())
        : memory(Ranking<S>::bytes(shape, settings)),
          task(*Ranking<S>::make(shape, kernels, searches.view(), settings, memory.arena)) {
        task.node = searches.queries;
    }
};

const MlpShape shape = *MlpShape::make(7, std::vector<int>{6, 5}, 1);
/// Scores are the item's first feature, and no other parameter matters.
const MlpShape linear = *MlpShape::make(7, {}, 1, Activation::tanh, false, false);

std::vector<double> random_vector(std::size_t size, std::uint32_t node) {
    Stream random(8, node, Purpose::user);
    std::vector<double> v(size);
    for (double& x : v) x = 0.5 * random.normal();
    return v;
}

double log_likelihood(const std::vector<double>& scores, const std::vector<int>& order, int placed) {
    double sum = 0;
    for (int j = 0; j < placed; ++j) {
        double rest = 0;
        for (std::size_t k = static_cast<std::size_t>(j); k < order.size(); ++k)
            rest += std::exp(scores[static_cast<std::size_t>(order[k])]);
        sum += scores[static_cast<std::size_t>(order[static_cast<std::size_t>(j)])] - std::log(rest);
    }
    return sum;
}

/// The expected reciprocal rank of `chosen` under a Plackett-Luce policy, over all permutations.
double expected_reward(const std::vector<double>& scores, int chosen) {
    std::vector<int> order(scores.size());
    std::iota(order.begin(), order.end(), 0);
    double sum = 0;
    do {
        const auto rank = std::find(order.begin(), order.end(), chosen) - order.begin() + 1;
        sum += std::exp(log_likelihood(scores, order, static_cast<int>(order.size()))) / static_cast<double>(rank);
    } while (std::next_permutation(order.begin(), order.end()));
    return sum;
}

}  // namespace

static_assert(Task<Ranking<float>> && ScoredTask<Ranking<double>, double>);

TEST_CASE("ranking's derivatives agree with finite differences to 1e-6, for every supervised loss") {
    const Searches searches(30);
    const std::vector<double> w = random_vector(shape.parameters(), 1), v = random_vector(shape.parameters(), 2);
    for (RankingLoss loss : {RankingLoss::binary_cross_entropy, RankingLoss::squared_error, RankingLoss::choice}) {
        RankingTask<double> made(searches, shape, {.loss = loss, .batch = 7, .slots = 2, .longest = 5});
        Stream random(1, 0, Purpose::samples);
        made.task.draw(0, w, random);
        made.task.draw(1, w, random);
        for (int slot : {0, 1}) check_derivatives(made.task, slot, w, v);
        std::vector<double> score(w.size(), 1.0);
        made.task.score_sum(0, w, score);
        CHECK(score == std::vector<double>(w.size()));
    }
}

TEST_CASE("the losses of one query are what their definitions say") {
    Searches searches(1, 3, 3);
    searches.queries[0].chosen = 1;
    const std::vector<double> w{1, 0, 0, 0, 0, 0, 0};
    std::vector<double> s;
    for (int k = 0; k < 3; ++k) s.push_back(searches.view().item(searches.queries[0], k)[0]);
    const auto value = [&](RankingLoss loss) {
        RankingTask<double> made(searches, linear, {.loss = loss, .batch = 1, .longest = 3});
        Stream random(1, 0, Purpose::samples);
        made.task.draw(0, w, random);
        return made.task.value(0, w);
    };
    const auto softplus = [](double x) { return std::log1p(std::exp(x)); };
    CHECK(value(RankingLoss::binary_cross_entropy) ==
          Approx((softplus(s[0]) + softplus(s[1]) + softplus(s[2]) - s[1]) / 3));
    CHECK(value(RankingLoss::squared_error) == Approx((s[0] * s[0] + (s[1] - 1) * (s[1] - 1) + s[2] * s[2]) / 3));
    CHECK(value(RankingLoss::choice) == Approx(std::log(std::exp(s[0]) + std::exp(s[1]) + std::exp(s[2])) - s[1]));
}

TEST_CASE("the policy's Hessian-vector product is the derivative of its gradient") {
    const Searches searches(30);
    const std::vector<double> w = random_vector(shape.parameters(), 1), v = random_vector(shape.parameters(), 2);
    RankingTask<double> made(searches, shape, {.loss = RankingLoss::reward, .batch = 7, .longest = 5});
    Stream random(1, 0, Purpose::samples);
    made.task.draw(0, w, random);
    std::vector<double> up = w, down = w, high(w.size()), low(w.size()), product(w.size());
    for (std::size_t k = 0; k < w.size(); ++k) {
        up[k] += 1e-5 * v[k];
        down[k] -= 1e-5 * v[k];
    }
    made.task.gradient(0, up, high);
    made.task.gradient(0, down, low);
    made.task.hessian_vector(0, w, v, product);
    for (std::size_t k = 0; k < w.size(); ++k) high[k] = (high[k] - low[k]) / 2e-5;
    CHECK(relative_error(product, high) < 1e-6);
}

TEST_CASE("the policy gradient's mean is the derivative of the expected reward, by enumeration") {
    Searches searches(1, 4, 4);
    const int chosen = searches.queries[0].chosen;
    const std::vector<double> w{0.9, -0.4, 0.3, 0.2, 0, 0, 0};
    const auto reward = [&](const std::vector<double>& at) {
        std::vector<double> scores(4);
        for (int k = 0; k < 4; ++k) {
            for (std::size_t f = 0; f < 4; ++f)
                scores[static_cast<std::size_t>(k)] += at[f] * searches.view().item(searches.queries[0], k)[f];
        }
        return expected_reward(scores, chosen);
    };
    RankingTask<double> made(searches, linear,
                             {.loss = RankingLoss::reward, .batch = 1, .longest = 4, .samples = 4});
    Stream random(6, 0, Purpose::samples);
    const int count = 60000;
    std::vector<double> g(7), sum(7), square(7), score(7), score_sum(7), score_square(7);
    double value = 0, value_square = 0;
    for (int n = 0; n < count; ++n) {
        made.task.draw(0, w, random);
        made.task.gradient(0, w, g);
        made.task.score_sum(0, w, score);
        const double v = made.task.value(0, w);
        value += v;
        value_square += v * v;
        for (std::size_t k = 0; k < 7; ++k) {
            sum[k] += g[k];
            square[k] += g[k] * g[k];
            score_sum[k] += score[k];
            score_square[k] += score[k] * score[k];
        }
    }
    const auto within = [&](double total, double squares, double expected) {
        const double mean = total / count, error = std::sqrt((squares / count - mean * mean) / count);
        return std::abs(mean - expected) <= 4.5 * error + 1e-12;
    };
    CHECK(within(value, value_square, -reward(w)));
    for (std::size_t k = 0; k < 4; ++k) {
        std::vector<double> up = w, down = w;
        up[k] += 1e-5;
        down[k] -= 1e-5;
        CHECK(within(sum[k], square[k], -(reward(up) - reward(down)) / 2e-5));
        CHECK(within(score_sum[k], score_square[k], 0.0));
        CHECK(score_square[k] > 0);
    }
}

TEST_CASE("rankings that earn the same teach nothing: the leave-one-out baseline takes it all") {
    Searches searches(1, 5, 5);
    RankingTask<double> made(searches, linear,
                             {.loss = RankingLoss::reward, .batch = 1, .longest = 5, .samples = 6});
    Stream random(6, 0, Purpose::samples);
    std::vector<double> g(7, 1.0), w{500, 0, 0, 0, 0, 0, 0};  // as good as certain of its order
    made.task.draw(0, w, random);
    made.task.gradient(0, w, g);
    CHECK(std::sqrt(dot<double>(g, g)) < 1e-15);
    w[0] = 0.5;
    made.task.draw(0, w, random);
    made.task.gradient(0, w, g);
    CHECK(std::sqrt(dot<double>(g, g)) > 1e-3);
}

TEST_CASE("policies in float and double play the same rankings, on every set of kernels") {
    const Searches searches(40);
    const std::vector<double> w = random_vector(shape.parameters(), 1);
    const std::vector<float> wf(w.begin(), w.end());
    for (RankingLoss loss : {RankingLoss::binary_cross_entropy, RankingLoss::choice, RankingLoss::reward}) {
        RankingTask<double> exact(searches, shape, {.loss = loss, .batch = 9, .longest = 5});
        Stream first(1, 0, Purpose::samples);
        exact.task.draw(0, w, first);
        std::vector<double> g(w.size());
        exact.task.gradient(0, w, g);
        for (const Kernels<float>* const* kernels = available_kernels(); *kernels != nullptr; ++kernels) {
            RankingTask<float> made(searches, shape, {.loss = loss, .batch = 9, .longest = 5}, **kernels);
            Stream second(1, 0, Purpose::samples);
            made.task.draw(0, wf, second);
            std::vector<float> gf(w.size());
            made.task.gradient(0, wf, gf);
            CHECK(relative_error(std::vector<double>(gf.begin(), gf.end()), g) < 1e-5);
        }
    }
}

TEST_CASE("metrics by hand: rank, reciprocal rank, chance") {
    RankingScore score;
    score.add<float>(std::vector<float>{0.1f, 0.9f, 0.5f}, 2);  // rank 2 of 3
    score.add<float>(std::vector<float>{2.0f, 1.0f}, 0);        // rank 1 of 2
    CHECK(score.queries == 2);
    CHECK(score.accuracy_at_1() == Approx(0.5));
    CHECK(score.mrr() == Approx(0.75));
    const double chance = ((1 + 0.5 + 1.0 / 3) / 3 + 0.75) / 2;
    CHECK(score.random_mrr() == Approx(chance));
    CHECK(score.normalised_mrr() == Approx((0.75 - chance) / (1 - chance)));
    RankingScore twice = score;
    twice.add(score);
    CHECK(twice.queries == 4);
    CHECK(twice.mrr() == Approx(0.75));
}

TEST_CASE("a scorer that cannot tell suggestions apart is worth chance, not the order in the file") {
    RankingScore score;
    for (int n = 2; n <= 25; ++n) score.add<float>(std::vector<float>(static_cast<std::size_t>(n), 0.3f), 0);
    CHECK(score.mrr() == Approx(score.random_mrr()));
    CHECK(score.normalised_mrr() == Approx(0.0).margin(1e-12));
    RankingScore broken;
    broken.add<float>(std::vector<float>{NAN, NAN}, 1);
    CHECK(std::isfinite(broken.mrr()));
}

TEST_CASE("evaluation takes every query once, in pieces of any size") {
    const Searches searches(41);
    const std::vector<double> w = random_vector(shape.parameters(), 1);
    RankingTask<double> small(searches, shape, {.batch = 7, .longest = 5});
    RankingTask<double> large(searches, shape, {.batch = 64, .longest = 5});
    const RankingScore one = small.task.evaluate(searches.queries, w),
                       other = large.task.evaluate(searches.queries, w);
    CHECK(one.queries == 41);
    CHECK(one.mrr() == Approx(other.mrr()));
    CHECK(one.accuracy_at_1() == Approx(other.accuracy_at_1()));
}

TEST_CASE("a ranking task refuses a scorer of the wrong shape and sizes beyond its limits") {
    const Searches searches(3);
    TestMemory memory(1 << 20);
    const auto refused = [&](const MlpShape& s, const Ranking<float>::Settings& settings) {
        return Ranking<float>::make(s, generic_kernels<float>(), searches.view(), settings, memory.arena).error();
    };
    CHECK(refused(*MlpShape::make(6, {}, 1), {}) == Error{Code::shape_mismatch, 6, 7});
    CHECK(refused(*MlpShape::make(7, {}, 2), {}) == Error{Code::shape_mismatch, 2, 1});
    CHECK(refused(shape, {.batch = 0}) == Error{Code::out_of_range, 0, ranking_batch_limit});
    CHECK(refused(shape, {.longest = 65}) == Error{Code::out_of_range, 65, ranking_candidate_limit});
    CHECK(refused(shape, {.loss = RankingLoss::reward, .samples = 1}) == Error{Code::out_of_range, 1, 1024});
}

namespace {

template <class S>
using ListRanking = Ranking<S, NetworkDerivatives<S>>;

/// A list of five suggestions of seven numbers; `width` suggestions are seen at a time.
NetworkShape list_shape(int width) {
    const LayerSpec seen{.kind = LayerKind::convolution, .activation = Activation::tanh, .outputs = 6};
    LayerSpec beside = seen, score = seen;
    beside.outputs = 5;
    beside.kernel_width = width;
    beside.pad_width = width / 2;
    score.outputs = 1;
    score.activation = Activation::identity;
    return *NetworkShape::make({1, 5, 7}, false, std::vector<LayerSpec>{seen, beside, score});
}

}  // namespace

TEST_CASE("a scorer that sees one suggestion of a list at a time is the perceptron, for every loss") {
    const Searches searches(6);
    const NetworkShape lists = list_shape(1);
    REQUIRE(lists.parameters() == shape.parameters());
    const std::vector<double> w = random_vector(shape.parameters(), 1), v = random_vector(shape.parameters(), 2);
    for (const RankingLoss loss : {RankingLoss::binary_cross_entropy, RankingLoss::squared_error,
                                   RankingLoss::choice, RankingLoss::reward}) {
        Ranking<double>::Settings settings{.loss = loss, .batch = 8, .longest = 5};
        RankingTask<double> one(searches, shape, settings);
        ListRanking<double>::Settings same{.loss = loss, .batch = 8, .longest = 5};
        TestMemory memory(ListRanking<double>::bytes(lists, same));
        auto many =
            *ListRanking<double>::make(lists, generic_kernels<double>(), searches.view(), same, memory.arena);
        many.node = searches.queries;
        Stream a(1, 0, Purpose::samples), b(1, 0, Purpose::samples);
        one.task.draw(0, w, a);
        many.draw(0, w, b);
        CHECK(many.value(0, w) == Approx(one.task.value(0, w)));
        std::vector<double> g(w.size()), h(w.size());
        one.task.gradient(0, w, g);
        many.gradient(0, w, h);
        CHECK(relative_error(h, g) < 1e-10);
        one.task.hessian_vector(0, w, v, g);
        many.hessian_vector(0, w, v, h);
        CHECK(relative_error(h, g) < 1e-10);
        CHECK(many.evaluate(searches.queries, w).mrr() == Approx(one.task.evaluate(searches.queries, w).mrr()));
    }
}

TEST_CASE("a scorer that sees suggestions beside each other has the derivatives of its loss") {
    const Searches searches(9);
    const NetworkShape lists = list_shape(3);
    const std::vector<double> w = random_vector(lists.parameters(), 1), v = random_vector(lists.parameters(), 2);
    for (const RankingLoss loss :
         {RankingLoss::binary_cross_entropy, RankingLoss::squared_error, RankingLoss::choice}) {
        const ListRanking<double>::Settings settings{.loss = loss, .batch = 4, .longest = 5};
        TestMemory memory(ListRanking<double>::bytes(lists, settings));
        auto task =
            *ListRanking<double>::make(lists, generic_kernels<double>(), searches.view(), settings, memory.arena);
        task.node = searches.queries;
        Stream random(1, 0, Purpose::samples);
        task.draw(0, w, random);
        check_derivatives(task, 0, w, v);
    }
    const ListRanking<double>::Settings longer{.longest = 6};
    TestMemory memory(ListRanking<double>::bytes(lists, longer));
    CHECK(ListRanking<double>::make(lists, generic_kernels<double>(), searches.view(), longer, memory.arena)
              .error()
              .code == Code::shape_mismatch);
}
