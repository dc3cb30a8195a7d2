// SPDX-License-Identifier: Apache-2.0
#include "aggregate_network.hpp"

#include <array>
#include <cstring>
#include <optional>

using namespace dunlin;
using namespace dunlin::test;

namespace {

constexpr Mass one = Mass{1} << 48;

/// A node of `degree` + 1 whose edges close, with the memory that it lives in.
struct Lone {
    Lone(std::uint32_t degree, PushSumSettings change = {})
        : memory(PushSum<>::memory(2, 1, degree, change.reclaims)) {
        settings = change;
        settings.nodes = degree + 1;
        settings.dimension = 2;
        settings.in_neighbours = sources;
        settings.out_degree = degree;
        settings.largest_value = 100.0f;
        settings.edges_close = true;
        Arena arena = memory.arena();
        node.emplace(*PushSum<>::make(settings, std::array{4.0f, -7.0f}, arena));
        told.resize(2);
    }
    Woken<Mass> wake() { return *node->wake(node->tick() + 1, 0.0f, {}); }
    Mass told_weight(std::uint32_t edge) { return node->share_to(edge, told).weight; }
    std::vector<std::byte> bytes() const { return {node->state().begin(), node->state().end()}; }
    std::pair<std::vector<Mass>, Mass> held() const {
        return {{node->held().begin(), node->held().end()}, node->held_weight()};
    }

    std::array<std::uint32_t, 1> sources{1};
    PushSumSettings settings;
    Memory memory;
    std::optional<PushSum<>> node;
    std::vector<Mass> told;
};

}  // namespace

TEST_CASE(
    "an edge whose receiver confirms nothing gets a quarter of y at most, whatever the degree and the rounds") {
    for (const std::uint32_t degree : {1u, 2u, 3u, 7u, 20u}) {
        Lone lone(degree);
        for (int tick = 0; tick < 200; ++tick) {
            const Mass before = lone.node->held_weight();
            std::vector<Mass> open(degree);
            for (std::uint32_t edge = 0; edge < degree; ++edge) open[edge] = lone.node->outstanding(edge);
            lone.wake();
            for (std::uint32_t edge = 0; edge < degree; ++edge) {
                CHECK((lone.node->outstanding(edge) == open[edge] || lone.node->outstanding(edge) <= before / 4));
            }
        }
        CHECK(lone.node->weight() > 0.047f);  // all at once: 1/(d+ + 1)
        std::vector<Mass> x(2);
        Mass y = 0;
        lone.node->add_mass(x, y);
        CHECK(y == one);
        CHECK(x == std::vector<Mass>{4 * one, -7 * one});
    }
}

TEST_CASE("without the limit a neighbour that confirms nothing takes all there is") {
    Lone lone(1, {.weight_floor = 0x1p-12f, .outstanding_limit = PushSumSettings::unlimited});
    for (int tick = 0; tick < 200; ++tick) lone.wake();
    CHECK(lone.node->weight() < 1e-3f);
}

TEST_CASE("a node to whom nobody gives anything keeps a part of its weight, and goes on learning") {
    for (const std::uint32_t degree : {1u, 3u, 7u}) {
        Lone lone(degree);
        const std::array gradient{1.0f, -1.0f};
        for (int tick = 0; tick < 200; ++tick) {
            const auto woken = lone.node->wake(tick, 0.01f, gradient);
            REQUIRE(woken);
            CHECK(woken->step_size == 0.01f);
            for (std::uint32_t edge = 0; edge < degree; ++edge)  // all of them take all they are given
                REQUIRE(lone.node->confirm(edge, tick, lone.told_weight(edge)));
        }
        CHECK(lone.node->weight() >= 0.25f / static_cast<float>(degree + 1));
        CHECK(lone.node->weight() < 0.5f);
        CHECK(lone.node->owed() == 0.0);
    }
}

TEST_CASE("an edge goes on as soon as its receiver confirms, and the other edges do not wait for it") {
    Lone lone(2);
    for (int tick = 0; tick < 5; ++tick) lone.wake();
    const Mass stuck = lone.told_weight(0);
    CHECK(stuck == one / 4);
    REQUIRE(lone.node->confirm(1, lone.node->tick(), lone.told_weight(1)));
    const Woken<Mass> woken = lone.wake();
    CHECK(woken.withheld == 1);
    CHECK(lone.told_weight(0) == stuck);
    CHECK(lone.told_weight(1) > stuck);
    REQUIRE(lone.node->confirm(0, lone.node->tick(), stuck));
    CHECK(lone.wake().withheld == 1);
    CHECK(lone.told_weight(0) > stuck);
}

