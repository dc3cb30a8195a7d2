// SPDX-License-Identifier: Apache-2.0
#include "fleet/coordinator/desk.hpp"

#include "fleet/coordinator/backup.hpp"
#include "fleet/plain_text.hpp"
#include "fleet/problem.hpp"
#include "transport/zeromq/keys.hpp"

#include <algorithm>
#include <chrono>
#include <exception>
#include <set>
#include <thread>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace dunlin {

using Json = nlohmann::ordered_json;

namespace {

/// What a request got wrong, told to the person who made it.
struct Complaint {
    Problem problem;
    int code = 0;
};

[[noreturn]] void complain(const Error& error, std::string_view where) {
    throw Complaint{describe(error, where), static_cast<int>(error.code)};
}
[[noreturn]] void complain(std::string text) {
    throw Complaint{{std::move(text)}};
}
template <class T>
T need(Result<T> result, std::string_view where) {
    if (!result) complain(result.error(), where);
    if constexpr (!std::is_void_v<T>) return *std::move(result);
}

/// What a request says under a name; null where it says nothing. Another type than the command takes is refused: a
/// job "3" must not become the newest one.
template <class Fits>
const Json* said(const Json& request, const char* name, const char* expected, const Fits& fits) {
    const auto found = request.find(name);
    if (found == request.end()) return nullptr;
    if (!fits(*found))
        complain(fmt::format("\"{}\": expected {}; there stands {}", name, expected, shown(found->dump(), false)));
    return &*found;
}

bool is_text(const Json& value) {
    return value.is_string();
}
std::string text_of(const Json& request, const char* name) {
    const Json* text = said(request, name, "a text", is_text);
    return text == nullptr ? "" : text->get<std::string>();
}
std::vector<std::string> texts_of(const Json& request, const char* name) {
    const Json* texts = said(request, name, "a list of texts", [](const Json& value) {
        return value.is_array() && std::ranges::all_of(value, is_text);
    });
    return texts == nullptr ? std::vector<std::string>{} : texts->get<std::vector<std::string>>();
}
std::uint64_t number_of(const Json& request, const char* name) {
    const Json* number =
        said(request, name, "a whole number", [](const Json& value) { return value.is_number_unsigned(); });
    return number == nullptr ? 0 : number->get<std::uint64_t>();
}
bool flag_of(const Json& request, const char* name) {
    const Json* flag = said(request, name, "true or false", [](const Json& value) { return value.is_boolean(); });
    return flag != nullptr && flag->get<bool>();
}

/// What travels, and what people read.
void check_name(const std::string& what, std::string_view name) {
    if (const std::string wrong = name_problem(name, WireLimits::name_bytes); !wrong.empty())
        complain(fmt::format("{} {}", what, wrong));
}

Json refusal(const Problem& problem, int code) {
    return {{"ok", false}, {"error", {{"code", code}, {"text", problem.text}, {"failure", problem.failure}}}};
}

}  // namespace

struct Desk::Commands {
    Coordinator& coordinator;
    Index& index;
    Desk& desk;
    const Letter& request;
    std::int64_t now_ms;
    Outcome<JobPlan>* plan;  ///< for `planned` members; null: none was made
    std::uint32_t planned;
    std::optional<Plan> awaited = {};  ///< what the answer waits for
    std::vector<float> numbers = {};

    const FleetState& state() const { return coordinator.state(); }

    PublicKey key(const Json& asked) const {
        const PublicKey key = need(parse_public_key(text_of(asked, "key")), "the public key");
        if (to_hex(key) == desk.place_.server_key)
            complain("the public key: this is the coordinator's own; `dunlin-node init` prints the node's");
        return key;
    }

    const Job& job(const Json& asked) const {
        const std::uint64_t number = number_of(asked, "job");
        if (number == 0 && state().jobs().empty())
            complain("there is no job yet; first: dunlin fleet run EXPERIMENT");
        if (number == 0) return state().jobs().rbegin()->second;
        const Job* found = state().job(number);
        if (found == nullptr) complain({Code::unknown_job, static_cast<std::int64_t>(number)}, "--job");
        return *found;
    }

