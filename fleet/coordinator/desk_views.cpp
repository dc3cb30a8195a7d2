// SPDX-License-Identifier: Apache-2.0
// What there is, as the operator sees it.
#include "fleet/coordinator/desk_commands.hpp"
#include "fleet/coordinator/privacy_spent.hpp"
#include "transport/zeromq/keys.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace dunlin {
namespace {

constexpr std::string_view index_name = "store.db";

}  // namespace

Json Desk::Commands::node(std::uint32_t number) const {
    const RosterNode& known = state().roster()[number];
    const Connection* connection = coordinator.connection(number);
    const bool here = connection != nullptr && connection->welcome;
    Json told{{"node", number},
              {"name", known.name},
              {"public_key", to_hex(known.key)},
              {"labels", known.labels},
              {"state", !known.admitted       ? "revoked"
                        : !here               ? "away"
                        : connection->suspect ? "suspect"
                                              : "here"}};
    told["shared_key"] = coordinator.shared(number);
    if (const auto news = coordinator.news_ms(number)) told["update_ms_ago"] = now_ms - *news;
    if (!here) return told;
    told["software"] = connection->software;
    told["endpoint"] = connection->endpoint;
    told["heard_ms_ago"] = now_ms - connection->heard_ms;
    told["here_ms"] = now_ms - connection->joined_ms;
    told["memory_bytes"] = connection->memory_bytes;
    told["job"] = connection->job;
    for (const auto& [name, value] : connection->vitals.known()) told[std::string(name)] = value;
    return told;
}

Json Desk::Commands::nodes() const {
    Json all = Json::array();
    for (std::uint32_t number = 0; number < state().roster().nodes().size(); ++number) all.push_back(node(number));
    return all;
}

Json Desk::Commands::brief(const Job& known) const {
    std::size_t active = 0, here = 0;
    for (const JobMember& member : known.members()) {
        active += member.state == MemberState::active || member.state == MemberState::leaving;
        const Connection* connection = coordinator.connection(member.node);
        here += connection != nullptr && connection->welcome && !connection->suspect;
    }
    Json told{{"job", known.number()},
              {"name", known.plan().name},
              {"token", known.request().token},
              {"state", state_name(known)},
              {"ended", known.ended().has_value()},
              {"aggregation", aggregation_name(known.plan())},
              {"push", known.request().push},
              {"members", known.members().size()},
              {"active", active},
              {"here", here},
              {"updates", known.updates()},
              {"version", known.version()},
              {"epoch", known.epoch()},
              {"elapsed_s", static_cast<double>(coordinator.elapsed_ms(known)) / 1000.0},
              {"dimension", known.plan().terms.dimension}};
    if (state().archived(known.number())) told["archived"] = true;
    if (const MassBook* book = known.book()) {
        told["weight_lost"] = known.plan().terms.format.to_float<double>(book->lost().weight);
        told["balanced"] = known.unbalanced() == 0;
        told["warnings"] = warnings_of(known);
    }
    const ServerPlan& server = known.plan().server;
    if (server.privacy.noise > 0.0f) {
        const PrivacySpent spent = privacy_spent(known);
        told["privacy"] = {{"epsilon", spent.epsilon}, {"delta", spent.delta},
                           {"rounds", spent.rounds},   {"unit", spent.unit},
                           {"against", spent.against}, {"not_charged", spent.not_charged}};
    }
    if (server.masks.enabled()) {
        told["masked"] = true;
        const std::string trouble = coordinator.masks_trouble(known);
        if (!trouble.empty())
            told["warnings"].push_back(
                fmt::format("updates were left out of a masked round, which says nothing of them: {}", trouble));
        if (!known.ended() && here < least_summed)
            told["warnings"].push_back(
                fmt::format("a masked sum is opened of {} members at least, and {} are here: the job waits",
                            least_summed, here));
    }
    if (known.server() != nullptr && known.server()->undefended() > 0) {
        told["undefended"] = known.server()->undefended();
        told["warnings"].push_back(
            fmt::format("{} rounds had too few updates for the job's defence, and changed nothing",
                        known.server()->undefended()));
    }
    return told;
}

Json Desk::Commands::member(const Job& known, std::uint32_t i) const {
    const JobMember& at = known.members()[i];
    const MemberSession* session = coordinator.session(known.number(), i);
    const Connection* connection = coordinator.connection(at.node);
    Json row{{"member", i},
             {"name", state().roster()[at.node].name},
             {"state", name_of(at.state)},
             {"here", connection != nullptr && connection->welcome && !connection->suspect},
             {"updates", at.updates},
             {"reported", at.reported}};
    if (known.serverless()) row["tick"] = session != nullptr && session->tick >= 0 ? Json(session->tick) : Json();
    if (at.state == MemberState::declined) row["refusal"] = refusal_text(at, "declined");
    const Index::Newest& newest = *need(index.newest_metrics(known.number()), index_name);
    for (auto metric = newest.lower_bound({i, ""}); metric != newest.end() && metric->first.first == i; ++metric)
        row["metrics"][metric->second.name] = metric->second.value;  // null where JSON has no word for it
    return row;
}

