// SPDX-License-Identifier: Apache-2.0
#pragma once

// For .cpp files only.

#include "core/error.hpp"

#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <sqlite3.h>

namespace dunlin {

/// An SQLite database in WAL mode. Errors: file_magic (it is none, or damaged), file_unwritable (first: errno, as
/// near as SQLite says).
class Database {
public:
    Database() = default;
    static Result<Database> open(const std::filesystem::path& path) {
        Database database;
        const int status =
            sqlite3_open_v2(path.c_str(), &database.handle_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
        if (auto opened = check(status); !opened) return tl::unexpected(opened.error());
        sqlite3_busy_timeout(database.handle_, 2000);
        if (auto set = database.run("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL"); !set)
            return tl::unexpected(set.error());
        return database;
    }
    Database(Database&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
    Database& operator=(Database&& other) noexcept {
        std::swap(handle_, other.handle_);
        return *this;
    }
    ~Database() { sqlite3_close(handle_); }

    Result<void> run(const char* sql) { return check(sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr)); }
    sqlite3* handle() const { return handle_; }

    static Result<void> check(int status) {
        if (status == SQLITE_OK || status == SQLITE_DONE || status == SQLITE_ROW) return {};
        switch (status & 0xff) {
            case SQLITE_NOTADB:
            case SQLITE_CORRUPT:
                return fail(Code::file_magic);
            case SQLITE_FULL:
                return fail(Code::file_unwritable, ENOSPC);
            case SQLITE_READONLY:
                return fail(Code::file_unwritable, EROFS);
            case SQLITE_PERM:
            case SQLITE_CANTOPEN:
                return fail(Code::file_unwritable, EACCES);
            case SQLITE_BUSY:
            case SQLITE_LOCKED:
                return fail(Code::file_unwritable, EBUSY);
            default:
                return fail(Code::file_unwritable, EIO);
        }
    }

private:
    sqlite3* handle_ = nullptr;
};

/// A statement; values are bound in order, and the statement is run or stepped through.
class Statement {
public:
    Statement(Database& database, const char* sql) {
        status_ = sqlite3_prepare_v2(database.handle(), sql, -1, &handle_, nullptr);
    }
    Statement(const Statement&) = delete;
    Statement& operator=(const Statement&) = delete;
    ~Statement() { sqlite3_finalize(handle_); }

    Statement& bind(std::int64_t value) { return keep(sqlite3_bind_int64(handle_, ++bound_, value)); }
    Statement& bind(double value) { return keep(sqlite3_bind_double(handle_, ++bound_, value)); }
    Statement& bind(std::string_view text) {
        return keep(
            sqlite3_bind_text(handle_, ++bound_, text.data(), static_cast<int>(text.size()), SQLITE_TRANSIENT));
    }
    Statement& bind(std::span<const std::byte> bytes) {
        return keep(sqlite3_bind_blob64(handle_, ++bound_, bytes.data(), bytes.size(), SQLITE_TRANSIENT));
    }

    /// Runs it and makes it ready to be bound again.
    Result<void> run() {
        if (status_ == SQLITE_OK) status_ = sqlite3_step(handle_);
        const auto done = Database::check(status_);
        sqlite3_reset(handle_);
        bound_ = 0;
        status_ = SQLITE_OK;
        return done;
    }
    /// Ready to be bound again.
    Statement& again() {
        sqlite3_reset(handle_);
        bound_ = 0;
        return *this;
    }
    /// To the next row, if there is one; `ended` says whether there were no more, or they could not be read.
    bool next() {
        if (status_ != SQLITE_OK) return false;
        const int status = sqlite3_step(handle_);
        if (status != SQLITE_ROW && status != SQLITE_DONE) status_ = status;
        return status == SQLITE_ROW;
    }
    Result<void> ended() const { return Database::check(status_); }
    std::int64_t integer(int column) const { return sqlite3_column_int64(handle_, column); }
    /// SQLite keeps NaN as NULL.
    double real(int column) const {
        const bool none = sqlite3_column_type(handle_, column) == SQLITE_NULL;
        return none ? std::numeric_limits<double>::quiet_NaN() : sqlite3_column_double(handle_, column);
    }
    std::string text(int column) const {
        const auto* first = reinterpret_cast<const char*>(sqlite3_column_text(handle_, column));
        return first == nullptr
                   ? ""
                   : std::string(first, static_cast<std::size_t>(sqlite3_column_bytes(handle_, column)));
    }

private:
    Statement& keep(int status) {
        if (status_ == SQLITE_OK) status_ = status;
        return *this;
    }

    sqlite3_stmt* handle_ = nullptr;
    int status_ = SQLITE_OK, bound_ = 0;
};

}  // namespace dunlin
