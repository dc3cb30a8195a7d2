// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "transport/zeromq/socket.hpp"

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace dunlin::zeromq {

/// How many files the process may have open, and has.
struct Descriptors {
    std::size_t allowed = 0, used = 0;

    static Descriptors now();
    std::size_t left() const { return allowed > used ? allowed - used : 0; }
};

/// The other end of a TCP connection, to tell whether a descriptor still means the same one; "" where it is gone.
std::string peer_of(int descriptor);

/// Looks after the connections that a listening socket takes in, in a thread of its own, since libzmq takes in
/// whatever comes until no descriptor is left, and then spins. A connection is a stranger until it has brought a
/// message of an admitted key. While there are as many connections, or strangers, as are allowed, or they come too
/// fast, the system holds further ones back (a filter on the listening socket drops what opens a connection; who
/// dials repeats it). Strangers in a full door that have not said a handshake's length after a second are cut, and
/// so is whoever has said most while all of them together have said more than `stranger_bytes`.
///
/// A burst may be taken in before this thread runs, and take the last descriptor. Therefore the door holds some back:
/// it lets go of them then, so that libzmq can take in those that the system has accepted already instead of
/// spinning, cuts the newest strangers beyond `connections`, and holds descriptors back again.
class Door {
public:
    struct Limits {
        std::size_t connections = 0;     ///< all together
        std::size_t strangers = 0;       ///< of them
        std::size_t stranger_bytes = 0;  ///< that strangers may have said, all together
        std::size_t per_second = 1000;   ///< connections taken in
        std::size_t held_back = 0;       ///< descriptors; more than the system accepts by itself
    };
    /// A connection of a known key that ended.
    struct Ended {
        PublicKey key;
        int descriptor;
        std::string peer;
    };
    struct Counters {
        std::uint64_t handshakes_failed = 0, ended = 0, strangers_cut = 0, pauses = 0;
    };

    /// Before the socket is bound. `raised` is raised when a connection of a known key has ended.
    Door(LinkContext& context, Socket& router, const Limits& limits, std::shared_ptr<Wake> raised);
    /// The socket was closed before.
    ~Door();
    Door(const Door&) = delete;

    explicit operator bool() const { return static_cast<bool>(monitor_); }

    /// This connection brought a message of an admitted key. False where it has ended already.
    bool know(int descriptor, const std::string& peer, const PublicKey& key);
    std::vector<Ended> take_ended();
    Counters counters() const;
    /// Of the listening socket; -1 until it is bound, which takes a moment.
    int listener() const { return listener_; }

private:
    using Milliseconds = std::int64_t;
    struct Connection {
        std::string peer;
        Milliseconds since_ms = 0;
        bool known = false, cut = false;
        PublicKey key{};
    };

    void watch_all();
    void take(const MonitorEvent& event, Milliseconds now_ms);
    void forget(int descriptor);
    void look_at_strangers(Milliseconds now_ms);
    void cut_newest(std::size_t many);
    void hold_back(bool hold);
    void keep_descriptors();
    void let_go();
    void cut(int descriptor, Connection& connection);
    bool full() const;

    Limits limits_;
    Socket monitor_;
    std::shared_ptr<Wake> raised_;
    Wake stop_;
    std::atomic<int> listener_{-1};
    mutable std::mutex mutex_;
    // guarded by mutex_
    std::map<int, Connection> connections_;  ///< by descriptor
    std::size_t strangers_ = 0, cut_ = 0;    ///< of `connections_`
    std::vector<Ended> ended_;
    Counters counters_;
    // of the thread alone
    std::vector<int> kept_;                ///< descriptors that are held back
    std::optional<bool> holding_ = false;  ///< none: not known
    bool can_hold_ = true;
    std::size_t taken_ = 0;  ///< since `window_ms_`
    Milliseconds window_ms_ = 0, looked_ms_ = 0, rest_until_ms_ = 0;
    std::atomic<bool> ends_{false};
    std::thread thread_;
};

}  // namespace dunlin::zeromq
