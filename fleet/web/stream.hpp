// SPDX-License-Identifier: Apache-2.0
#pragma once

// For .cpp files only.

#include <memory>
#include <utility>

#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/websocket/teardown.hpp>

namespace dunlin {

/// A connection, with TLS or without: one type, so that what talks over it is compiled once.
class WebStream {
public:
    using Socket = boost::beast::tcp_stream;
    using Secure = boost::asio::ssl::stream<Socket&>;
    using executor_type = Socket::executor_type;

    explicit WebStream(Socket socket) : socket_(std::make_unique<Socket>(std::move(socket))) {}
    WebStream(Socket socket, boost::asio::ssl::context& context) : WebStream(std::move(socket)) {
        secure_ = std::make_unique<Secure>(*socket_, context);
    }

    Socket& socket() { return *socket_; }
    Secure* secure() { return secure_.get(); }
    executor_type get_executor() { return socket_->get_executor(); }

    template <class Buffers, class Token>
    auto async_read_some(const Buffers& buffers, Token&& token) {
        return boost::asio::async_initiate<Token, void(boost::beast::error_code, std::size_t)>(
            [this](auto&& handler, const Buffers& into) {
                if (secure_)
                    secure_->async_read_some(into, std::forward<decltype(handler)>(handler));
                else
                    socket_->async_read_some(into, std::forward<decltype(handler)>(handler));
            },
            token, buffers);
    }
    template <class Buffers, class Token>
    auto async_write_some(const Buffers& buffers, Token&& token) {
        return boost::asio::async_initiate<Token, void(boost::beast::error_code, std::size_t)>(
            [this](auto&& handler, const Buffers& from) {
                if (secure_)
                    secure_->async_write_some(from, std::forward<decltype(handler)>(handler));
                else
                    socket_->async_write_some(from, std::forward<decltype(handler)>(handler));
            },
            token, buffers);
    }

private:
    std::unique_ptr<Socket> socket_;
    std::unique_ptr<Secure> secure_;
};

// What Beast's WebSocket does at its end.

inline void beast_close_socket(WebStream& stream) {
    boost::beast::error_code ignored;
    stream.socket().socket().close(ignored);
}
inline void teardown(boost::beast::role_type, WebStream& stream, boost::beast::error_code& error) {
    stream.socket().socket().shutdown(boost::asio::ip::tcp::socket::shutdown_both, error);
}
template <class Handler>
void async_teardown(boost::beast::role_type role, WebStream& stream, Handler&& handler) {
    boost::beast::error_code error;
    teardown(role, stream, error);
    boost::asio::post(stream.get_executor(),
                      [handler = std::forward<Handler>(handler), error]() mutable { handler(error); });
}

}  // namespace dunlin
