// SPDX-License-Identifier: Apache-2.0
#include "fleet/gateway/serial_port.hpp"

#include <latch>
#include <optional>

#include <catch2/catch.hpp>

using namespace dunlin;

TEST_CASE("a port that is gone wakes nobody, however late its last event is dealt with") {
    SerialPorts ports;
    std::latch stuck(1), destroyed(1), last(1);
    int woken = 0;
    // The thread of the ports is held up while a port with an event ahead of it is destroyed.
    SerialPort first(ports, "/no/such/device", 115200, [&] {
        stuck.count_down();
        destroyed.wait();
    });
    first.open();
    stuck.wait();
    std::optional<SerialPort> second(std::in_place, ports, "/no/such/device", 115200, [&] { ++woken; });
    second->open();
    second.reset();
    SerialPort third(ports, "/no/such/device", 115200, [&] { last.count_down(); });
    third.open();
    destroyed.count_down();
    last.wait();
    CHECK(woken == 0);
    CHECK(third.state() == SerialPort::State::closed);
    CHECK_FALSE(third.reason().empty());
}
