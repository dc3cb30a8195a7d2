// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/vector.hpp"
#include "transport/simulation/network.hpp"

#include <cstdint>
#include <cstring>

namespace dunlin {

/// In front of the numbers of a message: a model (the version alone counts) or an update.
struct MessageHead {
    std::uint64_t version;
    std::uint64_t sequence;
    std::uint32_t node;
    std::uint32_t incarnation;
    float samples;
    std::uint32_t unused;
};

inline Result<simulation::Payload> message(simulation::Network& network, const MessageHead& head,
                                           ConstVector<float> values) {
    Result<simulation::Payload> payload = network.allocate(sizeof(MessageHead) + values.size_bytes());
    if (!payload) return payload;
    std::byte* bytes = payload->writable().data();
    std::memcpy(bytes, &head, sizeof head);
    std::memcpy(bytes + sizeof head, values.data(), values.size_bytes());
    return payload;
}

inline MessageHead head_of(const simulation::Payload& payload) {
    MessageHead head;
    std::memcpy(&head, payload.as<>().data(), sizeof head);
    return head;
}

inline ConstVector<float> values_of(const simulation::Payload& payload) {
    return payload.as<float>().subspan(sizeof(MessageHead) / sizeof(float));
}

}  // namespace dunlin
