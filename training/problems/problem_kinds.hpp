// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/axes/federated_settings.hpp"
#include "training/problems/federated_problem.hpp"
#include "training/settings/settings.hpp"

#include <concepts>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace dunlin {

/// What the documents of all problems say, whatever is learned. A problem's own settings derive from it.
struct ProblemSettings {
    std::string kind, experiment;  ///< both begin as the name that the problem is registered by
    std::string kernels = "fast";
    std::uint64_t seed = 1;
    FederatedSettings federated;

    virtual ~ProblemSettings() = default;
};

/// The list that a problem's own begins with: kind, experiment, kernels and seed. The problem's settings follow,
/// and then `add_federated_settings`.
Settings problem_settings(ProblemSettings& settings);

/// A problem, as a program registers it by name. S, its settings, derives from ProblemSettings.
template <class S>
struct ProblemKind {
    std::string name;                 ///< what a document says first: kind = "my-sensors"
    std::string nodes_are = "nodes";  ///< "machines", for reports
    std::function<Settings(S&)> settings;
    /// For so many worker threads. Errors: of the settings, of the data.
    std::function<Outcome<std::unique_ptr<FederatedProblem>>(const S&, int threads)> make;
    /// A sentence or two on the data, for reports; may be left out.
    std::function<std::string(const S&, const FederatedProblem&)> about{};
};

/// The same when its settings are known by their base alone.
struct RegisteredProblem : ProblemKind<ProblemSettings> {
    std::function<std::unique_ptr<ProblemSettings>()> defaults;
};

/// Dunlin's own, and what the program has registered since. They stay where they are.
const std::deque<RegisteredProblem>& registered_problems();
/// Null: no such problem.
const RegisteredProblem* find_problem(std::string_view name);
/// Is this the name of an experiment of Dunlin's that is no registered problem?
bool is_built_in(std::string_view name);

/// Errors: a name that is taken, or is not of 1 to 64 letters, digits, '-' and '_'; a list without the settings that
/// every document has.
Outcome<void> register_problem(RegisteredProblem problem);

template <std::derived_from<ProblemSettings> S>
RegisteredProblem registered(ProblemKind<S> kind) {
    RegisteredProblem problem;
    problem.name = kind.name;
    problem.nodes_are = kind.nodes_are;
    problem.settings = [list = std::move(kind.settings)](ProblemSettings& s) { return list(static_cast<S&>(s)); };
    problem.make = [make = std::move(kind.make)](const ProblemSettings& s, int threads) {
        return make(static_cast<const S&>(s), threads);
    };
    if (kind.about) {
        problem.about = [about = std::move(kind.about)](const ProblemSettings& s, const FederatedProblem& made) {
            return about(static_cast<const S&>(s), made);
        };
    }
    problem.defaults = [name = kind.name] {
        auto settings = std::make_unique<S>();
        settings->kind = settings->experiment = name;
        return settings;
    };
    return problem;
}

/// Makes a problem known to all of this program: at its start, before it has other threads. Errors: as above.
template <std::derived_from<ProblemSettings> S>
[[nodiscard]] Outcome<void> register_problem(ProblemKind<S> kind) {
    return register_problem(registered(std::move(kind)));
}

/// One experiment with a registered problem: its settings, and what they make.
class ProblemExperiment {
public:
    explicit ProblemExperiment(const RegisteredProblem& kind) : kind_(&kind), settings_(kind.defaults()) {}

    const RegisteredProblem& kind() const { return *kind_; }
    const ProblemSettings& settings() const { return *settings_; }
    /// Of these settings: it goes on pointing into them.
    Settings list() { return kind_->settings(*settings_); }
    /// Errors: the kind's; an objective that needs personal layers where there are none.
    Outcome<std::unique_ptr<FederatedProblem>> make(int threads) const;
    /// What it is learned from, for the report.
    std::string about(const FederatedProblem& made) const;

private:
    const RegisteredProblem* kind_;
    std::unique_ptr<ProblemSettings> settings_;
};

}  // namespace dunlin
