// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/axes/federated_settings.hpp"
#include "training/host/run_pauses.hpp"
#include "training/problems/federated_problem.hpp"
#include "training/problems/personal_layers.hpp"
#include "training/problems/round_plan.hpp"
#include "training/problems/run_figures.hpp"
#include "training/problems/side_course.hpp"
#include "training/problems/solo_course.hpp"
#include "training/settings/settings.hpp"

#include <concepts>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace dunlin {

/// Where the data of a problem come from.
enum class DataSource : std::uint8_t {
    job,   ///< from what the job's text says: drawn from the seed, or files that its paths name
    nodes  ///< each node brings its own (`dunlin-node run --data`); nobody else has any
};

/// What the documents of all problems say, whatever is learned. A problem's own settings derive from it.
struct ProblemSettings {
    std::string kind, experiment;  ///< both begin as the name that the problem is registered by
    std::string kernels = "fast";
    std::uint64_t seed = 1;
    DataSource source = DataSource::job;
    FederatedSettings federated;

    virtual ~ProblemSettings() = default;
};

/// The list that a problem's own begins with: kind, experiment, kernels and seed. The problem's settings follow,
/// and then `add_federated_settings`.
Settings problem_settings(ProblemSettings& settings);

/// Adds data.source.
void add_source_setting(Settings& list, ProblemSettings& settings);

/// Settings that nodes of older Dunlins do not know, each with the value that they go by.
using NewerSettings = std::span<const std::pair<std::string_view, std::string_view>>;

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
    /// Where nodes may bring data of their own (data.source = "nodes", a setting that the problem has then): that of
    /// one node, its number 0, from the file or folder `path`. With an empty path, for a coordinator, who has no
    /// data: a problem without nodes, of the same dimension and first parameters. Errors: the settings'; the data's,
    /// whose `told` says what the node lacks and shows nothing of what it has.
    std::function<Outcome<std::unique_ptr<FederatedProblem>>(const S&, const std::string& path)> make_own{};

    // What only problems have whose documents are not those of `add_federated_settings`.

    std::string method_key = "federated.method";  ///< the setting that --methods varies
    std::string methods{};                        ///< by comma, those that are compared; empty: the usual ones
    NewerSettings newer = newer_federated_settings();
    /// How nodes learn, where the document says that in other words than `federated`.
    std::function<FederatedSettings(const S&)> learning{};
    std::function<Judging(const S&)> judging{};
    /// How its fleet lives by rounds; left out, it lives by the clock. Errors: of the settings.
    std::function<Outcome<RoundPlan>(const S&, const FederatedProblem&)> rounds{};
    /// By rounds, a simulated fleet of which real nodes know nothing, in place of those that aggregations have. What
    /// stays with a node is in the layers. All that it is given outlives it. Errors: of the settings.
    std::function<Outcome<std::unique_ptr<GossipFleet>>(const S&, FederatedProblem&, PersonalLayers&, Workers&)>
        fleet{};
    /// Where a fleet of any size has a node's problem for each: takes the number of nodes.
    std::function<void(S&, std::uint32_t nodes)> resize{};
    /// The model without its parameters, where the problem's own description is not all that its file says.
    std::function<TrainedModel(const S&, const FederatedProblem&)> describe{};
    /// Adds to the figures of a run that came so far.
    std::function<void(const S&, FederatedProblem&, const FederatedResult&, RunFigures&)> report{};
    /// A run in one process beside the fleet's, or null where there is none of these settings.
    std::function<std::unique_ptr<SideCourse>(const S&, const FederatedProblem&, Workers&)> beside{};
    /// The runs that this one is compared with when it has ended.
    std::function<std::vector<SideRun>(const S&)> side_runs{};

    // What is learned in one process, without nodes.

    /// In place of `make`. Errors: of the settings.
    std::function<Outcome<std::unique_ptr<SoloCourse>>(const S&, int threads)> alone{};
    /// For `dunlin compare`: settings that make its methods learn from equally much, found by the experiment's own
    /// method; none where they say so already, or when `pauses` stop it.
    std::function<Outcome<std::vector<std::string>>(const S&, const RunPauses& pauses)> level{};
    /// Step sizes to try; candidate 0 are those that the settings have. The same factors for all methods.
    std::function<Outcome<std::vector<std::string>>(const S&, int candidate)> vary{};
};

/// The same when its settings are known by their base alone.
struct RegisteredProblem : ProblemKind<ProblemSettings> {
    std::function<std::unique_ptr<ProblemSettings>()> defaults;

