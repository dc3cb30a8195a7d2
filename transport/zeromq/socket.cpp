// SPDX-License-Identifier: Apache-2.0
#include "transport/zeromq/socket.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>
#include <system_error>

#include <arpa/inet.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace dunlin {

LinkContext::LinkContext(int threads, int sockets) : native_(zmq_ctx_new()) {
    zmq_ctx_set(native_, ZMQ_IO_THREADS, threads);
    zmq_ctx_set(native_, ZMQ_MAX_SOCKETS, sockets);
}

LinkContext::~LinkContext() {
    while (zmq_ctx_term(native_) != 0 && errno == EINTR) {
    }
}

std::shared_ptr<LinkContext> make_link_context(int links) {
    constexpr int sockets_of_a_link = 3, most = 65535;
    return std::make_shared<LinkContext>(1, std::min(64 + links * sockets_of_a_link, most));
}

namespace zeromq {
namespace {

/// The address if it is an IPv4 one in digits.
std::optional<std::uint32_t> ipv4_of(const std::string& host) {
    in_addr address{};
    if (inet_pton(AF_INET, host.c_str(), &address) != 1) return std::nullopt;
    return ntohl(address.s_addr);
}

}  // namespace

std::string host_of(std::string_view endpoint) {
    endpoint.remove_prefix(std::string_view("tcp://").size());
    return std::string(endpoint.substr(0, endpoint.rfind(':')));
}

}  // namespace zeromq

/// A name or an address in digits, an interface, [IPv6], or *.
static bool is_host(std::string_view host) {
    constexpr std::size_t longest = 253 + 2;
    if (host == "*") return true;
    const bool six = host.starts_with('[') && host.ends_with(']');
    if (six) host = host.substr(1, host.size() - 2);
    if (host.empty() || host.size() > longest) return false;
    return std::ranges::all_of(host, [six](char c) {
        const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        return plain || c == '.' || c == '-' || c == '_' || c == '%' || (six && (c == ':' || c == '*'));
    });
}

bool is_endpoint(std::string_view endpoint) {
    constexpr std::string_view scheme = "tcp://";
    const std::size_t colon = endpoint.rfind(':');
    if (!endpoint.starts_with(scheme) || colon < scheme.size() + 1) return false;
    if (!is_host(endpoint.substr(scheme.size(), colon - scheme.size()))) return false;
    const std::string_view port = endpoint.substr(colon + 1);
    std::uint16_t number = 0;  // libzmq takes 99999 for 34463
    const auto read = std::from_chars(port.data(), port.data() + port.size(), number);
    return port == "*" || (read.ec == std::errc() && read.ptr == port.data() + port.size());
}

bool is_dialled_endpoint(std::string_view endpoint) {
    return is_endpoint(endpoint) && !endpoint.ends_with(":*") && !endpoint.ends_with(":0") &&
           endpoint.find('*') == std::string_view::npos;
}

bool is_loopback(std::string_view endpoint) {
    if (!is_endpoint(endpoint)) return false;
    const std::string host = zeromq::host_of(endpoint);
    if (const auto address = zeromq::ipv4_of(host)) return *address >> 24 == 127;
    return host == "localhost" || host == "[::1]";
}

