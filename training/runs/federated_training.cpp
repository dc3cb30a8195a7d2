// SPDX-License-Identifier: Apache-2.0
#include "training/runs/federated_training.hpp"

#include "rl/adaptation.hpp"
#include "training/host/median.hpp"
#include "training/problems/federated_learners.hpp"
#include "training/runs/evaluation_schedule.hpp"
#include "training/runs/federated_course.hpp"
#include "training/runs/fleet_judge.hpp"
#include "training/runs/round_resumption.hpp"
#include "training/runs/training_loop.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

namespace dunlin {
namespace {

/// Of a fleet.
class Run final : public TrainingLoop {
public:
    Run(FederatedProblem& problem, FederatedTerms terms, Workers& workers)
        : problem_(problem),
          terms_(std::move(terms)),
          workers_(workers),
          first_(problem.dimension()),
          layers_(problem.split(), problem.nodes(), initialised()),
          schedule_(schedule()),
          judge_(problem, workers, terms_.seed, judging()) {}

    Outcome<void> connect() {
        notes_ = problem_.notes();
        const FederatedSettings& s = terms_.settings;
        if (auto fit = check_robust_run(s.attack, s.defence, terms_.rounds.has_value(), problem_.has_labels());
            !fit)
            return fit;
        if (s.privacy.enabled() && terms_.rounds)
            return refuse("privacy.clip: not there in this experiment; classification and ranking have it");
        liars_ = s.attack.liars(problem_.nodes(), terms_.seed);
        if (auto kept = keep_beside(layers_, terms_.settings, first_); !kept) return kept;
        auto course = make_course(problem_, terms_, first_, layers_, workers_, notes_);
        if (!course) return tl::unexpected(course.error());
        course_ = *std::move(course);
        return {};
    }

    const DataNotes& notes() const override { return notes_; }

private:
    static constexpr std::uint64_t last_epoch = set_apart_epochs;

    void begin(FederatedResult& result) override {
        name_metrics(result);
        result.liars = liars_;
    }
    bool over(const FederatedResult& result) const override {
        return schedule_.next > schedule_.evaluations || !result.failure.empty();
    }
    Outcome<void> live(const Way& way, const std::function<bool()>& stop) override {
        if (!terms_.rounds) return live(schedule_.share(schedule_.next), stop);
        const auto shown = [&] {
            way.result.last.round = rounds_over();
            way.pauses.progress();
            return stop();
        };
        auto lived = live(schedule_.share(schedule_.next), shown);
        if (lived) course_->report(way.result);
        return lived;
    }
    bool there(const FederatedResult&) const override {
        if (!terms_.rounds) return schedule_.next == 0;
        return rounds_over() == std::llround(schedule_.share(schedule_.next) * schedule_.length);
    }
    bool judge(FederatedResult& result) override {
        const bool arrived = !terms_.rounds || there(result);
        result.history.push_back(judge_row(result));
        course_->report(result);
        result.complete = arrived && schedule_.next == schedule_.evaluations && result.failure.empty();
        return true;
    }
    void judged() override { ++schedule_.next; }
    Outcome<void> end(const Way& way) override {
        judge_the_end(way.result);
        return way.result.complete && terms_.beside ? run_beside(way) : Outcome<void>{};
    }

    const std::vector<float>& initialised() {
        problem_.initialise(first_);
        return first_;
    }
    Judging judging() {
        if (!terms_.rounds) terms_.judging = {};
        // What a node keeps is its own as it is.
        if (traits_of(terms_.settings.objective()).kept != Kept::nothing) terms_.judging.personal.steps = 0;
        return terms_.judging;
    }
    EvaluationSchedule schedule() const {
        if (const auto& plan = terms_.rounds)
            return EvaluationSchedule::of_rounds(plan->rounds, plan->evaluate_every, plan->moments);
        const FederatedSettings& s = terms_.settings;
        // What the whole is counted in: simulated seconds, or steps.
        return {.evaluations = s.evaluations,
                .length = s.baseline() ? s.baseline_steps : static_cast<double>(s.clock.budget_s)};
    }
    bool keeps_models() const { return traits_of(terms_.settings.objective()).kept == Kept::model; }

