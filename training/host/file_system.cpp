// SPDX-License-Identifier: Apache-2.0
#include "training/host/file_system.hpp"

#include <cerrno>

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace dunlin {
namespace {

tl::unexpected<Error> failed() {
    return fail(errno == ENOENT ? Code::file_missing : Code::file_unwritable, errno);
}

class PosixFile final : public File {
public:
    explicit PosixFile(int descriptor) : descriptor_(descriptor) {}
    ~PosixFile() override { ::close(descriptor_); }
    PosixFile(const PosixFile&) = delete;
    PosixFile& operator=(const PosixFile&) = delete;

    Result<void> append(std::span<const std::byte> bytes) override {
        while (!bytes.empty()) {
            const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
            if (written < 0 && errno == EINTR) continue;
            if (written < 0) return failed();
            bytes = bytes.subspan(static_cast<std::size_t>(written));
        }
        return {};
    }
    Result<void> sync() override {
        if (::fdatasync(descriptor_) != 0) return failed();
        return {};
    }
    Result<void> truncate(std::uint64_t bytes) override {
        if (::ftruncate(descriptor_, static_cast<off_t>(bytes)) != 0) return failed();
        return {};
    }

private:
    int descriptor_;
};

class PosixFileSystem final : public FileSystem {
public:
    Result<std::unique_ptr<File>> open(const Path& path) override {
        const int descriptor = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
        if (descriptor < 0) return failed();
        return std::make_unique<PosixFile>(descriptor);
    }

    Result<std::vector<std::byte>> read(const Path& path) override {
        const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
        if (descriptor < 0) return failed();
        struct stat status {};
        std::vector<std::byte> bytes;
        Result<void> done;
        if (::fstat(descriptor, &status) != 0) done = failed();
        bytes.resize(done ? static_cast<std::size_t>(status.st_size) : 0);
        std::size_t at = 0;
        while (done && at < bytes.size()) {
            const ssize_t got = ::read(descriptor, bytes.data() + at, bytes.size() - at);
            if (got < 0 && errno == EINTR) continue;
            if (got < 0) done = failed();
            if (got == 0) bytes.resize(at);
            if (got > 0) at += static_cast<std::size_t>(got);
        }
        ::close(descriptor);
        if (!done) return tl::unexpected(done.error());
        return bytes;
    }

    Result<void> rename(const Path& from, const Path& to) override {
        if (::rename(from.c_str(), to.c_str()) != 0) return failed();
        return {};
    }
    Result<void> remove(const Path& path) override {
        if (::unlink(path.c_str()) != 0) return failed();
        return {};
    }
    Result<void> make_directory(const Path& path) override {
        if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return failed();
        return {};
    }

    Result<std::vector<std::string>> list(const Path& directory) override {
        DIR* open = ::opendir(directory.c_str());
        if (open == nullptr) return failed();
        std::vector<std::string> names;
        errno = 0;  // at the end it still is
        while (const dirent* entry = ::readdir(open)) {
            names.emplace_back(entry->d_name);
            errno = 0;
        }
        const int status = errno;
        const auto error = failed();
        ::closedir(open);
        if (status != 0) return error;
        return names;
    }

    Result<void> sync_directory(const Path& directory) override {
        const int descriptor = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (descriptor < 0) return failed();
        const int status = ::fsync(descriptor);
        const auto error = failed();
        ::close(descriptor);
        if (status != 0) return error;
        return {};
    }

    Result<std::shared_ptr<void>> lock(const Path& path) override {
        const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        if (descriptor < 0) return failed();
        if (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
            ::close(descriptor);
            return fail(Code::store_in_use);
        }
        return std::make_shared<PosixFile>(descriptor);
    }
};

}  // namespace

FileSystem& posix_file_system() {
    static PosixFileSystem files;
    return files;
}

Result<void> replace_file(FileSystem& files, const std::filesystem::path& path, std::span<const std::byte> bytes) {
    std::filesystem::path draft = path;
    draft += ".new";
    const auto write = [&]() -> Result<void> {
        auto file = files.open(draft);
        if (!file) return tl::unexpected(file.error());
        // A crash may have left a longer one.
        if (auto done = (*file)->truncate(0); !done) return done;
        if (auto done = (*file)->append(bytes); !done) return done;
        if (auto done = (*file)->sync(); !done) return done;
        return files.rename(draft, path);
    };
    if (auto done = write(); !done) {
        (void)files.remove(draft);  // the first error is what is told
        return done;
    }
    return files.sync_directory(path.parent_path());
}

}  // namespace dunlin
