// SPDX-License-Identifier: Apache-2.0
#include "fleet/coordinator/control_socket.hpp"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <zmq.hpp>

namespace dunlin {
namespace {

/// Two frames: the JSON, and float32 numbers.
Letter letter_of(const zmq::message_t& json, const zmq::message_t& numbers) {
    Letter letter{json.to_string(), std::vector<float>(numbers.size() / sizeof(float))};
    if (!letter.numbers.empty())
        std::memcpy(letter.numbers.data(), numbers.data(), letter.numbers.size() * sizeof(float));
    return letter;
}

void send(zmq::socket_t& socket, const Letter& letter) {
    socket.send(zmq::buffer(letter.json), zmq::send_flags::sndmore);
    socket.send(zmq::buffer(letter.numbers), zmq::send_flags::none);
}

bool receive(zmq::socket_t& socket, Letter& letter, zmq::recv_flags flags) {
    zmq::message_t json, numbers, rest;
    if (!socket.recv(json, flags)) return false;
    if (json.more()) (void)socket.recv(numbers, zmq::recv_flags::none);
    for (bool more = numbers.more(); more; more = rest.more()) (void)socket.recv(rest, zmq::recv_flags::none);
    letter = letter_of(json, numbers);
    return true;
}

/// The socket's file, by a name that fits into a socket's address however deep the store lies.
class SocketName {
public:
    explicit SocketName(const std::filesystem::path& store) : text_(control_path(store).string()) {
        if (text_.size() < sizeof(sockaddr_un::sun_path)) return;
        directory_ = ::open(store.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
        text_ = "/proc/self/fd/" + std::to_string(directory_) + "/" + control_path(store).filename().string();
    }
    ~SocketName() {
        if (directory_ >= 0) ::close(directory_);
    }
    SocketName(const SocketName&) = delete;

    const std::string& text() const { return text_; }
    std::string endpoint() const { return "ipc://" + text_; }

private:
    std::string text_;
    int directory_ = -1;
};

}  // namespace

std::filesystem::path control_path(const std::filesystem::path& store) {
    return std::filesystem::absolute(store) / "control.sock";
}

bool is_served(const std::filesystem::path& store) {
    const SocketName name(store);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    name.text().copy(address.sun_path, sizeof address.sun_path - 1);
    const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (probe < 0) return false;
    const bool taken = ::connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    ::close(probe);
    return taken;
}

struct ControlSocket::Implementation {
    explicit Implementation(const std::filesystem::path& store) : name(store) {}

    SocketName name;  // lives longer than the socket, which removes its file
    zmq::context_t context{1};
    zmq::socket_t socket{context, zmq::socket_type::rep};
};

Result<ControlSocket> ControlSocket::open(const std::filesystem::path& store) {
    try {
        auto made = std::make_unique<Implementation>(store);
        made->socket.set(zmq::sockopt::linger, 200);
        made->socket.set(zmq::sockopt::maxmsgsize, std::int64_t{1} << 28);
        made->socket.bind(made->name.endpoint());
        return ControlSocket(std::move(made));
    } catch (const zmq::error_t& error) {
        return fail(Code::link_failed, error.num());
    }
}

void ControlSocket::serve(const std::function<Letter(const Letter&)>& answer) {
    try {
        Letter request;
        while (receive(implementation_->socket, request, zmq::recv_flags::dontwait))
            send(implementation_->socket, answer(request));
    } catch (const zmq::error_t&) {
        // The asker is gone: nobody waits for this answer.
    }
}

void* ControlSocket::socket() const {
    return implementation_->socket.handle();
}

ControlSocket::ControlSocket(std::unique_ptr<Implementation> implementation)
    : implementation_(std::move(implementation)) {}
ControlSocket::ControlSocket(ControlSocket&&) noexcept = default;
ControlSocket& ControlSocket::operator=(ControlSocket&&) noexcept = default;
ControlSocket::~ControlSocket() = default;

Result<Letter> ask_server(const std::filesystem::path& store, const Letter& request, int timeout_ms) {
    try {
        const SocketName name(store);
        zmq::context_t context(1);
        zmq::socket_t socket(context, zmq::socket_type::req);
        socket.set(zmq::sockopt::linger, 0);
        socket.set(zmq::sockopt::rcvtimeo, timeout_ms);
        socket.connect(name.endpoint());
        send(socket, request);
        Letter reply;
        if (!receive(socket, reply, zmq::recv_flags::none)) return fail(Code::not_connected);
        return reply;
    } catch (const zmq::error_t& error) {
        return fail(Code::link_failed, error.num());
    }
}

}  // namespace dunlin
