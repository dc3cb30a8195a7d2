// SPDX-License-Identifier: Apache-2.0
// Any text as what strangers send to the web port: the request line, Host, Authorization, Cookie, a body.
#include "fleet/web/rules.hpp"
#include "fuzz.hpp"

#include <array>

using namespace dunlin;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    std::string_view text = fuzz::text(data, size);
    std::array<std::string_view, 4> lines;
    for (std::string_view& line : lines) {
        line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(line.size() + 1, text.size()));
    }
    const auto& [method, target, host, field] = lines;
    if (const auto name = host_name(host)) {
        fuzz::require(!name->empty() && name->size() <= 255);
        fuzz::require(name->find_first_of(" \r\n\t\"<>@/") == std::string::npos);
        fuzz::require(host_name(*name).has_value());
    }
    (void)parse_web_address(std::string(host));
    fuzz::require(bearer_token(field).size() <= 256);
    fuzz::require(cookie_value(field, "dunlin_7710").find(';') == std::string_view::npos);
    (void)watched_job(text);  // what a page says
    // A server without a desk has no way to one.
    const WebRoute read = web_route(method, target, {"/api/runs", "/report"});
    using Kind = WebRoute::Kind;
    fuzz::require(read.kind == Kind::none || read.kind == Kind::file || read.kind == Kind::session ||
                  read.kind == Kind::read);
    const WebRoute route = web_route(method, target);
    if (route.kind == WebRoute::Kind::none || route.kind == WebRoute::Kind::file) return 0;
    fuzz::require(is_shallow(route.request));
    const WebBody asked = desk_request(route, text);
    // Whatever the body says, the command is the route's, of which the role was looked at.
    if (asked.wrong.empty() && !route.command.empty()) fuzz::require(asked.command == route.command);
    return 0;
}
