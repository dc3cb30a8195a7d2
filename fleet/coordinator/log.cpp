// SPDX-License-Identifier: Apache-2.0
#include "fleet/coordinator/log.hpp"

#include "fleet/coordinator/numbered_file.hpp"

#include <algorithm>

namespace dunlin {
namespace {

/// Was record `wanted`, which is not where it should be, durable once? Then one behind it says so.
bool was_durable(std::span<const std::byte> rest, std::uint64_t wanted) {
    for (std::size_t at = 0; at + sizeof(RecordHead) <= rest.size(); at += record_alignment) {
        const Result<ReadRecord> read = read_record(rest.subspan(at));
        if (read && read->record.index > wanted && read->durable >= wanted) return true;
    }
    return false;
}

}  // namespace

FileSystem::Path Log::path(std::uint64_t first) const {
    return directory_ / numbered_name("log", first);
}

std::uint64_t Log::bytes() const {
    std::uint64_t sum = 0;
    for (const Segment& segment : segments_) sum += segment.bytes;
    return sum;
}

Result<std::vector<Log::Segment>> Log::segments() const {
    const auto numbers = numbered_files(files_, directory_, "log");
    if (!numbers) return tl::unexpected(numbers.error());
    std::vector<Segment> found;
    for (const std::uint64_t first : *numbers) found.push_back({first, 0});
    return found;
}

Result<std::unique_ptr<Log>> Log::open(FileSystem& files, const FileSystem::Path& directory, std::uint64_t after,
                                       const std::function<Result<void>(const Record&)>& replay) {
    std::unique_ptr<Log> log(new Log(files, directory));
    auto found = log->segments();
    if (!found) return tl::unexpected(found.error());
    log->newest_ = after;
    for (std::size_t s = 0; s < found->size(); ++s) {
        Segment& segment = (*found)[s];
        const bool last = s + 1 == found->size();
        const std::uint64_t end = last ? ~std::uint64_t{0} : (*found)[s + 1].first;
        if (end <= after + 1) continue;  // its records are all in the snapshot
        if (segment.first > log->newest_ + 1)
            return fail(Code::store_damaged, static_cast<std::int64_t>(log->newest_ + 1));
        const auto bytes = files.read(log->path(segment.first));
        if (!bytes) return tl::unexpected(bytes.error());
        std::span<const std::byte> rest = *bytes;
        std::uint64_t wanted = segment.first;
        for (; wanted < end; ++wanted) {
            const Result<ReadRecord> read = read_record(rest);
            if (!read || read->record.index != wanted) break;
            if (wanted > log->newest_) {
                if (auto done = replay(read->record); !done) {
                    Error error = done.error();
                    const auto place = static_cast<std::int64_t>(bytes->size() - rest.size());
                    if (error.code == Code::store_damaged) error.second = place;
                    return tl::unexpected(error);
                }
                log->newest_ = wanted;
            }
            rest = rest.subspan(read->bytes);
        }
        segment.bytes = bytes->size() - rest.size();
        if (wanted < end && (was_durable(rest, wanted) || !last || wanted <= after)) {
            return fail(Code::store_damaged, static_cast<std::int64_t>(wanted),
                        static_cast<std::int64_t>(segment.bytes));
        }
    }
    log->segments_ = *std::move(found);
    // What a crash left at the end is cut off, and never written over: it ends a file.
    if (!log->segments_.empty() && log->segments_.back().first <= log->newest_ + 1) {
        auto file = files.open(log->path(log->segments_.back().first));
        if (!file) return tl::unexpected(file.error());
        log->file_ = *std::move(file);
        if (auto done = log->undo(); !done) return tl::unexpected(done.error());
    } else if (auto begun = log->begin_segment(); !begun) {
        return tl::unexpected(begun.error());
    }
    return log;
}

Result<void> Log::begin_segment() {
    const std::uint64_t first = newest_ + 1;
    auto file = files_.open(path(first));
    if (!file) return tl::unexpected(file.error());
    if (auto done = files_.sync_directory(directory_); !done) {
        broken_ = true;  // where the last file ends depends on whether this one stays
        return done;
    }
    file_ = *std::move(file);
    if (segments_.empty() || segments_.back().first != first) segments_.push_back({first, 0});
    return {};
}

/// Back to the records that are known to be durable.
Result<void> Log::undo() {
    auto done = file_->truncate(segments_.back().bytes).and_then([this] { return file_->sync(); });
    broken_ = !done;
    return done;
}

Result<void> Log::commit(std::span<const std::byte> batch, std::uint64_t count) {
    if (broken_) return fail(Code::not_durable);
    auto done = file_->append(batch).and_then([this] { return file_->sync(); });
    if (!done) {
        undo();
        return fail(Code::not_durable, done.error().first);
    }
    segments_.back().bytes += batch.size();
    newest_ += count;
    return {};
}

Result<void> Log::rotate() {
    if (broken_) return fail(Code::not_durable);
    return segments_.back().first <= newest_ ? begin_segment() : Result<void>();
}

Result<void> Log::cut(std::uint64_t up_to) {
    if (broken_) return fail(Code::not_durable);
    // If one of them stays, it does no harm.
    while (segments_.size() > 1 && segments_[1].first <= up_to + 1) {
        if (auto removed = files_.remove(path(segments_.front().first)); !removed) return removed;
        segments_.erase(segments_.begin());
    }
    return files_.sync_directory(directory_);
}

}  // namespace dunlin
