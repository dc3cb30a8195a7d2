// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace dunlin {

// What the web port makes of text that anybody can send to it: no sockets, no state (tests/fuzz/web.cpp).

/// "HOST:PORT", the host in digits, in brackets where it is IPv6, or localhost.
struct WebAddress {
    std::string host;  ///< in digits, without brackets
    std::uint16_t port = 0;
    bool loopback = false;
};
std::optional<WebAddress> parse_web_address(const std::string& text);

/// The name in a Host field, in small letters and without its port; nothing where it is no host. An IPv6 address keeps
/// its brackets.
std::optional<std::string> host_name(std::string_view field);

/// The token of "Bearer TOKEN"; empty where there is none.
std::string_view bearer_token(std::string_view authorization);
/// The value of a cookie; empty where there is none.
std::string_view cookie_value(std::string_view cookies, std::string_view name);

/// What a request is about.
struct WebRoute {
    enum class Kind : std::uint8_t { none, file, desk, session, live, experiments, push, enrol, model, read };
    Kind kind = Kind::none;
    std::string command = {};     ///< of the desk; "" of a POST to /api/v1/desk, whose body says it
    std::string request = {};     ///< JSON of the desk's request, as far as method and target say it
    bool body = false;            ///< it takes one
    std::string_view allow = {};  ///< methods that would do, where this one does not
};
/// `target` as it stands in the request line. Only paths are known: a target with scheme and host is none.
WebRoute web_route(std::string_view method, std::string_view target);

/// Of a server without a desk, which has something to read under `paths` instead.
WebRoute web_route(std::string_view method, std::string_view target, const std::vector<std::string>& paths);

/// Is it nested no deeper than 32? What is written by recursion must not end with the stack.
bool is_shallow(std::string_view json);

/// The job that a page says it looks at, {"job": NUMBER}; nothing where it says anything else.
std::optional<std::uint64_t> watched_job(std::string_view said);

/// The JSON of a request to the desk: what the route says, over what the body says. Error: what is wrong with the body.
struct WebBody {
    std::string command, request;
    std::string wrong = {};
};
WebBody desk_request(const WebRoute& route, std::string_view body);

}  // namespace dunlin