Json Desk::Commands::whole(const Job& known) const {
    Json told = brief(known);
    Json members = Json::array();
    for (std::uint32_t i = 0; i < known.members().size(); ++i) members.push_back(member(known, i));
    told["member_list"] = members;
    return told;
}

Json Desk::Commands::jobs(bool archived_too) const {
    Json all = Json::array();
    for (const auto& [number, known] : state().jobs()) {
        if (archived_too || !state().archived(number)) all.push_back(brief(known));
    }
    return all;
}

Json Desk::Commands::warnings() const {
    Json all = Json::array();
    const auto& nodes = state().roster().nodes();
    for (std::uint32_t number = 0; number < nodes.size(); ++number) {
        if (coordinator.shared(number)) all.push_back(shared_key_text(nodes[number].name));
    }
    if (const auto& error = coordinator.snapshot_failure()) all.push_back(snapshot_failure_text(*error));
    if (!desk.alerts_problem_.empty()) all.push_back(desk.alerts_problem_);
    return all;
}

Json Desk::Commands::status() const {
    std::size_t here = 0;
    for (const auto& [key, connection] : coordinator.connections())
        here += connection.welcome && !connection.suspect;
    const CoordinatorCounters& counters = coordinator.counters();
    Json refused = Json::object();
    for (const auto& [code, count] : counters.refused) refused[std::to_string(static_cast<int>(code))] = count;
    return {{"serving", !desk.place_.endpoint.empty()},
            {"endpoint", desk.place_.endpoint},
            {"server_key", desk.place_.server_key},
            {"store", coordinator.store().directory().string()},
            {"started_unix_ms", desk.place_.started_unix_ms},
            {"restored", desk.place_.restored},
            {"restore_problem", desk.place_.restore_problem},
            {"nodes", state().roster().nodes().size()},
            {"here", here},
            {"records", coordinator.store().newest()},
            {"warnings", warnings()},
            {"alerts", alerts()},
            {"counters",
             {{"applied", counters.applied},
              {"repeated", counters.repeated},
              {"refused", refused},
              {"relayed", counters.relayed},
              {"commits", counters.commits},
              {"commit_failures", counters.commit_failures}}},
            {"jobs", jobs()}};
}

Json Desk::Commands::logs(const Json& asked) const {
    Json lines = Json::array();
    const std::uint64_t wanted = number_of(asked, "lines");
    const auto most = static_cast<std::size_t>(wanted == 0 ? 50 : std::min<std::uint64_t>(wanted, 10'000));
    const std::uint64_t newest = need(index.newest_event(), index_name);
    std::optional<std::uint64_t> after;
    // A store that was restored counts from less than was seen.
    if (asked.contains("after")) after = std::min(number_of(asked, "after"), newest);
    std::uint64_t last = after ? *after : newest;
    const std::vector<Event> events = need(index.events(number_of(asked, "job"), after, most), index_name);
    if (after && events.size() < most) last = newest;
    for (const Event& event : events) {
        if (after && events.size() == most) last = event.id;
        lines.push_back({{"record", event.record},
                         {"time_ms", event.time_ms},
                         {"job", event.job},
                         {"node", event.node},
                         {"event", event.kind},
                         {"text", event.text}});
    }
    return {{"lines", lines}, {"last", last}};
}

Json Desk::Commands::ledger(const Json& asked) const {
    Json rows = Json::array();
    const std::vector<LedgerRow> ledger = need(index.ledger(number_of(asked, "job")), index_name);
    for (const LedgerRow& row : ledger) {
        const FixedPoint format{row.fraction_bits};
        Json told{{"job", row.job},
                  {"epoch", row.epoch},
                  {"time_ms", row.time_ms},
                  {"gone", row.gone},
                  {"left", row.left},
                  {"joined", row.joined},
                  {"weight_before", row.weight_before},
                  {"weight_after", row.weight_after},
                  {"weight_lost", row.weight_lost},
                  {"weight_unit", format.resolution()},
                  {"shift", row.shift},
                  {"values_lost_norm", nullptr}};
        if (row.values_lost >= 0) told["values_lost_norm"] = row.values_lost;
        rows.push_back(told);
    }
    return rows;
}

}  // namespace dunlin
