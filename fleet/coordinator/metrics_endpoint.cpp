// SPDX-License-Identifier: Apache-2.0
#include "fleet/coordinator/metrics.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

namespace dunlin {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;

constexpr int most_connections = 16;
constexpr std::size_t most_request_bytes = 8192;
constexpr std::chrono::seconds patience{5};

/// What all connections share; only `text` is used by two threads.
struct Shared {
    std::mutex mutex;
    std::shared_ptr<const std::string> text = std::make_shared<const std::string>();
    int connections = 0;
};

/// The path that a target asks for: without its query, and without scheme and host where a proxy names them.
std::string_view path_of(std::string_view target) {
    const std::size_t scheme = target.find("://");
    if (!target.starts_with('/') && scheme != std::string_view::npos) {
        target.remove_prefix(scheme + 3);
        target.remove_prefix(std::min(target.find_first_of("/?#"), target.size()));
        if (target.empty()) return "/";
    }
    return target.substr(0, target.find_first_of("?#"));
}

/// What to say to a request that cannot be read.
http::status status_of(const beast::error_code& error) {
    if (error == http::error::header_limit || error == http::error::buffer_overflow)
        return http::status::request_header_fields_too_large;
    if (error == http::error::bad_version) return http::status::http_version_not_supported;
    return http::status::bad_request;
}

/// Did the other side say something that is no request, rather than go or say nothing?
bool is_bad_request(const beast::error_code& error) {
    return error.category() == http::make_error_code(http::error::bad_method).category() &&
           error != http::error::end_of_stream && error != http::error::partial_message;
}

/// One connection, one request. Its head is all that is looked at: no answer depends on a body.
class Visit : public std::enable_shared_from_this<Visit> {
public:
    Visit(tcp::socket socket, Shared& shared) : stream_(std::move(socket)), shared_(shared) {
        ++shared_.connections;
    }
    ~Visit() { --shared_.connections; }

    void begin() {
        stream_.expires_after(patience);
        parser_.header_limit(most_request_bytes);
        parser_.body_limit(std::numeric_limits<std::uint64_t>::max());
        http::async_read_header(stream_, buffer_, parser_,
                                [self = shared_from_this()](beast::error_code error, std::size_t) {
                                    if (!error)
                                        self->answer();
                                    else if (is_bad_request(error))
                                        self->refuse(status_of(error));
                                });
    }

private:
    void answer() {
        const auto& request = parser_.get();
        const bool reads = request.method() == http::verb::get || request.method() == http::verb::head;
        if (!reads) return refuse(http::status::method_not_allowed);
        if (path_of(request.target()) != "/metrics") return refuse(http::status::not_found);
        response_.set(http::field::content_type, "text/plain; version=0.0.4; charset=utf-8");
        {
            const std::lock_guard lock(shared_.mutex);
            response_.body() = *shared_.text;
        }
        send();
    }

    void refuse(http::status status) {
        response_.result(status);
        response_.set(http::field::content_type, "text/plain; charset=utf-8");
        response_.body() = std::string(http::obsolete_reason(status)) + "; the metrics are at /metrics\n";
        if (status == http::status::method_not_allowed) response_.set(http::field::allow, "GET, HEAD");
        send();
    }

    void send() {
        response_.version(11);
        response_.keep_alive(false);
        response_.prepare_payload();
        if (parser_.get().method() == http::verb::head) response_.body().clear();
        http::async_write(stream_, response_, [self = shared_from_this()](beast::error_code error, std::size_t) {
            beast::error_code ignored;
            self->stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
            if (!error) self->drain(64);
        });
    }

    /// What still comes is taken in for a moment: closed over it, the system would take the answer back.
    void drain(int parts) {
        stream_.expires_after(std::chrono::seconds(1));
        stream_.async_read_some(asio::buffer(rest_),
                                [self = shared_from_this(), parts](beast::error_code error, std::size_t) {
                                    if (!error && parts > 0) self->drain(parts - 1);
                                });
    }

    beast::tcp_stream stream_;
    Shared& shared_;
    beast::flat_buffer buffer_{2 * most_request_bytes};
    http::request_parser<http::empty_body> parser_;
    http::response<http::string_body> response_;
    std::array<char, 16384> rest_{};
};

}  // namespace

struct MetricsEndpoint::Implementation {
    Shared shared;
    asio::io_context context{1};
    tcp::acceptor acceptor{context};
    asio::steady_timer again{context};
    std::string address;
    std::thread thread;

    ~Implementation() {
        context.stop();
        if (thread.joinable()) thread.join();
    }

    void accept() {
        acceptor.async_accept([this](beast::error_code error, tcp::socket socket) {
            if (error == asio::error::operation_aborted) return;
            // One too many is closed at once.
            if (!error && shared.connections < most_connections)
                std::make_shared<Visit>(std::move(socket), shared)->begin();
            if (!error || error == asio::error::connection_aborted) return accept();
            // No descriptor, say: who waits keeps waiting, and nothing spins.
            again.expires_after(std::chrono::milliseconds(200));
            again.async_wait([this](beast::error_code ended) {
                if (!ended) accept();
            });
        });
    }
};

static std::optional<tcp::endpoint> parse_address(const std::string& address) {
    const std::size_t colon = address.rfind(':');
    std::uint16_t port = 0;
    if (colon == std::string::npos) return std::nullopt;
    const char* end = address.data() + address.size();
    const auto parsed = std::from_chars(address.data() + colon + 1, end, port);
    if (parsed.ptr != end || parsed.ec != std::errc{}) return std::nullopt;
    std::string host = address.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    if (host == "localhost") host = "127.0.0.1";
    beast::error_code error;
    const auto ip = asio::ip::make_address(host, error);
    if (error) return std::nullopt;
    return tcp::endpoint(ip, port);
}

bool MetricsEndpoint::is_address(const std::string& text) {
    return parse_address(text).has_value();
}

Result<MetricsEndpoint> MetricsEndpoint::open(const std::string& address, bool everywhere) {
    const auto parsed = parse_address(address);
    if (!parsed) return fail(Code::bad_endpoint);
    const tcp::endpoint& endpoint = *parsed;
    if (!endpoint.address().is_loopback() && !everywhere) return fail(Code::not_loopback);

    auto made = std::make_unique<Implementation>();
    beast::error_code error;
    made->acceptor.open(endpoint.protocol(), error);
    if (!error) made->acceptor.set_option(asio::socket_base::reuse_address(true), error);
    if (!error) made->acceptor.bind(endpoint, error);
    if (!error) made->acceptor.listen(most_connections, error);
    if (error) return fail(Code::link_failed, error.value());
    made->address =
        address.substr(0, address.rfind(':') + 1) + std::to_string(made->acceptor.local_endpoint().port());
    made->accept();
    made->thread = std::thread([context = &made->context] { context->run(); });
    return MetricsEndpoint(std::move(made));
}

void MetricsEndpoint::publish(std::string text) {
    auto next = std::make_shared<const std::string>(std::move(text));
    const std::lock_guard lock(implementation_->shared.mutex);
    implementation_->shared.text.swap(next);
}

const std::string& MetricsEndpoint::address() const {
    return implementation_->address;
}

MetricsEndpoint::MetricsEndpoint(std::unique_ptr<Implementation> implementation)
    : implementation_(std::move(implementation)) {}
MetricsEndpoint::MetricsEndpoint(MetricsEndpoint&&) noexcept = default;
MetricsEndpoint& MetricsEndpoint::operator=(MetricsEndpoint&&) noexcept = default;
MetricsEndpoint::~MetricsEndpoint() = default;

}  // namespace dunlin
