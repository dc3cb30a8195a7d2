// SPDX-License-Identifier: Apache-2.0
#include "aggregate_memory.hpp"
#include "allocations.hpp"
#include "core/aggregate/server_rules.hpp"
#include "core/robust/defended_rows.hpp"

#include <cmath>
#include <utility>
#include <vector>

using namespace dunlin;
using namespace dunlin::test;

namespace {

constexpr RobustSum sums[] = {RobustSum::median, RobustSum::trimmed_mean, RobustSum::geometric_median,
                              RobustSum::krum,   RobustSum::multi_krum,   RobustSum::centred_clipping};

/// What a defence makes of such rows, from a last sum.
std::vector<float> combined(const Defence& defence, std::vector<std::vector<float>> rows,
                            std::vector<float> last = {}) {
    const std::size_t count = rows.size(), d = rows.front().size();
    std::vector<float> flat;
    for (const std::vector<float>& row : rows) flat.insert(flat.end(), row.begin(), row.end());
    Memory memory(Defence::memory(d, count));
    Arena arena = memory.arena();
    Stream random(7, 0, Purpose::defence);
    last.resize(d);
    defence.combine({flat.data(), count, d}, random, last, Defence::scratch(d, count, arena));
    return last;
}

Defence plain(RobustSum sum) {
    return {.sum = sum, .mixing = RobustMixing::none, .adaptive_clipping = false};
}

/// The bound kappa of |sum - honest mean|^2 <= kappa * variance of the honest (Allouah et al. 2023, table 1).
double bound_of(RobustSum sum, double n, double f) {
    const double ratio = f / (n - 2 * f);
    switch (sum) {
        case RobustSum::trimmed_mean:
            return 6 * ratio * (1 + ratio);
        case RobustSum::krum:
        case RobustSum::multi_krum:
            return 6 * (1 + ratio);
        default:
            return 4 * (1 + ratio) * (1 + ratio);
    }
}

}  // namespace

TEST_CASE("robust sums of a few numbers are what a hand finds") {
    const std::vector<std::vector<float>> rows{{1}, {9}, {2}, {100}, {4}};
    CHECK(combined(plain(RobustSum::median), rows)[0] == 4);
    CHECK(combined(plain(RobustSum::trimmed_mean), rows)[0] == 5);  // of 2, 4 and 9
    CHECK(combined(plain(RobustSum::geometric_median), rows)[0] == Approx(4).margin(0.05));
    CHECK(combined(plain(RobustSum::krum), rows)[0] == 2);        // 1 and 4 lie around it
    CHECK(combined(plain(RobustSum::multi_krum), rows)[0] == 4);  // without 100
    CHECK(combined(plain(RobustSum::median), {{1, 8}, {3, 2}, {5, 4}, {7, 6}}) == std::vector<float>{4, 5});
    CHECK(combined(plain(RobustSum::mean), rows)[0] == Approx(23.2));
}

TEST_CASE("the geometric median meets the closed form of a triangle") {
    // Where no angle reaches 120 degrees all three sides are seen under 120: Fermat's point, here in the centre.
    const float height = std::sqrt(3.0f) / 2;
    const auto point = combined(plain(RobustSum::geometric_median), {{0, 0}, {1, 0}, {0.5f, height}});
    CHECK(point[0] == Approx(0.5).margin(1e-3));
    CHECK(point[1] == Approx(height / 3).margin(1e-3));
}

TEST_CASE("centred clipping moves by the clipped differences") {
    Defence defence = plain(RobustSum::centred_clipping);
    defence.radius = 1;
    // From 0, five steps: 4 of 5 rows at 0 hold it, one pulls by 1/5 and is pulled back: v := v + (1 - 4 v) / 5.
    double expected = 0;
    for (int k = 0; k < 5; ++k) expected += (1 - 4 * expected) / 5;
    CHECK(combined(defence, {{0}, {0}, {0}, {0}, {1000}})[0] == Approx(expected));
}

TEST_CASE("mixing and clipping do what their papers say") {
    Defence nearest = plain(RobustSum::median);
    nearest.mixing = RobustMixing::nearest;
    // One of four lies: each honest row becomes the mean of three honest ones, and so does their median.
    CHECK(combined(nearest, {{1}, {2}, {3}, {1000}})[0] == Approx(2));
    Defence clipped = plain(RobustSum::trimmed_mean);
    clipped.adaptive_clipping = true;
    // floor(2/5 * 4) = 1 row is scaled down to the norm of the next: 100 to 9; of 1, 9, 2, 9 and 4 the middle three.
    CHECK(combined(clipped, {{1}, {9}, {2}, {100}, {4}})[0] == Approx(5));
    CHECK(combined(clipped, {{1}, {9}, {2}, {-100}, {4}})[0] == Approx((1 + 2 + 4) / 3.0));
    // Buckets keep the mean where they are of one size.
    Defence buckets = plain(RobustSum::trimmed_mean);
    buckets.mixing = RobustMixing::bucketing;
    CHECK(combined(buckets, {{1}, {1}, {1}, {1}, {1}, {1000}})[0] == 1);
}

