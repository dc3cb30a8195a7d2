// SPDX-License-Identifier: Apache-2.0
// What records are called where people read them.
#include "fleet/coordinator/index.hpp"
#include "training/host/failure.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace dunlin {
namespace {

std::string member_name(const FleetState& state, const Record& record) {
    const Job* job = state.job(record.job);
    if (job == nullptr || record.node >= job->members().size()) return {};
    const std::uint32_t node = job->members()[record.node].node;
    return node < state.roster().nodes().size() ? state.roster()[node].name : std::string();
}

std::string ledger_text(const LedgerEntry& entry, const FixedPoint& format) {
    std::string text = fmt::format("epoch {} is over", entry.epoch);
    if (!entry.gone.empty()) text += fmt::format("; gone: members {}", fmt::join(entry.gone, ", "));
    if (!entry.left.empty()) text += fmt::format("; left: members {}", fmt::join(entry.left, ", "));
    if (!entry.joined.empty()) text += fmt::format("; begin anew: members {}", fmt::join(entry.joined, ", "));
    text += fmt::format("; weight lost: {:.6g} of {:.6g}", format.to_float<double>(entry.lost.weight),
                        format.to_float<double>(entry.before.weight));
    if (!entry.balances) text += "; the books do not balance";
    if (entry.shift > 0) text += fmt::format("; what is left counts 2^{} times from here on", entry.shift);
    return text;
}

/// What a record did to versions and roll-outs.
template <class Say>
void describe_rollout(const FleetState& state, const Record& record, const Say& say) {
    const StagedRollouts& all = state.rollouts();
    const auto version = [&all](std::uint64_t number) {
        const std::string& name = all.models()[static_cast<std::size_t>(number - 1)].name;
        return name.empty() ? fmt::format("v{}", number) : fmt::format("v{} ({})", number, name);
    };
    if (record.kind == RecordKind::model_kept) return say("model-kept", version(record.sequence) + " is kept");
    if (record.kind == RecordKind::model_named) return say("model-named", version(record.sequence));
    const StagedRollout* rollout = all.find(record.sequence);
    if (rollout == nullptr) return;
    const RolloutPlan& plan = rollout->plan();
    const auto about = [&](std::string_view text) { return fmt::format("roll-out {}: {}", record.sequence, text); };
    switch (record.kind) {
        case RecordKind::rollout_started:
            return say("rollout-started",
                       about(fmt::format("{} for {} nodes", version(plan.model), plan.nodes.size())));
        case RecordKind::rollout_released: {
            std::vector<std::uint32_t> devices;
            Loader loader(record.payload);
            loader(devices);
            std::string names;
            for (const std::uint32_t device : devices) {
                if (device < plan.nodes.size())
                    names += (names.empty() ? "" : ", ") + state.roster()[plan.nodes[device]].name;
            }
            return say("rollout-wave", about(fmt::format("wave {}: {}", rollout->wave(), names)));
        }
        case RecordKind::rollout_paused:
            return say("rollout-paused", about("paused"));
        case RecordKind::rollout_resumed:
            return say("rollout-resumed", about("goes on"));
        case RecordKind::rollout_halted:
            return say("rollout-halted", about("stopped: " + rollout->reason()));
        case RecordKind::rollout_aborted:
            return say("rollout-aborted", about("aborted: who has the new version keeps it"));
        default:
            return say("rollout-back",
                       about(fmt::format("back to {}: {}", version(plan.before), rollout->reason())));
    }
}

}  // namespace

bool heavy_loss(const Job& job, Mass lost) {
    Mass one = 0;
    job.plan().terms.format.to_mass(1.0f, one);
    return lost > one;
}

std::vector<std::string> warnings_of(const Job& job) {
    std::vector<std::string> warnings;
    const MassBook* book = job.book();
    if (book == nullptr) return warnings;
    if (job.plan().graph.kind == alone_graph)
        warnings.push_back(
            "each node learns alone: the model of this job is the mean of models that never met, and nobody's own");
    if (heavy_loss(job, book->lost().weight)) {
        warnings.push_back(fmt::format(
            "weight {:.3g} of {} was lost with nodes that went, and what they had learned with it; "
            "`dunlin fleet ledger --job {}` says when",
            job.plan().terms.format.to_float<double>(book->lost().weight), job.members().size(), job.number()));
    }
    if (book->unbalanced() > 0) {
        warnings.push_back(fmt::format(
            "the books of {} of its epochs do not balance: weight or mass was made or is missing although "
            "nobody went, so a member or a link lies and the model is not to be trusted; "
            "`dunlin fleet ledger --job {}` says when",
            book->unbalanced(), job.number()));
    }
    const auto fenced = std::ranges::count(job.members(), MemberState::fenced, &JobMember::state);
    if (fenced > 0 && !job.ended())
        warnings.push_back(
            fmt::format("the others go on without {} of {} nodes, which are away", fenced, job.members().size()));
    if (fenced > 0 && job.ended())
        warnings.push_back(
            fmt::format("the job ended without {} of {} nodes, which were away", fenced, job.members().size()));
    return warnings;
}

std::string refusal_text(const JobMember& member, std::string_view what) {
    if (member.reason.empty()) return describe(member.refusal, what).text;
    return fmt::format("{}: {}", what, member.reason);
}

