// SPDX-License-Identifier: Apache-2.0
#include "fleet/coordinator/record.hpp"

#include <cstring>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace dunlin {
namespace {

std::uint64_t checksum_of(const RecordHead& head, std::span<const std::byte> payload) {
    const std::uint64_t seed = XXH3_64bits(&head, offsetof(RecordHead, checksum));
    return XXH3_64bits_withSeed(payload.data(), payload.size(), seed);
}

}  // namespace

std::uint64_t checksum_of(std::span<const std::byte> bytes) {
    return XXH3_64bits(bytes.data(), bytes.size());
}

void append_record(std::vector<std::byte>& out, const Record& record, std::uint64_t durable) {
    RecordHead head;
    head.payload_bytes = static_cast<std::uint32_t>(record.payload.size());
    head.kind = static_cast<std::uint16_t>(record.kind);
    head.detail = record.detail;
    head.samples = record.samples;
    head.node = record.node;
    head.index = record.index;
    head.durable = durable;
    head.job = record.job;
    head.sequence = record.sequence;
    head.base_version = record.base_version;
    head.incarnation = record.incarnation;
    head.time_ms = record.time_ms;
    head.checksum = checksum_of(head, record.payload);
    const auto* first = reinterpret_cast<const std::byte*>(&head);
    const std::size_t end = out.size() + record_bytes(record.payload.size());
    out.insert(out.end(), first, first + sizeof head);
    out.insert(out.end(), record.payload.begin(), record.payload.end());
    out.resize(end);
}

Result<ReadRecord> read_record(std::span<const std::byte> bytes, Verify verify) {
    RecordHead head;
    if (bytes.size() < sizeof head) return fail(Code::store_damaged);
    std::memcpy(&head, bytes.data(), sizeof head);
    if (head.magic != RecordHead::mark) return fail(Code::store_damaged);
    const std::size_t whole = record_bytes(head.payload_bytes);
    if (bytes.size() < whole) return fail(Code::store_damaged);
    const auto payload = bytes.subspan(sizeof head, head.payload_bytes);
    if (verify == Verify::yes && head.checksum != checksum_of(head, payload)) return fail(Code::store_damaged);
    return ReadRecord{{.kind = static_cast<RecordKind>(head.kind),
                       .node = head.node,
                       .incarnation = head.incarnation,
                       .job = head.job,
                       .sequence = head.sequence,
                       .base_version = head.base_version,
                       .detail = head.detail,
                       .samples = head.samples,
                       .time_ms = head.time_ms,
                       .index = head.index,
                       .payload = payload},
                      whole,
                      head.durable};
}

}  // namespace dunlin
