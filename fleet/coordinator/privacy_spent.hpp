// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fleet/coordinator/job.hpp"

#include <string>

namespace dunlin {

/// What the versions of a noisy job's model tell about one of its members.
struct PrivacySpent {
    double epsilon = 0;
    double delta = 0;
    std::uint64_t rounds = 0;  ///< that are charged
    std::string unit, against, not_charged;
};

/// Of a job with noise (`privacy.noise` above 0). Each version is charged as if every member had been asked: who took part
/// is known to the coordinator, so nothing is gained by asking a share of them.
PrivacySpent privacy_spent(const Job& job);

}  // namespace dunlin
