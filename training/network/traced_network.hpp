// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "envs/data_notes.hpp"
#include "training/host/failure.hpp"
#include "training/network/network_trace.hpp"
#include "transport/simulation/network.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace dunlin {

class Settings;

/// Who takes part, of a fleet that follows a trace.
struct TracedFleet {
    std::uint32_t nodes = 0;
    bool server = false;          ///< one more, in front of the nodes
    bool fastest_is_one = false;  ///< paces by the fastest of the nodes, not by the median of the file
    double tick_s = 1e-9;         ///< a tick of the simulated network
};

/// A trace laid on a fleet's network: node i of the network is node i of the trace, and where the network has a
/// server, that is node 0 of both.
///
/// - A message takes half a round trip of its pair, of a slice that is drawn for every message anew, rounded up to
///   ticks. A pair that was measured in one direction only has the same in the other; one that was never measured
///   has the median of all pairs.
/// - It arrives with the probability of its radio link. Between nodes that do not hear each other it is relayed
///   along the way whose product of probabilities is largest.
/// - Node i works at a speed of the file: with fewer nodes than devices at number i m / n of the m devices, which
///   keeps their spread, else at i modulo m.
class TracedNetwork {
public:
    /// `notes` are told what was taken and filled in. Errors: more nodes than a trace of links has; a node that no
    /// radio link leads to.
    static Outcome<std::shared_ptr<const TracedNetwork>> lay(const NetworkTrace& trace, const TracedFleet& fleet,
                                                             DataNotes* notes);

    bool has_latency() const { return !first_time_.empty(); }
    bool has_losses() const { return !loss_.empty(); }
    /// Time per work of every node, without the server, over that at speed 1; empty: not traced.
    const std::vector<float>& paces() const { return paces_; }
    /// The longest that a message is under way.
    simulation::Time longest() const { return longest_; }
    float largest_loss() const { return largest_loss_; }

    /// What the usual link is between these nodes of the network: its own latency's minimum is added to that of the
    /// trace; losses of the trace replace its own.
    simulation::LinkProfile profile(std::uint32_t from, std::uint32_t to, simulation::LinkProfile usual) const;
    /// The same for every link of the network, which must not outlive this.
    Result<void> shape(simulation::Network& network, const simulation::LinkProfile& usual) const;

private:
    void take_latency(const NetworkTrace& trace, double tick_s, DataNotes& notes);
    Outcome<void> take_losses(const NetworkTrace& trace, DataNotes& notes);
    void take_paces(const NetworkTrace& trace, const TracedFleet& fleet, DataNotes& notes);

    std::uint32_t nodes_ = 0;  ///< of the network
    std::vector<simulation::Time> times_;
    std::vector<std::size_t> first_time_;  ///< by pair, into times_; one more at the end
    std::vector<float> loss_;              ///< by pair
    std::vector<float> paces_;
    simulation::Time longest_ = 0;
    float largest_loss_ = 0.0f;
};

/// Reads the file and lays it on the fleet. Errors also: those of the file, with its line, by the key network.trace.
Outcome<std::shared_ptr<const TracedNetwork>> read_trace(const std::string& path, const TracedFleet& fleet,
                                                         DataNotes* notes = nullptr);

/// The key network.trace.
void add_trace_setting(Settings& list, std::string& path);

}  // namespace dunlin
