// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/error.hpp"
#include "core/quoted.hpp"

#include <concepts>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dunlin {

/// What is wrong with which file. A data set may be several files.
struct FileFailure {
    std::string path;  ///< empty: a text that was parsed without a file
    Error error;
    /// Where, what stands there and what is expected, for people; empty: the error says all. What it shows of the
    /// file is escaped.
    std::string detail{};
};
template <class T>
using FileResult = tl::expected<T, FileFailure>;

/// Words, numbers and Quoted texts as one text.
template <class... Parts>
std::string sentence(const Parts&... parts) {
    std::string text;
    const auto add = [&text](const auto& part) {
        using Part = std::decay_t<decltype(part)>;
        if constexpr (std::same_as<Part, Quoted>)
            text += part.view();
        else if constexpr (std::integral<Part> && !std::same_as<Part, char>)
            text += std::to_string(part);
        else
            text += part;
    };
    (add(parts), ...);
    return text;
}

/// All of a text from outside; what must not be shown as it is as \xNN.
std::string shown_text(std::string_view text);

/// At most six names in quotes, with commas, and "..." where there are more.
std::string quoted_list(std::span<const std::string> names);

/// "line N: what stands there; what is expected", from `parts` behind the colon.
template <class... Parts>
tl::unexpected<FileFailure> refuse_line(Code code, std::int64_t line, std::int64_t second, const Parts&... parts) {
    return tl::unexpected(FileFailure{{}, {code, line, second}, sentence("line ", line, ": ", parts...)});
}
template <class... Parts>
tl::unexpected<FileFailure> refuse_text(Error error, const Parts&... parts) {
    return tl::unexpected(FileFailure{{}, error, sentence(parts...)});
}

/// Larger files, unpacked, are refused.
inline constexpr std::int64_t data_file_limit_bytes = std::int64_t{1} << 30;
/// Tables of more numbers than that are refused.
inline constexpr std::size_t data_cell_limit = std::size_t{1} << 27;

/// A file's bytes, unpacked if it is gzip. Errors: file_missing; file_truncated (a gzip stream that breaks off);
/// file_checksum (one that is damaged); file_too_large.
FileResult<std::string> read_data_file(const std::string& path, std::int64_t limit_bytes = data_file_limit_bytes);

/// `path`, or `path`.gz where only that exists. Where neither does, reading what is returned says so.
std::string plain_or_packed(const std::string& path);

/// Reads a file and parses it with `parse(text)`, which returns a FileResult. Error also: file_magic (UTF-16).
template <class Parse>
auto load_file(const std::string& path, Parse parse)
    -> FileResult<typename decltype(parse(std::string_view{}))::value_type> {
    const FileResult<std::string> text = read_data_file(path);
    if (!text) return tl::unexpected(text.error());
    if (text->starts_with("\xff\xfe") || text->starts_with("\xfe\xff"))
        return tl::unexpected(FileFailure{path, {Code::file_magic}, "UTF-16 text; save it as UTF-8"});
    auto parsed = parse(std::string_view(*text));
    if (!parsed) {
        FileFailure failure = std::move(parsed.error());
        failure.path = path;
        return tl::unexpected(std::move(failure));
    }
    return std::move(*parsed);
}

/// A text without the byte order mark that some editors put in front.
std::string_view without_mark(std::string_view text);

/// Lines of a text, one by one, without the line's end ("\n" or "\r\n") and without a byte order mark.
class Lines {
public:
    explicit Lines(std::string_view text) : rest_(without_mark(text)) {}
    bool next();
    std::string_view line() const { return line_; }
    std::int64_t number() const { return number_; }  ///< from 1

private:
    std::string_view rest_, line_;
    std::int64_t number_ = 0;
};

/// Without blanks and tabs around it.
std::string_view trimmed(std::string_view text);
/// Splits at blanks and tabs, however many, into `words`, which it overwrites.
void split_words(std::string_view text, std::vector<std::string_view>& words);
/// Whether they are the same but for the case of the letters A to Z.
bool same_but_case(std::string_view a, std::string_view b);

/// A whole field as a number, which may have a plus sign; none where it is not one, not finite, or too large for 32
/// bits.
std::optional<double> parse_number(std::string_view field);
std::optional<std::int64_t> parse_integer(std::string_view field);

}  // namespace dunlin
