// SPDX-License-Identifier: Apache-2.0
#pragma once

// For .cpp files only.

#include <array>
#include <memory>
#include <utility>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/buffer.hpp>
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
        return boost::asio::async_initiate<Token, Done>(
            [this](auto&& handler, const boost::asio::mutable_buffer& into) {
                read(into, Handler(std::forward<decltype(handler)>(handler)));
            },
            token, first<boost::asio::mutable_buffer>(buffers));
    }
    template <class Buffers, class Token>
    auto async_write_some(const Buffers& buffers, Token&& token) {
        return boost::asio::async_initiate<Token, Done>(
            [this](auto&& handler, const Several& from) {
                write(from, Handler(std::forward<decltype(handler)>(handler)));
            },
            token, several(buffers));
    }

private:
    // Below here handlers have one type, so that what a socket and TLS do is compiled once and not for each of Beast's
    // operations over it, which took minutes.
    using Done = void(boost::beast::error_code, std::size_t);
    using Handler = boost::asio::any_completion_handler<Done>;
    /// As many pieces as are written at a time; one that is unused is empty.
    using Several = std::array<boost::asio::const_buffer, 8>;

    template <class Buffer, class Buffers>
    static Buffer first(const Buffers& buffers) {
        for (auto at = boost::asio::buffer_sequence_begin(buffers); at != boost::asio::buffer_sequence_end(buffers);
             ++at) {
            if (const Buffer one(*at); one.size() > 0) return one;
        }
        return {};
    }
    template <class Buffers>
    static Several several(const Buffers& buffers) {
        Several all;
        std::size_t count = 0;
        for (auto at = boost::asio::buffer_sequence_begin(buffers);
             at != boost::asio::buffer_sequence_end(buffers) && count < all.size(); ++at) {
            if (const boost::asio::const_buffer one(*at); one.size() > 0) all[count++] = one;
        }
        return all;
    }
    void read(const boost::asio::mutable_buffer& into, Handler handler);
    void write(const Several& from, Handler handler);

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
