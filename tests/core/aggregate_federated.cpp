// SPDX-License-Identifier: Apache-2.0
#include "aggregate_memory.hpp"
#include "core/aggregate/federated_client.hpp"
#include "core/aggregate/server_rules.hpp"

#include <cmath>
#include <vector>

using namespace dunlin;
using namespace dunlin::test;

namespace {

constexpr std::uint32_t nodes = 4;
const std::vector<float> first_model = {1.0f, -2.0f};

template <class Rule>
struct Host {
    Memory memory{FederatedServer<Rule>::memory(2, nodes)};
    Result<FederatedServer<Rule>> made;

    explicit Host(const Rule& rule, ServerSettings settings = {.nodes = nodes, .dimension = 2})
        : made([&] {
              Arena arena = memory.arena();
              return FederatedServer<Rule>::make(settings, rule, first_model, arena);
          }()) {}
    FederatedServer<Rule>& operator*() { return *made; }
    FederatedServer<Rule>* operator->() { return &*made; }
};

struct Upload {
    std::vector<float> values;
    Update update;

    Upload(std::uint32_t node, std::uint64_t sequence, std::uint64_t base_version, std::vector<float> delta)
        : values(std::move(delta)), update{node, 0, sequence, base_version, 1.0f, values} {}
    operator const Update&() {
        update.values = values;
        return update;
    }
};

bool near(ConstVector<float> model, float first, float second) {
    return std::abs(model[0] - first) < 1e-6f && std::abs(model[1] - second) < 1e-6f;
}

template <class Server>
Code refusal(Server& server, const Update& update) {
    const std::vector<std::byte> before(server.state().begin(), server.state().end());
    const Verdict verdict = server.receive(update);
    CHECK(verdict.outcome == Reception::refused);
    CHECK(std::equal(before.begin(), before.end(), server.state().begin()));  // nothing has changed
    return verdict.refusal.code;
}

}  // namespace

TEST_CASE("PersA-FL applies each update as it arrives and counts its staleness") {
    Host<PersaflRule> server({.server_rate = 0.25f});
    CHECK(server->receive(Upload(0, 1, 0, {4.0f, 8.0f})).outcome == Reception::applied);
    CHECK(near(server->model(), 0.0f, -4.0f));
    CHECK(server->version() == 1);
    const Verdict verdict = server->receive(Upload(2, 1, 0, {-4.0f, 4.0f}));
    CHECK(verdict.outcome == Reception::applied);
    CHECK(verdict.staleness == 1);
    CHECK(near(server->model(), 1.0f, -5.0f));
    CHECK(server->version() == 2);
    CHECK(server->staleness_counts()[0] == 1);
    CHECK(server->staleness_counts()[1] == 1);
}

TEST_CASE("an update is applied at most once [invariant 7]") {
    Host<PersaflRule> server({.server_rate = 0.5f});
    Upload update(1, 3, 0, {2.0f, 2.0f});
    CHECK(server->receive(update).outcome == Reception::applied);
    CHECK(refusal(*server, update) == Code::update_duplicate);
    CHECK(refusal(*server, Upload(1, 2, 0, {1.0f, 1.0f})) == Code::update_duplicate);
    CHECK(server->receive(Upload(2, 3, 0, {0.0f, 0.0f})).outcome == Reception::applied);  // another node's third

    Upload reborn(1, 1, 0, {0.0f, 0.0f});
    reborn.update.incarnation = 1;
    CHECK(server->receive(reborn).outcome == Reception::applied);
    CHECK(refusal(*server, reborn) == Code::update_duplicate);
    CHECK(refusal(*server, Upload(1, 9, 0, {1.0f, 1.0f})) == Code::update_duplicate);  // of the incarnation before
}

