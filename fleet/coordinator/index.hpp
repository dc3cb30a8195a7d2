// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fleet/coordinator/fleet_state.hpp"

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace dunlin {

/// A line of what happened.
struct Event {
    std::uint64_t record = 0;
    std::int64_t time_ms = 0;  ///< since 1970
    std::uint64_t job = 0;     ///< 0: about no job
    std::string node = {};     ///< name; may be empty
    std::string kind = {};     ///< a word
    std::string text = {};
    std::uint64_t id = 0;  ///< where it stands among all that are kept; 0: not kept yet
};

/// What a record did, for people; empty where it is not worth a line.
Event describe_record(const FleetState& state, const Record& record, const JobChange* change);

/// That two programs use one node's key.
std::string shared_key_text(std::string_view node);
/// That the newest snapshot could not be written, and why.
std::string snapshot_failure_text(const Error& error);

/// A number that a node reported.
struct MetricRow {
    std::uint64_t record = 0;
    std::int64_t time_ms = 0, at = 0;
    std::uint64_t job = 0;
    std::uint32_t member = 0;
    bool final = false;
    std::string name;
    double value = 0;
};

/// An epoch's balance.
struct LedgerRow {
    std::int64_t time_ms = 0;
    std::uint64_t job = 0;
    std::uint32_t epoch = 0;
    std::vector<std::uint32_t> gone, left, joined;
    Mass weight_before = 0, weight_after = 0, weight_lost = 0;
    double values_lost = 0;  ///< Euclidean norm, as a number; negative: not known, for want of an audit
    int fraction_bits = 48;
    int shift = 0;  ///< what is left counts 2^shift times in the next epoch
};

/// store.db: roster, jobs, members with their newest updates, versions of models, metrics, the ledger and the log
/// of events, to be looked at with any SQLite program too (docs/store.md). It follows the records; what a crash
/// takes from it is written again from the log. Metrics and events are kept up to a million rows each.
class Index final : public Journal {
public:
    /// A damaged one is kept aside, as store.db.damaged, and begun anew. Errors: file_unwritable, store_version.
    static Result<std::unique_ptr<Index>> open(const std::filesystem::path& path);
    ~Index() override;

    /// Writes what has gathered, in one transaction. After an error it is kept for the next attempt. What is not
    /// written when the index goes is written after the next opening, from the log.
    Result<void> flush();
    /// The same, and durable: what the log behind it told may go.
    Result<void> keep() override;
    /// The first `metric_names` names of a job are kept.
    static constexpr std::size_t metric_names = 64;
    bool takes(std::uint64_t job, std::string_view metric) override;
    /// A copy of it as of its last flush.
    Result<void> copy_to(const std::filesystem::path& path);

    void loaded(const FleetState& state, std::uint64_t newest) override;
    void applied(const FleetState& state, const Record& record, const JobChange* change) override;

    // What is looked at. Errors: file_magic, file_unwritable, for what cannot be read.

    /// The newest, or those next after the one with the id `after`; the newest last. Job 0: all.
    Result<std::vector<Event>> events(std::uint64_t job, std::optional<std::uint64_t> after, std::size_t most);
    /// The id of the newest; 0: none.
    Result<std::uint64_t> newest_event();
    /// Keeps a line about what no record says.
    void note(Event event);
    Result<std::vector<LedgerRow>> ledger(std::uint64_t job);
    /// The newest `most` of one member and name of a job; the newest last.
    Result<std::vector<MetricRow>> history(std::uint64_t job, std::uint32_t member, std::string_view name,
                                           std::size_t most);
    /// What a job's members reported last, by member and name.
    using Newest = std::map<std::pair<std::uint32_t, std::string>, MetricRow>;
    /// The newest of each name and member of a job, for the time until the index changes.
    Result<const Newest*> newest_metrics(std::uint64_t job);

private:
    struct Storage;
    explicit Index(std::unique_ptr<Storage> storage);
    Result<void> write();
    struct Reported {
        Newest newest;
        std::set<std::string, std::less<>> names;
    };
    Result<Reported*> reported(std::uint64_t job);

    std::unique_ptr<Storage> storage_;
    const FleetState* state_ = nullptr;
    std::uint64_t position_ = 0;  ///< of the newest record that it was told
    std::set<std::uint32_t> nodes_;
    std::set<std::uint64_t> jobs_;
    std::set<std::uint64_t> deleted_;
    std::deque<Event> events_;
    std::deque<MetricRow> metrics_;
    std::deque<LedgerRow> ledger_;
    std::map<std::uint64_t, Reported> reported_;  ///< of the jobs that were asked for last
};

}  // namespace dunlin
