// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "transport/wire/wire_codec.hpp"
#include "transport/zeromq/keys.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace dunlin {

/// What both ends of a link have in common (docs/links.md says why each option of ZeroMQ is as it is).

enum class Direction : std::uint8_t { received, sent };

/// Sees every message in the clear where it enters or leaves a link, in the link's own thread.
using FrameObserver = std::function<void(Direction, std::span<const std::byte>)>;

/// How long a link waits for the other side. Whether the other program still lives is for who uses the link to
/// decide: messages (Heartbeat) are the sign, `disconnect` and `redial` the consequence. ZeroMQ's own heartbeats
/// stay off: in 4.3.4 they end the process when a connection breaks while its queue is full (libzmq issues 4364 and
/// 4767).
struct LinkTiming {
    int look_up_ms = 3000;         ///< most that is waited for a name server before a dial
    int handshake_ms = 5000;       ///< most that a new connection may take to prove who it is
    int silence_ms = 20000;        ///< after which the system gives up a machine that acknowledges nothing
    int linger_ms = 500;           ///< most that closing waits for what was sent last
    int kernel_bytes = 256 << 10;  ///< that wait in the system's own queue of a connection, where none is replaced
};

/// Since the link was opened.
struct LinkCounters {
    std::uint64_t received = 0, received_bytes = 0;
    std::uint64_t sent = 0, sent_bytes = 0;
    std::uint64_t malformed = 0;          ///< messages received that could not be decoded
    std::uint64_t busy = 0;               ///< messages not sent because earlier ones wait
    std::uint64_t replaced = 0;           ///< shares that a newer one of the same link took the place of
    std::uint64_t keys_refused = 0;       ///< connections by a key that is not admitted
    std::uint64_t handshakes_failed = 0;  ///< connections that did not get as far, or took too long
    std::uint64_t ended = 0;              ///< connections that ended, whoever ended them; counted by a coordinator
    std::uint64_t strangers_cut = 0;  ///< connections cut because they said nothing, or too much, before a message
    std::uint64_t pauses = 0;         ///< times that no connection was taken in for a while
};

/// Threads that node links of one process share; a link without one makes its own. A process with a thousand links
/// needs two threads, not two thousand.
class LinkContext;
std::shared_ptr<LinkContext> make_link_context(int links);

/// Addresses of a host, in digits, the best first; may take as long as it likes, and is called in a thread of its
/// own.
using LookUp = std::function<std::vector<std::string>(const std::string& host)>;
/// What the system knows: /etc/hosts, name servers.
std::vector<std::string> look_up_host(const std::string& host);

/// Lets this process have as many files open as it may: each node takes one. To be called when a program starts.
void raise_descriptor_limit();

/// tcp://HOST:PORT, or * for a part of it that is any.
bool is_endpoint(std::string_view endpoint);

/// The same, and such that it can be dialled: a host and a port that are named.
bool is_dialled_endpoint(std::string_view endpoint);

/// Is this an address such as tcp://127.0.0.1:7700, tcp://[::1]:7700 or tcp://localhost:7700, which no other
/// machine reaches? Plain text is for those only.
bool is_loopback(std::string_view endpoint);

}  // namespace dunlin
