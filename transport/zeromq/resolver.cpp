// SPDX-License-Identifier: Apache-2.0
#include "transport/zeromq/resolver.hpp"

#include "transport/zeromq/quiet_thread.hpp"

#include <atomic>
#include <map>
#include <mutex>
#include <system_error>

#include <arpa/inet.h>
#include <netdb.h>

namespace dunlin {

std::vector<std::string> look_up_host(const std::string& host) {
    addrinfo wanted{}, *found = nullptr;
    wanted.ai_socktype = SOCK_STREAM;
    std::vector<std::string> addresses;
    if (getaddrinfo(host.c_str(), nullptr, &wanted, &found) != 0) return addresses;
    for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
        char text[NI_MAXHOST];
        if (getnameinfo(at->ai_addr, at->ai_addrlen, text, sizeof text, nullptr, 0, NI_NUMERICHOST) == 0)
            addresses.emplace_back(text);
    }
    freeaddrinfo(found);
    return addresses;
}

namespace zeromq {
namespace {

class Question final : public Inquiry {
public:
    bool done() const override { return done_; }
    std::vector<std::string> addresses() const override { return done_ ? addresses_ : std::vector<std::string>(); }
    void answer(std::vector<std::string> addresses) {
        addresses_ = std::move(addresses);
        done_ = true;
    }

private:
    std::atomic<bool> done_{false};
    std::vector<std::string> addresses_;  ///< written before done_
};

/// Of the whole process, and never taken down: a thread may hang in a lookup when the program ends.
struct Known {
    std::mutex mutex;
    std::map<std::string, std::shared_ptr<Question>> asked;
    std::map<std::string, std::vector<std::string>> worked;
};
Known& known() {
    static Known* const all = new Known;
    return *all;
}
constexpr std::size_t most_threads = 32, most_remembered = 4096;

}  // namespace

std::shared_ptr<Inquiry> inquire(const std::string& host, const LookUp& look_up) {
    Known& all = known();
    const std::lock_guard lock(all.mutex);
    if (const auto found = all.asked.find(host); found != all.asked.end()) return found->second;
    auto question = std::make_shared<Question>();
    if (all.asked.size() >= most_threads) return question;  // never answered: whoever asks tries again later
    all.asked[host] = question;
    try {
        quiet_thread([question, host, look_up] {
            std::vector<std::string> addresses = look_up(host);
            Known& table = known();
            const std::lock_guard done(table.mutex);
            table.asked.erase(host);
            question->answer(std::move(addresses));
        }).detach();
    } catch (const std::system_error&) {  // no thread now
        all.asked.erase(host);
    }
    return question;
}

void remember(const std::string& host, const std::string& address) {
    Known& all = known();
    const std::lock_guard lock(all.mutex);
    if (all.worked.size() >= most_remembered && !all.worked.contains(host)) all.worked.erase(all.worked.begin());
    const bool six = address.starts_with('[');
    all.worked[host] = {six ? address.substr(1, address.size() - 2) : address};
}

std::vector<std::string> remembered(const std::string& host) {
    Known& all = known();
    const std::lock_guard lock(all.mutex);
    const auto found = all.worked.find(host);
    return found == all.worked.end() ? std::vector<std::string>() : found->second;
}

bool in_digits(const std::string& host) {
    in6_addr address{};
    if (inet_pton(AF_INET, host.c_str(), &address) == 1) return true;
    return host.starts_with('[') && host.ends_with(']');
}

}  // namespace zeromq
}  // namespace dunlin
