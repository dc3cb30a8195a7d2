// SPDX-License-Identifier: Apache-2.0
#include "pdbo_runs.hpp"

using namespace dunlin;
using namespace dunlin::testing;

namespace {

/// Runs until stop was asked so often, and what was kept then.
std::vector<std::byte> stopped_after(const PdboSettings& s, int looks, Ran* shown = nullptr) {
    std::vector<std::byte> kept;
    RunPauses pauses;
    pauses.stop = [&] { return --looks < 0; };
    pauses.checkpoint = [&](const RunPauses::Save& save, bool now) -> Outcome<void> {
        if (!now) return {};
        Saver saver;
        save(saver);
        kept = saver.take();
        return {};
    };
    Ran ran = run(s, pauses);
    CHECK_FALSE(ran.result.complete);
    if (shown != nullptr) *shown = std::move(ran);
    return kept;
}

}  // namespace

TEST_CASE("a PDBO run that is stopped anywhere goes on to the bit") {
    const PdboSettings s = small_world();
    const Ran whole = run(s);
    // In the first stage, at its end, at the end of the second before and after its outer step, and late.
    for (const int looks : {1, 10, 22, 23, 24, 46, 47, 48, 60}) {
        INFO(looks);
        Ran shown;
        RunPauses pauses;
        pauses.earlier = stopped_after(s, looks, &shown);
        CHECK_FALSE(shown.result.history.empty());  // there is something to show in any case
        REQUIRE_FALSE(pauses.earlier.empty());
        const Ran rest = run(s, pauses);
        check_same(rest, whole);
        CHECK(rest.rows_kept == 3);
    }
}

TEST_CASE("a PDBO run made longer is the longer one, also from where it was stopped") {
    PdboSettings s = small_world();
    s.outer_steps = 4;
    const Ran whole = run(s);
    for (const int looks : {10, 30, 50}) {
        INFO(looks);
        PdboSettings shorter = s;
        shorter.outer_steps = 2;
        RunPauses pauses;
        pauses.earlier = stopped_after(shorter, looks);
        check_same(run(s, pauses), whole);
    }
    RunPauses pauses;
    pauses.earlier = stopped_after(s, 60);
    s.outer_steps = 1;
    const auto less = try_run(s, pauses);
    REQUIRE_FALSE(less);
    CHECK(less.error().text.find("method.outer_steps: 2 are done already") == 0);
    // By gradients a stage's length depends on how many there are.
    s.outer_steps = 4;
    s.method = PdboMethod::sgp;
    s.budget = PdboBudget::gradients;
    pauses.earlier = stopped_after(s, 60);
    s.outer_steps = 9;
    const auto other = try_run(s, pauses);
    REQUIRE_FALSE(other);
    CHECK(other.error().text.find("begin a run of that length") != std::string::npos);
    // What was saved of other agents, or is cut off, is refused.
    s.outer_steps = 4;
    s.agents = 9;
    CHECK_FALSE(try_run(s, pauses));
    s.agents = 8;
    pauses.earlier.resize(pauses.earlier.size() / 2);
    CHECK_FALSE(try_run(s, pauses));
}
