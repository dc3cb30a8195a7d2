// SPDX-License-Identifier: Apache-2.0
#include "fleet/web/web_server.hpp"

#include "fleet/web/hall.hpp"
#include "fleet/web/stream.hpp"

#include <thread>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <pthread.h>

namespace dunlin {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

std::string fingerprint(X509* certificate) {
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    if (certificate == nullptr || X509_digest(certificate, EVP_sha256(), bytes, &size) != 1) return {};
    std::string text = "sha256:";
    for (unsigned int k = 0; k < size; ++k) text += fmt::format("{:02x}", bytes[k]);
    return text;
}

Outcome<void> open_tls(Hall& hall) {
    asio::ssl::context context(asio::ssl::context::tls_server);
    error_code error;
    context.set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_sslv2 |
                            asio::ssl::context::no_sslv3 | asio::ssl::context::no_tlsv1 |
                            asio::ssl::context::no_tlsv1_1 | asio::ssl::context::no_compression,
                        error);
    if (!error) context.use_certificate_chain_file(hall.settings.tls_cert, error);
    if (error)
        return refuse(fmt::format("--tls-cert {}: {}; expected a certificate (PEM), its issuers behind it",
                                  hall.settings.tls_cert, error.message()));
    context.use_private_key_file(hall.settings.tls_key, asio::ssl::context::pem, error);
    if (error)
        return refuse(fmt::format("--tls-key {}: {}; expected the key of the certificate (PEM)",
                                  hall.settings.tls_key, error.message()));
    hall.pin = fingerprint(SSL_CTX_get0_certificate(context.native_handle()));
    hall.scheme = "https";
    hall.tls.emplace(std::move(context));
    return {};
}

/// Names that browsers may call this server by: against pages that let their own name point here.
Outcome<void> name_here(Hall& hall, const WebAddress& address) {
    const bool v6 = address.host.find(':') != std::string::npos;
    hall.names.insert(v6 ? "[" + address.host + "]" : address.host);
    if (address.loopback) hall.names.insert({"localhost", "127.0.0.1", "[::1]"});
    for (const std::string& given : hall.settings.names) {
        const std::size_t scheme = given.find("://");
        const auto name = host_name(scheme == std::string::npos ? given : given.substr(scheme + 3));
        if (!name)
            return refuse(
                fmt::format("--web-name {}: expected a name such as laptop.lan, or an origin such as "
                            "https://fleet.example.org",
                            given));
        hall.names.insert(*name);
        if (scheme != std::string::npos) hall.origins.insert(given);
    }
    return {};
}

/// A connection as it is counted.
struct Seat {
    Seat(Hall& of, std::string from) : hall(of), address(std::move(from)) {
        ++hall.connections_of[address];
        ++hall.connections;
    }
    ~Seat() {
        --hall.connections;
        const auto found = hall.connections_of.find(address);
        if (--found->second == 0) hall.connections_of.erase(found);
    }
    Seat(const Seat&) = delete;
    Seat& operator=(const Seat&) = delete;
    Hall& hall;
    std::string address;
};

}  // namespace

struct WebServer::Implementation {
    explicit Implementation(WebSettings settings) : hall(std::move(settings)) {}
    ~Implementation() {
        asio::post(context, [this] {
            error_code ignored;
            acceptor.close(ignored);
        });
        using namespace std::chrono;
        const auto idle = [this] {
            const std::lock_guard lock(busy_mutex);
            return busy == 0;
        };
        for (int k = 0; k < 40 && !idle(); ++k) std::this_thread::sleep_for(milliseconds(5));
        context.stop();
        if (thread.joinable()) thread.join();
    }

    void accept() {
        acceptor.async_accept([this](error_code error, tcp::socket socket) {
            if (error == asio::error::operation_aborted || !acceptor.is_open()) return;
            try {
                if (!error) greet(std::move(socket));
            } catch (const std::exception&) {  // no memory: this one is closed
            }
            if (!error || error == asio::error::connection_aborted) return accept();
            // No descriptor, say: who waits keeps waiting, and nothing spins.
            again.expires_after(std::chrono::milliseconds(200));
            again.async_wait([this](error_code ended) {
                if (!ended) accept();
            });
        });
    }

    /// One too many is closed at once.
    void greet(tcp::socket socket) {
        error_code error;
        const tcp::endpoint from = socket.remote_endpoint(error);
        if (error) return;
        const std::string address = counted_address(from.address());
        // Behind a proxy, or for a script on this machine, all come from one address.
        const int most = from.address().is_loopback() ? Hall::most_connections - 16 : Hall::most_of_one;
        if (hall.connections >= Hall::most_connections || hall.connections_of[address] >= most) {
            if (hall.connections_of[address] == 0) hall.connections_of.erase(address);
            return;
        }
        const auto seat = std::make_shared<Seat>(hall, address);
        socket.set_option(tcp::no_delay(true), error);
        boost::beast::tcp_stream stream(std::move(socket));
        WebStream whole = hall.tls ? WebStream(std::move(stream), *hall.tls) : WebStream(std::move(stream));
        asio::co_spawn(context, visit(std::move(whole), hall), [seat](const std::exception_ptr&) {});
    }

