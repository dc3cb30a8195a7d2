// SPDX-License-Identifier: Apache-2.0
#include "training/axes/axes.hpp"

#include "federated_fixtures.hpp"
#include "training/axes/combinations.hpp"
#include "training/settings/reading.hpp"
#include "training/simulation/alone_fleet.hpp"

#include <set>

#include <catch2/catch.hpp>

using namespace dunlin;

namespace {

/// f_i(w) = 1/2 |w - c_i|^2.
struct Pull final : Learner {
    float centre = 0;
    std::size_t dimension() const override { return 2; }
    int gradient(ConstVector<float> w, Stream& random, Vector<float> out) override {
        random.next_epoch();
        for (std::size_t k = 0; k < 2; ++k) out[k] = w[k] - centre;
        return 1;
    }
};

std::unique_ptr<GossipFleet> alone(bool together, int threads, simulation::Time learn_until = 1000) {
    GossipSettings settings;
    settings.theta.scale = 0.1;
    settings.learn_until = learn_until;
    auto pulls = std::make_shared<std::vector<Pull>>(static_cast<std::size_t>(threads));
    const LearnerOf learner = [pulls](std::uint32_t node, int worker) -> Learner& {
        Pull& pull = (*pulls)[static_cast<std::size_t>(worker)];
        pull.centre = static_cast<float>(node);
        return pull;
    };
    const std::vector<float> start(together ? 2 : 8);
    auto fleet = make_alone_fleet(4, together, settings, start, learner, threads);
    REQUIRE(fleet);
    REQUIRE((*fleet)->run(199));
    return *std::move(fleet);
}

std::vector<float> estimate(const GossipFleet& fleet, std::uint32_t node) {
    std::vector<float> z(fleet.dimension());
    fleet.estimate(node, z);
    return z;
}

struct Run {
    int count = 1;
    Method method = preset::persafl_me;

    Settings settings() {
        Settings list;
        list.add("count", count, "how many", {0, 100});
        std::vector<std::pair<std::string_view, Method>> names;
        for (const Preset& known : presets()) names.emplace_back(known.name, known.method);
        list.add_preset("run.method", method, "a method", std::move(names), {"objective.name", "aggregation.name"});
        add_axes(list, method);
        return list;
    }
};

}  // namespace

TEST_CASE("nodes alone come to rest at their own minimisers, and together at the mean one") {
    const auto each = alone(false, 1), all = alone(true, 1);
    for (std::uint32_t node = 0; node < 4; ++node) {
        CHECK(estimate(*each, node)[0] == Approx(static_cast<float>(node)).margin(1e-6));
        CHECK(estimate(*all, node)[1] == Approx(1.5f).margin(1e-6));
    }
    CHECK(each->counters().gradients == 800);
    CHECK(each->messages().sent == 0);
    CHECK_FALSE(each->mass_error());
}

TEST_CASE("nodes alone learn until they are told to stop, and the same for any number of threads [invariant 11]") {
    const auto brief = alone(false, 1, 10);
    CHECK(brief->counters().gradients == 40);
    CHECK(estimate(*brief, 3)[0] < 2.5f);
    CHECK(alone(false, 1)->trace() == alone(false, 3)->trace());
    CHECK(alone(true, 1)->trace() == alone(true, 3)->trace());
    CHECK(alone(true, 1)->trace() != alone(false, 1)->trace());
}

TEST_CASE("every pair of axes has a name of its own, and every preset is found by its name") {
    std::set<std::string> names;
    for (std::size_t o = 0; o < all_objectives().size(); ++o) {
        for (std::size_t a = 0; a < aggregation_count; ++a) {
            const Method method{static_cast<Objective>(o), static_cast<AggregationName>(a)};
            names.insert(name_of(method));
            CHECK(title_of(method) != "");
        }
    }
    CHECK(names.size() == all_objectives().size() * aggregation_count);
    CHECK(name_of(Method{Objective::maml, AggregationName::fedbuff}) == "maml+fedbuff");
    CHECK(name_of(preset::spdb) == "spdb");
}

