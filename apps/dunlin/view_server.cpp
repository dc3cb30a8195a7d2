// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/view_server.hpp"

#include "apps/dunlin/fleet_client.hpp"
#include "apps/dunlin/run_directory.hpp"
#include "apps/dunlin/run_index.hpp"
#include "apps/dunlin/web_page.hpp"

#include <chrono>
#include <optional>
#include <string_view>
#include <thread>
#include <utility>

#include <fmt/format.h>

namespace dunlin::app {
namespace {

using namespace std::chrono_literals;

/// A run's report has its style within it, and no script.
constexpr const char* report_policy =
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'; sandbox";

/// "%2F" is '/'; what is no code stays as it is.
std::string decoded(std::string_view text) {
    const auto digit = [](char c) {
        return c >= '0' && c <= '9'   ? c - '0'
               : c >= 'a' && c <= 'f' ? c - 'a' + 10
               : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                      : -1;
    };
    std::string out;
    for (std::size_t k = 0; k < text.size(); ++k) {
        if (text[k] == '%' && k + 2 < text.size() && digit(text[k + 1]) >= 0 && digit(text[k + 2]) >= 0) {
            out += static_cast<char>(digit(text[k + 1]) * 16 + digit(text[k + 2]));
            k += 2;
        } else {
            out += text[k];
        }
    }
    return out;
}

/// The runs, as they are by now; belongs to the web server's thread.
class Runs {
public:
    explicit Runs(const std::filesystem::path& root) : index_(root) {}

    WebRead read(std::string_view target) {
        const std::string_view path = target.substr(0, target.find('?'));
        if (path == "/api/runs") {
            look();
            return {
                .found = true, .type = "application/json", .body = text_, .etag = fmt::format("\"{}\"", version_)};
        }
        const std::size_t query = target.find("?run=");
        const std::string name = query == std::string_view::npos ? "" : decoded(target.substr(query + 5));
        const bool report = path == "/report";
        const std::filesystem::path directory = index_.directory(name);
        const auto text = directory.empty() ? tl::unexpected(Failure{})
                                            : read_text(directory / (report ? "report.html" : "metrics.csv"));
        if (!text) return {.found = false, .type = {}, .body = {}};
        WebRead told{
            .found = true, .type = report ? "text/html; charset=utf-8" : "text/csv; charset=utf-8", .body = *text};
        if (report) told.policy = report_policy;
        return told;
    }

private:
    /// A second look within a moment is none.
    void look() {
        const auto now = std::chrono::steady_clock::now();
        if (version_ != 0 && now - looked_ < 300ms) return;
        index_.refresh();
        looked_ = std::chrono::steady_clock::now();
        if (index_.version() == version_) return;
        version_ = index_.version();
        text_ = index_.json();
    }

    RunIndex index_;
    std::uint64_t version_ = 0;  ///< of `text_`
    std::string text_;
    std::chrono::steady_clock::time_point looked_{};
};

}  // namespace

struct ViewServer::Implementation {
    explicit Implementation(const std::filesystem::path& root) : runs(root) {}

    Runs runs;
    std::shared_ptr<Access> access = Access::without_tokens();
    std::optional<WebServer> server;  ///< last: its thread uses the rest
};

ViewServer::ViewServer(std::unique_ptr<Implementation> implementation)
    : implementation_(std::move(implementation)) {}
ViewServer::~ViewServer() = default;

Outcome<std::unique_ptr<ViewServer>> ViewServer::open(const std::filesystem::path& root, std::uint16_t port) {
    auto made = std::make_unique<Implementation>(root);
    const auto files = view_page();
    WebSettings settings;
    settings.address = fmt::format("127.0.0.1:{}", port);
    settings.files = {files.begin(), files.end()};
    settings.access = made->access;
    settings.read = [runs = &made->runs](std::string_view target) { return runs->read(target); };
    settings.read_paths = {"/api/runs", "/api/metrics", "/report"};
    settings.log_in = "open the page by the link that `dunlin view` prints";
    settings.option = "--port:";
    auto server = WebServer::open(std::move(settings));
    if (!server) return tl::unexpected(server.error());
    made->server.emplace(*std::move(server));
    return std::unique_ptr<ViewServer>(new ViewServer(std::move(made)));
}

std::string ViewServer::address() const {
    return implementation_->server->url() + "/";
}

std::string ViewServer::link() {
    constexpr std::int64_t day_ms = 24 * 3'600'000;
    return fmt::format(
        "{}#login={}", address(),
        implementation_->access->new_code(Role::view, "a link of dunlin view", steady_now_ms(), day_ms));
}

void ViewServer::serve(const std::function<bool()>& stop, const std::function<void(const std::string&)>& another) {
    while (!stop()) {
        if (implementation_->access->codes(steady_now_ms()) == 0) another(link());
        std::this_thread::sleep_for(100ms);
    }
}

}  // namespace dunlin::app
