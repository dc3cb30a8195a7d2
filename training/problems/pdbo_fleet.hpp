// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "envs/data_table.hpp"
#include "envs/data_text.hpp"
#include "envs/mixture_classification.hpp"
#include "training/host/workers.hpp"
#include "training/problems/personal_layers.hpp"
#include "training/problems/problem_kinds.hpp"
#include "training/simulation/bilevel_fleet.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace dunlin {

/// How personal a prediction is, and by what gradient (Terashita and Hara 2023, section 5).
enum class PdboMethod : std::uint8_t {
    pdbo_mtl,        ///< personal weights of shared predictors, by hyper-gradient push
    pdbo_mtl_local,  ///< the same weights, by each agent's own outer gradient
    sgp,             ///< shared predictors, equal weights
    local            ///< every agent's own predictors, equal weights, no messages
};
/// The method's name on the command line.
std::string_view name_of(PdboMethod method);

enum class PdboTask : std::uint8_t { digits, characters };

/// What a method that is cheaper than PDBO-MTL gets as much of.
enum class PdboBudget : std::uint8_t {
    inner_steps,  ///< steps of the shared parameters
    gradients     ///< gradients: more steps, for those that PDBO-MTL spends on the hyper-gradient
};

/// All that a run of PDBO can be told. Defaults are the paper's for EMNIST, as far as a small model goes.
struct PdboSettings final : ProblemSettings {
    PdboTask task = PdboTask::digits;
    std::string path;  ///< a folder of IDX files, or a text; empty: generated
    int agents = 100;
    float test_fraction = 0.2f;
    int rows = 10000;  ///< digits: use the first ones; 0: all
    DigitSettings digits;
    float alpha = 0.4f;           ///< of the Dirichlet split by labels
    int clusters = 3;             ///< of agents that see inputs in a way of their own
    bool cluster_labels = false;  ///< and name the labels in a way of their own
    int context = 3;              ///< characters that the next is guessed from
    DialectSettings speech;

    std::vector<int> hidden{16};
    Activation activation = Activation::relu;
    MixtureSettings mixture;

    float probability_low = 0.4f, probability_high = 0.8f;
    int fraction_bits = 44;
    float largest_value = 1000.0f;

    PdboMethod method = PdboMethod::pdbo_mtl;
    PdboBudget budget = PdboBudget::inner_steps;
    int inner_steps = 120;  ///< T, before and after each outer step
    float inner_rate = 0.5f;
    int outer_steps = 5;
    float outer_rate = 0.1f;
    int neumann_steps = 20;  ///< M
    bool one_sample = true;

    bool peers = false;  ///< run the other methods too

    PdboSettings() { kind = experiment = "pdbo"; }
    bool personal() const { return method == PdboMethod::pdbo_mtl || method == PdboMethod::pdbo_mtl_local; }
};

/// The list of these settings, for files, --set and help.
Settings pdbo_settings(PdboSettings& settings);
/// The problem "pdbo", for add_solo_problems.
ProblemKind<PdboSettings> pdbo_kind();

/// What the agents learn from and are judged by.
struct PdboData {
    DataTable table;
    std::vector<NodeRows> parts;                         ///< train and test
    std::vector<std::vector<std::uint32_t>> validation;  ///< a quarter of what was train
    std::vector<std::string> names{};                    ///< of the agents; empty: they are numbers
    std::string description{};
    DataNotes notes{};  ///< what was left out or changed

    LabelledRows train(std::uint32_t agent) const { return parts[agent].train_view(table); }
    LabelledRows test(std::uint32_t agent) const { return parts[agent].test_view(table); }
    LabelledRows validate(std::uint32_t agent) const {
        LabelledRows rows = train(agent);
        rows.rows = validation[agent];
        return rows;
    }
};

/// Reads or draws the data and shares it out. Errors: of the files, of the settings.
Outcome<PdboData> make_pdbo_data(const PdboSettings& settings);

/// Agents that average the predictions of the same networks with weights of their own. A model is the networks'
/// parameters x and then lambda, the logits of the weights, which stay with their agent.
class PdboAgents final : public FederatedProblem {
public:
    using Task = MixtureClassification<float>;

