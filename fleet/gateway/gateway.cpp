// SPDX-License-Identifier: Apache-2.0
#include "fleet/gateway/gateway.hpp"

namespace dunlin {

Outcome<void> Gateway::add(GatewayDeviceSettings settings) {
    const std::string name = settings.name;
    auto device = GatewayDevice::make(std::move(settings), ports_,
                                      [this, name](std::string_view event, const std::string& text) {
                                          const std::lock_guard lock(mutex_);
                                          log_(name, event, text);
                                      });
    if (!device) return tl::unexpected(device.error());
    devices_.push_back(*std::move(device));
    return {};
}

void Gateway::start() {
    for (const auto& device : devices_) {
        threads_.emplace_back([this, device = device.get()] { device->run(stop_); });
    }
}

void Gateway::stop() {
    stop_ = true;
    for (const auto& device : devices_) device->wake();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    devices_.clear();
}

}  // namespace dunlin
