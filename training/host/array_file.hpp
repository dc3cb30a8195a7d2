// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/error.hpp"

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace dunlin {

/// Named fields and named arrays of 32-bit numbers, as they lie in a .dunlin file (docs/files.md): policies and
/// checkpoints. A file says its kind and version and ends with a CRC-32, so that a foreign, damaged or newer file
/// is refused rather than misread.
struct ArrayFile {
    using Array = std::variant<std::vector<float>, std::vector<std::int32_t>>;

    static constexpr std::uint32_t version = 1;
    static constexpr std::size_t size_limit = std::size_t{1} << 30;  ///< bytes

    std::string kind;                           ///< "policy", "checkpoint"; letters
    std::map<std::string, std::string> fields;  ///< neither holds a line break, nor a key a '='
    std::map<std::string, Array> arrays;

    std::string bytes() const;

    /// Errors: file_truncated, file_magic (also: another kind), file_version, file_checksum, file_syntax.
    static Result<ArrayFile> parse(std::string_view bytes, std::string_view kind);
    /// Errors: file_missing, file_too_large, and parse's.
    static Result<ArrayFile> read(const std::filesystem::path& path, std::string_view kind);

    /// A field as a whole number; error: file_syntax when it is missing or none.
    Result<std::int64_t> integer(const std::string& name) const;
    /// An array; error: file_syntax when it is missing or of another type.
    Result<std::vector<float>> floats(const std::string& name) const;
    Result<std::vector<std::int32_t>> integers(const std::string& name) const;
};

}  // namespace dunlin
