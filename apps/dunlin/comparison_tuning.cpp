// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/comparison.hpp"
#include "apps/dunlin/comparison_trials.hpp"
#include "apps/dunlin/run_directory.hpp"
#include "apps/report/run_files.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <fmt/format.h>

namespace dunlin::app {
namespace {

using Json = nlohmann::ordered_json;

/// Seeds that no report shows: far from those that it does.
constexpr std::uint64_t seeds_apart = 1'000'000;

/// One method's candidates.
struct Contest {
    std::vector<std::vector<std::string>> candidates;              ///< settings of each
    std::vector<std::vector<std::optional<TrialResult>>> results;  ///< [candidate][seed]
    std::vector<std::size_t> alive;

    /// Mean over the seeds so far, more being better; what failed is worst.
    double score(std::size_t candidate) const {
        double sum = 0;
        for (const auto& result : results[candidate]) {
            if (!result || !result->failure.empty() || result->measures.empty())
                return -std::numeric_limits<double>::infinity();
            const Measure& measure = result->measures.front();
            if (!std::isfinite(measure.value)) return -std::numeric_limits<double>::infinity();
            sum += less_is_better(measure) ? -measure.value : measure.value;
        }
        return sum / static_cast<double>(results[candidate].size());
    }
    /// Leaves the better half; of equals the first.
    void halve() {
        std::ranges::stable_sort(alive, std::greater<>(), [&](std::size_t k) { return score(k); });
        alive.resize((alive.size() + 1) / 2);
    }
};

std::filesystem::path tuning_path(const ComparisonPlan& plan) {
    return plan.base.directory / "tuning.json";
}

void take_over(ComparisonPlan& plan, const Tuning& tuning) {
    for (const Tuning::Method& method : tuning.methods) {
        for (const std::string& set : method.chosen) {
            plan.base.assignments.push_back(method.name + ":" + set);
            plan.method_settings.push_back(plan.base.assignments.back());
        }
    }
}

}  // namespace

Json tuning_json(const Tuning& tuning) {
    Json json{
        {"version", 1}, {"first_seed", tuning.first_seed}, {"measure", tuning.measure}, {"methods", Json::array()}};
    for (const Tuning::Method& method : tuning.methods) {
        json["methods"].push_back({{"name", method.name},
                                   {"runs", method.runs},
                                   {"env_steps", method.environment_steps},
                                   {"chosen", method.chosen}});
    }
    return json;
}

Outcome<Tuning> read_tuning(const ComparisonPlan& plan) {
    const Outcome<std::string> text = read_text(tuning_path(plan));
    if (!text) return tl::unexpected(text.error());
    try {
        const Json json = Json::parse(*text);
        Tuning tuning{json.at("first_seed").get<std::uint64_t>(), json.at("measure").get<std::string>(), {}};
        for (const Json& method : json.at("methods")) {
            tuning.methods.push_back({method.at("name").get<std::string>(), method.at("runs").get<int>(),
                                      method.at("env_steps").get<double>(),
                                      method.at("chosen").get<std::vector<std::string>>()});
        }
        return tuning;
    } catch (const Json::exception& error) {
        return refuse(
            fmt::format("{}: {}; start anew in another directory", tuning_path(plan).string(), error.what()));
    }
}

Outcome<bool> tune(ComparisonPlan& plan, const Kind& kind, Ranks& ranks, Tuning& tuning) {
    std::error_code ignored;
    if (std::filesystem::exists(tuning_path(plan), ignored)) {
        Outcome<Tuning> kept = read_tuning(plan);
        if (!kept) return tl::unexpected(kept.error());
        tuning = *std::move(kept);
        take_over(plan, tuning);
        return true;
    }
    const std::filesystem::path folder = plan.base.directory / "tuning";
    if (Result<void> made = report::prepare_directory(folder); !made) return refuse(made.error(), folder.string());
    tuning.first_seed =
        plan.first_seed() > seeds_apart ? plan.first_seed() - seeds_apart : plan.first_seed() + seeds_apart;
    std::vector<Contest> contests(plan.combinations());
    const auto count = static_cast<std::size_t>(plan.tune);
    for (std::size_t c = 0; c < contests.size(); ++c) {
        contests[c].results.resize(count);
        contests[c].alive.resize(count);
        std::iota(contests[c].alive.begin(), contests[c].alive.end(), std::size_t{0});
        for (int k = 0; k < plan.tune; ++k) {
            auto settings = kind.vary(plan.request(c, tuning.first_seed), k);
            if (!settings) return tl::unexpected(settings.error());
            contests[c].candidates.push_back(*std::move(settings));
        }
    }
    // All methods have as many candidates left at any time, so as many runs.
    for (std::uint64_t round = 0; round == 0 || contests.front().alive.size() > 1; ++round) {
        if (round > 0) {
            for (Contest& contest : contests) contest.halve();
        }
        std::vector<PlannedTrial> trials;
        for (std::size_t c = 0; c < contests.size(); ++c) {
            for (const std::size_t k : contests[c].alive) {
                contests[c].results[k].emplace_back();
                const std::uint64_t seed = tuning.first_seed + round;
                TrainRequest request = plan.request(c, seed);
                request.assignments.insert(request.assignments.end(), contests[c].candidates[k].begin(),
                                           contests[c].candidates[k].end());
                const Outcome<std::string> resolved = kind.resolve(request);
                if (!resolved) return tl::unexpected(resolved.error());
                const PlannedTrial trial{std::move(request), fmt::format("tuning {}", plan.label(c)),
                                         folder / fmt::format("{:04}-{:04}-seed-{}.json", c + 1, k + 1, seed),
                                         *resolved, &contests[c].results[k].back()};
                load_trial(trial);  // of a part that was interrupted
                if (!*trial.result) trials.push_back(trial);
            }
        }
        const Outcome<bool> done = run_trials(trials, kind, ranks, plan.threads, plan.base.quiet);
        if (!done || !*done) return done;
    }
    for (std::size_t c = 0; c < contests.size(); ++c) {
        Contest& contest = contests[c];
        contest.halve();
        Tuning::Method method{plan.label(c), 0, 0, contest.candidates[contest.alive.front()]};
        for (const auto& seeds : contest.results) {
            for (const auto& result : seeds) {
                ++method.runs;
                if (!result) continue;
                for (const Measure& measure : result->measures) {
                    if (measure.key == "env_steps") method.environment_steps += measure.value;
                }
                if (tuning.measure.empty() && !result->measures.empty())
                    tuning.measure = result->measures.front().key;
            }
        }
        tuning.methods.push_back(std::move(method));
    }
    if (Outcome<void> kept = write(tuning_path(plan), tuning_json(tuning).dump(2) + "\n"); !kept)
        return tl::unexpected(kept.error());
    take_over(plan, tuning);
    return true;
}

}  // namespace dunlin::app
