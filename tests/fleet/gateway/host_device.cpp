// SPDX-License-Identifier: Apache-2.0
#include "host_device.hpp"

#include <chrono>

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

thread_local int line = -1;
thread_local std::vector<std::uint8_t> unread;
thread_local const std::atomic<bool>* stop_flag = nullptr;

void fill(int timeout_ms) {
    pollfd wait{line, POLLIN, 0};
    if (::poll(&wait, 1, timeout_ms) <= 0) return;
    std::array<std::uint8_t, 512> bytes;
    const ssize_t count = ::read(line, bytes.data(), bytes.size());
    for (ssize_t k = 0; k < count; ++k) unread.push_back(bytes[static_cast<std::size_t>(k)]);
}

struct Port {
    static bool stopped() { return *stop_flag; }
    static bool read(std::uint8_t& byte) {
        if (unread.empty()) fill(1);
        if (unread.empty()) return false;
        byte = unread.front();
        unread.erase(unread.begin());
        return true;
    }
    template <class Meanwhile>
    static void write(std::uint8_t byte, Meanwhile&&) {
        (void)::send(line, &byte, 1, MSG_NOSIGNAL);
    }
    static std::uint32_t deepest_stack() { return 0; }
};

}  // namespace

extern "C" uint32_t dunlin_clock_ms(void) {
    using namespace std::chrono;
    return static_cast<uint32_t>(duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count());
}

namespace dunlin::test {

HostDevice::HostDevice(std::uint16_t port, std::uint32_t number) : port_(port) {
    for (std::uint32_t k = 0; k < PullLearner::dimension; ++k) {
        learner_.target[k] = std::sin(static_cast<float>(k + 31 * number));
    }
    start();
}

void HostDevice::start() {
    stop_ = false;
    thread_ = std::thread([this] { run(); });
}

void HostDevice::stop() {
    stop_ = true;
    thread_.join();
}

void HostDevice::run() {
    line = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port_);
    (void)::connect(line, reinterpret_cast<sockaddr*>(&address), sizeof address);
    unread.clear();
    stop_flag = &stop_;
    using Node = device::SerialNode<PullLearner, Port, device::NodeLimits{.neighbours = 3, .audit = true}>;
    const auto node = std::make_unique<Node>(learner_, "host device");
    while (!stop_) {
        if (hangs_) {
            fill(5);
            unread.clear();
        } else {
            node->turn();
        }
    }
    ::close(line);
}

}  // namespace dunlin::test
