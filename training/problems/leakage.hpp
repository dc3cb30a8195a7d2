// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/problems/classification_fleet.hpp"

#include <string>
#include <vector>

namespace dunlin {

/// What one observer of a job's wire finds out of an update, under one protection; means over the clients looked at.
struct Leak {
    std::string observer, protection;
    double rows = 0;       ///< share of a client's rows that were recovered, in [0, 1]
    double nearest = 0;    ///< relative error of the best recovered row, |found - row| / |row|; 0 is exact
    double labels = 0;     ///< total variation distance of the labels' shares that were read off and the true ones
    bool nothing = false;  ///< it sees no numbers at all
};

struct LeakageAudit {
    std::uint32_t clients = 0;  ///< that were looked at
    double guess_nearest = 0;   ///< what the other clients' rows give
    double guess_labels = 0;    ///< what the labels' shares over all clients give
    std::vector<Leak> leaks;
};

/// A row counts as recovered within this relative error.
inline constexpr double recovered_within = 0.1;

/// Attacks the updates that the clients of a classification job would send from model w, as settings say: what a curious
/// coordinator, a neighbour, or whoever sees the model's versions recovers, with and without each protection.
///
/// Rows: where the first layer is dense, each of its units gives a candidate, the ratio of the changes of its weights and
/// of its bias, which is the row itself where one row alone made the unit change (Phong et al. 2018, section 3). Labels: the
/// change of the last layer's bias is the mean of softmax(z) - y over what was learned from (Zhao, Mopuri, Bilen 2020, for
/// one row). These attacks are exact where they succeed and cheap; who optimises for rows that explain an update
/// (Geiping et al. 2020) may find more, so that a small number here is no promise.
///
/// Errors: of the settings and data; a network whose first layer is not dense with a bias; w of another size.
Outcome<LeakageAudit> audit_leakage(const ClassificationSettings& settings, ConstVector<float> w);

}  // namespace dunlin
