// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "envs/data_notes.hpp"

#include <span>
#include <string>

#include <nlohmann/json_fwd.hpp>

namespace dunlin::app {

/// `data` of summary.json: every count by its key, and the sentences as `notes`.
nlohmann::ordered_json data_json(const DataNotes& notes);

/// The sentences, for a report behind others; empty where there is nothing to say.
std::string notes_text(const DataNotes& notes);

/// The same of several runs of a comparison: a count that is not the same in all of them as [least, most].
nlohmann::ordered_json data_json(std::span<const DataNotes> runs);
/// Each sentence once, with how many of the runs it is about where it is not about all, and how its count varies.
std::string notes_text(std::span<const DataNotes> runs);

/// Says every sentence on stderr, once for the process however many runs a comparison has.
void say_notes(const DataNotes& notes);

}  // namespace dunlin::app
