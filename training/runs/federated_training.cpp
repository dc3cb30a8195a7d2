// SPDX-License-Identifier: Apache-2.0
#include "training/runs/federated_training.hpp"

#include "training/problems/federated_learners.hpp"
#include "training/runs/evaluation_schedule.hpp"
#include "training/runs/federated_course.hpp"
#include "training/simulation/federated_clock.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <utility>

namespace dunlin {
namespace {

std::vector<double> values(const std::vector<FleetMetric>& metrics) {
    std::vector<double> list;
    for (const FleetMetric& metric : metrics) list.push_back(metric.value);
    return list;
}

/// What a node's personalisation draws from for one row.
Stream judging_stream(std::uint64_t seed, std::uint32_t node, std::size_t row) {
    Stream random(seed, node, Purpose::evaluate);
    constexpr std::uint64_t epochs = 1u << 20;  // more than the steps of any personalisation
    random.seek_epoch(row * epochs);
    return random;
}

/// Of a model with a number that is none no judgement is a number: kernels may hide it, and a wrong figure would look
/// like a right one.
FleetScore judged(FederatedProblem& problem, std::uint32_t node, ConstVector<float> w, int worker) {
    if (std::ranges::all_of(w, [](float value) { return std::isfinite(value); }))
        return problem.judge(node, w, worker);
    FleetScore score{.count = 1, .sums = {}};
    score.sums.fill(std::numeric_limits<double>::quiet_NaN());
    return score;
}

/// Judges the shared and all personal models, in parallel, and appends the row.
void judge(FederatedProblem& problem, FederatedCourse& course, std::uint64_t seed,
           const std::vector<std::uint32_t>& liars, Workers& workers, FederatedResult& result) {
    std::vector<FleetScore> shared(problem.nodes()), personal(problem.nodes());
    std::vector<std::vector<float>> theta(static_cast<std::size_t>(workers.count()),
                                          std::vector<float>(problem.dimension()));
    RankGroup& ranks = workers.ranks();
    const RankGroup::Block own_nodes = ranks.block(problem.nodes());
    workers.run(static_cast<int>(own_nodes.size()), [&](int piece, int worker) {
        const std::uint32_t node = own_nodes.first + static_cast<std::uint32_t>(piece);
        Stream random = judging_stream(seed, node, result.history.size());
        const Vector<float> own(theta[static_cast<std::size_t>(worker)]);
        course.shared(node, own);
        shared[node] = judged(problem, node, own, worker);
        course.personal(node, random, own, worker);
        personal[node] = judged(problem, node, own, worker);
    });
    ranks.share(std::span(shared), problem.nodes());
    ranks.share(std::span(personal), problem.nodes());
    // Who lies is not asked how well its model does.
    for (const std::uint32_t liar : liars) shared[liar] = personal[liar] = {};
    FleetScore shared_sum, personal_sum;
    for (const FleetScore& score : shared) shared_sum.add(score);
    for (const FleetScore& score : personal) personal_sum.add(score);
    result.personal_by_node.clear();
    for (const FleetScore& score : personal) {
        if (score.count > 0) result.personal_by_node.push_back(problem.metrics(score).front().value);
    }
    FederatedRow row;
    course.describe(row);
    row.shared = values(problem.metrics(shared_sum));
    row.personal = values(problem.metrics(personal_sum));
    result.history.push_back(std::move(row));
}

/// The models as the last row judged them.
void keep_models(FederatedProblem& problem, FederatedCourse& course, std::uint64_t seed, RankGroup& ranks,
                 FederatedResult& result) {
    const std::size_t d = problem.dimension();
    std::vector<double> sum(d);
    std::vector<float> w(d);
    const bool kept = d * problem.nodes() <= FederatedResult::personal_limit;
    if (kept) result.personal_models.resize(d * problem.nodes());
    const RankGroup::Block own = ranks.block(problem.nodes());
    ranks.in_turn(std::span(sum), [&] {
        for (std::uint32_t node = own.first; node < own.last; ++node) {
            course.shared(node, w);
            for (std::size_t k = 0; k < d; ++k) sum[k] += static_cast<double>(w[k]) / problem.nodes();
            if (!kept) continue;
            Stream random = judging_stream(seed, node, result.history.size() - 1);
            course.personal(node, random, w, 0);
            std::ranges::copy(w, result.personal_models.begin() + static_cast<std::ptrdiff_t>(node * d));
        }
    });
    ranks.share(std::span(result.personal_models), problem.nodes());
    result.shared_model.assign(sum.begin(), sum.end());
}

/// What the whole is counted in: simulated seconds, or steps.
double length_of(const FederatedSettings& settings) {
    return settings.baseline() ? settings.baseline_steps : static_cast<double>(settings.clock.budget_s);
}

/// Hands the rows of an earlier part to who keeps them.
Outcome<void> keep_again(FederatedResult& result, const FederatedKeep& keep) {
    std::vector<FederatedRow> rows = std::exchange(result.history, {});
    for (FederatedRow& row : rows) {
        result.history.push_back(std::move(row));
        if (auto kept = keep(result); !kept) return kept;
    }
    return {};
}

}  // namespace

Outcome<void> train_federated(FederatedProblem& problem, const FederatedSettings& settings, std::uint64_t seed,
                              Workers& workers, const RunPauses& pauses, const FederatedKeep& keep,
                              FederatedResult& result) {
    const auto start = std::chrono::steady_clock::now();
    std::vector<float> first(problem.dimension());
    problem.initialise(first);
    PersonalLayers layers(problem.split(), problem.nodes(), first);
    if (traits_of(settings.objective()).kept == Kept::model) {
        if (auto kept = keep_own_models(layers, settings, first); !kept) return kept;
    }
    if (auto fit = settings.check(problem.nodes()); !fit) return fit;
    if (settings.attack.name == AttackName::label_flip && !problem.has_labels())
        return refuse("attack.name = label-flip: there are no labels here; choose another attack");
    result.liars = settings.attack.liars(problem.nodes(), seed);
    const std::vector<std::uint32_t>& liars = result.liars;
    FederatedSettings traced = settings;
    if (auto followed = follow_trace(traced, problem.nodes()); !followed) return followed;
    auto course = make_course(problem, traced, seed, first, layers, workers);
    if (!course) return tl::unexpected(course.error());
    for (const FleetMetric& metric : problem.metrics({.count = 1, .sums = {}})) {
        result.metric_keys.push_back(metric.key);
        result.metric_titles.push_back(metric.title);
    }
    EvaluationSchedule schedule{.evaluations = settings.evaluations, .length = length_of(settings)};
    double earlier_s = 0;
    const auto seconds = [&] {
        return earlier_s + std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    };
    const RunPauses::Save save = [&](Saver& saver) {
        layers.known_to_all(workers.ranks());
        saver(schedule, seconds(), result.history, result.personal_by_node, layers);
        (*course)->save(saver);
    };
    if (pauses.goes_on()) {
        EvaluationSchedule before;
        auto gone_on = pauses.go_on([&](Loader& loader) -> Result<void> {
            loader(before, earlier_s, result.history, result.personal_by_node, layers);
            if (!loader.ok()) return {};
            if (!layers.fits(problem.nodes(), traits_of(settings.objective()).kept == Kept::model))
                return fail(Code::shape_mismatch);
            return (*course)->restore(loader);
        });
        if (!gone_on) return gone_on;
        result.seconds = earlier_s;
        const auto done = static_cast<std::int64_t>((*course)->reached() * schedule.length);
        if (auto fits = RunPauses::check_length(settings.baseline() ? "baseline.steps" : "clock.budget_s",
                                                static_cast<std::int64_t>(schedule.length), done);
            !fits)
            return fits;
        schedule.next = schedule.after(before, (*course)->reached());
        (*course)->report(result);
        result.complete = schedule.next > schedule.evaluations;
        if (auto kept = keep_again(result, keep); !kept) return kept;
    }
    Outcome<void> saved;
    const auto stop = [&] {
        const auto left_off = pauses.left_off(save);
        if (!left_off) saved = tl::unexpected(left_off.error());
        return !left_off || *left_off;
    };
    for (; schedule.next <= schedule.evaluations; ++schedule.next) {
        const bool begins = result.history.empty();
        if (auto done = (*course)->advance(schedule.share(schedule.next), stop); !done) return done;
        if (!saved) return saved;
        if (pauses.stop() && !begins) {
            // The stop may have come after the last look at it on the way here.
            if (auto kept = pauses.checkpoint(save, true); !kept) return kept;
            break;
        }
        judge(problem, **course, seed, liars, workers, result);
        (*course)->report(result);
        result.seconds = seconds();
        result.complete = schedule.next == schedule.evaluations;
        if (auto kept = keep(result); !kept) return kept;
    }
    if (result.complete) {
        if (auto kept = pauses.checkpoint(save, true); !kept) return kept;
    }
    keep_models(problem, **course, seed, workers.ranks(), result);
    return {};
}

}  // namespace dunlin
