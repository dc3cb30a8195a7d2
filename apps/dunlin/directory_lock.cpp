// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/directory_lock.hpp"

#include "apps/report/run_files.hpp"
#include "training/host/shell_text.hpp"

#include <cerrno>
#include <chrono>
#include <thread>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace dunlin::app {
namespace {

constexpr const char* lock_name = ".in-use";

/// Makes what is missing on the way to a directory, and says what that was. Two programs may meet on the way.
Outcome<std::vector<std::filesystem::path>> make_missing(const std::filesystem::path& directory) {
    std::vector<std::filesystem::path> made;
    std::filesystem::path at;
    for (const std::filesystem::path& part : directory) {
        at /= part;
        if (part.empty()) continue;  // behind a '/' at the end
        if (::mkdir(at.c_str(), 0777) == 0)
            made.push_back(at);
        else if (errno != EEXIST && errno != EROFS && errno != EACCES && errno != EISDIR)
            return refuse(Error{Code::file_unwritable, errno}, directory.string());
    }
    if (Result<void> ready = report::prepare_directory(directory); !ready) {
        for (auto last = made.rbegin(); last != made.rend(); ++last) ::rmdir(last->c_str());
        return refuse(ready.error(), directory.string());
    }
    return made;
}

std::string this_process() {
    char host[256] = "";
    ::gethostname(host, sizeof host - 1);
    std::string line = fmt::format("process {} on {}", ::getpid(), host);
    if (const auto words = report::read_file("/proc/self/cmdline"); words && !words->empty()) {
        std::string command;
        for (std::string_view rest = *words; !rest.empty();) {
            const std::string_view word = rest.substr(0, rest.find('\0'));
            if (!command.empty()) command += ' ';
            command += shell_word(word);
            rest.remove_prefix(std::min(word.size() + 1, rest.size()));
        }
        line += fmt::format(" ({})", command);
    }
    return line;
}

/// Whether this file is still the one of that name: its last owner may have removed it meanwhile.
bool has_name(int descriptor, const std::filesystem::path& path) {
    struct stat held {
    }, named{};
    return ::fstat(descriptor, &held) == 0 && ::stat(path.c_str(), &named) == 0 && held.st_ino == named.st_ino &&
           held.st_dev == named.st_dev;
}

}  // namespace

Outcome<void> DirectoryLock::take(int patience_ms) {
    const std::filesystem::path path = path_ / lock_name;
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::milliseconds(patience_ms);
    for (;;) {
        const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (descriptor < 0) return refuse(Error{Code::file_unwritable, errno}, path_.string());
        if (::flock(descriptor, LOCK_EX | LOCK_NB) == 0) {
            if (!has_name(descriptor, path)) {
                ::close(descriptor);
                continue;
            }
            descriptor_ = descriptor;
            const std::string line = this_process();
            // Whom a reader is told of; the lock holds without it.
            if (::ftruncate(descriptor, 0) != 0 || ::pwrite(descriptor, line.data(), line.size(), 0) < 0) errno = 0;
            return {};
        }
        const int error = errno;
        ::close(descriptor);
        if (error == EINTR) continue;
        if (error != EWOULDBLOCK) {
            return unable(fmt::format("{}: cannot be locked ({}); choose a directory on another file system",
                                      path_.string(), std::generic_category().message(error)));
        }
        if (std::chrono::steady_clock::now() >= give_up) break;
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    const auto holder = report::read_file(path);
    return unable(fmt::format("{}: in use by {}; wait for it, or choose another directory", path_.string(),
                              holder && !holder->empty() ? *holder : "another process"));
}

Outcome<DirectoryLock> DirectoryLock::make_next(const std::filesystem::path& parent, const std::string& name) {
    auto made = make_missing(parent);
    if (!made) return tl::unexpected(made.error());
    for (int k = 1;; ++k) {
        const std::filesystem::path path = parent / (k == 1 ? name : fmt::format("{}-{}", name, k));
        if (::mkdir(path.c_str(), 0777) != 0) {
            if (errno == EEXIST) continue;
            // Who gave up its empty directory has removed the parent too.
            if (errno != ENOENT) return refuse(Error{Code::file_unwritable, errno}, path.string());
            if (auto again = make_missing(parent); !again) return tl::unexpected(again.error());
            --k;
            continue;
        }
        made->push_back(path);
        DirectoryLock lock(path, *std::move(made));
        if (Outcome<void> taken = lock.take(0); !taken) return tl::unexpected(taken.error());
        return lock;
    }
}

Outcome<DirectoryLock> DirectoryLock::make(const std::filesystem::path& directory) {
    auto made = make_missing(directory);
    if (!made) return tl::unexpected(made.error());
    DirectoryLock lock(directory, *std::move(made));
    if (Outcome<void> taken = lock.take(0); !taken) return tl::unexpected(taken.error());
    return lock;
}

Outcome<DirectoryLock> DirectoryLock::wait_for(const std::filesystem::path& directory) {
    DirectoryLock lock(directory, {});
    constexpr int patience_ms = 3000;
    if (Outcome<void> taken = lock.take(patience_ms); !taken) return tl::unexpected(taken.error());
    return lock;
}

DirectoryLock::DirectoryLock(DirectoryLock&& other) noexcept
    : path_(std::move(other.path_)),
      made_(std::move(other.made_)),
      descriptor_(std::exchange(other.descriptor_, -1)) {
    other.made_.clear();
}

DirectoryLock::~DirectoryLock() {
    if (descriptor_ >= 0) {
        ::unlink((path_ / lock_name).c_str());  // while it is held: nobody else's goes
        ::close(descriptor_);
    }
    for (auto last = made_.rbegin(); last != made_.rend(); ++last) ::rmdir(last->c_str());
}

}  // namespace dunlin::app
