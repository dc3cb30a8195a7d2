// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/host/failure.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace dunlin::app {

/// A directory that this process alone writes into, until the object goes or the process ends in whatever way: a
/// lock (flock) on the file DIR/.in-use, which says who holds it. The file of a process that was killed is no lock;
/// the next one takes it over. On network file systems it holds as far as their flock does (NFS: since
/// Linux 2.6.12, between machines).
class DirectoryLock {
public:
    /// The first of PARENT/NAME, PARENT/NAME-2, PARENT/NAME-3, ... that does not exist: made here, so that of
    /// several programs that start together each has its own.
    static Outcome<DirectoryLock> make_next(const std::filesystem::path& parent, const std::string& name);
    /// This one, made with its parents where it is missing.
    static Outcome<DirectoryLock> make(const std::filesystem::path& directory);
    /// An existing one, for a short write: waits some seconds for another that does the same.
    static Outcome<DirectoryLock> wait_for(const std::filesystem::path& directory);

    const std::filesystem::path& path() const { return path_; }

    DirectoryLock(DirectoryLock&& other) noexcept;
    DirectoryLock& operator=(DirectoryLock&&) = delete;
    /// What was made and is still empty is removed again: wrong input leaves nothing behind.
    ~DirectoryLock();

private:
    DirectoryLock(std::filesystem::path path, std::vector<std::filesystem::path> made)
        : path_(std::move(path)), made_(std::move(made)) {}
    Outcome<void> take(int patience_ms);

    std::filesystem::path path_;
    std::vector<std::filesystem::path> made_;  ///< directories, the outermost first
    int descriptor_ = -1;
};

}  // namespace dunlin::app
