// SPDX-License-Identifier: Apache-2.0
#include "training/runs/training_loop.hpp"

namespace dunlin {

Outcome<void> TrainingLoop::run(const RunPauses& pauses, const FederatedKeep& keep, FederatedResult& result) {
    start_ = Clock::now();
    begin(result);
    const Way way{pauses, keep, result, [&](Saver& saver) { save(saver, result); }};
    if (pauses.goes_on()) {
        if (auto gone_on = go_on(way); !gone_on) return gone_on;
    }
    Outcome<void> saved;
    const auto stop = [&] {
        const auto left_off = pauses.left_off(way.save);
        if (!left_off) saved = tl::unexpected(left_off.error());
        return !left_off || *left_off;
    };
    while (!over(result)) {
        const bool begins = result.history.empty();
        if (auto done = live(way, stop); !done) return done;
        if (!saved) return saved;
        // The stop may have come after the last look at it on the way here.
        const bool stops = result.failure.empty() && !there(result) && pauses.stop();
        if ((stops && !begins) || !judge(result)) {
            if (auto kept = pauses.checkpoint(way.save, true); !kept) return kept;
            break;
        }
        result.seconds = seconds();
        if (auto kept = keep(result); !kept) return kept;
        if (stops) break;  // it was judged to have something to show, and its row is in no checkpoint
        judged();
    }
    if (auto ended = end(way); !ended) return ended;
    result.seconds = seconds();
    if (result.complete) {
        if (auto kept = pauses.checkpoint(way.save, true); !kept) return kept;
    }
    keep_models(result);
    return {};
}

}  // namespace dunlin
