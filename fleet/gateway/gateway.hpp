// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fleet/gateway/device.hpp"

#include <mutex>
#include <thread>

namespace dunlin {

/// What happened to a device: its name, a word and a line for people. Called by one thread at a time.
using GatewayLog = std::function<void(const std::string& device, std::string_view event, const std::string& text)>;

/// Any number of devices on serial lines, each of them a node of a fleet with a key of its own.
class Gateway {
public:
    explicit Gateway(GatewayLog log) : log_(std::move(log)) {}
    ~Gateway() { stop(); }

    /// Before `start`. Errors: GatewayDevice::make's.
    Outcome<void> add(GatewayDeviceSettings settings);
    void start();
    /// Ends all threads; states are on disk.
    void stop();

    std::size_t devices() const { return devices_.size(); }

private:
    SerialPorts ports_;
    GatewayLog log_;
    std::mutex mutex_;
    std::vector<std::unique_ptr<GatewayDevice>> devices_;
    std::vector<std::thread> threads_;
    std::atomic<bool> stop_{false};
};

}  // namespace dunlin