    void name_metrics(FederatedResult& result) const {
        const FleetScore one{.count = 1, .sums = {}};
        for (const FleetMetric& metric : problem_.metrics_of(std::span(&one, 1))) {
            result.metric_keys.push_back(metric.key);
            result.metric_titles.push_back(metric.title);
        }
    }

    /// Rounds of the tail are judged one by one.
    Outcome<void> live(double share, const std::function<bool()>& stop) {
        const std::int64_t tail = terms_.rounds ? terms_.rounds->tail : 0;
        if (tail == 0) return course_->advance(share, stop);
        const std::int64_t first = first_of_tail(), target = std::llround(share * schedule_.length);
        for (std::int64_t done = rounds_over(); done < target;) {
            const std::int64_t next = done < first ? std::min(first, target) : done + 1;
            if (auto lived = course_->advance(static_cast<double>(next) / schedule_.length, stop); !lived)
                return lived;
            if (rounds_over() == done) return {};
            done = rounds_over();
            if (done > first) tail_.push_back(judge_.by_node(scores_of_all(done - 1)));
            if (done < next) return {};
        }
        return {};
    }
    std::int64_t rounds_over() const { return std::llround(course_->reached() * schedule_.length); }
    std::int64_t first_of_tail() const {
        return std::max<std::int64_t>(0, terms_.rounds->rounds - terms_.rounds->tail);
    }

    MakeModel personal_models() {
        return [this](std::uint32_t node, Stream& random, Vector<float> theta, int worker) {
            course_->personal(node, random, theta, worker);
        };
    }
    std::vector<FleetScore> scores_of_all(std::int64_t round) {
        course_->attend(problem_);
        return judge_.scores(evaluation_epoch(round), personal_models());
    }
    FederatedRow judge_row(FederatedResult& result) {
        FederatedRow row;
        course_->describe(row);
        if (terms_.rounds) {
            take(row, row.round, result);
            return row;
        }
        const std::uint64_t epoch = result.history.size();  // more draws than those of any personalisation
        auto shared = judge_.scores(
            epoch, [this](std::uint32_t node, Stream&, Vector<float> w, int) { course_->shared(node, w); });
        auto personal = judge_.scores(epoch, personal_models());
        // Who lies is not asked how well its model does.
        for (const std::uint32_t liar : liars_) shared[liar] = personal[liar] = {};
        result.personal_by_node.clear();
        for (const FleetScore& score : personal) {
            if (score.count > 0) result.personal_by_node.push_back(problem_.metrics(score).front().value);
        }
        row.shared = judge_.together(shared);
        row.personal = judge_.together(personal);
        return row;
    }
    void take(FederatedRow& row, std::int64_t round, FederatedResult& result) {
        std::vector<FleetScore> scores = scores_of_all(round);
        row.environment_steps = judge_.environment_steps();
        row.personal = judge_.together(scores);
        row.by_node = judge_.by_node(scores);
        if (!is_best(*terms_.rounds, row, result)) return;
        result.personal_by_node = row.by_node;
        result.scores = std::move(scores);
        if (!terms_.rounds->best_by) return;
        result.selected = result.history.size();
        gather_models(result);
    }

    /// What a run ends with: its last row, models that are judged once more, or the medians of the last rounds.
    void judge_the_end(FederatedResult& result) {
        if (!terms_.rounds) return (void)(result.last = result.history.back());
        if (terms_.rounds->best_by) {
            result.last = result.history[result.selected];
        } else {
            course_->describe(result.last);
            take(result.last, static_cast<std::int64_t>(last_epoch), result);
        }
        result.consensus_error = result.last.consensus_error;
        result.last.round = rounds_over();
        for (std::size_t i = 0; i < result.personal_by_node.size(); ++i) {
            std::vector<double> own;
            for (const std::vector<double>& values : tail_) {
                if (!std::isnan(values[i])) own.push_back(values[i]);  // of when it was there
            }
            if (!own.empty()) result.personal_by_node[i] = median(std::move(own));
        }
    }

    void save(Saver& saver, const FederatedResult& result) override {
        layers_.known_to_all(workers_.ranks());
        saver(schedule_, seconds(), result.history, result.personal_by_node, layers_);
        if (terms_.rounds) {
            saver(terms_.rounds->learning, judge_.environment_steps(), tail_,
                  result.beside.empty() ? earlier_beside_ : result.beside, side_ != nullptr);
            if (side_) side_->save(saver);
            save_best(saver, *terms_.rounds, result);
        }
        course_->save(saver);
    }

