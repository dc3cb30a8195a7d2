// SPDX-License-Identifier: Apache-2.0
#include "training/simulation/federated_machines.hpp"

#include "core/robust/defended_rows.hpp"
#include "training/axes/machines.hpp"

#include <algorithm>
#include <cmath>
#include <concepts>
#include <optional>

#include <fmt/format.h>

namespace dunlin {
namespace {

template <class Machine>
class ServerOf final : public AnyServer {
public:
    ServerOf(HostMemory memory, Machine machine, const UpdateLimits& limits, std::size_t clients)
        : memory_(std::move(memory)), machine_(std::move(machine)), norms_(limits, clients) {}

    Verdict receive(const Update& update) override {
        const double norm = std::sqrt(squared_norm(update.values));
        const Result<void> usual = norms_.check(norm);
        if (!usual) {
            const auto fit = machine_.check(update);
            if (fit) norms_.refused(update.node);
            return {Reception::refused, fit ? usual.error() : fit.error(), 0};
        }
        const Verdict verdict = machine_.receive(update);
        if (verdict.outcome != Reception::refused) norms_.took(update.node, norm);
        return verdict;
    }
    NormWatch& norms() override { return norms_; }
    Result<void> empty_round() override {
        if constexpr (requires(Machine & machine) { machine.empty_round(); }) return machine_.empty_round();
        return fail(Code::round_closed);
    }
    ConstVector<float> model() const override { return machine_.model(); }
    ConstVector<float> download() const override { return machine_.download(); }
    std::uint64_t version() const override { return machine_.version(); }
    Result<void> begin_round(std::span<const std::uint32_t> participants) override {
        if constexpr (rounds) return machine_.begin_round(participants);
        return fail(Code::round_closed);
    }
    Result<std::uint32_t> close_round() override {
        if constexpr (rounds) return machine_.close_round();
        return fail(Code::round_closed);
    }
    bool round_running() const override {
        if constexpr (rounds) return machine_.round_running();
        return false;
    }
    std::uint64_t undefended() const override {
        if constexpr (requires { machine_.gathering().undefended(); }) return machine_.gathering().undefended();
        return 0;
    }
    std::span<const std::byte> state() const override { return machine_.state(); }
    Result<void> restore(std::span<const std::byte> saved) override { return machine_.restore(saved); }

private:
    static constexpr bool rounds = requires(const Machine& machine) { machine.round_running(); };

    HostMemory memory_;
    Machine machine_;
    NormWatch norms_;
};

template <class Machine>
class ClientOf final : public AnyClient {
public:
    /// Errors: those of the machine's settings.
    static Result<std::unique_ptr<AnyClient>> make(const ClientSettings& settings) {
        std::unique_ptr<ClientOf> client(new ClientOf(settings));
        if constexpr (sleeps) {
            auto front = Machine::remembered(settings);
            if (!front) return tl::unexpected(front.error());
            client->front_.assign(front->begin(), front->end());
        } else {
            client->memory_ = HostMemory(Machine::memory(settings.dimension));
            Arena arena(client->memory_.bytes());
            auto machine = Machine::make(settings, arena);
            if (!machine) return tl::unexpected(machine.error());
            client->machine_.emplace(*std::move(machine));
        }
        return client;
    }

    Result<void> download(ConstVector<float> sent, std::uint64_t version) override {
        return machine_->download(sent, version);
    }
    ConstVector<float> parameters() const override { return machine_->parameters(); }
    bool done() const override { return machine_->done(); }
    Result<void> step(ConstVector<float> gradient) override { return machine_->step(gradient); }
    Result<Update> upload() override { return machine_->upload(); }
    std::span<const std::byte> state() const override {
        return machine_ ? machine_->state() : std::span<const std::byte>(front_);
    }
    Result<void> restore(std::span<const std::byte> saved) override {
        if (machine_) return machine_->restore(saved);
        return restore_block(front_, saved, 3);
    }

    bool asleep() const override { return !machine_; }
    void wake(HostMemory memory) override {
        if constexpr (sleeps) {
            memory_ = std::move(memory);
            std::ranges::copy(front_, memory_.bytes().begin());
            machine_.emplace(Machine::resume(settings_, memory_.bytes()).value());
        }
    }
    HostMemory sleep() override {
        if constexpr (sleeps) {
            std::ranges::copy(machine_->state().first(front_.size()), front_.begin());
            machine_.reset();
            return std::move(memory_);
        }
        return HostMemory(0);
    }
    std::vector<std::byte> state_with(ConstVector<float> values) const override {
        std::vector<std::byte> state(front_);
        if constexpr (sleeps) {
            HostMemory memory(Machine::memory(settings_.dimension));
            std::ranges::copy(front_, memory.bytes().begin());
            Machine::recall(memory.bytes(), values);
            state.assign(memory.bytes().begin(), memory.bytes().end());
        }
        return state;
    }

private:
    static constexpr bool sleeps = requires(ClientSettings settings) { Machine::remembered(settings); };

