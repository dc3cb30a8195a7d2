// SPDX-License-Identifier: Apache-2.0
// What the operator does with versions of models, and with roll-outs.
#include "fleet/coordinator/desk_commands.hpp"
#include "fleet/jobs/plan_job.hpp"

#include <algorithm>
#include <charconv>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace dunlin {
namespace {

std::optional<double> number_in(std::string_view text) {
    double number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(number)) return std::nullopt;
    return number;
}

/// "10%" or "5" of so many devices: at least one.
std::uint32_t batch_of(const std::string& text, std::size_t devices) {
    const bool share = text.ends_with('%');
    const auto number = number_in(std::string_view(text).substr(0, text.size() - share));
    if (!number || *number <= 0 || (share && *number > 100) || *number > 1e6)
        complain(fmt::format("--batch {}: expected a number of nodes, or a share such as 10%", text));
    const double wanted = share ? std::ceil(*number / 100.0 * static_cast<double>(devices)) : *number;
    if (wanted != std::floor(wanted)) complain(fmt::format("--batch {}: expected a whole number of nodes", text));
    return static_cast<std::uint32_t>(std::max(1.0, wanted));
}

Json value_in(const DeviceReport& report, const std::string& metric) {
    const auto value = report.value(metric);
    return value && std::isfinite(*value) ? Json(*value) : Json();
}

Json metrics_of(const DeviceReport& report) {
    Json all = Json::object();
    for (const KeptMetric& metric : report.metrics) all[metric.name] = metric.value;
    return all;
}

}  // namespace

void Desk::Commands::check_free(const Job& known) const {
    const std::uint64_t rollout = state().rollouts().of_job(known.number());
    if (rollout != 0)
        complain(fmt::format("job {0} belongs to roll-out {1}; see: dunlin fleet rollout show {1}", known.number(),
                             rollout));
}

std::uint32_t Desk::Commands::version(const std::string& word) const {
    const auto& kept = state().rollouts().models();
    const auto named = std::ranges::find(kept, word, &ModelVersion::name);
    if (!word.empty() && named != kept.end()) return static_cast<std::uint32_t>(named - kept.begin()) + 1;
    const auto number = number_in(std::string_view(word).substr(word.starts_with('v') ? 1 : 0));
    if (!number || *number < 1 || *number > static_cast<double>(kept.size()) || *number != std::floor(*number))
        complain(fmt::format("{}: no version of a model has this name or number; `dunlin fleet models` lists them",
                             word));
    return static_cast<std::uint32_t>(*number);
}

std::uint64_t Desk::Commands::rollout_number(const Json& asked) const {
    const auto& all = state().rollouts().all();
    const std::uint64_t number = number_of(asked, "rollout");
    if (all.empty()) complain("there is no roll-out yet; first: dunlin fleet rollout POLICY --to LABEL");
    if (number == 0) return all.rbegin()->first;
    if (!all.contains(number)) complain(fmt::format("roll-out {}: there is none of this number", number));
    return number;
}

Json Desk::Commands::models() const {
    const StagedRollouts& all = state().rollouts();
    std::map<std::uint32_t, std::vector<std::uint32_t>> holders;
    const auto nodes = static_cast<std::uint32_t>(state().roster().nodes().size());
    for (std::uint32_t node = 0; node < nodes; ++node) {
        if (const auto held = all.held(node); held.model != 0) holders[held.model].push_back(node);
    }
    Json told = Json::array();
    for (std::size_t k = 0; k < all.models().size(); ++k) {
        const ModelVersion& model = all.models()[k];
        std::map<std::string, std::pair<double, int>> sums;
        const auto& holding = holders[static_cast<std::uint32_t>(k + 1)];
        for (const std::uint32_t node : holding) {
            for (const KeptMetric& metric : all.held(node).report->metrics) {
                sums[metric.name].first += metric.value;
                ++sums[metric.name].second;
            }
        }
        Json means = Json::object();
        for (const auto& [name, sum] : sums) means[name] = sum.first / sum.second;
        told.push_back({{"version", k + 1},
                        {"name", model.name},
                        {"origin", model.origin},
                        {"time_ms", model.time_ms},
                        {"parameters", model.numbers.size()},
                        {"checksum", fmt::format("{:016x}", checksum_of(std::as_bytes(std::span(model.numbers))))},
                        {"nodes", holding.size()},
                        {"means", means}});
    }
    return told;
}

