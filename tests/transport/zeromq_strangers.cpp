// SPDX-License-Identifier: Apache-2.0
#include "zeromq_fixtures.hpp"

#include <atomic>
#include <csignal>
#include <ctime>
#include <filesystem>
#include <thread>

#include <arpa/inet.h>
#include <catch2/catch.hpp>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace dunlin;
using namespace dunlin::testing;

namespace {

std::size_t open_files() {
    std::size_t found = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++found;
    return found;
}

/// As many files open as this process has now, and so many more, for as long as this lives.
class FewFiles {
public:
    explicit FewFiles(std::size_t more) {
        getrlimit(RLIMIT_NOFILE, &before_);
        const rlimit low{static_cast<rlim_t>(open_files() + more), before_.rlim_max};
        setrlimit(RLIMIT_NOFILE, &low);
    }
    ~FewFiles() { setrlimit(RLIMIT_NOFILE, &before_); }
    FewFiles(const FewFiles&) = delete;

private:
    rlimit before_{};
};

/// Another process that holds so many connections to a port, each of which has said `word`, and dials again those
/// that end.
class Flood {
public:
    Flood(const std::string& endpoint, int connections, std::string_view word) : process_(::fork()) {
        if (process_ != 0) return;
        const auto port = static_cast<std::uint16_t>(std::stoi(endpoint.substr(endpoint.rfind(':') + 1)));
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        rlimit limit{};
        getrlimit(RLIMIT_NOFILE, &limit);
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
        std::vector<std::pair<int, bool>> held(static_cast<std::size_t>(connections), {-1, false});
        for (;;) {
            for (auto& [socket, said] : held) {
                if (socket < 0) {
                    socket = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
                    (void)::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address);
                    said = word.empty();
                }
                if (!said) said = ::send(socket, word.data(), word.size(), MSG_NOSIGNAL) > 0;
                char byte[64];
                const ssize_t got = ::recv(socket, byte, sizeof byte, MSG_DONTWAIT);
                if (got == 0 || (got < 0 && errno == ECONNRESET)) {
                    ::close(socket);
                    socket = -1;
                }
            }
            ::usleep(20'000);
        }
    }
    ~Flood() {
        ::kill(process_, SIGKILL);
        ::waitpid(process_, nullptr, 0);
    }
    Flood(const Flood&) = delete;

private:
    pid_t process_;
};

bool spare_descriptor() {
    const int spare = ::dup(0);
    if (spare >= 0) ::close(spare);
    return spare >= 0;
}

double processor_seconds() {
    timespec used{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return static_cast<double>(used.tv_sec) + 1e-9 * static_cast<double>(used.tv_nsec);
}

std::int64_t passed_ms(std::chrono::steady_clock::time_point since) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - since).count();
}

}  // namespace

TEST_CASE("strangers take no descriptor that is needed, nor the processor, and keep no node out") {
    std::string greeting("\xff\0\0\0\0\0\0\0\0\x7f\x03\0", 12);
    greeting.append("CURVE").append(47, '\0');
    for (const std::string& word : {std::string(), greeting}) {
        const KeyPair server_keys = KeyPair::make().value(), keys = KeyPair::make().value();
        std::optional<FewFiles> few(std::in_place, 120);
        ServerLinkSettings settings = server_settings(server_keys);
        settings.timing.handshake_ms = 5000;
        TestServer server(settings);
        server.link.admit(keys.public_key());
        const Flood flood(server.link.endpoint(), 400, word);
        // A burst is taken in before anybody can look, and may take the last descriptor for a moment; or the system
        // takes in few of it at a time, so that nobody need be held back.
        const auto since = std::chrono::steady_clock::now();
        const auto settled = [&] { return server.link.counters().pauses > 0 || passed_ms(since) > 1500; };
        REQUIRE(until([&] { return settled() && spare_descriptor(); }, server));
        const double before = processor_seconds();
        for (const auto begin = std::chrono::steady_clock::now(); passed_ms(begin) < 500;) {
            server.pump();
            REQUIRE(spare_descriptor());
        }
        CHECK(processor_seconds() - before < 0.25);  // of .5 s, most of it the pumping and the sanitizers' share
        few.reset();                                 // what the node needs is not the coordinator's to keep
        NodeLinkSettings joining = node_settings(server.link.endpoint(), server_keys.public_key(), keys);
        joining.timing.handshake_ms = 5000;
        TestNode node(joining);
        REQUIRE(until([&] { return node.ups >= 1; }, node, server));
        REQUIRE(node.link.send(heartbeat(1)));
        CHECK(until([&] { return server.count(keys.public_key()) == 1; }, node, server));
    }
}

