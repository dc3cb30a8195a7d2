// SPDX-License-Identifier: Apache-2.0
#include "fleet/coordinator/control_socket.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <list>
#include <optional>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace dunlin {
namespace {

std::int64_t now_ms() {
    using namespace std::chrono;
    return duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count();
}

constexpr std::size_t answer_bytes = std::size_t{1} << 30;

/// A file descriptor that closes itself.
class Descriptor {
public:
    Descriptor() = default;
    explicit Descriptor(int value) : value_(value) {}
    Descriptor(Descriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        std::swap(value_, other.value_);
        return *this;
    }
    ~Descriptor() { close(); }

    int get() const { return value_; }
    explicit operator bool() const { return value_ >= 0; }
    void close() {
        if (value_ >= 0) ::close(std::exchange(value_, -1));
    }

private:
    int value_ = -1;
};

/// The socket's file, by a name that fits into a socket's address however deep the store lies.
class SocketName {
public:
    explicit SocketName(const std::filesystem::path& store) : text_(control_path(store).string()) {
        if (text_.size() < sizeof(sockaddr_un::sun_path)) return;
        directory_ = Descriptor(::open(store.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
        text_ = "/proc/self/fd/" + std::to_string(directory_.get()) + "/" + control_path(store).filename().string();
    }

    const std::string& text() const { return text_; }
    sockaddr_un address() const {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        text_.copy(address.sun_path, sizeof address.sun_path - 1);
        return address;
    }

private:
    std::string text_;
    Descriptor directory_;
};

/// A connection to the process that serves, or errno.
tl::expected<Descriptor, int> connect_to(const std::filesystem::path& store) {
    const SocketName name(store);
    const sockaddr_un address = name.address();
    Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!socket || ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
        return tl::unexpected<int>(errno);
    return socket;
}

/// Moves what can be moved without waiting. False where the other side is gone.
bool receive_some(int socket, std::string& into) {
    char part[65536];
    for (;;) {
        const ssize_t got = ::recv(socket, part, sizeof part, MSG_DONTWAIT);
        if (got > 0) into.append(part, static_cast<std::size_t>(got));
        if (got == 0) return false;
        if (got < 0 && errno != EINTR) return errno == EAGAIN;
        if (got > 0 && static_cast<std::size_t>(got) < sizeof part) return true;
    }
}
bool send_some(int socket, std::string_view bytes, std::size_t& sent) {
    while (sent < bytes.size()) {
        const ssize_t put = ::send(socket, bytes.data() + sent, bytes.size() - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (put < 0 && errno != EINTR) return errno == EAGAIN;
        if (put > 0) sent += static_cast<std::size_t>(put);
    }
    return true;
}

struct Asker {
    std::uint64_t number = 0;
    Descriptor socket = {};
    std::int64_t since_ms = 0;
    std::string request = {}, answer = {};
    std::size_t sent = 0;
    bool asked = false;

    bool answered() const { return !answer.empty() && sent == answer.size(); }
};

}  // namespace

std::filesystem::path control_path(const std::filesystem::path& store) {
    return std::filesystem::absolute(store) / "control.sock";
}

bool is_served(const std::filesystem::path& store) {
    return connect_to(store).has_value();
}

struct ControlSocket::Implementation {
    explicit Implementation(const std::filesystem::path& store) : name(store) {}
    ~Implementation() {
        const std::int64_t begin = now_ms();
        for (Asker& asker : askers) {
            while (!asker.answer.empty() && send_some(asker.socket.get(), asker.answer, asker.sent)) {
                const std::int64_t left = 200 - (now_ms() - begin);
                pollfd writable{asker.socket.get(), POLLOUT, 0};
                if (asker.answered() || left <= 0 || ::poll(&writable, 1, static_cast<int>(left)) < 0) break;
            }
        }
        if (listener) ::unlink(name.text().c_str());
    }

    void accept_some() {
        if (!spare) spare = Descriptor(::open("/dev/null", O_RDONLY | O_CLOEXEC));
        while (askers.size() < most_askers) {
            Descriptor socket(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
            if (!socket && (errno == EMFILE || errno == ENFILE) && spare) {
                spare.close();
                continue;
            }
            if (!socket) return;  // none, or no descriptor: the next call tries again
            askers.push_back({.number = ++count, .socket = std::move(socket), .since_ms = now_ms()});
        }
    }

    SocketName name;
    Descriptor listener, spare;
    std::list<Asker> askers;
    std::uint64_t count = 0;
};

Result<ControlSocket> ControlSocket::open(const std::filesystem::path& store) {
    auto made = std::make_unique<Implementation>(store);
    const sockaddr_un address = made->name.address();
    Descriptor listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    ::unlink(made->name.text().c_str());  // of a process that was killed; who serves has serve.lock
    if (!listener || ::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        ::chmod(made->name.text().c_str(), 0600) != 0 || ::listen(listener.get(), 64) != 0) {
        return fail(Code::link_failed, errno);
    }
    made->listener = std::move(listener);
    return ControlSocket(std::move(made));
}

void ControlSocket::serve(const std::function<void(std::uint64_t asker, const Letter&)>& ask) {
    Implementation& socket = *implementation_;
    socket.accept_some();
    for (auto asker = socket.askers.begin(); asker != socket.askers.end();) {
        bool here = true;
        if (!asker->asked) {
            here = receive_some(asker->socket.get(), asker->request);
            ReadLetter read = read_letter(asker->request, request_bytes);
            const bool late = now_ms() - asker->since_ms > patience_ms;
            if (read.letter) {
                asker->asked = here = true;  // who asks may have closed its half
                asker->request = {};
                ask(asker->number, *read.letter);
            } else if (read.wrong || late) {
                here = false;
            }
        }
        if (here) here = send_some(asker->socket.get(), asker->answer, asker->sent);
        asker = here && !asker->answered() ? std::next(asker) : socket.askers.erase(asker);
    }
}

void ControlSocket::answer(std::uint64_t number, const Letter& letter) {
    for (Asker& asker : implementation_->askers) {
        if (asker.number == number) asker.answer = letter_bytes(letter);
    }
}

ControlSocket::ControlSocket(std::unique_ptr<Implementation> implementation)
    : implementation_(std::move(implementation)) {}
ControlSocket::ControlSocket(ControlSocket&&) noexcept = default;
ControlSocket& ControlSocket::operator=(ControlSocket&&) noexcept = default;
ControlSocket::~ControlSocket() = default;

Result<Letter> ask_server(const std::filesystem::path& store, const Letter& request, int timeout_ms) {
    const auto socket = connect_to(store);
    if (!socket) {
        const bool nobody = socket.error() == ENOENT || socket.error() == ECONNREFUSED;
        return nobody ? fail(Code::not_connected) : fail(Code::link_failed, socket.error());
    }
    const std::string asked = letter_bytes(request);
    const std::int64_t end = now_ms() + timeout_ms;
    std::string answer;
    for (std::size_t sent = 0;;) {
        const bool asks = sent < asked.size();
        pollfd ready{socket->get(), static_cast<short>(asks ? POLLOUT : POLLIN), 0};
        const std::int64_t left = end - now_ms();
        if (left <= 0) return fail(Code::not_connected);
        const int found = ::poll(&ready, 1, static_cast<int>(left));
        if (found < 0) return fail(Code::link_failed, errno);
        if (found == 0) return fail(Code::not_connected);
        if (asks) {
            if (!send_some(socket->get(), asked, sent)) return fail(Code::link_failed, errno);
            continue;
        }
        const bool open = receive_some(socket->get(), answer);
        ReadLetter read = read_letter(answer, answer_bytes);
        if (read.letter) return *std::move(read.letter);
        if (!open || read.wrong) return fail(Code::not_connected);
    }
}

}  // namespace dunlin
