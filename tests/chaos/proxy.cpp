// SPDX-License-Identifier: Apache-2.0
#include "proxy.hpp"

#include <algorithm>
#include <cerrno>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

namespace dunlin::chaos {
namespace {

constexpr std::size_t most_waiting = 4u << 20;  // beyond it the sender waits, as it would on a slow line

sockaddr_in loopback(std::uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

void make_quick(int descriptor) {
    const int one = 1;
    fcntl(descriptor, F_SETFL, O_NONBLOCK);
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

}  // namespace

Proxy::Proxy(int nodes, std::uint16_t port) : port_(port) {
    for (int node = 0; node < nodes; ++node) {
        Line line;
        line.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address = loopback(0);
        socklen_t size = sizeof address;
        bind(line.listener, reinterpret_cast<sockaddr*>(&address), size);
        listen(line.listener, 64);
        fcntl(line.listener, F_SETFL, O_NONBLOCK);
        getsockname(line.listener, reinterpret_cast<sockaddr*>(&address), &size);
        line.port = ntohs(address.sin_port);
        lines_.push_back(line);
    }
}

Proxy::~Proxy() {
    for (const Connection& connection : connections_) {
        close(connection.up.from);
        close(connection.up.to);
    }
    for (const Line& line : lines_) close(line.listener);
}

std::string Proxy::endpoint(int node) const {
    return "tcp://127.0.0.1:" + std::to_string(lines_[static_cast<std::size_t>(node)].port);
}

void Proxy::accept(int node) {
    const int from = accept4(lines_[static_cast<std::size_t>(node)].listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (from < 0) return;
    const int to = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = loopback(port_);
    make_quick(from);
    make_quick(to);
    // Of a coordinator that is not there this is known at once, on loopback.
    if (connect(to, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 && errno != EINPROGRESS) {
        close(from);
        close(to);
        return;
    }
    connections_.push_back({node, {from, to}, {to, from}});
}

void Proxy::take(Connection& connection, Way& way, std::int64_t now_ms) {
    LineFaults& faults = line(connection.node);
    std::vector<char> bytes(1u << 16);
    const ssize_t got = recv(way.from, bytes.data(), bytes.size(), 0);
    if (got <= 0) {
        connection.over = got == 0 || (errno != EAGAIN && errno != EINTR);
        return;
    }
    bytes.resize(static_cast<std::size_t>(got));
    if (faults.corrupt) {
        bytes[bytes.size() / 2] ^= 4;
        faults.corrupt = false;
    }
    if (&way == &connection.up && !faults.forged.empty()) {
        bytes.insert(bytes.begin(), faults.forged.begin(), faults.forged.end());
        faults.forged.clear();
    }
    way.bytes += bytes.size();
    way.waiting.push_back({now_ms + (now_ms < faults.slow_until_ms ? faults.delay_ms : 0), std::move(bytes)});
}

void Proxy::give(Connection& connection, Way& way, std::int64_t now_ms) {
    while (!way.waiting.empty() && way.waiting.front().due_ms <= now_ms) {
        std::vector<char>& bytes = way.waiting.front().bytes;
        const ssize_t sent = send(way.to, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (sent < 0) {
            connection.over = connection.over || (errno != EAGAIN && errno != EINTR && errno != ENOTCONN);
            return;
        }
        way.bytes -= static_cast<std::size_t>(sent);
        bytes.erase(bytes.begin(), bytes.begin() + sent);
        if (!bytes.empty()) return;
        way.waiting.pop_front();
    }
}

void Proxy::poll(int timeout_ms, std::int64_t now_ms) {
    polled_.clear();
    for (const Line& line : lines_) polled_.push_back({line.listener, POLLIN, 0});
    for (const Connection& connection : connections_) {
        const bool stalled = now_ms < line(connection.node).stalled_until_ms;
        for (const Way* way : {&connection.up, &connection.down}) {
            const bool takes = !stalled && way->bytes < most_waiting;
            polled_.push_back({stalled ? -1 : way->from, static_cast<short>(takes ? POLLIN : 0), 0});
        }
    }
    ::poll(polled_.data(), polled_.size(), timeout_ms);
    std::size_t at = lines_.size();
    for (Connection& connection : connections_) {
        const bool stalled = now_ms < line(connection.node).stalled_until_ms;
        for (Way* way : {&connection.up, &connection.down}) {
            if (polled_[at++].revents != 0 && !stalled && way->bytes < most_waiting) take(connection, *way, now_ms);
            if (!stalled) give(connection, *way, now_ms);
        }
        if (line(connection.node).cut) connection.over = true;
    }
    for (Line& line : lines_) line.faults.cut = false;
    connections_.remove_if([](const Connection& connection) {
        if (connection.over) {
            close(connection.up.from);
            close(connection.up.to);
        }
        return connection.over;
    });
    for (std::size_t node = 0; node < lines_.size(); ++node) {
        if (polled_[node].revents != 0) accept(static_cast<int>(node));
    }
}

}  // namespace dunlin::chaos
