// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "transport/zeromq/link.hpp"

namespace dunlin {

struct ServerLinkSettings {
    std::string endpoint = "tcp://127.0.0.1:7700";  ///< tcp://*:7700 for all addresses; port 0: any that is free
    KeyPair keys;
    bool insecure = false;                                        ///< plain text; on loopback only
    std::size_t message_bytes = (WireLimits::message_bytes) / 2;  ///< larger messages end their connection
    int queue = 32;                       ///< messages that wait for one node, and from one node
    std::size_t relay_bytes = 64u << 20;  ///< shares that wait to be relayed, all nodes together
    int backlog = 1024;                   ///< most connections that wait to be accepted
    int threads = 1;                      ///< that encrypt, decrypt and move bytes
    LinkTiming timing = {};
    FrameObserver observer = {};
};

/// One message from a node, or what was wrong with it.
struct Incoming {
    PublicKey from = {};
    Result<DecodedMessage> message;
    bool first = false;  ///< of its connection
};

/// The coordinator's end: nodes dial in. A connection is the key that it proved to own, and only an admitted key
/// gets as far as a message; the newest connection of a key takes the place of the one before. Belongs to one
/// thread, but for `wake` (any thread, any signal handler), `admit` and `revoke` (any thread).
class ServerLink {
public:
    /// Errors: bad_endpoint, not_loopback, link_failed (first: errno; EMFILE where too few files may be open).
    static Result<ServerLink> open(ServerLinkSettings settings);

    /// Where it listens, with the port that was chosen.
    const std::string& endpoint() const;

    void admit(const PublicKey& key);
    /// Also ends its connection: nothing more arrives from it.
    void revoke(const PublicKey& key);
    /// Ends a node's connection; it may dial again.
    void disconnect(const PublicKey& key);

    /// Takes messages of this size from now on, if it did not before: what jobs need, so that a stranger cannot
    /// make it hold more. All connections end then, and nodes dial again. Errors: link_failed; it listens no more
    /// then.
    Result<void> allow(std::size_t message_bytes);

    /// Waits until a message is there, `wake` was called or the time is up (-1: for ever). May return earlier, and
    /// does within 10 ms after a message was refused as busy, to be tried again.
    void poll(int timeout_ms);
    void wake() const;

    /// Takes the next message that is there.
    bool receive(Incoming& incoming);

    /// Never blocks. Errors: not_connected, busy (the node's queue is full), and those of encode_frame.
    Result<void> send(const PublicKey& to, const Message& message);
    /// The same with bytes that are encoded already, for all who get the same. `frame` is not copied, and shared.
    Result<void> send_frame(const PublicKey& to, const std::shared_ptr<const Frame>& frame);

    /// Hands a share on as it came. Where the node's queue is full, it waits and a newer one of the same two
    /// members takes its place. Errors: not_connected, busy (relay_bytes are used up).
    Result<void> relay(const PublicKey& to, DecodedMessage share);

    bool connected(const PublicKey& key) const;
    /// Keys whose connection broke since the last call, and that have no newer one. What had arrived on it was
    /// received before, if `receive` had nothing left.
    std::vector<PublicKey> take_broken();
    LinkCounters counters() const;

    /// For zmq_poll beside other sockets.
    void* socket() const;

    ServerLink(ServerLink&&) noexcept;
    ServerLink& operator=(ServerLink&&) noexcept;
    ~ServerLink();

private:
    struct Implementation;
    explicit ServerLink(std::unique_ptr<Implementation> implementation);
    std::unique_ptr<Implementation> implementation_;
};

}  // namespace dunlin
