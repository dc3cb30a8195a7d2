// SPDX-License-Identifier: Apache-2.0
// How a simulated fleet with a server is saved and goes on.
#include "training/host/archive.hpp"
#include "training/simulation/federated_fleet.hpp"
#include "transport/simulation/network_state.hpp"

namespace dunlin {
namespace {

std::vector<std::byte> bytes_of(std::span<const std::byte> state) {
    return {state.begin(), state.end()};
}

}  // namespace

// The message that carries the model is made again when it is needed: for a version it always says the same.
void FederatedFleet::save(Saver& saver) const {
    saver(bytes_of(server_->state()), network_->save(), draws_, idle_, awaited_, waiting_, counters_,
          staleness_counts_, busy_, counted_until_, computed_until_, begun_);
    for (const Client& client : clients_) {
        saver(bytes_of(client.machine->state()), client.random, client.invitation, client.awaited, client.accepted,
              client.computing, client.started, client.gradients);
    }
}

Result<void> FederatedFleet::restore(Loader& loader) {
    std::vector<std::byte> state;
    simulation::NetworkState network;
    loader(state, network, draws_, idle_, awaited_, waiting_, counters_, staleness_counts_, busy_, counted_until_,
           computed_until_, begun_);
    if (!loader.ok()) return {};
    if (auto restored = server_->restore(state); !restored) return restored;
    if (auto restored = network_->restore(network); !restored) return restored;
    for (const auto* numbers : {&idle_, &waiting_}) {
        for (const std::uint32_t client : *numbers) {
            if (client >= clients()) return fail(Code::out_of_range, client, clients());
        }
    }
    for (Client& client : clients_) {
        loader(state, client.random, client.invitation, client.awaited, client.accepted, client.computing,
               client.started, client.gradients);
        if (!loader.ok()) return {};
        if (auto restored = client.machine->restore(state); !restored) return restored;
    }
    return {};
}

/// Every rank has the server and all clients, and computes for those of its block: what came of them goes to the others.
void FederatedFleet::exchange_computed() {
    RankGroup& ranks = workers_.ranks();
    Saver own;
    for (const std::uint32_t number : waiting_) {
        if (ranks.owner(number, clients()) != ranks.rank()) continue;
        const Client& client = clients_[number];
        const Error error = client.computed ? Error{} : client.computed.error();
        own(bytes_of(client.machine->state()), client.random, client.gradients, client.computed.has_value(),
            error.code, error.first, error.second);
    }
    std::vector<RankGroup::Bytes> heard;
    ranks.tell(own.take(), heard);
    std::vector<Loader> from(heard.begin(), heard.end());
    for (const std::uint32_t number : waiting_) {
        const int owner = ranks.owner(number, clients());
        if (owner == ranks.rank()) continue;
        Client& client = clients_[number];
        std::vector<std::byte> state;
        bool computed = false;
        Error error;
        from[static_cast<std::size_t>(owner)](state, client.random, client.gradients, computed, error.code,
                                              error.first, error.second);
        client.computed = client.machine->restore(state);
        if (!computed) client.computed = tl::unexpected(error);
    }
}

}  // namespace dunlin
