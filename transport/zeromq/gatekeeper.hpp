// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "transport/zeromq/socket.hpp"

#include <mutex>
#include <set>
#include <thread>
#include <vector>

namespace dunlin::zeromq {

/// Answers libzmq's question (ZAP, RFC 27) who may connect to a context's servers: whoever proves to own an
/// admitted key. A thread of its own answers, so that a busy program does not keep connections waiting.
class Gatekeeper {
public:
    explicit Gatekeeper(LinkContext& context);
    /// The context was shut down before.
    ~Gatekeeper();

    /// False where the system had no socket for it: nobody would be let in.
    explicit operator bool() const { return thread_.joinable(); }

    void admit(const PublicKey& key);
    void revoke(const PublicKey& key);
    bool admits(const PublicKey& key) const;
    /// Keys that were revoked since the last call: their connections are to be cut.
    std::vector<PublicKey> take_revoked();
    std::uint64_t refused() const { return refused_; }

private:
    void answer_all();

    Socket socket_;
    mutable std::mutex mutex_;
    std::set<PublicKey> admitted_;
    std::vector<PublicKey> revoked_;
    std::atomic<std::uint64_t> refused_{0};
    std::thread thread_;
};

}  // namespace dunlin::zeromq
