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

void LiveFeed::Rows::take(std::size_t at, const Json& row) {
    if (at >= known.size()) known.resize(at + 1);
    std::string text = text_of(row);
    if (text == known[at]) return;
    text.shrink_to_fit();
    known[at] = std::move(text);
    changed.push_back(at);
}

std::string LiveFeed::Rows::news() {
    std::vector<std::string_view> texts;
    for (const std::size_t at : changed) texts.push_back(known[at]);
    changed.clear();
    return list_of(texts);
}

std::string LiveFeed::Rows::whole() const {
    return list_of(known);
}

void LiveFeed::sample(Desk& desk, std::int64_t now_ms, std::int64_t unix_ms) {
    const Json status = desk.look({{"command", "status"}}, now_ms);
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

LiveNews::Pair LiveFeed::fleet(Desk& desk, bool anybody_new, std::int64_t now_ms, std::int64_t unix_ms) {
    Json status = desk.look({{"command", "status"}}, now_ms);
    const Json logs =
        desk.look(events_.empty() ? Json{{"command", "logs"}, {"lines", most_events}}
                                  : Json{{"command", "logs"}, {"lines", 1000u}, {"after", last_event_}},
                  now_ms);
    if (!status.is_object() || !logs.is_object()) return {};
    std::vector<std::uint64_t> numbers;
    jobs_.known.resize(status["jobs"].size());
    for (const Json& job : status["jobs"]) {
        jobs_.take(numbers.size(), job);
        numbers.push_back(number_of(job, "job"));
    }
    status.erase("jobs");
    desk.changed_nodes(nodes_.marks, now_ms, unix_ms,
                       [&](std::uint32_t number, const Json& row) { nodes_.take(number, row); });
    nodes_.known.resize(nodes_.marks.size());
    const std::string jobs = jobs_.news(), changed = nodes_.news();
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

LiveNews::Pair LiveFeed::job(std::uint64_t number, Desk& desk, bool anybody_new, std::int64_t now_ms,
                             std::int64_t unix_ms) {
    const Json told = desk.look({{"command", "job"}, {"job", number}, {"brief", true}}, now_ms);
    const auto look = [&] {
        Rows& rows = members_[number];
        return desk.changed_members(number, rows.marks,
                                    [&](std::uint32_t member, const Json& row) { rows.take(member, row); });
    };
    if (!told.is_object() || !look()) {  // there is none, or no longer: told once to each that looks at it
        const auto gone = shared(fmt::format(R"({{"kind":"job","job":null,"number":{}}})", number));
        return {gone, members_.erase(number) > 0 ? gone : nullptr};
    }
    Rows& rows = members_[number];
    rows.known.resize(rows.marks.size());
    const std::string changed = rows.news();
    const auto message = [&](bool whole, const std::string& members) {
        return shared(fmt::format(R"({{"kind":"job","whole":{},"time":{},"job":{},"members":{}}})", whole, unix_ms,
                                  text_of(told), members));
    };
    return {anybody_new ? message(true, rows.whole()) : nullptr, message(false, changed)};
}

LiveNews LiveFeed::news(const LiveWish& wish, Desk& desk, std::int64_t now_ms, std::int64_t unix_ms) {
    LiveNews news;
    news.fleet = fleet(desk, wish.anybody_new, now_ms, unix_ms);
    std::erase_if(members_, [&](const auto& entry) { return !wish.jobs.contains(entry.first); });
    for (const std::uint64_t number : wish.jobs)
        news.jobs[number] = job(number, desk, wish.anybody_new, now_ms, unix_ms);
    return news;
}

}  // namespace dunlin
