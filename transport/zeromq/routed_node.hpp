// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "transport/zeromq/door.hpp"

#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <sys/socket.h>

/// What the coordinator's end of the links knows of a node.
namespace dunlin::zeromq {

/// One connection of a node.
struct Connection {
    std::string routing_id;
    int descriptor = -1;
    std::string peer;

    /// Libzmq has no call that ends one connection of many; the system does.
    void cut() const {
        if (descriptor >= 0 && !peer.empty() && peer_of(descriptor) == peer) shutdown(descriptor, SHUT_RDWR);
    }
};

/// A share that waits for a node, or one under way that the next must not overtake.
struct Relay {
    Parcel waiting = {};
    std::shared_ptr<Flight> flight;
};

struct Node {
    Connection connection;
    bool heard = false;      ///< what the connection brings is taken
    bool reachable = false;  ///< as far as is known, something can be sent on it
    std::map<std::pair<std::uint32_t, std::uint32_t>, Relay> relays;  ///< by members: from, to
};

/// The number in a routing id that libzmq gave; none where the peer named itself.
inline std::optional<std::uint32_t> given_number(std::string_view id) {
    if (id.size() != 5 || id[0] != 0) return std::nullopt;
    std::uint32_t number = 0;
    for (const char c : id.substr(1)) number = number << 8 | static_cast<unsigned char>(c);
    return number;
}

/// Of so many bytes as a key has.
inline std::optional<PublicKey> key_from(std::string_view bytes) {
    PublicKey key{};
    if (bytes.size() != key.size()) return std::nullopt;
    std::memcpy(key.data(), bytes.data(), key.size());
    return key;
}

}  // namespace dunlin::zeromq
