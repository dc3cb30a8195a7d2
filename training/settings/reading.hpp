// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "envs/data_file.hpp"
#include "envs/data_notes.hpp"
#include "training/host/failure.hpp"
#include "transport/graph.hpp"

#include <cstdint>
#include <string_view>

namespace dunlin {

/// An error of a file of data as a person reads it: the file, where in it, what stands there, what is expected.
tl::unexpected<Failure> refuse(const FileFailure& error);

/// build_graph, with its error by the settings `section`.graph and `section`.file ("network"), and with notes on
/// what an edge list says that is not used or was renumbered, where `notes` is given.
Outcome<Graph> read_graph(const GraphRecipe& recipe, std::uint64_t seed, std::string_view section,
                          DataNotes* notes = nullptr);

/// The graph with the reverse of every edge, for a method that wants both. `where` is the setting that it comes
/// from, `method` who wants it; `notes`, where given, are told how many edges were added.
Outcome<Graph> take_both_ways(Graph graph, std::string_view where, std::string_view method,
                              DataNotes* notes = nullptr);

}  // namespace dunlin
