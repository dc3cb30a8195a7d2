// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "transport/messages.hpp"

namespace dunlin {

/// Where a coordinator puts what it has to say. Never blocks; errors: not_connected, busy (earlier messages wait).
class Outbox {
public:
    virtual ~Outbox() = default;
    virtual Result<void> send(const PublicKey& to, const Message& message) = 0;
    /// Hands on the share that is just being received; of those that wait for the same two members the newest alone
    /// is kept.
    virtual Result<void> relay(const PublicKey& to, const Message& share) { return send(to, share); }
    /// Nothing has come from this key for long: its connection is to be ended, so that it dials again.
    virtual void silent(const PublicKey&) {}
    /// A key was taken from the roster: nothing more is to arrive from it. Or put on it.
    virtual void revoked(const PublicKey&) {}
    virtual void admitted(const PublicKey&) {}
};

}  // namespace dunlin
