// SPDX-License-Identifier: Apache-2.0
#include "fleet/https/https_client.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <csignal>
#include <memory>

#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <sys/time.h>

namespace dunlin {
namespace {

namespace http = boost::beast::http;

struct Url {
    bool secure = true;
    std::string host;       ///< without brackets
    std::string authority;  ///< as the Host field has it
    std::string port;
    std::string path = "/";
};

Outcome<Url> parse_url(const WebTarget& target) {
    const std::string& text = target.url;
    const auto wrong = [&] {
        return refuse(fmt::format("{} {}: expected https://HOST:PORT{}, or http://127.0.0.1:PORT on this machine",
                                  target.option, text, target.path ? "/PATH" : ""));
    };
    Url url;
    std::string_view rest = text;
    if (rest.starts_with("http://"))
        url.secure = false;
    else if (!rest.starts_with("https://"))
        return wrong();
    rest.remove_prefix(url.secure ? 8 : 7);
    if (const std::size_t slash = rest.find('/'); slash != std::string_view::npos) {
        url.path = rest.substr(slash);
        rest = rest.substr(0, slash);
        if (!target.path && url.path != "/") return wrong();
    }
    if (rest.empty() || rest.find_first_of("?#@") != std::string_view::npos) return wrong();
    const auto printable = [](char letter) { return letter > ' ' && letter < '\x7f'; };
    if (!std::ranges::all_of(text, printable) || url.path.find('#') != std::string::npos) return wrong();
    url.authority = rest;
    const std::size_t bracket = rest.find(']'),
                      colon = rest.find(':', bracket == std::string_view::npos ? 0 : bracket);
    url.host = rest.substr(0, colon);
    url.port = colon == std::string_view::npos ? (url.secure ? "443" : "80") : std::string(rest.substr(colon + 1));
    if (url.host.starts_with('[') && url.host.ends_with(']')) url.host = url.host.substr(1, url.host.size() - 2);
    std::uint16_t port = 0;
    const auto read = std::from_chars(url.port.data(), url.port.data() + url.port.size(), port);
    if (url.host.empty() || read.ec != std::errc{} || read.ptr != url.port.data() + url.port.size()) return wrong();
    if (!url.secure && url.host != "127.0.0.1" && url.host != "localhost" && url.host != "::1")
        return refuse(
            fmt::format("{} {}: another machine is reached by https:// only, or what is secret would be "
                        "read on the way",
                        target.option, text));
    return url;
}

/// Why OpenSSL failed, in its words.
std::string reason() {
    const unsigned long code = ERR_peek_last_error();
    const char* text = code == 0 ? nullptr : ERR_reason_error_string(code);
    ERR_clear_error();
    return text == nullptr ? "no answer" : text;
}

/// SHA-256 of what the other side showed; "" where it showed nothing.
std::string shown_pin(SSL* ssl) {
    const std::unique_ptr<X509, decltype(&X509_free)> certificate(SSL_get1_peer_certificate(ssl), X509_free);
    std::array<unsigned char, EVP_MAX_MD_SIZE> bytes;
    unsigned int size = 0;
    if (!certificate || X509_digest(certificate.get(), EVP_sha256(), bytes.data(), &size) != 1) return {};
    std::string text = "sha256:";
    for (unsigned int k = 0; k < size; ++k) text += fmt::format("{:02x}", bytes[k]);
    return text;
}

/// While it lives, writing to who has hung up is an error and not this program's end; in this thread alone.
class NoSignal {
public:
    NoSignal() {
        sigemptyset(&broken_);
        sigaddset(&broken_, SIGPIPE);
        sigset_t pending;
        sigpending(&pending);
        was_pending_ = sigismember(&pending, SIGPIPE) == 1;
        pthread_sigmask(SIG_BLOCK, &broken_, &before_);
    }
    ~NoSignal() {
        const timespec at_once{};
        if (!was_pending_) sigtimedwait(&broken_, nullptr, &at_once);
        pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    }
    NoSignal(const NoSignal&) = delete;
    NoSignal& operator=(const NoSignal&) = delete;

private:
    sigset_t broken_, before_;
    bool was_pending_ = false;
};

/// A connection, and all that it needs.
class Line {
public:
    Outcome<void> open(const WebTarget& target, const Url& url, int timeout_ms) {
        if (url.secure) {
            if (auto ready = prepare(target, url); !ready) return ready;
            bio_.reset(BIO_new_ssl_connect(context_.get()));
        } else {
            bio_.reset(BIO_new(BIO_s_connect()));
        }
        SSL* ssl = nullptr;
        if (url.secure) {
            BIO_get_ssl(bio_.get(), &ssl);
            if (!in_addr_or_name(ssl, target, url))
                return refuse(fmt::format("{}: no certificate can be for this name", target.url));
        }
        // A host in brackets is read as one with its colons.
        const std::string host = url.host.find(':') == std::string::npos ? url.host : "[" + url.host + "]";
        if (BIO_set_conn_hostname(bio_.get(), host.c_str()) != 1 ||
            BIO_set_conn_port(bio_.get(), url.port.c_str()) != 1)
            return refuse(fmt::format("{}: this is no address", target.url));
        BIO* connection = BIO_find_type(bio_.get(), BIO_TYPE_CONNECT);
        const int seconds = std::max(1, timeout_ms / 1000);
        ERR_clear_error();
        BIO_set_nbio(connection, 1);
        if (BIO_do_connect_retry(connection, std::min(seconds, 10), 10) != 1)
            return unable(fmt::format("{}: nobody answers ({}){}", target.url, reason(),
                                      target.path ? "" : "; is `dunlin fleet serve --web` running there?"));
        int socket = -1;
        BIO_get_fd(connection, &socket);
        // From here on each step waits, but not for ever.
        BIO_socket_nbio(socket, 0);
        const timeval patience{seconds, 0};
        ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        ::setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
        if (ssl == nullptr) return {};
        if (BIO_do_handshake(bio_.get()) != 1) {
            const long verdict = SSL_get_verify_result(ssl);
            if (verdict != X509_V_OK)
                return unable(
                    fmt::format("{}: its certificate is not trusted: {}; --ca FILE names who issued it, --pin "
                                "sha256:... the certificate itself, as `dunlin fleet serve` prints it there",
                                target.url, X509_verify_cert_error_string(verdict)));
            return unable(fmt::format("{}: no TLS: {}", target.url, reason()));
        }
        if (const std::string pin = shown_pin(ssl); !target.pin.empty() && pin != target.pin)
            return unable(
                fmt::format("{}: it shows the certificate {}, and not the one of --pin: somebody may be between, "
                            "or it was renewed",
                            target.url, pin));
        return {};
    }

