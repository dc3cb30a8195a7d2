// SPDX-License-Identifier: Apache-2.0
// The WebSocket of a page that is open.
#include "fleet/web/hall.hpp"
#include "fleet/web/stream.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/websocket.hpp>

namespace dunlin {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = beast::websocket;
using boost::system::error_code;

auto with(error_code& error) {
    return asio::redirect_error(asio::use_awaitable, error);
}

class PageSocket {
public:
    PageSocket(WebStream& stream, Hall& hall) : hall_(hall), socket_(stream), page_(stream.get_executor()) {
        stream.socket().expires_never();
        socket_.read_message_max(1024);
        socket_.set_option(
            websocket::stream_base::timeout{std::chrono::seconds(10), std::chrono::seconds(30), true});
        websocket::permessage_deflate smaller;
        smaller.server_enable = true;
        smaller.compLevel = 3;
        smaller.memLevel = 6;
        socket_.set_option(smaller);
    }

    asio::awaitable<void> go(const beast::http::request<beast::http::string_body>& request,
                             const std::function<bool()>& may) {
        error_code error;
        co_await socket_.async_accept(request, with(error));
        if (error) co_return;
        {
            const Listed listed(hall_, page_);
            read_next();
            try {
                co_await tell(may);
            } catch (const std::exception&) {  // no memory: the page comes again
            }
        }
        // The reading ends with the connection, and this object must outlive it.
        beast_close_socket(socket_.next_layer());
        while (reading_) {
            page_.wake.expires_after(std::chrono::seconds(1));
            co_await page_.wake.async_wait(with(error));
        }
    }

private:
    /// Among those that are told, as long as it lives.
    struct Listed {
        Listed(Hall& of, LivePage& open) : hall(of), page(open) {
            hall.pages.insert(&page);
            look();
        }
        ~Listed() {
            hall.pages.erase(&page);
            look();
        }
        Listed(const Listed&) = delete;
        Listed& operator=(const Listed&) = delete;
        void look() const {
            try {
                hall.look();
            } catch (const std::exception&) {  // no memory: what is published next says it anew
            }
        }
        Hall& hall;
        LivePage& page;
    };

    /// What a page says is which job it looks at.
    void read_next() {
        reading_ = true;
        said_.clear();
        socket_.async_read(said_, [this](error_code error, std::size_t) {
            reading_ = false;
            if (!error && hears(beast::buffers_to_string(said_.data()))) return read_next();
            gone_ = true;
            page_.wake.cancel();
        });
    }

    bool hears(const std::string& text) {
        const auto job = watched_job(text);
        if (!job) return false;
        page_.job = *job;
        page_.whole_job = true;
        hall_.look();
        return true;
    }

    asio::awaitable<void> tell(const std::function<bool()>& may) {
        error_code error;
        while (!gone_) {
            while (!page_.waiting.empty() && !gone_) {
                const LiveNews::Text text = page_.waiting.front();
                page_.waiting.pop_front();
                co_await socket_.async_write(asio::buffer(*text), with(error));
                if (error) co_return;
            }
            page_.wake.expires_after(std::chrono::seconds(5));
            if (!gone_) co_await page_.wake.async_wait(with(error));
            if (gone_ || may()) continue;
            co_await socket_.async_close({websocket::close_code::policy_error, "log in again"}, with(error));
            co_return;
        }
    }

    Hall& hall_;
    websocket::stream<WebStream&> socket_;
    LivePage page_;
    beast::flat_buffer said_;
    bool reading_ = false, gone_ = false;
};

}  // namespace

asio::awaitable<void> tell_page(WebStream& stream, Hall& hall,
                                const beast::http::request<beast::http::string_body>& request,
                                std::function<bool()> may) {
    PageSocket socket(stream, hall);
    co_await socket.go(request, may);
}

}  // namespace dunlin
