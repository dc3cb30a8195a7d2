// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "apps/dunlin/saved_model.hpp"

#include <optional>
#include <string>
#include <vector>

namespace dunlin::app {

/// What is asked of `dunlin adapt` for a model that was not trained by navigation.
struct SupervisedAdaptation {
    std::vector<std::string> nodes;  ///< by name or number; empty: all
    std::optional<int> steps;        ///< none: as the experiment's nodes take
    bool json = false;
    bool quiet = false;  ///< the result alone
    std::string data{};  ///< a node's own, where the nodes brought theirs (data.source = nodes)
};

/// Lets the nodes of a run make its model their own on their training rows, and prints how they do on the rows held
/// out before and after, beside the untrained model, which gets the same steps. Returns the exit code. Errors: the
/// settings', data that are gone, a model of another shape.
Outcome<int> adapt_supervised(const SavedModel& saved, const SupervisedAdaptation& asked);

}  // namespace dunlin::app
