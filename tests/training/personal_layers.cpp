// SPDX-License-Identifier: Apache-2.0
#include "training/problems/personal_layers.hpp"

#include "core/adapt/bilevel.hpp"
#include "training/problems/classification_fleet.hpp"
#include "training/runs/federated_training.hpp"
#include "training/simulation/federated_fleet.hpp"
#include "training/simulation/gossip_fleet.hpp"

#include <cmath>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

using namespace dunlin;

namespace {

/// Reads every message of a fleet for any four personal parameters in a row, as bytes at any place.
class Wiretap {
public:
    static constexpr std::size_t length = 4 * sizeof(float);

    /// All personal parts as they are now, of all nodes.
    void learn(const PersonalLayers& layers, std::uint32_t nodes) {
        for (std::uint32_t node = 0; node < nodes; ++node) {
            const std::string_view bytes(reinterpret_cast<const char*>(layers.of(node).data()),
                                         layers.of(node).size_bytes());
            for (std::size_t at = 0; at + length <= bytes.size(); at += sizeof(float))
                secrets_.insert(std::string(bytes.substr(at, length)));
        }
    }
    simulation::Network::Tap tap() {
        return [this](std::uint32_t, std::uint32_t, std::span<const std::byte> bytes) {
            const std::string_view message(reinterpret_cast<const char*>(bytes.data()), bytes.size());
            ++messages;
            for (std::size_t at = 0; at + length <= message.size(); ++at)
                leaks += secrets_.contains(std::string(message.substr(at, length))) ? 1 : 0;
        };
    }

    int messages = 0, leaks = 0;

private:
    std::unordered_set<std::string> secrets_;
};

/// Ten digits by 16 pixels, six nodes, a personal last layer: 136 shared and 90 personal parameters.
ClassificationSettings small_digits() {
    ClassificationSettings settings;
    settings.data.digits.side = 4;
    settings.data.rows = 600;
    settings.data.split.nodes = 6;
    settings.data.split.kind = Split::uniform;
    settings.data.split.conflicting = true;
    settings.hidden = {8};
    settings.personal_layers = {"last"};
    settings.federated.clock.budget_s = 300.0f;
    settings.federated.evaluations = 2;
    settings.federated.buffer_size = 3;
    return settings;
}

/// A problem, its personal layers, and learners of the shared part; `leaking` sends the whole model.
struct Parts {
    std::unique_ptr<FederatedProblem> problem;
    std::vector<float> first;
    PersonalLayers secret, sent;
    Wiretap tap;
    LearnerOf learner;

    Parts(const ClassificationSettings& settings, bool leaking)
        : problem(*make_classification_problem(settings, 1)),
          first(first_of(*problem)),
          secret(problem->split(), problem->nodes(), first),
          sent(leaking ? LayerSplit(problem->dimension()) : problem->split(), problem->nodes(), first) {
        const LearnerOf whole = [this](std::uint32_t node, int worker) -> Learner& {
            return problem->learner(node, worker);
        };
        const auto step = descend_together(whole, secret.split(), 0.1f);
        learner = shared_learners(
            sent,
            [this, step](std::uint32_t node, int worker, Vector<float> w, Stream& random, Vector<float> out) {
                const int taken = step(node, worker, w, random, out);
                secret.split().take_personal<float>(w, secret.of(node));
                tap.learn(secret, problem->nodes());
                return taken;
            },
            1);
        tap.learn(secret, problem->nodes());
    }
    static std::vector<float> first_of(const FederatedProblem& problem) {
        std::vector<float> w(problem.dimension());
        problem.initialise(w);
        // Numbers that nothing else begins with: biases start at zero, shared ones too.
        problem.split().each_personal([&](std::size_t k) { w[k] = 0.3f * std::sin(static_cast<float>(k)); });
        return w;
    }
};

void gossip(Parts& parts, AggregationName method) {
    const Graph graph = *ring(parts.problem->nodes());
    std::vector<float> start;
    for (std::uint32_t i = 0; i < parts.problem->nodes(); ++i) {
        const std::vector<float> x = parts.sent.shared_of(parts.first);
        start.insert(start.end(), x.begin(), x.end());
    }
    GossipSettings settings;
    settings.theta.scale = 0.05;
    auto fleet = make_gossip_fleet(method, graph, settings, start, parts.learner, 1);
    REQUIRE(fleet);
    (*fleet)->set_tap(parts.tap.tap());
    REQUIRE((*fleet)->run(20));
}

void federate(Parts& parts, Method method, ClassificationSettings settings) {
    settings.federated.method = method;
    Workers workers(1);
    auto fleet = FederatedFleet::make(settings.federated, 1, parts.sent.shared_of(parts.first),
                                      parts.problem->samples(), parts.learner, workers);
    REQUIRE(fleet);
    (*fleet)->set_tap(parts.tap.tap());
    REQUIRE((*fleet)->advance(60, [] { return false; }));
}

/// A learner whose shared gradient does not depend on y, and which fills y with what it is told; `leaking` lets one
/// number of y into the gradient.
struct Indifferent final : Learner {
    float sentinel = 0;
    bool leaking = false;
    std::size_t dimension() const override { return 7; }
    int gradient(ConstVector<float> w, Stream& random, Vector<float> out) override {
        random.next_epoch();
        for (std::size_t k = 0; k < 3; ++k) out[k] = w[k] - random.normal();
        for (std::size_t k = 3; k < 7; ++k) out[k] = w[k] - sentinel;
        if (leaking) out[1] += 1e-3f * w[5];
        return 1;
    }
};

LayerSplit three_and_four() {
    const int hidden[] = {1}, last[] = {-1};
    return *LayerSplit::make(*MlpShape::make(2, hidden, 2), last);
}

/// A hash of every byte that every node says.
std::uint64_t said(AggregationName method, float sentinel, bool leaking) {
    Indifferent learner;
    learner.sentinel = sentinel;
    learner.leaking = leaking;
    const std::vector<float> first(7);
    PersonalLayers layers(three_and_four(), 5, first);
    const LearnerOf whole = [&](std::uint32_t, int) -> Learner& { return learner; };
    GossipSettings settings;
    settings.theta.scale = 0.1;
    settings.link = simulation::LinkProfile::rounds(2, 3, 0.0f);
    const std::vector<float> start(15);
    auto fleet = make_gossip_fleet(method, *ring(5), settings, start,
                                   shared_learners(layers, descend_together(whole, layers.split(), 0.5f), 1), 1);
    REQUIRE(fleet);
    REQUIRE((*fleet)->run(60));
    CHECK(layers.of(2)[0] == Approx(sentinel).margin(1e-3));
    return (*fleet)->trace();
}

constexpr AggregationName all_gossip[] = {AggregationName::pars_push, AggregationName::sgp, AggregationName::dpsgd,
                                          AggregationName::dsgd,      AggregationName::spd, AggregationName::gnsd};

}  // namespace

