// SPDX-License-Identifier: Apache-2.0
// What the operator does with jobs.
#include "fleet/coordinator/desk_commands.hpp"
#include "fleet/coordinator/selection.hpp"
#include "fleet/jobs/plan_job.hpp"

#include <algorithm>
#include <set>

#include <fmt/format.h>

namespace dunlin {

std::vector<std::uint32_t> Desk::Commands::chosen(const std::vector<std::string>& wanted) const {
    std::set<std::uint32_t> found;
    const auto& all = state().roster().nodes();
    for (const std::string& word : wanted) {
        bool any = false;
        const auto has = [](const RosterNode& known, std::string_view name) {
            return known.name == name || std::ranges::count(known.labels, name) > 0;
        };
        const auto somebody_has = [&](std::string_view name) {
            return std::ranges::any_of(all,
                                       [&](const RosterNode& known) { return known.admitted && has(known, name); });
        };
        const bool whole = somebody_has(word);
        std::string nobodys;
        for (std::uint32_t number = 0; number < all.size(); ++number) {
            const RosterNode& known = all[number];
            if (!known.admitted) continue;
            const Outcome<bool> chosen = whole ? has(known, word) : selects(word, [&](std::string_view name) {
                if (nobodys.empty() && !somebody_has(name)) nobodys = name;
                return has(known, name);
            });
            if (!chosen) complain(fmt::format("--nodes {}: {}", word, chosen.error().text));
            if (!*chosen) continue;
            found.insert(number);
            any = true;
        }
        if (!nobodys.empty())
            complain(fmt::format("--nodes {}: no node on the roster has this name or label", nobodys));
        if (!any) complain(fmt::format("--nodes {}: no node on the roster is chosen by it", word));
    }
    for (std::uint32_t number = 0; wanted.empty() && number < all.size(); ++number) {
        if (all[number].admitted) found.insert(number);
    }
    if (found.empty()) complain("no node is on the roster; first: dunlin fleet admit NAME PUBLIC_KEY");
    return {found.begin(), found.end()};
}

Json Desk::Commands::run(const Json& asked) {
    JobRequest wanted;
    wanted.token = text_of(asked, "token");
    if (!wanted.token.empty()) check_name("--token", wanted.token);
    wanted.push = flag_of(asked, "push");
    if (const Job* same = state().job_with_token(wanted.token)) return {{"job", same->number()}, {"made", false}};
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
        // Nobody sends anything.
        if (job.terms.payload == Payload::masked) job.terms.payload = Payload::difference;
        job.server.masks = {};
        job.server.privacy = {};
    } else if (job.terms.aggregation != Aggregation::federated && members < 2) {
        complain("without a server there is nobody to agree with; choose two nodes or more");
    }
    return {{"job", need(coordinator.create_job(job, wanted), "the job")}, {"made", true}, {"members", members}};
}

std::optional<std::uint32_t> Desk::Commands::member_of(const Job& known, std::uint32_t node) {
    const auto found = std::ranges::find(known.members(), node, &JobMember::node);
    if (found == known.members().end() || !found->in()) return std::nullopt;
    return static_cast<std::uint32_t>(found - known.members().begin());
}

Json Desk::Commands::add(const Json& asked) {
    const std::uint64_t number = job(asked).number();
    check_free(job(asked));
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
            if (known.serverless()) member.weight_floor = grown->terms.weight_floor;
            member.experiment = std::move(grown->experiment);
        }
        const std::string& name = state().roster()[node].name;
        const auto place = coordinator.add_member(number, member);
        if (!place && place.error().code == Code::busy)
            complain(
                fmt::format("{} is in another job; it can come back to job {} when that is over", name, number));
        added.push_back({{"name", name}, {"member", need(place, name)}});
    }
    if (added.empty()) complain(fmt::format("job {}: all of them are members already", number));
    return {{"job", number}, {"added", added}};
}

Json Desk::Commands::remove(const Json& asked) {
    const std::uint64_t number = job(asked).number();
    check_free(job(asked));
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

Json Desk::Commands::pull(const Json& asked) {
    const Job& known = job(asked);
    if (known.serverless() && !known.ended() && known.epoch() == 1) {
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

}  // namespace dunlin