TEST_CASE(
    "what is stale, from the future, of the wrong size, not finite or too large never reaches the model "
    "[invariant 9]") {
    Host<PersaflRule> server({.server_rate = 0.5f},
                             {.nodes = nodes, .dimension = 2, .staleness_limit = 1, .component_limit = 100.0f});
    CHECK(refusal(*server, Upload(0, 1, 0, {NAN, 0.0f})) == Code::not_finite);
    CHECK(refusal(*server, Upload(0, 1, 0, {0.0f, -INFINITY})) == Code::not_finite);
    CHECK(refusal(*server, Upload(0, 1, 0, {0.0f, -101.0f})) == Code::update_too_large);
    CHECK(refusal(*server, Upload(0, 1, 0, {0.0f})) == Code::shape_mismatch);
    CHECK(refusal(*server, Upload(0, 1, 0, {0.0f, 0.0f, 0.0f})) == Code::shape_mismatch);
    CHECK(refusal(*server, Upload(4, 1, 0, {0.0f, 0.0f})) == Code::out_of_range);
    CHECK(refusal(*server, Upload(0, 1, 1, {0.0f, 0.0f})) == Code::update_from_future);
    Upload weightless(0, 1, 0, {0.0f, 0.0f});
    weightless.update.samples = 0.0f;
    CHECK(refusal(*server, weightless) == Code::out_of_range);

    for (std::uint32_t node = 0; node < 2; ++node) {
        CHECK(server->receive(Upload(node, 1, 0, {100.0f, 0.0f})).outcome == Reception::applied);
    }
    const Verdict verdict = server->receive(Upload(2, 1, 0, {1.0f, 1.0f}));
    CHECK(verdict.outcome == Reception::refused);
    CHECK(verdict.refusal == Error{Code::update_too_stale, 2, 1});
    CHECK(verdict.staleness == 2);
    CHECK(server->receive(Upload(2, 1, 1, {1.0f, 1.0f})).outcome == Reception::applied);  // the same, fresh enough
}

TEST_CASE("FedAsync mixes in a client's model, less the staler it is") {
    Host<FedAsyncRule> server({.mixing = 0.5f, .staleness_exponent = 0.5f});
    CHECK(server->receive(Upload(0, 1, 0, {3.0f, 0.0f})).outcome == Reception::applied);
    CHECK(near(server->model(), 2.0f, -1.0f));
    CHECK(server->receive(Upload(1, 1, 0, {6.0f, 0.0f})).staleness == 1);
    const float mixing = 0.5f / std::sqrt(2.0f);
    CHECK(near(server->model(), 2.0f + mixing * 4.0f, -1.0f + mixing));
    CHECK(polynomial_staleness(8, 0.5f) == Approx(1.0 / 3));
    CHECK(polynomial_staleness(3, 2.0f) == Approx(1.0 / 16));
    CHECK(polynomial_staleness(1000, 0.0f) == 1.0f);
}

TEST_CASE("FedBuff changes the model once per K updates, whoever sends them") {
    Host<FedBuffRule> server({.server_rate = 0.5f, .buffer_size = 3, .staleness_exponent = 0.5f});
    CHECK(server->receive(Upload(0, 1, 0, {3.0f, 0.0f})).outcome == Reception::buffered);
    CHECK(server->receive(Upload(0, 2, 0, {3.0f, 6.0f})).outcome == Reception::buffered);
    CHECK(server->version() == 0);
    CHECK(server->gathered() == 2);
    CHECK(near(server->model(), 1.0f, -2.0f));
    CHECK(server->receive(Upload(1, 1, 0, {6.0f, 0.0f})).outcome == Reception::applied);
    CHECK(near(server->model(), 1.0f - 0.5f * 4.0f, -2.0f - 0.5f * 2.0f));
    CHECK(server->version() == 1);
    CHECK(server->gathered() == 0);
    CHECK(server->receive(Upload(2, 1, 0, {6.0f, 0.0f})).staleness == 1);
    CHECK(server->receive(Upload(3, 1, 1, {0.0f, 0.0f})).outcome == Reception::buffered);
    CHECK(server->receive(Upload(1, 2, 1, {0.0f, 0.0f})).outcome == Reception::applied);
    CHECK(near(server->model(), -1.0f - 0.5f * 6.0f / std::sqrt(2.0f) / 3.0f, -3.0f));
}

