// SPDX-License-Identifier: Apache-2.0
#pragma once

// For .cpp files only.

#include "fleet/web/rules.hpp"
#include "fleet/web/web_server.hpp"

#include <chrono>
#include <deque>
#include <map>
#include <mutex>
#include <optional>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>

namespace dunlin {

/// How many wrong secrets each address showed lately.
class Attempts {
public:
    static constexpr int most = 20;
    static constexpr std::int64_t window_ms = 60'000;
    static constexpr std::size_t most_addresses = 4096;

    /// One more. True where it is too many. Right secrets are never held back by wrong ones, or whoever reaches the port
    /// could lock the operator out; of 256 bits nobody guesses one.
    bool wrong(const std::string& address, std::int64_t now_ms);

private:
    struct Count {
        int wrong = 0;
        std::int64_t since_ms = 0;
    };
    std::map<std::string, Count> counts_;
};

/// An address as attempts and connections are counted: of IPv6 the first 64 bits.
std::string counted_address(const boost::asio::ip::address& address);

/// A page that is open; in the server's thread.
struct LivePage {
    explicit LivePage(boost::asio::any_io_executor executor) : wake(std::move(executor)) {}
    boost::asio::steady_timer wake;
    std::deque<LiveNews::Text> waiting;
    std::uint64_t job = 0;  ///< that it looks at
    bool whole = true;      ///< it is to be told everything
    bool whole_job = true;
    static constexpr std::size_t most_waiting = 8;
};

/// What all connections share. All of it belongs to the server's thread, but for what `mutex` guards.
struct Hall {
    explicit Hall(WebSettings given) : settings(std::move(given)) {}

    WebSettings settings;
    std::string scheme = "http", url, pin;
    std::uint16_t port = 0;
    std::optional<boost::asio::ssl::context> tls;
    std::set<std::string> names;    ///< that a Host field may have
    std::set<std::string> origins;  ///< besides the own scheme with such a name

    static constexpr int most_connections = 128, most_of_one = 32;
    static constexpr std::size_t most_waiting = 32;
    int connections = 0;
    std::map<std::string, int> connections_of;
    Attempts attempts;

    /// A body of many megabytes that is being read, or waits for its answer.
    struct Large {
        explicit Large(Hall& of) : hall(of) { ++hall.large; }
        ~Large() { --hall.large; }
        Large(const Large&) = delete;
        Large& operator=(const Large&) = delete;
        Hall& hall;
    };
    static constexpr int most_large = 2;
    int large = 0;

    std::set<LivePage*> pages;

    struct Waiting {
        boost::asio::steady_timer timer;
        std::optional<Letter> answer;
    };
    std::map<std::uint64_t, Waiting*> waiting;
    std::uint64_t count = WebServer::first_asker;

    struct Asked {
        std::uint64_t asker;
        Letter letter;
        std::string who;
    };
    mutable std::mutex mutex;
    std::vector<Asked> asked;
    LiveWish wish;

    /// Is a Host field one of this server? `local` is the address that the connection came to.
    bool is_here(std::string_view host, const std::string& local);
    /// May a page of this origin ask here, under this Host?
    bool is_own(std::string_view origin, std::string_view host) const;
    /// Nothing where too many wait, or nobody answers.
    boost::asio::awaitable<std::optional<Letter>> ask(Letter letter, std::string who);
    void answer(std::uint64_t asker, Letter letter);
    void publish(const LiveNews& news);
    /// Says anew what pages look at.
    void look();
};

inline std::int64_t web_now_ms() {
    using namespace std::chrono;
    return duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count();
}

class WebStream;
/// One connection, to its end.
boost::asio::awaitable<void> visit(WebStream stream, Hall& hall);
/// A WebSocket, from the request that asks for it to its end, or until `may` says no.
boost::asio::awaitable<void> tell_page(WebStream& stream, Hall& hall,
                                       const boost::beast::http::request<boost::beast::http::string_body>& request,
                                       std::function<bool()> may);

}  // namespace dunlin