TEST_CASE("only a newer counter and a weight that was sent are a confirmation [invariant 3]") {
    Lone lone(1);
    lone.wake();
    lone.wake();
    const Mass told = lone.told_weight(0);
    const std::vector<std::byte> before = lone.bytes();
    const auto refused = [&](std::int64_t kappa, Mass weight) {
        const auto known = lone.node->confirm(0, kappa, weight);
        return !known && known.error().code == Code::never_sent && lone.bytes() == before;
    };
    CHECK(refused(0, told + 1));
    CHECK(refused(0, -1));
    CHECK(refused(2, told));
    CHECK(lone.node->outstanding(0) == told);
    REQUIRE(lone.node->confirm(0, 1, told / 2));
    CHECK(lone.node->outstanding(0) == told - told / 2);
    REQUIRE(lone.node->confirm(0, 0, told));  // older, so it says nothing
    REQUIRE(lone.node->confirm(0, 1, told));
    CHECK(lone.node->outstanding(0) == told - told / 2);
    lone.wake();
    CHECK(lone.node->confirm(0, 2, told / 2 - 1).error() == Error{Code::never_sent, 0, 2});
}

TEST_CASE("what a step has beyond the ratio limit is owed, and taken later to the last bit of its size") {
    for (const float limit : {0.25f, 1.0f}) {
        Lone lone(1, {.outstanding_limit = PushSumSettings::unlimited, .step_ratio_limit = limit});
        const std::array gradient{1.0f, 0.5f};
        double wanted = 0, taken = 0;
        std::int64_t tick = 0;
        for (; tick < 8; ++tick) {
            const float y = lone.node->weight();
            const auto woken = lone.node->wake(tick, 0.125f, gradient);
            REQUIRE(woken);
            CHECK(woken->step_size <= limit * y);
            wanted += 0.125;
            taken += static_cast<double>(woken->step_size);
            CHECK(taken + lone.node->owed() == wanted);
        }
        CHECK(lone.node->owed() > 0.25);
        const std::array<Mass, 2> x{0, 0};
        REQUIRE(lone.node->receive({1, 0, x, one}));
        REQUIRE(lone.node->wake(tick++, 0.0f, {}));
        CHECK(taken + lone.node->owed() == wanted);  // no gradient, no step, and nothing forgotten
        for (int more = 0; more < 40 && lone.node->owed() > 0; ++more) {
            REQUIRE(lone.node->receive({1, tick, x, (more + 2) * one / 8 + one}));
            const auto woken = lone.node->wake(tick++, 0.0f, gradient);
            REQUIRE(woken);
            taken += static_cast<double>(woken->step_size);
        }
        CHECK(lone.node->owed() == 0);
        CHECK(taken == wanted);
        std::vector<Mass> mass(2);
        Mass y = 0;
        lone.node->add_mass(mass, y);
        CHECK(mass[0] == 4 * one - static_cast<Mass>(taken * static_cast<double>(one)));
    }
}

TEST_CASE("what a fenced receiver never confirmed comes back exactly, and its edge stays closed [invariant 1]") {
    Lone lone(2, {.reclaims = true});
    const auto [x, y] = lone.held();
    lone.wake();
    REQUIRE(lone.node->confirm(0, 0, lone.told_weight(0)));
    const Mass confirmed = lone.told_weight(0);
    const std::vector<Mass> confirmed_x(lone.node->share_to(0, lone.told).values.begin(),
                                        lone.node->share_to(0, lone.told).values.end());
    lone.wake();
    CHECK(lone.node->outstanding(0) > 0);
    lone.wake();  // nothing for edge 0 before it has confirmed
    const auto back = lone.node->reclaim(0, Fenced{});
    REQUIRE(back);
    CHECK(*back > 0);
    CHECK(*lone.node->reclaim(0, Fenced{}) == 0);
    const auto other = lone.node->reclaim(1, Fenced{});  // confirmed nothing: all comes back
    REQUIRE(other);
    const auto [x_now, y_now] = lone.held();
    CHECK(y_now == y - confirmed);
    for (std::size_t k = 0; k < 2; ++k) CHECK(x_now[k] == x[k] - confirmed_x[k]);
    lone.node->open_edge(0);
    CHECK(lone.node->edge_closed(0));
    lone.wake();
    CHECK(lone.held().second == y_now);
    CHECK(lone.told_weight(0) == confirmed);
    CHECK(lone.told_weight(1) == 0);
}

TEST_CASE("with a receiver's final counter its share comes back, or is known to have come") {
    for (const bool came : {false, true}) {
        Lone lone(1, {.reclaims = true});
        lone.wake();
        REQUIRE(lone.node->confirm(0, 0, lone.told_weight(0)));
        const Mass first = lone.told_weight(0);
        lone.wake();
        const Mass second = lone.told_weight(0);
        CHECK(second > first);
        const std::vector<std::byte> before = lone.bytes();
        const auto wrong = lone.node->reclaim(0, FinalCounter<Mass>{1, first + 1});
        CHECK(wrong.error() == Error{Code::never_sent, 0, 1});
        CHECK(lone.node->reclaim(0, FinalCounter<Mass>{-1, 0}).error().code == Code::never_sent);
        CHECK(lone.bytes() == before);
        const FinalCounter<Mass> last = came ? FinalCounter<Mass>{1, second} : FinalCounter<Mass>{0, first};
        const auto back = lone.node->reclaim(0, last);
        REQUIRE(back);
        CHECK(*back == (came ? 0 : second - first));
        CHECK(lone.held().second == one - (came ? second : first));
    }
    Lone keeps_nothing(1);
    keeps_nothing.wake();
    CHECK(keeps_nothing.node->reclaim(0, Fenced{}).error() == Error{Code::bad_setting, 11});
}