    Outcome<void> go_on(const Way& way) override {
        FederatedResult& result = way.result;
        EvaluationSchedule before;
        std::int64_t learning = 0, steps = 0, stage = 1;
        auto gone_on = way.pauses.go_on([&](Loader& loader) -> Result<void> {
            loader(before, earlier_s_, result.history, result.personal_by_node, layers_);
            if (!loader.ok()) return {};
            if (!layers_.fits(problem_.nodes(), keeps_models(), keeps_slopes(terms_.settings)))
                return fail(Code::shape_mismatch);
            if (terms_.rounds) {
                bool side = false;
                loader(learning, steps, tail_, result.beside, side);
                for (const std::vector<double>& values : tail_) {
                    if (values.size() != problem_.nodes()) return wrong_size(values.size(), problem_.nodes());
                }
                if (side && terms_.beside) side_ = terms_.beside();
                if (side && !side_) return fail(Code::shape_mismatch);
                if (side) {
                    if (auto restored = side_->restore(loader); !restored) return restored;
                }
                const auto best = restore_best(loader, problem_, *terms_.rounds, stage, result);
                if (!best) return best;
            }
            return course_->restore(loader);
        });
        if (!gone_on) return gone_on;
        result.seconds = earlier_s_;
        if (terms_.rounds) {
            if (auto fits = fit_rounds(before, learning, steps, stage, result); !fits) return fits;
        } else {
            const auto done = static_cast<std::int64_t>(course_->reached() * schedule_.length);
            if (auto fits =
                    RunPauses::check_length(terms_.settings.baseline() ? "baseline.steps" : "clock.budget_s",
                                            static_cast<std::int64_t>(schedule_.length), done);
                !fits)
                return fits;
        }
        schedule_.next =
            schedule_.after(before, course_->reached(), result.history.empty() ? -1 : result.history.back().round);
        course_->report(result);
        result.complete = schedule_.next > schedule_.evaluations;
        // To who keeps them, those of an earlier part again.
        std::vector<FederatedRow> beside = std::exchange(result.beside, {}),
                                  rows = std::exchange(result.history, {});
        for (FederatedRow& row : rows) {
            result.history.push_back(std::move(row));
            if (auto kept = way.keep(result); !kept) return kept;
        }
        earlier_beside_ = std::move(beside);
        return {};
    }

    /// A run by rounds that goes on: may it have the length that it is to have now? Rows that it has because it ended
    /// are none of a longer one.
    Outcome<void> fit_rounds(const EvaluationSchedule& before, std::int64_t learning, std::int64_t steps,
                             std::int64_t stage, FederatedResult& result) {
        const RoundPlan& plan = *terms_.rounds;
        judge_.set_environment_steps(steps);
        const std::int64_t done = rounds_over(), all = std::llround(before.length);
        if (auto fits = check_rounds(plan, done, learning, stage); !fits) return fits;
        if (done == all && plan.rounds > all && plan.moments.empty()) {
            if (!result.history.empty() && result.history.back().round % plan.evaluate_every != 0)
                result.history.pop_back();
            if (side_ && !result.beside.empty() && result.beside.back().round == side_->iteration())
                result.beside.pop_back();
        }
        return fit_tail(plan, done, all, first_of_tail(), tail_);
    }

