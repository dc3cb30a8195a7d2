// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/checksum.hpp"

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace dunlin::device {

/// Flash that can be read like memory, in two slots that are erased each by itself. Erased bytes are 0xff; programming
/// clears bits, a whole word at a time and each word once. `erase` and `program` return whether it is done.
template <class F>
concept TwoSlots = requires(F& flash, const F& constant, int slot, std::uint32_t offset,
                            std::span<const std::byte> words) {
    { F::slot_bytes } -> std::convertible_to<std::uint32_t>;
    { F::word_bytes } -> std::convertible_to<std::uint32_t>;  ///< 1, 2, 4, 8, 16 or 32
    { flash.erase(slot) } -> std::same_as<bool>;
    { flash.program(slot, offset, words) } -> std::same_as<bool>;
    { constant.at(slot) } -> std::convertible_to<const std::byte*>;
};

/// How often the slots may be erased, of the two together: what the chip's data sheet says of a sector, twice.
struct FlashBudget {
    std::uint32_t erasures = 20'000;
    std::uint32_t for_numbers = 2'000;  ///< of these, kept back for `number` when records may no longer be written
};

/// Keeps one record and a counter in flash, for dunlin_storage_read, dunlin_storage_write and dunlin_counter of hooks.h.
///
/// Entries are appended to a slot, each with its sequence number and checksums. Where a slot is full the other one is
/// erased and goes on, while the full one holds the newest record until its successor can be read back: power may be cut at
/// any moment, and what is read later is the record before or the one that was being written, whole. A counter's numbers are
/// set aside in flash a block at a time before the first of them is given, so that none is given twice; a reset skips
/// what is left of a block.
///
/// An erasure that is cut short is not counted. Allocates nothing; not for interrupts.
template <TwoSlots Flash>
class FlashLog {
public:
    /// Looks at what is there. `chip` lives as long as the log.
    explicit FlashLog(Flash& chip, FlashBudget budget = {}) : flash_(chip), budget_(budget) {
        std::uint32_t newest = 0;
        for (int slot = 0; slot < 2; ++slot) scan(slot, newest);
        next_number_ = numbers_;
    }

    /// Copies the newest record to `to`. False: there is none, or it has another length.
    bool read(std::span<std::byte> to) const {
        if (!record_.bytes() || record_.length != to.size()) return false;
        std::copy_n(body(record_), to.size(), to.data());
        return true;
    }
    /// Keeps a record, of one byte at least. False: it is too long for a slot, the budget is spent, or the flash does not
    /// hold what was written to it; the one before is still there.
    bool write(std::span<const std::byte> from) {
        if (from.empty()) return false;
        return append(from, numbers_, budget_.erasures - std::min(budget_.for_numbers, budget_.erasures));
    }
    /// A number that was never given before. False: the budget is spent, or the flash is worn.
    bool number(std::uint64_t& next) {
        if (next_number_ == numbers_ && !append({}, numbers_ + block, budget_.erasures)) return false;
        next = next_number_++;
        return true;
    }

    std::uint32_t erasures() const { return erasures_; }
    /// Records of so many bytes that still may be written.
    std::uint64_t writes_left(std::uint32_t bytes) const {
        const std::uint32_t limit = budget_.erasures - std::min(budget_.for_numbers, budget_.erasures);
        const std::uint64_t in_slot = Flash::slot_bytes / entry_bytes(bytes);
        const std::uint64_t here = (Flash::slot_bytes - end_) / entry_bytes(bytes);
        return here + (limit > erasures_ ? limit - erasures_ : 0) * in_slot;
    }

private:
    static constexpr std::uint32_t block = 64;  ///< numbers to an entry
    static constexpr std::uint32_t word = Flash::word_bytes;
    static_assert(word > 0 && 32 % word == 0 && Flash::slot_bytes % word == 0);

    struct Head {
        std::uint32_t magic = 0x4c464e44, sequence = 0, length = 0, erasures = 0;
        std::uint64_t numbers = 0;  ///< below this one all may have been given
        std::uint32_t body_sum = 0, head_sum = 0;

        std::uint32_t sum() const {
            return crc32({reinterpret_cast<const std::uint8_t*>(this), offsetof(Head, head_sum)});
        }
    };
    static_assert(sizeof(Head) == 32);

    /// A record that is there.
    struct Place {
        int slot = 0;
        std::uint32_t offset = 0, length = 0, sequence = 0;
        bool bytes() const { return length > 0; }
    };

    static std::uint32_t padded(std::uint32_t bytes) { return (bytes + word - 1) / word * word; }
    static std::uint32_t entry_bytes(std::uint32_t length) {
        return static_cast<std::uint32_t>(sizeof(Head)) + padded(length);
    }
    const std::byte* body(const Place& place) const { return flash_.at(place.slot) + place.offset + sizeof(Head); }
    static std::uint32_t sum_of(const std::byte* bytes, std::uint32_t count) {
        return crc32({reinterpret_cast<const std::uint8_t*>(bytes), count});
    }

    /// `newest`: the sequence number of the newest entry that is whole.
    void scan(int slot, std::uint32_t& newest) {
        const std::byte* const at = flash_.at(slot);
        std::uint32_t offset = 0;
        bool has_newest = false;
        while (offset + sizeof(Head) <= Flash::slot_bytes) {
            Head head;
            std::memcpy(&head, at + offset, sizeof head);
            if (head.magic != Head{}.magic || head.head_sum != head.sum() ||
                head.length > Flash::slot_bytes - offset - sizeof head)
                break;
            const Place place{slot, offset, head.length, head.sequence};
            offset += entry_bytes(head.length);
            sequence_ = std::max(sequence_, head.sequence);
            if (sum_of(body(place), head.length) != head.body_sum) continue;
            take(head, place);
            if (head.sequence >= newest) {
                newest = head.sequence;
                has_newest = true;
            }
        }
        if (!has_newest) return;
        slot_ = slot;
        // Behind the last entry everything must be as erased; a head that was cut short is not.
        const bool free =
            std::all_of(at + offset, at + Flash::slot_bytes, [](std::byte b) { return b == std::byte{0xff}; });
        end_ = free ? offset : Flash::slot_bytes;
    }
    void take(const Head& head, const Place& place) {
        if (place.bytes() && place.sequence >= record_.sequence) record_ = place;
        numbers_ = std::max(numbers_, head.numbers);
        erasures_ = std::max(erasures_, head.erasures);
    }

    /// An entry with this record, or, where there is none, with numbers alone.
    bool append(std::span<const std::byte> record, std::uint64_t numbers, std::uint32_t limit) {
        const auto length = static_cast<std::uint32_t>(record.size());
        if (record.size() > Flash::slot_bytes - sizeof(Head)) return false;
        if (entry_bytes(length) <= Flash::slot_bytes - end_ && put(slot_, end_, record, numbers)) return true;
        // The newest entry that is whole is in this slot, and so is the record: the other one may go.
        if (erasures_ >= limit) return false;
        const int other = 1 - slot_;
        ++erasures_;
        end_ = Flash::slot_bytes;
        if (!flash_.erase(other)) return false;
        if (record.empty() && record_.bytes()) record = {body(record_), record_.length};
        return put(other, 0, record, numbers);
    }
    bool put(int slot, std::uint32_t offset, std::span<const std::byte> record, std::uint64_t numbers) {
        Head head;
        head.sequence = ++sequence_;
        head.length = static_cast<std::uint32_t>(record.size());
        head.erasures = erasures_;
        head.numbers = numbers;
        head.body_sum = sum_of(record.data(), head.length);
        head.head_sum = head.sum();
        const Place place{slot, offset, head.length, head.sequence};
        std::array<std::byte, sizeof(Head)> bytes;
        std::memcpy(bytes.data(), &head, sizeof head);
        if (!flash_.program(slot, offset, bytes) || !program_body(place, record) ||
            std::memcmp(flash_.at(slot) + offset, &head, sizeof head) != 0 ||
            sum_of(body(place), head.length) != head.body_sum) {
            // What was begun is not written to a second time.
            end_ = Flash::slot_bytes;
            return false;
        }
        slot_ = slot;
        end_ = offset + entry_bytes(head.length);
        take(head, place);
        return true;
    }
    bool program_body(const Place& place, std::span<const std::byte> record) {
        std::uint32_t offset = place.offset + static_cast<std::uint32_t>(sizeof(Head));
        while (!record.empty()) {
            std::array<std::byte, 64> part;
            part.fill(std::byte{0xff});
            const std::size_t count = std::min(record.size(), part.size());
            std::copy_n(record.data(), count, part.data());
            const std::uint32_t whole = padded(static_cast<std::uint32_t>(count));
            if (!flash_.program(place.slot, offset, {part.data(), whole})) return false;
            offset += whole;
            record = record.subspan(count);
        }
        return true;
    }

    Flash& flash_;
    FlashBudget budget_;
    Place record_{};
    int slot_ = 1;  ///< of the newest entry; at first the other one is erased and takes it
    std::uint32_t end_ =
        Flash::slot_bytes;  ///< of its entries; the whole slot where nothing more may be written to it
    std::uint32_t sequence_ = 0, erasures_ = 0;
    std::uint64_t numbers_ = 0, next_number_ = 0;
};

}  // namespace dunlin::device
