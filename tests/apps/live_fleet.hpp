// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "program.hpp"

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

/// A coordinator and two boards.
struct LiveFleet : Fleet {
    LiveFleet() {
        server_key = init()["server_key"];
        for (const std::string name : {"alice", "bob"}) {
            const Ended made = Running(folder, {"init", "--dir", name, "--json"}, "dunlin-node").wait();
            REQUIRE(made.code == 0);
            ask({"admit", name, nlohmann::json::parse(made.out)["public_key"], "--label", "board"});
        }
        serve();
        for (const std::string name : {"alice", "bob"}) nodes.push_back(start_node(name, server_key));
        REQUIRE(command({"wait", "--for=nodes=2", "--timeout", "60"}).code == 0);
    }
    /// Starts the coordinator; again at the same address.
    void serve() {
        std::vector<std::string> words{"fleet", "serve", "--store", "store", "--log-format", "json"};
        if (!endpoint.empty()) words.insert(words.end(), {"--listen", endpoint});
        server = std::make_unique<Running>(folder, words);
        REQUIRE(server->wait_for_error_text("\"serving\""));
        endpoint = ask({"status"})["endpoint"];
    }
    std::unique_ptr<Running> start_node(const std::string& name, const std::string& key) const {
        return std::make_unique<Running>(
            folder, std::vector<std::string>{"run", "--dir", name, "--join", endpoint, "--server-key", key},
            "dunlin-node");
    }

    std::string server_key, endpoint;
    std::unique_ptr<Running> server;
    std::vector<std::unique_ptr<Running>> nodes;
};

/// Two nodes are done with it in a second.
inline const std::vector<std::string> small_job{"run",     "fleet-navigation-server",
                                                "--set",   "policy.hidden=[8]",
                                                "--set",   "report.adaptations=1",
                                                "--set",   "method.rounds=20",
                                                "--token", "one"};

}  // namespace dunlin::program