    // what there is

    Json node(std::uint32_t number) const {
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
        if (!here) return told;
        told["software"] = connection->software;
        told["endpoint"] = connection->endpoint;
        told["heard_ms_ago"] = now_ms - connection->heard_ms;
        told["job"] = connection->job;
        return told;
    }

    Json nodes() const {
        Json all = Json::array();
        for (std::uint32_t number = 0; number < state().roster().nodes().size(); ++number)
            all.push_back(node(number));
        return all;
    }

    Json brief(const Job& known) const {
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
                  {"aggregation", known.push_sum() ? "push-sum" : "federated"},
                  {"push", known.request().push},
                  {"members", known.members().size()},
                  {"active", active},
                  {"here", here},
                  {"updates", known.updates()},
                  {"version", known.version()},
                  {"epoch", known.epoch()},
                  {"elapsed_s", static_cast<double>(coordinator.elapsed_ms(known)) / 1000.0},
                  {"dimension", known.plan().terms.dimension}};
        if (const MassBook* book = known.book()) {
            told["weight_lost"] = known.plan().terms.format.to_float<double>(book->lost().weight);
            told["warnings"] = warnings_of(known);
        }
        return told;
    }

    Json whole(const Job& known) const {
        Json told = brief(known);
        Json members = Json::array();
        for (std::uint32_t i = 0; i < known.members().size(); ++i) {
            const JobMember& at = known.members()[i];
            const MemberSession* session = coordinator.session(known.number(), i);
            const Connection* connection = coordinator.connection(at.node);
            Json row{{"member", i},
                     {"name", state().roster()[at.node].name},
                     {"state", name_of(at.state)},
                     {"here", connection != nullptr && connection->welcome && !connection->suspect},
                     {"updates", at.updates},
                     {"reported", at.reported}};
            if (known.push_sum())
                row["tick"] = session != nullptr && session->tick >= 0 ? Json(session->tick) : Json();
            if (at.state == MemberState::declined) row["refusal"] = refusal_text(at, "declined");
            members.push_back(row);
        }
        for (const MetricRow& metric : index.newest_metrics(known.number())) {
            if (metric.member >= members.size()) continue;
            members[metric.member]["metrics"][metric.name] = metric.value;  // null where JSON has no word for it
        }
        told["member_list"] = members;
        return told;
    }

    Json jobs() const {
        Json all = Json::array();
        for (const auto& [number, known] : state().jobs()) all.push_back(brief(known));
        return all;
    }

    /// Of the fleet, for people.
    Json warnings() const {
        Json all = Json::array();
        const auto& nodes = state().roster().nodes();
        for (std::uint32_t number = 0; number < nodes.size(); ++number) {
            if (coordinator.shared(number)) all.push_back(shared_key_text(nodes[number].name));
        }
        if (const auto& error = coordinator.snapshot_problem()) all.push_back(snapshot_problem_text(*error));
        return all;
    }

    Json status() const {
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
                {"counters",
                 {{"applied", counters.applied},
                  {"repeated", counters.repeated},
                  {"refused", refused},
                  {"relayed", counters.relayed},
                  {"commits", counters.commits},
                  {"commit_failures", counters.commit_failures}}},
                {"jobs", jobs()}};
    }

    /// The newest lines; with "after" those that come next to that "last", the oldest first.
    Json logs(const Json& asked) const {
        Json lines = Json::array();
        const std::uint64_t wanted = number_of(asked, "lines");
        const auto most = static_cast<std::size_t>(wanted == 0 ? 50 : std::min<std::uint64_t>(wanted, 10'000));
        const std::uint64_t newest = index.newest_event();
        std::optional<std::uint64_t> after;
        // A store that was restored counts from less than was seen.
        if (asked.contains("after")) after = std::min(number_of(asked, "after"), newest);
        std::uint64_t last = after ? *after : newest;
        const std::vector<Event> events = index.events(number_of(asked, "job"), after, most);
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

    Json ledger(const Json& asked) const {
        Json rows = Json::array();
        for (const LedgerRow& row : index.ledger(number_of(asked, "job"))) {
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

    // what is done

    /// Those that have one of the names or labels; without any, all that are on the roster.
    std::vector<std::uint32_t> chosen(const std::vector<std::string>& wanted) const {
        std::set<std::uint32_t> found;
        const auto& all = state().roster().nodes();
        for (const std::string& word : wanted) {
            bool any = false;
            for (std::uint32_t number = 0; number < all.size(); ++number) {
                const RosterNode& known = all[number];
                if (!known.admitted || (known.name != word && std::ranges::count(known.labels, word) == 0))
                    continue;
                found.insert(number);
                any = true;
            }
            if (!any) complain(fmt::format("--nodes {}: no node on the roster has this name or label", word));
        }
        for (std::uint32_t number = 0; wanted.empty() && number < all.size(); ++number) {
            if (all[number].admitted) found.insert(number);
        }
        if (found.empty()) complain("no node is on the roster; first: dunlin fleet admit NAME PUBLIC_KEY");
        return {found.begin(), found.end()};
    }

    Json run(const Json& asked) {
        JobRequest wanted;
        wanted.token = text_of(asked, "token");
        if (!wanted.token.empty()) check_name("--token", wanted.token);
        wanted.push = flag_of(asked, "push");
        if (const Job* same = state().job_with_token(wanted.token))
            return {{"job", same->number()}, {"made", false}};
        wanted.nodes = chosen(texts_of(asked, "nodes"));
        const auto members = static_cast<std::uint32_t>(wanted.nodes.size());
        if (plan == nullptr || planned != members) {
            awaited = {text_of(asked, "experiment"), text_of(asked, "where"), members};
            return Json::object();
        }
        if (!*plan) throw Complaint{plan->error()};
        JobPlan& job = **plan;
        if (wanted.push) {
            if (request.numbers.size() != job.first.size())
                complain({Code::shape_mismatch, std::ssize(request.numbers), std::ssize(job.first)}, "the policy");
            job.first = request.numbers;
            job.terms.aggregation = Aggregation::federated;
        } else if (job.terms.aggregation == Aggregation::push_sum && members < 2) {
            complain("without a server there is nobody to agree with; choose two nodes or more");
        }
        return {
            {"job", need(coordinator.create_job(job, wanted), "the job")}, {"made", true}, {"members", members}};
    }

    /// Where a node is in a job, if it is.
    static std::optional<std::uint32_t> member_of(const Job& known, std::uint32_t node) {
        const auto found = std::ranges::find(known.members(), node, &JobMember::node);
        if (found == known.members().end() || !found->in()) return std::nullopt;
        return static_cast<std::uint32_t>(found - known.members().begin());
    }

    Json add(const Json& asked) {
        const std::uint64_t number = job(asked).number();
        const auto wanted = texts_of(asked, "nodes");
        if (wanted.empty()) complain("which nodes? names or labels");
        Json added = Json::array();
        for (const std::uint32_t node : chosen(wanted)) {
            const Job& known = *state().job(number);
            if (member_of(known, node)) continue;
            const bool again = std::ranges::find(known.members(), node, &JobMember::node) != known.members().end();
            AddedMember member{.node = node, .experiment = known.plan().experiment};
            if (!again) {
                const auto count = static_cast<std::uint32_t>(known.members().size()) + 1;
                auto grown = plan_job(known.plan().experiment, fmt::format("job {}", number), count);
                if (!grown) throw Complaint{grown.error()};
                if (grown->first.size() != known.plan().first.size())
                    complain({Code::shape_mismatch, std::ssize(grown->first), std::ssize(known.plan().first)},
                             "with one node more the model");
                if (!grown->samples.empty()) member.samples = grown->samples.back();
                if (known.push_sum()) member.weight_floor = grown->terms.weight_floor;
                member.experiment = std::move(grown->experiment);
            }
            const std::string& name = state().roster()[node].name;
            const auto place = coordinator.add_member(number, member);
            if (!place && place.error().code == Code::busy)
                complain(fmt::format("{} is in another job; it can come back to job {} when that is over", name,
                                     number));
            added.push_back({{"name", name}, {"member", need(place, name)}});
        }
        if (added.empty()) complain(fmt::format("job {}: all of them are members already", number));
        return {{"job", number}, {"added", added}};
    }

    Json remove(const Json& asked) {
        const std::uint64_t number = job(asked).number();
        const auto wanted = texts_of(asked, "nodes");
        if (wanted.empty()) complain("which nodes? names or labels");
        Json removed = Json::array();
        for (const std::uint32_t node : chosen(wanted)) {
            const auto member = member_of(*state().job(number), node);
            if (!member) continue;
            const std::string& name = state().roster()[node].name;
            need(coordinator.remove_member(number, *member, flag_of(asked, "now")), name);
            removed.push_back({{"name", name}, {"member", *member}});
        }
        if (removed.empty()) complain(fmt::format("job {}: none of them is a member", number));
        return {{"job", number}, {"removed", removed}};
    }

    Json pull(const Json& asked) {
        const Job& known = job(asked);
        if (known.push_sum() && !known.ended() && known.epoch() == 1) {
            complain(
                fmt::format("job {} has no server and gathers its model when it ends; "
                            "end it with: dunlin fleet stop {}",
                            known.number(), known.number()));
        }
        const ConstVector<float> model = known.model();
        numbers.assign(model.begin(), model.end());
        Json told = brief(known);
        told["experiment"] = known.plan().experiment;
        told["learned"] = !std::ranges::equal(model, known.plan().first);
        return told;
    }

    Json answer(const Json& asked) {
        const std::string command = text_of(asked, "command"), name = text_of(asked, "name");
        if (command == "status") return status();
        if (command == "nodes") return {{"nodes", nodes()}};
        if (command == "jobs") return {{"jobs", jobs()}};
        if (command == "job") return whole(job(asked));
        if (command == "logs") return logs(asked);
        if (command == "ledger") return {{"epochs", ledger(asked)}};
        if (command == "admit") {
            check_name("the name", name);
            for (const std::string& label : texts_of(asked, "labels")) check_name("the label " + label, label);
            RosterNode wanted{.name = name, .key = key(asked), .labels = texts_of(asked, "labels")};
            return node(need(coordinator.admit(wanted), name));
        }
        if (command == "revoke" || command == "rotate") {
            const auto known = state().roster().find(name);
            if (!known || !state().roster()[*known].admitted)
                complain(fmt::format("no node on the roster is called {}; `dunlin fleet nodes` lists them", name));
        }
        if (command == "revoke") {
            need(coordinator.revoke(name), name);
            return Json::object();
        }
        if (command == "rotate") {
            const PublicKey changed = key(asked);
            if (state().roster()[*state().roster().find(name)].key == changed)
                complain(fmt::format("{} has this key already", name));
            need(coordinator.rotate(name, changed), name);
            return Json::object();
        }
        if (command == "run") return run(asked);
        if (command == "pull") return pull(asked);
        if (command == "pause" || command == "resume") {
            const Job& known = job(asked);
            need(coordinator.pause(known.number(), command == "pause"), fmt::format("job {}", known.number()));
            return brief(known);
        }
        if (command == "stop") {
            const Job& known = job(asked);
            need(coordinator.stop(known.number(), flag_of(asked, "now")), fmt::format("job {}", known.number()));
            return brief(known);
        }
        if (command == "add") return add(asked);
        if (command == "remove") return remove(asked);
        if (command == "backup") {
            need(back_up(coordinator, index, text_of(asked, "path")), text_of(asked, "path"));
            return {{"path", text_of(asked, "path")}, {"record", coordinator.store().newest()}};
        }
        if (command == "restore") {
            const auto backup = need(read_backup(text_of(asked, "path")), text_of(asked, "path"));
            const Undone undone = undone_by_restore(state(), *backup);
            if (!undone.serious.empty() && !flag_of(asked, "yes")) complain(restore_question(undone));
            if (!flag_of(asked, "look")) desk.restore_wanted_ = text_of(asked, "path");
            return {{"undone", undone.serious}, {"other", undone.other}};
        }
        complain(fmt::format("unknown command '{}'; update Dunlin", command));
    }
};

std::optional<Letter> Desk::reply_to(const Letter& request, std::int64_t now_ms, Planning* made, Plan& wanted) {
    Outcome<JobPlan> plan = problem("");
    if (made != nullptr) plan = made->made.get();
    Commands commands{coordinator_,
                      index_,
                      *this,
                      request,
                      now_ms,
                      made == nullptr ? nullptr : &plan,
                      made == nullptr ? 0 : made->plan.members};
    Json reply{{"ok", true}};
    try {
        const Json asked = Json::parse(request.json, nullptr, false);
        if (!asked.is_object()) complain("a request is one JSON object");
        reply.update(commands.answer(asked));
    } catch (const Complaint& complaint) {
        reply = refusal(complaint.problem, complaint.code);
    } catch (const std::exception& unforeseen) {
        // Whatever a request does, it must not end who serves the fleet.
        reply = refusal({std::string("the request failed: ") + unforeseen.what(), true}, 0);
    }
    if (commands.awaited) {
        wanted = *commands.awaited;
        return std::nullopt;
    }
    return Letter{reply.dump(-1, ' ', false, Json::error_handler_t::replace), std::move(commands.numbers)};
}

/// In a thread of its own, which nobody waits for when the program ends. Not enough memory, say, is an error.
std::future<Outcome<JobPlan>> Desk::plan(const Plan& wanted) {
    std::packaged_task<Outcome<JobPlan>()> task([wanted]() -> Outcome<JobPlan> {
        try {
            return plan_job(wanted.experiment, wanted.where, wanted.members);
        } catch (const std::exception& unforeseen) {
            return failure(std::string("the job cannot be planned: ") + unforeseen.what());
        }
    });
    std::future<Outcome<JobPlan>> made = task.get_future();
    std::thread(std::move(task)).detach();
    return made;
}

Letter Desk::answer(const Letter& request, std::int64_t now_ms) {
    Plan wanted;
    auto reply = reply_to(request, now_ms, nullptr, wanted);
    while (!reply) {
        Planning planning{0, request, wanted, plan(wanted)};
        reply = reply_to(request, now_ms, &planning, wanted);
    }
    return *std::move(reply);
}

std::optional<Letter> Desk::take(std::uint64_t asker, const Letter& request, std::int64_t now_ms) {
    Plan wanted;
    auto reply = reply_to(request, now_ms, nullptr, wanted);
    if (reply) return reply;
    if (planning_.size() >= most_plans) {
        const Json busy = refusal({"four jobs are being planned already; try again in a moment", true}, 0);
        return Letter{busy.dump(), {}};
    }
    planning_.push_back({asker, request, wanted, plan(wanted)});
    return std::nullopt;
}

std::optional<std::pair<std::uint64_t, Letter>> Desk::finished(std::int64_t now_ms) {
    const auto ready = std::ranges::find_if(planning_, [](const Planning& planning) {
        return planning.made.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
    });
    if (ready == planning_.end()) return std::nullopt;
    Planning planning = std::move(*ready);
    planning_.erase(ready);
    Plan wanted;
    auto reply = reply_to(planning.request, now_ms, &planning, wanted);
    if (reply) return std::pair(planning.asker, *std::move(reply));
    // The roster changed meanwhile, and with it who takes part.
    planning_.push_back({planning.asker, planning.request, wanted, plan(wanted)});
    return std::nullopt;
}

}  // namespace dunlin
