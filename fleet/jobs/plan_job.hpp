// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/host/failure.hpp"
#include "training/plans/job_plan.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace dunlin {

/// Of a job's document what its nodes need: all but the section [fleet], which is the coordinator's. So that a key
/// that is new there keeps no older node from the job.
std::string node_document(std::string_view experiment);

/// Plans an experiment, a document as `dunlin train --config` takes it, for so many members. Errors: a kind that
/// real nodes cannot run yet, settings that are wrong or do not fit the members, the experiment's data.
Outcome<JobPlan> plan_job(std::string_view toml, std::string_view where, std::uint32_t members);

}  // namespace dunlin
