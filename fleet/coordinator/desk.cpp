// SPDX-License-Identifier: Apache-2.0
#include "fleet/coordinator/desk.hpp"

#include "fleet/coordinator/backup.hpp"
#include "fleet/coordinator/desk_commands.hpp"
#include "fleet/jobs/plan_job.hpp"
#include "transport/zeromq/keys.hpp"

#include <algorithm>
#include <chrono>
#include <exception>
#include <thread>

#include <fmt/format.h>

namespace dunlin {
PublicKey Desk::Commands::key(const Json& asked) const {
    const PublicKey key = need(parse_public_key(text_of(asked, "key")), "the public key");
    if (to_hex(key) == desk.place_.server_key)
        complain("the public key: this is the coordinator's own; `dunlin-node init` prints the node's");
    return key;
}

const Job& Desk::Commands::job(const Json& asked) const {
    const std::uint64_t number = number_of(asked, "job");
    if (number == 0 && state().jobs().empty()) complain("there is no job yet; first: dunlin fleet run EXPERIMENT");
    if (number == 0) return state().jobs().rbegin()->second;
    const Job* found = state().job(number);
    if (found == nullptr) complain({Code::unknown_job, static_cast<std::int64_t>(number)}, "--job");
    return *found;
}

Json Desk::Commands::answer(const Json& asked) {
    const std::string command = text_of(asked, "command"), name = text_of(asked, "name");
    if (command == "status") return status();
    if (command == "nodes") return {{"nodes", nodes()}};
    if (command == "jobs") return {{"jobs", jobs(flag_of(asked, "all"))}};
    if (command == "job" && flag_of(asked, "brief")) return brief(job(asked));
    if (command == "job") return whole(job(asked));
    if (command == "alerts") return alert_rules();
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
    if (command == "models") return {{"models", models()}};
    if (command == "model") return model(asked);
    if (command == "keep-model") return keep_model(asked);
    if (command == "rollouts") return {{"rollouts", rollouts()}};
    if (command == "rollout") return rollout(rollout_number(asked), true);
    if (command == "rollout-history") return history(asked);
    if (command == "rollout-start") return start_rollout(asked);
    if (command.starts_with("rollout-")) return change_rollout(asked, command);
    if (command == "pull") return pull(asked);
    if (command == "pause" || command == "resume") {
        const Job& known = job(asked);
        check_free(known);
        need(coordinator.pause(known.number(), command == "pause"), fmt::format("job {}", known.number()));
        return brief(known);
    }
    if (command == "stop") {
        const Job& known = job(asked);
        check_free(known);
        need(coordinator.stop(known.number(), flag_of(asked, "now")), fmt::format("job {}", known.number()));
        return brief(known);
    }
    if (command == "archive" || command == "delete") {
        const std::uint64_t number = number_of(asked, "job");
        if (number == 0) complain("which job? its number");
        const Job& known = job(asked);
        if (!known.ended()) complain(fmt::format("job {0} has not ended; first: dunlin fleet stop {0}", number));
        const std::string where = fmt::format("job {}", number);
        if (command == "archive") {
            need(coordinator.archive_job(number, !flag_of(asked, "undo")), where);
            return brief(*state().job(number));
        }
        check_free(known);
        const Json was = brief(known);
        need(coordinator.delete_job(number), where);
        return was;
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
    if (command == "token-create") return token_create(asked);
    if (command == "token-list") return token_list();
    if (command == "token-revoke") return token_revoke(asked);
    if (command == "token-link") return token_link(asked);
    if (command == "enrol") return enrol(asked);
    if (command == "audit") return audit(asked);
    if (command == "curves") return {{"curves", curves(asked)}};
    if (command == "graph") return graph(asked);
    complain(fmt::format("unknown command '{}'; update Dunlin", command));
}

std::optional<Letter> Desk::reply_to(const Letter& request, std::int64_t now_ms, Planning* made, Plan& wanted) {
    Outcome<JobPlan> plan = refuse("");
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
        reply = refusal(complaint.failure, complaint.code);
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
            return unable(std::string("the job cannot be planned: ") + unforeseen.what());
        }
    });
    std::future<Outcome<JobPlan>> made = task.get_future();
    std::thread(std::move(task)).detach();
    return made;
}

Letter Desk::answer(const Letter& request, std::int64_t now_ms) {
    if (auto refused = note_asked(request, owner)) return *std::move(refused);
    Plan wanted;
    auto reply = reply_to(request, now_ms, nullptr, wanted);
    while (!reply) {
        Planning planning{0, owner, request, wanted, plan(wanted)};
        reply = reply_to(request, now_ms, &planning, wanted);
    }
    note_answered(request, owner, *reply);
    return *std::move(reply);
}

Json Desk::look(const Json& asked, std::int64_t now_ms) {
    return look(now_ms, [&](Commands& commands) { return commands.answer(asked); });
}

Json Desk::look(std::int64_t now_ms, const std::function<Json(Commands&)>& at) {
    const Letter nothing;
    Commands commands{coordinator_, index_, *this, nothing, now_ms, nullptr, 0};
    try {
        return at(commands);
    } catch (const Complaint&) {
        return nullptr;
    } catch (const std::exception&) {
        return nullptr;
    }
}

std::optional<Letter> Desk::take(std::uint64_t asker, const Letter& request, std::int64_t now_ms,
                                 const std::string& who) {
    if (auto refused = note_asked(request, who)) return refused;
    if (who != owner) {
        if (auto refused = refuse_files(request)) {
            note_answered(request, who, *refused);
            return refused;
        }
    }
    Plan wanted;
    auto reply = reply_to(request, now_ms, nullptr, wanted);
    if (!reply && planning_.size() < most_plans) {
        planning_.push_back({asker, who, request, wanted, plan(wanted)});
        return std::nullopt;
    }
    if (!reply)
        reply = Letter{refusal({"four jobs are being planned already; try again in a moment", true}, 0).dump(), {}};
    note_answered(request, who, *reply);
    return reply;
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
    if (reply) {
        note_answered(planning.request, planning.who, *reply);
        return std::pair(planning.asker, *std::move(reply));
    }
    // The roster changed meanwhile, and with it who takes part.
    planning_.push_back({planning.asker, planning.who, planning.request, wanted, plan(wanted)});
    return std::nullopt;
}

}  // namespace dunlin
