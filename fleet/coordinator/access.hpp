// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/error.hpp"
#include "fleet/coordinator/roles.hpp"

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dunlin {

/// Somebody who showed a secret.
struct Visitor {
    Role role = Role::view;
    std::string who;  ///< for the audit log: "token 3 (grafana)"
};

/// Who may ask the desk without being the store's owner: tokens, kept as hashes in STORE/tokens.json; one-time codes
/// for a login, and sessions of browsers, both in memory alone. Any thread may call it. Times are a monotonic clock's.
class Access {
public:
    static constexpr std::size_t most_tokens = 1000, most_codes = 100, most_sessions = 1000;
    static constexpr std::ptrdiff_t most_of_token = 16;  ///< sessions of one token; the oldest make room
    static constexpr std::int64_t code_ms = 10 * 60'000;
    static constexpr std::int64_t session_ms = 12 * 3'600'000;  ///< a session at most
    static constexpr std::int64_t idle_ms = 2 * 3'600'000;      ///< and without a request

    struct Token {
        std::uint64_t number = 0;
        std::string name;
        Role role = Role::view;
        std::int64_t made_unix_ms = 0;
        std::string hash;
    };

    /// Lets one node onto the roster, once: the first public key that shows it is the only one that it is good for.
    /// Backups have none, and a restore leaves them as they are, so that one that was used stays used.
    struct Enrolment {
        std::uint64_t number = 0;
        std::string label;
        std::int64_t made_unix_ms = 0, until_unix_ms = 0;
        std::string hash;
        std::string key = {};  ///< hexadecimal, of whom it was used by; "": of nobody yet
        bool done = false;     ///< and that is on the roster, or was
    };
    static constexpr std::int64_t enrolment_minutes = 60, most_enrolment_minutes = 24 * 60;

    /// Errors: file_syntax for a file that is none, the file system's.
    static Result<std::shared_ptr<Access>> open(const std::filesystem::path& store);
    /// Without a file, for codes and sessions alone.
    static std::shared_ptr<Access> without_tokens() { return std::shared_ptr<Access>(new Access({})); }
    static constexpr const char* file_name = "tokens.json";

    /// A new one: durable when it is returned, and never told again. Errors: out_of_range (first: how many there are),
    /// file_unwritable.
    struct Made {
        Token token;
        std::string secret;
    };
    Result<Made> create(std::string name, Role role, std::int64_t unix_ms);
    std::vector<Token> tokens() const;

    /// Numbered with the tokens. Errors: create's.
    struct MadeEnrolment {
        Enrolment enrolment;
        std::string secret;
    };
    Result<MadeEnrolment> create_enrolment(std::string label, std::int64_t unix_ms, std::int64_t until_unix_ms);
    /// Those that are good, used or not.
    std::vector<Enrolment> enrolments(std::int64_t unix_ms) const;
    /// Of a secret, or of a number; nothing where it is none, or its time is over.
    std::optional<Enrolment> enrolment(std::string_view secret, std::int64_t unix_ms) const;
    std::optional<Enrolment> enrolment(std::uint64_t number, std::int64_t unix_ms) const;
    /// It is this key's alone from here on, durable; `done`: and that is on the roster. Errors: out_of_range (there is none
    /// of this number, or it is another key's), file_unwritable.
    Result<void> use_enrolment(std::uint64_t number, const std::string& key, bool done);

    /// Ends its sessions too; of an admin's also all links and the sessions that came by them, for it may have made
    /// them. Errors: out_of_range (there is none of this number), file_unwritable.
    Result<void> revoke(std::uint64_t number);
    std::optional<Visitor> bearer(std::string_view token) const;

    /// A code that `log_in` takes once, within its time.
    std::string new_code(Role role, std::string who, std::int64_t now_ms, std::int64_t life_ms = code_ms);
    /// How many of them are good still.
    std::size_t codes(std::int64_t now_ms) const;
    struct Session {
        std::string secret;
        Visitor visitor;
    };
    /// For a code, or for a token. Nothing where it is neither.
    std::optional<Session> log_in(std::string_view secret, std::int64_t now_ms);
    /// `used`: it is a request, and the session is not idle. A page that only stays open says false.
    std::optional<Visitor> session(std::string_view secret, std::int64_t now_ms, bool used = true);
    void log_out(std::string_view secret);

private:
    struct Code {
        Visitor visitor;
        std::int64_t until_ms = 0;
    };
    struct Open {
        Visitor visitor;
        std::uint64_t token = 0;  ///< that it came by; 0: by a code
        std::int64_t until_ms = 0, seen_ms = 0;
    };
    explicit Access(std::filesystem::path store) : path_(std::move(store) / file_name) {}
    Result<void> write(const std::vector<Token>& tokens, const std::vector<Enrolment>& enrolments) const;
    const Token* token_of(std::string_view secret) const;

    std::filesystem::path path_;
    mutable std::mutex mutex_;
    std::vector<Token> tokens_;
    std::vector<Enrolment> enrolments_;
    std::uint64_t next_ = 1;
    // By the hash of the secret, so that finding one takes no longer the more of it is right.
    std::map<std::string, Code, std::less<>> codes_;
    std::map<std::string, Open, std::less<>> sessions_;
};

}  // namespace dunlin
