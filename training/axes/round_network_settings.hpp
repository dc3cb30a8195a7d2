// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/settings/settings.hpp"

namespace dunlin {

/// The section [network] of an experiment that counts in rounds, as far as such experiments have it alike: the graph
/// and the bounds of its links, which S has as members.
template <class S>
void add_round_network_settings(Settings& list, S& s) {
    using Range = Settings::Range;
    list.add("network.graph", s.graph,
             "ring, directed-ring, exponential, complete, star, erdos-renyi, erdos-renyi-undirected, or file");
    list.add("network.probability", s.probability, "of each edge of an Erdos-Renyi graph", Range{0, 1, true});
    list.add_path("network.file", s.graph_file, "edge list, one \"from to\" a line, for graph = \"file\"");
    list.add("network.wake_gap", s.wake_gap, "Gamma_w: most rounds from one wake-up to the next", Range{1, 10000});
    list.add("network.delay_limit", s.delay_limit, "Gamma_d: most rounds that a message takes", Range{1, 10000});
    list.add("network.loss", s.loss, "probability that a message is lost", Range{0, 1});
    list.add("network.loss_limit", s.loss_limit, "Gamma_f: most losses in a row on a link; -1: no bound",
             Range{-1, 1e9});
}

}  // namespace dunlin
