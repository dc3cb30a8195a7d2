// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "envs/data_table.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace dunlin {

/// How a table's rows are shared out among nodes. Every row goes to one node at most.
enum class Split : std::uint8_t {
    uniform,  ///< at random
    labels,   ///< each node holds `labels_per_node` labels; a label's rows are dealt to its holders
    skew,     ///< a share `skew` of a node's rows has the label (node mod classes), the rest is drawn from what is
              ///< left
    dirichlet,  ///< a label's rows are divided by a draw from Dirichlet(alpha) (Hsu et al. 2019)
    users       ///< one node per user of the table
};

struct SplitSettings {
    Split kind = Split::labels;
    int nodes = 50;              ///< not read for Split::users
    int labels_per_node = 2;     ///< in [1, classes]
    float skew = 0.95f;          ///< in [0, 1]
    float alpha = 0.5f;          ///< > 0; small: each node sees few labels
    float test_fraction = 0.2f;  ///< of each node's rows, at random, in [0, 1)
    int train_limit = 0;         ///< most rows a node trains on; 0: no limit. The others go unused.
    bool conflicting = false;    ///< every node has a random permutation of the labels of its own
    int largest_users = 0;       ///< Split::users: only these many with the most rows; 0: all
};

/// A node's part of a table, as row indices.
struct NodeRows {
    std::vector<std::uint32_t> train, test;
    std::vector<std::uint8_t> relabel;  ///< the label that the node gives to each label; empty: no change

    LabelledRows train_view(const DataTable& table) const { return table.view(train, names()); }
    LabelledRows test_view(const DataTable& table) const { return table.view(test, names()); }
    /// Gives its labels, of so many classes, in the opposite order: what a node does that lies about them.
    void flip(int classes);

private:
    const std::uint8_t* names() const { return relabel.empty() ? nullptr : relabel.data(); }
};

/// Shares out a table. The same seed gives the same split. Where the table says what its rows are for, a node holds out
/// those of its rows that are to test on, and no others. Split::users leaves out users who would have no row to
/// train on. Errors: bad_setting (position in the struct; also Split::users for a table without users);
/// too_few_rows (a node, or every user, would have none to train on, or none to test on where test_fraction > 0).
Result<std::vector<NodeRows>> split_rows(const DataTable& table, const SplitSettings& settings, std::uint64_t seed);

/// What a split left out: unused_users, unused_rows, classes_without_rows, classes_without_training (that no node
/// trains on), classes_without_test (that none holds out). What the settings ask for is counted without a sentence.
DataNotes split_notes(const DataTable& table, const SplitSettings& settings, std::span<const NodeRows> nodes);

/// All rows that any of the nodes trains on: what DataTable::standardise wants.
std::vector<std::uint32_t> training_rows(std::span<const NodeRows> nodes);

}  // namespace dunlin
