// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/error.hpp"

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>

/// The files of a run directory. Nothing throws; what cannot be written is Code::file_unwritable with errno.
namespace dunlin::report {

/// Makes the directory, with its parents, and makes sure that files can be written in it.
Result<void> prepare_directory(const std::filesystem::path& directory);

/// The whole of a file. Errors: file_missing (a directory too), file_too_large.
inline constexpr std::size_t read_limit = std::size_t{1} << 30;
Result<std::string> read_file(const std::filesystem::path& path);

/// Writes the whole file or leaves what was there: a temporary file in the same directory, flushed to the disk, is
/// renamed over it. The directory is flushed too, so that the new name survives a power cut.
Result<void> write_file(const std::filesystem::path& path, std::string_view bytes);

/// One field of a CSV row. Numbers are written so that they read back as the same value.
struct CsvValue {
    std::string text;

    template <class Number>
    requires std::integral<Number> || std::floating_point<Number> CsvValue(Number value)
        : text(fmt::format("{}", value)) {}
    CsvValue(std::string_view value);
    CsvValue(const char* value) : CsvValue(std::string_view(value)) {}
    CsvValue(const std::string& value) : CsvValue(std::string_view(value)) {}
};

/// A CSV file that grows by rows while a run goes on (metrics.csv). Each append reaches the operating system at
/// once, so that an interrupted program loses no row. Owns the open file; movable.
class CsvFile {
public:
    /// A new file with this header, in place of what was there.
    static Result<CsvFile> create(const std::filesystem::path& path, std::span<const std::string> header);

    /// Goes on with a file: keeps its header and its first `rows` rows and cuts off the rest, which a run wrote
    /// after its last checkpoint. Errors: file_missing; file_syntax, when the header is another one; file_truncated
    /// with the rows found and asked for.
    static Result<CsvFile> resume(const std::filesystem::path& path, std::span<const std::string> header,
                                  std::size_t rows);

    CsvFile(CsvFile&& other) noexcept;
    CsvFile& operator=(CsvFile&& other) noexcept;
    ~CsvFile();

    /// Appends one row, of as many values as the header has (else shape_mismatch).
    Result<void> append(std::span<const CsvValue> values);
    Result<void> append(std::initializer_list<CsvValue> values) {
        return append(std::span<const CsvValue>(values.begin(), values.size()));
    }

    /// Returns when the rows are on the disk.
    Result<void> flush();

private:
    CsvFile(int descriptor, std::size_t columns) : descriptor_(descriptor), columns_(columns) {}

    int descriptor_ = -1;
    std::size_t columns_ = 0;
};

/// The bytes of a NumPy file (format 1.0, C order) with this shape. Error: shape_mismatch, when the shape does not
/// hold values.size() numbers.
Result<std::string> npy_bytes(std::span<const float> values, std::span<const std::size_t> shape);
Result<std::string> npy_bytes(std::span<const std::int32_t> values, std::span<const std::size_t> shape);

}  // namespace dunlin::report
