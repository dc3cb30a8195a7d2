// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fleet/coordinator/rollouts.hpp"
#include "fleet/coordinator/roster.hpp"
#include "fleet/coordinator/store.hpp"

#include <limits>
#include <map>
#include <set>

namespace dunlin {

/// Is told what records did, to keep what people look at: it may forget, and hears of what it forgot again when the
/// store is opened.
class Journal {
public:
    virtual ~Journal() = default;
    /// The state was loaded whole, as of record `newest`.
    virtual void loaded(const class FleetState&, std::uint64_t /*newest*/) {}
    /// After each record: the state with it, and what it did (null for a record about no job).
    virtual void applied(const class FleetState&, const Record&, const JobChange*) {}
    /// Is there room for a metric of this name among those of the job?
    virtual bool takes(std::uint64_t /*job*/, std::string_view /*metric*/) { return true; }
    /// Makes what it was told durable.
    virtual Result<void> keep() { return {}; }
};

/// Everything that a coordinator must not forget: a function of the records.
class FleetState final : public Replayed {
public:
    /// Jobs, the finished included.
    static constexpr std::size_t job_limit = 10'000;

    explicit FleetState(Journal& journal) : journal_(journal) {}

    const Roster& roster() const { return roster_; }
    const std::map<std::uint64_t, Job>& jobs() const { return jobs_; }
    const Job* job(std::uint64_t number) const;
    const Job* job_with_token(const std::string& token) const;
    /// May an older program have given this number to another job, before the store was put back?
    bool given_again(std::uint64_t job) const { return job >= given_again_from_; }
    /// The number that a next job gets.
    std::uint64_t next_job() const {
        return std::max(deleted_up_to_, jobs_.empty() ? 0 : jobs_.rbegin()->first) + 1;
    }
    const StagedRollouts& rollouts() const { return rollouts_; }
    /// Do lists leave this job out?
    bool archived(std::uint64_t job) const { return archived_.contains(job); }

    /// Error: store_damaged (first: the record), for one that cannot be read. The state is of no use then.
    Result<JobChange> apply(const Record& record);

    Result<void> load(std::span<const std::byte> state) override;
    std::vector<std::byte> save() const override;
    std::uint32_t store_version() const override { return plain() ? 3 : 4; }
    Result<void> replay(const Record& record) override {
        return apply(record).map([](const JobChange&) {});
    }

private:
    Result<void> apply_to_fleet(const Record& record);
    Result<JobChange> apply_to_job(const Record& record);
    bool knows_members(const Job& job) const;
    Result<JobChange> apply_to_list(const Record& record, const Job& job);
    /// Is there nothing that came with version 4 of the store?
    bool plain() const;

    Journal& journal_;
    Roster roster_;
    std::map<std::uint64_t, Job> jobs_;
    StagedRollouts rollouts_;
    std::set<std::uint64_t> archived_;
    std::uint64_t deleted_up_to_ = 0;  ///< no job that was deleted has a larger number
    std::uint64_t newest_ = 0;
    std::uint64_t given_again_from_ = std::numeric_limits<std::uint64_t>::max();
};

std::vector<std::byte> node_payload(const RosterNode& node);
/// Who a record admits, or whose key it changes. Error: store_damaged.
Result<RosterNode> read_node(const Record& record);

}  // namespace dunlin
