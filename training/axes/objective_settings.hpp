// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/adapt/bilevel.hpp"
#include "core/adapt/ditto.hpp"
#include "core/aggregate/gossip.hpp"
#include "training/settings/settings.hpp"

#include <string>

namespace dunlin {

/// Adds SECTION.personal_rate, ridge, hyper_gradient, neumann_terms and neumann_rate.
void add_bilevel_settings(Settings& list, const std::string& section, Bilevel& bilevel);

/// Adds ditto.prox_weight, personal_rate and steps.
void add_ditto_settings(Settings& list, Ditto& ditto);

/// Adds hgp.inner_steps and neumann_steps.
void add_series_settings(Settings& list, SeriesPlan& series);

}  // namespace dunlin