TEST_CASE("a door that is full of strangers holds further ones back, and cuts those that say nothing") {
    const KeyPair server_keys = KeyPair::make().value();
    const FewFiles few(64);
    ServerLinkSettings settings = server_settings(server_keys);
    settings.timing.handshake_ms = 5000;
    TestServer server(settings);
    const Flood flood(server.link.endpoint(), 40, "");
    REQUIRE(until([&] { return server.link.counters().pauses > 0; }, server));
    CHECK(until([&] { return server.link.counters().strangers_cut > 0; }, server));
}

TEST_CASE("too few descriptors are an error at once, of a coordinator's link and of a node's") {
    const KeyPair keys = KeyPair::make().value();
    const std::size_t before = open_files();
    for (std::size_t more = 0; more < 24; ++more) {
        std::optional<FewFiles> few(std::in_place, more);
        const auto server = ServerLink::open(server_settings(keys));
        const auto node = NodeLink::open(node_settings("tcp://127.0.0.1:1", keys.public_key(), keys));
        few.reset();  // the sanitizers need descriptors too, when something is looked at
        REQUIRE_FALSE(server);
        CHECK(server.error() == Error{Code::link_failed, EMFILE, 0});
        if (more < 22) CHECK_FALSE(node);
    }
    CHECK(open_files() == before);
}

