// SPDX-License-Identifier: Apache-2.0
#include "aggregate_memory.hpp"
#include "core/aggregate/scaffold.hpp"
#include "core/random.hpp"

#include <cmath>
#include <deque>
#include <vector>

using namespace dunlin;
using namespace dunlin::test;

namespace {

/// f_i(x) = a_i / 2 |x - b_i|^2 in two components: clients that curve differently aim at different places.
struct Client {
    float curvature;
    std::vector<float> centre;

    std::vector<float> gradient(ConstVector<float> x) const {
        return {curvature * (x[0] - centre[0]), curvature * (x[1] - centre[1])};
    }
};
const std::vector<Client> clients = {
    {0.2f, {4.0f, 0.0f}}, {1.0f, {-1.0f, 3.0f}}, {3.0f, {0.5f, -2.0f}}, {8.0f, {-2.0f, 1.0f}}};

/// Where the mean of all losses is least.
std::vector<double> optimum() {
    std::vector<double> sum(2);
    double weight = 0;
    for (const Client& client : clients) {
        for (std::size_t k = 0; k < 2; ++k)
            sum[k] += static_cast<double>(client.curvature) * static_cast<double>(client.centre[k]);
        weight += static_cast<double>(client.curvature);
    }
    return {sum[0] / weight, sum[1] / weight};
}

double distance(ConstVector<float> model) {
    const std::vector<double> best = optimum();
    return std::hypot(static_cast<double>(model[0]) - best[0], static_cast<double>(model[1]) - best[1]);
}

constexpr std::uint32_t steps = 20;
constexpr float rate = 0.05f;

/// A server of a rule and its four clients.
template <class Rule>
struct Fleet {
    using Server = typename MachinesOf<Rule>::Server;
    using Machine = typename MachinesOf<Rule>::Client;

    std::deque<Memory> memory;
    std::vector<Server> server;
    std::vector<Machine> machines;

    Fleet() {
        const RuleSettings settings{.local_steps = steps, .local_rate = rate};
        const std::vector<float> first(2);
        memory.emplace_back(Server::memory(2, 4));
        Arena arena = memory.back().arena();
        auto made = Server::make({.nodes = 4, .dimension = 2}, Rule::of(settings), first, arena);
        REQUIRE(made);
        server.push_back(std::move(*made));
        for (std::uint32_t i = 0; i < 4; ++i) {
            memory.emplace_back(Machine::memory(2));
            Arena own = memory.back().arena();
            auto client = Machine::make({.node = i, .dimension = 2, .local_steps = steps, .local_rate = rate}, own);
            REQUIRE(client);
            machines.push_back(std::move(*client));
        }
    }

    void round(std::vector<std::uint32_t> participants) {
        REQUIRE(server[0].begin_round(participants));
        const std::vector<float> sent(server[0].download().begin(), server[0].download().end());
        const std::uint64_t version = server[0].version();
        for (const std::uint32_t i : participants) {
            REQUIRE(machines[i].download(sent, version));
            while (!machines[i].done()) REQUIRE(machines[i].step(clients[i].gradient(machines[i].parameters())));
            const auto update = machines[i].upload();
            REQUIRE(update);
            REQUIRE(server[0].receive(*update).outcome != Reception::refused);
        }
        CHECK(server[0].version() == version + 1);
    }
};

}  // namespace

TEST_CASE("with many local steps SCAFFOLD reaches the exact optimum of clients that differ, and FedAvg does not") {
    Fleet<ScaffoldRule> scaffold;
    Fleet<FedAvgRule> average;
    for (int r = 0; r < 200; ++r) {
        scaffold.round({0, 1, 2, 3});
        average.round({0, 1, 2, 3});
    }
    CHECK(distance(scaffold.server[0].model()) < 1e-5);
    // FedAvg's fixed point: where the mean of (1 - (1 - eta a_i)^Q) (x - b_i) is zero.
    double sum[2] = {}, weight = 0;
    for (const Client& client : clients) {
        const double moved = 1 - std::pow(1 - static_cast<double>(rate) * static_cast<double>(client.curvature),
                                          static_cast<double>(steps));
        for (std::size_t k = 0; k < 2; ++k) sum[k] += moved * static_cast<double>(client.centre[k]);
        weight += moved;
    }
    CHECK(static_cast<double>(average.server[0].model()[0]) == Approx(sum[0] / weight).margin(1e-5));
    CHECK(static_cast<double>(average.server[0].model()[1]) == Approx(sum[1] / weight).margin(1e-5));
    CHECK(distance(average.server[0].model()) > 0.3);
}

TEST_CASE("SCAFFOLD with half of its clients in a round reaches the same optimum") {
    Fleet<ScaffoldRule> scaffold;
    Stream random(4, 0, Purpose::user);
    for (int r = 0; r < 2000; ++r) {
        const std::uint32_t first = random.below(3), second = first + 1 + random.below(3 - first);
        scaffold.round({first, second});
    }
    CHECK(distance(scaffold.server[0].model()) < 1e-4);
}

TEST_CASE("SCAFFOLD's server knows the mean of control variates that it is never told") {
    Fleet<ScaffoldRule> scaffold;
    for (const std::vector<std::uint32_t>& participants :
         {std::vector<std::uint32_t>{1}, {0, 2}, {0, 1, 2, 3}, {3}, {1, 3}}) {
        scaffold.round(participants);
        for (std::size_t k = 0; k < 2; ++k) {
            float mean = 0;
            for (const ScaffoldClient& client : scaffold.machines) mean += client.variate()[k] / 4;
            CHECK(scaffold.server[0].variate()[k] == Approx(mean).margin(1e-5));
        }
    }
    CHECK(scaffold.server[0].download().size() == 4);
}

TEST_CASE("SCAFFOLD's machines go on from a stored state, and refuse gradients and models of another size") {
    Fleet<ScaffoldRule> one, two;
    one.round({0, 1, 2, 3});
    REQUIRE(two.server[0].restore(one.server[0].state()));
    for (std::size_t i = 0; i < 4; ++i) REQUIRE(two.machines[i].restore(one.machines[i].state()));
    one.round({0, 2});
    two.round({0, 2});
    CHECK(std::equal(one.server[0].download().begin(), one.server[0].download().end(),
                     two.server[0].download().begin()));
    const std::vector<float> model(2), both(4), broken = {0.0f, 0.0f, NAN, 0.0f};
    CHECK(one.machines[0].download(model, 9).error().code == Code::shape_mismatch);
    CHECK(one.machines[0].download(broken, 9).error().code == Code::not_finite);
    REQUIRE(one.machines[0].download(both, 9));
    CHECK(one.machines[0].step(both).error().code == Code::shape_mismatch);
    CHECK(one.machines[0].step(std::vector<float>{NAN, 0.0f}).error().code == Code::not_finite);
    CHECK_FALSE(one.server[0].close_round());
    REQUIRE(one.server[0].begin_round(std::vector<std::uint32_t>{0}));
    CHECK(*one.server[0].close_round() == 0);
}