    explicit ClientOf(const ClientSettings& settings) : settings_(settings) {}

    ClientSettings settings_;
    std::vector<std::byte> front_{};  ///< what it remembers asleep
    HostMemory memory_{0};
    std::optional<Machine> machine_{};
};

/// Errors: the machine's.
template <class Server, class Rule, class... Gathered>
Outcome<std::unique_ptr<AnyServer>> server_of(const FederatedSettings& s, const Rule& rule,
                                              ConstVector<float> first, std::size_t clients,
                                              const Gathered&... gathered) {
    const UpdateLimits limits = s.update_limits();
    const auto count = static_cast<std::uint32_t>(clients);
    const ServerSettings settings{count, first.size(), s.stalest(count), limits.component};
    HostMemory memory(Server::memory(settings.dimension, settings.nodes));
    Arena arena(memory.bytes());
    auto server = Server::make(settings, rule, first, arena, gathered...);
    if (!server) return refuse(server.error(), "the server");
    return std::make_unique<ServerOf<Server>>(std::move(memory), *std::move(server), limits, clients);
}

template <class Rule>
Outcome<FederatedMachines> machines_of(const FederatedSettings& s, std::uint64_t seed, ConstVector<float> first,
                                       std::span<const float> samples) {
    using Server = typename MachinesOf<Rule>::Server;
    using Client = typename MachinesOf<Rule>::Client;
    const Rule rule = Rule::of(s.rule());
    FederatedMachines made;
    Outcome<std::unique_ptr<AnyServer>> server = nullptr;
    if constexpr (Defensible<Rule>) {
        if (s.defence.defends())
            server = server_of<DefendedServerOf<Rule>>(s, rule, first, samples.size(),
                                                       DefendedRows::Settings{s.defence, seed});
    }
    if constexpr (std::same_as<Server, FederatedServer<Rule>> && Rule::gathering == Gathering::participants) {
        if (s.privacy.enabled())
            server = server_of<FederatedServer<Rule, PrivateSum>>(s, rule, first, samples.size(),
                                                                  private_sum(s, samples.size()));
    }
    if (server && *server == nullptr) server = server_of<Server>(s, rule, first, samples.size());
    if (!server) return tl::unexpected(server.error());
    made.server = *std::move(server);
    made.client_bytes = Client::memory(first.size());
    ClientSettings settings{.dimension = first.size(),
                            .local_steps = static_cast<std::uint32_t>(s.local_steps),
                            .local_rate = s.rate(),
                            .payload = Rule::payload};
    if constexpr (requires { rule.prox_weight; }) settings.prox_weight = rule.prox_weight;
    for (std::uint32_t i = 0; i < samples.size(); ++i) {
        settings.node = i;
        settings.samples = s.weigh_by_samples ? samples[i] : 1.0f;
        auto client = ClientOf<Client>::make(settings);
        if (!client) return refuse(client.error(), fmt::format("client {}", i));
        made.clients.push_back(*std::move(client));
    }
    return made;
}

}  // namespace

PrivateSum::Settings private_sum(const FederatedSettings& s, std::size_t clients) {
    return {.clip = static_cast<double>(s.privacy.clip),
            .noise = static_cast<double>(s.privacy.noise),
            .expected = static_cast<double>(s.clock.concurrency) * static_cast<double>(clients),
            .rate = static_cast<double>(s.round_rate),
            .random = s.privacy.random};
}

Outcome<FederatedMachines> make_federated_machines(const FederatedSettings& settings, std::uint64_t seed,
                                                   ConstVector<float> first, std::span<const float> samples) {
    if (auto fits = check_defence_memory(settings.defence, samples.size(), first.size()); !fits)
        return tl::unexpected(fits.error());
    switch (settings.method.aggregation) {
#define DUNLIN_MAKE(name, rule) \
    case AggregationName::name: \
        return machines_of<rule>(settings, seed, first, samples);
        DUNLIN_SERVER_RULES(DUNLIN_MAKE)
#undef DUNLIN_MAKE
        default:
            return refuse(fmt::format("{} has no server", name_of(settings.method.aggregation)));
    }
}

}  // namespace dunlin
