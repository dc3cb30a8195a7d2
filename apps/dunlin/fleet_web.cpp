// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/fleet_web.hpp"

#include "apps/dunlin/fleet_client.hpp"
#include "apps/dunlin/web_page.hpp"
#include "apps/dunlin/web_requests.hpp"
#include "training/host/failure.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace dunlin::app {

void add_web_options(CLI::App& command, WebOptions& options) {
    command.add_option("--web", options.address, "HOST:PORT of the fleet in a browser, such as 127.0.0.1:7710");
    command.add_option("--web-name", options.names,
                       "a name that browsers call it by (laptop.lan), or the origin of a proxy before it "
                       "(https://fleet.example.org); may be given many times");
    command.add_option("--tls-cert", options.tls_cert, "certificate chain (PEM): wanted off loopback");
    command.add_option("--tls-key", options.tls_key, "its key (PEM)");
}

Outcome<WebDoor> WebDoor::open(const WebOptions& options, const std::string& store) {
    auto access = Access::open(store);
    if (!access) return refuse(access.error(), store + "/" + Access::file_name);
    const auto files = web_page();
    auto server = WebServer::open({.address = options.address,
                                   .names = options.names,
                                   .tls_cert = options.tls_cert,
                                   .tls_key = options.tls_key,
                                   .files = {files.begin(), files.end()},
                                   .experiments = experiments_json(),
                                   .access = *access,
                                   .run = run_request,
                                   .push = push_request,
                                   .pulled = pulled_answer});
    if (!server) return tl::unexpected(server.error());
    return WebDoor(*std::move(server), *std::move(access));
}

void WebDoor::tell(Desk::Place& place) const {
    place.web = server_.url();
    place.web_pin = server_.pin();
    place.access = access_;
}

std::string WebDoor::address() const {
    return server_.url().substr(server_.url().find("://") + 3);
}

std::string WebDoor::greeting(std::int64_t now_ms) const {
    const std::string code = access_->new_code(Role::admin, "the link that serve printed", now_ms);
    return fmt::format("in a browser, once, within {} minutes: {}/#login={}{}; another: dunlin fleet token link",
                       Access::code_ms / 60'000, server_.url(), code,
                       server_.pin().empty() ? "" : "; certificate " + server_.pin());
}

void WebDoor::serve(Desk& desk, std::int64_t now_ms, std::int64_t unix_ms) {
    server_.serve([&](std::uint64_t asker, const Letter& request, const std::string& who) {
        if (auto told = desk.take(asker, request, now_ms, who)) server_.answer(asker, *std::move(told));
    });
    if (now_ms - sampled_ms_ >= 5000) {
        sampled_ms_ = now_ms;
        feed_.sample(desk, now_ms, unix_ms);
    }
    const LiveWish wish = server_.wish();
    if (!wish.anybody || now_ms - told_ms_ < (wish.anybody_new ? 200 : 500)) return;
    told_ms_ = now_ms;
    server_.publish(feed_.news(wish, desk, now_ms, unix_ms));
}

bool WebDoor::answer(std::uint64_t asker, const Letter& letter) {
    if (asker <= WebServer::first_asker) return false;
    server_.answer(asker, letter);
    return true;
}

}  // namespace dunlin::app