    /// What metrics_of says, in this order.
    enum Metric : std::uint8_t {
        test_accuracy,        ///< mean of agents
        validation_accuracy,  ///< mean of those with rows for it
        decile,               ///< the test accuracy that a tenth of the agents does not reach
        train_loss,           ///< f without its ridge on all training rows, mean of agents
        task_gradients,       ///< so far, mean of agents
        hyper_gradient_norm   ///< of all agents' outer gradients at the outer step before; 0 at the beginning
    };

    PdboAgents(const PdboSettings& settings, PdboData data, const MlpShape& shape, const Kernels<float>& kernels,
               int threads);
    ~PdboAgents() override;

    std::uint32_t nodes() const override { return static_cast<std::uint32_t>(data_.parts.size()); }
    std::size_t dimension() const override { return split_.dimension(); }
    LayerSplit split() const override { return split_; }
    void initialise(Vector<float> w) const override;
    std::vector<float> samples() const override;
    /// Of f by x; lambda stays where it is.
    Learner& learner(std::uint32_t node, int worker) override;
    int bilevel_gradient(std::uint32_t node, int worker, Vector<float> w, Stream& random,
                         Vector<float> out) override;
    /// Of f, for an s that moves x alone: H s, and by lambda the mixed product.
    int hessian_product(std::uint32_t node, int worker, ConstVector<float> w, ConstVector<float> s, Stream& random,
                        Vector<float> out) override;
    /// Steps of lambda alone, each along the outer gradient on all of the node's training rows.
    void personalise(std::uint32_t node, ConstVector<float> w, const Personalisation& how, Stream& random,
                     Vector<float> theta, int worker) override;
    FleetScore judge(std::uint32_t node, ConstVector<float> w, int worker) override;
    DataNotes notes() const override { return data_.notes; }
    std::vector<FleetMetric> metrics(const FleetScore& score) const override;
    std::vector<FleetMetric> node_metrics(std::uint32_t node, const FleetScore& score) const override;
    std::vector<FleetMetric> metrics_of(std::span<const FleetScore> nodes) const override;
    TrainedModel description() const override;

    const PdboData& data() const { return data_; }
    /// What thread `worker` computes a node's two levels with.
    BilevelLearner& levels(std::uint32_t node, int worker);
    /// Batches that all training rows of a node make, on average.
    double batches() const;
    /// Is told what the fleet has done.
    void tell(const BilevelCounters& counters, double hyper_norm) {
        counters_ = counters;
        hyper_norm_ = hyper_norm;
    }
    const BilevelCounters& counters() const { return counters_; }

private:
    struct Bench;

    Bench& bench(std::uint32_t node, int worker);

    PdboSettings settings_;
    PdboData data_;
    MlpShape shape_;  ///< of one predictor
    LayerSplit split_;
    std::vector<std::unique_ptr<Bench>> benches_;
    BilevelCounters counters_;
    double hyper_norm_ = 0;
};

/// The value that a tenth of `values` lies below: the 10th percentile, interpolated.
double bottom_decile(std::vector<double> values);

/// Inner steps of a stage: T, and for methods that are cheaper than PDBO-MTL what it spends on outer steps (gradients of
/// an agent, on average), spread over the stages.
int stage_steps(const PdboSettings& settings, const PdboAgents& agents);

/// A fleet that lives by stages: `stage_steps` rounds of gradient push, one a tick, and between two stages an Adam step
/// of every agent's lambda, which `layers` keeps. Every method has the same stages and schedule of steps. `agents`,
/// `layers` and `workers` outlive it. Errors: of the network's settings; a fleet that does not fit the fixed point or
/// this machine's memory.
Outcome<std::unique_ptr<GossipFleet>> make_pdbo_fleet(const PdboSettings& settings, PdboAgents& agents,
                                                      PersonalLayers& layers, Workers& workers);

/// What a run adds to its report, and the runs that it is compared with.
void report_pdbo(const PdboSettings& settings, FederatedProblem& agents, const FederatedResult& result,
                 RunFigures& figures);
std::vector<SideRun> pdbo_side_runs(const PdboSettings& settings);

}  // namespace dunlin
