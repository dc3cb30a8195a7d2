// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/error.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace dunlin {

/// A file that grows at its end.
class File {
public:
    virtual ~File() = default;
    /// Appends all of it. After an error some of it may be in the file.
    virtual Result<void> append(std::span<const std::byte> bytes) = 0;
    /// What was appended and cut off so far survives a loss of power from here on. After an error nobody knows.
    virtual Result<void> sync() = 0;
    virtual Result<void> truncate(std::uint64_t bytes) = 0;
};

/// All that the coordinator's log and snapshots need of an operating system: a seam, so that tests can cut the
/// power, fill the disk or fail an operation at any instant. Errors: file_missing; else file_unwritable (first:
/// errno).
class FileSystem {
public:
    using Path = std::filesystem::path;

    virtual ~FileSystem() = default;
    /// Creates the file if there is none.
    virtual Result<std::unique_ptr<File>> open(const Path& path) = 0;
    virtual Result<std::vector<std::byte>> read(const Path& path) = 0;
    virtual Result<void> rename(const Path& from, const Path& to) = 0;
    virtual Result<void> remove(const Path& path) = 0;
    virtual Result<void> make_directory(const Path& path) = 0;
    /// Names, in no order.
    virtual Result<std::vector<std::string>> list(const Path& directory) = 0;
    /// Files made, renamed and removed so far stay so after a loss of power.
    virtual Result<void> sync_directory(const Path& directory) = 0;
    /// Holds the file until it is let go of; error: store_in_use.
    virtual Result<std::shared_ptr<void>> lock(const Path& path) = 0;
};

/// The real one.
FileSystem& posix_file_system();

/// Writes a whole file such that after a crash at any instant there is the old one or the new one. It is written as
/// PATH.new first, which an error leaves only where it cannot be removed either.
Result<void> replace_file(FileSystem& files, const std::filesystem::path& path, std::span<const std::byte> bytes);

}  // namespace dunlin
