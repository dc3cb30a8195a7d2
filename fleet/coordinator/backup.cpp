// SPDX-License-Identifier: Apache-2.0
#include "fleet/coordinator/backup.hpp"

#include "fleet/coordinator/access.hpp"
#include "fleet/coordinator/audit.hpp"
#include "fleet/coordinator/numbered_file.hpp"

#include <algorithm>
#include <system_error>
#include <vector>

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

namespace dunlin {
namespace {

namespace fs = std::filesystem;

constexpr const char* place_name = "place";  ///< says which directory the store was in when it was last open

tl::unexpected<Error> unwritable(const std::error_code& error) {
    return fail(Code::file_unwritable, error.value());
}

/// Belongs to the process that has the store open, or is told anew by the snapshot.
bool stays_behind(const std::string& name) {
    return name.ends_with("lock") || name.starts_with("control") || name.starts_with("log-") ||
           name.starts_with("snapshot-") || name.starts_with("store.db") || name.ends_with(".new") ||
           name == Access::file_name;  // a restore must not let in again whom somebody revoked
}

Result<void> copy_file(FileSystem& files, const fs::path& from, const fs::path& to) {
    const auto bytes = files.read(from);
    if (!bytes) return tl::unexpected(bytes.error());
    if (auto done = replace_file(files, to, *bytes); !done) return done;
    std::error_code error;
    fs::permissions(to, fs::status(from, error).permissions(), error);
    return error ? unwritable(error) : Result<void>{};
}

Result<void> copy_files(const fs::path& from, const fs::path& to, bool (*left_out)(const std::string&)) {
    FileSystem& files = posix_file_system();
    const auto names = files.list(from);
    if (!names) return tl::unexpected(names.error());
    for (const std::string& name : *names) {
        std::error_code error;
        if (left_out(name)) continue;
        const bool regular = fs::is_regular_file(from / name, error);
        if (error && error != std::errc::no_such_file_or_directory) return unwritable(error);
        if (!regular) continue;
        if (auto done = copy_file(files, from / name, to / name); !done) return done;
    }
    return {};
}

/// The first path of path, path-2, path-3, ... that is free.
fs::path free_path(const fs::path& path) {
    fs::path free = path;
    std::error_code ignored;  // who renames to it will meet it
    for (int k = 2; fs::exists(free, ignored); ++k) free = path.string() + "-" + std::to_string(k);
    return free;
}

/// What root restores belongs to whom the store belongs to: a service's user.
Result<void> give_to_owner(const fs::path& draft, const fs::path& store) {
    struct stat status {};
    if (::geteuid() != 0 || ::stat(store.c_str(), &status) != 0) return {};
    const auto names = posix_file_system().list(draft);
    if (!names) return tl::unexpected(names.error());
    std::vector<fs::path> all{draft};
    for (const std::string& name : *names) {
        if (name != "." && name != "..") all.push_back(draft / name);
    }
    for (const fs::path& path : all) {
        if (::chown(path.c_str(), status.st_uid, status.st_gid) != 0) return fail(Code::file_unwritable, errno);
    }
    return {};
}

}  // namespace

Result<void> back_up(Coordinator& coordinator, Index& index, const fs::path& to) {
    FileSystem& files = posix_file_system();
    std::error_code error;
    if (fs::exists(to, error)) return fail(Code::file_unwritable, EEXIST);
    if (error) return unwritable(error);
    const fs::path parent = fs::absolute(to, error).parent_path();
    if (error) return unwritable(error);
    if (auto done = coordinator.snapshot(); !done) return done;
    const fs::path& from = coordinator.store().directory();
    const std::string snapshot = numbered_name("snapshot", coordinator.store().newest());
    const fs::path draft = to.string() + ".new";
    fs::remove_all(draft, error);
    fs::create_directories(draft, error);
    if (error) return unwritable(error);
    fs::permissions(draft, fs::perms::owner_all, error);
    auto done = copy_files(from, draft, stays_behind);
    if (done) done = copy_file(files, from / snapshot, draft / snapshot);
    if (done) done = index.copy_to(draft / "store.db");
    if (done) done = files.rename(draft, to);
    if (!done) {
        fs::remove_all(draft, error);
        return done;
    }
    return files.sync_directory(parent);
}

Result<std::unique_ptr<FleetState>> read_backup(const fs::path& from) {
    FileSystem& files = posix_file_system();
    const auto numbers = numbered_files(files, from, "snapshot");
    if (!numbers) return tl::unexpected(numbers.error());
    if (numbers->size() != 1) return fail(Code::file_missing);
    const auto bytes = files.read(from / numbered_name("snapshot", numbers->front()));
    if (!bytes) return tl::unexpected(bytes.error());
    const auto snapshot = read_snapshot(*bytes);
    if (!snapshot) return tl::unexpected(snapshot.error());
    static Journal nobody;
    auto state = std::make_unique<FleetState>(nobody);
    if (auto loaded = state->load(snapshot->state); !loaded) return tl::unexpected(loaded.error());
    return state;
}

Undone undone_by_restore(const FleetState& now, const FleetState& backup) {
    Undone undone;
    const auto& nodes = now.roster().nodes();
    for (std::size_t k = 0; k < nodes.size(); ++k) {
        const RosterNode& node = nodes[k];
        const auto known = backup.roster().find(node.name);
        const RosterNode* before = known ? &backup.roster()[*known] : nullptr;
        const bool let_in = before != nullptr && before->admitted;
        if (let_in && !node.admitted)
            undone.serious.push_back(fmt::format("{} was revoked since: its key is let in again", node.name));
        else if (let_in && before->key != node.key)
            undone.serious.push_back(fmt::format("{} has a new key since: the old one is let in again", node.name));
        else if (node.admitted && !let_in)
            undone.other.push_back(fmt::format("{} is not on the backup's roster", node.name));
    }
    for (const auto& [number, job] : now.jobs()) {
        const std::string name = fmt::format("job {} ({})", number, job.plan().name);
        const Job* before = backup.job(number);
        if (before == nullptr || before->nonce() != job.nonce()) {
            auto& list = job.ended() ? undone.other : undone.serious;
            list.push_back(name + " was started since: it is forgotten" + (job.ended() ? "" : ", while it runs"));
        } else if (!before->ended() && job.serverless() && (job.ended() || job.epoch() != before->epoch())) {
            undone.serious.push_back(fmt::format(
                "{} is {} since: what its nodes hold is discarded, and they begin anew with the model of epoch {}",
                name, job.ended() ? "over" : fmt::format("in epoch {}", job.epoch()), before->epoch()));
        } else if (job.version() != before->version() || (job.ended() && !before->ended())) {
            undone.other.push_back(
                fmt::format("{} goes back from version {} to {}", name, job.version(), before->version()));
        }
    }
    return undone;
}

std::string restore_question(const Undone& undone) {
    return fmt::format("this restore would undo what may be meant to stay:\n  {}\n--yes restores all the same",
                       fmt::join(undone.serious, "\n  "));
}

Result<void> notice_copy(Coordinator& coordinator) {
    FileSystem& files = posix_file_system();
    const fs::path& store = coordinator.store().directory();
    struct stat status {};
    if (::stat(store.c_str(), &status) != 0) return fail(Code::file_unwritable, errno);
    const std::string here = fmt::format("inode {}\n", status.st_ino);
    const auto before = files.read(store / place_name);
    if (!before && before.error().code != Code::file_missing) return tl::unexpected(before.error());
    const auto bytes = std::as_bytes(std::span(here));
    if (before && std::ranges::equal(*before, bytes)) return {};
    if (before) {
        if (auto told = coordinator.came_from_a_copy(); !told) return told;
    }
    return replace_file(files, store / place_name, bytes);
}

Result<fs::path> restore_backup(const fs::path& from, const fs::path& to) {
    FileSystem& files = posix_file_system();
    if (auto whole = read_backup(from); !whole) return tl::unexpected(whole.error());
    std::error_code error;
    fs::path store = fs::weakly_canonical(to, error);
    if (error) return unwritable(error);
    if (!store.has_filename()) store = store.parent_path();  // "store/"
    const fs::path draft = store.string() + ".restored";
    fs::remove_all(draft, error);
    fs::create_directories(draft, error);
    if (error) return unwritable(error);
    fs::permissions(draft, fs::perms::owner_all, error);
    auto done = copy_files(from, draft, [](const std::string& name) { return name.ends_with("lock"); });
    if (!done) return tl::unexpected(done.error());
    // One that is older than this file is a copy all the same.
    if (done = replace_file(files, draft / place_name, {}); !done) return tl::unexpected(done.error());
    if (done = give_to_owner(draft, store); !done) return tl::unexpected(done.error());
    const fs::path before = free_path(store.string() + ".before-restore");
    const bool there = fs::exists(store, error);
    if (error) return unwritable(error);
    if (there) {
        const auto lock = files.lock(store / "lock");
        if (!lock) return tl::unexpected(lock.error());
        // Who may ask, and what was done, stays as it is.
        for (const char* name : {Access::file_name, AuditLog::file_name}) {
            done = copy_file(files, store / name, draft / name);
            if (!done && done.error().code != Code::file_missing) return tl::unexpected(done.error());
        }
        if (done = give_to_owner(draft, store); !done) return tl::unexpected(done.error());
        if (done = files.rename(store, before); !done) return tl::unexpected(done.error());
    }
    if (done = files.rename(draft, store); !done) return tl::unexpected(done.error());
    if (done = files.sync_directory(fs::absolute(store, error).parent_path()); !done)
        return tl::unexpected(done.error());
    return before;
}

}  // namespace dunlin