namespace zeromq {

Wake::Wake() : descriptor_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    if (descriptor_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
}

Wake::~Wake() {
    close(descriptor_);
}

void Wake::raise() const {
    const int saved = errno;  // also in a signal handler
    const std::uint64_t one = 1;
    if (write(descriptor_, &one, sizeof one) < 0) {
        // Raised already, as often as it can be.
    }
    errno = saved;
}

void Wake::lower() const {
    std::uint64_t count = 0;
    if (read(descriptor_, &count, sizeof count) < 0) {
        // It was not raised.
    }
}

std::string Socket::last_endpoint() const {
    char text[512] = {};
    std::size_t size = sizeof text;
    if (zmq_getsockopt(native_, ZMQ_LAST_ENDPOINT, text, &size) != 0) return {};
    return text;
}

bool Part::receive(void* socket) {
    int bytes = 0;
    do {
        bytes = zmq_msg_recv(&message_, socket, ZMQ_DONTWAIT);
    } while (bytes < 0 && errno == EINTR);
    return bytes >= 0;
}

bool Part::drop_rest(void* socket) {
    const bool any = more();
    Part rest;
    for (bool next = any; next;) next = rest.receive(socket) && rest.more();
    return any;
}

std::string_view Part::property(const char* name) {
    const char* text = zmq_msg_gets(&message_, name);
    return text != nullptr ? text : std::string_view();
}

Frame Part::frame(std::unique_ptr<Part> part) {
    const std::span<const std::byte> bytes = part->bytes();
    if (reinterpret_cast<std::uintptr_t>(bytes.data()) % 8 == 0)
        return Frame(Frame::Owner(part.release(), [](void* owned) { delete static_cast<Part*>(owned); }), bytes);
    Frame::Owner copy(std::malloc(std::max<std::size_t>(bytes.size(), 1)), std::free);
    if (!copy) throw std::bad_alloc();
    if (!bytes.empty()) std::memcpy(copy.get(), bytes.data(), bytes.size());
    const auto* front = static_cast<const std::byte*>(copy.get());
    return Frame(std::move(copy), {front, bytes.size()});
}

/// 0 or an errno. A full queue is looked at twice: libzmq takes note of what the other side has taken only now and
/// then, and at once where it is asked what the socket is ready for.
template <class Call>
static int without_blocking(void* socket, Call call) {
    for (bool looked = false;;) {
        if (call() >= 0) return 0;
        if (errno == EINTR) continue;
        if (errno != EAGAIN || looked) return errno;
        int events = 0;
        std::size_t size = sizeof events;
        zmq_getsockopt(socket, ZMQ_EVENTS, &events, &size);
        looked = true;
    }
}

int send(void* socket, const Parcel& parcel) {
    auto travelling = std::make_unique<Parcel>(parcel);
    const auto arrived = [](void*, void* hint) {
        const std::unique_ptr<Parcel> done(static_cast<Parcel*>(hint));
        if (!done->flight) return;
        done->flight->busy = false;
        done->flight->wake->raise();
    };
    zmq_msg_t message;
    // Libzmq only reads what it sends.
    void* data = const_cast<std::byte*>(parcel.bytes().data());
    if (zmq_msg_init_data(&message, data, parcel.bytes().size(), arrived, travelling.get()) != 0)
        throw std::bad_alloc();
    if (parcel.flight) parcel.flight->busy = true;
    travelling.release();
    const int problem = without_blocking(socket, [&] { return zmq_msg_send(&message, socket, ZMQ_DONTWAIT); });
    if (problem != 0) zmq_msg_close(&message);  // calls `arrived`
    return problem;
}

int send_part(void* socket, std::string_view bytes) {
    return without_blocking(
        socket, [&] { return zmq_send(socket, bytes.data(), bytes.size(), ZMQ_SNDMORE | ZMQ_DONTWAIT); });
}

bool next_event(void* monitor, MonitorEvent& event) {
    Part what, address;
    if (!what.receive(monitor)) return false;
    if (what.more()) address.receive(monitor);
    const std::span<const std::byte> bytes = what.bytes();
    if (bytes.size() < 6) return false;
    std::uint16_t number = 0;
    std::memcpy(&number, bytes.data(), 2);
    std::memcpy(&event.value, bytes.data() + 2, 4);
    event.what = number;
    return true;
}

Socket watch(LinkContext& context, Socket& socket, int events) {
    static std::atomic<std::uint64_t> count{0};
    const std::string name = "inproc://monitor-" + std::to_string(++count);
    Socket monitor;
    if (zmq_socket_monitor(socket.native(), name.c_str(), events) != 0) return monitor;
    monitor = Socket(context, ZMQ_PAIR);
    if (!monitor || !monitor.set(ZMQ_LINGER, 0) || zmq_connect(monitor.native(), name.c_str()) != 0) return {};
    return monitor;
}

bool apply(Socket& socket, std::string_view endpoint, const LinkTiming& timing, std::size_t message_bytes,
           int queue) {
    const bool ipv4 = ipv4_of(host_of(endpoint)).has_value();  // which would be shown as ::ffff:127.0.0.1

    constexpr std::int64_t curve_overhead = 64;  // 33 bytes around every message
    const int silence_s = std::max(6, timing.silence_ms / 1000);
    return socket.set(ZMQ_MAXMSGSIZE, static_cast<std::int64_t>(message_bytes) + curve_overhead) &&
           socket.set(ZMQ_SNDHWM, queue) && socket.set(ZMQ_RCVHWM, queue) &&
           socket.set(ZMQ_LINGER, timing.linger_ms) && socket.set(ZMQ_HANDSHAKE_IVL, timing.handshake_ms) &&
           socket.set(ZMQ_TCP_KEEPALIVE, 1) && socket.set(ZMQ_TCP_KEEPALIVE_IDLE, silence_s / 2) &&
           socket.set(ZMQ_TCP_KEEPALIVE_INTVL, silence_s / 6) && socket.set(ZMQ_TCP_KEEPALIVE_CNT, 3) &&
           socket.set(ZMQ_TCP_MAXRT, timing.silence_ms) && socket.set(ZMQ_SNDBUF, timing.kernel_bytes) &&
           socket.set(ZMQ_IPV6, ipv4 ? 0 : 1);
}

}  // namespace zeromq
}  // namespace dunlin