TEST_CASE("liars within the stated number move a robust sum no further than its bound [invariant 14]") {
    Stream random(3, 0, Purpose::user);
    for (int trial = 0; trial < 60; ++trial) {
        const std::size_t n = 10 + random.below(10), d = 1 + random.below(6);
        Defence defence;
        const std::size_t f = defence.liars(n);
        std::vector<std::vector<float>> rows;
        std::vector<double> mean(d);
        for (std::size_t i = 0; i < n - f; ++i) {
            rows.emplace_back();
            for (std::size_t k = 0; k < d; ++k) {
                rows.back().push_back(random.normal());
                mean[k] += static_cast<double>(rows.back()[k]) / static_cast<double>(n - f);
            }
        }
        double variance = 0;
        for (const std::vector<float>& row : rows) {
            for (std::size_t k = 0; k < d; ++k)
                variance += std::pow(static_cast<double>(row[k]) - mean[k], 2) / static_cast<double>(n - f);
        }
        const float size = std::pow(10.0f, 6 * random.uniform() - 1);
        for (std::size_t i = 0; i < f; ++i) rows.push_back(std::vector<float>(d, size));
        for (const RobustSum sum : sums) {
            if (sum == RobustSum::centred_clipping) continue;  // its bound holds over rounds
            const std::vector<float> found = combined(plain(sum), rows);
            double off = 0;
            for (std::size_t k = 0; k < d; ++k) off += std::pow(static_cast<double>(found[k]) - mean[k], 2);
            INFO("sum " << static_cast<int>(sum) << " of " << n << ", " << d << " numbers, size " << size);
            CHECK(off <= bound_of(sum, static_cast<double>(n), static_cast<double>(f)) * variance * (1 + 1e-4));
        }
    }
}

TEST_CASE("with every mixing, honest members that agree are not moved") {
    for (const RobustSum sum : sums) {
        for (const RobustMixing mixing : {RobustMixing::none, RobustMixing::nearest, RobustMixing::bucketing}) {
            for (const float lie : {-1e6f, 3.0f, 1e6f}) {
                INFO(static_cast<int>(sum) << " " << static_cast<int>(mixing) << " " << lie);
                std::vector<std::vector<float>> rows(9, {1.0f, -2.0f});
                rows.push_back({lie, lie});
                Defence defence{.sum = sum, .mixing = mixing, .liars_share = 0.1f};
                const std::vector<float> found = combined(defence, rows, {1.0f, -2.0f});
                CHECK(found[0] == Approx(1).margin(1e-3));
                CHECK(found[1] == Approx(-2).margin(1e-3));
            }
        }
    }
}

namespace {

/// A server of rounds with a defence, of five members and two numbers.
struct Defended {
    using Server = FederatedServer<FedAvgRule, DefendedRows>;

    explicit Defended(const Defence& defence)
        : memory(Server::memory(2, 5)), server([&] {
              Arena arena = memory.arena();
              return Server::make({.nodes = 5, .dimension = 2}, {}, first, arena, {defence, 1});
          }()) {}

    /// A round in which these members send a number twice.
    void round(const std::vector<std::pair<std::uint32_t, float>>& sent, float samples = 1) {
        REQUIRE(server->begin_round(everybody));
        ++sequence;
        for (const auto& [node, value] : sent) {
            const float values[2] = {value, value};
            CHECK(server->receive({node, 0, sequence, server->version(), node == 4 ? samples : 1.0f, values})
                      .outcome != Reception::refused);
        }
        if (server->round_running()) REQUIRE(server->close_round());
    }

    std::vector<float> first{10, 10};
    std::vector<std::uint32_t> everybody{0, 1, 2, 3, 4};
    Memory memory;
    Result<Server> server;
    std::uint64_t sequence = 0;
};

}  // namespace

