// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "transport/messages.hpp"

namespace dunlin {

/// What masks a member's updates, so that its coordinator sees sums alone: keys and shares of the running attempt, in
/// memory and nowhere else. Handed to a session by whoever has a generator of secrets; used by its thread alone.
class UpdateMasks {
public:
    /// Of which job.
    struct Place {
        std::uint64_t nonce = 0;
        std::uint32_t member = 0, dimension = 0;
    };

    /// A word of the coordinator. Errors: message_malformed, message_unknown (a step that is not for members),
    /// wrong_epoch (of another attempt), bad_participants (a list that contradicts an earlier one, or of too few),
    /// handshake_failed (a share that cannot be opened). What is refused changes nothing.
    virtual Result<void> take(const Place& place, const MaskExchange& said) = 0;
    /// What is to be said to the coordinator, a view until the next `take`; null: nothing.
    virtual const MaskExchange* answer() const = 0;
    /// It left.
    virtual void answered() = 0;

    /// May this update be masked in the running attempt, or in one to come? Not if it starts from another model than
    /// the attempt's, nor if a sum that this member helped to open may hold it: then differences of sums would show it.
    virtual bool may_mask(const Update& update) const = 0;
    /// Can it be now? All keys and shares are there.
    virtual bool ready(const Update& update) const = 0;
    /// The update of `ready` and `may_mask`, masked; the same bytes whenever it is asked for again. A view until the next
    /// attempt.
    virtual MaskedUpdate masked(const Update& update) = 0;

    /// The job is over: nothing is kept of it.
    virtual void forget() = 0;

protected:
    ~UpdateMasks() = default;
};

}  // namespace dunlin
