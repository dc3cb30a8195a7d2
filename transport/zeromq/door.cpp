// SPDX-License-Identifier: Apache-2.0
#include "transport/zeromq/door.hpp"

#include "transport/zeromq/quiet_thread.hpp"

#include <algorithm>
#include <chrono>
#include <filesystem>

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

namespace dunlin {

void raise_descriptor_limit() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
    constexpr rlim_t most = 1u << 20;
    limit.rlim_cur = std::min(limit.rlim_max, std::max(limit.rlim_cur, most));
    setrlimit(RLIMIT_NOFILE, &limit);
}

namespace zeromq {
namespace {

constexpr int watched = ZMQ_EVENT_LISTENING | ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_ACCEPT_FAILED |
                        ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                        ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL;
/// ZMTP's greeting and CURVE's Hello have 266 bytes; who completes its handshake says twice as much.
constexpr std::uint64_t handshake_bytes = 300;
constexpr std::int64_t patience_ms = 1000, look_ms = 50, window_ms = 100, rest_ms = 300;

std::int64_t steady_ms() {
    using namespace std::chrono;
    return duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count();
}

/// What the other side has said so far.
std::uint64_t said_bytes(int descriptor) {
    tcp_info info{};
    socklen_t size = sizeof info;
    if (getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return 0;
    return info.tcpi_bytes_received;
}

}  // namespace

Descriptors Descriptors::now() {
    Descriptors found;
    rlimit limit{};
    // "No limit" is the largest number, of 64 bits where pointers have 32.
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        found.allowed = static_cast<std::size_t>(std::min<rlim_t>(limit.rlim_cur, 1u << 30));
    std::error_code error;
    for (std::filesystem::directory_iterator at("/proc/self/fd", error), end; !error && at != end;
         at.increment(error))
        ++found.used;
    // Where not even this can be looked at, there is none left.
    if (error) found.used = found.allowed;
    return found;
}

std::string peer_of(int descriptor) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    if (getpeername(descriptor, reinterpret_cast<sockaddr*>(&address), &size) != 0) return {};
    return {reinterpret_cast<const char*>(&address), size};
}

Door::Door(LinkContext& context, Socket& router, const Limits& limits, std::shared_ptr<Wake> raised)
    : limits_(limits), monitor_(zeromq::watch(context, router, watched)), raised_(std::move(raised)) {
    keep_descriptors();
    if (monitor_) thread_ = quiet_thread([this] { watch_all(); });
}

Door::~Door() {
    ends_ = true;
    stop_.raise();
    if (thread_.joinable()) thread_.join();
    let_go();
}

bool Door::know(int descriptor, const std::string& peer, const PublicKey& key) {
    const std::lock_guard lock(mutex_);
    const auto found = connections_.find(descriptor);
    if (found == connections_.end() || peer.empty() || found->second.peer != peer) return false;
    if (!found->second.known) --strangers_;
    found->second.known = true;
    found->second.key = key;
    return true;
}

std::vector<Door::Ended> Door::take_ended() {
    const std::lock_guard lock(mutex_);
    return std::exchange(ended_, {});
}

Door::Counters Door::counters() const {
    const std::lock_guard lock(mutex_);
    return counters_;
}

void Door::watch_all() {
    zmq_pollitem_t items[] = {{monitor_.native(), 0, ZMQ_POLLIN, 0}, {nullptr, stop_.descriptor(), ZMQ_POLLIN, 0}};
    for (bool busy = false; !ends_;) {
        zmq_poll(items, std::size(items), busy ? look_ms : -1);
        const std::lock_guard lock(mutex_);
        MonitorEvent event;
        while (!ends_ && next_event(monitor_.native(), event)) take(event, steady_ms());
        const std::int64_t now_ms = steady_ms();
        if (now_ms - window_ms_ >= window_ms) {
            window_ms_ = now_ms;
            taken_ = 0;
        }
        if (strangers_ > 0 && now_ms - looked_ms_ >= look_ms) {
            looked_ms_ = now_ms;
            look_at_strangers(now_ms);
        }
        const std::size_t staying = connections_.size() - cut_;
        if (staying > limits_.connections) cut_newest(staying - limits_.connections);
        if (now_ms >= rest_until_ms_) keep_descriptors();  // not before those that were accepted are in
        hold_back(full() || now_ms < rest_until_ms_);
        busy = strangers_ > 0 || holding_.value_or(false);
    }
}

bool Door::full() const {
    return connections_.size() >= limits_.connections || strangers_ >= limits_.strangers ||
           taken_ >= limits_.per_second / (1000 / window_ms);
}

void Door::take(const MonitorEvent& event, std::int64_t now_ms) {
    const auto descriptor = static_cast<int>(event.value);
    switch (event.what) {
        case ZMQ_EVENT_LISTENING:
            listener_ = descriptor;
            holding_.reset();  // a filter may be on it from before, or none
            break;
        case ZMQ_EVENT_ACCEPTED: {
            forget(descriptor);
            Connection& connection = connections_[descriptor];
            connection.peer = peer_of(descriptor);
            connection.since_ms = now_ms;
            ++strangers_;
            ++taken_;
            // Where the system cannot hold others back they are turned away.
            if (!can_hold_ && full()) cut(descriptor, connection);
            hold_back(full());
            break;
        }
        case ZMQ_EVENT_ACCEPT_FAILED:
            rest_until_ms_ = now_ms + 200;
            hold_back(true);
            let_go();
            break;
        case ZMQ_EVENT_DISCONNECTED:
            ++counters_.ended;
            forget(descriptor);
            break;
        default:
            ++counters_.handshakes_failed;
    }
}

/// A connection that is over.
void Door::forget(int descriptor) {
    const auto found = connections_.find(descriptor);
    if (found == connections_.end()) return;
    const Connection& over = found->second;
    if (over.known) {
        ended_.push_back({over.key, descriptor, over.peer});
        raised_->raise();
    }
    strangers_ -= over.known ? 0 : 1;
    cut_ -= over.cut ? 1 : 0;
    connections_.erase(found);
}

void Door::look_at_strangers(std::int64_t now_ms) {
    std::uint64_t all = 0;
    std::vector<std::pair<std::uint64_t, int>> said;
    for (auto& [descriptor, connection] : connections_) {
        if (connection.known || connection.cut) continue;
        const std::uint64_t bytes = said_bytes(descriptor);
        all += bytes;
        said.emplace_back(bytes, descriptor);
        const bool silent = bytes < handshake_bytes && now_ms - connection.since_ms >= patience_ms;
        if (!silent || !holding_.value_or(false)) continue;
        cut(descriptor, connection);
        // They dial again at once. Held back for a while yet, they wait like everybody else who does.
        rest_until_ms_ = now_ms + rest_ms;
    }
    std::ranges::sort(said, std::greater());
    for (auto most = said.begin(); all > limits_.stranger_bytes && most != said.end(); ++most) {
        cut(most->second, connections_[most->second]);
        all -= most->first;
    }
}

void Door::cut_newest(std::size_t many) {
    std::vector<std::pair<std::int64_t, int>> strangers;
    for (const auto& [descriptor, connection] : connections_)
        if (!connection.known && !connection.cut) strangers.emplace_back(connection.since_ms, descriptor);
    std::ranges::sort(strangers, std::greater());
    strangers.resize(std::min(strangers.size(), many));
    for (const auto& [since_ms, descriptor] : strangers) cut(descriptor, connections_[descriptor]);
}

/// Libzmq has no call that ends one connection of many; the system does.
void Door::cut(int descriptor, Connection& connection) {
    if (connection.cut || connection.peer.empty() || peer_of(descriptor) != connection.peer) return;
    ++counters_.strangers_cut;
    ++cut_;
    connection.cut = true;
    shutdown(descriptor, SHUT_RDWR);
}

/// As many as are to be held back, where they can be had and nobody in the door has taken one of them.
void Door::keep_descriptors() {
    while (kept_.size() < limits_.held_back && connections_.size() <= limits_.connections) {
        const int one = fcntl(stop_.descriptor(), F_DUPFD_CLOEXEC, 0);
        if (one < 0) return;
        kept_.push_back(one);
    }
}

void Door::let_go() {
    for (const int descriptor : std::exchange(kept_, {})) close(descriptor);
}

void Door::hold_back(bool hold) {
    if (holding_ == hold || listener_ < 0) return;
    holding_ = hold;
    if (hold) {
        ++counters_.pauses;
        sock_filter nothing[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
        const sock_fprog program{std::size(nothing), nothing};
        can_hold_ = setsockopt(listener_, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0;
    } else {
        const int unused = 0;
        setsockopt(listener_, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof unused);
    }
}

}  // namespace zeromq
}  // namespace dunlin
