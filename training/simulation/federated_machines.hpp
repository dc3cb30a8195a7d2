// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/aggregate/federated_client.hpp"
#include "core/robust/private_sum.hpp"
#include "training/axes/federated_settings.hpp"
#include "training/axes/update_limits.hpp"
#include "training/host/host_memory.hpp"

#include <memory>
#include <span>

namespace dunlin {

/// A server of any rule; see FederatedServer.
class AnyServer {
public:
    virtual ~AnyServer() = default;
    virtual Verdict receive(const Update& update) = 0;
    virtual ConstVector<float> model() const = 0;
    /// What a client is sent.
    virtual ConstVector<float> download() const = 0;
    virtual std::uint64_t version() const = 0;
    /// For a rule that gathers by rounds.
    virtual Result<void> begin_round(std::span<const std::uint32_t> participants) = 0;
    virtual Result<std::uint32_t> close_round() = 0;
    virtual bool round_running() const = 0;
    virtual Result<void> empty_round() = 0;
    /// How large updates usually are.
    virtual NormWatch& norms() = 0;
    /// Rounds or buffers of too few members for the defence, which changed nothing.
    virtual std::uint64_t undefended() const = 0;
    /// What it has to remember, and goes on from. Error: the state of another.
    virtual std::span<const std::byte> state() const = 0;
    virtual Result<void> restore(std::span<const std::byte> saved) = 0;
};

/// A client of any rule; see FederatedClient. One that remembers little between its updates may be `asleep`: it then has
/// no memory for parameters, and only `wake` and `state` may be called. It is born asleep.
class AnyClient {
public:
    virtual ~AnyClient() = default;
    virtual Result<void> download(ConstVector<float> sent, std::uint64_t version) = 0;
    virtual ConstVector<float> parameters() const = 0;
    virtual bool done() const = 0;
    virtual Result<void> step(ConstVector<float> gradient) = 0;
    virtual Result<Update> upload() = 0;
    virtual std::span<const std::byte> state() const = 0;
    virtual Result<void> restore(std::span<const std::byte> saved) = 0;

    virtual bool asleep() const = 0;
    /// Goes on in such memory, of FederatedMachines::client_bytes, with whatever is in it.
    virtual void wake(HostMemory memory) = 0;
    /// Gives the memory back, unless it must remember more (the answer is then empty). For when its update has been
    /// copied: the next thing is a download.
    virtual HostMemory sleep() = 0;
    /// The state that it would have awake, had it not slept since it delivered these values.
    virtual std::vector<std::byte> state_with(ConstVector<float> values) const = 0;
};

/// The server and the clients of an aggregation.
struct FederatedMachines {
    std::unique_ptr<AnyServer> server;
    std::vector<std::unique_ptr<AnyClient>> clients;
    std::size_t client_bytes = 0;  ///< that one needs awake
};

/// That server's sum where its settings say that it is private, of so many clients.
PrivateSum::Settings private_sum(const FederatedSettings& settings, std::size_t clients);

/// `first` are the parameters that the server starts from; `samples` has one weight per client; the seed is that of a
/// defence's buckets. Errors: those of the machines.
Outcome<FederatedMachines> make_federated_machines(const FederatedSettings& settings, std::uint64_t seed,
                                                   ConstVector<float> first, std::span<const float> samples);

}  // namespace dunlin
