// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace dunlin {

/// What a device and its gateway say to each other over a SerialLine: a head of eight bytes, then what belongs to
/// it. Each message counts as dealt with when it was delivered.
///
/// A session of the line begins with `restore` or `nothing_kept`; what the device learned before is in there,
/// unless it still remembers more itself. Then `online` tells that the coordinator can be reached, and fleet
/// messages flow.
enum class SerialKind : std::uint8_t {
    fleet = 1,     ///< both ways: a message of the fleet as a FlatBuffer (wire.fbs)
    online,        ///< to the device: a new connection to the coordinator; say Join
    offline,       ///< to the device: it is gone
    restore,       ///< to the device: the state that it had stored
    nothing_kept,  ///< to the device: there is none
    keep,          ///< to the gateway: a state; delivered when it is durable
    forget         ///< to the gateway: the job is over
};

struct SerialHead {
    static constexpr std::size_t bytes = 8;

    static constexpr std::array<std::byte, bytes> of(SerialKind kind) {
        return {std::byte{static_cast<std::uint8_t>(kind)}};
    }
    /// 0 for a message without one.
    static SerialKind kind(std::span<const std::byte> message) {
        return message.size() < bytes ? SerialKind{} : static_cast<SerialKind>(message[0]);
    }
};

}  // namespace dunlin
