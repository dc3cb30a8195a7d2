// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "fleet/coordinator/desk.hpp"

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace dunlin {

/// What open pages look at.
struct LiveWish {
    bool anybody = false;
    bool anybody_new = false;      ///< somebody has not been told everything yet
    std::set<std::uint64_t> jobs;  ///< whose members are looked at
};

/// Messages to open pages: of everything for who is new, of what changed for the others.
struct LiveNews {
    using Text = std::shared_ptr<const std::string>;
    struct Pair {
        Text whole, changed;  ///< null: nothing to say
    };
    Pair fleet;
    std::map<std::uint64_t, Pair> jobs;
};

/// Makes the news of what the desk says, row by row: of a thousand nodes those are made into text, once, and sent that changed.
/// In the thread of the desk. A row says what the commands' --json has, but for numbers that change by themselves.
class LiveFeed {
public:
    using Json = nlohmann::ordered_json;

    /// Keeps the counters of this moment, for an hour's history; to be called every five seconds.
    void sample(Desk& desk, std::int64_t now_ms, std::int64_t unix_ms);
    LiveNews news(const LiveWish& wish, Desk& desk, std::int64_t now_ms, std::int64_t unix_ms);

private:
    struct Rows {
        std::vector<std::uint64_t> marks;  ///< of the desk
        std::vector<std::string> known;    ///< as they were told
        std::vector<std::size_t> changed;  ///< since they were told
        void take(std::size_t at, const Json& row);
        /// As JSON lists.
        std::string news();
        std::string whole() const;
    };
    LiveNews::Pair fleet(Desk& desk, bool anybody_new, std::int64_t now_ms, std::int64_t unix_ms);
    LiveNews::Pair job(std::uint64_t number, Desk& desk, bool anybody_new, std::int64_t now_ms,
                       std::int64_t unix_ms);

    static constexpr std::size_t most_samples = 720;  ///< an hour
    std::deque<std::string> samples_;
    bool sampled_ = false;  ///< since the last news
    Rows nodes_, jobs_;
    std::map<std::uint64_t, Rows> members_;
    std::uint64_t last_event_ = 0;
    std::deque<std::string> events_;  ///< the newest, for who is new
};

}  // namespace dunlin
