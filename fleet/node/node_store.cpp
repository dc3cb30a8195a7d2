// SPDX-License-Identifier: Apache-2.0
#include "fleet/node/node_store.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <string>
#include <string_view>

#include <zlib.h>

namespace dunlin {
namespace {

struct Head {
    std::array<char, 8> magic;
    std::uint64_t bytes;
    std::uint64_t checksum;
};
constexpr std::array<char, 8> state_magic{'D', 'N', 'L', 'N', 'O', 'D', 'E', '1'};
constexpr std::array<char, 8> kept_magic{'D', 'N', 'L', 'N', 'O', 'D', 'E', '2'};
/// In front of a state with what stays with the node.
struct KeptHead {
    std::uint64_t job, nonce, session_bytes;
};

std::uint64_t checksum(std::span<const std::byte> bytes) {
    return crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
}

std::string personal_name(std::uint64_t job) {
    return "personal-" + std::to_string(job) + ".dunlin";
}
std::optional<std::uint64_t> personal_number(const std::string& name) {
    constexpr std::string_view before = "personal-";
    if (!name.starts_with(before)) return std::nullopt;
    std::uint64_t number = 0;
    std::from_chars(name.data() + before.size(), name.data() + name.size(), number);
    return name == personal_name(number) ? std::optional(number) : std::nullopt;
}

}  // namespace

Result<NodeStore> NodeStore::open(FileSystem& files, const std::filesystem::path& directory) {
    if (auto made = files.make_directory(directory); !made) return tl::unexpected(made.error());
    auto lock = files.lock(directory / "lock");
    if (!lock) return tl::unexpected(lock.error());
    return NodeStore(files, directory, *std::move(lock));
}

Result<std::optional<NodeState>> NodeStore::load() const {
    const auto bytes = files_->read(directory_ / "state");
    if (!bytes) {
        if (bytes.error().code == Code::file_missing) return std::nullopt;
        return tl::unexpected(bytes.error());
    }
    Head head;
    const auto damaged = [&] { return fail(Code::store_damaged, 0, static_cast<std::int64_t>(bytes->size())); };
    if (bytes->size() < sizeof head) return damaged();
    std::memcpy(&head, bytes->data(), sizeof head);
    std::span<const std::byte> session = std::span(*bytes).subspan(sizeof head);
    if (head.bytes != session.size() || head.checksum != checksum(session)) return damaged();
    NodeState state;
    if (head.magic == kept_magic) {
        KeptHead kept;
        if (session.size() < sizeof kept) return damaged();
        std::memcpy(&kept, session.data(), sizeof kept);
        const auto behind = session.subspan(sizeof kept);
        if (kept.session_bytes > behind.size() || (behind.size() - kept.session_bytes) % sizeof(float) != 0)
            return damaged();
        session = behind.first(static_cast<std::size_t>(kept.session_bytes));
        const auto numbers = behind.subspan(session.size());
        state.kept = {kept.job, kept.nonce, std::vector<float>(numbers.size() / sizeof(float))};
        if (!numbers.empty()) std::memcpy(state.kept.numbers.data(), numbers.data(), numbers.size());
    } else if (head.magic != state_magic) {
        return damaged();
    }
    state.session.resize((session.size() + 7) / 8);
    if (!session.empty()) std::memcpy(state.session.data(), session.data(), session.size());
    return state;
}

Result<void> NodeStore::save(std::span<const std::byte> session, const KeptPart& kept) {
    const bool keeps = !kept.numbers.empty();
    const auto numbers = std::as_bytes(std::span(kept.numbers));
    std::vector<std::byte> bytes(sizeof(Head) + (keeps ? sizeof(KeptHead) : 0) + session.size() + numbers.size());
    std::size_t at = sizeof(Head);
    const auto put = [&](std::span<const std::byte> part) {
        std::ranges::copy(part, bytes.begin() + static_cast<std::ptrdiff_t>(at));
        at += part.size();
    };
    const KeptHead front{kept.job, kept.nonce, session.size()};
    if (keeps) put(std::as_bytes(std::span(&front, 1)));
    put(session);
    put(numbers);
    const auto behind = std::span(bytes).subspan(sizeof(Head));
    const Head head{keeps ? kept_magic : state_magic, behind.size(), checksum(behind)};
    std::memcpy(bytes.data(), &head, sizeof head);
    ++saves_;
    bytes_written_ += bytes.size();
    return replace_file(*files_, directory_ / "state", bytes);
}

Result<void> NodeStore::erase() {
    const auto removed = files_->remove(directory_ / "state");
    if (!removed && removed.error().code != Code::file_missing) return removed;
    return files_->sync_directory(directory_);
}

Result<std::filesystem::path> NodeStore::keep_personal(std::uint64_t job, std::span<const std::byte> file) {
    const std::filesystem::path path = directory_ / personal_name(job);
    if (auto kept = replace_file(*files_, path, file); !kept) return tl::unexpected(kept.error());
    const auto names = files_->list(directory_);
    if (!names) return path;                 // it is kept; what is old goes next time
    std::vector<std::uint64_t> jobs_before;  // how many; below zero wraps around, to the oldest
    for (const std::string& name : *names) {
        if (const auto number = personal_number(name)) jobs_before.push_back(job - *number);
    }
    std::sort(jobs_before.begin(), jobs_before.end());
    for (std::size_t k = personal_limit; k < jobs_before.size(); ++k) {
        (void)files_->remove(directory_ / personal_name(job - jobs_before[k]));
    }
    return path;
}

}  // namespace dunlin
