// SPDX-License-Identifier: Apache-2.0
#include "fleet/web/live_feed.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

namespace dunlin {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t most_events = 200;

std::string text_of(const Json& value) {
    return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

template <class Texts>
std::string list_of(const Texts& texts) {
    return fmt::format("[{}]", fmt::join(texts, ","));
}

std::uint64_t number_of(const Json& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

LiveNews::Text shared(std::string text) {
    return std::make_shared<const std::string>(std::move(text));
}

}  // namespace

std::string LiveFeed::Rows::take(const Json& rows, bool all, const std::vector<std::string_view>& without) {
    std::vector<std::string_view> changed;
    known.resize(rows.size());
    for (std::size_t k = 0; k < rows.size(); ++k) {
        Json row = rows[k];
        for (const std::string_view key : without) row.erase(std::string(key));
        std::string text = text_of(row);
        if (!all && text == known[k]) continue;
        known[k] = std::move(text);
        changed.push_back(known[k]);
    }
    return list_of(changed);
}

std::string LiveFeed::Rows::whole() const {
    return list_of(known);
}

void LiveFeed::sample(const Look& look, std::int64_t unix_ms) {
    const Json status = look({{"command", "status"}});
    if (!status.is_object()) return;
    const Json& counters = status["counters"];
    std::uint64_t refused = 0;
    for (const Json& count : counters["refused"]) refused += count.get<std::uint64_t>();
    samples_.push_back(fmt::format("[{},{},{},{},{},{}]", unix_ms, number_of(status, "here"),
                                   number_of(counters, "applied"), number_of(counters, "relayed"), refused,
                                   number_of(status, "records")));
    if (samples_.size() > most_samples) samples_.pop_front();
    sampled_ = true;
}

LiveNews::Pair LiveFeed::fleet(const Look& look, bool anybody_new, std::int64_t unix_ms) {
    Json status = look({{"command", "status"}});
    Json nodes = look({{"command", "nodes"}});
    const Json logs = events_.empty() ? look({{"command", "logs"}, {"lines", most_events}})
                                      : look({{"command", "logs"}, {"lines", 1000u}, {"after", last_event_}});
    if (!status.is_object() || !nodes.is_object() || !logs.is_object()) return {};
    const std::string jobs = jobs_.take(status["jobs"], false, {});
    std::vector<std::uint64_t> numbers;
    for (const Json& job : status["jobs"]) numbers.push_back(number_of(job, "job"));
    status.erase("jobs");
    for (Json& node : nodes["nodes"]) {
        // By the clock, and in steps: a row is news when it says something new.
        constexpr std::int64_t step_ms = 10'000;
        if (const auto ago = node.find("update_ms_ago"); ago != node.end())
            node["updated_unix_ms"] = (unix_ms - ago->get<std::int64_t>()) / step_ms * step_ms;
    }
    const std::string changed = nodes_.take(nodes["nodes"], false, {"heard_ms_ago", "here_ms", "update_ms_ago"});
    std::vector<std::string> news;
    for (const Json& line : logs["lines"]) news.push_back(text_of(line));
    last_event_ = number_of(logs, "last");
    events_.insert(events_.end(), news.begin(), news.end());
    while (events_.size() > most_events) events_.pop_front();
    const auto message = [&](bool whole, const std::string& node_rows, const std::string& job_rows,
                             const std::string& lines, const std::string& samples) {
        return shared(fmt::format(
            R"({{"kind":"fleet","whole":{},"time":{},"status":{},"nodes":{},"jobs":{},"job_numbers":{},"events":{},"samples":{}}})",
            whole, unix_ms, text_of(status), node_rows, job_rows, list_of(numbers), lines, samples));
    };
    LiveNews::Pair pair;
    const std::string newest = sampled_ && !samples_.empty() ? "[" + samples_.back() + "]" : "[]";
    sampled_ = false;
    pair.changed = message(false, changed, jobs, list_of(news), newest);
    if (anybody_new) pair.whole = message(true, nodes_.whole(), jobs_.whole(), list_of(events_), list_of(samples_));
    return pair;
}

LiveNews::Pair LiveFeed::job(std::uint64_t number, const Look& look, std::int64_t unix_ms) {
    Json told = look({{"command", "job"}, {"job", number}});
    if (!told.is_object()) {  // there is none, or no longer: told once to each that looks at it
        const auto gone = shared(fmt::format(R"({{"kind":"job","job":null,"number":{}}})", number));
        return {gone, members_.erase(number) > 0 ? gone : nullptr};
    }
    Rows& rows = members_[number];
    const std::string changed = rows.take(told["member_list"], false, {});
    told.erase("member_list");
    const auto message = [&](bool whole, const std::string& members) {
        return shared(fmt::format(R"({{"kind":"job","whole":{},"time":{},"job":{},"members":{}}})", whole, unix_ms,
                                  text_of(told), members));
    };
    return {message(true, rows.whole()), message(false, changed)};
}

LiveNews LiveFeed::news(const LiveWish& wish, const Look& look, std::int64_t unix_ms) {
    LiveNews news;
    news.fleet = fleet(look, wish.anybody_new, unix_ms);
    std::erase_if(members_, [&](const auto& entry) { return !wish.jobs.contains(entry.first); });
    for (const std::uint64_t number : wish.jobs) news.jobs[number] = job(number, look, unix_ms);
    return news;
}

}  // namespace dunlin
