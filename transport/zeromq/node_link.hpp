// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "transport/zeromq/link.hpp"

#include <optional>
#include <string>
#include <vector>

namespace dunlin {

struct NodeLinkSettings {
    std::string endpoint;  ///< the coordinator: tcp://laptop:7700
    PublicKey server_key = {};
    KeyPair keys;
    bool insecure = false;                 ///< plain text; on loopback only
    std::vector<std::string> others = {};  ///< further addresses of the same coordinator, tried in turn
    std::string listen;  ///< where other nodes reach this one: tcp://*:7701; "": through the coordinator only
    std::size_t message_bytes = WireLimits::message_bytes;  ///< larger messages end their connection
    std::size_t share_bytes = WireLimits::message_bytes;    ///< the same of those who dial this node
    int queue = 8;                                          ///< messages that wait for the coordinator
    int first_backoff_ms = 250;
    int longest_backoff_ms = 32000;
    LinkTiming timing = {};
    FrameObserver observer = {};
    LookUp look_up = look_up_host;  ///< names of hosts
    std::shared_ptr<LinkContext> context = {};
};

/// What a node's link has to say.
struct Arrival {
    enum class Kind : std::uint8_t {
        message,
        up,    ///< a new connection to the coordinator: nothing was said on it yet
        down,  ///< it is gone; a new one is dialled after a while
    };
    Kind kind = Kind::message;
    DecodedMessage message;
    Error reason = {};  ///< of down: not_admitted, handshake_failed, unreachable, connection_lost
};

/// A node's end: it dials, and dials again when the connection is lost, each time after twice as long up to the
/// limit, with half of that time drawn at random, so that a fleet does not come back all at once. A connection that
/// lasted longer than the wait before it starts this anew.
///
/// Push-sum shares go straight to a member that was dialled, and otherwise through the coordinator; of each link
/// only the newest share waits.
///
/// Belongs to one thread, but for `wake` (any thread, any signal handler).
class NodeLink {
public:
    /// Starts to dial. Errors: bad_endpoint, not_loopback, link_failed.
    static Result<NodeLink> open(NodeLinkSettings settings);

    /// Waits until something is there, `wake` was called or the time is up (-1: for ever). Dials when it is time
    /// to.
    void poll(int timeout_ms);
    void wake() const;

    /// Takes the next arrival that is there. Messages that could not be decoded are counted and left out.
    bool receive(Arrival& arrival);

    /// To the coordinator, once `up` was received. Never blocks. Errors: not_connected, busy, and those of
    /// encode_frame.
    Result<void> send(const Message& message);

    /// A ShareMessage to the member that it names, now or as soon as there is a way; a ShareReceipt to the member
    /// whose share it is, on the connection that the share came on or by way of the coordinator. Errors: those of
    /// encode_frame; for a receipt also not_connected and busy: the next one says the same and more.
    Result<void> send_to_peer(const Message& share);

    /// The members of the job that this node exchanges shares with. One that has an endpoint is dialled when the
    /// first share for it is there; shares are taken from all of them. What waits for others is dropped.
    void set_peers(std::span<const PeerAddress> peers);

    /// Takes shares of so many values from now on, if it did not before (ServerLink::allow).
    Result<void> expect_shares(std::size_t values);

    /// Gives up the present connection and dials after a backoff: when the coordinator was silent for too long.
    void redial();

    bool up() const;
    /// Where other nodes reach this one, with the port that was chosen; "" if nowhere.
    const std::string& listening() const;
    /// Is there a connection straight to this member?
    bool reaches(std::uint32_t member) const;
    LinkCounters counters() const;

    NodeLink(NodeLink&&) noexcept;
    NodeLink& operator=(NodeLink&&) noexcept;
    ~NodeLink();

private:
    struct Implementation;
    explicit NodeLink(std::unique_ptr<Implementation> implementation);
    std::unique_ptr<Implementation> implementation_;
};

}  // namespace dunlin
