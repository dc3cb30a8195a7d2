// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/error.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace dunlin {

/// Everything that changes a coordinator's durable state is one of these. Their numbers stand in files: they never
/// change. What the payload holds is written in docs/store.md.
enum class RecordKind : std::uint16_t {
    node_admitted = 1,
    node_revoked,
    node_rotated,      ///< a new key for a node
    node_incarnation,  ///< a node joined that does not know what it sent last
    store_copied,  ///< what came after may have come before, elsewhere; from the job `sequence` on numbers may be
                   ///< given again, and the next epoch of every graph skips `base_version` numbers
    job_created = 20,
    job_paused,
    job_resumed,
    job_time,    ///< for how long it has run
    job_ending,  ///< push-sum: gather what the nodes hold, then end
    job_ended,
    job_archived,         ///< lists leave it out; detail 0: no more
    job_deleted,          ///< an ended one, with its model and all that was kept of it
    member_offered = 40,  ///< what it will hold is counted on from here
    member_accepted,
    member_declined,
    member_leaving,      ///< asks to go; what it holds is handed on
    member_gone,         ///< for good, with what it holds
    member_lost,         ///< came back without its state, or had begun nothing when the epoch ended: taken in anew
    member_added,        ///< while the job ran, or again
    member_fenced = 50,  ///< push-sum: away for too long: what it holds counts no more, whatever it comes back with
    round_begun = 60,
    round_closed,
    update,
    round_summed,  ///< masked: the sum of a round's updates, and whose they are
    mass_report = 80,
    report = 100,
    model_kept = 110,       ///< version `sequence` of a model
    model_named,            ///< the name of version `sequence`
    rollout_started = 120,  ///< roll-out `sequence`; and with it the job that hands the version out
    rollout_released,       ///< who may have the new version, too
    rollout_paused,
    rollout_resumed,
    rollout_halted,   ///< by itself; the payload says why
    rollout_aborted,  ///< and its jobs end
    rollout_back,     ///< its job ends, and the job `base_version` takes the old version back
};

/// One of them, as it stands in the log; a view.
struct Record {
    RecordKind kind{};
    std::uint32_t node = 0;  ///< number in the roster, or member of the job
    std::uint32_t incarnation = 0;
    std::uint64_t job = 0;
    std::uint64_t sequence = 0;
    std::uint64_t base_version = 0;
    std::uint16_t detail = 0;  ///< update: its encoding
    float samples = 0;         ///< update
    std::int64_t time_ms = 0;  ///< since 1970, for people; nothing is decided by it
    std::uint64_t index = 0;   ///< its number in the log, from 1
    std::span<const std::byte> payload = {};
};

/// A record on disk: a head of 80 bytes, the payload, zeros up to a multiple of 16 bytes.
struct RecordHead {
    static constexpr std::uint32_t mark = 0x314c4e44;  // "DNL1"

    std::uint32_t magic = mark;
    std::uint32_t payload_bytes = 0;
    std::uint16_t kind = 0;
    std::uint16_t detail = 0;
    std::uint32_t node = 0;
    std::uint64_t index = 0;
    std::uint64_t durable = 0;  ///< newest record that was known to be on disk when this one was written
    std::uint64_t job = 0;
    std::uint64_t sequence = 0;
    std::uint64_t base_version = 0;
    std::uint32_t incarnation = 0;
    float samples = 0;
    std::int64_t time_ms = 0;
    std::uint64_t checksum = 0;  ///< XXH3 of the head up to here and the payload
};
static_assert(sizeof(RecordHead) == 80);

inline constexpr std::size_t record_alignment = 16;
constexpr std::size_t record_bytes(std::size_t payload_bytes) {
    return (sizeof(RecordHead) + payload_bytes + record_alignment - 1) / record_alignment * record_alignment;
}

/// Appends a record to `out`, whose size is a multiple of 16.
void append_record(std::vector<std::byte>& out, const Record& record, std::uint64_t durable);

/// A record, the bytes that it takes, and what was durable when it was written.
struct ReadRecord {
    Record record;
    std::size_t bytes = 0;
    std::uint64_t durable = 0;
};
enum class Verify : bool { no, yes };
/// The record at the start of `bytes`, a view of them. Error: store_damaged, for one that is cut off too.
Result<ReadRecord> read_record(std::span<const std::byte> bytes, Verify verify = Verify::yes);

/// What is said of a record that was written whole, but holds what its kind cannot: that of a newer program, say.
inline tl::unexpected<Error> unreadable(const Record& record) {
    return fail(Code::store_damaged, static_cast<std::int64_t>(record.index));
}

/// XXH3.
std::uint64_t checksum_of(std::span<const std::byte> bytes);

}  // namespace dunlin
