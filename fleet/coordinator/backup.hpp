// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fleet/coordinator/coordinator.hpp"
#include "fleet/coordinator/index.hpp"

namespace dunlin {

/// Copies a store as it is now to a new directory: a snapshot, store.db, and the other files of the directory
/// (keys, settings). Between two commits of the coordinator it is consistent, also while it runs. Errors:
/// file_unwritable, also where there is something already; the store's.
Result<void> back_up(Coordinator& coordinator, Index& index, const std::filesystem::path& to);

/// Is this a whole backup? Errors: file_missing, store_damaged, store_version.
Result<void> check_backup(const std::filesystem::path& from);

/// Puts a backup in the place of a store that nobody has open, which is kept beside it; answers where. Errors:
/// check_backup's, store_in_use, file_unwritable.
Result<std::filesystem::path> restore_backup(const std::filesystem::path& from, const std::filesystem::path& to);

}  // namespace dunlin
