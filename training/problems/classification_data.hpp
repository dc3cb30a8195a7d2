// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "envs/data_split.hpp"
#include "envs/data_table.hpp"
#include "training/host/failure.hpp"
#include "training/models/model_file.hpp"
#include "training/settings/settings.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace dunlin {

/// Users who take no part in training, and how they are met when it has ended (newcomers.hpp).
struct NewcomerSettings {
    std::vector<std::string> users{};    ///< by name
    int count = 0;                       ///< where no names are given: so many, drawn by the seed
    std::vector<int> rows{1, 2, 5, 10};  ///< of their own, of each class
    int repeats = 5;                     ///< draws of these rows
    bool mean_layers = false;  ///< personal layers begin as the members' mean, otherwise as everybody's first
    int steps = 0;             ///< that make the shared model theirs; 0: as everybody's
    int own_steps = 500;       ///< of the same network from these rows alone
    float own_rate = 0.1f;

    bool any() const { return !users.empty() || count > 0; }
};

/// Adds the section [newcomers].
void add_newcomer_settings(Settings& list, NewcomerSettings& settings);

/// What nodes classify, and who holds which rows.
struct DataSettings {
    std::string path{};  ///< what table_format reads; empty: generated digits
    TableChoice columns{};
    CsvTitles titles = CsvTitles::automatic;
    int first_label = -1;  ///< of an IDX folder, as IdxLabels
    int rows = 0;          ///< use the first ones only; 0: all (generated: 5000)
    bool standardise = false;
    std::string resize{};  ///< pictures to this size, as "20x20"; empty: as they are
    int inputs = 0;        ///< of data that nodes bring and whose features have no names: how many there are
    std::vector<float> centre{}, scale{};  ///< of data that nodes bring, by feature: what is subtracted, and times
    DigitSettings digits{};
    SplitSettings split{};
    NewcomerSettings newcomers{};
};

/// Adds the section [data].
void add_data_settings(Settings& list, DataSettings& settings);

struct SharedData {
    DataTable table;
    std::vector<NodeRows> parts;  ///< by node
    DataNotes notes;              ///< what was left out, filled in, renumbered or assumed
    DataTable test;               ///< rows that belong to nobody; empty where nodes hold rows out
    std::string input{};          ///< what goes into the model, where the table does not tell
};

/// What a classifier of such rows takes and gives.
void describe_classifier(const DataTable& table, TrainedModel& model);

/// What a node of its own rows has of a problem whose shape its job's settings give: `features` (or `inputs`) and
/// `classes`. With an empty path, for who has no data: a table without rows, and no parts. Features are less `centre`
/// and times `scale`; where there are none and with `standardise`, they get zero mean and unit variance over the rows
/// that this node trains on. Errors: of the settings; of the file, whose `told` says what it lacks of what the job
/// names and shows nothing of what it has.
Outcome<SharedData> read_own_data(const DataSettings& settings, const std::string& path, std::uint64_t seed);

/// Reads or draws a table and shares it out. With `test_fraction` 0 models are judged on rows of nobody's: the t10k
/// files of an IDX folder, or a fifth as many generated digits. A table is always standardised, which fills
/// missing values in. Errors: of the files, of the settings.
Outcome<SharedData> read_data(const DataSettings& settings, std::uint64_t seed);

/// The same table, with the parts of those users who are left out of it. Errors also: there are none.
Outcome<SharedData> read_newcomers(const DataSettings& settings, std::uint64_t seed);

}  // namespace dunlin