    /// Could it be on real nodes?
    bool deploys() const { return !alone && !fleet; }
};

/// Dunlin's own, and what the program has registered since. They stay where they are.
const std::deque<RegisteredProblem>& registered_problems();
/// Puts one of Dunlin's own in front of them. Not thread-safe.
void add_first(RegisteredProblem problem);
/// Adds those that no real node has a part in (meta-training, hyper-gradient push), for programs that train: a node's
/// program is smaller without them. Once is enough, and twice does no harm. Not thread-safe.
void add_solo_problems();
/// Null: no such problem.
const RegisteredProblem* find_problem(std::string_view name);
/// Is this the name of an experiment of Dunlin's that add_solo_problems adds?
bool is_built_in(std::string_view name);

/// Errors: a name that is taken, or is not of 1 to 64 letters, digits, '-' and '_'; a list without the settings that
/// every document has.
Outcome<void> register_problem(RegisteredProblem problem);

template <std::derived_from<ProblemSettings> S>
RegisteredProblem registered(ProblemKind<S> kind) {
    RegisteredProblem problem;
    problem.name = kind.name;
    problem.nodes_are = kind.nodes_are;
    problem.method_key = kind.method_key;
    problem.methods = kind.methods;
    problem.newer = kind.newer;
    const bool own = kind.make_own != nullptr;
    problem.settings = [list = std::move(kind.settings), own](ProblemSettings& s) {
        Settings all = list(static_cast<S&>(s));
        if (own) add_source_setting(all, s);
        return all;
    };
    // Each is given the settings as what they are.
    const auto lifted = [](auto& place, auto function) {
        if (!function) return;
        place = [function = std::move(function)](auto& s, auto&&... rest) {
            using Own = std::conditional_t<std::is_const_v<std::remove_reference_t<decltype(s)>>, const S, S>;
            return function(static_cast<Own&>(s), std::forward<decltype(rest)>(rest)...);
        };
    };
    lifted(problem.make, std::move(kind.make));
    lifted(problem.about, std::move(kind.about));
    lifted(problem.make_own, std::move(kind.make_own));
    lifted(problem.learning, std::move(kind.learning));
    lifted(problem.judging, std::move(kind.judging));
    lifted(problem.rounds, std::move(kind.rounds));
    lifted(problem.fleet, std::move(kind.fleet));
    lifted(problem.resize, std::move(kind.resize));
    lifted(problem.describe, std::move(kind.describe));
    lifted(problem.report, std::move(kind.report));
    lifted(problem.beside, std::move(kind.beside));
    lifted(problem.side_runs, std::move(kind.side_runs));
    lifted(problem.alone, std::move(kind.alone));
    lifted(problem.level, std::move(kind.level));
    lifted(problem.vary, std::move(kind.vary));
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
    /// The same as what they are; null where they are others.
    template <std::derived_from<ProblemSettings> S>
    S* as() const {
        return dynamic_cast<S*>(settings_.get());
    }
    /// Of these settings: it goes on pointing into them.
    Settings list() { return kind_->settings(*settings_); }
    /// Errors: the kind's; an objective that needs personal layers where there are none; data that nodes bring.
    Outcome<std::unique_ptr<FederatedProblem>> make(int threads) const;
    bool nodes_bring_data() const { return settings_->source == DataSource::nodes; }
    /// Where they do: as `make_own` of the kind.
    Outcome<std::unique_ptr<FederatedProblem>> make_own(const std::string& path) const;
    /// What it is learned from, for the report.
    std::string about(const FederatedProblem& made) const;

    /// How nodes learn.
    FederatedSettings learning() const;
    /// How models are made a node's own and judged.
    Judging judging(const FederatedProblem& made) const;
    bool by_rounds() const { return kind_->rounds != nullptr; }
    /// Where a fleet lives by rounds. Errors: the kind's.
    Outcome<RoundPlan> rounds(const FederatedProblem& made) const { return kind_->rounds(*settings_, made); }
    /// Takes the number of nodes where a fleet may have any.
    void resize(std::uint32_t nodes) {
        if (kind_->resize) kind_->resize(*settings_, nodes);
    }
    /// The model without its parameters, with its experiment's name, how it is made a node's own, and its settings
    /// where they are to be others than the document's.
    TrainedModel description(const FederatedProblem& made) const;

private:
    const RegisteredProblem* kind_;
    std::unique_ptr<ProblemSettings> settings_;
};

}  // namespace dunlin
