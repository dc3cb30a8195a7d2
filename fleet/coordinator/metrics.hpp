// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fleet/coordinator/fleet_server.hpp"

#include <memory>
#include <string>

namespace dunlin {

/// The state of a server in Prometheus' text format, version 0.0.4.
std::string metrics_text(const FleetServer& server);

/// Answers GET /metrics with the text that it was given last, in a thread of its own: at most 16 connections at a
/// time, each for at most five seconds, requests of at most 8 kB.
class MetricsEndpoint {
public:
    /// `address` is HOST:PORT; port 0 is any that is free. Errors: bad_endpoint; not_loopback for an address that
    /// other machines reach, unless `everywhere`; link_failed (first: errno).
    static Result<MetricsEndpoint> open(const std::string& address, bool everywhere);

    /// Is this HOST:PORT with a host in digits, or localhost?
    static bool is_address(const std::string& text);

    void publish(std::string text);
    /// Where it listens: "127.0.0.1:9464".
    const std::string& address() const;

    MetricsEndpoint(MetricsEndpoint&&) noexcept;
    MetricsEndpoint& operator=(MetricsEndpoint&&) noexcept;
    ~MetricsEndpoint();

private:
    struct Implementation;
    explicit MetricsEndpoint(std::unique_ptr<Implementation> implementation);
    std::unique_ptr<Implementation> implementation_;
};

}  // namespace dunlin