    Hall hall;
    std::mutex busy_mutex;
    std::size_t busy = 0;  ///< answers on their way into the server's thread and out of it
    asio::io_context context{1};
    tcp::acceptor acceptor{context};
    asio::steady_timer again{context};
    std::thread thread;
};

Outcome<WebServer> WebServer::open(WebSettings settings) {
    const auto address = parse_web_address(settings.address);
    if (!address)
        return refuse(fmt::format("--web {}: expected HOST:PORT with the host in digits, such as 127.0.0.1:7710",
                                  settings.address));
    if (settings.tls_cert.empty() != settings.tls_key.empty())
        return refuse("--tls-cert and --tls-key: give both, or none");
    if (!address->loopback && settings.tls_cert.empty())
        return refuse(
            fmt::format("--web {}: other machines reach this address, and without TLS tokens would be read on "
                        "the way; give --tls-cert FILE and --tls-key FILE, or stay on 127.0.0.1 behind a "
                        "proxy or `ssh -L`",
                        settings.address));
    auto made = std::make_unique<Implementation>(std::move(settings));
    Hall& hall = made->hall;
    if (!hall.settings.tls_cert.empty()) {
        if (auto open = open_tls(hall); !open) return tl::unexpected(open.error());
    }
    if (auto named = name_here(hall, *address); !named) return tl::unexpected(named.error());
    const tcp::endpoint endpoint(asio::ip::make_address(address->host), address->port);
    error_code error;
    made->acceptor.open(endpoint.protocol(), error);
    if (!error) made->acceptor.set_option(asio::socket_base::reuse_address(true), error);
    if (!error) made->acceptor.bind(endpoint, error);
    if (!error) made->acceptor.listen(Hall::most_connections, error);
    if (error)
        return unable(fmt::format("{} {}: {}; another port, or who has it: ss -ltnp", hall.settings.option,
                                  hall.settings.address, error.message()));
    hall.port = made->acceptor.local_endpoint().port();
    const std::string& given = hall.settings.address;
    hall.url = fmt::format("{}://{}:{}", hall.scheme, given.substr(0, given.rfind(':')), hall.port);
    made->accept();
    made->thread = std::thread([context = &made->context] {
        pthread_setname_np(pthread_self(), "dunlin-web");
        // What one request lacks, memory say, must not end who serves the fleet.
        for (bool over = false; !over;) {
            try {
                context->run();
                over = true;
            } catch (const std::exception&) {
            }
        }
    });
    return WebServer(std::move(made));
}

const std::string& WebServer::url() const {
    return implementation_->hall.url;
}
const std::string& WebServer::pin() const {
    return implementation_->hall.pin;
}

void WebServer::serve(const std::function<void(std::uint64_t, const Letter&, const std::string&)>& ask) {
    std::vector<Hall::Asked> asked;
    {
        const std::lock_guard lock(implementation_->hall.mutex);
        asked.swap(implementation_->hall.asked);
    }
    for (const Hall::Asked& one : asked) ask(one.asker, one.letter, one.who);
}

void WebServer::answer(std::uint64_t asker, Letter letter) {
    Implementation& server = *implementation_;
    {
        const std::lock_guard lock(server.busy_mutex);
        ++server.busy;
    }
    asio::post(server.context, [&server, asker, letter = std::move(letter)]() mutable {
        server.hall.answer(asker, std::move(letter));
        // What it writes comes behind this in the same thread.
        asio::post(server.context, [&server] {
            asio::post(server.context, [&server] {
                const std::lock_guard lock(server.busy_mutex);
                --server.busy;
            });
        });
    });
}

LiveWish WebServer::wish() const {
    const std::lock_guard lock(implementation_->hall.mutex);
    return implementation_->hall.wish;
}

void WebServer::publish(LiveNews news) {
    Implementation& server = *implementation_;
    asio::post(server.context, [&server, news = std::move(news)] { server.hall.publish(news); });
}

WebServer::WebServer(std::unique_ptr<Implementation> implementation) : implementation_(std::move(implementation)) {}
WebServer::WebServer(WebServer&&) noexcept = default;
WebServer& WebServer::operator=(WebServer&&) noexcept = default;
WebServer::~WebServer() = default;

}  // namespace dunlin
