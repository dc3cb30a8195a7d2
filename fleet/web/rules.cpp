// SPDX-License-Identifier: Apache-2.0
#include "fleet/web/rules.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include <boost/asio/ip/address.hpp>
#include <nlohmann/json.hpp>

namespace dunlin {
namespace {

using Json = nlohmann::ordered_json;
using Kind = WebRoute::Kind;

template <class Number>
std::optional<Number> digits(std::string_view text) {
    Number value{};
    const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || read.ec != std::errc{} || read.ptr != text.data() + text.size()) return std::nullopt;
    return value;
}

/// {job} stands for a number, the only part of a path that varies.
struct Known {
    std::string_view method, path, command;
    Kind kind = Kind::desk;
};
constexpr std::array known_routes{
    Known{"GET", "/api/v1/status", "status"},
    Known{"GET", "/api/v1/nodes", "nodes"},
    Known{"POST", "/api/v1/nodes", "admit"},
    Known{"POST", "/api/v1/enrol", "enrol", Kind::enrol},
    Known{"POST", "/api/v1/nodes/revoke", "revoke"},
    Known{"POST", "/api/v1/nodes/rotate", "rotate"},
    Known{"GET", "/api/v1/jobs", "jobs"},
    Known{"POST", "/api/v1/jobs", "run"},
    Known{"GET", "/api/v1/jobs/{job}", "job"},
    Known{"GET", "/api/v1/jobs/{job}/curves", "curves"},
    Known{"GET", "/api/v1/jobs/{job}/graph", "graph"},
    Known{"GET", "/api/v1/jobs/{job}/model", "pull", Kind::model},
    Known{"POST", "/api/v1/jobs/{job}/pause", "pause"},
    Known{"POST", "/api/v1/jobs/{job}/resume", "resume"},
    Known{"POST", "/api/v1/jobs/{job}/stop", "stop"},
    Known{"POST", "/api/v1/jobs/{job}/add", "add"},
    Known{"POST", "/api/v1/jobs/{job}/remove", "remove"},
    Known{"GET", "/api/v1/logs", "logs"},
    Known{"GET", "/api/v1/ledger", "ledger"},
    Known{"GET", "/api/v1/alerts", "alerts"},
    Known{"GET", "/api/v1/audit", "audit"},
    Known{"GET", "/api/v1/tokens", "token-list"},
    Known{"POST", "/api/v1/tokens", "token-create"},
    Known{"POST", "/api/v1/tokens/revoke", "token-revoke"},
    Known{"POST", "/api/v1/tokens/link", "token-link"},
    Known{"POST", "/api/v1/desk", ""},
    Known{"POST", "/api/v1/push", "run", Kind::push},
    Known{"GET", "/api/v1/experiments", "status", Kind::experiments},
    Known{"GET", "/api/v1/session", "", Kind::session},
    Known{"POST", "/api/v1/session", "", Kind::session},
    Known{"DELETE", "/api/v1/session", "", Kind::session},
    Known{"GET", "/api/v1/live", "status", Kind::live},
};

/// The number that stands in the place of {job}; 0 where there is none in the pattern. Nothing: another path.
std::optional<std::uint64_t> match(std::string_view path, std::string_view pattern) {
    constexpr std::string_view place = "{job}";
    const std::size_t at = pattern.find(place);
    if (at == std::string_view::npos) return path == pattern ? std::optional<std::uint64_t>(0) : std::nullopt;
    const std::string_view before = pattern.substr(0, at), after = pattern.substr(at + place.size());
    if (path.size() < before.size() + after.size() || !path.starts_with(before) || !path.ends_with(after))
        return std::nullopt;
    const auto number =
        digits<std::uint64_t>(path.substr(before.size(), path.size() - before.size() - after.size()));
    return number == 0 ? std::nullopt : number;
}

/// What stands behind the question mark: numbers, and the words of a few keys. Others are passed over.
void read_query(std::string_view query, Json& request) {
    while (!query.empty()) {
        const std::size_t end = std::min(query.find('&'), query.size());
        const std::string_view pair = query.substr(0, end);
        query.remove_prefix(std::min(end + 1, query.size()));
        const std::size_t equals = pair.find('=');
        if (equals == std::string_view::npos) continue;
        const std::string_view key = pair.substr(0, equals), value = pair.substr(equals + 1);
        if (key == "job" || key == "lines" || key == "after" || key == "member") {
            if (const auto number = digits<std::uint64_t>(value)) request[std::string(key)] = *number;
        } else if (key == "head") {
            request["head"] = std::string(value);
        }
    }
}

}  // namespace

std::optional<WebAddress> parse_web_address(const std::string& text) {
    const std::size_t colon = text.rfind(':');
    if (colon == std::string::npos) return std::nullopt;
    const auto port = digits<std::uint16_t>(std::string_view(text).substr(colon + 1));
    if (!port) return std::nullopt;
    std::string host = text.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    if (host == "localhost") host = "127.0.0.1";
    boost::system::error_code error;
    const auto ip = boost::asio::ip::make_address(host, error);
    if (error) return std::nullopt;
    return WebAddress{ip.to_string(), *port, ip.is_loopback()};
}

