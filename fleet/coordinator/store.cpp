// SPDX-License-Identifier: Apache-2.0
#include "fleet/coordinator/store.hpp"

#include "fleet/coordinator/numbered_file.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace dunlin {
namespace {

constexpr std::uint64_t snapshot_mark = 0x31544f4853444e4c;  // "LNDSHOT1"
constexpr std::uint32_t newest_store_version = 4;

struct SnapshotHead {
    std::uint64_t magic = snapshot_mark;
    std::uint32_t version = newest_store_version;
    std::uint32_t unused = 0;
    std::uint64_t newest = 0;
    std::uint64_t state_bytes = 0;
    std::uint64_t checksum = 0;  ///< of all before it and the state
};

std::uint64_t checksum(SnapshotHead head, std::span<const std::byte> state) {
    head.checksum = checksum_of(state);
    return checksum_of(std::as_bytes(std::span(&head, 1)));
}

/// The newest snapshot, after dropping what crashes left: half ones, and those that a newer one stands for.
Result<std::vector<std::byte>> tidy_snapshots(FileSystem& files, const FileSystem::Path& directory) {
    const auto names = files.list(directory);
    if (!names) return tl::unexpected(names.error());
    for (const std::string& name : *names) {
        if (!name.ends_with(".new")) continue;
        if (auto removed = files.remove(directory / name); !removed) return tl::unexpected(removed.error());
    }
    const auto numbers = numbered_files(files, directory, "snapshot");
    if (!numbers) return tl::unexpected(numbers.error());
    if (numbers->empty()) return std::vector<std::byte>{};
    for (const std::uint64_t number : std::span(*numbers).first(numbers->size() - 1)) {
        if (auto removed = files.remove(directory / numbered_name("snapshot", number)); !removed)
            return tl::unexpected(removed.error());
    }
    return files.read(directory / numbered_name("snapshot", numbers->back()));
}

}  // namespace

std::vector<std::byte> snapshot_bytes(std::span<const std::byte> state, std::uint64_t newest,
                                      std::uint32_t version) {
    SnapshotHead head;
    head.version = version;
    head.newest = newest;
    head.state_bytes = state.size();
    head.checksum = checksum(head, state);
    std::vector<std::byte> bytes(sizeof head + state.size());
    std::memcpy(bytes.data(), &head, sizeof head);
    std::ranges::copy(state, bytes.begin() + sizeof head);
    return bytes;
}

Result<ReadSnapshot> read_snapshot(std::span<const std::byte> bytes) {
    SnapshotHead head;
    if (bytes.size() < sizeof head) return fail(Code::store_damaged);
    std::memcpy(&head, bytes.data(), sizeof head);
    if (head.magic != snapshot_mark) return fail(Code::store_damaged);
    if (head.version > newest_store_version) return fail(Code::store_version, head.version, newest_store_version);
    const auto state = bytes.subspan(sizeof head);
    if (head.state_bytes != state.size() || head.checksum != checksum(head, state))
        return fail(Code::store_damaged, static_cast<std::int64_t>(head.newest));
    return ReadSnapshot{head.newest, state};
}

Result<std::unique_ptr<Store>> Store::open(FileSystem& files, const FileSystem::Path& directory,
                                           const StoreSettings& settings, Replayed& state) {
    std::unique_ptr<Store> store(new Store(files, directory, settings));
    if (!settings.lock) {
        auto locked = files.lock(directory / "lock");
        if (!locked) return tl::unexpected(locked.error());
        store->settings_.lock = *std::move(locked);
    }
    // A process that ended without a crash may have left names that are not durable yet.
    if (auto synced = files.sync_directory(directory); !synced) return tl::unexpected(synced.error());
    auto bytes = tidy_snapshots(files, directory);
    if (!bytes) return tl::unexpected(bytes.error());
    std::uint64_t newest = 0;
    if (!bytes->empty()) {
        const auto snapshot = read_snapshot(*bytes);
        if (!snapshot) return tl::unexpected(snapshot.error());
        if (auto loaded = state.load(snapshot->state); !loaded) return tl::unexpected(loaded.error());
        newest = snapshot->newest;
        store->snapshot_bytes_ = bytes->size();
        *bytes = {};
    }
    auto log = Log::open(files, directory, newest, [&state](const Record& record) { return state.replay(record); });
    if (!log) return tl::unexpected(log.error());
    store->log_ = *std::move(log);
    return store;
}

