// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fleet/coordinator/record.hpp"
#include "training/host/file_system.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace dunlin {

/// The append-only log of records, in files log-<number of its first record>. A file ends where the next begins.
///
/// What `commit` has answered for is there after a crash at any instant, in order; what it has not answered for, or
/// has answered with an error, may be there or not. A record that is damaged although it once was durable is told
/// from a write that a crash cut short by the records behind it, each of which says what was durable before it.
class Log {
public:
    /// Reads the records after number `after` and hands each to `replay`, a view for the time of the call. Errors:
    /// store_damaged (first: the record; second: its place in its file), also where `replay` answers it; the file
    /// system's; what else `replay` answers.
    static Result<std::unique_ptr<Log>> open(FileSystem& files, const FileSystem::Path& directory,
                                             std::uint64_t after,
                                             const std::function<Result<void>(const Record&)>& replay);

    /// Number of the newest record.
    std::uint64_t newest() const { return newest_; }
    /// Bytes in its files.
    std::uint64_t bytes() const;

    /// Makes the `count` records in `batch` (append_record, numbered from newest() + 1) durable. After an error
    /// none of them is in the log as far as this process goes; `broken()` says whether it can go on.
    Result<void> commit(std::span<const std::byte> batch, std::uint64_t count);
    /// An error that left unknown what is in the file: all there is to do is to open the log again.
    bool broken() const { return broken_; }

    /// Begins a new file, so that all records up to now lie in others.
    Result<void> rotate();
    /// Removes the files whose records are all `up_to` or older. To be called when a snapshot with them is durable. An
    /// error leaves the log as usable as it was.
    Result<void> cut(std::uint64_t up_to);

private:
    struct Segment {
        std::uint64_t first = 0;
        std::uint64_t bytes = 0;
    };

    Log(FileSystem& files, FileSystem::Path directory) : files_(files), directory_(std::move(directory)) {}
    FileSystem::Path path(std::uint64_t first) const;
    Result<std::vector<Segment>> segments() const;
    Result<void> begin_segment();
    Result<void> undo();

    FileSystem& files_;
    FileSystem::Path directory_;
    std::vector<Segment> segments_;
    std::unique_ptr<File> file_;
    std::uint64_t newest_ = 0;
    bool broken_ = false;
};

}  // namespace dunlin
