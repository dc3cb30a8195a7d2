// SPDX-License-Identifier: Apache-2.0
#include "fleet/gateway/serial_port.hpp"

#include "fleet/gateway/line_speed.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <thread>
#include <utility>

#include <boost/asio/connect.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <fcntl.h>
#include <unistd.h>

namespace dunlin {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

constexpr std::string_view tcp_scheme = "tcp://";
constexpr std::size_t most_unread = 1 << 20;  ///< a device that says more than anybody takes is cut off

/// Host and port of tcp://host:port; empty where it is none.
std::pair<std::string, std::string> host_and_port(const std::string& address) {
    const std::string rest = address.substr(tcp_scheme.size());
    const std::size_t colon = rest.rfind(':');
    if (colon == std::string::npos || colon == 0 || colon + 1 == rest.size()) return {};
    return {rest.substr(0, colon), rest.substr(colon + 1)};
}

}  // namespace

struct SerialPorts::Loop {
    asio::io_context context;
    asio::executor_work_guard<asio::io_context::executor_type> work{context.get_executor()};
    std::thread thread{[this] { context.run(); }};

    ~Loop() {
        context.stop();
        thread.join();
    }
};

SerialPorts::SerialPorts() : loop_(std::make_unique<Loop>()) {}
SerialPorts::~SerialPorts() = default;

/// Handlers run in the loop's thread and keep the stream alive; what both threads look at is behind the mutex.
struct SerialPort::Stream : std::enable_shared_from_this<Stream> {
    Stream(asio::io_context& context, std::string where, unsigned rate, std::function<void()> waker)
        : address(std::move(where)),
          baud(rate),
          descriptor(context),
          socket(context),
          resolver(context),
          wake(std::move(waker)) {}

    /// Tells the port's owner, as long as there is one.
    void tell() {
        const std::lock_guard lock(mutex);
        if (wake) wake();
    }

    void open_device() {
        const int file = ::open(address.c_str(), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
        if (file < 0) return fail(std::strerror(errno));
        if (const std::string wrong = set_line_speed(file, baud); !wrong.empty()) {
            ::close(file);
            return fail(wrong);
        }
        opened(file);
    }

    void open_connection() {
        const auto [host, port] = host_and_port(address);
        resolver.async_resolve(host, port, [self = shared_from_this()](error_code error, auto found) {
            if (error) return self->fail(error.message());
            self->socket = tcp::socket(self->resolver.get_executor());
            asio::async_connect(self->socket, found, [self](error_code refused, const tcp::endpoint&) {
                if (refused) return self->fail(refused.message());
                error_code ignored;
                self->socket.set_option(tcp::no_delay(true), ignored);
                self->opened(self->socket.release());
            });
        });
    }

    void opened(int file) {
        error_code error;
        if (descriptor.is_open()) descriptor.close(error);
        descriptor.assign(file, error);
        if (error) return fail(error.message());
        {
            const std::lock_guard lock(mutex);
            state = State::open;
            unread.clear();
            unwritten.clear();
        }
        writing = false;
        tell();
        receive();
    }

    void receive() {
        descriptor.async_read_some(
            asio::buffer(buffer), [self = shared_from_this()](error_code error, std::size_t n) {
                if (error) return self->fail(error.message());
                bool fits = false;
                {
                    const std::lock_guard lock(self->mutex);
                    fits = self->unread.size() + n <= most_unread;
                    if (fits)
                        self->unread.insert(self->unread.end(), self->buffer.begin(),
                                            self->buffer.begin() + static_cast<std::ptrdiff_t>(n));
                }
                if (!fits) return self->fail("it floods the line");
                self->tell();
                self->receive();
            });
    }

    void send() {
        if (writing) return;
        {
            const std::lock_guard lock(mutex);
            if (state != State::open || unwritten.empty()) return;
            out.swap(unwritten);
            unwritten.clear();
        }
        writing = true;
        asio::async_write(descriptor, asio::buffer(out),
                          [self = shared_from_this()](error_code error, std::size_t) {
                              self->writing = false;
                              {
                                  const std::lock_guard lock(self->mutex);
                                  self->out.clear();
                              }
                              if (error) return self->fail(error.message());
                              self->tell();
                              self->send();
                          });
    }

    void fail(const std::string& why) {
        error_code ignored;
        descriptor.close(ignored);
        socket.close(ignored);
        {
            const std::lock_guard lock(mutex);
            if (state == State::closed) return;
            state = State::closed;
            reason = why;
        }
        tell();
    }

    const std::string address;
    const unsigned baud;

    // of the loop's thread
    asio::posix::stream_descriptor descriptor;
    tcp::socket socket;
    tcp::resolver resolver;
    std::array<std::uint8_t, 4096> buffer{};
    bool writing = false;

    std::mutex mutex;
    std::function<void()> wake;  ///< none once the port is gone: what it calls may be gone too
    State state = State::closed;
    std::string reason;
    std::vector<std::uint8_t> unread, unwritten, out;
};

SerialPort::SerialPort(SerialPorts& ports, std::string address, unsigned baud, std::function<void()> wake)
    : stream_(std::make_shared<Stream>(ports.loop_->context, std::move(address), baud, std::move(wake))) {}

SerialPort::~SerialPort() {
    if (!stream_) return;
    {
        const std::lock_guard lock(stream_->mutex);
        stream_->wake = nullptr;
    }
    close();
}

void SerialPort::open() {
    {
        const std::lock_guard lock(stream_->mutex);
        if (stream_->state != State::closed) return;
        stream_->state = State::opening;
    }
    asio::post(stream_->descriptor.get_executor(), [stream = stream_] {
        stream->address.starts_with(tcp_scheme) ? stream->open_connection() : stream->open_device();
    });
}

void SerialPort::close() {
    asio::post(stream_->descriptor.get_executor(), [stream = stream_] { stream->fail("closed"); });
}

SerialPort::State SerialPort::state() const {
    const std::lock_guard lock(stream_->mutex);
    return stream_->state;
}

std::string SerialPort::reason() const {
    const std::lock_guard lock(stream_->mutex);
    return stream_->reason;
}

void SerialPort::read(std::vector<std::uint8_t>& into) {
    into.clear();
    const std::lock_guard lock(stream_->mutex);
    into.swap(stream_->unread);
}

void SerialPort::write(std::span<const std::uint8_t> bytes) {
    {
        const std::lock_guard lock(stream_->mutex);
        if (stream_->state != State::open) return;
        stream_->unwritten.insert(stream_->unwritten.end(), bytes.begin(), bytes.end());
    }
    asio::post(stream_->descriptor.get_executor(), [stream = stream_] { stream->send(); });
}

std::size_t SerialPort::pending() const {
    const std::lock_guard lock(stream_->mutex);
    return stream_->unwritten.size() + stream_->out.size();
}

bool SerialPort::is_connection(const std::string& address) {
    return address.starts_with(tcp_scheme);
}

Result<void> SerialPort::check(const std::string& address) {
    if (is_connection(address) ? host_and_port(address).first.empty() : !address.starts_with("/"))
        return dunlin::fail(Code::bad_endpoint);
    return {};
}

}  // namespace dunlin
