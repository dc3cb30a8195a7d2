// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "program.hpp"
#include "program_path.hpp"

#include <csignal>
#include <memory>

#include <catch2/catch.hpp>

namespace dunlin::program {

inline constexpr const char* some_key = "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c";

/// A fleet in a folder of its own.
struct Fleet {
    Folder folder;

    Ended command(std::vector<std::string> words) const {
        words.insert(words.begin(), "fleet");
        words.insert(words.end(), {"--store", "store"});
        return run(folder, words);
    }
    /// What a command answers with --json.
    nlohmann::json ask(std::vector<std::string> words) const {
        words.push_back("--json");
        const Ended ended = command(words);
        INFO(ended.err);
        REQUIRE(ended.code == 0);
        return nlohmann::json::parse(ended.out);
    }
    nlohmann::json init() const { return ask({"init", "--listen", "tcp://127.0.0.1:0", "--metrics", "off"}); }
};

/// A name on the roster, and the program that is this node (see `Running`).
struct Member {
    std::string name, program = "dunlin-node";
    std::vector<std::string> options{};  ///< of `run`, besides those that all have
};

/// A coordinator and two boards, or those that are named.
struct LiveFleet : Fleet {
    static constexpr struct NotYet {
    } not_yet{};
    /// Nobody yet: the folder is the caller's to fill before `serve`.
    explicit LiveFleet(NotYet) {}
    explicit LiveFleet(const std::vector<Member>& members = {{"alice"}, {"bob"}}) {
        server_key = init()["server_key"];
        for (const Member& member : members) {
            const Ended made = Running(folder, {"init", "--dir", member.name, "--json"}, member.program).wait();
            INFO(made.err);
            REQUIRE(made.code == 0);
            ask({"admit", member.name, nlohmann::json::parse(made.out)["public_key"], "--label", "board"});
        }
        serve();
        for (const Member& member : members)
            nodes.push_back(start_node(member.name, server_key, member.program, member.options));
        REQUIRE(command({"wait", "--for=nodes=" + std::to_string(members.size()), "--timeout", "60"}).code == 0);
    }
    /// Starts the coordinator; again at the same address.
    void serve() {
        std::vector<std::string> words{"fleet", "serve", "--store", "store", "--log-format", "json"};
        if (!endpoint.empty()) words.insert(words.end(), {"--listen", endpoint});
        server = std::make_unique<Running>(folder, words);
        REQUIRE(server->wait_for_error_text("\"serving\""));
        endpoint = ask({"status"})["endpoint"];
    }
    std::unique_ptr<Running> start_node(const std::string& name, const std::string& key,
                                        const std::string& program = "dunlin-node",
                                        const std::vector<std::string>& options = {}) const {
        std::vector<std::string> words{"run", "--dir", name, "--join", endpoint, "--server-key", key};
        words.insert(words.end(), options.begin(), options.end());
        return std::make_unique<Running>(folder, words, program);
    }

    std::string server_key, endpoint;
    std::unique_ptr<Running> server;
    std::vector<std::unique_ptr<Running>> nodes;
};

/// A shell script that starts a program with its arguments, and whose stderr is a pipe that nobody reads any more.
inline std::string without_reader(const Folder& folder, const std::string& program) {
    const std::string path = std::filesystem::path(DUNLIN_PROGRAM).replace_filename(program).string();
    return folder.file(program + ".sh", "test $1 = init && exec " + path +
                                            " \"$@\"\npipe=" + folder.path().string() +
                                            "/pipe.$$\nmkfifo $pipe\n: <$pipe &\n"
                                            "exec 2>$pipe\nwait\nexec " +
                                            path + " \"$@\"\n");
}

/// Two nodes are done with it in a second.
inline const std::vector<std::string> small_job{"run",     "fleet-navigation-server",
                                                "--set",   "policy.hidden=[8]",
                                                "--set",   "report.adaptations=1",
                                                "--set",   "method.rounds=20",
                                                "--token", "one"};

}  // namespace dunlin::program