/// One version, with its numbers, and what every node that had it said of it last.
Json Desk::Commands::model(const Json& asked) {
    const std::uint32_t number = version(text_of(asked, "model"));
    const ModelVersion& known = state().rollouts().models()[number - 1];
    Json told = models()[number - 1];
    told["experiment"] = known.experiment;
    told["reports"] = Json::array();
    const auto& nodes = state().roster().nodes();
    for (std::uint32_t node = 0; node < nodes.size(); ++node) {
        const auto history = state().rollouts().history(node);
        const auto last = std::find_if(history.rbegin(), history.rend(),
                                       [number](const StagedRollouts::Held& held) { return held.model == number; });
        if (last == history.rend()) continue;
        told["reports"].push_back({{"name", nodes[node].name},
                                   {"rollout", last->rollout},
                                   {"time_ms", last->report->time_ms},
                                   {"metrics", metrics_of(*last->report)}});
    }
    numbers = known.numbers;
    return told;
}

/// Keeps the model that came with the request, or finds the one that it names; gives it a name, if there is one.
Json Desk::Commands::keep_model(const Json& asked) {
    const std::string name = text_of(asked, "name"), word = text_of(asked, "model");
    if (!name.empty()) {
        check_name("--name", name);
        if (number_in(std::string_view(name).substr(name.starts_with('v') ? 1 : 0)))
            complain(fmt::format("--name {}: versions are numbered like this; choose a word", name));
    }
    std::uint32_t number = word.empty() ? 0 : version(word);
    if (number == 0) {
        ModelVersion kept{.name = {},
                          .origin = text_of(asked, "origin"),
                          .experiment = text_of(asked, "experiment"),
                          .numbers = request.numbers};
        if (kept.numbers.empty() || kept.experiment.empty()) complain("a version is a model and its experiment");
        number = need(coordinator.keep_model(kept), "the version");
    }
    const auto& all = state().rollouts().models();
    const auto other = std::ranges::find(all, name, &ModelVersion::name);
    if (!name.empty() && other != all.end() && other - all.begin() + 1 != number)
        complain(fmt::format("--name {}: this is version v{} already", name, other - all.begin() + 1));
    if (!name.empty() && all[number - 1].name != name) need(coordinator.name_model(number, name), name);
    return {{"version", number}, {"name", all[number - 1].name}};
}

Json Desk::Commands::rollout(std::uint64_t number, bool with_devices) const {
    const StagedRollouts& all = state().rollouts();
    const StagedRollout& known = *all.find(number);
    const RolloutPlan& how = known.plan();
    const Coordinator::Staging staging = coordinator.staging(number);
    const Job& forward = *state().job(known.forward_job());
    const Job* back = state().job(known.back_job());
    const bool over = StagedRollouts::over(known, state().jobs());
    using Phase = StagedRollout::Phase;
    std::string_view state_word = name_of(known.phase());
    if (known.phase() == Phase::running && over && !staging.next) state_word = "finished";
    if (known.phase() == Phase::back) state_word = over ? "rolled-back" : "rolling-back";
    Json counts = Json::object(), devices = Json::array();
    for (std::uint32_t i = 0; i < known.devices().size(); ++i) {
        const RolloutDevice& device = known.devices()[i];
        const Connection* connection = coordinator.connection(how.nodes[i]);
        const bool here = connection != nullptr && connection->welcome && !connection->suspect;
        const bool returns = known.phase() == Phase::back && was_offered(forward.members()[i]);
        const JobMember& member = returns && back != nullptr ? back->members()[i] : forward.members()[i];
        std::string_view word = here ? "on-its-way" : "pending";
        if (known.phase() == Phase::back && (!returns || device.back.given()))
            word = "old";
        else if (!returns && device.forward.given())
            word = "new";
        else if (member.state == MemberState::declined)
            word = "refused";
        else if (!member.in())
            word = "gone";
        else if (!returns && known.phase() == Phase::aborted && forward.members()[i].state == MemberState::invited)
            word = "old";
        else if (!returns && device.wave == 0 && here)
            word = "waiting";
        counts[std::string(word)] = counts.value(std::string(word), 0) + 1;
        if (!with_devices) continue;
        const double gain = how.watch.empty() ? no_number : known.gain(i).value_or(no_number);
        Json row{{"name", state().roster()[how.nodes[i]].name},
                 {"state", word},
                 {"here", here},
                 {"wave", device.wave},
                 {"baseline", std::isfinite(how.baseline[i]) ? Json(how.baseline[i]) : Json()},
                 {"value", value_in(device.forward, how.watch)},
                 {"gain", std::isfinite(gain) ? Json(gain) : Json()},
                 {"metrics", metrics_of(device.forward)}};
        if (device.back.given()) row["back"] = metrics_of(device.back);
        if (word == "refused") row["refusal"] = refusal_text(member, "refused");
        if (here && connection->job != 0 && connection->job != known.forward_job() &&
            connection->job != known.back_job())
            row["busy_with_job"] = connection->job;
        devices.push_back(std::move(row));
    }
    Json told{{"rollout", number},
              {"version", how.model},
              {"name", all.models()[how.model - 1].name},
              {"before", how.before},
              {"state", state_word},
              {"reason", known.reason()},
              {"settled", !staging.next && !staging.waits},
              {"ended", over && (known.phase() != Phase::running || !staging.next)},
              {"wave", known.wave()},
              {"nodes", how.nodes.size()},
              {"counts", counts},
              {"canary", how.canary},
              {"batch", how.batch},
              {"watch", how.watch},
              {"started_ms", known.started_ms()},
              {"job", known.forward_job()},
              {"back_job", known.back_job()}};
    if (std::isfinite(how.worse_than)) told["worse_than"] = how.worse_than;
    if (std::isfinite(how.node_worse_than)) told["node_worse_than"] = how.node_worse_than;
    if (with_devices) told["devices"] = std::move(devices);
    return told;
}

