// SPDX-License-Identifier: Apache-2.0
#include "training/settings/deployment.hpp"

namespace dunlin {

void add_deployment_settings(Settings& list, Deployment& d) {
    using Range = Settings::Range;
    list.add(
        "fleet.updates", d.updates,
        "real nodes: updates of each node, on average; without a server rounds for as many steps. Navigation and "
        "regression: method.rounds instead",
        Range{1, 1e9});
    list.add("fleet.tick_ms", d.tick_ms, "real nodes without a server: milliseconds of a round", Range{1, 1e7});
    list.add("fleet.report_every", d.report_every,
             "updates or wake-ups between two reports of a node; 0: at the end", Range{0, 1e9});
    list.add("fleet.seconds", d.seconds, "most that a job runs on real nodes; 0: no limit", Range{0, 1e9});
    list.add("fleet.removal_s", d.removal_s,
             "without a server: a node that is away for longer is gone for good; 0: never", Range{0, 4e6});
    list.add(
        "fleet.regroup_s", d.regroup_s,
        "without a server: the others go on without a node that is away for longer, on a graph of their own; it "
        "begins anew when it is back; 0: 5 s, or 20 rounds where that is longer",
        Range{0, 4e6});
    list.add(
        "fleet.patience_s", d.patience_s,
        "by rounds: most that a round waits for members that have not delivered; 0: three times what each took "
        "before, 2 s at least, and 60 s at most, also for who never delivered",
        Range{0, 4e6});
    list.add("fleet.audit", d.audit, "without a server: nodes keep the exact sum of their steps, to check mass by");
    list.add("fleet.encoding", d.encoding, "how updates travel to a server",
             {{"float32", Encoding::float32}, {"float16", Encoding::float16}, {"int8", Encoding::int8}});
}

}  // namespace dunlin
