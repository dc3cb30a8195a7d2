// SPDX-License-Identifier: Apache-2.0
#include "fleet/node/node_store.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <catch2/catch.hpp>

using namespace dunlin;

namespace {

struct Folder {
    std::filesystem::path path;
    Folder() {
        std::string pattern = (std::filesystem::temp_directory_path() / "dunlin-node-XXXXXX").string();
        REQUIRE(mkdtemp(pattern.data()) != nullptr);
        path = pattern;
    }
    ~Folder() { std::filesystem::remove_all(path); }
};

const std::vector<std::uint64_t> words{1, 2, 3, 0xffffffffffffffff};

}  // namespace

TEST_CASE("a node's state comes back as it was stored, and not after it was erased") {
    const Folder folder;
    auto store = NodeStore::open(posix_file_system(), folder.path / "n");
    REQUIRE(store);
    CHECK_FALSE(store->load()->has_value());
    REQUIRE(store->save(std::as_bytes(std::span(words))));
    CHECK((*store->load())->session == words);
    CHECK((*store->load())->kept.numbers.empty());
    REQUIRE(store->erase());
    CHECK_FALSE(store->load()->has_value());
    CHECK(store->erase());
}

TEST_CASE("what stays with a node comes back with the state that it was stored with") {
    const Folder folder;
    auto store = NodeStore::open(posix_file_system(), folder.path);
    REQUIRE(store);
    const KeptPart kept{7, 0xabcdef0123456789, {0.5f, -1e-30f, 3.0f}};
    for (const bool in_a_job : {true, false}) {
        REQUIRE(store->save(std::as_bytes(std::span(words).first(in_a_job ? words.size() : 0)), kept));
        const auto state = store->load();
        REQUIRE((state && *state));
        CHECK((*state)->session == (in_a_job ? words : std::vector<std::uint64_t>{}));
        CHECK((*state)->kept.job == kept.job);
        CHECK((*state)->kept.nonce == kept.nonce);
        CHECK((*state)->kept.numbers == kept.numbers);
    }
}

TEST_CASE("a state with a single wrong bit, or cut short, is refused") {
    const Folder folder;
    auto store = NodeStore::open(posix_file_system(), folder.path);
    REQUIRE(store);
    const auto kept = GENERATE(KeptPart{}, KeptPart{3, 9, {1.0f, 2.0f}});
    REQUIRE(store->save(std::as_bytes(std::span(words)), kept));
    const auto file = folder.path / "state";
    const auto size = static_cast<std::streamoff>(std::filesystem::file_size(file));
    for (std::streamoff at = 0; at < size; at += 5) {
        std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
        stream.seekg(at);
        const char byte = static_cast<char>(stream.get());
        stream.seekp(at).put(static_cast<char>(byte ^ 4)).flush();
        CHECK(store->load().error().code == Code::store_damaged);
        stream.seekp(at).put(byte).flush();
    }
    CHECK(store->load());
    std::filesystem::resize_file(file, static_cast<std::uintmax_t>(size - 4));
    CHECK(store->load().error().code == Code::store_damaged);
}

TEST_CASE("the newest ten personal results stay, and of another fleet's higher numbers what there is room for") {
    const Folder folder;
    auto store = NodeStore::open(posix_file_system(), folder.path);
    REQUIRE(store);
    const auto keep = [&](std::uint64_t job) {
        const auto path = store->keep_personal(job, std::as_bytes(std::span(words)));
        REQUIRE(path);
        CHECK(std::filesystem::file_size(*path) == 8 * words.size());
    };
    const auto kept = [&](std::uint64_t job) {
        return std::filesystem::exists(folder.path / ("personal-" + std::to_string(job) + ".dunlin"));
    };
    for (std::uint64_t job = 1; job <= 12; ++job) keep(job);
    for (std::uint64_t job = 1; job <= 12; ++job) CHECK(kept(job) == (job > 2));
    keep(1);  // of a new fleet
    CHECK(kept(1));
    CHECK_FALSE(kept(3));
    for (std::uint64_t job = 2; job <= 10; ++job) keep(job);
    for (std::uint64_t job = 1; job <= 12; ++job) CHECK(kept(job) == (job <= 10));
}

TEST_CASE("a directory serves one node at a time") {
    const Folder folder;
    auto first = NodeStore::open(posix_file_system(), folder.path);
    REQUIRE(first);
    CHECK(NodeStore::open(posix_file_system(), folder.path).error().code == Code::store_in_use);
}
