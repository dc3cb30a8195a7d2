// SPDX-License-Identifier: Apache-2.0
// How a job went, and between whom.
#include "fleet/coordinator/desk_commands.hpp"

#include <algorithm>
#include <map>
#include <set>

namespace dunlin {
namespace {

/// Of so many members at most, evenly chosen, and so many points of each: what a look costs must not grow with the fleet.
constexpr std::size_t most_members = 24, most_points = 240;

/// What members said at one time of the job.
struct Point {
    std::int64_t time_ms = 0;
    double low = 0, sum = 0, high = 0;
    int count = 0;

    void add(const MetricRow& row) {
        low = count == 0 ? row.value : std::min(low, row.value);
        high = count == 0 ? row.value : std::max(high, row.value);
        time_ms = std::max(time_ms, row.time_ms);
        sum += row.value;
        ++count;
    }
};

}  // namespace

Json Desk::Commands::curves(const Json& asked) const {
    const Job& known = job(asked);
    std::set<std::string> names;
    std::set<std::uint32_t> members;
    for (const auto& [of, row] : *need(index.newest_metrics(known.number()), "store.db")) {
        names.insert(row.name);
        members.insert(row.member);
    }
    std::vector<std::uint32_t> chosen;
    if (asked.contains("member")) {
        chosen.push_back(
            static_cast<std::uint32_t>(std::min<std::uint64_t>(number_of(asked, "member"), 0xffff'ffff)));
    } else {
        const std::vector<std::uint32_t> all(members.begin(), members.end());
        const std::size_t count = std::min(all.size(), most_members);
        for (std::size_t k = 0; k < count; ++k) chosen.push_back(all[k * all.size() / count]);
    }
    Json curves = Json::array();
    for (const std::string& name : names) {
        std::map<std::int64_t, Point> points;
        for (const std::uint32_t member : chosen) {
            for (const MetricRow& row : need(index.history(known.number(), member, name, most_points), "store.db"))
                points[row.at].add(row);
        }
        Json rows = Json::array();
        for (const auto& [at, point] : points)
            rows.push_back({at, point.time_ms, point.low, point.sum / point.count, point.high});
        curves.push_back({{"name", name}, {"members", chosen.size()}, {"points", rows}});
    }
    return curves;
}

Json Desk::Commands::graph(const Json& asked) const {
    const Job& known = job(asked);
    Json names = Json::array(), here = Json::array(), edges = Json::array();
    for (const JobMember& member : known.members()) {
        const Connection* connection = coordinator.connection(member.node);
        names.push_back(state().roster()[member.node].name);
        here.push_back(connection != nullptr && connection->welcome && !connection->suspect);
    }
    if (const MassBook* book = known.book(); book != nullptr && !known.ended()) {
        const Graph& graph = book->graph();
        for (std::uint32_t member = 0; member < graph.nodes(); ++member) {
            const MemberSession* session = coordinator.session(known.number(), member);
            const auto out = graph.out(member);
            for (std::size_t k = 0; k < out.size(); ++k) {
                const bool closed = session != nullptr && k < session->closed.size() && session->closed[k] == 1;
                edges.push_back({member, out[k], closed ? 1 : 0});
            }
        }
    }
    return {{"job", known.number()},
            {"server", !known.serverless()},
            {"names", names},
            {"here", here},
            {"edges", edges}};
}

}  // namespace dunlin