    bool say(std::string_view text) {
        while (!text.empty()) {
            const int put =
                BIO_write(bio_.get(), text.data(), static_cast<int>(std::min<std::size_t>(text.size(), 65536)));
            if (put <= 0) return false;
            text.remove_prefix(static_cast<std::size_t>(put));
        }
        return BIO_flush(bio_.get()) == 1;
    }
    /// 0 or less: no more comes.
    int hear(char* into, int most) { return BIO_read(bio_.get(), into, most); }

private:
    Outcome<void> prepare(const WebTarget& target, const Url&) {
        context_.reset(SSL_CTX_new(TLS_client_method()));
        if (!context_) return unable("TLS cannot be used here: " + reason());
        SSL_CTX_set_min_proto_version(context_.get(), TLS1_2_VERSION);
        SSL_CTX_set_mode(context_.get(), SSL_MODE_AUTO_RETRY);
        if (!target.pin.empty()) return {};  // compared before anything is said
        SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER, nullptr);
        const bool loaded = target.ca.empty() ? SSL_CTX_set_default_verify_paths(context_.get()) == 1
                                              : SSL_CTX_load_verify_file(context_.get(), target.ca.c_str()) == 1;
        if (!loaded) return refuse(fmt::format("--ca {}: {}; expected certificates (PEM)", target.ca, reason()));
        return {};
    }
    /// Whom the certificate must be for. False: nobody, and then any would do.
    static bool in_addr_or_name(SSL* ssl, const WebTarget& target, const Url& url) {
        SSL_set_tlsext_host_name(ssl, url.host.c_str());
        const bool named = !target.pin.empty() ||
                           X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), url.host.c_str()) == 1 ||
                           SSL_set1_host(ssl, url.host.c_str()) == 1;
        ERR_clear_error();
        return named;
    }

    std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_{nullptr, SSL_CTX_free};
    std::unique_ptr<BIO, decltype(&BIO_free_all)> bio_{nullptr, BIO_free_all};
};

}  // namespace

Failure refusal_of(const WebTarget& target, const WebReply& reply) {
    const auto told = nlohmann::json::parse(reply.body, nullptr, false);
    std::string text = fmt::format("it answered {}", reply.status);
    if (told.is_object() && told.contains("error") && told["error"].is_object() && told["error"].contains("text") &&
        told["error"]["text"].is_string())
        text = told["error"]["text"].get<std::string>();
    return {fmt::format("{}: {}", target.url, text), reply.status >= 500 || reply.status == 429};
}

Outcome<std::string> host_of(const WebTarget& target) {
    return parse_url(target).map([](const Url& read) { return read.host; });
}

Outcome<WebReply> post_web(const WebTarget& target, const WebCall& call, int timeout_ms) {
    const auto url = parse_url(target);
    if (!url) return tl::unexpected(url.error());
    const NoSignal no_signal;  // before the line, whose end writes too
    Line line;
    if (auto open = line.open(target, *url, timeout_ms); !open) return tl::unexpected(open.error());
    const std::string authorization =
        target.token.empty() ? "" : fmt::format("Authorization: Bearer {}\r\n", target.token);
    const bool sent = line.say(fmt::format("POST {} HTTP/1.1\r\nHost: {}\r\n{}Content-Type: {}\r\nAccept: {}\r\n"
                                           "Content-Length: {}\r\nConnection: close\r\n\r\n",
                                           call.path.empty() ? url->path : call.path, url->authority, authorization,
                                           call.type, call.type, call.body.size())) &&
                      line.say(call.body);
    // What was refused early has an answer all the same.
    http::response_parser<http::string_body> parser;
    parser.body_limit(std::uint64_t{1} << 30);
    parser.eager(true);
    std::string heard;
    boost::system::error_code error;
    std::array<char, 65536> part;
    while (!parser.is_done()) {
        const int got = line.hear(part.data(), static_cast<int>(part.size()));
        if (got <= 0) {
            if (parser.got_some()) parser.put_eof(error);
            break;
        }
        heard.append(part.data(), static_cast<std::size_t>(got));
        const std::size_t used = parser.put(boost::asio::buffer(heard), error);
        heard.erase(0, used);
        if (error && error != http::error::need_more) break;
        error = {};
    }
    if (!parser.is_done())
        return unable(fmt::format("{}: {}", target.url,
                                  !sent ? "the connection broke"
                                  : target.path
                                      ? "no answer, or not in time"
                                      : "the coordinator does not answer; is it stopped, or its disk stuck?"));
    auto& answer = parser.get();
    WebReply reply{.status = answer.result_int(), .type = {}, .body = std::move(answer.body())};
    if (const auto type = answer.find(http::field::content_type); type != answer.end())
        reply.type = std::string(type->value());
    return reply;
}

}  // namespace dunlin
