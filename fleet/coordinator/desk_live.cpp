// SPDX-License-Identifier: Apache-2.0
// Rows of views as they change.
#include "fleet/coordinator/desk_commands.hpp"

#include <bit>
#include <cstring>

namespace dunlin {
namespace {

/// What a row says, in one number that is not 0: another row has the same one time of 2^63.
class Mark {
public:
    Mark& add(std::uint64_t word) {
        value_ = (value_ ^ word) * 0x9e37'79b9'7f4a'7c15u;
        value_ ^= value_ >> 32;
        return *this;
    }
    Mark& add(double value) { return add(std::bit_cast<std::uint64_t>(value)); }
    Mark& add(std::string_view text) {
        add(std::uint64_t{text.size()});
        for (std::size_t at = 0; at < text.size(); at += 8) {
            std::uint64_t word = 0;
            std::memcpy(&word, text.data() + at, std::min<std::size_t>(8, text.size() - at));
            add(word);
        }
        return *this;
    }
    /// True where it is another than before.
    bool changes(std::uint64_t& before) const { return std::exchange(before, value_ | 1) != (value_ | 1); }

private:
    std::uint64_t value_ = 0;
};

std::uint64_t word(bool first, bool second = false, bool third = false, bool fourth = false) {
    return (first ? 1u : 0u) | (second ? 2u : 0u) | (third ? 4u : 0u) | (fourth ? 8u : 0u);
}

/// Of what Commands::node says, all that can change.
Mark mark_of(const RosterNode& known, const Connection* connection, bool shared) {
    Mark mark;
    mark.add(std::string_view(known.name));
    mark.add(std::string_view(reinterpret_cast<const char*>(known.key.data()), known.key.size()));
    for (const std::string& label : known.labels) mark.add(std::string_view(label));
    const bool here = connection != nullptr && connection->welcome;
    mark.add(word(known.admitted, shared, here, here && connection->suspect));
    if (!here) return mark;
    mark.add(std::string_view(connection->software)).add(std::string_view(connection->endpoint));
    mark.add(connection->memory_bytes).add(connection->job);
    for (const double value : connection->vitals.values()) mark.add(value);
    return mark;
}

}  // namespace

void Desk::changed_nodes(std::vector<std::uint64_t>& marks, std::int64_t now_ms, std::int64_t unix_ms,
                         const TellRow& tell) {
    constexpr std::int64_t step_ms = 10'000;
    const auto& nodes = coordinator_.state().roster().nodes();
    marks.resize(nodes.size());
    for (std::uint32_t number = 0; number < nodes.size(); ++number) {
        const std::optional<std::int64_t> news = coordinator_.news_ms(number);
        const std::int64_t updated = news ? (unix_ms - (now_ms - *news)) / step_ms * step_ms : -1;
        Mark mark = mark_of(nodes[number], coordinator_.connection(number), coordinator_.shared(number));
        if (!mark.add(static_cast<std::uint64_t>(updated)).changes(marks[number])) continue;
        Json row = look(now_ms, [&](Commands& commands) { return commands.node(number); });
        if (!row.is_object()) {  // no memory, say: another time
            marks[number] = 0;
            continue;
        }
        for (const char* by_itself : {"heard_ms_ago", "here_ms", "update_ms_ago"}) row.erase(by_itself);
        if (news) row["updated_unix_ms"] = updated;
        tell(number, std::move(row));
    }
}

bool Desk::changed_members(std::uint64_t number, std::vector<std::uint64_t>& marks, const TellRow& tell) {
    const Job* job = coordinator_.state().job(number);
    const auto newest = index_.newest_metrics(number);
    if (job == nullptr || !newest) return false;
    marks.resize(job->members().size());
    auto metric = (*newest)->begin();
    for (std::uint32_t i = 0; i < job->members().size(); ++i) {
        const JobMember& at = job->members()[i];
        const MemberSession* session = coordinator_.session(number, i);
        const Connection* connection = coordinator_.connection(at.node);
        Mark mark;  // of what Commands::member says, all that can change
        mark.add(std::string_view(coordinator_.state().roster()[at.node].name));
        mark.add(static_cast<std::uint64_t>(at.state)).add(at.updates);
        mark.add(static_cast<std::uint64_t>(at.refusal.code));
        mark.add(static_cast<std::uint64_t>(at.refusal.first)).add(static_cast<std::uint64_t>(at.refusal.second));
        mark.add(word(connection != nullptr && connection->welcome && !connection->suspect, at.reported));
        if (session != nullptr) mark.add(static_cast<std::uint64_t>(session->tick));
        if (!at.reason.empty()) mark.add(std::string_view(at.reason));
        for (; metric != (*newest)->end() && metric->first.first == i; ++metric)
            mark.add(std::string_view(metric->first.second)).add(metric->second.value);
        if (!mark.changes(marks[i])) continue;
        Json row = look(0, [&](Commands& commands) { return commands.member(*job, i); });
        if (!row.is_object()) return false;
        tell(i, std::move(row));
    }
    return true;
}

}  // namespace dunlin