TEST_CASE("an aggregation's messages and memory are as long as it states") {
    constexpr std::size_t d = 11;
    GossipSettings settings;
    settings.theta.scale = 0.1;
    const std::vector<float> start(5 * d);
    for (std::size_t a = 0; a < aggregation_count; ++a) {
        const auto by = static_cast<AggregationName>(a);
        const AggregationTraits& traits = traits_of(by);
        INFO(traits.name);
        if (!has_neighbours(by)) continue;
        const Graph graph = traits.undirected ? *ring(5) : *directed_ring(5);
        auto fleet = make_gossip_fleet(by, graph, settings, start, {}, 1);
        REQUIRE(fleet);
        REQUIRE((*fleet)->run(20));
        const std::size_t number = traits.holds_mass ? sizeof(Mass) : sizeof(float);
        const std::size_t numbers = traits.sent * d + (traits.holds_mass ? 1 : 0);
        CHECK((*fleet)->messages().sent > 0);
        CHECK((*fleet)->messages().sent_bytes == (*fleet)->messages().sent * numbers * number);
        CHECK(traits.state_bytes(d, graph.in(0).size()) <= static_cast<std::size_t>((*fleet)->bytes_per_node()));
        // What is said beside parameters has a name: in the same message, or in turn.
        CHECK((traits.sent > 1 || traits.holds_mass || by == AggregationName::hgp) == !traits.carries.empty());
        CHECK(traits.undirected !=
              static_cast<bool>(make_gossip_fleet(by, *directed_ring(5), settings, start, {}, 1)));
    }
    CHECK_FALSE(make_gossip_fleet(AggregationName::fedavg, *ring(5), settings, start, {}, 1));
}

TEST_CASE("a preset says two settings at once, and these may be written instead") {
    Run run;
    Settings list = run.settings();
    CHECK_THAT(list.write(), Catch::Contains("method = \"persafl-me\"") && !Catch::Contains("[objective]"));
    REQUIRE(list.set("run.method=fedbuff"));
    CHECK(run.method == preset::fedbuff);
    REQUIRE(list.set("objective.name=maml"));
    CHECK(run.method == Method{Objective::maml, AggregationName::fedbuff});
    const std::string written = list.write();
    CHECK_THAT(written, Catch::Contains("name = \"maml\"") && Catch::Contains("name = \"fedbuff\"") &&
                            !Catch::Contains("[run]"));
    Run again;
    REQUIRE(again.settings().read(written, "x.toml"));
    CHECK(again.method == run.method);
    // [aggregation] stands before [run] in the document, and in the alphabet: it changes the preset all the same.
    REQUIRE(again.settings().read("[aggregation]\nname = \"dpsgd\"\n[run]\nmethod = \"pfedme\"\n", "x.toml"));
    CHECK(again.method == Method{Objective::moreau, AggregationName::dpsgd});
    // And before an axis that stands before it on a command line.
    const std::vector<std::string> assignments{"objective.name=maml", "count=7", "run.method=fedprox"};
    REQUIRE(again.settings().set(assignments));
    CHECK(again.method == Method{Objective::maml, AggregationName::fedprox});
    CHECK(again.count == 7);
    CHECK_THAT(again.settings().read("[run]\nmethod = \"fedball\"\n", "x.toml").error().text,
               Catch::Contains("x.toml:2") && Catch::Contains("fedball") && Catch::Contains("pars-push-me"));
    CHECK_THAT(again.settings().set("aggregation.name=fedball").error().text,
               Catch::Contains("fedprox") && Catch::Contains("gnsd"));
}

TEST_CASE("a graph is taken both ways where a method wants that, and it is said") {
    DataNotes notes;
    const auto both = take_both_ways(*directed_ring(5), "network.graph = \"directed-ring\"", "dpsgd", &notes);
    REQUIRE(both);
    CHECK(undirected(*both));
    CHECK(both->edges() == 10);
    REQUIRE(notes.size() == 1);
    CHECK(notes[0].count == 5);
    CHECK_THAT(notes[0].text, Catch::Contains("dpsgd") && Catch::Contains("5 edges were added to 5"));
    notes.clear();
    CHECK(take_both_ways(*ring(5), "network.graph = \"ring\"", "dpsgd", &notes)->edges() == 10);
    CHECK(notes.empty());
}
