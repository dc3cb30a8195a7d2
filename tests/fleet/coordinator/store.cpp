// SPDX-License-Identifier: Apache-2.0
#include "fleet/coordinator/store.hpp"

#include "simulated_files.hpp"
#include "training/host/archive.hpp"

#include <filesystem>

#include <catch2/catch.hpp>
#include <unistd.h>

using namespace dunlin;
using dunlin::testing::SimulatedFiles;

namespace {

/// Remembers every record.
struct Diary final : Replayed {
    std::vector<std::vector<std::byte>> pages;

    void write(const Record& record) { pages.emplace_back(record.payload.begin(), record.payload.end()); }
    Result<void> replay(const Record& record) override {
        write(record);
        return {};
    }
    std::vector<std::byte> save() const override {
        Saver saver;
        saver(pages);
        return saver.take();
    }
    Result<void> load(std::span<const std::byte> state) override {
        Loader loader(state);
        loader(pages);
        return loader.done() ? Result<void>{} : fail(Code::store_damaged);
    }
};

const StoreSettings small_log{.batch_bytes = 1u << 16, .log_bytes = 2000};

std::vector<std::byte> some_page(Stream& random) {
    std::vector<std::byte> page(1 + random.below(random.below(8) == 0 ? 900 : 60));
    for (std::byte& byte : page) byte = static_cast<std::byte>(random.below(256));
    return page;
}

/// Opens a store whose power may go at any operation, as often as it takes.
std::unique_ptr<Store> open_at_last(SimulatedFiles& files, Diary& diary) {
    for (;;) {
        diary.pages.clear();
        auto store = Store::open(files, "store", small_log, diary);
        if (store) return *std::move(store);
        REQUIRE(files.dark());
        files.restart();
    }
}

/// A life: records are gathered, committed and put into snapshots; operations fail and the power goes. After each
/// opening there is what was answered for, and nothing but a beginning of what was not.
void live(std::uint64_t seed) {
    INFO("seed " << seed);
    Stream random(seed, 1, Purpose::samples);
    SimulatedFiles files(seed);
    Diary diary;
    std::vector<std::vector<std::byte>> promised, doubtful;
    auto store = open_at_last(files, diary);
    for (int step = 0; step < 60; ++step) {
        if (random.below(4) == 0) files.lose_power_at(1 + random.below(12));
        if (random.below(4) == 0) files.fail_at(1 + random.below(14), random.below(2) == 0 ? ENOSPC : EIO);
        doubtful.clear();
        for (std::uint32_t k = random.below(5); k > 0; --k) {
            doubtful.push_back(some_page(random));
            REQUIRE(store->add({.kind = RecordKind::report, .payload = doubtful.back()}));
        }
        if (store->commit([&](const Record& record) { diary.write(record); })) {
            promised.insert(promised.end(), doubtful.begin(), doubtful.end());
            doubtful.clear();
        }
        REQUIRE(diary.pages == promised);
        if (!store->broken() && (store->snapshot_due() || random.below(8) == 0)) {
            (void)store->snapshot(diary, [] { return Result<void>{}; });
        }
        if (!files.dark() && !store->broken() && random.below(10) != 0) continue;
        store.reset();
        if (files.dark() || random.below(2) == 0) files.restart();
        if (random.below(3) == 0) files.lose_power_at(1 + random.below(8));
        files.fail_at(0);
        store = open_at_last(files, diary);
        REQUIRE(diary.pages.size() >= promised.size());
        REQUIRE(diary.pages.size() <= promised.size() + doubtful.size());
        promised.insert(promised.end(), doubtful.begin(), doubtful.end());
        promised.resize(diary.pages.size());
        REQUIRE(diary.pages == promised);
        REQUIRE(store->newest() == promised.size());
    }
}

}  // namespace

TEST_CASE(
    "a store loses nothing that it answered for, whatever fails and whenever the power goes [invariants 4 and 8]") {
    for (std::uint64_t seed = 1; seed <= 400; ++seed) live(seed);
}

TEST_CASE("a full disk refuses what is new and keeps what is old, and the store goes on when there is room again") {
    SimulatedFiles files(1);
    Diary diary;
    auto store = open_at_last(files, diary);
    const auto page = std::vector<std::byte>(100, std::byte{7});
    const auto write = [&] {
        REQUIRE(store->add({.kind = RecordKind::report, .payload = page}));
        return store->commit([&](const Record& record) { diary.write(record); });
    };
    REQUIRE(write());
    files.fail_at(1);  // the write; to cut it off again needs no space
    const auto refused = write();
    REQUIRE(!refused);
    CHECK(refused.error() == Error{Code::not_durable, ENOSPC});
    CHECK(!store->broken());
    REQUIRE(write());
    CHECK(diary.pages.size() == 2);
    files.fail_all(EIO);
    CHECK(!write());
    CHECK(store->broken());
    files.fail_all(0);
    CHECK(!write());  // nobody knows what is on the disk: only opening the store again tells
    store.reset();
    files.restart();
    store = open_at_last(files, diary);
    CHECK(diary.pages.size() >= 2);
}

