// SPDX-License-Identifier: Apache-2.0
#include "fleet/node/node_store.hpp"

#include <array>
#include <cstring>

#include <zlib.h>

namespace dunlin {
namespace {

struct Head {
    std::array<char, 8> magic;
    std::uint64_t bytes;
    std::uint64_t checksum;
};
constexpr std::array<char, 8> state_magic{'D', 'N', 'L', 'N', 'O', 'D', 'E', '1'};

std::uint64_t checksum(std::span<const std::byte> bytes) {
    return crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size());
}

}  // namespace

Result<NodeStore> NodeStore::open(FileSystem& files, const std::filesystem::path& directory) {
    if (auto made = files.make_directory(directory); !made) return tl::unexpected(made.error());
    auto lock = files.lock(directory / "lock");
    if (!lock) return tl::unexpected(lock.error());
    return NodeStore(files, directory, *std::move(lock));
}

Result<std::optional<std::vector<std::uint64_t>>> NodeStore::load() const {
    const auto bytes = files_->read(directory_ / "state");
    if (!bytes) {
        if (bytes.error().code == Code::file_missing) return std::nullopt;
        return tl::unexpected(bytes.error());
    }
    Head head;
    const auto damaged = [&] { return fail(Code::store_damaged, 0, static_cast<std::int64_t>(bytes->size())); };
    if (bytes->size() < sizeof head) return damaged();
    std::memcpy(&head, bytes->data(), sizeof head);
    const std::span<const std::byte> state = std::span(*bytes).subspan(sizeof head);
    if (head.magic != state_magic || head.bytes != state.size() || head.checksum != checksum(state))
        return damaged();
    std::vector<std::uint64_t> aligned((state.size() + 7) / 8);
    std::memcpy(aligned.data(), state.data(), state.size());
    return aligned;
}

Result<void> NodeStore::save(std::span<const std::byte> state) {
    const Head head{state_magic, state.size(), checksum(state)};
    std::vector<std::byte> bytes(sizeof head + state.size());
    std::memcpy(bytes.data(), &head, sizeof head);
    std::memcpy(bytes.data() + sizeof head, state.data(), state.size());
    ++saves_;
    bytes_written_ += bytes.size();
    return replace_file(*files_, directory_ / "state", bytes);
}

Result<void> NodeStore::erase() {
    const auto removed = files_->remove(directory_ / "state");
    if (!removed && removed.error().code != Code::file_missing) return removed;
    return files_->sync_directory(directory_);
}

}  // namespace dunlin
