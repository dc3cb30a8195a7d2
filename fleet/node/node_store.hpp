// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/host/file_system.hpp"

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace dunlin {

/// What stays with a node in a job: numbers that its learner keeps (NodeTask::kept), in no message.
struct KeptPart {
    std::uint64_t job = 0, nonce = 0;
    std::vector<float> numbers;
};

/// The state of a session, and with it what stays with the node: both of the same instant.
struct NodeState {
    std::vector<std::uint64_t> session;  ///< aligned as a session wants it; empty: in no job
    KeptPart kept;
};

/// What a node keeps on disk beside its keys: the state of its session. A directory of its own, one process at a
/// time.
///
///     DIRECTORY/lock     held while a node runs
///     DIRECTORY/state    "DNLNODE1", bytes, CRC-32 (both 64 bits), the state; replaced whole
///                        with what stays with the node: "DNLNODE2", bytes, CRC-32 of all that follows; job, nonce,
///                        bytes of the state (64 bits each), the state, the numbers as float32
///     DIRECTORY/personal-JOB.dunlin    what the node made its own in this job
class NodeStore {
public:
    /// Makes the directory if there is none. Errors: store_in_use, the file system's.
    static Result<NodeStore> open(FileSystem& files, const std::filesystem::path& directory);

    /// What was saved last; nothing if nothing was, or it was erased. Errors: store_damaged, the file system's.
    Result<std::optional<NodeState>> load() const;
    /// Durable when it returns: after a loss of power there is this state with this part, or the ones before. A state
    /// without numbers is written as it always was. Errors: file_unwritable (first: errno).
    Result<void> save(std::span<const std::byte> session, const KeptPart& kept = {});
    Result<void> erase();

    /// Durably keeps a job's personal parameters, and of those kept before the newest: personal_limit in all. Jobs
    /// with higher numbers are another fleet's, and older. Errors: file_unwritable (first: errno).
    Result<std::filesystem::path> keep_personal(std::uint64_t job, std::span<const std::byte> file);
    static constexpr std::size_t personal_limit = 10;

    std::uint64_t saves() const { return saves_; }
    std::uint64_t bytes_written() const { return bytes_written_; }

private:
    NodeStore(FileSystem& files, std::filesystem::path directory, std::shared_ptr<void> lock)
        : files_(&files), directory_(std::move(directory)), lock_(std::move(lock)) {}

    FileSystem* files_;
    std::filesystem::path directory_;
    std::shared_ptr<void> lock_;
    std::uint64_t saves_ = 0, bytes_written_ = 0;
};

}  // namespace dunlin