TEST_CASE("a server with a defence counts all alike, whatever samples they claim") {
    Defended fleet(plain(RobustSum::trimmed_mean));
    fleet.round({{0, 1}, {1, 2}, {2, 3}, {3, 2}, {4, 1e5f}}, 1e9f);
    CHECK(fleet.server->model()[0] == Approx(10 - 7.0 / 3));
    CHECK(fleet.server->version() == 1);
}

TEST_CASE("a round of too few members changes nothing and is counted") {
    Defended fleet(plain(RobustSum::median));
    fleet.round({{0, 1}, {1, 2}});
    CHECK(fleet.server->model()[0] == 10);
    CHECK(fleet.server->version() == 0);
    CHECK(fleet.server->gathering().undefended() == 1);
    fleet.round({{0, 1}, {1, 1}, {2, 1}});
    CHECK(fleet.server->model()[0] == 9);
    CHECK(fleet.server->gathering().undefended() == 1);
}

TEST_CASE("one member cannot fill a buffer by itself: its updates are one, their mean") {
    using Server = FederatedServer<FedBuffRule, DefendedRows>;
    Memory memory(Server::memory(1, 5));
    Arena arena = memory.arena();
    const float first[1] = {0};
    auto server = Server::make({.nodes = 5, .dimension = 1}, {.buffer_size = 3, .staleness_exponent = 0}, first,
                               arena, {plain(RobustSum::median), 1});
    REQUIRE(server);
    const auto send = [&](std::uint32_t node, std::uint64_t sequence, float value) {
        return server->receive({node, 0, sequence, 0, 1.0f, {&value, 1}}).outcome;
    };
    for (std::uint64_t k = 1; k <= 6; ++k) CHECK(send(3, k, 100.0f * static_cast<float>(k)) == Reception::buffered);
    CHECK(server->version() == 0);
    CHECK(send(0, 1, 1) == Reception::buffered);
    CHECK(send(1, 1, 2) == Reception::applied);
    CHECK(server->model()[0] == -2);  // the median of 350, 1 and 2
    CHECK(server->gathering().undefended() == 0);
}

TEST_CASE("momentum sums up each member's history") {
    Defence defence = plain(RobustSum::median);
    defence.momentum = 0.5f;
    Defended fleet(defence);
    fleet.round({{0, 4}, {1, 4}, {2, 4}, {3, 4}, {4, 4}});
    CHECK(fleet.server->model()[0] == 8);  // 10 - 4/2
    fleet.round({{0, 4}, {1, 4}, {2, 4}, {3, 4}, {4, 4}});
    CHECK(fleet.server->model()[0] == 5);  // 8 - (2/2 + 4/2)
}

TEST_CASE("a server with a defence goes on from what it stored, in the middle of a round") {
    Defence defence;
    defence.sum = RobustSum::centred_clipping;
    defence.momentum = 0.9f;
    Defended one(defence), other(defence);
    one.round({{0, 1}, {1, 2}, {2, 3}, {3, 4}, {4, 5}});
    REQUIRE(one.server->begin_round(one.everybody));
    const auto send = [](Defended& fleet, std::uint32_t node) {
        const float values[2] = {static_cast<float>(node), 1};
        fleet.server->receive({node, 0, 2, fleet.server->version(), 1.0f, values});
    };
    for (std::uint32_t node : {0u, 1u, 2u}) send(one, node);
    REQUIRE(other.server->restore(one.server->state()));
    for (std::uint32_t node : {3u, 4u}) {
        send(one, node);
        send(other, node);
    }
    CHECK(one.server->version() == 2);
    CHECK(std::equal(one.server->model().begin(), one.server->model().end(), other.server->model().begin()));

    Memory memory(FederatedServer<FedAvgRule>::memory(2, 5));
    Arena arena = memory.arena();
    auto undefended = FederatedServer<FedAvgRule>::make({.nodes = 5, .dimension = 2}, {}, one.first, arena);
    CHECK(!undefended->restore(one.server->state()));  // another server's state
}

TEST_CASE("robust sums allocate nothing") {
    Memory memory(Defence::memory(3, 7));
    Arena arena = memory.arena();
    const RobustScratch scratch = Defence::scratch(3, 7, arena);
    std::vector<float> rows(21), out(3);
    Stream random(1, 0, Purpose::user);
    const std::size_t before = allocations();
    for (const RobustSum sum : sums) {
        for (const RobustMixing mixing : {RobustMixing::none, RobustMixing::nearest, RobustMixing::bucketing}) {
            for (float& value : rows) value = random.normal();
            Defence{.sum = sum, .mixing = mixing}.combine({rows.data(), 7, 3}, random, out, scratch);
        }
    }
    CHECK(allocations() == before);
}