TEST_CASE("a shift multiplies x and y by a power of two exactly, or nothing") {
    const std::uint32_t other = 1;
    PushSumSettings settings{.nodes = 8, .dimension = 2, .in_neighbours = {&other, 1}, .out_degree = 1};
    settings.largest_value = 1000.0f;
    Memory memory(PushSum<>::memory(2, 1));
    Arena arena = memory.arena();
    const std::array<Mass, 2> held{12345 * one / 4 + 7, -3};
    auto node = PushSum<>::carry_over(settings, held, one / 5, 3, 0.5, arena);
    REQUIRE(node);
    std::array<float, 2> before{}, after{};
    node->estimate(before);
    REQUIRE(node->shift(2));
    CHECK(node->held()[0] == 4 * held[0]);
    CHECK(node->held()[1] == 4 * held[1]);
    CHECK(node->held_weight() == 4 * (one / 5));
    node->estimate(after);
    CHECK(before == after);
    CHECK(node->owed() == 0.5);
    const std::vector<std::byte> state(node->state().begin(), node->state().end());
    CHECK(node->shift(3).error() == Error{Code::mass_overflow, 0});
    CHECK(node->shift(60).error() == Error{Code::mass_overflow, -1});
    CHECK(node->shift(64).error() == Error{Code::mass_overflow, -1});
    CHECK(std::equal(state.begin(), state.end(), node->state().begin()));
    Arena again = memory.arena();
    auto heavy = PushSum<>::carry_over(settings, std::array<Mass, 2>{1, 1}, 5 * one, 3, 0.5, again);
    REQUIRE(heavy);
    CHECK(heavy->shift(1).error().code == Code::impossible_weight);
}

TEST_CASE("a state of before edges had a limit goes on where edges do not close, and is refused where they do") {
    const std::uint32_t other = 1;
    PushSumSettings settings{.nodes = 2, .dimension = 1, .in_neighbours = {&other, 1}, .out_degree = 1};
    Memory memory(PushSum<>::memory(1, 1));
    Arena arena = memory.arena();
    auto node = PushSum<>::make(settings, std::array{0.5f}, arena);
    REQUIRE(node);
    // The layout is what it was: identity, kappa, owed, a word, y, phi_y, pending_y; source; x, phi, pending, rho.
    const auto words = [&](std::size_t at) {
        std::uint64_t word = 0;
        std::memcpy(&word, node->state().data() + at, sizeof word);
        return word;
    };
    CHECK(words(0) == 0x50530001);
    CHECK(node->state().size() ==
          Arena::bytes<std::uint64_t>(12) + Arena::bytes<std::uint64_t>(4) + 4 * Arena::bytes<Mass>(1));
    CHECK(words(9 * 8) == one);
    REQUIRE(PushSum<>::resume(settings, memory.bytes().first(node->state().size())));

    settings.edges_close = true;
    Memory closable(PushSum<>::memory(1, 1, 1));
    const std::uint64_t old_kind = 0x50530001;
    std::memcpy(closable.bytes().data(), &old_kind, sizeof old_kind);
    for (const std::size_t size :
         {node->state().size() + Arena::bytes<std::uint64_t>(4), PushSum<>::memory(1, 1, 1)}) {
        const auto resumed = PushSum<>::resume(settings, closable.bytes().first(size));
        REQUIRE_FALSE(resumed);
        CHECK(resumed.error() == Error{Code::state_mismatch, 0});
    }
}

TEST_CASE("wrong limits are told apart") {
    const std::uint32_t other = 1;
    const auto error = [&](auto change) {
        PushSumSettings settings{.nodes = 2, .dimension = 1, .in_neighbours = {&other, 1}, .out_degree = 1};
        settings.edges_close = true;
        change(settings);
        const auto checked = settings.check();
        return checked ? Error{} : checked.error();
    };
    using S = PushSumSettings;
    CHECK(error([](S&) {}) == Error{});
    CHECK(error([](S& s) { s.outstanding_limit = S::unlimited; }) == Error{});
    for (const float limit : {0.0f, -1.0f, 1.5f, NAN, 1e-9f})
        CHECK(error([&](S& s) { s.outstanding_limit = limit; }) == Error{Code::bad_setting, 9});
    for (const float limit : {0.0f, -1.0f, NAN})
        CHECK(error([&](S& s) { s.step_ratio_limit = limit; }) == Error{Code::bad_setting, 10});
    for (const float kept : {-0.1f, 0.6f, NAN})
        CHECK(error([&](S& s) { s.weight_kept = kept; }) == Error{Code::bad_setting, 12});
    CHECK(error([](S& s) { s.reclaims = true; }) == Error{});
    CHECK(error([](S& s) {
              s.edges_close = false;
              s.reclaims = true;
          }) == Error{Code::bad_setting, 11});
}
