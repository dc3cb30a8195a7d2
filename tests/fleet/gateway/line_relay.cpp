// SPDX-License-Identifier: Apache-2.0
#include "line_relay.hpp"

#include <array>
#include <stdexcept>

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace dunlin::test {

LineRelay::LineRelay(float loss, std::uint64_t seed) : loss_(loss), seed_(seed) {
    for (Side& side : sides_) {
        side.listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        auto* name = reinterpret_cast<sockaddr*>(&address);
        if (::bind(side.listener, name, size) != 0 || ::listen(side.listener, 4) != 0 ||
            ::getsockname(side.listener, name, &size) != 0) {
            throw std::runtime_error("no port for a relay");
        }
        side.port = ntohs(address.sin_port);
    }
    thread_ = std::thread([this] { run(); });
}

LineRelay::~LineRelay() {
    stop_ = true;
    thread_.join();
    for (const Side& side : sides_) {
        ::close(side.listener);
        if (side.peer >= 0) ::close(side.peer);
    }
}

void LineRelay::run() {
    std::array random{Stream(seed_, 0, Purpose::links), Stream(seed_, 1, Purpose::links)};
    while (!stop_) {
        std::array<pollfd, 4> waits{};
        for (std::size_t k = 0; k < 2; ++k) {
            waits[k] = {sides_[k].listener, POLLIN, 0};
            waits[k + 2] = {sides_[k].peer, POLLIN, 0};
        }
        ::poll(waits.data(), waits.size(), 50);
        for (std::size_t k = 0; k < 2; ++k) {
            if ((waits[k].revents & POLLIN) != 0) {
                if (sides_[k].peer >= 0) ::close(sides_[k].peer);
                sides_[k].peer = ::accept4(sides_[k].listener, nullptr, nullptr, SOCK_CLOEXEC);
                const int on = 1;
                ::setsockopt(sides_[k].peer, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            } else if (sides_[k].peer >= 0 && waits[k + 2].revents != 0) {
                move(sides_[k], sides_[1 - k], random[k]);
            }
        }
    }
}

void LineRelay::move(Side& from, Side& to, Stream& random) {
    std::array<std::uint8_t, 2048> in, out;
    const ssize_t count = ::read(from.peer, in.data(), in.size());
    if (count <= 0) {
        ::close(from.peer);
        from.peer = -1;
        return;
    }
    std::size_t kept = 0;
    for (ssize_t k = 0; k < count; ++k) {
        const float drawn = random.uniform();
        ++bytes_;
        harmed_ += drawn < loss_ ? 1 : 0;
        if (drawn < loss_ / 2) continue;
        std::uint8_t byte = in[static_cast<std::size_t>(k)];
        if (drawn < loss_) byte = static_cast<std::uint8_t>(byte ^ (1u + random.below(255)));
        out[kept++] = byte;
    }
    if (to.peer < 0 || kept == 0) return;  // nobody listens at the other end
    if (::send(to.peer, out.data(), kept, MSG_NOSIGNAL) < 0) {
        ::close(to.peer);
        to.peer = -1;
    }
}

}  // namespace dunlin::test
