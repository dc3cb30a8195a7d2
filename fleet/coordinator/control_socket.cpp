// SPDX-License-Identifier: Apache-2.0
#include "fleet/coordinator/control_socket.hpp"

#include <cerrno>
#include <cstring>

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

std::string address(const std::filesystem::path& store) {
    return "ipc://" + control_path(store).string();
}

}  // namespace

std::filesystem::path control_path(const std::filesystem::path& store) {
    return std::filesystem::absolute(store) / "control.sock";
}

struct ControlSocket::Implementation {
    zmq::context_t context{1};
    zmq::socket_t socket{context, zmq::socket_type::rep};
};

Result<ControlSocket> ControlSocket::open(const std::filesystem::path& store) {
    try {
        auto made = std::make_unique<Implementation>();
        made->socket.set(zmq::sockopt::linger, 200);
        made->socket.set(zmq::sockopt::maxmsgsize, std::int64_t{1} << 28);
        made->socket.bind(address(store));
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
        zmq::context_t context(1);
        zmq::socket_t socket(context, zmq::socket_type::req);
        socket.set(zmq::sockopt::linger, 0);
        socket.set(zmq::sockopt::rcvtimeo, timeout_ms);
        socket.connect(address(store));
        send(socket, request);
        Letter reply;
        if (!receive(socket, reply, zmq::recv_flags::none)) return fail(Code::not_connected);
        return reply;
    } catch (const zmq::error_t& error) {
        return fail(Code::link_failed, error.num());
    }
}

}  // namespace dunlin
