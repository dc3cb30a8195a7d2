// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fleet/coordinator/log.hpp"
#include "training/host/background.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace dunlin {

/// What lives in a store: something whose state is a function of the records that were made durable.
class Replayed {
public:
    virtual ~Replayed() = default;
    /// The state as of some record, as `save` gave it. Error: store_damaged, store_version.
    virtual Result<void> load(std::span<const std::byte> state) = 0;
    virtual std::vector<std::byte> save() const = 0;
    /// The first version of the store that can load what `save` gives.
    virtual std::uint32_t store_version() const { return 3; }
    /// A record after that, while a store is opened. Error: store_damaged, for one that cannot be read.
    virtual Result<void> replay(const Record& record) = 0;
};

struct StoreSettings {
    std::size_t batch_bytes = 64u << 20;  ///< records gathered for one commit
    std::uint64_t log_bytes = 64u << 20;  ///< of log that make a snapshot due
    std::function<std::int64_t()> unix_ms = [] { return 0; };
    /// DIRECTORY/lock, held by whoever opens other files of the directory too; empty: the store takes it itself.
    std::shared_ptr<void> lock = nullptr;
    /// Where snapshots are written meanwhile, with a file system that several threads may use; null: at once.
    std::shared_ptr<Aside> aside = nullptr;
};

/// A coordinator's durable state: a directory with a lock, a hashed snapshot and the log behind it. One process at
/// a time; a crash at any instant loses no record that `commit` answered for (docs/store.md).
class Store {
public:
    /// Brings `state` to what the directory holds; a new directory holds nothing. Errors: store_in_use,
    /// store_damaged, store_version, the file system's.
    static Result<std::unique_ptr<Store>> open(FileSystem& files, const FileSystem::Path& directory,
                                               const StoreSettings& settings, Replayed& state);

    /// Number of the newest durable record.
    std::uint64_t newest() const { return log_->newest(); }

    /// Number that the next record gathered will have.
    std::uint64_t next() const { return log_->newest() + count_ + 1; }

    /// Gathers a record for the next commit, which gives it number and time. Error: busy (first: bytes that wait;
    /// second: the limit).
    Result<void> add(const Record& record);
    bool gathered() const { return count_ > 0; }
    std::size_t gathered_bytes() const { return batch_.size(); }

    /// Makes what was gathered durable, in one write, and hands it to `done` record by record. After an error
    /// (not_durable) nothing of it happened, and it is forgotten; `broken()` says whether trying again makes sense.
    Result<void> commit(const std::function<void(const Record&)>& done);
    bool broken() const { return log_->broken(); }

    /// Has the log grown so much that a snapshot is worth its writing?
    bool snapshot_due() const;
    /// Writes the state as of the newest record and drops the log before it, and answers when that is done. Nothing must
    /// be gathered. `before` is called first: what depends on the log, from which nobody will see these records again,
    /// makes itself durable there. An error leaves everything as usable as it was.
    Result<void> snapshot(const Replayed& state, const std::function<Result<void>()>& before);
    /// The same aside: only the copy of the state is made now, and records may be added and committed meanwhile.
    Result<void> begin_snapshot(const Replayed& state, const std::function<Result<void>()>& before);
    /// Was one begun that nobody has finished?
    bool drafting() const { return draft_ != nullptr; }
    /// Has one that was begun been written? Then drops the log before it and answers how that went; else nothing.
    std::optional<Result<void>> finish_snapshot();

    const FileSystem::Path& directory() const { return directory_; }

private:
    Store(FileSystem& files, FileSystem::Path directory, const StoreSettings& settings)
        : files_(files), directory_(std::move(directory)), settings_(settings) {}

    FileSystem& files_;
    FileSystem::Path directory_;
    StoreSettings settings_;
    std::unique_ptr<Log> log_;
    std::vector<std::byte> batch_, writing_;
    std::uint64_t count_ = 0;
    std::uint64_t snapshot_bytes_ = 0;

    /// Of the state as of record `number`; the thread aside has it while it is written.
    struct Draft {
        std::uint64_t number = 0;
        std::vector<std::byte> bytes = {};
        Result<void> written = {};
    };
    Result<void> drop_what_is_in(const Draft& draft);
    std::shared_ptr<Draft> draft_ = nullptr;
};

/// A snapshot's file: what is written for `state` as of record `newest`, and read again. Errors: store_damaged,
/// store_version.
std::vector<std::byte> snapshot_bytes(std::span<const std::byte> state, std::uint64_t newest,
                                      std::uint32_t version = 3);
struct ReadSnapshot {
    std::uint64_t newest = 0;
    std::span<const std::byte> state;
};
Result<ReadSnapshot> read_snapshot(std::span<const std::byte> bytes);

}  // namespace dunlin
