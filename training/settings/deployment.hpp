// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/settings/settings.hpp"
#include "transport/messages.hpp"

namespace dunlin {

/// What an experiment says about running on real nodes; a simulation does not look at it.
struct Deployment {
    int updates = 100;  ///< of each node, on average; navigation says it by its rounds
    int tick_ms = 20;   ///< without a server: a round t
    int report_every = 0;
    int seconds = 0;  ///< most that a job runs; 0: as long as it takes
    int removal_s = 0;
    int regroup_s = 0;
    int patience_s = 0;  ///< most that a round waits for a member; 0: as the members' own times suggest
    bool audit = false;
    Encoding encoding = Encoding::float32;
};

/// Adds the section [fleet].
void add_deployment_settings(Settings& list, Deployment& deployment);

}  // namespace dunlin