    /// One model in one process, beside the fleet's, until as many environment steps were taken.
    Outcome<void> run_beside(const Way& way) {
        FederatedResult& result = way.result;
        const FederatedKeep& keep = way.keep;
        if (!side_) side_ = terms_.beside();
        if (!side_) return {};
        const std::int64_t budget = result.last.environment_steps;
        for (FederatedRow& row : std::exchange(earlier_beside_, {})) {
            result.beside.push_back(std::move(row));
            if (auto kept = keep(result); !kept) return kept;
        }
        const auto judge = [&]() -> Outcome<void> {
            const bool last = side_->environment_steps() >= budget;
            if (side_->iteration() % terms_.rounds->evaluate_every != 0 && !last) return {};
            const auto own = [&](std::uint32_t node, Stream& random, Vector<float> theta, int worker) {
                std::ranges::copy(side_->parameters(), theta.begin());
                problem_.personalise(node, side_->parameters(), terms_.judging.personal, random, theta, worker);
            };
            const auto judged = judge_.scores(last ? last_epoch : evaluation_epoch(side_->iteration()), own);
            result.beside.push_back({.round = side_->iteration(),
                                     .environment_steps = side_->environment_steps(),
                                     .shared = {},
                                     .personal = judge_.together(judged),
                                     .by_node = judge_.by_node(judged)});
            return keep(result);
        };
        // Where a run that had ended goes on, its last row was another one.
        if (side_->iteration() > 0 && (result.beside.empty() || result.beside.back().round < side_->iteration())) {
            if (auto kept = judge(); !kept) return kept;
        }
        while (side_->environment_steps() < budget) {
            const auto left_off = way.pauses.left_off(way.save);
            if (!left_off) return tl::unexpected(left_off.error());
            if (*left_off) break;
            if (auto done = side_->iterate(); !done) return done;
            if (auto kept = judge(); !kept) return kept;
        }
        result.complete = side_->environment_steps() >= budget;
        return {};
    }

    void keep_models(FederatedResult& result) override {
        if (!terms_.rounds || !terms_.rounds->best_by) gather_models(result);  // else they are those of that row
    }
    /// The models as they were judged; of a fleet by rounds, what they were made of.
    void gather_models(FederatedResult& result) {
        const std::size_t d = problem_.dimension();
        const bool one = terms_.rounds && has_one_model(terms_.settings.method.aggregation) &&
                         !layers_.split().has_personal() && !layers_.keeps_models();
        const bool kept = !one && d * problem_.nodes() <= FederatedResult::personal_limit;
        std::vector<double> sum(d);
        std::vector<float> w(d);
        if (kept) result.personal_models.resize(d * problem_.nodes());
        RankGroup& ranks = workers_.ranks();
        const RankGroup::Block own = ranks.block(problem_.nodes());
        ranks.in_turn(std::span(sum), [&] {
            for (std::uint32_t node = own.first; node < own.last; ++node) {
                held(node, w);
                for (std::size_t k = 0; k < d; ++k)
                    sum[k] +=
                        terms_.rounds ? static_cast<double>(w[k]) : static_cast<double>(w[k]) / problem_.nodes();
                if (!kept) continue;
                if (!terms_.rounds) {
                    Stream random = judge_.stream(node, result.history.size() - 1);
                    course_->personal(node, random, w, 0);
                }
                std::ranges::copy(w, result.personal_models.begin() + static_cast<std::ptrdiff_t>(node * d));
            }
        });
        ranks.share(std::span(result.personal_models), problem_.nodes());
        if (terms_.rounds) {
            for (double& value : sum) value /= problem_.nodes();
        }
        result.shared_model.assign(sum.begin(), sum.end());
        if (one) course_->shared(own.first, result.shared_model);
    }
    /// What a node has, before it makes it its own: by rounds also a whole model of its own.
    void held(std::uint32_t node, Vector<float> w) const {
        if (terms_.rounds && layers_.keeps_models())
            std::ranges::copy(layers_.model_of(node), w.begin());
        else
            course_->shared(node, w);
    }

    FederatedProblem& problem_;
    FederatedTerms terms_;
    Workers& workers_;
    DataNotes notes_;
    std::vector<std::uint32_t> liars_;
    std::vector<float> first_;
    PersonalLayers layers_;
    EvaluationSchedule schedule_;
    FleetJudge judge_;
    std::unique_ptr<FederatedCourse> course_;
    std::unique_ptr<SideCourse> side_;
    std::vector<FederatedRow> earlier_beside_;
    std::vector<std::vector<double>> tail_;  ///< each node's figure after each of the last rounds
};

}  // namespace

Outcome<std::unique_ptr<FederatedRun>> FederatedRun::make(FederatedProblem& problem, FederatedTerms terms,
                                                          Workers& workers) {
    auto run = std::make_unique<Run>(problem, std::move(terms), workers);
    if (auto connected = run->connect(); !connected) return tl::unexpected(connected.error());
    return run;
}

}  // namespace dunlin
