// SPDX-License-Identifier: Apache-2.0
#include "live_fleet.hpp"

#include <thread>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace dunlin::program;
using Catch::Matchers::Contains;
using nlohmann::json;

namespace {

std::string path_of(const std::string& program) {
    return std::filesystem::path(DUNLIN_PROGRAM).replace_filename(program).string();
}

/// What a line of a shell does in the folder; $D and $N are the programs.
Ended shell(const Folder& folder, const std::string& line) {
    const std::string script = folder.file("line.sh", fmt::format("D={}\nN={}\nexport DUNLIN_FLEET=store\n{}\n",
                                                                  path_of("dunlin"), path_of("dunlin-node"), line));
    return Running(folder, {script}, "/bin/sh").wait();
}

/// Connections to an address that never say anything.
class Silence {
public:
    Silence(const std::string& endpoint, int count) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(static_cast<std::uint16_t>(std::stoi(endpoint.substr(endpoint.rfind(':') + 1))));
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        for (int k = 0; k < count; ++k) {
            sockets_.push_back(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
            (void)::connect(sockets_.back(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
        }
    }
    ~Silence() {
        for (const int socket : sockets_) ::close(socket);
    }
    Silence(const Silence&) = delete;

private:
    std::vector<int> sockets_;
};

}  // namespace

TEST_CASE("output that is lost on a full disk ends every command with 1") {
    const Fleet fleet;
    fleet.init();
    fleet.ask({"admit", "a", some_key});
    fleet.ask(small_job);
    for (const char* command : {"$D --help",
                                "$D --version",
                                "$D fleet admit --help",
                                "$D list",
                                "$D footprint",
                                "$D footprint --json",
                                "$D privacy --noise 1",
                                "$D privacy --noise 1 --json",
                                "$D fleet init",
                                "$D fleet init --json",
                                "$D fleet nodes",
                                "$D fleet nodes --json",
                                "$D fleet status",
                                "$D fleet status --json",
                                "$D fleet status 1",
                                "$D fleet jobs",
                                "$D fleet logs",
                                "$D fleet logs --json",
                                "$D fleet ledger",
                                "$D fleet watch --json",
                                "$D fleet logs --follow",
                                "$D fleet pull --json",
                                "$D fleet backup copy --json",
                                "$D fleet run fleet-navigation-server --token one",
                                "$D fleet pause --json",
                                "$D fleet wait --for=nodes=0 --json",
                                "$D train navigation --set rl.iterations=0 --out r --json --quiet",
                                "$D adapt r --no-plot --json",
                                "$N --help",
                                "$N --version",
                                "$N --dir n init",
                                "$N --dir n init --json",
                                "$D gateway --device b=tcp://127.0.0.1:1 --init"}) {
        INFO(command);
        const Ended ended = shell(fleet.folder, std::string(command) + " >/dev/full");
        INFO(ended.err);
        CHECK(ended.code == 1);
        CHECK_FALSE(ended.err.empty());
    }
    // What says nothing on stdout loses nothing.
    CHECK(shell(fleet.folder, "$D fleet resume >/dev/full").code == 0);
    CHECK(shell(fleet.folder, "$D fleet wait --for=nodes=0 --json | head -c 0 >/dev/null; exit 0").code == 0);
}

TEST_CASE("what no message may hold is refused where it is given, with what is wrong") {
    const Fleet fleet;
    fleet.init();
    const std::string long_name(65, 'n');
    for (const std::string& bad : {std::string("a\xc2\x85"
                                               "c"),
                                   std::string("zz\xff"), long_name, std::string("a\x1b[1m"),
                                   std::string("a\xe2\x80\xae"
                                               "b"),
                                   std::string("a\nb")}) {
        for (const Ended& ended :
             {fleet.command({"admit", bad, some_key}), fleet.command({"admit", "fine", some_key, "--label", bad}),
              Running(
                  fleet.folder,
                  {"run", "--dir", "n", "--join", "tcp://127.0.0.1:7700", "--server-key", some_key, "--name", bad},
                  "dunlin-node")
                  .wait(),
              run(fleet.folder, {"gateway", "--init", "--device", bad + "=/dev/null"}),
              run(fleet.folder,
                  {"train", "navigation", "--set", "rl.iterations=0", "--set", "experiment=\"" + bad + "\""})}) {
            INFO(bad << ended.err);
            // An experiment may have a long name, and one that turns the writing.
            const bool experiment = ended.err.find("experiment") != std::string::npos || ended.code == 0;
            if (experiment && (bad == long_name || bad[1] == '\xe2')) continue;
            CHECK(ended.code == 2);
            for (const char* raw : {"\x1b", "\xc2\x85", "\xe2\x80\xae"})
                CHECK(ended.err.find(raw) == std::string::npos);
        }
    }
    CHECK(fleet.ask({"nodes"})["nodes"].empty());
    for (const char* seconds : {"0", "nan", "-1", "inf", "1e999", "soon", ""})
        CHECK(fleet.command({"wait", "--for=nodes=9", "--timeout", seconds}).code == 2);
    for (const char* address : {"nonsense", "tcp://*:99999", "tcp://:7700", "tcp://a b:1"}) {
        CHECK(fleet.command({"serve", "--listen", address}).code == 2);
        CHECK(
            Running(fleet.folder, {"run", "--dir", "n", "--join", address, "--server-key", some_key}, "dunlin-node")
                .wait()
                .code == 2);
        CHECK(run(fleet.folder, {"gateway", "--device", "a=/dev/null", "--join", address}).code == 2);
    }
    CHECK(fleet.command({"serve", "--metrics", "9464"}).code == 2);
    fleet.folder.file("store/fleet.toml", "listen = \"nonsense\"\n");
    const Ended edited = fleet.command({"serve"});
    CHECK(edited.code == 2);
    CHECK_THAT(edited.err, Contains("fleet.toml") && Contains("nonsense"));
}

TEST_CASE("a coordinator without descriptors says so at once, and one whom strangers besiege serves") {
    Fleet fleet;
    const std::string key = fleet.init()["server_key"];
    for (const int few : {10, 14, 16, 18, 20, 22, 23, 30}) {
        const Ended ended = shell(fleet.folder, fmt::format("ulimit -n {}\nexec $D fleet serve", few));
        INFO(few << ended.err);
        CHECK(ended.code != 0);
        CHECK(ended.signal == 0);
        if (few >= 20) CHECK_THAT(ended.err, Contains("open"));
    }
    REQUIRE(Running(fleet.folder, {"init", "--dir", "n"}, "dunlin-node").wait().code == 0);
    const json made =
        json::parse(Running(fleet.folder, {"init", "--dir", "n", "--json"}, "dunlin-node").wait().out);
    fleet.ask({"admit", "n", made["public_key"]});
    const std::string script = fleet.folder.file(
        "serve.sh", "ulimit -n 80\nexec " + path_of("dunlin") + " fleet serve --store store --log-format json\n");
    Running server(fleet.folder, {script}, "/bin/sh");
    REQUIRE(server.wait_for_error_text("\"serving\""));
    const std::string endpoint = fleet.ask({"status"})["endpoint"];
    const Silence silence(endpoint, 200);
    for (int k = 0; k < 5; ++k) CHECK(fleet.ask({"nodes"})["nodes"].size() == 1);
    const Running node(fleet.folder, {"run", "--dir", "n", "--name", "n", "--join", endpoint, "--server-key", key},
                       "dunlin-node");
    CHECK(fleet.command({"wait", "--for=nodes=1", "--timeout", "60"}).code == 0);
    server.send(SIGTERM);
    CHECK(server.wait().code == 0);
}

TEST_CASE("a node that ended is away, and two programs with one key are named") {
    LiveFleet fleet({{"alice"}, {"bob"}});
    fleet.nodes[1]->send(SIGTERM);
    CHECK(fleet.nodes[1]->wait().code == 0);
    const auto state = [&](std::size_t k) { return fleet.ask({"nodes"})["nodes"][k]["state"].get<std::string>(); };
    for (int k = 0; k < 100 && state(1) != "away"; ++k) std::this_thread::sleep_for(std::chrono::milliseconds(50));
    CHECK(state(1) == "away");
    CHECK(fleet.ask({"status"})["warnings"].empty());

    std::filesystem::create_directories(fleet.folder / "copy");
    std::filesystem::copy(fleet.folder / "alice/key", fleet.folder / "copy/key");
    const auto copy = fleet.start_node("copy", fleet.server_key);
    REQUIRE(fleet.server->wait_for_error_text("\"key-shared\""));
    const json status = fleet.ask({"status"});
    REQUIRE(status["warnings"].size() == 1);
    CHECK_THAT(status["warnings"][0].get<std::string>(), Contains("alice"));
    CHECK(fleet.ask({"nodes"})["nodes"][0]["shared_key"] == true);
    CHECK_THAT(fleet.command({"logs"}).out, Contains("two programs") && Contains("alice"));
    CHECK_THAT(fleet.command({"status"}).out, Contains("warning: two programs"));
}

TEST_CASE("a fleet is served although its metrics' port is taken, and has them when it is free") {
    const int taken = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    REQUIRE(::bind(taken, reinterpret_cast<const sockaddr*>(&address), size) == 0);
    REQUIRE(::listen(taken, 1) == 0);
    REQUIRE(::getsockname(taken, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    const Fleet fleet;
    fleet.init();
    Running server(fleet.folder, {"fleet", "serve", "--store", "store", "--log-format", "json", "--metrics",
                                  fmt::format("127.0.0.1:{}", ntohs(address.sin_port))});
    REQUIRE(server.wait_for_error_text("\"no-metrics\""));
    REQUIRE(server.wait_for_error_text("\"serving\""));
    CHECK(fleet.ask({"status"})["serving"] == true);
    ::close(taken);
    CHECK(server.wait_for_error_text("\"event\":\"metrics\""));
    server.send(SIGTERM);
    CHECK(server.wait().code == 0);
}
