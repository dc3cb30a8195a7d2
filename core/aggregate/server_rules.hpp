// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/aggregate/federated.hpp"
#include "core/aggregate/federated_client.hpp"
#include "core/math.hpp"
#include "core/optimiser.hpp"

namespace dunlin {

/// s(tau) = (1 + tau)^-exponent, how much less an update of staleness tau counts; exponent 0: all the same.
inline float polynomial_staleness(std::uint64_t staleness, float exponent) {
    if (exponent == 0.0f || staleness == 0) return 1.0f;
    return portable::exp(-exponent * portable::log(1.0f + static_cast<float>(staleness)));
}

inline bool valid_rate(float rate) {
    return rate > 0.0f && rate <= 1e3f;
}

/// PersA-FL, Algorithm 1 (Toghani, Lee and Uribe 2022): w := w - beta Delta as each update arrives. Which of the
/// options A, B and C it is, the clients' gradients decide.
struct PersaflRule {
    static constexpr ServerTraits traits{.name = "persafl", .title = "PersA-FL"};
    static constexpr Payload payload = Payload::difference;
    static constexpr Gathering gathering = Gathering::nothing;

    float server_rate = 0.1f;  ///< beta; between 1/n and 5/n, since larger ones diverge under staleness

    Result<void> check(std::uint32_t) const {
        if (!valid_rate(server_rate)) return fail(Code::bad_setting, 0);
        return {};
    }
    static PersaflRule of(const RuleSettings& s) { return {s.server_rate}; }
    float coefficient(std::uint64_t) const { return server_rate; }
    std::uint32_t gather_count() const { return 1; }
};

/// FedAsync (Xie et al. 2019): w := (1 - a) w + a w_i with a = alpha (1 + tau)^-exponent.
struct FedAsyncRule {
    static constexpr ServerTraits traits{.name = "fedasync", .title = "FedAsync"};
    static constexpr Payload payload = Payload::model;
    static constexpr Gathering gathering = Gathering::nothing;

    float mixing = 0.6f;              ///< alpha, in (0, 1]
    float staleness_exponent = 0.5f;  ///< >= 0

    Result<void> check(std::uint32_t) const {
        if (!(mixing > 0.0f && mixing <= 1.0f)) return fail(Code::bad_setting, 0);
        if (!(staleness_exponent >= 0.0f && staleness_exponent <= 10.0f)) return fail(Code::bad_setting, 1);
        return {};
    }
    static FedAsyncRule of(const RuleSettings& s) { return {s.mixing, s.staleness_exponent}; }
    float coefficient(std::uint64_t staleness) const {
        return mixing * polynomial_staleness(staleness, staleness_exponent);
    }
    std::uint32_t gather_count() const { return 1; }
};

/// FedBuff (Nguyen et al. 2021): the mean of K updates, whoever sent them, each scaled by (1 + tau)^-exponent.
struct FedBuffRule {
    static constexpr ServerTraits traits{.name = "fedbuff", .title = "FedBuff"};
    static constexpr Payload payload = Payload::difference;
    static constexpr Gathering gathering = Gathering::updates;

    float server_rate = 1.0f;         ///< eta_g
    std::uint32_t buffer_size = 10;   ///< K, at most n
    float staleness_exponent = 0.5f;  ///< >= 0

    /// Errors: bad_setting; buffer_exceeds_fleet.
    Result<void> check(std::uint32_t nodes) const {
        if (!valid_rate(server_rate)) return fail(Code::bad_setting, 0);
        if (buffer_size == 0) return fail(Code::bad_setting, 1);
        if (buffer_size > nodes) return fail(Code::buffer_exceeds_fleet, buffer_size, nodes);
        if (!(staleness_exponent >= 0.0f && staleness_exponent <= 10.0f)) return fail(Code::bad_setting, 2);
        return {};
    }
    static FedBuffRule of(const RuleSettings& s) { return {s.round_rate, s.buffer_size, s.staleness_exponent}; }
    float coefficient(std::uint64_t staleness) const {
        return server_rate * polynomial_staleness(staleness, staleness_exponent);
    }
    std::uint32_t gather_count() const { return buffer_size; }
};

/// Synchronous rounds: the mean of all participants' updates, weighted by their samples. With server_rate 1 and
/// plain gradients it is FedAvg (McMahan et al. 2017), Per-FedAvg (Fallah et al. 2020) with MAML gradients; with those
/// of the Moreau envelope and server_rate beta it is pFedMe (Dinh et al. 2020), (1 - beta) w + beta mean of w_i.
struct FedAvgRule {
    static constexpr ServerTraits traits{.name = "fedavg", .title = "FedAvg"};
    static constexpr Payload payload = Payload::difference;
    static constexpr Gathering gathering = Gathering::participants;

