// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fleet/coordinator/alerts.hpp"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

namespace dunlin {

/// What became of telling somebody.
struct AlertTold {
    std::string to;       ///< "webhook" or "command"
    std::string text;     ///< of the alert
    std::string problem;  ///< "": it was told
};

/// Tells webhooks and commands of alerts, one after the other, in a thread of its own: a webhook has 10 s to answer, a
/// command 30 s to end before it and what it started are killed. A command is started without a shell, in / and with PATH
/// alone in its environment; the alert is one line of JSON on its stdin. What waits is bounded: further alerts are not
/// told, which is a problem that is said.
class AlertTeller {
public:
    static constexpr std::size_t most_waiting = 100;
    static constexpr int webhook_ms = 10'000, command_ms = 30'000;

    AlertTeller();
    AlertTeller(const AlertTeller&) = delete;
    AlertTeller& operator=(const AlertTeller&) = delete;
    /// Waits for what is under way; what waits behind it is not told any more.
    ~AlertTeller();

    /// Never waits. Nothing is told where the rule names nobody.
    void tell(const AlertRule& rule, const AlertChange& change, std::int64_t unix_ms);
    /// What has become known since it was asked last.
    std::vector<AlertTold> told();

private:
    struct Message {
        AlertRule rule;
        std::string text, json;
    };
    void live();

    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<Message> waiting_;
    std::vector<AlertTold> told_;
    bool ends_ = false;
    std::thread thread_;
};

}  // namespace dunlin