TEST_CASE("a round waits for all its participants and takes their mean by samples") {
    Host<FedAvgRule> server({});
    const std::uint32_t all[] = {0, 2, 3};
    CHECK(refusal(*server, Upload(0, 1, 0, {1.0f, 1.0f})) == Code::not_a_participant);  // no round yet
    CHECK(server->close_round().error().code == Code::round_closed);
    REQUIRE(server->begin_round(all));
    CHECK(server->begin_round(all).error() == Error{Code::round_open, 3});
    CHECK(refusal(*server, Upload(1, 1, 0, {1.0f, 1.0f})) == Code::not_a_participant);
    Upload heavy(0, 1, 0, {4.0f, 0.0f});
    heavy.update.samples = 2.0f;
    CHECK(server->receive(heavy).outcome == Reception::buffered);
    CHECK(refusal(*server, Upload(0, 2, 0, {1.0f, 1.0f})) == Code::not_a_participant);  // has delivered
    CHECK(server->receive(Upload(3, 1, 0, {0.0f, 4.0f})).outcome == Reception::buffered);
    CHECK(server->receive(Upload(2, 1, 0, {-4.0f, 0.0f})).outcome == Reception::applied);
    CHECK(near(server->model(), 1.0f - 4.0f / 4.0f, -2.0f - 4.0f / 4.0f));
    CHECK(server->version() == 1);
    CHECK_FALSE(server->round_running());

    // The next round's participant computed from an older model, or never comes.
    const std::uint32_t two[] = {0, 1};
    REQUIRE(server->begin_round(two));
    CHECK(refusal(*server, Upload(1, 1, 0, {1.0f, 1.0f})) == Code::update_too_stale);
    CHECK(server->receive(Upload(1, 1, 1, {2.0f, 0.0f})).outcome == Reception::buffered);
    CHECK(server->close_round() == 1u);
    CHECK(near(server->model(), -2.0f, -3.0f));
    CHECK(server->version() == 2);
    REQUIRE(server->begin_round(two));
    CHECK(server->close_round() == 0u);
    CHECK(server->version() == 2);
    CHECK(near(server->model(), -2.0f, -3.0f));

    const std::uint32_t twice[] = {1, 1}, stranger[] = {0, 4};
    CHECK(server->begin_round(twice).error() == Error{Code::bad_participants, 1});
    CHECK(server->begin_round(stranger).error() == Error{Code::bad_participants, 1});
    CHECK(server->begin_round({}).error().code == Code::bad_participants);
}

TEST_CASE("pFedMe's server mixes the mean of the clients' models with its own") {
    Host<FedAvgRule> server({.server_rate = 0.5f});
    const std::uint32_t both[] = {0, 1};
    REQUIRE(server->begin_round(both));
    server->receive(Upload(0, 1, 0, {1.0f - 3.0f, -2.0f - 0.0f}));  // arrived at (3, 0)
    server->receive(Upload(1, 1, 0, {1.0f - 5.0f, -2.0f - 4.0f}));  // arrived at (5, 4)
    CHECK(near(server->model(), 0.5f * 1.0f + 0.5f * 4.0f, 0.5f * -2.0f + 0.5f * 2.0f));
}

TEST_CASE("settings of a server are refused by name of what is wrong") {
    const auto code = [](const auto& rule, ServerSettings settings = {.nodes = nodes, .dimension = 2}) {
        Host<std::decay_t<decltype(rule)>> server(rule, settings);
        return server.made ? Error{} : server.made.error();
    };
    CHECK(code(PersaflRule{}) == Error{});
    CHECK(code(FedBuffRule{.server_rate = 1.0f, .buffer_size = 5, .staleness_exponent = 0.0f}) ==
          Error{Code::buffer_exceeds_fleet, 5, 4});
    CHECK(code(FedBuffRule{.server_rate = 1.0f, .buffer_size = 0, .staleness_exponent = 0.0f}) ==
          Error{Code::bad_setting, 1});
    CHECK(code(FedBuffRule{.server_rate = 1.0f, .buffer_size = 2, .staleness_exponent = -1.0f}) ==
          Error{Code::bad_setting, 2});
    CHECK(code(PersaflRule{.server_rate = NAN}) == Error{Code::bad_setting, 0});
    CHECK(code(FedAvgRule{.server_rate = 0.0f}) == Error{Code::bad_setting, 0});
    CHECK(code(FedAsyncRule{.mixing = 1.5f, .staleness_exponent = 0.0f}) == Error{Code::bad_setting, 0});
    CHECK(code(FedAsyncRule{.mixing = 0.5f, .staleness_exponent = NAN}) == Error{Code::bad_setting, 1});
    CHECK(code(PersaflRule{}, {.nodes = 0, .dimension = 2}) == Error{Code::bad_setting, 0});
    CHECK(code(PersaflRule{}, {.nodes = nodes, .dimension = 0}) == Error{Code::bad_setting, 1});
    CHECK(code(PersaflRule{}, {.nodes = nodes, .dimension = 1}) == Error{Code::shape_mismatch, 2, 1});
}

