// SPDX-License-Identifier: Apache-2.0
// The log in a device's flash, with power that is cut at every byte.
#include "flash_log.hpp"

#include "core/random.hpp"

#include <memory>
#include <set>
#include <vector>

#include <catch2/catch.hpp>

using namespace dunlin;
using device::FlashBudget;
using device::FlashLog;

namespace {

struct PowerCut {};

/// NOR flash: erasing sets all bits of a slot, programming clears bits of a word that was erased. Power is cut after so many
/// bytes more, in the middle of whatever is done.
template <std::uint32_t bytes, std::uint32_t word>
struct SimulatedFlash {
    static constexpr std::uint32_t slot_bytes = bytes, word_bytes = word;
    std::array<std::array<std::byte, bytes>, 2> slots;
    std::int64_t power = INT64_MAX;
    Stream noise{1, 0, Purpose::user};
    int erasures = 0;
    bool worn = false;

    SimulatedFlash() {
        for (auto& slot : slots) slot.fill(std::byte{0x5a});
    }
    const std::byte* at(int slot) const { return slots[static_cast<std::size_t>(slot)].data(); }
    bool erase(int slot) {
        ++erasures;
        auto& all = slots[static_cast<std::size_t>(slot)];
        // A cut leaves some bytes erased, some as they were and some in between.
        if (power < static_cast<std::int64_t>(bytes)) {
            for (std::byte& byte : all) byte |= static_cast<std::byte>(noise.below(256));
            throw PowerCut{};
        }
        power -= bytes;
        all.fill(std::byte{0xff});
        return true;
    }
    bool program(int slot, std::uint32_t offset, std::span<const std::byte> words) {
        REQUIRE(offset % word == 0);
        REQUIRE(words.size() % word == 0);
        REQUIRE(offset + words.size() <= bytes);
        for (std::size_t k = 0; k < words.size(); ++k) {
            std::byte& cell = slots[static_cast<std::size_t>(slot)][offset + k];
            REQUIRE(cell == std::byte{0xff});
            if (power-- <= 0) {
                cell = words[k] | static_cast<std::byte>(noise.below(256));
                throw PowerCut{};
            }
            cell = worn && k == 5 ? std::byte{0x00} : words[k];
        }
        return true;
    }
};

using Small = SimulatedFlash<512, 4>;

std::vector<std::byte> record_of(std::uint32_t number, std::size_t length) {
    std::vector<std::byte> record(length);
    for (std::size_t k = 0; k < length; ++k) record[k] = static_cast<std::byte>(number * 31 + k * 7);
    return record;
}
template <class Log>
bool holds(const Log& log, const std::vector<std::byte>& record) {
    std::vector<std::byte> found(record.size());
    return log.read(found) && found == record;
}

}  // namespace

TEST_CASE("a flash log gives back the newest record, after a reset too, of several to an erasure") {
    auto flash = std::make_unique<Small>();
    FlashLog log(*flash);
    std::vector<std::byte> none(3);
    CHECK_FALSE(log.read(none));
    for (std::uint32_t k = 0; k < 40; ++k) {
        const auto record = record_of(k, 5 + k % 60);
        REQUIRE(log.write(record));
        CHECK(holds(log, record));
        CHECK(holds(FlashLog(*flash), record));
        std::vector<std::byte> other(record.size() + 1);
        CHECK_FALSE(log.read(other));
    }
    CHECK(flash->erasures < 12);
    CHECK(static_cast<int>(log.erasures()) == flash->erasures);
    CHECK_FALSE(log.write({}));
    CHECK_FALSE(log.write(record_of(1, 481)));
    CHECK(log.write(record_of(1, 480)));
    CHECK(holds(log, record_of(1, 480)));
}

TEMPLATE_TEST_CASE("wherever power is cut, a flash log has the record before or the one that was being written", "",
                   Small, (SimulatedFlash<512, 16>), (SimulatedFlash<384, 32>), (SimulatedFlash<300, 1>)) {
    for (std::int64_t cut = 0; cut < 2600; ++cut) {
        CAPTURE(cut);
        auto flash = std::make_unique<TestType>();
        flash->noise = Stream(static_cast<std::uint64_t>(cut), 0, Purpose::user);
        std::vector<std::byte> before, writing;
        std::set<std::uint64_t> given;
        std::uint32_t next = 0;
        // Two cuts, so that what the first one left is gone on with, and a third life in peace.
        for (const std::int64_t power : {cut, cut * 7 % 1900, std::int64_t{1} << 40}) {
            flash->power = power;
            try {
                FlashLog log(*flash);
                if (!writing.empty()) {
                    const bool newer = holds(log, writing);
                    REQUIRE((newer || before.empty() || holds(log, before)));
                    if (newer) before = writing;
                }
                for (int step = 0; step < 14; ++step) {
                    std::uint64_t number = 0;
                    for (int k = 0; k < 50; ++k) {
                        if (!log.number(number)) break;
                        REQUIRE(given.insert(number).second);
                    }
                    ++next;
                    writing = record_of(next, 20 + next * 13 % 90);
                    const bool written = log.write(writing);
                    REQUIRE(written);
                    before = writing;
                    REQUIRE(holds(log, before));
                }
            } catch (const PowerCut&) {
            }
        }
        REQUIRE(holds(FlashLog(*flash), before));
    }
}

TEST_CASE("a flash log stops at its budget, keeps numbers longer than records, and loses nothing to worn flash") {
    auto flash = std::make_unique<Small>();
    FlashLog log(*flash, FlashBudget{.erasures = 10, .for_numbers = 4});
    std::uint32_t written = 0;
    const std::uint64_t told = log.writes_left(100);
    while (log.write(record_of(written + 1, 100))) ++written;
    CHECK(flash->erasures == 6);
    CHECK(written == told);
    CHECK(holds(log, record_of(written, 100)));
    std::uint64_t number = 0, count = 0;
    while (log.number(number)) ++count;
    CHECK(flash->erasures == 10);
    CHECK(count > 1000);
    CHECK(holds(FlashLog(*flash, FlashBudget{.erasures = 10, .for_numbers = 4}), record_of(written, 100)));

    auto worn = std::make_unique<Small>();
    FlashLog other(*worn);
    REQUIRE(other.write(record_of(1, 50)));
    worn->worn = true;
    CHECK_FALSE(other.write(record_of(2, 50)));
    CHECK_FALSE(other.write(record_of(2, 50)));
    CHECK(holds(other, record_of(1, 50)));
    CHECK(holds(FlashLog(*worn), record_of(1, 50)));
    worn->worn = false;
    REQUIRE(other.write(record_of(3, 50)));
    CHECK(holds(FlashLog(*worn), record_of(3, 50)));
}
