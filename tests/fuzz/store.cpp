// SPDX-License-Identifier: Apache-2.0
// Any bytes in a coordinator's directory: as they are, as records whose checksums are right, and as the state of a
// snapshot whose checksum is right. Refused, or a state that is saved and read as the same.
#include "fleet/coordinator/store.hpp"

#include "../fleet/coordinator/simulated_files.hpp"
#include "fleet/coordinator/fleet_state.hpp"
#include "fleet/coordinator/numbered_file.hpp"
#include "fuzz.hpp"

#include <algorithm>

using namespace dunlin;

namespace {

void write(testing::SimulatedFiles& files, std::string_view kind, std::span<const std::byte> bytes) {
    auto file = files.open(FileSystem::Path("store") / numbered_name(kind, kind == "log" ? 1 : 5));
    fuzz::require(file && (*file)->append(bytes) && (*file)->sync() && files.sync_directory("store"));
}

void open(testing::SimulatedFiles& files) {
    Journal nobody;
    FleetState state(nobody);
    const auto store = Store::open(files, "store", {}, state);
    if (!store) return;
    const std::vector<std::byte> saved = state.save();
    FleetState again(nobody);
    fuzz::require(again.load(saved).has_value());
    fuzz::require(again.save() == saved);
}

/// The input as records, numbered and summed as they should be.
std::vector<std::byte> records(std::span<const std::byte> rest) {
    std::vector<std::byte> log;
    for (std::uint64_t index = 1; rest.size() >= sizeof(RecordHead); ++index) {
        RecordHead head;
        std::memcpy(&head, rest.data(), sizeof head);
        const std::size_t payload_bytes = std::min<std::size_t>(head.payload_bytes, rest.size() - sizeof head);
        const auto payload = rest.subspan(sizeof head, payload_bytes);
        rest = rest.subspan(std::min(rest.size(), record_bytes(payload_bytes)));
        append_record(log,
                      {.kind = static_cast<RecordKind>(head.kind),
                       .node = head.node,
                       .incarnation = head.incarnation,
                       .job = head.job,
                       .sequence = head.sequence,
                       .base_version = head.base_version,
                       .detail = head.detail,
                       .samples = head.samples,
                       .time_ms = head.time_ms,
                       .index = index,
                       .payload = payload},
                      index - 1);
    }
    return log;
}

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const auto bytes = std::as_bytes(std::span(data + 1, size - 1));
    testing::SimulatedFiles files(1);
    switch (data[0] % 4) {
        case 0:
            write(files, "log", bytes);
            break;
        case 1:
            write(files, "log", records(bytes));
            break;
        case 2:
            write(files, "snapshot", bytes);
            break;
        default:
            write(files, "snapshot", snapshot_bytes(bytes, 5));
    }
    open(files);
    return 0;
}
