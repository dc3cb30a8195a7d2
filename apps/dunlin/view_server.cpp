// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/view_server.hpp"

#include "apps/dunlin/run_directory.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <limits>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <fmt/format.h>

namespace dunlin::app {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using namespace std::chrono_literals;

constexpr int most_connections = 64;
constexpr std::size_t most_request_bytes = 8192;

constexpr const char* page_policy =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; frame-src 'self'; "
    "base-uri "
    "'none'; "
    "form-action 'none'; frame-ancestors 'none'";
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

/// What all connections share.
struct Shared {
    RunIndex index;
    std::string host{};  ///< "127.0.0.1:7711"
    std::string port{};
    std::uint64_t version = 0;  ///< of `runs`
    std::string runs{};
    std::chrono::steady_clock::time_point looked{};
    int connections = 0;

    /// The index as it is by now; a second look within a moment is none.
    void look() {
        const auto now = std::chrono::steady_clock::now();
        if (version != 0 && now - looked < 300ms) return;
        index.refresh();
        looked = std::chrono::steady_clock::now();
        if (index.version() != version) {
            version = index.version();
            runs = index.json();
        }
    }
};

using Request = http::request<http::empty_body>;
using Response = http::response<http::string_body>;

void answer_file(const std::filesystem::path& directory, const char* name, std::string_view type,
                 Response& response) {
    const auto text = directory.empty() ? tl::unexpected(Failure{}) : read_text(directory / name);
    if (!text) {
        response.result(http::status::not_found);
        response.body() = "there is none yet\n";
        return;
    }
    response.set(http::field::content_type, beast::string_view(type.data(), type.size()));
    response.body() = *text;
}

void answer(const Request& request, Shared& shared, Response& response) {
    const auto host = request[http::field::host];
    if (host != shared.host && host != "localhost:" + shared.port) {
        response.result(http::status::misdirected_request);
        response.body() = fmt::format("this is http://{}/\n", shared.host);
        return;
    }
    if (request.method() != http::verb::get && request.method() != http::verb::head) {
        response.result(http::status::method_not_allowed);
        response.set(http::field::allow, "GET, HEAD");
        return;
    }
    const std::string target(request.target());
    const std::string path = target.substr(0, target.find_first_of("?#"));
    const std::size_t query = target.find("?run=");
    const std::string name = query == std::string::npos ? "" : decoded(std::string_view(target).substr(query + 5));
    for (const ViewFile& file : view_files()) {
        if (path != file.path) continue;
        response.set(http::field::content_type, std::string(file.type));
        response.body() = file.text;
        return;
    }
    if (path == "/api/runs") {
        shared.look();
        const std::string tag = fmt::format("\"{}\"", shared.version);
        response.set(http::field::etag, tag);
        response.set(http::field::content_type, "application/json");
        if (request[http::field::if_none_match] == tag)
            response.result(http::status::not_modified);
        else
            response.body() = shared.runs;
        return;
    }
    if (path == "/api/metrics")
        return answer_file(shared.index.directory(name), "metrics.csv", "text/csv; charset=utf-8", response);
    if (path == "/report") {
        answer_file(shared.index.directory(name), "report.html", "text/html; charset=utf-8", response);
        response.set("Content-Security-Policy", report_policy);
        return;
    }
    response.result(http::status::not_found);
    response.body() = "no such page\n";
}

/// One connection, one request; of it the head alone is looked at.
class Visit : public std::enable_shared_from_this<Visit> {
public:
    Visit(tcp::socket socket, Shared& shared) : stream_(std::move(socket)), shared_(shared) {
        ++shared_.connections;
    }
    ~Visit() { --shared_.connections; }

    void begin() {
        stream_.expires_after(10s);
        parser_.header_limit(most_request_bytes);
        parser_.body_limit(0);
        http::async_read_header(stream_, buffer_, parser_,
                                [self = shared_from_this()](beast::error_code error, std::size_t) {
                                    if (!error) self->reply();
                                });
    }

private:
    void reply() {
        response_.set(http::field::content_type, "text/plain; charset=utf-8");
        response_.set("Content-Security-Policy", page_policy);
        response_.set("X-Content-Type-Options", "nosniff");
        response_.set("Referrer-Policy", "no-referrer");
        response_.set("Cross-Origin-Resource-Policy", "same-origin");
        response_.set(http::field::cache_control, "no-cache");
        answer(parser_.get(), shared_, response_);
        response_.version(11);
        response_.keep_alive(false);
        response_.prepare_payload();
        if (parser_.get().method() == http::verb::head) response_.body().clear();
        stream_.expires_after(30s);
        http::async_write(stream_, response_, [self = shared_from_this()](beast::error_code, std::size_t) {
            beast::error_code ignored;
            self->stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
        });
    }

    beast::tcp_stream stream_;
    Shared& shared_;
    beast::flat_buffer buffer_{2 * most_request_bytes};
    http::request_parser<http::empty_body> parser_;
    Response response_;
};

}  // namespace

struct ViewServer::Implementation {
    Shared shared;
    asio::io_context context{1};
    tcp::acceptor acceptor{context};
    asio::steady_timer again{context};

    explicit Implementation(const std::filesystem::path& root) : shared{.index = RunIndex(root)} {}

    void accept() {
        acceptor.async_accept([this](beast::error_code error, tcp::socket socket) {
            if (!error && shared.connections < most_connections)
                std::make_shared<Visit>(std::move(socket), shared)->begin();
            if (!acceptor.is_open()) return;
            if (!error || error == asio::error::connection_aborted) return accept();
            // No descriptor, say: who waits keeps waiting, and nothing spins.
            again.expires_after(200ms);
            again.async_wait([this](beast::error_code ended) {
                if (!ended) accept();
            });
        });
    }
};

ViewServer::ViewServer(std::unique_ptr<Implementation> implementation)
    : implementation_(std::move(implementation)) {}
ViewServer::~ViewServer() = default;

Outcome<std::unique_ptr<ViewServer>> ViewServer::open(const std::filesystem::path& root, std::uint16_t port) {
    auto made = std::make_unique<Implementation>(root);
    const tcp::endpoint here(asio::ip::address_v4::loopback(), port);
    beast::error_code error;
    made->acceptor.open(here.protocol(), error);
    if (!error) made->acceptor.set_option(asio::socket_base::reuse_address(true), error);
    if (!error) made->acceptor.bind(here, error);
    if (!error) made->acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (error) return unable(fmt::format("127.0.0.1:{}: {}; choose another --port", port, error.message()));
    made->shared.port = std::to_string(made->acceptor.local_endpoint().port());
    made->shared.host = "127.0.0.1:" + made->shared.port;
    return std::unique_ptr<ViewServer>(new ViewServer(std::move(made)));
}

std::string ViewServer::address() const {
    return fmt::format("http://{}/", implementation_->shared.host);
}

void ViewServer::serve(const std::function<bool()>& stop) {
    implementation_->accept();
    while (!stop()) implementation_->context.run_for(100ms);
}

}  // namespace dunlin::app
