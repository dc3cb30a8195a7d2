// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/host/failure.hpp"

#include <filesystem>
#include <string>
#include <vector>

#include <sys/types.h>

namespace dunlin::app {

/// A temporary directory and processes that work in it, all of which are gone when this process is, however it
/// ends: a child waits on a pipe until nobody holds its other end, then removes the directory.
class DemoProcesses {
public:
    /// To be made before the first thread is. Errors: no temporary directory, no process.
    static Outcome<DemoProcesses> make();
    DemoProcesses(DemoProcesses&& other) noexcept;
    DemoProcesses& operator=(DemoProcesses&&) = delete;
    /// Ends the processes, removes the directory and waits until both is done.
    ~DemoProcesses();

    const std::filesystem::path& directory() const { return directory_; }

    /// Starts a program; what it says on stderr goes to directory()/<log>.
    Outcome<void> start(const std::vector<std::string>& command, const std::string& log);
    /// The number of a process that has ended by itself; -1 while all run.
    int ended();

private:
    DemoProcesses() = default;

    std::filesystem::path directory_;
    int keeper_ = -1;     ///< the pipe's end that is held
    pid_t janitor_ = -1;  ///< who waits on the other
    std::vector<pid_t> processes_;
};

}  // namespace dunlin::app
