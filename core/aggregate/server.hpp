// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/error.hpp"
#include "core/vector.hpp"

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

/// What every server of a federated method is fed and answers, and what a method states about itself to be one.
namespace dunlin {

/// What a client uploads: how far it moved, w_0 - w_Q, or where it arrived, w_Q. `corrected` is a difference too, of
/// steps that control variates correct: a model comes with the mean one behind it (core/aggregate/scaffold.hpp). So is
/// `masked`, which its server sees the sum of alone.
enum class Payload : std::uint8_t { difference, model, corrected, masked };

/// One upload: a view, the memory belongs to the client or to the link that brought it.
struct Update {
    std::uint32_t node = 0;
    std::uint32_t incarnation = 0;   ///< grows when a client starts anew without its state
    std::uint64_t sequence = 0;      ///< from 1, grows within an incarnation
    std::uint64_t base_version = 0;  ///< the version of the model that the client started from
    float samples = 1.0f;            ///< weight in a round's mean, in (0, 1e9]
    ConstVector<float> values;
};

enum class Reception : std::uint8_t { applied, buffered, refused };

/// What became of an update.
struct Verdict {
    Reception outcome = Reception::refused;
    Error refusal = {};           ///< why, if it was refused
    std::uint64_t staleness = 0;  ///< versions between the model it started from and the one it met
};

/// What a server waits for before its model changes: nothing, a number of updates, or a round's participants.
enum class Gathering : std::uint8_t { nothing, updates, participants };

/// What a federated method states about itself, as `Rule::traits`.
struct ServerTraits {
    const char* name;          ///< on the command line
    const char* title;         ///< for people
    const char* carries = "";  ///< what a model's message holds besides the parameters
    std::size_t sent = 1;      ///< vectors of `dimension` numbers in a model's message
};

/// All that rules are made of. Each takes what it needs by `Rule::of`.
struct RuleSettings {
    float server_rate = 0.1f;       ///< where updates are not gathered
    float round_rate = 1.0f;        ///< where they are
    float mixing = 0.6f;            ///< alpha of FedAsync
    float staleness_exponent = 0;   ///< of FedAsync and FedBuff
    std::uint32_t buffer_size = 1;  ///< K of FedBuff
    float prox_weight = 0;          ///< mu of FedProx
    float adam_rate = 0.01f;        ///< eta of FedAdam
    float adam_epsilon = 1e-3f;     ///< tau of FedAdam
    float adam_half_life = 0.0f;    ///< rounds in which eta of FedAdam halves; 0: it stays
    std::uint32_t local_steps = 1;  ///< Q of the clients
    float local_rate = 0.05f;       ///< eta of the clients
};

/// A federated method, seen by its server. `coefficient(s)` is the weight of an update of staleness s; a gathering
/// rule's `server_rate` scales the mean of what it gathered; `gather_count()` says how many updates to gather. A rule
/// that states a number of `moments` moves the model itself, by move(model, scale, sum, moments, version), with so many
/// vectors that are kept with the model.
template <class R>
concept ServerRule = requires(const R& rule, std::uint64_t staleness, std::uint32_t nodes, const RuleSettings& s) {
    { R::traits } -> std::convertible_to<ServerTraits>;
    { R::of(s) } -> std::same_as<R>;
    { R::payload } -> std::convertible_to<Payload>;
    { R::gathering } -> std::convertible_to<Gathering>;
    { rule.check(nodes) } -> std::same_as<Result<void>>;
    { rule.coefficient(staleness) } -> std::same_as<float>;
    { rule.gather_count() } -> std::same_as<std::uint32_t>;
};

/// A server of any federated method: fed updates, it answers what became of each and holds the model.
template <class S>
concept Server = requires(S& server, const S& constant, const Update& update, std::span<const std::byte> saved) {
    { server.receive(update) } -> std::same_as<Verdict>;
    { constant.model() } -> std::same_as<ConstVector<float>>;
    { constant.download() } -> std::same_as<ConstVector<float>>;
    { constant.version() } -> std::same_as<std::uint64_t>;
    { constant.state() } -> std::same_as<std::span<const std::byte>>;
    { server.restore(saved) } -> std::same_as<Result<void>>;
};

struct ServerSettings {
    static constexpr std::uint64_t unbounded = ~std::uint64_t{0};

    std::uint32_t nodes = 0;                    ///< n; node numbers lie below it
    std::size_t dimension = 0;                  ///< d
    std::uint64_t staleness_limit = unbounded;  ///< an update that is staler is refused
    float component_limit = 1e6f;               ///< an update with a larger component is refused
};

}  // namespace dunlin
