// SPDX-License-Identifier: Apache-2.0
#include "fleet/coordinator/privacy_spent.hpp"

#include "training/privacy/gaussian.hpp"

namespace dunlin {

PrivacySpent privacy_spent(const Job& job) {
    const PrivatePlan& plan = job.plan().server.privacy;
    PrivacySpent spent;
    spent.delta = static_cast<double>(plan.delta);
    spent.rounds = job.version();
    if (spent.rounds > 0)
        spent.epsilon =
            epsilon_gaussian(static_cast<double>(plan.noise), static_cast<std::int64_t>(spent.rounds), spent.delta);
    spent.unit = "one member, added or removed, with all its data";
    const bool masked = job.plan().server.masks.enabled();
    spent.against = masked
                        ? "who sees every version of the shared model, and the coordinator, which sees sums alone; "
                          "each member whose secrets it knows takes its part of the noise away"
                        : "who sees every version of the shared model, but not single updates: the coordinator "
                          "and its store are trusted";
    spent.not_charged =
        "personal models and layers, which stay with their member; figures that data were standardised by; "
        "versions "
        "that were handed out after a backup was made which this store was restored from";
    if (!masked) spent.not_charged += "; metrics that members report";
    return spent;
}

}  // namespace dunlin
