// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/adapt/bilevel.hpp"
#include "training/host/run_pauses.hpp"
#include "training/problems/classification_data.hpp"
#include "training/simulation/gossip_fleet.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace dunlin {

/// How agents without a server learn to classify.
enum class DecentralisedMethod : std::uint8_t {
    spdb,  ///< primal-dual on the shared layers, one adaptation step of the personal ones before each gradient
    d2,    ///< SPD / D^2: primal-dual on the whole model
    gnsd,  ///< gradient tracking on the whole model
    dsgd,  ///< descent on the whole model
    alone  ///< each by itself
};

/// The method's name on the command line, and in tables.
std::string_view name_of(DecentralisedMethod method);
std::string_view title_of(DecentralisedMethod method);
/// How its shared part is agreed on.
AggregationName recursion_of(DecentralisedMethod method);

/// All that such a run can be told. Defaults are those of SPDB's digits (Lu et al. 2022, section 5).
struct DecentralisedSettings {
    std::string kind = "decentralised";
    std::string experiment = "spdb-digits";
    std::string kernels = "fast";
    std::uint64_t seed = 1;

    DataSettings data{.split = {.kind = Split::skew, .nodes = 10, .skew = 0.95f, .test_fraction = 0.0f}};

    std::vector<int> hidden{32};
    Activation activation = Activation::sigmoid;
    bool input_transform = false;  ///< a linear layer in front, which starts as the identity
    std::vector<std::string> personal_layers{"last"};

    std::string graph = "erdos-renyi-undirected";
    float probability = 0.4f;
    std::string graph_file;
    Mixing mixing = Mixing::automatic;
    float rho_over_tau = 0.2f;

    DecentralisedMethod method = DecentralisedMethod::spdb;
    int iterations = 3000;
    int batch = 16;
    float step = 0.02f;
    Bilevel bilevel;
    bool personal_for_all = false;  ///< d2, gnsd and dsgd keep the personal layers at home too

    int evaluations = 40;
    bool figure = true;      ///< also train by the other methods, on all data and on few, for the report
    int limited_rows = 128;  ///< of each agent, in the figure's second half; 0: leave that out
};

/// The network for a table of data. Errors: widths that make none.
Outcome<MlpShape> network_of(const DecentralisedSettings& settings, const DataTable& table);

Settings decentralised_settings(DecentralisedSettings& settings);

/// All agents' models at one moment, each with its own personal layers; means over agents.
struct DecentralisedRow {
    std::int64_t iteration = 0;
    double train_loss = 0;         ///< on each agent's own training rows
    double accuracy_own = 0;       ///< where labels are as frequent as in an agent's own data
    double accuracy_balanced = 0;  ///< where every label counts the same
    double loss_own = 0;
    double consensus_error = 0;  ///< of what is shared; NaN for `alone`: nothing is

    template <class Archive>
    void fields(Archive& archive) {
        archive(iteration, train_loss, accuracy_own, accuracy_balanced, loss_own, consensus_error);
    }
};

struct DecentralisedOutcome {
    bool complete = false;
    std::string failure;  ///< what stopped it: an agent that diverged; empty else
    std::vector<DecentralisedRow> history;
    std::vector<float> models;          ///< of all agents at the end, each with its own personal layers
    std::vector<double> own_by_agent;   ///< accuracy_own at the end
    std::vector<double> loss_by_agent;  ///< loss_own at the end
    double constant_accuracy_own = 0;   ///< of always naming an agent's most frequent label: what skew alone gives
    double bytes_per_iteration = 0;     ///< that an agent sends, on average
    std::uint32_t agents = 0, edges = 0;
    std::size_t shared_parameters = 0, personal_parameters = 0;
    Mixing mixing = Mixing::metropolis;
    MixingSpectrum spectrum;
    std::int64_t gradients = 0;  ///< task gradients taken
    std::uint64_t trace = 0;
    double seconds = 0;
};

struct DecentralisedHooks : RunPauses {
    /// Those of an earlier part of the run first.
    std::function<Outcome<void>(const DecentralisedRow&)> keep = [](const DecentralisedRow&) -> Outcome<void> {
        return {};
    };
};

/// A run that is ready to start.
///
/// Own accuracy: where nobody holds rows out, every label's accuracy on the common test rows, weighed by how
/// frequent the label is in the agent's training rows; else on the agent's own held-out rows. Balanced: the mean
/// over labels of the accuracy on the common test rows, or on everybody's held-out rows. Labels are named as the
/// agent names them.
class DecentralisedTraining {
public:
    /// Errors: settings that do not fit each other, the data or the network.
    static Outcome<std::unique_ptr<DecentralisedTraining>> make(const DecentralisedSettings& settings, int threads);
    virtual ~DecentralisedTraining() = default;

    /// What was left out, filled in, renumbered or assumed when data and graph were read.
    virtual const DataNotes& notes() const = 0;

    /// The model that is learned, without its parameters and its settings.
    virtual TrainedModel description() const = 0;

    /// From the first iteration, or where an earlier part was left off, to the last, once. A run that had ended goes
    /// on where settings give it more iterations. Errors: what hooks return, and an earlier part of another run. An
    /// agent that diverges is an outcome with a `failure`.
    virtual Outcome<DecentralisedOutcome> run(const DecentralisedHooks& hooks) = 0;
};

}  // namespace dunlin
