// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/aggregate/gossip.hpp"
#include "core/aggregate/push_sum_settings.hpp"
#include "transport/messages.hpp"

namespace dunlin {

/// A machine of core/aggregate that says floats to its neighbours (says_floats), as a session runs it. Its state is
/// in the session's, so that it survives what the session survives.
class NeighbourMachine {
public:
    enum class Turn : std::uint8_t {
        announce,  ///< a wake-up without a gradient, at once: it says where it begins
        wait,      ///< for a neighbour's message
        go,        ///< a wake-up, with a gradient or without
        over       ///< it has done all its rounds, and heard them of its neighbours
    };
    virtual Turn turn() const = 0;
    /// Rounds done since the job began, or the tick of the last wake-up; -1: it has said nothing yet.
    virtual std::int64_t tick() const = 0;
    /// Where a gradient is to be taken; d floats.
    virtual void estimate(Vector<float> out) const = 0;
    /// In turn `go`, what the gradient is to be; where it is products, the direction too: d floats.
    virtual Question question() const = 0;
    virtual void direction(Vector<float> out) const = 0;
    /// In another turn than `wait`. Errors: those of the machine, which is then unchanged.
    virtual Result<void> wake(std::int64_t tick, ConstVector<float> gradient) = 0;
    virtual Result<Receipt> receive(const Share<float>& share) = 0;
    /// What the neighbours are to be told: the last message or, after `again`, one that they may have missed.
    virtual Share<float> share() const = 0;
    /// While it waits: the other one of the last two messages.
    virtual void again() = 0;

protected:
    ~NeighbourMachine() = default;
};

/// How a session makes a machine: a table with one for each Aggregation that says floats.
struct MachineKind {
    std::size_t sent;  ///< vectors of d floats in a message
    bool rounds;       ///< goes by rounds: waits for all neighbours
    /// Bytes of its state, a multiple of Arena::alignment, and of what lives only as long as the session.
    std::size_t (*state_bytes)(const JobTerms&);
    std::size_t (*object_bytes)(const JobTerms&);
    /// Puts down in its state what of the offer it is made from; in zeroed memory.
    void (*keep)(const JobOffer&, std::span<std::byte> state);
    /// From d parameters, after a wake-up at `tick`, -1 for none. It lives in `object`, until that is used
    /// otherwise. Errors: those of the machine.
    Result<NeighbourMachine*> (*make)(const JobTerms&, ConstVector<float> first, std::int64_t tick,
                                      std::span<std::byte> state, std::span<std::byte> object);
    /// From its state, where it lies. Errors also: state_size, state_mismatch.
    Result<NeighbourMachine*> (*resume)(const JobTerms&, std::span<std::byte> state, std::span<std::byte> object);

    /// Masses that hold a message.
    std::size_t words(std::size_t dimension) const { return (sent * dimension + 1) / 2; }
};

/// Null for those that have a server, or mass. Firmware, where edges cannot close, links none of it.
const MachineKind* machine_kind(Aggregation aggregation);

}  // namespace dunlin
