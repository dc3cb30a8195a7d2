// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace dunlin::app {

/// All of the program `dunlin`, for a `main` that registers problems of its own first (training/problems/problem_kinds.hpp).
/// Returns the exit code. Of Dunlin::program.
int run_dunlin(int argc, char** argv);

/// The same of `dunlin-node`; it brings an `operator new` that bounds what a job takes. Of Dunlin::node_program.
int run_dunlin_node(int argc, char** argv);

}  // namespace dunlin::app
