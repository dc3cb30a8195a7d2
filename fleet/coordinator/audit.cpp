// SPDX-License-Identifier: Apache-2.0
#include "fleet/coordinator/audit.hpp"

#include "fleet/coordinator/secrets.hpp"

#include <nlohmann/json.hpp>

namespace dunlin {
namespace {

using Json = nlohmann::ordered_json;

/// What a chain without a line has as its head.
const std::string& no_head() {
    static const std::string zeros(64, '0');
    return zeros;
}

}  // namespace

Result<AuditLog::Read> AuditLog::read(const std::filesystem::path& store, std::string_view asked,
                                      std::size_t newest) {
    Read read;
    read.head = no_head();
    const auto bytes = posix_file_system().read(store / file_name);
    if (!bytes && bytes.error().code == Code::file_missing) return read;
    if (!bytes) return tl::unexpected(bytes.error());
    std::string_view rest(reinterpret_cast<const char*>(bytes->data()), bytes->size());
    for (std::size_t end; (end = rest.find('\n')) != std::string_view::npos; rest.remove_prefix(end + 1)) {
        const std::string_view line = rest.substr(0, end);
        const Json entry = Json::parse(line, nullptr, false);
        const auto says = [&](const char* key, const Json& value) {
            const auto found = entry.is_object() ? entry.find(key) : entry.end();
            return found != entry.end() && *found == value;
        };
        ++read.lines;
        if (!read.broken_at && (!says("n", read.lines) || !says("previous", read.head)))
            read.broken_at = read.lines;
        read.head = blake2b_hex(line);
        if (read.head == asked) read.asked_at = read.lines;
        read.whole_bytes += end + 1;
        if (newest == 0) continue;
        if (read.newest.size() == newest) read.newest.pop_front();
        read.newest.emplace_back(line);
    }
    return read;
}

Result<AuditLog> AuditLog::open(const std::filesystem::path& store) {
    const auto read = AuditLog::read(store, "", 0);
    if (!read) return tl::unexpected(read.error());
    AuditLog log;
    auto file = posix_file_system().open(store / file_name);
    if (!file) return tl::unexpected(file.error());
    log.file_ = *std::move(file);
    log.lines_ = read->lines;
    log.head_ = read->head;
    log.bytes_ = read->whole_bytes;
    if (auto cut = log.file_->truncate(log.bytes_); !cut) return tl::unexpected(cut.error());
    if (auto synced = posix_file_system().sync_directory(store); !synced) return tl::unexpected(synced.error());
    return log;
}

Result<void> AuditLog::add(Json entry) {
    entry["n"] = lines_ + 1;
    entry["previous"] = head_;
    const std::string line = entry.dump(-1, ' ', false, Json::error_handler_t::replace);
    const std::string ended = line + "\n";
    auto done = file_->append(std::as_bytes(std::span(ended)));
    if (done) done = file_->sync();
    if (!done) {
        (void)file_->truncate(bytes_);  // half a line must not stand before the next one
        return done;
    }
    ++lines_;
    bytes_ += ended.size();
    head_ = blake2b_hex(line);
    return {};
}

}  // namespace dunlin
