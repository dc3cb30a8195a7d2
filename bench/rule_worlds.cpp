// SPDX-License-Identifier: Apache-2.0
// Rule worlds alone: random actions in generated tasks on one core, starts of new trajectories counted in; with and without
// what the agent sees.
#include "bench.hpp"
#include "envs/rule_generator.hpp"

#include <string>
#include <vector>

namespace dunlin::bench {
namespace {

void play(benchmark::State& state, RuleWorldSettings settings, bool observes) {
    std::vector<RuleWorld> worlds;
    for (std::uint64_t number = 0; number < 64; ++number) {
        const auto made = make_rule_world(settings, 1, number, RuleSplit::training);
        if (!made) return state.SkipWithError("no such rule world");
        worlds.push_back(*made);
    }
    Stream random(1, 0, Purpose::rollout);
    std::vector<float> seen(static_cast<std::size_t>(worlds.front().observation_size()));
    std::int64_t steps = 0;
    for (auto _ : state) {
        for (const RuleWorld& world : worlds) {
            RuleWorld::State at = world.reset(random);
            for (int h = 0; h < world.horizon(); ++h) {
                ++steps;
                const bool ended = world.step(at, static_cast<int>(random.below(5)), random).ended;
                if (observes) world.observe(at, seen.data(), 1);
                if (ended) break;
            }
            benchmark::DoNotOptimize(at);
            benchmark::DoNotOptimize(seen.data());
        }
    }
    state.counters["M env steps/s"] =
        benchmark::Counter(1e-6 * static_cast<double>(steps), benchmark::Counter::kIsRate);
}

}  // namespace

void register_rule_worlds() {
    RuleWorldSettings usual, large;
    usual.distractors = 3;
    large.side = 9;
    large.rooms = 4;
    large.locked_doors = 2;
    large.rule_depth = 2;
    large.distractors = 4;
    large.distractor_rules = 2;
    large.horizon = 200;
    for (const bool observes : {false, true}) {
        const std::string how = observes ? "/seen" : "/steps alone";
        take_best(benchmark::RegisterBenchmark(("rule worlds 5x5" + how).c_str(), play, usual, observes));
        take_best(benchmark::RegisterBenchmark(("rule worlds 9x9, 4 rooms" + how).c_str(), play, large, observes));
    }
}

}  // namespace dunlin::bench
