// SPDX-License-Identifier: Apache-2.0
#include "apps/report/run_files.hpp"

#include "apps/report/table.hpp"

#include <atomic>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace dunlin::report {
namespace {

static_assert(std::endian::native == std::endian::little,
              "npy_bytes copies the machine's bytes and labels them '<'");

tl::unexpected<Error> unwritable(int number) {
    return fail(Code::file_unwritable, number);
}

/// A file descriptor that closes itself.
class Descriptor {
public:
    explicit Descriptor(int value) : value_(value) {}
    ~Descriptor() {
        if (value_ >= 0) ::close(value_);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;

    int get() const { return value_; }
    int release() { return std::exchange(value_, -1); }

private:
    int value_;
};

/// 0, or errno.
int write_all(int descriptor, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return errno;
        bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    return 0;
}

int sync(int descriptor) {
    while (::fsync(descriptor) != 0) {
        if (errno == EINVAL || errno == EROFS) return 0;  // not a file that a disk keeps
        if (errno != EINTR) return errno;
    }
    return 0;
}

std::filesystem::path directory_of(const std::filesystem::path& path) {
    return path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
}

std::string header_line(std::span<const std::string> header) {
    return csv_table({std::vector<std::string>(header.begin(), header.end()), {}});
}

/// The offset behind the first `rows` lines of `text` after `begin`, a line break inside quotes being part of its
/// field; or how many whole lines there are.
struct RowsEnd {
    std::size_t offset = 0;
    std::size_t rows = 0;
};

RowsEnd find_rows(std::string_view text, std::size_t begin, std::size_t rows) {
    RowsEnd end{begin, 0};
    bool quoted = false;
    for (std::size_t k = begin; k < text.size() && end.rows < rows; ++k) {
        if (text[k] == '"') quoted = !quoted;
        if (text[k] == '\n' && !quoted) end = {k + 1, end.rows + 1};
    }
    return end;
}

/// 0, or errno. Stops behind `read_limit`.
int read_all(int descriptor, std::string& out) {
    char block[65536];
    while (out.size() <= read_limit) {
        const ssize_t count = ::read(descriptor, block, sizeof block);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return errno;
        if (count == 0) return 0;
        out.append(block, static_cast<std::size_t>(count));
    }
    return 0;
}

template <class Number>
Result<std::string> npy(std::span<const Number> values, std::span<const std::size_t> shape, std::string_view type) {
    std::size_t count = 1;
    std::string sizes;
    for (const std::size_t size : shape) {
        count *= size;
        sizes += (sizes.empty() ? "" : ", ") + fmt::format("{}", size);
    }
    if (shape.size() == 1) sizes += ',';
    if (count != values.size()) {
        return fail(Code::shape_mismatch, static_cast<std::int64_t>(values.size()),
                    static_cast<std::int64_t>(count));
    }
    std::string header = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", type, sizes);
    constexpr std::size_t prefix = 10, alignment = 64;  // the format's: data begin at a multiple of 64
    header.append(alignment - 1 - (prefix + header.size()) % alignment, ' ');
    header += '\n';
    std::string out("\x93NUMPY\x01\x00", 8);
    out += static_cast<char>(header.size() & 0xFFU);
    out += static_cast<char>(header.size() >> 8U);
    out += header;
    out.append(reinterpret_cast<const char*>(values.data()), values.size_bytes());
    return out;
}

}  // namespace

Result<void> prepare_directory(const std::filesystem::path& directory) {
    std::error_code error;
    std::filesystem::create_directories(directory, error);
    if (error) return unwritable(error.value());
    if (!std::filesystem::is_directory(directory, error)) return unwritable(ENOTDIR);
    if (::access(directory.c_str(), W_OK | X_OK) != 0) return unwritable(errno);
    return {};
}

Result<std::string> read_file(const std::filesystem::path& path) {
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    std::string text;
    if (file.get() < 0 || read_all(file.get(), text) != 0) return fail(Code::file_missing);
    if (text.size() > read_limit) {
        return fail(Code::file_too_large, std::ssize(text), static_cast<std::int64_t>(read_limit));
    }
    return text;
}

Result<void> write_file(const std::filesystem::path& path, std::string_view bytes) {
    static std::atomic<unsigned> counter{0};
    const std::filesystem::path temporary =
        directory_of(path) / fmt::format(".{}.{}.{}.partial", path.filename().string(), ::getpid(), counter++);
    int problem = 0;
    {
        const Descriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
        if (file.get() < 0) return unwritable(errno);
        problem = write_all(file.get(), bytes);
        if (problem == 0) problem = sync(file.get());
    }
    if (problem == 0 && ::rename(temporary.c_str(), path.c_str()) != 0) problem = errno;
    if (problem != 0) {
        ::unlink(temporary.c_str());
        return unwritable(problem);
    }
    const Descriptor directory(::open(directory_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (directory.get() < 0) return unwritable(errno);
    if (const int number = sync(directory.get()); number != 0) return unwritable(number);
    return {};
}

CsvValue::CsvValue(std::string_view value) : text(csv_field(value)) {}

Result<CsvFile> CsvFile::create(const std::filesystem::path& path, std::span<const std::string> header) {
    if (auto written = write_file(path, header_line(header)); !written) return tl::unexpected(written.error());
    return resume(path, header, 0);
}

Result<CsvFile> CsvFile::resume(const std::filesystem::path& path, std::span<const std::string> header,
                                std::size_t rows) {
    Descriptor file(::open(path.c_str(), O_RDWR | O_APPEND | O_CLOEXEC));
    if (file.get() < 0) return errno == ENOENT ? fail(Code::file_missing) : unwritable(errno);
    std::string text;
    if (const int number = read_all(file.get(), text); number != 0) return unwritable(number);
    const std::string expected = header_line(header);
    if (!text.starts_with(expected)) return fail(Code::file_syntax, 1, 1);
    const RowsEnd kept = find_rows(text, expected.size(), rows);
    if (kept.rows < rows) {
        return fail(Code::file_truncated, static_cast<std::int64_t>(kept.rows), static_cast<std::int64_t>(rows));
    }
    if (::ftruncate(file.get(), static_cast<off_t>(kept.offset)) != 0) return unwritable(errno);
    return CsvFile(file.release(), header.size());
}

CsvFile::CsvFile(CsvFile&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), columns_(other.columns_) {}

CsvFile& CsvFile::operator=(CsvFile&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    std::swap(columns_, other.columns_);
    return *this;
}

CsvFile::~CsvFile() {
    if (descriptor_ >= 0) ::close(descriptor_);
}

Result<void> CsvFile::append(std::span<const CsvValue> values) {
    if (values.size() != columns_) {
        return fail(Code::shape_mismatch, static_cast<std::int64_t>(values.size()),
                    static_cast<std::int64_t>(columns_));
    }
    std::string line;
    for (std::size_t k = 0; k < values.size(); ++k) {
        line += k == 0 ? "" : ",";
        line += values[k].text;
    }
    line += '\n';
    if (const int number = write_all(descriptor_, line); number != 0) return unwritable(number);
    return {};
}

Result<void> CsvFile::flush() {
    if (const int number = sync(descriptor_); number != 0) return unwritable(number);
    return {};
}

Result<std::string> npy_bytes(std::span<const float> values, std::span<const std::size_t> shape) {
    return npy(values, shape, "<f4");
}

Result<std::string> npy_bytes(std::span<const std::int32_t> values, std::span<const std::size_t> shape) {
    return npy(values, shape, "<i4");
}

}  // namespace dunlin::report