Json Desk::Commands::rollouts() const {
    Json told = Json::array();
    for (const auto& [number, known] : state().rollouts().all()) told.push_back(rollout(number, false));
    return told;
}

Json Desk::Commands::history(const Json& asked) const {
    const std::string name = text_of(asked, "name");
    const auto node = state().roster().find(name);
    if (!node) complain(fmt::format("no node is called {}; `dunlin fleet nodes` lists them", name));
    Json told = Json::array();
    for (const StagedRollouts::Held& held : state().rollouts().history(*node)) {
        told.push_back({{"time_ms", held.report->time_ms},
                        {"version", held.model},
                        {"name", state().rollouts().models()[held.model - 1].name},
                        {"rollout", held.rollout},
                        {"metrics", metrics_of(*held.report)}});
    }
    return {{"name", name}, {"history", told}};
}

Json Desk::Commands::start_rollout(const Json& asked) {
    RolloutPlan wanted;
    wanted.nodes = chosen(texts_of(asked, "nodes"));
    wanted.watch = text_of(asked, "watch");
    wanted.lower_is_better = flag_of(asked, "lower_is_better");
    const std::size_t count = wanted.nodes.size();
    const StagedRollouts& all = state().rollouts();
    for (const auto& [number, other] : all.all()) {
        if (StagedRollouts::over(other, state().jobs())) continue;
        const auto& taken = other.plan().nodes;
        const auto both = std::ranges::find_first_of(taken, wanted.nodes);
        if (both == taken.end()) continue;
        complain(
            fmt::format("{0} is in roll-out {1}, which has not ended; see: dunlin fleet rollout show {1}; end "
                        "it as it is: dunlin fleet rollout abort {1}",
                        state().roster()[*both].name, number));
    }
    const std::string word = text_of(asked, "model"), against = text_of(asked, "against");
    const ModelVersion* kept = word.empty() ? nullptr : &all.models()[version(word) - 1];
    const std::string experiment = kept != nullptr ? kept->experiment : text_of(asked, "experiment");
    wanted.batch = batch_of(text_of(asked, "batch"), count);
    wanted.canary = batch_of(std::to_string(std::max<std::uint64_t>(1, number_of(asked, "canary"))), count);
    if (const std::uint64_t patience_s = number_of(asked, "patience_s"); patience_s != 0)
        wanted.patience_s = static_cast<std::uint32_t>(std::min<std::uint64_t>(patience_s, 86'400));
    for (const std::string& rule : texts_of(asked, "rollback_if")) {
        const std::size_t sign = rule.find('=');
        const std::string name = rule.substr(0, sign);
        const auto limit = sign == std::string::npos ? std::nullopt : number_in(rule.substr(sign + 1));
        if (!limit || *limit < 0 || (name != "worse-than" && name != "node-worse-than"))
            complain(fmt::format("--rollback-if {}: expected worse-than=NUMBER or node-worse-than=NUMBER", rule));
        (name == "worse-than" ? wanted.worse_than : wanted.node_worse_than) = *limit;
    }
    const bool rules = !std::isnan(wanted.worse_than) || !std::isnan(wanted.node_worse_than);
    if (rules && wanted.watch.empty())
        complain("--rollback-if: which metric? --watch METRIC, such as return_ratio");
    if (!against.empty() && wanted.watch.empty()) complain("--against: which metric? --watch METRIC");

    // What the devices have now, and what they said of it.
    std::set<std::uint32_t> versions;
    const auto fixed = number_in(against);
    if (!against.empty() && against != "baseline" && !fixed)
        complain(fmt::format("--against {}: expected baseline, or a number", against));
    bool any = false;
    for (const std::uint32_t node : wanted.nodes) {
        const StagedRollouts::Held held = all.held(node);
        if (held.model != 0) versions.insert(held.model);
        double figure = fixed.value_or(no_number);
        if (!fixed && held.report != nullptr) figure = held.report->value(wanted.watch).value_or(no_number);
        if (!std::isfinite(figure)) figure = no_number;
        any = any || !std::isnan(figure);
        wanted.baseline.push_back(figure);
    }
    if (rules && !any)
        complain(
            fmt::format("--against baseline: none of these nodes has said what its {} is with the version that "
                        "it has; roll the present one out first, without --rollback-if, or give a number: "
                        "--against 0.8",
                        wanted.watch));
    if (const std::string back_to = text_of(asked, "back_to"); !back_to.empty()) {
        wanted.before = version(back_to);
    } else if (versions.size() > 1) {
        complain(
            fmt::format("these nodes have different versions (v{}); which one are they to go back to? "
                        "--back-to VERSION",
                        fmt::join(versions, ", v")));
    } else if (!versions.empty()) {
        wanted.before = *versions.begin();
    }

    const auto members = static_cast<std::uint32_t>(count);
    if (plan == nullptr || planned != members) {
        awaited = {experiment, kept != nullptr ? "the version" : text_of(asked, "where"), members};
        return Json::object();
    }
    if (!*plan) throw Complaint{plan->error()};
    JobPlan forward = **plan;
    const std::vector<float>& first = kept != nullptr ? kept->numbers : request.numbers;
    if (first.size() != forward.first.size())
        complain({Code::shape_mismatch, std::ssize(first), std::ssize(forward.first)}, "the policy");
    forward.first = first;
    forward.terms.aggregation = Aggregation::federated;
    std::optional<JobPlan> back;
    if (wanted.before != 0) {
        const ModelVersion& old = all.models()[wanted.before - 1];
        auto made = plan_job(old.experiment, fmt::format("version v{}", wanted.before), members);
        if (!made) throw Complaint{made.error()};
        back = *std::move(made);
        if (back->first.size() != old.numbers.size())
            complain({Code::shape_mismatch, std::ssize(old.numbers), std::ssize(back->first)}, "the old version");
        back->first = old.numbers;
        back->terms.aggregation = Aggregation::federated;
    }
    wanted.model = keep_model(asked)["version"].get<std::uint32_t>();
    const std::uint64_t number =
        need(coordinator.start_rollout(wanted, std::move(forward), back ? &*back : nullptr), "the roll-out");
    return rollout(number, true);
}

Json Desk::Commands::change_rollout(const Json& asked, const std::string& command) {
    const std::uint64_t number = rollout_number(asked);
    const StagedRollouts& all = state().rollouts();
    const StagedRollout& known = *all.find(number);
    const std::string where = fmt::format("roll-out {}", number);
    using Phase = StagedRollout::Phase;
    const Phase phase = known.phase();
    const bool goes = phase == Phase::running || phase == Phase::paused || phase == Phase::halted;
    const bool over = StagedRollouts::over(known, state().jobs());
    const auto refuse_over = [&] {
        if (!goes || over) complain(fmt::format("{} is over; see: dunlin fleet rollout show {}", where, number));
    };
    if (command == "rollout-pause" || command == "rollout-resume") {
        refuse_over();
        const bool pause = command == "rollout-pause";
        need(coordinator.change_rollout(number, pause ? RecordKind::rollout_paused : RecordKind::rollout_resumed),
             where);
    } else if (command == "rollout-abort") {
        if (over && phase != Phase::paused && phase != Phase::halted) refuse_over();
        if (over && phase == Phase::back) complain(where + " is over");
        need(coordinator.change_rollout(number, RecordKind::rollout_aborted), where);
    } else if (command == "rollout-rollback") {
        if (phase == Phase::back) complain(where + " goes back, or went, already");
        if (known.plan().before == 0)
            complain(fmt::format("{}: the nodes had no version before it that they could go back to", where));
        for (auto later = all.all().upper_bound(number); later != all.all().end(); ++later) {
            const auto& taken = later->second.plan().nodes;
            if (std::ranges::find_first_of(taken, known.plan().nodes) != taken.end())
                complain(fmt::format("roll-out {} came after it on the same nodes; roll v{} out instead",
                                     later->first, known.plan().before));
        }
        need(coordinator.roll_back(number, "the operator asked for it"), where);
    } else if (command == "rollout-retry") {
        refuse_over();
        std::vector<std::uint32_t> again;
        const Job& forward = *state().job(known.forward_job());
        for (std::uint32_t i = 0; i < forward.members().size(); ++i) {
            if (!forward.members()[i].in() && !known.devices()[i].forward.given() &&
                state().roster()[forward.members()[i].node].admitted)
                again.push_back(forward.members()[i].node);
        }
        if (again.empty()) complain(where + ": no node refused it");
        for (const std::uint32_t node : again)
            need(coordinator.add_member(known.forward_job(), {.node = node}), state().roster()[node].name);
    } else {
        complain(fmt::format("unknown command '{}'; update Dunlin", command));
    }
    return rollout(number, true);
}

}  // namespace dunlin
