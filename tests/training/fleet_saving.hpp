// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/host/archive.hpp"
#include "training/simulation/gossip_fleet.hpp"

#include <functional>
#include <memory>

#include <catch2/catch.hpp>

namespace dunlin::test {

/// Of two fleets that `make` makes, one lives until `end` and one until `saved_at`; a third, with two threads, goes
/// on from there. All that can be told of the first and the third must be the same.
inline void goes_on_the_same(const std::function<std::unique_ptr<GossipFleet>(int threads)>& make,
                             simulation::Time saved_at, simulation::Time end, int threads = 2) {
    const auto whole = make(1), first = make(1), second = make(threads);
    if (const auto lived = whole->run(end); !lived) FAIL(lived.error().text);
    REQUIRE(first->run(saved_at));
    Saver saver;
    first->save(saver);
    Loader loader(saver.bytes());
    REQUIRE(second->restore(loader));
    REQUIRE(loader.done());
    CHECK(second->trace() == first->trace());
    CHECK(second->mass_error() == first->mass_error());
    REQUIRE(second->run(end));
    CHECK(second->trace() == whole->trace());
    CHECK(second->estimates() == whole->estimates());
    CHECK(second->mass_error() == whole->mass_error());
    CHECK(second->mean() == whole->mean());
    const GossipCounters found = second->counters(), wanted = whole->counters();
    CHECK(found.wake_ups == wanted.wake_ups);
    CHECK(found.waits == wanted.waits);
    CHECK(found.gradients == wanted.gradients);
    CHECK(found.crashes == wanted.crashes);
    CHECK(found.withheld == wanted.withheld);
    CHECK(found.epochs == wanted.epochs);
    CHECK(second->messages().sent == whole->messages().sent);
    CHECK(second->messages().lost == whole->messages().lost);
    CHECK(second->messages().duplicated == whole->messages().duplicated);
}

}  // namespace dunlin::test
