// SPDX-License-Identifier: Apache-2.0
// How an epoch ends in a simulated fleet that loses nodes, and the next one begins.
#include "training/simulation/gossip_absences.hpp"

#include <algorithm>

namespace dunlin {

/// Is everybody there who holds mass?
bool AbsentGossip::turn_due() const {
    return closing_ && std::ranges::all_of(members_, [](const Member& m) { return !m.holds() || m.up; });
}

/// What those who go on have said to each other arrives, and what fenced nodes never confirmed comes back.
Result<void> AbsentGossip::drain() {
    for (std::uint32_t i = 0; i < nodes(); ++i) {
        if (!members_[i].holds()) continue;
        ParsPush<>& node = *members_[i].node;
        for (std::uint32_t k = 0; k < graph_.out(i).size(); ++k) {
            const std::uint32_t to = graph_.out(i)[k];
            if (members_[to].holds()) {
                const auto receipt = members_[to].node->receive(node.share_to(k, scratch_));
                if (!receipt) return tl::unexpected(receipt.error());
            } else if (settings_.absences.reclaims) {
                const auto back = node.reclaim(k, Fenced{});
                if (!back) return tl::unexpected(back.error());
            }
        }
    }
    return {};
}

Outcome<void> AbsentGossip::turn() {
    const auto failed = [&](const Error& error) { return refuse(error, "the end of an epoch"); };
    const Holding before = all_mass();
    if (auto drained = drain(); !drained) return failed(drained.error());
    std::vector<std::uint32_t> staying, joining, gone;
    // What goes is, whatever the books say, what was there less what is held by those who stay.
    Holding lost = before;
    for (std::uint32_t i = 0; i < nodes(); ++i) {
        Member& member = members_[i];
        if (member.holds()) {
            member.node->absorb();
            const Holding held{member.node->held_weight(),
                               {member.node->held().begin(), member.node->held().end()}};
            lost.subtract(held);
            staying.push_back(i);
            book_->state(i,
                         {.tick = member.node->tick(), .held = held, .steps = member.steps, .wire = wire_version});
        } else {
            if (member.fenced) {
                gone.push_back(i);
                // The books count its steps of this epoch as lost.
                Holding steps{0, member.steps};
                steps.subtract({0, member.steps_before});
                lost.add(steps);
            }
            if (member.joins()) joining.push_back(i);
        }
    }
    const LedgerEntry entry = book_->turn(plan_, staying, {}, joining, gone, false);
    book_error_ = std::max(book_error_, units_apart(entry.lost, lost));

    graph_ = book_->graph();
    components_.clear();
    ++counters_.epochs;
    closing_ = false;
    std::vector<Mass> mean(dimension());
    Mass one = 0;
    settings_.format.to_mass(1.0f, one);
    for (std::size_t k = 0; k < mean.size(); ++k) settings_.format.to_mass(book_->mean()[k], mean[k]);
    for (std::uint32_t i = 0; i < nodes(); ++i) {
        Member& member = members_[i];
        const bool stays = member.holds(), joins = member.joins();
        member.in = stays || joins;
        member.fenced = false;
        if (!member.in) continue;
        Result<void> begun;
        if (joins) {
            std::ranges::fill(member.steps, Mass{0});
            begun = begin(i, mean, one, now(), 0.0);
        } else {
            const std::vector<Mass> held(member.node->held().begin(), member.node->held().end());
            begun = begin(i, held, member.node->held_weight(), member.node->tick(), member.node->owed());
            if (begun) begun = member.node->shift(static_cast<unsigned>(book_->shift()));
            if (begun) store(i);
        }
        if (begun) begun = set_wake_up(i);
        if (!begun) return failed(begun.error());
    }
    for (Member& member : members_) member.steps_before = member.steps;
    expected_ = book_->total();
    return {};
}

}  // namespace dunlin
