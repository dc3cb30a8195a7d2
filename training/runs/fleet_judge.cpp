// SPDX-License-Identifier: Apache-2.0
#include "training/runs/fleet_judge.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace dunlin {
namespace {

/// Of a model with a number that is none no judgement is a number: kernels may hide it, and a wrong figure would look
/// like a right one.
FleetScore judged(FederatedProblem& problem, std::uint32_t node, ConstVector<float> w, int worker) {
    if (std::ranges::all_of(w, [](float value) { return std::isfinite(value); }))
        return problem.judge(node, w, worker);
    FleetScore score{.count = 1, .sums = {}};
    score.sums.fill(std::numeric_limits<double>::quiet_NaN());
    return score;
}

}  // namespace

Stream FleetJudge::stream(std::uint32_t node, std::uint64_t epoch) const {
    Stream random(seed_, node, Purpose::evaluate);
    random.seek_epoch(epoch * how_.draws);
    return random;
}

std::vector<FleetScore> FleetJudge::scores(std::uint64_t epoch, const MakeModel& make) {
    std::vector<FleetScore> all(problem_.nodes());
    std::vector<std::vector<float>> theta(static_cast<std::size_t>(workers_.count()),
                                          std::vector<float>(problem_.dimension()));
    RankGroup& ranks = workers_.ranks();
    const RankGroup::Block own = ranks.block(problem_.nodes());
    const int repeats = how_.personal.steps > 0 ? how_.repeats : 1;
    const std::int64_t before = problem_.environment_steps();
    workers_.run(static_cast<int>(own.size()), [&](int piece, int worker) {
        const std::uint32_t node = own.first + static_cast<std::uint32_t>(piece);
        const Vector<float> w(theta[static_cast<std::size_t>(worker)]);
        Stream random = stream(node, epoch);
        for (int repeat = 0; repeat < repeats; ++repeat) {
            make(node, random, w, worker);
            all[node].add(judged(problem_, node, w, worker));
        }
    });
    judging_steps_ += problem_.environment_steps() - before;
    ranks.share(std::span(all), problem_.nodes());
    return all;
}

std::vector<double> FleetJudge::by_node(const std::vector<FleetScore>& scores) const {
    std::vector<double> all;
    for (std::uint32_t i = 0; i < scores.size(); ++i)
        all.push_back(problem_.node_metrics(i, scores[i]).front().value);
    return all;
}

std::vector<double> FleetJudge::together(const std::vector<FleetScore>& scores) const {
    std::vector<double> all;
    for (const FleetMetric& metric : problem_.metrics_of(scores)) all.push_back(metric.value);
    return all;
}

std::int64_t FleetJudge::environment_steps() const {
    std::int64_t steps = 0;
    workers_.ranks().in_turn(std::span(&steps, 1), [&] { steps += problem_.environment_steps() - judging_steps_; });
    return steps;
}

void FleetJudge::set_environment_steps(std::int64_t steps) {
    // What was sampled before is the first rank's.
    judging_steps_ = problem_.environment_steps() - (workers_.ranks().leads() ? steps : 0);
}

}  // namespace dunlin
