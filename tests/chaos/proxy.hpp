// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <list>
#include <string>
#include <vector>

#include <poll.h>

namespace dunlin::chaos {

/// What happens to the bytes of one node's line. Times are of the monotonic clock.
struct LineFaults {
    std::int64_t stalled_until_ms = 0;  ///< nothing is handed on
    std::int64_t slow_until_ms = 0;     ///< everything takes `delay_ms` longer
    std::int64_t delay_ms = 0;
    bool corrupt = false;  ///< a bit of what is handed on next is another
    bool cut = false;      ///< every connection ends, without a word
    std::string forged;    ///< slipped in before what the node says next
};

/// A TCP relay on loopback between nodes and their coordinator, with a port, and faults, for each node. One thread.
class Proxy {
public:
    /// Hands on to `port`; listens for so many nodes.
    Proxy(int nodes, std::uint16_t port);
    ~Proxy();
    Proxy(const Proxy&) = delete;

    std::string endpoint(int node) const;
    LineFaults& line(int node) { return lines_[static_cast<std::size_t>(node)].faults; }

    /// Hands on what is there and due, waiting for it at most `timeout_ms`.
    void poll(int timeout_ms, std::int64_t now_ms);

private:
    struct Chunk {
        std::int64_t due_ms;
        std::vector<char> bytes;
    };
    struct Way {
        int from, to;
        std::deque<Chunk> waiting = {};
        std::size_t bytes = 0;
    };
    struct Connection {
        int node;
        Way up, down;
        bool over = false;
    };
    struct Line {
        int listener = -1;
        std::uint16_t port = 0;
        LineFaults faults = {};
    };

    void accept(int node);
    void take(Connection& connection, Way& way, std::int64_t now_ms);
    void give(Connection& connection, Way& way, std::int64_t now_ms);

    std::uint16_t port_;
    std::vector<Line> lines_;
    std::list<Connection> connections_;
    std::vector<pollfd> polled_;
};

}  // namespace dunlin::chaos
