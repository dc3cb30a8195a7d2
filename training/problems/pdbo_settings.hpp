// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "envs/data_table.hpp"
#include "envs/data_text.hpp"
#include "envs/mixture_classification.hpp"
#include "training/settings/settings.hpp"
#include "training/simulation/bilevel_fleet.hpp"

#include <cstdint>
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
struct PdboSettings {
    std::string kind = "pdbo";
    std::string experiment = "pdbo";
    std::string kernels = "fast";
    std::uint64_t seed = 1;

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

    bool personal() const { return method == PdboMethod::pdbo_mtl || method == PdboMethod::pdbo_mtl_local; }
};

Settings pdbo_settings(PdboSettings& settings);

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

}  // namespace dunlin
