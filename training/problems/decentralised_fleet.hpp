// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/problems/classification_world.hpp"
#include "training/problems/problem_kinds.hpp"
#include "training/simulation/round_settings.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace dunlin {

/// Agents without a server that learn to classify. Defaults are those of SPDB's digits (Lu et al. 2022, section 5).
struct DecentralisedSettings : ProblemSettings, RoundSettings {
    DataSettings data{.split = {.kind = Split::skew, .nodes = 10, .skew = 0.95f, .test_fraction = 0.0f}};

    std::vector<int> hidden{32};
    Activation activation = Activation::sigmoid;
    bool input_transform = false;  ///< a linear layer in front, which starts as the identity
    std::vector<std::string> personal_layers{"last"};

    Mixing mixing = Mixing::automatic;
    float rho_over_tau = 0.2f;
    int batch = 16;
    float step = 0.02f;
    bool personal_for_all = false;  ///< other methods than SPDB keep the personal layers at home too

    int evaluations = 40;
    bool figure = true;      ///< also train by the other methods, on all data and on few, for the report
    int limited_rows = 128;  ///< of each agent, in the figure's second half; 0: leave that out

    DecentralisedSettings() {
        kind = "decentralised";
        experiment = "spdb-digits";
        federated.method = preset::spdb;
        graph = "erdos-renyi-undirected";
        probability = 0.4f;
        wake_gap = delay_limit = 1;
        loss = 0.0f;
        rounds = 3000;
        weight_floor = 0x1p-12f;
    }
};

/// The list of these settings, for files, --set and help.
Settings decentralised_settings(DecentralisedSettings& settings);
/// The problem "decentralised", for registered_problems.
ProblemKind<DecentralisedSettings> decentralised_kind();

/// The methods of SPDB's figure, by the names that method.name has for them, in their order; and for tables.
std::vector<std::pair<std::string_view, Method>> decentralised_methods();
std::string decentralised_name(Method method);
std::string decentralised_title(Method method);

/// Own accuracy: where nobody holds rows out, every label's accuracy on the common test rows, weighed by how
/// frequent the label is in the agent's training rows; else on the agent's own held-out rows. Balanced: the mean
/// over labels of the accuracy on the common test rows, or on everybody's held-out rows. Labels are named as the
/// agent names them. Of all agents the means.
struct DecentralisedWorld : ClassificationWorld<MlpDerivatives<float>> {
    /// Of a score's sums, behind those of a classifier on all that it is judged on.
    enum Sum : std::uint8_t { train_loss = 2, accuracy_own, accuracy_balanced, loss_own };

    explicit DecentralisedWorld(ClassificationWorld data);

    FleetScore judge(Task& task, std::uint32_t node, ConstVector<float> w) const;
    std::vector<FleetMetric> node_metrics(std::uint32_t node, const FleetScore& score) const;
    std::vector<FleetMetric> metrics_of(std::span<const FleetScore> scores) const;
    void describe(TrainedModel& model) const;

    /// The accuracy on agents' own distributions of always naming an agent's most frequent label: what skew gives.
    double constant_accuracy() const;

    std::vector<std::vector<std::uint32_t>> by_label{};  ///< rows that models are judged on

private:
    bool held_out() const { return test.rows() == 0; }
};
using DecentralisedFleet = WorldProblem<DecentralisedWorld>;

/// What a run adds to its report, and the runs that it is compared with.
void report_decentralised(const DecentralisedSettings& settings, FederatedProblem& agents,
                          const FederatedResult& result, RunFigures& figures);
std::vector<SideRun> decentralised_side_runs(const DecentralisedSettings& settings);

}  // namespace dunlin
