// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/aggregate/federated.hpp"
#include "training/plans/job_plan.hpp"

#include <memory>

namespace dunlin {

/// A server of whatever rule the plan names, in memory of its own.
class ModelServer {
public:
    /// Errors: FederatedServer::make's.
    static Result<std::unique_ptr<ModelServer>> make(const ServerPlan& plan, std::uint64_t seed,
                                                     std::uint32_t members, ConstVector<float> first);
    virtual ~ModelServer() = default;

    virtual Result<void> check(const Update& update) const = 0;
    virtual Verdict receive(const Update& update) = 0;
    virtual ConstVector<float> model() const = 0;
    /// What a client is sent: the model, and behind it what else the rule has for it.
    virtual ConstVector<float> download() const = 0;
    virtual std::uint64_t version() const = 0;
    virtual std::span<const std::byte> state() const = 0;
    virtual Result<void> restore(std::span<const std::byte> saved) = 0;
    /// Rounds or buffers of too few members for the defence, which changed nothing.
    virtual std::uint64_t undefended() const = 0;
    /// Goes on where one of the same rule and model with no more members is.
    virtual void continue_from(const ModelServer& smaller) = 0;

    /// Rounds: false for the other methods, or round_open, bad_participants, round_closed.
    virtual bool rounds() const = 0;
    virtual bool round_running() const = 0;
    virtual Result<void> begin_round(std::span<const std::uint32_t> participants) = 0;
    virtual Result<void> close_round() = 0;
    /// Ends it with a mean that was found elsewhere; of what was delivered only whose it is counts.
    virtual Result<void> close_round_with(ConstVector<float> mean, std::span<const Update> delivered) = 0;
    /// 256 bits that the noise of the running round is drawn from; where there is none nothing happens.
    virtual void set_noise_key(std::span<const std::byte, 32> key) = 0;
};

}  // namespace dunlin
