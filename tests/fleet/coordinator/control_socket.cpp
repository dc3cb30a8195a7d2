// SPDX-License-Identifier: Apache-2.0
#include "fleet/coordinator/control_socket.hpp"

#include "office.hpp"

#include <thread>

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

using namespace dunlin;
using namespace dunlin::testing;

TEST_CASE("the operator is heard where no descriptor is left, and idle askers keep nobody waiting") {
    const Directory directory;
    auto socket = ControlSocket::open(directory.path);
    REQUIRE(socket);
    const auto echo = [&](std::uint64_t number, const Letter& letter) { socket->answer(number, letter); };
    socket->serve(echo);
    std::vector<int> held;
    // Who asks is connected before this process runs out; in truth it is another one.
    const int asker = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    control_path(directory.path).string().copy(address.sun_path, sizeof address.sun_path - 1);
    REQUIRE(::connect(asker, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    const rlimit low{static_cast<rlim_t>(asker + 8), limit.rlim_max};
    setrlimit(RLIMIT_NOFILE, &low);
    for (int copy; (copy = ::dup(0)) >= 0;) held.push_back(copy);
    const std::string head("DNL1\x02\0\0\0\0\0\0\0\0\0\0\0{}", 18);
    // Nothing is asserted before there are descriptors again: a sanitizer that checks an assertion needs one, too.
    const ssize_t sent = ::send(asker, head.data(), head.size(), 0);
    char back[32];
    ssize_t got = -1;
    for (int k = 0; k < 1000 && got <= 0; ++k) {
        socket->serve(echo);
        got = ::recv(asker, back, sizeof back, MSG_DONTWAIT);
    }
    for (const int copy : held) ::close(copy);
    setrlimit(RLIMIT_NOFILE, &limit);
    CHECK(sent == 18);
    CHECK(got == 18);
    ::close(asker);
}

TEST_CASE("the operator's letters go through a socket in the store, numbers and all") {
    const Directory directory;
    auto socket = ControlSocket::open(directory.path);
    REQUIRE(socket);
    Result<Letter> answer;
    std::thread asker([&] { answer = ask_server(directory.path, {"{\"a\":1}", {1.0f, 2.0f, 3.0f}}, 10'000); });
    bool served = false;
    while (!served) {
        socket->serve([&](std::uint64_t number, const Letter& letter) {
            served = true;
            socket->answer(number, {letter.json + "!", {letter.numbers.rbegin(), letter.numbers.rend()}});
        });
    }
    asker.join();
    REQUIRE(answer);
    CHECK(answer->json == "{\"a\":1}!");
    CHECK(answer->numbers == std::vector<float>{3.0f, 2.0f, 1.0f});
    CHECK(ask_server(directory.path / "nobody", {"{}", {}}, 50).error().code == Code::not_connected);
}