    float server_rate = 1.0f;  ///< beta

    Result<void> check(std::uint32_t) const {
        if (!valid_rate(server_rate)) return fail(Code::bad_setting, 0);
        return {};
    }
    static FedAvgRule of(const RuleSettings& s) { return {s.round_rate}; }
    float coefficient(std::uint64_t) const { return server_rate; }
    std::uint32_t gather_count() const { return 0; }
};

/// FedProx (Li et al. 2020): the same, and the clients' steps are pulled back to the model that they were given.
struct FedProxRule : FedAvgRule {
    static constexpr ServerTraits traits{.name = "fedprox", .title = "FedProx"};

    float prox_weight = 0.1f;  ///< mu, the clients'

    static FedProxRule of(const RuleSettings& s) { return {{s.round_rate}, s.prox_weight}; }
};

/// FedAdam (Reddi et al. 2021, Algorithm 2): the mean difference of a round is a gradient for Adam, whose moments the
/// server keeps. They are corrected for their beginning, as Adam's are and the paper's are not. With one local step of
/// size 1 a round is a step of Adam along the mean of the clients' gradients.
struct FedAdamRule : FedAvgRule {
    static constexpr ServerTraits traits{.name = "fedadam", .title = "FedAdam"};
    static constexpr std::size_t moments = 2;

    Adam adam{.rate = 0.01f, .mean_decay = 0.9f, .square_decay = 0.99f, .epsilon = 1e-3f};
    float half_life = 0.0f;  ///< rounds in which the rate halves, little by little; 0: it stays

    /// Errors: bad_setting (0 rate, 1 epsilon, 2 half-life).
    Result<void> check(std::uint32_t) const {
        if (!valid_rate(adam.rate)) return fail(Code::bad_setting, 0);
        if (!(adam.epsilon > 0.0f && adam.epsilon <= 1e3f)) return fail(Code::bad_setting, 1);
        if (!(half_life >= 0.0f && half_life <= 1e9f)) return fail(Code::bad_setting, 2);
        return {};
    }
    static FedAdamRule of(const RuleSettings& s) {
        FedAdamRule rule;
        rule.adam.rate = s.adam_rate;
        rule.adam.epsilon = s.adam_epsilon;
        rule.half_life = s.adam_half_life;
        return rule;
    }
    void move(Vector<float> model, float scale, ConstVector<float> sum, Vector<float> kept,
              std::uint64_t version) const {
        Adam::State<float> state{kept.first(model.size()), kept.subspan(model.size()),
                                 static_cast<std::int64_t>(version)};
        Adam at_round = adam;
        if (half_life > 0.0f) at_round.rate *= portable::exp(-0.6931472f * static_cast<float>(version) / half_life);
        at_round.step<float>(model, sum, state, scale);
    }
};

/// The machines of a rule: its server and its clients.
template <class Rule>
struct MachinesOf {
    using Server = FederatedServer<Rule>;
    using Client = FederatedClient;
};

static_assert(Server<FederatedServer<PersaflRule>> && Server<FederatedServer<FedAsyncRule>> &&
              Server<FederatedServer<FedBuffRule>> && Server<FederatedServer<FedAvgRule>> &&
              Server<FederatedServer<FedProxRule>> && Server<FederatedServer<FedAdamRule>>);

}  // namespace dunlin