TEST_CASE("a link takes the messages that jobs need and no larger ones, and keeps its address when they grow") {
    const KeyPair server_keys = KeyPair::make().value(), keys = KeyPair::make().value();
    ServerLinkSettings settings = server_settings(server_keys);
    settings.message_bytes = 100'000;
    TestServer server(settings);
    server.link.admit(keys.public_key());
    const std::string endpoint = server.link.endpoint();
    TestNode node(node_settings(endpoint, server_keys.public_key(), keys));
    REQUIRE(until([&] { return node.ups == 1; }, node, server));
    const std::vector<float> large(100'000, 0.5f);
    REQUIRE(node.link.send({{}, Model{1, view_values(large)}}));
    REQUIRE(until([&] { return node.ups == 2; }, node, server));
    CHECK(server.count(keys.public_key()) == 0);
    REQUIRE(server.link.allow(100'000));  // as it is: nobody notices
    REQUIRE(server.link.allow(500'000));
    CHECK(server.link.endpoint() == endpoint);
    REQUIRE(until([&] { return node.ups == 3; }, node, server));
    REQUIRE(node.link.send({{}, Model{1, view_values(large)}}));
    REQUIRE(until([&] { return server.count(keys.public_key()) == 1; }, node, server));
    REQUIRE(server.link.send(keys.public_key(), heartbeat(1)));
    CHECK(until([&] { return node.messages.size() == 1; }, node, server));
}

TEST_CASE("who was here and ends is told once, and a newer connection of its key is no end") {
    const KeyPair server_keys = KeyPair::make().value(), keys = KeyPair::make().value();
    TestServer server(server_settings(server_keys));
    server.link.admit(keys.public_key());
    const NodeLinkSettings settings = node_settings(server.link.endpoint(), server_keys.public_key(), keys);
    std::optional<TestNode> node(std::in_place, settings);
    REQUIRE(until([&] { return node->ups == 1; }, *node, server));
    REQUIRE(node->link.send(heartbeat(1)));
    REQUIRE(until([&] { return server.messages.size() == 1; }, *node, server));
    CHECK(server.link.take_broken().empty());
    NodeLinkSettings patient = settings;
    patient.first_backoff_ms = patient.longest_backoff_ms = 60'000;
    std::optional<TestNode> copy(std::in_place, patient);
    REQUIRE(until([&] { return copy->ups == 1; }, *copy, server));
    node.reset();  // so that it does not come back
    REQUIRE(copy->link.send(heartbeat(2)));
    REQUIRE(until([&] { return server.messages.size() == 2; }, *copy, server));
    (void)server.link.take_broken();
    copy.reset();
    std::vector<PublicKey> broken;
    REQUIRE(until(
        [&] {
            for (const PublicKey& key : server.link.take_broken()) broken.push_back(key);
            return !broken.empty();
        },
        server));
    CHECK(broken == std::vector{keys.public_key()});
    CHECK_FALSE(server.link.connected(keys.public_key()));
    for (int k = 0; k < 20; ++k) server.pump();
    CHECK(server.link.take_broken().empty());
}

TEST_CASE("a name server that never answers holds up nobody else, and an address that worked is remembered") {
    const KeyPair server_keys = KeyPair::make().value(), keys = KeyPair::make().value(),
                  other = KeyPair::make().value();
    TestServer server(server_settings(server_keys));
    server.link.admit(keys.public_key());
    server.link.admit(other.public_key());
    const std::string port = server.link.endpoint().substr(server.link.endpoint().rfind(':'));
    static std::atomic<bool> silent{false}, ends{false};
    const LookUp look_up = [](const std::string& host) -> std::vector<std::string> {
        while (silent && !ends) std::this_thread::sleep_for(std::chrono::milliseconds(1));
        if (host == "unknown.test") return {};
        return {"127.0.0.1"};
    };
    const auto context = make_link_context(4);
    const auto named = [&](const std::string& host, const KeyPair& who) {
        NodeLinkSettings settings = node_settings("tcp://" + host + port, server_keys.public_key(), who);
        settings.look_up = look_up;
        settings.timing.look_up_ms = 100;
        settings.context = context;
        return settings;
    };
    {
        TestNode node(named("coordinator.test", keys));
        REQUIRE(until([&] { return node.ups == 1; }, node, server));
        TestNode lost(named("unknown.test", other));
        REQUIRE(until([&] { return lost.downs > 0; }, lost, server));
        CHECK(lost.last_reason == Error{Code::unreachable, 1, 0});
    }
    silent = true;
    TestNode waiting(named("never-asked.test", other));
    TestNode node(named("coordinator.test", keys));
    CHECK(until([&] { return node.ups == 1; }, waiting, node, server));
    CHECK(until([&] { return waiting.downs > 0; }, waiting, node, server));
    CHECK(node.downs == 0);
    silent = false;
    CHECK(until([&] { return waiting.ups == 1; }, waiting, node, server));
    ends = true;
}

TEST_CASE("addresses are checked for what can be listened at and what can be dialled") {
    for (const char* good : {"tcp://*:7700", "tcp://*:*", "tcp://127.0.0.1:0", "tcp://[::1]:7700", "tcp://[::]:*",
                             "tcp://laptop:7700", "tcp://eth0:1", "tcp://a-b.c_d:65535", "tcp://[fe80::1%eth0]:1"})
        CHECK(is_endpoint(good));
    for (const char* bad :
         {"", "7700", "laptop:7700", "tcp://", "tcp://:7700", "tcp://laptop", "tcp://laptop:", "tcp://laptop:99999",
          "tcp://laptop:-1", "tcp://laptop:77 00", "tcp://lap top:7700", "tcp://a;b:1", "tcp://::1:7700",
          "udp://laptop:1", "tcp://laptop:7700/x", "tcp://a\x1b:1"})
        CHECK_FALSE(is_endpoint(bad));
    for (const char* bad : {"tcp://*:7700", "tcp://laptop:*", "tcp://laptop:0", "tcp://[*]:1"})
        CHECK_FALSE(is_dialled_endpoint(bad));
    CHECK(is_dialled_endpoint("tcp://laptop:7700"));
}
