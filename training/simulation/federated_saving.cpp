// SPDX-License-Identifier: Apache-2.0
// How a simulated fleet with a server is saved and goes on.
#include "training/host/archive.hpp"
#include "training/simulation/federated_fleet.hpp"
#include "training/simulation/federated_message.hpp"
#include "transport/simulation/network_state.hpp"

#include <algorithm>
#include <cassert>

namespace dunlin {
namespace {

std::vector<std::byte> bytes_of(std::span<const std::byte> state) {
    return {state.begin(), state.end()};
}

}  // namespace

/// That of its machine, as if it had downloaded its model when that arrived and never slept: the front alone only where
/// there is nothing more to remember.
std::vector<std::byte> FederatedFleet::state_of(const Client& client) const {
    AnyClient& machine = *client.machine;
    if (client.model.size() > 0) {
        const std::vector<std::byte> before = bytes_of(machine.state());
        const bool slept = machine.asleep();
        if (slept) machine.wake(HostMemory(client_bytes_));
        const MessageHead head = head_of(client.model);
        [[maybe_unused]] const auto taken = machine.download(values_of(client.model), head.version);
        assert(taken);  // the server lets nothing else into its model
        std::vector<std::byte> after = bytes_of(machine.state());
        if (slept) (void)machine.sleep();
        [[maybe_unused]] const auto restored = machine.restore(before);
        assert(restored);
        return after;
    }
    if (client.update.size() > 0 && machine.asleep()) return machine.state_with(values_of(client.update));
    return bytes_of(machine.state());
}

Result<void> FederatedFleet::restore_client(Client& client, std::span<const std::byte> state, bool waits) {
    AnyClient& machine = *client.machine;
    const bool whole = state.size() == client_bytes_;
    if (whole && machine.asleep()) machine.wake(HostMemory(client_bytes_));
    if (auto restored = machine.restore(state); !restored) return restored;
    if (machine.asleep()) {
        if (!waits && !client.computing) return {};
        return fail(Code::state_size, static_cast<std::int64_t>(state.size()),
                    static_cast<std::int64_t>(client_bytes_));
    }
    if (waits) return {};  // in memory of its own until it has computed
    if (client.computing || (unreliable() && client.accepted > 0)) {
        auto update = update_of(machine);
        if (!update) return tl::unexpected(update.error());
        client.update = *std::move(update);
    }
    (void)machine.sleep();
    return {};
}

// The message that carries the model is made again when it is needed: for a version it always says the same.
void FederatedFleet::save(Saver& saver) const {
    saver(bytes_of(server_->state()), network_->save(), draws_, idle_, awaited_, waiting_, counters_,
          staleness_counts_, busy_, counted_until_, computed_until_, begun_);
    for (const Client& client : clients_) {
        saver(state_of(client), client.random, client.invitation, client.awaited, client.accepted, client.computing,
              client.started, client.gradients);
    }
    saver(server_->norms());
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
    std::vector<bool> waits(clients_.size());
    for (const std::uint32_t client : waiting_) waits[client] = true;
    for (Client& client : clients_) {
        loader(state, client.random, client.invitation, client.awaited, client.accepted, client.computing,
               client.started, client.gradients);
        if (!loader.ok()) return {};
        if (auto restored =
                restore_client(client, state, waits[static_cast<std::size_t>(&client - clients_.data())]);
            !restored)
            return restored;
    }
    loader(server_->norms());
    return {};
}

/// What another rank computed for a client, as if it had been computed here.
Result<void> FederatedFleet::take_computed(Client& client, std::span<const std::byte> state,
                                           std::span<const std::byte> update) {
    client.model = {};
    if (!client.machine->asleep()) (void)client.machine->sleep();
    if (auto restored = client.machine->restore(state); !restored) return restored;
    if (update.empty()) return {};
    auto payload = network_->allocate(update.size());
    if (!payload) return tl::unexpected(payload.error());
    std::ranges::copy(update, payload->writable<std::byte>().begin());
    client.update = *std::move(payload);
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
        own(bytes_of(client.machine->state()), bytes_of(client.update.as<>()), client.random, client.gradients,
            client.computed.has_value(), error.code, error.first, error.second);
    }
    std::vector<RankGroup::Bytes> heard;
    ranks.tell(own.take(), heard);
    std::vector<Loader> from(heard.begin(), heard.end());
    for (const std::uint32_t number : waiting_) {
        const int owner = ranks.owner(number, clients());
        if (owner == ranks.rank()) continue;
        Client& client = clients_[number];
        std::vector<std::byte> state, update;
        bool computed = false;
        Error error;
        from[static_cast<std::size_t>(owner)](state, update, client.random, client.gradients, computed, error.code,
                                              error.first, error.second);
        client.computed = take_computed(client, state, update);
        if (!computed) client.computed = tl::unexpected(error);
    }
}

}  // namespace dunlin