TEST_CASE("a server goes on from its stored state, bit for bit [invariants 7 and 8]") {
    Host<FedBuffRule> server({.server_rate = 0.7f, .buffer_size = 3, .staleness_exponent = 0.5f});
    const auto feed = [&](std::uint64_t from, std::uint64_t to) {
        for (std::uint64_t k = from; k < to; ++k) {
            const float value = std::sin(static_cast<float>(k));
            server->receive(Upload(k % nodes, 1 + k, server->version(), {value, 0.3f * value}));
        }
    };
    feed(0, 10);
    const std::vector<std::byte> stored(server->state().begin(), server->state().end());
    feed(10, 20);
    const std::vector<std::byte> end(server->state().begin(), server->state().end());
    REQUIRE(server->restore(stored));
    CHECK(refusal(*server, Upload(1, 10, 0, {1.0f, 1.0f})) ==
          Code::update_duplicate);  // it knows what it has taken
    feed(10, 20);
    CHECK(std::equal(end.begin(), end.end(), server->state().begin(), server->state().end()));
    Host<PersaflRule> other({});
    REQUIRE(other.made);
    CHECK(other->restore(stored).error().code == Code::state_size);
}

TEST_CASE("a client takes Q local steps and uploads how far it went, once") {
    Memory memory(FederatedClient::memory(2));
    Arena arena = memory.arena();
    auto made = FederatedClient::make({.node = 3, .dimension = 2, .local_steps = 2, .local_rate = 0.5f}, arena);
    REQUIRE(made);
    FederatedClient& client = *made;
    const float gradient[] = {1.0f, -2.0f}, bad[] = {NAN, 0.0f}, huge[] = {3e38f, -3e38f}, one[] = {1.0f};
    CHECK(client.upload().error().code == Code::no_model);
    CHECK(client.step(gradient).error().code == Code::no_model);
    CHECK_FALSE(client.done());
    CHECK(client.download(bad, 7).error().code == Code::not_finite);
    REQUIRE(client.download(first_model, 7));
    CHECK(client.upload().error() == Error{Code::local_steps, 0, 2});
    CHECK(client.step(bad).error() == Error{Code::not_finite, 0});
    CHECK(client.step(one).error() == Error{Code::shape_mismatch, 1, 2});
    REQUIRE(client.step(gradient));
    CHECK(near(client.parameters(), 0.5f, -1.0f));
    REQUIRE(client.step(gradient));
    CHECK(client.done());
    CHECK(client.step(gradient).error() == Error{Code::local_steps, 2, 2});
    for (int repeat = 0; repeat < 2; ++repeat) {
        const auto update = client.upload();
        REQUIRE(update);
        CHECK(update->node == 3);
        CHECK(update->sequence == 1);
        CHECK(update->base_version == 7);
        CHECK(near(update->values, 1.0f, -2.0f));
    }
    REQUIRE(client.download(std::vector<float>{-3e38f, 0.0f}, 8));
    CHECK(client.step(huge).error() == Error{Code::not_finite, 0});  // where it would lead
    CHECK(client.parameters()[0] == -3e38f);
}

TEST_CASE("a restarted client repeats the update that it owes under its old number [invariant 7]") {
    Memory memory(FederatedClient::memory(2)), again(FederatedClient::memory(2));
    Arena arena = memory.arena(), rebuilt = again.arena();
    const float gradient[] = {1.0f, 1.0f};
    ClientSettings settings{.node = 1, .incarnation = 0, .dimension = 2};
    auto client = FederatedClient::make(settings, arena);
    REQUIRE(client);
    REQUIRE(client->download(first_model, 0));
    REQUIRE(client->step(gradient));
    const auto update = client->upload();
    REQUIRE(update);
    const std::vector<std::byte> stored(client->state().begin(), client->state().end());
    Host<PersaflRule> server({});
    CHECK(server->receive(*update).outcome == Reception::applied);

    settings.incarnation = 1;
    auto restarted = FederatedClient::make(settings, rebuilt);
    REQUIRE(restarted);
    REQUIRE(restarted->restore(stored));
    const auto repeated = restarted->upload();
    REQUIRE(repeated);
    CHECK(refusal(*server, *repeated) == Code::update_duplicate);
    REQUIRE(restarted->download(server->model(), server->version()));
    REQUIRE(restarted->step(gradient));
    CHECK(server->receive(*restarted->upload()).outcome == Reception::applied);
}

TEST_CASE("FedProx pulls local steps back, and FedAsync uploads the model itself") {
    Memory memory(FederatedClient::memory(2));
    Arena arena = memory.arena();
    auto client = FederatedClient::make(
        {.dimension = 2, .local_steps = 2, .local_rate = 0.5f, .prox_weight = 0.4f, .payload = Payload::model},
        arena);
    REQUIRE(client);
    const float gradient[] = {2.0f, 0.0f};
    REQUIRE(client->download(first_model, 0));
    REQUIRE(client->step(gradient));
    CHECK(near(client->parameters(), 0.0f, -2.0f));
    REQUIRE(client->step(gradient));
    CHECK(near(client->upload()->values, 0.0f - 0.5f * (2.0f - 0.4f), -2.0f));

    Arena other = memory.arena();
    CHECK(FederatedClient::make({.dimension = 2, .local_rate = 1.0f, .prox_weight = 1.0f}, other).error() ==
          Error{Code::bad_setting, 5});
    CHECK(FederatedClient::make({.dimension = 2, .local_steps = 0}, other).error() == Error{Code::bad_setting, 3});
    CHECK(FederatedClient::make({.dimension = 2, .local_rate = NAN}, other).error() == Error{Code::bad_setting, 4});
}

