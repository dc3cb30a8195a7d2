// SPDX-License-Identifier: Apache-2.0
#include "training/runs/round_resumption.hpp"

#include "training/host/run_pauses.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace dunlin {

bool is_best(const RoundPlan& plan, const FederatedRow& row, const FederatedResult& result) {
    if (!plan.best_by || result.history.empty()) return true;
    const auto of = [&](const FederatedRow& one) { return one.personal[*plan.best_by]; };
    return result.failure.empty() && of(row) > of(result.history[result.selected]);
}

void save_best(Saver& saver, const RoundPlan& plan, const FederatedResult& result) {
    if (!plan.best_by) return;
    saver(plan.stage, static_cast<std::uint64_t>(result.selected), result.scores, result.shared_model,
          result.personal_models);
}

Result<void> restore_best(Loader& loader, const FederatedProblem& problem, const RoundPlan& plan,
                          std::int64_t& stage, FederatedResult& result) {
    if (!plan.best_by) return {};
    const std::size_t nodes = problem.nodes(), dimension = problem.dimension();
    std::uint64_t selected = 0;
    loader(stage, selected, result.scores, result.shared_model, result.personal_models);
    if (!loader.ok()) return {};
    if (stage < 1) return fail(Code::shape_mismatch, stage);
    if (result.history.empty()) return {};
    const bool fits =
        selected < result.history.size() && std::ranges::all_of(result.history, [&](const FederatedRow& row) {
            return row.personal.size() > *plan.best_by;
        });
    if (!fits) return fail(Code::shape_mismatch);
    if (result.scores.size() != nodes) return wrong_size(result.scores.size(), nodes);
    if (result.shared_model.size() != dimension) return wrong_size(result.shared_model.size(), dimension);
    if (!result.personal_models.empty() && result.personal_models.size() != nodes * dimension)
        return wrong_size(result.personal_models.size(), nodes * dimension);
    result.selected = static_cast<std::size_t>(selected);
    return {};
}

Outcome<void> check_rounds(const RoundPlan& plan, std::int64_t done, std::int64_t learning, std::int64_t stage) {
    const std::int64_t asked = (plan.rounds - plan.opening) / plan.stage;
    const std::int64_t begun = (done - plan.opening + stage - 1) / stage;
    if (auto fits = RunPauses::check_length(plan.length_key, asked, begun); !fits) return fits;
    if (stage != plan.stage)
        return refuse(
            fmt::format("{} = {}: the stages would have {} rounds, and those so far had {}: begin a run of that "
                        "length",
                        plan.length_key, asked, plan.stage, stage));
    // Rounds in which nodes learned cannot become such in which they settle.
    return RunPauses::check_length("method.rounds", plan.learning, std::min(done, learning));
}

Outcome<void> fit_tail(const RoundPlan& plan, std::int64_t done, std::int64_t all, std::int64_t first,
                       std::vector<std::vector<double>>& tail) {
    if (plan.tail == 0) return {};
    const std::int64_t wanted = std::max<std::int64_t>(0, done - first), kept = std::ssize(tail);
    if (plan.rounds != all && wanted > kept)
        return refuse(
            fmt::format("{} = {}: a run is judged by its last {} rounds, of which {} are over without "
                        "having been judged; give {} or more",
                        plan.length_key, plan.rounds, plan.tail, wanted - kept, done + plan.tail - kept));
    tail.erase(tail.begin(), tail.end() - static_cast<std::ptrdiff_t>(std::clamp<std::int64_t>(wanted, 0, kept)));
    return {};
}

}  // namespace dunlin
