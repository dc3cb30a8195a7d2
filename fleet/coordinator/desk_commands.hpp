// SPDX-License-Identifier: Apache-2.0
#pragma once

// For .cpp files only.

#include "fleet/coordinator/desk.hpp"
#include "fleet/coordinator/desk_request.hpp"

namespace dunlin {

/// What can be asked of a desk, while one request is answered.
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

    PublicKey key(const Json& asked) const;
    const Job& job(const Json& asked) const;

    // what there is

    Json node(std::uint32_t number) const;
    Json nodes() const;
    Json brief(const Job& known) const;
    Json whole(const Job& known) const;
    Json member(const Job& known, std::uint32_t i) const;
    Json jobs(bool archived_too = false) const;
    /// Of the fleet, for people.
    Json warnings() const;
    Json status() const;
    /// Those that are raised.
    Json alerts() const;
    /// And what there are rules for.
    Json alert_rules() const;
    /// The newest lines; with "after" those that come next to that "last", the oldest first.
    Json logs(const Json& asked) const;
    Json ledger(const Json& asked) const;
    /// How the metrics of a job went: of one "member", or the least, mean and most of some of them.
    Json curves(const Json& asked) const;
    /// Who hears whom in a job, and which edges are closed because somebody is away.
    Json graph(const Json& asked) const;

    // what is done

    /// Those that have one of the names or labels; without any, all that are on the roster.
    std::vector<std::uint32_t> chosen(const std::vector<std::string>& wanted) const;
    Json run(const Json& asked);
    /// Where a node is in a job, if it is.
    static std::optional<std::uint32_t> member_of(const Job& known, std::uint32_t node);
    Json add(const Json& asked);
    Json remove(const Json& asked);
    Json pull(const Json& asked);

    // who may (desk_access.cpp)

    Json token_create(const Json& asked);
    Json token_list();
    Json token_revoke(const Json& asked);
    Json token_link(const Json& asked);
    Json create_enrolment(const Json& asked);
    /// A node that shows an enrolment token comes onto the roster. Whether it did show it is for the web port to see to.
    Json enrol(const Json& asked);
    Json audit(const Json& asked);

    // versions and roll-outs (desk_rollouts.cpp)

    /// The version that "v3", "3" or a name means.
    std::uint32_t version(const std::string& word) const;
    std::uint64_t rollout_number(const Json& asked) const;
    Json models() const;
    Json model(const Json& asked);
    Json keep_model(const Json& asked);
    Json rollout(std::uint64_t number, bool devices) const;
    Json rollouts() const;
    Json history(const Json& asked) const;
    Json start_rollout(const Json& asked);
    Json change_rollout(const Json& asked, const std::string& command);
    /// Refuses what is done to a job that belongs to a roll-out.
    void check_free(const Job& known) const;

    Json answer(const Json& asked);
};

}  // namespace dunlin