TEST_CASE("a record that decays on the disk is told from one that was cut short") {
    for (const std::size_t place : {3u, 20u, 75u, 90u, 200u}) {
        SimulatedFiles files(1);
        Diary diary;
        auto store = open_at_last(files, diary);
        for (int k = 0; k < 4; ++k) {
            REQUIRE(store->add({.kind = RecordKind::report, .payload = std::vector<std::byte>(40, std::byte{1})}));
            REQUIRE(store->commit([](const Record&) {}));
        }
        store.reset();
        files.corrupt("store/log-0000000000000001", place);
        const auto opened = Store::open(files, "store", small_log, diary);
        REQUIRE(!opened);
        CHECK(opened.error().code == Code::store_damaged);
        CHECK(opened.error().first == static_cast<std::int64_t>(1 + place / record_bytes(40)));
    }
}

TEST_CASE("a damaged snapshot is refused, not misread") {
    SimulatedFiles files(1);
    Diary diary;
    auto store = open_at_last(files, diary);
    REQUIRE(store->add({.kind = RecordKind::report, .payload = std::vector<std::byte>(40, std::byte{1})}));
    REQUIRE(store->commit([&](const Record& record) { diary.write(record); }));
    REQUIRE(store->snapshot(diary, [] { return Result<void>{}; }));
    store.reset();
    const std::string path = "store/snapshot-0000000000000001";
    for (std::size_t place = 0; place < files.size(path); ++place) {
        files.corrupt(path, place);
        CHECK(!Store::open(files, "store", small_log, diary));
        files.corrupt(path, place);
    }
    CHECK(Store::open(files, "store", small_log, diary));
}

TEST_CASE("a snapshot that could not be written leaves no half one behind, whatever failed") {
    for (std::uint64_t operation = 1;; ++operation) {
        INFO("operation " << operation);
        SimulatedFiles files(1);
        Diary diary;
        auto store = open_at_last(files, diary);
        REQUIRE(store->add({.kind = RecordKind::report, .payload = std::vector<std::byte>(40, std::byte{1})}));
        REQUIRE(store->commit([&](const Record& record) { diary.write(record); }));
        files.fail_at(operation);
        const auto begun = store->begin_snapshot(diary, [] { return Result<void>{}; });
        const auto written = begun ? store->finish_snapshot() : begun;
        REQUIRE(written);
        const auto names = files.list("store");
        if (*written && operation > 1) {
            CHECK(operation > 8);
            break;  // nothing is left that could fail
        }
        CHECK(!*written);
        CHECK(!store->drafting());
        REQUIRE(names);
        for (const std::string& name : *names) CHECK(!name.ends_with(".new"));
    }
}

TEST_CASE("a store belongs to one process at a time, on real files too") {
    const auto directory = std::filesystem::temp_directory_path() / ("dunlin-store-" + std::to_string(::getpid()));
    std::filesystem::remove_all(directory);
    FileSystem& files = posix_file_system();
    REQUIRE(files.make_directory(directory));
    Diary first, second;
    auto store = Store::open(files, directory, small_log, first);
    REQUIRE(store);
    const auto other = Store::open(files, directory, small_log, second);
    REQUIRE(!other);
    CHECK(other.error().code == Code::store_in_use);
    for (int k = 0; k < 50; ++k) {
        const std::vector<std::byte> page(100, static_cast<std::byte>(k));
        REQUIRE((*store)->add({.kind = RecordKind::report, .payload = page}));
        REQUIRE((*store)->commit([&](const Record& record) { first.write(record); }));
        if ((*store)->snapshot_due()) REQUIRE((*store)->snapshot(first, [] { return Result<void>{}; }));
    }
    store->reset();
    REQUIRE(Store::open(files, directory, small_log, second));
    CHECK(second.pages == first.pages);

    // Who opens more than the store has the lock before and after it.
    StoreSettings locked = small_log;
    locked.lock = *files.lock(directory / "lock");
    Diary third;
    REQUIRE(Store::open(files, directory, locked, third));
    CHECK(third.pages == first.pages);
    CHECK(Store::open(files, directory, small_log, second).error().code == Code::store_in_use);
    std::filesystem::remove_all(directory);
}

TEST_CASE("what waits for a commit is bounded") {
    SimulatedFiles files(1);
    Diary diary;
    auto store = open_at_last(files, diary);
    const std::vector<std::byte> page(10'000);
    Result<void> added;
    int count = 0;
    while ((added = store->add({.kind = RecordKind::report, .payload = page}))) REQUIRE(++count < 100);
    CHECK(added.error().code == Code::busy);
    CHECK(store->gathered_bytes() <= small_log.batch_bytes);
    REQUIRE(store->commit([](const Record&) {}));
    CHECK(store->add({.kind = RecordKind::report, .payload = page}));
}