std::optional<std::string> host_name(std::string_view field) {
    std::string_view name = field;
    if (name.starts_with('[')) {
        const std::size_t end = name.find(']');
        if (end == std::string_view::npos) return std::nullopt;
        name = name.substr(0, end + 1);
    } else {
        name = name.substr(0, name.find(':'));
    }
    std::string_view port = field.substr(name.size());
    if (!port.empty()) {
        port.remove_prefix(1);
        if (field[name.size()] != ':' || !digits<std::uint16_t>(port)) return std::nullopt;
    }
    if (name.ends_with('.')) name.remove_suffix(1);
    if (name.empty() || name.front() == '.' || name.ends_with('.') || name.size() > 255) return std::nullopt;
    std::string small(name);
    for (char& letter : small) {
        if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
        const bool fits = (letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9') ||
                          std::string_view("-._[]:").find(letter) != std::string_view::npos;
        if (!fits) return std::nullopt;
    }
    return small;
}

std::string_view bearer_token(std::string_view authorization) {
    constexpr std::string_view scheme = "bearer ";
    if (authorization.size() <= scheme.size()) return {};
    for (std::size_t k = 0; k < scheme.size(); ++k) {
        if ((authorization[k] | 0x20) != scheme[k]) return {};
    }
    const std::string_view token = authorization.substr(scheme.size());
    return token.size() <= 256 ? token : std::string_view();
}

std::string_view cookie_value(std::string_view cookies, std::string_view name) {
    while (!cookies.empty()) {
        const std::size_t end = std::min(cookies.find(';'), cookies.size());
        std::string_view pair = cookies.substr(0, end);
        cookies.remove_prefix(std::min(end + 1, cookies.size()));
        while (pair.starts_with(' ')) pair.remove_prefix(1);
        if (pair.size() > name.size() && pair.starts_with(name) && pair[name.size()] == '=')
            return pair.substr(name.size() + 1);
    }
    return {};
}

WebRoute web_route(std::string_view method, std::string_view target) {
    if (!target.starts_with('/')) return {};
    const std::string_view path = target.substr(0, target.find_first_of("?#"));
    std::string_view query = target.substr(path.size());
    if (query.starts_with('?')) query.remove_prefix(1);
    const bool head = method == "HEAD";
    if (!path.starts_with("/api/")) {
        if (method == "GET" || head) return {.kind = Kind::file};
        return {.allow = "GET, HEAD"};
    }
    WebRoute route;
    for (const Known& known : known_routes) {
        const auto job = match(path, known.path);
        if (!job) continue;
        if (known.method != (head ? "GET" : method)) {
            route.allow = route.allow.empty() ? known.method : "GET, POST";
            continue;
        }
        route.kind = known.kind;
        route.command = known.command;
        route.body = known.method == "POST";
        route.allow = {};
        Json request = Json::object();
        if (!route.body) read_query(query, request);
        if (!known.command.empty()) request["command"] = known.command;
        if (*job != 0) request["job"] = *job;
        route.request = request.dump(-1, ' ', false, Json::error_handler_t::replace);
        return route;
    }
    return route;
}

WebRoute web_route(std::string_view method, std::string_view target, const std::vector<std::string>& paths) {
    if (std::ranges::find(paths, target.substr(0, target.find_first_of("?#"))) != paths.end()) {
        if (method == "GET" || method == "HEAD") return {.kind = Kind::read};
        return {.allow = "GET, HEAD"};
    }
    WebRoute route = web_route(method, target);
    const bool desk = route.kind != Kind::file && route.kind != Kind::session;
    if (desk && (route.kind != Kind::none || target.starts_with("/api/"))) return {};
    return route;
}

bool is_shallow(std::string_view json) {
    constexpr int most = 32;
    bool text = false;
    int depth = 0;
    for (std::size_t k = 0; k < json.size(); ++k) {
        const char letter = json[k];
        if (text && letter == '\\') {
            ++k;
        } else if (letter == '"') {
            text = !text;
        } else if (!text && (letter == '[' || letter == '{')) {
            if (++depth > most) return false;
        } else if (!text && (letter == ']' || letter == '}')) {
            --depth;
        }
    }
    return true;
}

std::optional<std::uint64_t> watched_job(std::string_view said) {
    const Json asked = is_shallow(said) ? Json::parse(said, nullptr, false) : Json();
    if (!asked.is_object()) return std::nullopt;
    const auto job = asked.find("job");
    if (job == asked.end() || !job->is_number_unsigned()) return std::nullopt;
    return job->get<std::uint64_t>();
}

WebBody desk_request(const WebRoute& route, std::string_view body) {
    Json said = Json::object();
    if (!is_shallow(body)) return {.command = {}, .request = {}, .wrong = "the body is nested too deep"};
    if (route.body && !body.empty()) {
        said = Json::parse(body, nullptr, false);
        if (!said.is_object()) return {.command = {}, .request = {}, .wrong = "the body is to be one JSON object"};
    }
    said.update(Json::parse(route.request));
    const auto command = said.find("command");
    if (command == said.end() || !command->is_string())
        return {.command = {}, .request = {}, .wrong = "\"command\": expected a text"};
    WebBody asked{command->get<std::string>(), said.dump(-1, ' ', false, Json::error_handler_t::replace)};
    return asked;
}

}  // namespace dunlin
