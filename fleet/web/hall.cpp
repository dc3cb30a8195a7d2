// SPDX-License-Identifier: Apache-2.0
#include "fleet/web/hall.hpp"

#include <algorithm>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <openssl/x509v3.h>

namespace dunlin {

namespace asio = boost::asio;

std::string counted_address(const asio::ip::address& address) {
    if (!address.is_v6()) return address.to_string();
    auto bytes = address.to_v6().to_bytes();
    std::fill(bytes.begin() + 8, bytes.end(), static_cast<unsigned char>(0));
    return asio::ip::address_v6(bytes).to_string();
}

bool Attempts::wrong(const std::string& address, std::int64_t now_ms) {
    if (counts_.size() >= most_addresses)
        std::erase_if(counts_, [&](const auto& entry) { return now_ms - entry.second.since_ms > window_ms; });
    if (counts_.size() >= most_addresses && !counts_.contains(address)) return true;
    Count& count = counts_[address];
    if (count.wrong == 0 || now_ms - count.since_ms > window_ms) count = {0, now_ms};
    return ++count.wrong > most;
}

bool Hall::is_here(std::string_view host, const std::string& local) {
    const auto name = host_name(host);
    if (!name) return false;
    if (names.contains(*name) || *name == local) return true;
    if (!tls) return false;
    X509* certificate = SSL_CTX_get0_certificate(tls->native_handle());
    return certificate != nullptr && X509_check_host(certificate, name->c_str(), name->size(), 0, nullptr) == 1;
}

bool Hall::is_own(std::string_view origin, std::string_view host) const {
    return origin == scheme + "://" + std::string(host) || origins.contains(std::string(origin));
}

asio::awaitable<std::optional<Letter>> Hall::ask(Letter letter, std::string who) {
    if (waiting.size() >= most_waiting) co_return std::nullopt;
    const std::uint64_t number = ++count;
    Waiting wait{asio::steady_timer(co_await asio::this_coro::executor, std::chrono::minutes(10)), std::nullopt};
    waiting[number] = &wait;
    {
        const std::lock_guard lock(mutex);
        asked.push_back({number, std::move(letter), std::move(who)});
    }
    boost::system::error_code ended;
    co_await wait.timer.async_wait(asio::redirect_error(asio::use_awaitable, ended));
    waiting.erase(number);
    co_return std::move(wait.answer);
}

void Hall::answer(std::uint64_t asker, Letter letter) {
    const auto found = waiting.find(asker);
    if (found == waiting.end()) return;
    found->second->answer = std::move(letter);
    found->second->timer.cancel();
}

void Hall::look() {
    LiveWish now;
    for (const LivePage* page : pages) {
        now.anybody = true;
        now.anybody_new = now.anybody_new || page->whole || (page->job != 0 && page->whole_job);
        if (page->job != 0) now.jobs.insert(page->job);
    }
    const std::lock_guard lock(mutex);
    wish = std::move(now);
}

void Hall::publish(const LiveNews& news) {
    for (LivePage* page : pages) {
        if (page->waiting.size() >= LivePage::most_waiting) {  // a slow line: the next that it gets is everything
            page->whole = page->whole_job = true;
            continue;
        }
        const auto tell = [&](const LiveNews::Pair& pair, bool& whole) {
            const LiveNews::Text& text = whole ? pair.whole : pair.changed;
            if (!text) return;
            page->waiting.push_back(text);
            whole = false;
        };
        tell(news.fleet, page->whole);
        if (const auto job = news.jobs.find(page->job); job != news.jobs.end()) tell(job->second, page->whole_job);
        page->wake.cancel();
    }
    look();
}

}  // namespace dunlin