Result<void> Store::add(const Record& record) {
    const std::size_t needed = batch_.size() + record_bytes(record.payload.size());
    if (count_ > 0 && needed > settings_.batch_bytes) {
        return fail(Code::busy, static_cast<std::int64_t>(batch_.size()),
                    static_cast<std::int64_t>(settings_.batch_bytes));
    }
    Record numbered = record;
    numbered.index = next();
    numbered.time_ms = settings_.unix_ms();
    append_record(batch_, numbered, log_->newest());
    ++count_;
    return {};
}

Result<void> Store::commit(const std::function<void(const Record&)>& done) {
    // What `done` adds belongs to the next commit.
    writing_.swap(batch_);
    batch_.clear();
    const std::uint64_t count = std::exchange(count_, 0);
    if (count == 0) return {};
    if (auto durable = log_->commit(writing_, count); !durable) return durable;
    for (std::span<const std::byte> rest = writing_; !rest.empty();) {
        const ReadRecord read = *read_record(rest, Verify::no);
        done(read.record);
        rest = rest.subspan(read.bytes);
    }
    return {};
}

bool Store::snapshot_due() const {
    return !draft_ && log_->bytes() > std::max(settings_.log_bytes, 4 * snapshot_bytes_);
}

Result<void> Store::begin_snapshot(const Replayed& state, const std::function<Result<void>()>& before) {
    if (log_->broken()) return fail(Code::not_durable);
    if (auto done = before(); !done) return done;
    if (auto done = log_->rotate(); !done) return done;
    draft_ = std::make_shared<Draft>(Draft{.number = log_->newest()});
    draft_->bytes = snapshot_bytes(state.save(), draft_->number, state.store_version());
    auto write = [draft = draft_, &files = files_, directory = directory_] {
        draft->written = replace_file(files, directory / numbered_name("snapshot", draft->number), draft->bytes);
    };
    settings_.aside ? settings_.aside->begin(std::move(write)) : write();
    return {};
}

std::optional<Result<void>> Store::finish_snapshot() {
    if (!draft_ || (settings_.aside && !settings_.aside->collect({}))) return std::nullopt;
    return drop_what_is_in(*std::exchange(draft_, nullptr));
}

Result<void> Store::drop_what_is_in(const Draft& draft) {
    if (!draft.written) return draft.written;
    snapshot_bytes_ = draft.bytes.size();
    if (auto done = log_->cut(draft.number); !done) return done;
    const auto numbers = numbered_files(files_, directory_, "snapshot");
    if (!numbers) return tl::unexpected(numbers.error());
    for (const std::uint64_t old : *numbers) {
        if (old >= draft.number) continue;
        if (auto done = files_.remove(directory_ / numbered_name("snapshot", old)); !done) return done;
    }
    return {};
}

Result<void> Store::snapshot(const Replayed& state, const std::function<Result<void>()>& before) {
    constexpr std::chrono::milliseconds long_enough = std::chrono::hours(1);
    const auto wait = [&] { return !settings_.aside || settings_.aside->collect(long_enough); };
    if (draft_ && !wait()) return fail(Code::not_durable);
    draft_ = nullptr;  // another one follows at once
    if (auto begun = begin_snapshot(state, before); !begun) return begun;
    if (!wait()) return fail(Code::not_durable);
    return drop_what_is_in(*std::exchange(draft_, nullptr));
}

}  // namespace dunlin