TEST_CASE("asynchronous clients bring PersA-FL to the minimiser of the mean objective") {
    Memory memory(FederatedServer<PersaflRule>::memory(1, nodes));
    Arena arena = memory.arena();
    const float zero[] = {0.0f}, center[] = {1.0f, 2.0f, 4.0f, 9.0f};
    auto server =
        FederatedServer<PersaflRule>::make({.nodes = nodes, .dimension = 1}, {.server_rate = 0.25f}, zero, arena);
    REQUIRE(server);
    std::vector<Memory> memories;
    std::vector<FederatedClient> clients;
    for (std::uint32_t i = 0; i < nodes; ++i) {
        memories.emplace_back(FederatedClient::memory(1));
        Arena own = memories.back().arena();
        clients.push_back(std::move(
            *FederatedClient::make({.node = i, .dimension = 1, .local_steps = 3, .local_rate = 0.05f}, own)));
        REQUIRE(clients[i].download(server->model(), server->version()));
    }
    for (int turn = 0; turn < 4000; ++turn) {  // each delivers from a model that is nodes - 1 versions old
        const std::uint32_t i = static_cast<std::uint32_t>(turn) % nodes;
        while (!clients[i].done()) {
            const float gradient[] = {clients[i].parameters()[0] - center[i]};
            REQUIRE(clients[i].step(gradient));
        }
        CHECK(server->receive(*clients[i].upload()).outcome == Reception::applied);
        REQUIRE(clients[i].download(server->model(), server->version()));
    }
    CHECK(server->model()[0] == Approx(4.0).margin(0.3));
    CHECK(server->staleness_counts()[nodes - 1] > 3900);
}

TEST_CASE("FedAdam's rounds are Adam's steps along the mean difference, and go on from a stored state") {
    FedAdamRule rule;
    rule.adam.rate = 0.1f;
    Host<FedAdamRule> server(rule), second(rule);
    std::vector<float> w = first_model, m(2), v(2);
    Adam::State<float> state{m, v};
    for (std::uint64_t round = 0; round < 3; ++round) {
        if (round == 2) REQUIRE(second->restore(server->state()));
        FederatedServer<FedAdamRule>& at = round == 2 ? *second : *server;
        REQUIRE(at.begin_round(std::vector<std::uint32_t>{0, 2}));
        const float one = static_cast<float>(round) + 1.0f;
        CHECK(at.receive(Upload(0, round + 1, round, {one, -1.0f})).outcome == Reception::buffered);
        CHECK(at.receive(Upload(2, round + 1, round, {3.0f, 1e-4f})).outcome == Reception::applied);
        const std::vector<float> mean{(one + 3.0f) / 2, (-1.0f + 1e-4f) / 2};
        rule.adam.step<float>(w, mean, state);
        CHECK(near(at.model(), w[0], w[1]));
        CHECK(at.version() == round + 1);
    }
    CHECK(w[0] == Approx(0.7).margin(0.02));  // steps of the rate, whatever the gradient's size
    rule.adam.epsilon = 0.0f;
    CHECK(rule.check(1).error() == Error{Code::bad_setting, 1});
}

TEST_CASE("FedAdam's rate halves in its half-life") {
    FedAdamRule rule;
    rule.adam.rate = 0.1f;
    rule.half_life = 4.0f;
    REQUIRE(rule.check(1));
    std::vector<float> w{0.0f}, kept(2);
    float before = 0.0f;
    for (std::uint64_t round = 0; round < 9; ++round) {
        // Of the same gradient each time Adam's step is the rate.
        const std::vector<float> mean{1.0f};
        rule.move(Vector<float>(w), 1.0f, mean, Vector<float>(kept), round);
        CHECK(before - w[0] == Approx(0.1 * std::exp2(-static_cast<double>(round) / 4)).epsilon(3e-3));
        before = w[0];
    }
    rule.half_life = -1.0f;
    CHECK(rule.check(1).error() == Error{Code::bad_setting, 2});
}
