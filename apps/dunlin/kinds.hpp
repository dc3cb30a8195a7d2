// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "apps/dunlin/trial.hpp"
#include "training/host/failure.hpp"
#include "training/host/rank_group.hpp"
#include "training/problems/problem_kinds.hpp"
#include "training/settings/method_settings.hpp"
#include "training/settings/settings.hpp"

#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dunlin::app {

/// What a person asked for: an experiment, and what to change in it.
struct TrainRequest {
    std::string experiment;                  ///< name of a ready-made one; empty: `config` says all
    std::string config;                      ///< TOML file over it; may be empty
    std::optional<std::string> config_text;  ///< what is in `config`, where somebody read it already
    std::vector<std::string> assignments;    ///< KEY=VALUE over both
    std::string method;                      ///< shorthand for the kind's method setting; may be empty
    std::optional<std::uint64_t> seed;
    std::filesystem::path directory;  ///< where the run is written, or goes on
    bool resume = false;
    int threads = 1;
    bool json = false;
    bool quiet = false;
    bool general = false;                    ///< leave out what is one method's alone
    RankGroup* ranks = &RankGroup::alone();  ///< that make the run together; the first alone writes

    /// The command line that makes this run again, for a shell.
    std::string command() const;
    /// What follows the command's name in it: the experiment, --config and --set.
    std::string arguments() const;
    /// What is in `config`.
    Outcome<std::string> document() const;
    /// The ready-made experiment and `config`, those that there are: text, and what to call it.
    Outcome<std::vector<std::pair<std::string, std::string>>> documents() const;
    /// Those of documents and assignments, of any method.
    Outcome<std::vector<MethodSetting>> method_settings() const;
    /// Reads the ready-made experiment, then the file, then --method (as `method_key`), the assignments and the
    /// seed into a list of settings that has "seed". The method's own settings come after what else their document
    /// says, and on the command line in order.
    Outcome<void> apply(Settings& settings, std::string_view method_key) const;
};

/// A kind of experiment: what a file in experiments/ names by its first key, `kind`: a problem that is registered
/// (training/problems/problem_kinds.hpp), as the commands see it.
struct Kind {
    std::string_view name;
    /// Trains; returns the exit code, or wrong input.
    std::function<Outcome<int>(const TrainRequest& request)> train;
    /// The settings as this experiment's document has them, for --help.
    std::function<std::string(std::string_view toml)> help;

    // For `dunlin compare` and `dunlin sweep`; a kind without them cannot be compared.
    std::string_view method_key{};  ///< the setting that --methods varies
    /// The resolved config.toml, after checking that a run of it could start.
    std::function<Outcome<std::string>(const TrainRequest& request)> resolve{};
    /// One run in one thread, without files. Errors: what stopped it. When `stop` says so, it returns early and
    /// incomplete.
    std::function<Outcome<TrialResult>(const TrainRequest& request, const std::function<bool()>& stop)> trial{};
    std::string_view methods{};  ///< by comma: what `dunlin compare` compares when nothing else is asked for
    bool spreads = false;        ///< over ranks, the nodes of one run
    /// Settings that make the methods of a comparison learn from equally much, found by the experiment's own method;
    /// none where they say so already, or when interrupted.
    std::function<Outcome<std::vector<std::string>>(const TrainRequest& request, const std::function<bool()>& stop)>
        level{};
    /// Step sizes to try for the request's method; candidate 0 are those that it has. The same factors for all methods.
    std::function<Outcome<std::vector<std::string>>(const TrainRequest& request, int candidate)> vary{};
};

/// All kinds, with the problems that are registered by now. They stay where they are. For one thread at a time.
const std::deque<Kind>& kinds();

/// The kind that a TOML text names; without the key it is "navigation". Error: no such kind.
Outcome<const Kind*> kind_of(std::string_view toml, std::string_view where);
/// The kind of the experiment that is asked for, or else of the file.
Outcome<const Kind*> kind_of(const TrainRequest& request);

/// A registered problem, trained on a simulated fleet, or in one process.
Kind problem_kind(const RegisteredProblem& problem);

}  // namespace dunlin::app
