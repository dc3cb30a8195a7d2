// SPDX-License-Identifier: Apache-2.0
// What a node is told of a job that it is to take part in.
#include "fleet/coordinator/coordinator.hpp"
#include "fleet/jobs/plan_job.hpp"
#include "transport/session/neighbour_machine.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace dunlin {

/// Offers the job, or a new epoch of it.
void Coordinator::offer(Connection& connection, const PublicKey& key, const Membership& at,
                        MemberSession& session) {
    const Job& job = *at.job;
    const JobMember& member = job.members()[at.member];
    if (connection.version < version_of(job.plan().terms)) return decline(connection, at, session);
    if (now_ms_ < session.busy_until_ms || now_ms_ - session.offered_ms < settings_.retry_ms) return;
    if (connection.job != 0 && connection.job != job.number()) {
        const Job* other = state_.job(connection.job);
        if (other != nullptr && !other->ended()) return;  // one at a time
    }
    if (member.state == MemberState::invited) {
        // From now on what it will hold is counted on.
        if (!(job.serverless() && job.closing())) change(at, session, RecordKind::member_offered);
        return;
    }
    JobOffer said;
    std::vector<Mass> weights;
    const std::string document = node_document(job.plan().experiment);
    if (const MassBook* book = job.book()) {
        const Graph& graph = book->graph();
        said.terms = job.plan().member_terms(at.member, book->epoch(), graph.in(at.member), graph.out(at.member));
        if (job.plan().equal_shares)
            said.terms.least_parts =
                static_cast<std::uint16_t>(std::min<std::size_t>(graph.largest_out_degree() + 1, 0xffff));
        said.grant = book->grantee() == at.member;
        // Who begins with this epoch holds nothing yet.
        if (member.sequence != book->epoch()) said.shift = static_cast<std::uint32_t>(book->shift());
        if (says_floats(said.terms.aggregation)) {
            weights = weights_of(job, at.member);
            said.weights = weights;
            said.first_round = book->first_round();
            said.last_round = static_cast<std::int64_t>(job.plan().budget.rounds);
        }
        const MassGrant grant{book->epoch(), book->grant().weight, book->grant().values};
        if (said.grant && !sent(key, job.number(), grant)) return;
    } else {
        said.terms = job.plan().member_terms(at.member);
    }
    said.terms.experiment = document;
    if (!sent(key, job.number(), said)) return;
    session.offered_ms = now_ms_;
    connection.job = job.number();
}

/// An older program could not even read the offer.
void Coordinator::decline(const Connection& connection, const Membership& at, MemberSession& session) {
    if (session.state_commit == counters_.commits + 1) return;
    session.state_commit = counters_.commits + 1;
    const std::uint16_t needed = version_of(at.job->plan().terms);
    const std::vector<std::byte> payload = refusal_payload(
        {Code::wire_version_unknown, connection.version, needed},
        fmt::format("its program speaks version {} of the wire, and the job takes version {}: update the "
                    "program of this node",
                    connection.version, needed));
    (void)store_->add(
        {.kind = RecordKind::member_declined, .node = at.member, .job = at.job->number(), .payload = payload});
}

/// By rounds: W_ij of a member's in-neighbours on the epoch's graph, the same as in `dunlin train`.
std::vector<Mass> Coordinator::weights_of(const Job& job, std::uint32_t member) {
    const MachineKind* kind = machine_kind(job.plan().terms.aggregation);
    if (kind == nullptr || !kind->rounds) return {};
    const Graph& graph = job.book()->graph();
    Watch& watch = watches_[job.number()];
    if (watch.mixing_epoch != job.epoch() || watch.mixing.edge.size() != graph.edges()) {
        auto chosen = choose_mixing(graph, Mixing::automatic, 0.2, primal_dual_bound);
        if (!chosen) return {};  // the book draws it both ways; a node that is told no weights declines
        watch.mixing = std::move(chosen->weights);
        watch.mixing_epoch = job.epoch();
    }
    std::vector<Mass> weights;
    for (const std::uint32_t edge : graph.in_edges(member))
        weights.push_back(std::llround(std::ldexp(watch.mixing.edge[edge], JobOffer::weight_bits)));
    return weights;
}

}  // namespace dunlin
