// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/random.hpp"

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>

namespace dunlin::test {

/// A bad serial line: two TCP ports, one for a gateway and one for a device, between which bytes are damaged and
/// dropped. Either side may leave and come back.
class LineRelay {
public:
    /// `loss` is the share of bytes that are damaged or dropped, half each.
    LineRelay(float loss, std::uint64_t seed);
    ~LineRelay();

    std::uint16_t gateway_port() const { return sides_[0].port; }
    std::uint16_t device_port() const { return sides_[1].port; }
    std::string gateway_address() const { return "tcp://127.0.0.1:" + std::to_string(gateway_port()); }
    std::uint64_t bytes() const { return bytes_; }
    std::uint64_t harmed() const { return harmed_; }

private:
    struct Side {
        int listener = -1, peer = -1;
        std::uint16_t port = 0;
    };
    void run();
    void move(Side& from, Side& to, Stream& random);

    float loss_;
    std::uint64_t seed_;
    Side sides_[2];
    std::atomic<std::uint64_t> bytes_{0}, harmed_{0};
    std::atomic<bool> stop_{false};
    std::thread thread_;
};

}  // namespace dunlin::test
