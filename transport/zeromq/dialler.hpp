// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "transport/zeromq/resolver.hpp"
#include "transport/zeromq/socket.hpp"

#include <optional>
#include <random>
#include <string>
#include <vector>

namespace dunlin::zeromq {

struct DialSettings {
    std::string endpoint;
    PublicKey server_key = {};
    bool insecure = false;
    std::size_t message_bytes = 0;
    int queue = 1;
    int first_backoff_ms = 0, longest_backoff_ms = 0;
    LinkTiming timing = {};
    LookUp look_up = {};
    std::vector<std::string> others = {};  ///< further addresses; the next is dialled where one does not answer
};

/// One connection that is dialled again whenever it is lost. Each attempt is a new socket: nothing that was meant
/// for an earlier connection is ever sent on a later one, and what libzmq's own reconnection leaves out (it starts
/// over from its shortest interval after each TCP connection, also where the key is refused) is decided here.
class Dialler {
public:
    enum class State : std::uint8_t { waiting, looking_up, dialling, up };
    struct Change {
        bool up = false;
        Error reason = {};
    };

    Dialler(LinkContext& context, DialSettings settings, const KeyPair& keys);

    /// Dials if it is time to, and says what became of the connection. `now_ms` is a clock that never goes back.
    std::optional<Change> step(std::int64_t now_ms);
    /// When `step` wants to be called at the latest.
    std::int64_t due_ms() const { return due_ms_; }
    /// Ends the connection; `step` says so.
    void drop(const Error& reason);

    State state() const { return state_; }
    const Socket& socket() const { return socket_; }
    const Socket& monitor() const { return monitor_; }

private:
    void begin(std::int64_t now_ms);
    std::optional<Change> look(std::int64_t now_ms);
    void dial(std::int64_t now_ms);
    Change lose(std::int64_t now_ms, const Error& reason);
    bool configure();

    LinkContext* context_;
    DialSettings settings_;
    const KeyPair* keys_;
    std::minstd_rand random_{std::random_device{}()};
    Socket monitor_, socket_;  // in this order: see ~Socket
    State state_ = State::waiting;
    std::int64_t due_ms_ = 0, up_since_ms_ = 0;
    std::int64_t backoff_ms_ = 0;  ///< the last wait, 0 at first
    std::optional<Error> dropped_;
    std::shared_ptr<Inquiry> inquiry_;
    std::int64_t look_until_ms_ = 0;
    std::string dialled_;            ///< the endpoint, with the host in digits
    std::size_t dialled_count_ = 0;  ///< to take turns with the addresses of a host
};

}  // namespace dunlin::zeromq
