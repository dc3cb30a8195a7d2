// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/host/file_system.hpp"

#include <deque>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace dunlin {

/// What operators did: STORE/audit.log, a JSON object a line. Each line holds the hash (BLAKE2b, 256 bits) of the line
/// before it, as it stands there without its line feed; the hash of the last line is the head of the chain. A line that
/// is changed, taken out or put in breaks the chain behind it, and whoever wrote down a head finds out that lines before
/// it are others. Who can write the file can write all of it anew: only a head that is kept elsewhere finds that.
class AuditLog {
public:
    static constexpr const char* file_name = "audit.log";

    /// Cuts off a last line that a crash left unfinished. A chain that is broken is gone on with from its last line: what
    /// somebody did to the file must not keep the operator from acting, and `read` tells of it. Errors: the file
    /// system's.
    static Result<AuditLog> open(const std::filesystem::path& store);

    /// Adds a line, durable when this returns. `entry` gains "n" and "previous". Error: file_unwritable; then nothing
    /// was added.
    Result<void> add(nlohmann::ordered_json entry);

    std::uint64_t lines() const { return lines_; }
    const std::string& head() const { return head_; }

    /// What a file holds, read anew.
    struct Read {
        std::uint64_t lines = 0;
        std::string head;
        std::uint64_t whole_bytes = 0;                ///< up to the end of the last whole line
        std::optional<std::uint64_t> broken_at = {};  ///< line, from 1
        std::optional<std::uint64_t> asked_at = {};   ///< line whose hash was asked for
        std::deque<std::string> newest = {};
    };
    /// `asked`: a head of before, "" for none. Errors: the file system's; a file that is missing is an empty log.
    static Result<Read> read(const std::filesystem::path& store, std::string_view asked, std::size_t newest);

private:
    AuditLog() = default;
    std::unique_ptr<File> file_;
    std::uint64_t lines_ = 0, bytes_ = 0;
    std::string head_;
};

}  // namespace dunlin
