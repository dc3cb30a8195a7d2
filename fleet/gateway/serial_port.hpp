// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/error.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace dunlin {

/// One thread that moves the bytes of any number of serial ports.
class SerialPorts {
public:
    SerialPorts();
    ~SerialPorts();
    SerialPorts(const SerialPorts&) = delete;

private:
    friend class SerialPort;
    struct Loop;
    std::unique_ptr<Loop> loop_;
};

/// A serial device, a pseudo-terminal (/dev/ttyACM0, /dev/pts/3) or a TCP connection (tcp://host:port, as emulators
/// and serial servers offer) as a stream of bytes. Never blocks. `wake` is called in another thread when something
/// has happened, and never once the port is destroyed; it must not call the port.
class SerialPort {
public:
    enum class State : std::uint8_t { closed, opening, open };

    SerialPort(SerialPorts& ports, std::string address, unsigned baud, std::function<void()> wake);
    ~SerialPort();
    SerialPort(SerialPort&&) noexcept = default;

    /// Starts to open a closed port; `state` tells what became of it.
    void open();
    void close();
    State state() const;
    /// Why it is closed, for people.
    std::string reason() const;

    /// Takes what has arrived.
    void read(std::vector<std::uint8_t>& into);
    /// Hands bytes over to be written; nothing happens where the port is not open.
    void write(std::span<const std::uint8_t> bytes);
    /// Bytes that were not written yet.
    std::size_t pending() const;

    /// Does an address look like one? Errors: bad_endpoint.
    static Result<void> check(const std::string& address);
    /// TCP, and no device.
    static bool is_connection(const std::string& address);

private:
    struct Stream;
    std::shared_ptr<Stream> stream_;
};

}  // namespace dunlin