TEST_CASE("no message of a gossip fleet holds a personal parameter, and a planted leak is found [invariant 10]") {
    for (const AggregationName method : all_gossip) {
        INFO(static_cast<int>(method));
        Parts parts(small_digits(), false);
        gossip(parts, method);
        CHECK(parts.tap.messages > 100);
        CHECK(parts.tap.leaks == 0);
        CHECK(parts.secret.of(0)[0] != parts.secret.of(1)[0]);  // they did learn
    }
    Parts parts(small_digits(), true);
    gossip(parts, AggregationName::dsgd);
    CHECK(parts.tap.leaks > 100);
}

TEST_CASE(
    "no message of a federated fleet holds a personal parameter, and a planted leak is found [invariant 10]") {
    for (const Method method :
         {preset::persafl, preset::persafl_maml, preset::fedavg, preset::fedasync, preset::fedbuff}) {
        INFO(name_of(method));
        Parts parts(small_digits(), false);
        federate(parts, method, small_digits());
        CHECK(parts.tap.messages >= 8);
        CHECK(parts.tap.leaks == 0);
    }
    Parts parts(small_digits(), true);
    federate(parts, preset::fedasync, small_digits());
    CHECK(parts.tap.leaks > 0);
}

TEST_CASE(
    "what nodes say is the same bits whatever their personal layers are, where gradients are [invariant 10]") {
    for (const AggregationName method : all_gossip) {
        INFO(static_cast<int>(method));
        CHECK(said(method, 1.0f, false) == said(method, -12345.0f, false));
        CHECK(said(method, 1.0f, true) != said(method, -12345.0f, true));
    }
}

TEST_CASE("personal layers are named by first, last or number, and others are refused with the figures") {
    const int hidden[] = {8, 6};
    const MlpShape shape = *MlpShape::make(16, hidden, 10);
    CHECK(split_of(shape, {"last"})->personal_size() == 70);
    CHECK(split_of(shape, {"0"})->personal_size() == split_of(shape, {"first"})->personal_size());
    CHECK(split_of(shape, {"1", "last"})->shared_size() == 136);
    CHECK_FALSE(split_of(shape, {})->has_personal());
    CHECK_THAT(split_of(shape, {"3"}).error().text,
               Catch::StartsWith("model.personal_layers = [3]") && Catch::Contains("no layer 3 among 3"));
    CHECK_THAT(split_of(shape, {"head"}).error().text, Catch::Contains("\"head\"") && Catch::Contains("0 to 2"));
    CHECK_THAT(split_of(shape, {"-1"}).error().text, Catch::Contains("\"-1\""));
    CHECK_THAT(split_of(shape, {"0", "1", "2"}).error().text, Catch::Contains("all 3 layers are personal"));
}

TEST_CASE("clients that name the labels in ways of their own learn together when the last layer is personal") {
    const auto accuracy = [](std::vector<std::string> personal, Method method) {
        ClassificationSettings settings = small_digits();
        settings.data.digits.side = 8;
        settings.data.rows = 1200;
        settings.hidden = {16};
        settings.personal_layers = std::move(personal);
        settings.federated.method = method;
        settings.federated.server_rate = 0.5f;
        settings.federated.local_rate = 0.3f;
        settings.federated.personal.steps = 0;
        settings.federated.clock.budget_s = 1500.0f;
        auto problem = make_classification_problem(settings, 1);
        REQUIRE(problem);
        Workers workers(1);
        FederatedResult result;
        REQUIRE(train_federated(
            **problem, settings.federated, 1, workers, RunPauses{},
            [](const FederatedResult&) -> Outcome<void> { return {}; }, result));
        return result.history.back().personal.front();
    };
    CHECK(accuracy({}, preset::persafl) < 0.4);
    CHECK(accuracy({"last"}, preset::persafl) > 0.6);
    CHECK(accuracy({"last"}, preset::persafl_maml) > 0.6);  // the inner steps move the last layer alone
}
