// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fleet/coordinator/desk.hpp"
#include "fleet/web/web_server.hpp"

#include <optional>

#include <CLI/App.hpp>

namespace dunlin::app {

struct WebOptions {
    std::string address;  ///< HOST:PORT; "": no browser
    std::vector<std::string> names;
    std::string tls_cert, tls_key;
};
void add_web_options(CLI::App& command, WebOptions& options);

/// The web port of a process that serves: the desk's second door.
class WebDoor {
public:
    /// Errors: WebServer::open's, the file of tokens'.
    static Outcome<WebDoor> open(const WebOptions& options, const std::string& store);

    /// Says in `place` where it is, and who may.
    void tell(Desk::Place& place) const;
    /// Where it listens, also where the system chose the port: HOST:PORT.
    std::string address() const;
    /// What the operator is told at the start.
    std::string greeting(std::int64_t now_ms) const;

    /// Hands on what was asked, and tells open pages what is new, twice a second; never waits.
    void serve(Desk& desk, std::int64_t now_ms, std::int64_t unix_ms);
    /// False where it was not asked here.
    bool answer(std::uint64_t asker, const Letter& letter);

private:
    explicit WebDoor(WebServer server, std::shared_ptr<Access> access)
        : server_(std::move(server)), access_(std::move(access)) {}

    WebServer server_;
    std::shared_ptr<Access> access_;
    LiveFeed feed_;
    std::int64_t sampled_ms_ = -1'000'000, told_ms_ = 0;
};

}  // namespace dunlin::app
