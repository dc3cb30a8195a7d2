// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/vector.hpp"
#include "training/host/archive.hpp"
#include "training/host/failure.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace dunlin {

/// One model that is learned in one process from all nodes' tasks, beside a fleet, for as many environment steps.
class SideCourse {
public:
    virtual ~SideCourse() = default;
    virtual Outcome<void> iterate() = 0;
    virtual std::int64_t iteration() const = 0;  ///< those that are over
    virtual std::int64_t environment_steps() const = 0;
    virtual ConstVector<float> parameters() const = 0;
    virtual void save(Saver& saver) const = 0;
    virtual Result<void> restore(Loader& loader) = 0;
};

class FederatedProblem;
struct FederatedResult;
struct FederatedRow;

/// A run that another one is compared with.
struct SideRun {
    std::string name;
    std::vector<std::string> changes;                      ///< KEY=VALUE, over the settings of the run itself
    std::shared_ptr<const FederatedProblem> problem = {};  ///< that it was of; null where it could not be made
    std::shared_ptr<FederatedResult> result = {};
    std::string failure = {};
};

}  // namespace dunlin
