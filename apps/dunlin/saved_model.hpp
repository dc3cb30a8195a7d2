// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "apps/dunlin/kinds.hpp"
#include "training/models/model_file.hpp"
#include "training/navigation/navigation.hpp"

#include <filesystem>
#include <memory>
#include <string>

namespace dunlin::app {

/// A model that some run left, whatever its kind, with the settings that made it.
struct SavedModel {
    std::filesystem::path file;    ///< policy.dunlin or model.dunlin
    std::filesystem::path folder;  ///< where to put what is made of it: the run, or where the file lies
    TrainedModel model;
    std::string config{};        ///< settings as TOML; empty where a file of an older Dunlin has none
    std::string run_config{};    ///< RUN/config.toml; empty of a file by itself
    const Kind* kind = nullptr;  ///< null where config is empty
};

/// Opens RUN/policy.dunlin or RUN/model.dunlin, or such a file by itself. Errors: neither is there; the file's; a
/// kind that is none.
Outcome<SavedModel> open_model(const std::filesystem::path& run);

/// The number of the node that --node names: by its name, or from 0. Error: no such node.
Outcome<std::size_t> node_of(const TrainedModel& model, const std::string& name);

/// The settings of a navigation, of one process or of a fleet. Error: of another kind, or settings that are
/// missing.
Outcome<NavigationSettings> navigation_settings_of(const SavedModel& saved);

/// A training that is ready to adapt the policy; with other kernels than the run's, if they are named.
Outcome<std::unique_ptr<NavigationTraining>> open_navigation(const SavedModel& saved, int threads,
                                                             const std::string& kernels = "");

}  // namespace dunlin::app
