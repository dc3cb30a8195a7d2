// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fleet/gateway/serial_port.hpp"
#include "fleet/gateway/sodium_ciphers.hpp"
#include "fleet/node/node.hpp"
#include "transport/serial/gateway_message.hpp"
#include "transport/serial/sealed_guard.hpp"
#include "transport/serial/serial_line.hpp"

#include <atomic>
#include <deque>
#include <optional>

namespace dunlin {

struct GatewayDeviceSettings {
    std::string name;     ///< on the roster
    std::string address;  ///< SerialPort's
    /// Bits a second that are written, and a device is set to. 0: 115,200 of a device, and as many as it takes of a
    /// TCP connection.
    unsigned baud = 0;
    std::filesystem::path directory;    ///< of this device: its state
    NodeLinkSettings link;              ///< with the device's own key
    std::optional<CipherKey> line_key;  ///< the board's; none: its line is in clear
    int silence_ms = 15'000;            ///< a device that says nothing for so long hangs
};

/// A device behind a gateway, as a node of the fleet: what its session says is said to the coordinator over ZeroMQ
/// under its own key, and its state is kept on disk, durable before the device may tell anybody of it (invariant
/// 4). It has a thread to itself, so that nothing that a device does or does not do holds up another, and one that
/// waits for the disk. A device that learns for long says nothing to the coordinator; as long as it answers on its
/// line, its heartbeats are said for it.
class GatewayDevice {
public:
    /// Opens the directory and starts to dial. Errors: as Node::make.
    static Outcome<std::unique_ptr<GatewayDevice>> make(GatewayDeviceSettings settings, SerialPorts& ports,
                                                        NodeLog log);

    void run(const std::atomic<bool>& stop);
    void wake() const { link_.wake(); }

private:
    GatewayDevice(GatewayDeviceSettings settings, NodeStore store, NodeLink link, SerialPorts& ports, NodeLog log);

    struct Outgoing {
        SerialKind kind;
        std::vector<std::uint64_t> words;  ///< so that it is aligned
        std::size_t bytes = 0;
        std::int64_t share_of = -1;  ///< the member whose share this is: only the newest counts
    };

    void tend_port(std::int64_t now);
    void take_bytes(std::int64_t now);
    void follow_sessions();
    void tell_of_the_line(std::int64_t now);
    void add_to_report(Report& report);
    void take_arrivals();
    void to_device(const Message& message);
    void enqueue(Outgoing outgoing);
    void enqueue_bytes(SerialKind kind, std::span<const std::byte> bytes);
    void clear(bool fleet_only);
    void from_device();
    void release_kept();
    void beat(std::int64_t now);
    Code taken(SerialKind kind, std::span<const std::byte> body);
    Code to_coordinator(std::span<const std::byte> body);
    void push(std::int64_t now);

    GatewayDeviceSettings settings_;
    NodeStore store_;
    NodeLink link_;
    SerialPort port_;
    NodeLog log_;
    std::vector<std::byte> inbox_;
    std::optional<SealedGuard<SodiumCiphers>> guard_;
    SerialLine line_;
    Arrival arrival_;
    std::vector<std::uint8_t> bytes_;
    std::vector<Metric> metrics_;
    std::deque<Outgoing> queue_;
    std::optional<Outgoing> under_way_;
    std::array<std::byte, SerialHead::bytes> head_{};
    bool link_up_ = false, spoken_ = false;  ///< a connection; something was said on it
    bool port_open_ = false, told_closed_ = false;
    std::int64_t open_at_ms_ = 0;
    std::uint32_t session_ = 0, resets_ = 0, silences_ = 0, forged_ = 0;
    SerialCounters told_;  ///< what was said of the line last
    std::int64_t told_ms_ = 0;
    std::vector<Metric> reported_;
    Code away_because_{};
    bool joined_ = false;  ///< the device was told Welcome on this connection
    std::int64_t heartbeat_ms_ = 1000, said_ms_ = 0;
    Message beat_{{}, Heartbeat{}};  ///< the device's last
    std::vector<std::byte> keeping_;
    bool keeps_ = false;  ///< the device waits for `keeping_` to be on disk
    Result<void> kept_;
    Background store_thread_;  ///< last, for it uses the rest
};

}  // namespace dunlin
