// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "transport/zeromq/link.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include <zmq.h>

namespace dunlin {

/// Owners around libzmq's C functions, for the links only.

class LinkContext {
public:
    LinkContext(int threads, int sockets);
    ~LinkContext();
    LinkContext(const LinkContext&) = delete;
    LinkContext& operator=(const LinkContext&) = delete;

    void* native() const { return native_; }
    /// Whoever waits on one of its sockets stops.
    void shut_down() { zmq_ctx_shutdown(native_); }

private:
    void* native_;
};

namespace zeromq {

/// A file descriptor that can be waited for beside sockets, and raised from any thread or signal handler.
class Wake {
public:
    Wake();
    ~Wake();
    Wake(const Wake&) = delete;
    Wake& operator=(const Wake&) = delete;

    int descriptor() const { return descriptor_; }
    void raise() const;
    void lower() const;

private:
    int descriptor_;
};

/// Is a message of one link still under way? Libzmq says so when it lets go of the bytes, from a thread of its own.
struct Flight {
    explicit Flight(std::shared_ptr<Wake> raised) : wake(std::move(raised)) {}

    std::atomic<bool> busy{false};
    std::shared_ptr<Wake> wake;
};

/// What is sent: libzmq shares it until it has let go of the bytes.
struct Parcel {
    std::shared_ptr<const Frame> frame;
    std::shared_ptr<Flight> flight;

    std::span<const std::byte> bytes() const { return frame ? frame->bytes() : std::span<const std::byte>(); }
};

class Socket {
public:
    Socket() = default;
    Socket(LinkContext& context, int type) : native_(zmq_socket(context.native(), type)) {}
    Socket(Socket&& other) noexcept : native_(std::exchange(other.native_, nullptr)) {}
    Socket& operator=(Socket&& other) noexcept {
        std::swap(native_, other.native_);
        return *this;
    }
    /// Whatever `watch`es it must be closed after it: libzmq's own thread waits for ever, and all connections of
    /// the context with it, where it has an event to tell and the one who watches is gone.
    ~Socket() {
        if (native_ == nullptr) return;
        zmq_socket_monitor(native_, nullptr, 0);
        zmq_close(native_);
    }

    void* native() const { return native_; }
    explicit operator bool() const { return native_ != nullptr; }

    bool set(int option, int value) { return zmq_setsockopt(native_, option, &value, sizeof value) == 0; }
    bool set(int option, std::int64_t value) { return zmq_setsockopt(native_, option, &value, sizeof value) == 0; }
    bool set(int option, std::span<const std::byte> value) {
        return zmq_setsockopt(native_, option, value.data(), value.size()) == 0;
    }
    std::string last_endpoint() const;

private:
    void* native_ = nullptr;
};

/// A part of a message that was received.
class Part {
public:
    Part() { zmq_msg_init(&message_); }
    ~Part() { zmq_msg_close(&message_); }
    Part(const Part&) = delete;
    Part& operator=(const Part&) = delete;

    /// False where there is none now.
    bool receive(void* socket);
    /// Waits for one; false, with errno, where it was interrupted or the context was shut down.
    bool wait(void* socket) { return zmq_msg_recv(&message_, socket, 0) >= 0; }
    /// Takes the rest of a message of which this is a part; true if there was one.
    bool drop_rest(void* socket);
    bool more() { return zmq_msg_more(&message_) != 0; }
    std::span<const std::byte> bytes() {
        return {static_cast<const std::byte*>(zmq_msg_data(&message_)), zmq_msg_size(&message_)};
    }
    std::string_view text() { return {static_cast<const char*>(zmq_msg_data(&message_)), zmq_msg_size(&message_)}; }
    /// "" where the connection has no such property.
    std::string_view property(const char* name);
    int descriptor() { return zmq_msg_get(&message_, ZMQ_SRCFD); }

    /// The bytes with their memory; copied only where they do not start on a multiple of 8.
    static Frame frame(std::unique_ptr<Part> part);

private:
    zmq_msg_t message_;
};

/// Sends without blocking. Returns 0 or an errno.
int send(void* socket, const Parcel& parcel);
/// The same for the first part of a message.
int send_part(void* socket, std::string_view bytes);

/// The next event of a socket's monitor; false where there is none now.
struct MonitorEvent {
    int what = 0;
    std::uint32_t value = 0;
};
bool next_event(void* monitor, MonitorEvent& event);

/// Makes `socket` report `events` and returns where they can be read.
Socket watch(LinkContext& context, Socket& socket, int events);

/// The host of an endpoint: "laptop", "10.0.0.1", "[::1]".
std::string host_of(std::string_view endpoint);

/// What both ends set alike. False where libzmq refuses, with its errno.
bool apply(Socket& socket, std::string_view endpoint, const LinkTiming& timing, std::size_t message_bytes,
           int queue);

}  // namespace zeromq
}  // namespace dunlin
