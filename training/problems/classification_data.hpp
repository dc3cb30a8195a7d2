// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "envs/data_split.hpp"
#include "envs/data_table.hpp"
#include "training/host/problem.hpp"
#include "training/models/model_file.hpp"
#include "training/settings/settings.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace dunlin {

/// What nodes classify, and who holds which rows.
struct DataSettings {
    std::string path{};  ///< a folder of IDX files, or an ARFF file; empty: generated digits
    ArffColumns columns{};
    int first_label = -1;  ///< of an IDX folder, as IdxLabels
    int rows = 0;          ///< use the first ones only; 0: all (generated: 5000)
    bool standardise = false;
    DigitSettings digits{};
    SplitSettings split{};
};

/// Adds the section [data].
void add_data_settings(Settings& list, DataSettings& settings);

struct SharedData {
    DataTable table;
    std::vector<NodeRows> parts;  ///< by node
    DataNotes notes;              ///< what was left out, filled in, renumbered or assumed
    DataTable test;               ///< rows that belong to nobody; empty where nodes hold rows out
};

/// What a classifier of such rows takes and gives.
void describe_classifier(const DataTable& table, TrainedModel& model);

/// Reads or draws a table and shares it out. With `test_fraction` 0 models are judged on rows of nobody's: the t10k
/// files of an IDX folder, or a fifth as many generated digits. An ARFF file is always standardised, which fills
/// missing values in. Errors: of the files, of the settings.
Outcome<SharedData> read_data(const DataSettings& settings, std::uint64_t seed);

}  // namespace dunlin
