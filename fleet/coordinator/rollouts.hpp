// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fleet/coordinator/rollout.hpp"

#include <map>

namespace dunlin {

/// All versions of models that a fleet keeps and all its roll-outs: part of FleetState, a function of the records.
/// Versions and roll-outs are numbered from 1.
class StagedRollouts {
public:
    using Jobs = std::map<std::uint64_t, Job>;

    const std::vector<ModelVersion>& models() const { return models_; }
    const std::map<std::uint64_t, StagedRollout>& all() const { return all_; }
    const StagedRollout* find(std::uint64_t number) const;
    /// The roll-out whose job this is; 0: none.
    std::uint64_t of_job(std::uint64_t job) const;
    std::uint64_t next() const { return all_.empty() ? 1 : all_.rbegin()->first + 1; }
    bool empty() const { return models_.empty() && all_.empty(); }

    /// May this job be offered to the member? True for every job that is no roll-out's.
    bool released(std::uint64_t job, std::uint32_t member) const;

    /// The newest version that a node has, by its own word; version 0: none.
    struct Held {
        std::uint32_t model = 0;
        const DeviceReport* report = nullptr;  ///< lives as long as this
        std::uint64_t rollout = 0;
    };
    Held held(std::uint32_t node) const;
    /// All that it said, the oldest first.
    std::vector<Held> history(std::uint32_t node) const;

    /// Is there anything left that the roll-out may still do, or is still waited for?
    static bool over(const StagedRollout& rollout, const Jobs& jobs);

    /// A record about a version or a roll-out; jobs begin and end with it. Errors: store_damaged (first: the record).
    Result<JobChange> apply(const Record& record, Jobs& jobs);
    /// After a final report that a job has taken.
    void reported(const Record& record);

    template <class Archive>
    void fields(Archive& archive) {
        archive(models_);
        std::vector<std::uint64_t> numbers;
        for (const auto& [number, rollout] : all_) numbers.push_back(number);
        archive(numbers);
        for (const std::uint64_t number : numbers) archive(all_[number]);
    }
    /// After loading: are all jobs, versions and devices there?
    bool fits_together(const Jobs& jobs, std::size_t nodes) const;
    void index();

private:
    Result<JobChange> start(const Record& record, Jobs& jobs);
    Result<JobChange> turn_back(const Record& record, StagedRollout& rollout, Jobs& jobs);

    std::vector<ModelVersion> models_;
    std::map<std::uint64_t, StagedRollout> all_;
    std::map<std::uint64_t, std::uint64_t> of_job_;
};

}  // namespace dunlin
