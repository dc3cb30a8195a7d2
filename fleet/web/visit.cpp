// SPDX-License-Identifier: Apache-2.0
// One connection: who asks, for what, and whether he may.
#include "fleet/coordinator/control_socket.hpp"
#include "fleet/web/answer.hpp"
#include "fleet/web/hall.hpp"
#include "fleet/web/stream.hpp"
#include "fleet/web/web_letter.hpp"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace dunlin {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using Json = nlohmann::ordered_json;
using boost::system::error_code;
using http::status;

constexpr std::size_t header_bytes = 8192, body_bytes = std::size_t{1} << 20, session_bytes = 4096;
/// Of a letter, and of a model's file.
constexpr std::size_t large_bytes =
    ControlSocket::request_bytes + WireLimits::values * sizeof(float) + (std::size_t{1} << 16);

std::int64_t unix_ms() {
    using namespace std::chrono;
    return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

/// How an operation tells of its error.
auto with(error_code& error) {
    return asio::redirect_error(asio::use_awaitable, error);
}

class Visit {
public:
    Visit(WebStream& stream, Hall& hall) : stream_(stream), hall_(hall) {
        error_code ignored;
        const auto& socket = stream.socket().socket();
        const auto local = socket.local_endpoint(ignored).address(),
                   remote = socket.remote_endpoint(ignored).address();
        local_ = local.is_v6() ? "[" + local.to_string() + "]" : local.to_string();
        remote_ = remote.to_string();
        counted_ = counted_address(remote);
    }

    asio::awaitable<void> go() {
        error_code error;
        if (stream_.secure() != nullptr) {
            patience(10);
            co_await stream_.secure()->async_handshake(asio::ssl::stream_base::server, with(error));
            if (error) co_return;
        }
        for (int seconds = 10; co_await converse(seconds); seconds = 60) {
        }
        if (!live_) co_await end();
    }

private:
    using Parser = http::request_parser<http::string_body>;

    void patience(int seconds) { stream_.socket().expires_after(std::chrono::seconds(seconds)); }

    /// One request and its answer. Whether another may follow.
    asio::awaitable<bool> converse(int seconds) {
        Parser parser;
        parser.header_limit(header_bytes);
        parser.body_limit(boost::none);
        patience(seconds);
        error_code error;
        co_await http::async_read_header(stream_, buffer_, parser, with(error));
        request_ = &parser.get();
        enrolment_.reset();
        if (is_bad_request(error)) {
            close_ = true;
            co_await say(refused(status_of(error), "this request cannot be read"));
        }
        if (error) co_return false;
        close_ = !request_->keep_alive();
        const std::string_view method = std::string_view(request_->method_string());
        const std::string_view target(request_->target());
        route_ =
            hall_.settings.read ? web_route(method, target, hall_.settings.read_paths) : web_route(method, target);
        if (route_.kind == WebRoute::Kind::live) {
            co_await watch();
            co_return false;
        }
        std::optional<Answer> answer = look_at_head();
        if (!answer) answer = co_await read_body(parser);
        // What is not read of a body would be taken for the next request.
        if (!parser.is_done()) close_ = unread_ = true;
        if (!answer) answer = co_await act(parser.get().body());
        co_await say(*std::move(answer));
        large_.reset();
        co_return !close_;
    }

    std::string_view field(http::field name) const {
        const auto found = request_->find(name);
        return found == request_->end() ? std::string_view() : std::string_view(found->value());
    }

    bool is_read() const { return request_->method() == http::verb::get || request_->method() == http::verb::head; }

    /// All that can be said without a body: is it for here, from a page of here, of somebody who may?
    std::optional<Answer> look_at_head() {
        if (request_->count(http::field::host) > 1 || request_->count(http::field::authorization) > 1)
            return refused(status::bad_request, "one Host, and one Authorization");
        if (!hall_.is_here(field(http::field::host), local_))
            return refused(
                status::misdirected_request,
                "this server does not go by that name; if it should: dunlin fleet serve --web-name NAME");
        if (route_.kind == WebRoute::Kind::none) {
            if (route_.allow.empty()) return refused(status::not_found, "there is nothing here");
            Answer wrong = refused(status::method_not_allowed, "another method");
            wrong.fields.emplace_back(http::field::allow, route_.allow);
            return wrong;
        }
        if (route_.kind == WebRoute::Kind::file) return std::nullopt;
        const std::string_view bearer = bearer_token(field(http::field::authorization));
        const std::string_view origin = field(http::field::origin), site = field("Sec-Fetch-Site");
        const bool foreign = (!origin.empty() && !hall_.is_own(origin, field(http::field::host))) ||
                             (!site.empty() && site != "same-origin" && site != "none");
        // A browser adds its cookie to what another site's page asks for, so who changes something by it must come from
        // here. Authorization is added by nobody unasked.
        if (!foreign && route_.kind == WebRoute::Kind::enrol) {
            enrolment_ = hall_.settings.access->enrolment(bearer, unix_ms());
            return enrolment_ ? std::nullopt : std::optional(stranger(!bearer.empty()));
        }
        const bool login = route_.kind == WebRoute::Kind::session;
        const bool changes = !is_read() || route_.kind == WebRoute::Kind::live;
        if (foreign) return refused(status::forbidden, "asked by a page of another site");
        if (!login && bearer.empty() && cookie().empty()) return stranger(false);
        if (changes && origin.empty() && bearer.empty() && !login)
            return refused(status::forbidden, "a browser says its origin");
        if (login && request_->method() == http::verb::post && bearer.empty()) return std::nullopt;  // with a code
        visitor_ = bearer.empty() ? hall_.settings.access->session(cookie(), web_now_ms())
                                  : hall_.settings.access->bearer(bearer);
        if (!visitor_) return stranger(!bearer.empty() || !cookie().empty());
        if (route_.command.empty()) return std::nullopt;
        return denied(route_.command);
    }

    std::string_view field(std::string_view name) const {
        const auto found = request_->find(beast::string_view(name.data(), name.size()));
        return found == request_->end() ? std::string_view() : std::string_view(found->value());
    }

    Answer stranger(bool guessed) {
        if (guessed && hall_.attempts.wrong(counted_, web_now_ms())) {
            Answer wait = refused(status::too_many_requests, "too many wrong tokens; try again in a minute");
            wait.fields.emplace_back(http::field::retry_after, "60");
            return wait;
        }
        Answer wrong =
            refused(status::unauthorized, !hall_.settings.log_in.empty()
                                              ? hall_.settings.log_in
                                              : "show a token: Authorization: Bearer TOKEN; make one with: "
                                                "dunlin fleet token create --role view");
        wrong.fields.emplace_back(http::field::www_authenticate, "Bearer realm=\"dunlin\"");
        return wrong;
    }

    std::optional<Answer> denied(std::string_view command) const {
        const Role needed = rule_of(command).role;
        if (visitor_->role >= needed) return std::nullopt;
        return refused(status::forbidden, fmt::format("this takes the role {}; yours is {}", name_of(needed),
                                                      name_of(visitor_->role)));
    }

    asio::awaitable<std::optional<Answer>> read_body(Parser& parser) {
        const bool wants = route_.body;
        const bool large =
            wants &&
            (route_.kind == WebRoute::Kind::push ||
             (route_.kind == WebRoute::Kind::desk && route_.command.empty() && visitor_->role >= Role::operate));
        // A session is asked for by anybody.
        const std::size_t most = large                                                  ? large_bytes
                                 : !wants                                               ? 0
                                 : route_.kind == WebRoute::Kind::session || enrolment_ ? session_bytes
                                                                                        : body_bytes;
        const auto length = parser.content_length();
        if (length && *length > most)
            co_return refused(status::payload_too_large, fmt::format("at most {} bytes", most));
        if (large && length.value_or(most) > body_bytes) {
            if (hall_.large >= Hall::most_large)
                co_return refused(status::service_unavailable, "two models are on their way already; try again");
            large_.emplace(hall_);
        }
        parser.body_limit(most);
        error_code error;
        if (beast::iequals(field(http::field::expect), "100-continue") && !parser.is_done()) {
            http::response<http::empty_body> go_on(status::continue_, 11);
            co_await http::async_write(stream_, go_on, with(error));
        }
        patience(large ? 120 : 20);
        co_await http::async_read(stream_, buffer_, parser, with(error));
        if (!error) co_return std::nullopt;
        close_ = true;
        if (is_bad_request(error)) co_return refused(status_of(error), "this request cannot be read");
        co_return refused(status::request_timeout, "the request did not come whole");
    }

    asio::awaitable<Answer> act(const std::string& body) {
        switch (route_.kind) {
            case WebRoute::Kind::file:
                co_return file_answer(hall_.settings.files, std::string_view(request_->target()),
                                      field(http::field::if_none_match), field(http::field::accept_encoding));
            case WebRoute::Kind::read:
                co_return read();
            case WebRoute::Kind::session:
                co_return session(body);
            case WebRoute::Kind::experiments:
                co_return Answer{.body = hall_.settings.experiments};
            default:
                co_return co_await desk(body);
        }
    }

    /// What is here in the place of a desk.
    Answer read() const {
        WebRead told = hall_.settings.read(std::string_view(request_->target()));
        if (!told.found) return refused(status::not_found, "there is none, or none yet");
        Answer answer{.body = std::move(told.body), .type = std::move(told.type)};
        answer.policy = std::move(told.policy);
        if (told.etag.empty()) return answer;
        answer.fields = {{http::field::etag, told.etag}, {http::field::cache_control, "no-cache"}};
        if (field(http::field::if_none_match) == told.etag) {
            answer.code = status::not_modified;
            answer.body.clear();
        }
        return answer;
    }

    asio::awaitable<Answer> desk(const std::string& body) {
        Outcome<WebLetter> asked = read_web_letter(hall_.settings, route_, body, field(http::field::content_type),
                                                   enrolment_ ? &*enrolment_ : nullptr);
        if (!asked) co_return refused(status::bad_request, asked.error().text);
        if (!enrolment_) {
            if (auto no = denied(asked->command)) co_return *std::move(no);
        }
        const std::string who = fmt::format(
            "{} from {}", enrolment_ ? fmt::format("enrolment token {}", enrolment_->number) : visitor_->who,
            remote_);
        stream_.socket().expires_never();
        std::optional<Letter> told = co_await hall_.ask(std::move(asked->letter), who);
        if (!told) co_return refused(status::service_unavailable, "the coordinator is busy; try again");
        if (route_.kind == WebRoute::Kind::model && told->json.starts_with(R"({"ok":true)")) {
            Outcome<std::string> model = hall_.settings.pulled(*told);
            if (!model) co_return refused(status::service_unavailable, model.error().text);
            co_return Answer{.body = *std::move(model)};
        }
        co_return letter_answer(*std::move(told), field(http::field::accept));
    }

    std::string cookie_name() const {
        return hall_.tls ? std::string("__Host-dunlin") : fmt::format("dunlin_{}", hall_.port);
    }
    std::string_view cookie() const { return cookie_value(field(http::field::cookie), cookie_name()); }
    std::string set_cookie(std::string_view secret, std::int64_t seconds) const {
        return fmt::format("{}={}; Path=/; HttpOnly; SameSite=Strict; Max-Age={}{}", cookie_name(), secret, seconds,
                           hall_.tls || field(http::field::origin).starts_with("https://") ? "; Secure" : "");
    }

    /// Who am I (GET); log in by a code in the body or by a token (POST); log out (DELETE).
    Answer session(const std::string& body) {
        Access& access = *hall_.settings.access;
        Answer answer;
        if (request_->method() == http::verb::delete_) {
            access.log_out(cookie());
            visitor_.reset();
            answer.body = Json{{"ok", true}}.dump();
            answer.fields.emplace_back(http::field::set_cookie, set_cookie("", 0));
            return answer;
        }
        if (request_->method() == http::verb::post) {
            std::string secret(bearer_token(field(http::field::authorization)));
            if (secret.empty()) {
                const Json said = is_shallow(body) ? Json::parse(body, nullptr, false) : Json();
                const auto code = said.is_object() ? said.find("code") : said.end();
                if (said.is_object() && code != said.end() && code->is_string()) secret = code->get<std::string>();
            }
            auto made = access.log_in(secret, web_now_ms());
            if (!made) return stranger(true);
            visitor_ = made->visitor;
            answer.fields.emplace_back(http::field::set_cookie,
                                       set_cookie(made->secret, Access::session_ms / 1000));
        }
        answer.body = Json{{"ok", true}, {"role", name_of(visitor_->role)}, {"who", visitor_->who}}.dump();
        return answer;
    }

    asio::awaitable<void> say(Answer answer) {
        http::response<http::string_body> response(answer.code, 11);
        put_fields(response, answer, hall_.tls.has_value());
        response.keep_alive(!close_);
        response.body() = std::move(answer.body);
        response.prepare_payload();
        if (request_->method() == http::verb::head) response.body().clear();
        patience(60);
        error_code error;
        co_await http::async_write(stream_, response, with(error));
        if (error) close_ = true;
    }

    /// What still comes is taken in for a moment: closed over it, the system would take the answer back.
    asio::awaitable<void> end() {
        error_code error;
        patience(1);
        if (stream_.secure() != nullptr) {
            co_await stream_.secure()->async_shutdown(with(error));
            if (!unread_) co_return;
            error = {};  // it is of what still comes, which is taken in below, as it is
        }
        patience(unread_ ? 5 : 1);
        stream_.socket().socket().shutdown(asio::ip::tcp::socket::shutdown_send, error);
        std::array<char, 16384> rest;
        for (int k = 0; k < 4096 && !error; ++k)
            co_await stream_.socket().async_read_some(asio::buffer(rest), with(error));
    }

    /// A page that is told what happens, until it goes or may no longer.
    asio::awaitable<void> watch() {
        std::optional<Answer> no = look_at_head();
        if (!no && !beast::websocket::is_upgrade(*request_))
            no = refused(status::upgrade_required, "this is a WebSocket");
        if (no) {
            close_ = true;
            co_await say(*std::move(no));
            co_return;
        }
        live_ = true;
        const std::string secret(cookie()), token(bearer_token(field(http::field::authorization)));
        const auto may = [this, secret, token] {
            Access& access = *hall_.settings.access;
            return (token.empty() ? access.session(secret, web_now_ms(), false) : access.bearer(token)).has_value();
        };
        co_await tell_page(stream_, hall_, *request_, may);
    }

    WebStream& stream_;
    Hall& hall_;
    std::string local_, remote_, counted_;
    beast::flat_buffer buffer_{2 * header_bytes + body_bytes};
    const http::request<http::string_body>* request_ = nullptr;
    WebRoute route_;
    std::optional<Visitor> visitor_;
    std::optional<Access::Enrolment> enrolment_;  ///< that a node shows, who is no visitor
    std::optional<Hall::Large> large_;            ///< while its body is one
    bool close_ = false, live_ = false, unread_ = false;
};

}  // namespace

asio::awaitable<void> visit(WebStream stream, Hall& hall) {
    co_await Visit(stream, hall).go();
}

}  // namespace dunlin
