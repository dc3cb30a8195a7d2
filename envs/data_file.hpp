// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/error.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dunlin {

/// What is wrong with which file. A data set may be several files.
struct FileProblem {
    std::string path;
    Error error;
};
template <class T>
using FileResult = tl::expected<T, FileProblem>;

/// Larger files, unpacked, are refused.
inline constexpr std::int64_t data_file_limit_bytes = std::int64_t{1} << 30;

/// A file's bytes, unpacked if it is gzip. Errors: file_missing; file_truncated (a gzip stream that breaks off);
/// file_checksum (one that is damaged); file_too_large.
FileResult<std::string> read_data_file(const std::string& path, std::int64_t limit_bytes = data_file_limit_bytes);

/// `path`, or `path`.gz where only that exists. Where neither does, reading what is returned says so.
std::string plain_or_packed(const std::string& path);

/// Reads a file and parses it with `parse(text)`, which returns a Result.
template <class Parse>
auto load_file(const std::string& path, Parse parse)
    -> FileResult<typename decltype(parse(std::string_view{}))::value_type> {
    const FileResult<std::string> text = read_data_file(path);
    if (!text) return tl::unexpected(text.error());
    auto parsed = parse(std::string_view(*text));
    if (!parsed) return tl::unexpected(FileProblem{path, parsed.error()});
    return std::move(*parsed);
}

/// Lines of a text, one by one, without the line's end ("\n" or "\r\n").
class Lines {
public:
    explicit Lines(std::string_view text) : rest_(text) {}
    bool next();
    std::string_view line() const { return line_; }
    std::int64_t number() const { return number_; }  ///< from 1

private:
    std::string_view rest_, line_;
    std::int64_t number_ = 0;
};

/// Splits at every separator into `fields`, which it overwrites; blanks and quotes around a field go.
void split_fields(std::string_view line, char separator, std::vector<std::string_view>& fields);

/// A whole field as a number; none where it is not one, or not finite.
std::optional<float> parse_float(std::string_view field);
std::optional<std::int64_t> parse_integer(std::string_view field);

}  // namespace dunlin
