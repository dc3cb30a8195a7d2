// SPDX-License-Identifier: Apache-2.0
#include "training/axes/gossip_settings.hpp"

#include "training/network/traced_network.hpp"
#include "training/settings/settings.hpp"

#include <algorithm>
#include <utility>

namespace dunlin {

Result<void> AbsenceSettings::check() const {
    const auto chance = [](float value) { return value >= 0.0f && value <= 1.0f; };
    if (!(share >= 0.0f && share < 1.0f)) return fail(Code::bad_setting, 0);
    if (at < 0) return fail(Code::bad_setting, 1);
    if (before < 1) return fail(Code::bad_setting, 2);
    if (times < 0 || times > 1'000'000) return fail(Code::bad_setting, 3);
    if (longest < 0) return fail(Code::bad_setting, 4);
    if (!chance(stays)) return fail(Code::bad_setting, 5);
    if (!chance(forgets)) return fail(Code::bad_setting, 6);
    if (noticed < 1) return fail(Code::bad_setting, 7);
    if (removal < 1) return fail(Code::bad_setting, 8);
    return {};
}

void add_absence_settings(Settings& list, AbsenceSettings& absences) {
    using Range = Settings::Range;
    AbsenceSettings& s = absences;
    list.add("network.gone", s.share, "part of the nodes that are killed together (pars-push); 0: none",
             Range{0, 0.999});
    list.add("network.gone_at", s.at, "the round in which; 0: drawn from the first network.gone_before",
             Range{0, 1e9});
    list.add("network.gone_before", s.before, "see network.gone_at", Range{1, 1e9});
    list.add("network.gone_times", s.times, "how often nodes are killed", Range{1, 1e6});
    list.add("network.gone_for", s.longest, "most rounds until one returns, drawn for each; 0: none does",
             Range{0, 1e9});
    list.add("network.gone_stays", s.stays, "chance that one stays away all the same", Range{0, 1});
    list.add("network.gone_forgets", s.forgets, "chance that one who returns has lost its memory", Range{0, 1});
    list.add("network.gone_noticed", s.noticed,
             "most rounds until another node knows that one went or returned, drawn", Range{1, 1e9});
    list.add("network.gone_removal", s.removal,
             "rounds after which one who is away is given up, and its loss booked", Range{1, 1e9});
    list.add("network.gone_reclaims", s.reclaims, "take back what those who are given up never confirmed");
}

simulation::Time GossipSettings::gap(Life& life) const {
    if (work > 0) return life.duration(work);
    const auto bound = static_cast<std::uint32_t>(std::min<simulation::Time>(wake_gap, 0xffffffff));
    return life.duration(1 + static_cast<simulation::Time>(life.choices.below(bound)));
}

Result<void> GossipSettings::shape(simulation::Network& network) const {
    if (trace == nullptr) return {};
    return trace->shape(network, link);
}

void follow(GossipSettings& settings, std::shared_ptr<const TracedNetwork> trace, bool on_top) {
    simulation::LinkProfile& link = settings.link;
    if (trace->has_latency()) {
        // The longest way there is, by which nodes that wait decide when to speak again.
        const simulation::Time least = on_top ? link.latency.minimum : 0;
        link.latency = simulation::Latency::uniform(least, least + trace->longest());
        link.delay_limit = link.latency.minimum + trace->longest();
    }
    if (trace->has_losses()) {
        link.loss = trace->largest_loss();
        link.loss_limit = simulation::LinkProfile::unbounded;
    }
    if (!trace->paces().empty()) {
        settings.lives.pace_sigma = 0.0f;
        settings.lives.paces = trace->paces();
    }
    settings.trace = std::move(trace);
}

}  // namespace dunlin
