// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace dunlin {

/// What a reader of data left out, filled in, renumbered, cut or assumed; for people and for summary.json.
struct DataNote {
    std::string key;         ///< "constant_features"; empty: nothing was counted
    std::int64_t count = 0;  ///< how many
    std::string text;        ///< one sentence without a full stop; empty: a number that surprises nobody
};
using DataNotes = std::vector<DataNote>;

}  // namespace dunlin