std::string_view aggregation_name(const JobPlan& plan) {
    if (plan.graph.kind == alone_graph) return "local";
    constexpr std::string_view names[] = {"federated", "push-sum", "dsgd", "spd", "gnsd", "push-pull", "hgp"};
    return names[static_cast<std::size_t>(plan.terms.aggregation)];
}

std::string_view name_of(MemberState state) {
    constexpr std::string_view names[] = {"invited",  "offered", "active", "leaving", "lost",
                                          "declined", "left",    "gone",   "fenced"};
    return names[static_cast<std::size_t>(state)];
}

std::string_view name_of(JobEndReason reason) {
    constexpr std::string_view names[] = {"finished", "stopped", "removed", "failed"};
    return names[static_cast<std::size_t>(reason)];
}

std::string_view state_name(const Job& job) {
    if (job.ended()) return name_of(*job.ended());
    if (job.ending()) return "ending";
    if (job.paused()) return "paused";
    return job.closing() ? "regrouping" : "running";
}

std::string shared_key_text(std::string_view node) {
    return fmt::format(
        "two programs take turns with the key of {}: was its card copied? Give one a key of its own: "
        "dunlin-node init, dunlin fleet admit",
        node);
}

std::string snapshot_failure_text(const Error& error) {
    return describe(error, "the store's snapshot").text +
           "; nothing is lost, but the log grows until one is written; it is tried again";
}

Event describe_record(const FleetState& state, const Record& record, const JobChange* change) {
    Event event{record.index, record.time_ms, record.job, {}, {}, {}};
    const auto say = [&event](std::string kind, std::string text) {
        event.kind = std::move(kind);
        event.text = std::move(text);
    };
    const Roster& roster = state.roster();
    if (change == nullptr && record.kind != RecordKind::node_admitted && record.node < roster.nodes().size())
        event.node = roster[record.node].name;
    if (change != nullptr) event.node = member_name(state, record);
    const Job* job = state.job(record.job);
    switch (record.kind) {
        case RecordKind::node_admitted:
            say("node-admitted", "is on the roster");
            event.node = read_node(record).value_or(RosterNode{}).name;
            break;
        case RecordKind::node_revoked:
            say("node-revoked", "is off the roster");
            break;
        case RecordKind::node_rotated:
            say("node-rotated", "has a new key");
            break;
        case RecordKind::store_copied:
            say("store-copied", "this store is a copy: it was restored, or moved from elsewhere");
            event.node.clear();
            break;
        case RecordKind::job_created:
            if (job != nullptr)
                say("job-created", fmt::format("{} for {} nodes", job->plan().name, job->members().size()));
            event.node.clear();
            break;
        case RecordKind::job_paused:
            say("job-paused", "paused");
            event.node.clear();
            break;
        case RecordKind::job_resumed:
            say("job-resumed", "goes on");
            event.node.clear();
            break;
        case RecordKind::member_accepted:
            say("member-accepted", "takes part");
            break;
        case RecordKind::member_declined:
            if (job != nullptr && record.node < job->members().size())
                say("member-declined", refusal_text(job->members()[record.node], "takes no part"));
            break;
        case RecordKind::member_leaving:
            say("member-leaving", "asks to leave");
            break;
        case RecordKind::member_gone:
            say("member-gone", "is gone for good");
            break;
        case RecordKind::member_added:
            say("member-added", "was added to the job");
            break;
        case RecordKind::member_lost:
            say("member-lost", "holds nothing of the job; an epoch to come may begin with it anew");
            break;
        case RecordKind::member_fenced:
            say("member-fenced",
                "is away for too long: the others go on without it and what it holds; it begins anew when it is "
                "back");
            break;
        case RecordKind::job_archived:
            say("job-archived", record.detail != 0 ? "is archived: lists leave it out" : "is in the lists again");
            event.node.clear();
            break;
        case RecordKind::job_deleted:
            say("job-deleted", "is deleted, with its model");
            event.node.clear();
            break;
        case RecordKind::model_kept:
        case RecordKind::model_named:
        case RecordKind::rollout_started:
        case RecordKind::rollout_released:
        case RecordKind::rollout_paused:
        case RecordKind::rollout_resumed:
        case RecordKind::rollout_halted:
        case RecordKind::rollout_aborted:
        case RecordKind::rollout_back:
            event.node.clear();
            describe_rollout(state, record, say);
            return event;
        case RecordKind::report:
            if (record.detail == 0) break;
            for (const KeptMetric& metric : read_report(record))
                event.text += fmt::format("{}{} {:.6g}", event.text.empty() ? "" : ", ", metric.name, metric.value);
            event.kind = "final-report";
            break;
        default:
            break;
    }
    if (change == nullptr || job == nullptr) return event;
    // About the job, whoever's record brought it about; but what a member said is told all the same.
    std::string also;
    if (change->ledger) also = ledger_text(*change->ledger, job->plan().terms.format);
    if (change->ended) also = fmt::format("{} at version {}", name_of(*job->ended()), job->version());
    if (also.empty()) return event;
    if (record.kind == RecordKind::member_declined || event.kind == "final-report")
        also = fmt::format("{} {}; {}", event.node, event.text, also);
    event.node.clear();
    const bool heavy = change->ledger && heavy_loss(*job, change->ledger->lost.weight);
    if (heavy) also += "; warning: that is more than one node's part of it";
    say(change->ended ? "job-ended" : heavy ? "weight-lost" : "epoch-over", also);
    return event;
}

}  // namespace dunlin
