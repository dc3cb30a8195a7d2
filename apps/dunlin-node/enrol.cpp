// SPDX-License-Identifier: Apache-2.0
#include "apps/checks.hpp"
#include "apps/dunlin-node/commands.hpp"
#include "apps/output.hpp"
#include "apps/token_file.hpp"
#include "fleet/https/https_client.hpp"
#include "training/host/file_system.hpp"
#include "training/host/shell_text.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace dunlin::node_app {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* file_name = "/coordinator.json";

/// "SECRET.SERVER_KEY" or "SECRET.SERVER_KEY.CERTIFICATE": what the coordinator is told, and whom to believe.
struct Token {
    std::string secret, server_key, pin;
};

Outcome<Token> parse_token(const std::string& text) {
    const std::size_t first = text.find('.');
    const std::size_t second = first == std::string::npos ? first : text.find('.', first + 1);
    Token token;
    token.secret = text.substr(0, first);
    if (first != std::string::npos) token.server_key = text.substr(first + 1, second - first - 1);
    if (second != std::string::npos) token.pin = fmt::format("sha256:{}", text.substr(second + 1));
    const bool fits = token.secret.starts_with("dunlin_enrol_") && parse_public_key(token.server_key) &&
                      (token.pin.empty() || app::check_pin(token.pin).empty());
    if (!fits) return refuse("the token: expected one of `dunlin fleet token create --role enrol`");
    return token;
}

std::string text_in(const Json& told, const char* key) {
    const auto found = told.find(key);
    return found != told.end() && found->is_string() ? found->get<std::string>() : std::string();
}

/// Where nodes reach a coordinator that listens everywhere: at the machine whose web port was asked.
Outcome<std::string> reached(const std::string& listens, const WebTarget& target) {
    const auto host = host_of(target);
    if (!host) return host;
    const bool v6 = host->find(':') != std::string::npos;
    for (const std::string_view everywhere : {"tcp://*:", "tcp://0.0.0.0:", "tcp://[::]:"}) {
        if (listens.starts_with(everywhere))
            return fmt::format("tcp://{}:{}", v6 ? fmt::format("[{}]", *host) : *host,
                               listens.substr(everywhere.size()));
    }
    return listens;
}

Outcome<Enrolled> ask(const std::string& directory, const EnrolOptions& options) {
    const auto text = app::read_token_file(options.token_file);
    if (!text) return tl::unexpected(text.error());
    const auto token = parse_token(*text);
    if (!token) return tl::unexpected(token.error());
    const std::string name = options.name.empty() ? host_name() : options.name;
    if (const std::string wrong = app::check_node_name(name); !wrong.empty())
        return refuse(fmt::format("--name {}: {}", name, wrong));
    bool made = false;
    const auto keys = need_keys(directory, made);
    if (!keys) return tl::unexpected(keys.error());
    WebTarget target{.url = options.url, .token = token->secret, .ca = options.ca, .pin = options.pin};
    if (target.pin.empty() && target.ca.empty()) target.pin = token->pin;
    const Json said{{"name", name}, {"key", to_hex(keys->public_key())}};
    const auto reply =
        post_web(target, {.path = "/api/v1/enrol", .type = "application/json", .body = said.dump()}, 30'000);
    if (!reply) return tl::unexpected(reply.error());
    if (reply->status == 401)
        return refuse(fmt::format("{}: this token is not good there, or its time is over", options.url));
    const Json told = Json::parse(reply->body, nullptr, false);
    if (reply->status != 200 || !told.is_object()) return tl::unexpected(refusal_of(target, *reply));
    Enrolled enrolled{.endpoint = {}, .server_key = text_in(told, "server_key"), .name = text_in(told, "name")};
    if (enrolled.server_key != token->server_key)
        return unable(
            fmt::format("{}: it has another key than the token names: somebody may be between", options.url));
    auto endpoint = reached(text_in(told, "endpoint"), target);
    if (!endpoint) return tl::unexpected(endpoint.error());
    enrolled.endpoint = *std::move(endpoint);
    return enrolled;
}

}  // namespace

Outcome<Enrolled> read_enrolled(const std::string& directory) {
    const std::string path = directory + file_name;
    const auto bytes = posix_file_system().read(path);
    if (!bytes && bytes.error().code == Code::file_missing)
        return refuse(
            "--join is missing: the coordinator's address, tcp://HOST:7700; or first: dunlin-node enrol --at URL "
            "--token-file FILE");
    if (!bytes) return refuse(bytes.error(), path);
    const auto* text = reinterpret_cast<const char*>(bytes->data());
    const Json file = Json::parse(text, text + bytes->size(), nullptr, false);
    Enrolled enrolled;
    if (file.is_object()) enrolled = {text_in(file, "join"), text_in(file, "server_key"), text_in(file, "name")};
    if (const std::string wrong = app::check_join(enrolled.endpoint); !wrong.empty())
        return refuse(fmt::format("{}: join: {}; enrol again, or give --join", path, wrong));
    return enrolled;
}

int enrol(const std::string& directory, const EnrolOptions& options) {
    const auto enrolled = ask(directory, options);
    const auto fails = [](const Failure& wrong) {
        app::note("dunlin-node: {}\n", wrong.text);
        return wrong.unable ? 1 : 2;
    };
    if (!enrolled) return fails(enrolled.error());
    const std::string path = directory + file_name;
    const Json file{{"join", enrolled->endpoint}, {"server_key", enrolled->server_key}, {"name", enrolled->name}};
    const std::string text = file.dump(1) + "\n";
    if (auto written = replace_file(posix_file_system(), path, std::as_bytes(std::span(text))); !written)
        return fails(describe(written.error(), path));
    if (options.json)
        app::say("{}\n", file.dump());
    else
        app::say("{}\n", enrolled->name);
    app::note("on the roster as {}\nnext: dunlin-node run --dir {}\n", enrolled->name, shell_path(directory));
    return 0;
}

}  // namespace dunlin::node_app
