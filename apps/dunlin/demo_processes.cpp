// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/demo_processes.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace dunlin::app {
namespace {

/// Everything after the fork of a process that may have locks held: only calls that are safe there, but for the
/// removal, for which the parent has not yet made a thread.
[[noreturn]] void clean_up_after(int pipe_end, const std::filesystem::path& directory) {
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) std::signal(signal, SIG_IGN);
    char byte = 0;
    while (read(pipe_end, &byte, 1) < 0 && errno == EINTR) {
    }
    std::error_code ignored;
    std::filesystem::remove_all(directory, ignored);
    _exit(0);
}

}  // namespace

Outcome<DemoProcesses> DemoProcesses::make() {
    std::error_code error;
    const std::filesystem::path parent = std::filesystem::temp_directory_path(error);
    if (error) return unable("no temporary directory: " + error.message());
    std::string pattern = (parent / "dunlin-demo-XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) return unable(fmt::format("{}: {}", pattern, std::strerror(errno)));
    DemoProcesses made;
    made.directory_ = pattern;
    int ends[2];
    if (pipe2(ends, 0) != 0) return unable(fmt::format("a pipe: {}", std::strerror(errno)));
    const pid_t janitor = fork();
    if (janitor < 0) return unable(fmt::format("a process: {}", std::strerror(errno)));
    if (janitor == 0) {
        close(ends[1]);
        clean_up_after(ends[0], made.directory_);
    }
    close(ends[0]);
    made.keeper_ = ends[1];  // inherited by all that are started, so that the last of them closes it
    made.janitor_ = janitor;
    return made;
}

DemoProcesses::DemoProcesses(DemoProcesses&& other) noexcept
    : directory_(std::move(other.directory_)),
      keeper_(std::exchange(other.keeper_, -1)),
      janitor_(std::exchange(other.janitor_, -1)),
      processes_(std::move(other.processes_)) {}

DemoProcesses::~DemoProcesses() {
    for (const pid_t process : processes_) {
        if (process > 0) kill(process, SIGTERM);
    }
    // Ten seconds are more than a node needs for the step at hand.
    const auto running = [this] {
        return std::any_of(processes_.begin(), processes_.end(), [](pid_t process) { return process > 0; });
    };
    for (int waited_ms = 0; running() && waited_ms < 10'000; waited_ms += 20) {
        while (ended() >= 0) {
        }
        usleep(20'000);
    }
    for (const pid_t process : processes_) {
        if (process > 0) {
            kill(process, SIGKILL);
            waitpid(process, nullptr, 0);
        }
    }
    if (keeper_ >= 0) close(keeper_);
    if (janitor_ > 0) {
        while (waitpid(janitor_, nullptr, 0) < 0 && errno == EINTR) {
        }
    }
}

Outcome<void> DemoProcesses::start(const std::vector<std::string>& command, const std::string& log) {
    std::vector<char*> arguments;
    for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    const std::string path = (directory_ / log).string();
    posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&files, STDERR_FILENO, path.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    pid_t process = -1;
    const int error = posix_spawn(&process, arguments[0], &files, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&files);
    if (error != 0) return unable(fmt::format("{}: {}", command[0], std::strerror(error)));
    processes_.push_back(process);
    return {};
}

int DemoProcesses::ended() {
    for (std::size_t i = 0; i < processes_.size(); ++i) {
        if (processes_[i] > 0 && waitpid(processes_[i], nullptr, WNOHANG) == processes_[i]) {
            processes_[i] = -1;
            return static_cast<int>(i);
        }
    }
    return -1;
}

}  // namespace dunlin::app
