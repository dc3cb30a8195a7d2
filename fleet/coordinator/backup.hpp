// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fleet/coordinator/coordinator.hpp"
#include "fleet/coordinator/index.hpp"

namespace dunlin {

/// Copies a store as it is now to a new directory: a snapshot, store.db, and the other files of the directory
/// (keys, settings). Between two commits of the coordinator it is consistent, also while it runs. Errors:
/// file_unwritable, also where there is something already; the store's.
Result<void> back_up(Coordinator& coordinator, Index& index, const std::filesystem::path& to);

/// The state in a backup. Errors: file_missing, store_damaged, store_version.
Result<std::unique_ptr<FleetState>> read_backup(const std::filesystem::path& from);

/// What a restore of `backup` in place of `now` undoes, in sentences: first what somebody should be asked about
/// (keys that are let in again, mass and jobs that are discarded), then the rest.
struct Undone {
    std::vector<std::string> serious, other;
};
std::string restore_question(const Undone& undone);
Undone undone_by_restore(const FleetState& now, const FleetState& backup);

/// Looks whether the store is where it was last: a copy of a store (a restored backup, a moved or a cloned
/// directory) says so to its coordinator, which then gives no number twice. Before nodes are heard. Errors: the
/// store's; file_unwritable.
Result<void> notice_copy(Coordinator& coordinator);

/// Puts a backup in the place of a store that nobody has open, which is kept beside it; answers where. Errors:
/// read_backup's, store_in_use, file_unwritable.
Result<std::filesystem::path> restore_backup(const std::filesystem::path& from, const std::filesystem::path& to);

}  // namespace dunlin
