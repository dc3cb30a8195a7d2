// SPDX-License-Identifier: Apache-2.0
#include "fleet/jobs/experiments.hpp"
#include "fleet/jobs/node_task.hpp"
#include "fleet/jobs/plan_job.hpp"
#include "training/plans/mass_book.hpp"

#include <catch2/catch.hpp>

using namespace dunlin;
using Catch::Matchers::Contains;

TEST_CASE("an experiment becomes a job whose nodes find their own task in it") {
    const auto plan =
        plan_job("kind = \"fleet-navigation\"\n[method]\nname = \"persafl-me\"\nrounds = 7\n", "a.toml", 3);
    REQUIRE(plan);
    CHECK(plan->terms.aggregation == Aggregation::federated);
    CHECK(plan->terms.members == 3);
    CHECK(plan->first.size() == plan->terms.dimension);
    CHECK(plan->budget.updates == 21);
    std::vector<double> optima;
    for (std::uint32_t i = 0; i < 3; ++i) {
        auto task = make_node_task(plan->member_terms(i));
        INFO((task ? "" : task.error().text));
        REQUIRE(task);
        CHECK((*task)->learner().dimension() == plan->terms.dimension);
        const auto metrics = (*task)->measure(plan->first);
        CHECK(metrics[0].name == "return_ratio");
        CHECK((metrics[0].value >= 0 && metrics[0].value <= 1));
        optima.push_back(metrics[1].value);
    }
    CHECK((optima[0] != optima[1] || optima[1] != optima[2]));
    CHECK_FALSE(make_node_task(plan->member_terms(3)));
}

TEST_CASE("push-sum jobs carry graph, schedule and the end of learning") {
    const auto plan = plan_job("kind = \"fleet-navigation\"\n", "a.toml", 4);
    REQUIRE(plan);
    CHECK(plan->terms.aggregation == Aggregation::push_sum);
    CHECK(plan->terms.learn_until == 600);
    CHECK(plan->budget.rounds == 900);
    CHECK(plan->graph.kind == "directed-ring");
    CHECK(plan->terms.theta.longest_gap == 2);
}

TEST_CASE("D-PSGD on real nodes takes the graph both ways, and divides mass into equally many parts") {
    auto plan = plan_job(
        "kind = \"fleet-navigation\"\n[aggregation]\nname = \"dpsgd\"\n[network]\ngraph = \"star\"\n", "a.toml", 5);
    REQUIRE(plan);
    CHECK(plan->terms.aggregation == Aggregation::push_sum);
    CHECK(plan->terms.objective == Objective::moreau);
    CHECK(plan->equal_shares);
    plan->graph.kind = "directed-ring";
    auto book = MassBook::make(*plan, {});
    REQUIRE(book);
    CHECK(undirected(book->graph()));
    CHECK(book->graph().edges() == 10);
    plan->equal_shares = false;
    CHECK(MassBook::make(*plan, {})->graph().edges() == 5);
    CHECK_FALSE(plan_job("kind = \"ranking\"\n[federated]\nmethod = \"pars-push\"\n", "b.toml", 3)->equal_shares);
    CHECK(plan_job("kind = \"ranking\"\n[federated]\nmethod = \"dpsgd\"\n", "b.toml", 3)->equal_shares);
}

TEST_CASE("every aggregation with neighbours has its machine on real nodes, on a graph that it can mix on") {
    const std::pair<const char*, Aggregation> all[] = {
        {"pars-push", Aggregation::push_sum},  {"sgp", Aggregation::push_sum}, {"dpsgd", Aggregation::push_sum},
        {"dsgd", Aggregation::dsgd},           {"spd", Aggregation::spd},      {"gnsd", Aggregation::gnsd},
        {"push-pull", Aggregation::push_pull}, {"hgp", Aggregation::hgp}};
    for (const auto& [name, machine] : all) {
        INFO(name);
        const std::string words = std::string("name = \"") + name + "\"\n";
        const std::string objective = machine == Aggregation::hgp ? "[objective]\nname = \"bilevel\"\n" : "";
        const auto plan = plan_job(
            "kind = \"classification\"\n[data]\nrows = 500\n[federated]\nlocal_steps = 7\nlocal_rate = 0.5\n" +
                (objective.empty() ? "[objective]\nname = \"plain\"\n" : objective) + "[aggregation]\n" + words +
                "[fleet]\nupdates = 5\n[hgp]\ninner_steps = 7\nneumann_steps = 3\n",
            "b.toml", 6);
        INFO((plan ? "" : plan.error().text));
        REQUIRE(plan);
        CHECK(plan->terms.aggregation == machine);
        if (machine == Aggregation::hgp) {
            CHECK(plan->terms.local_steps == 7);
            CHECK(plan->terms.least_parts == 3);
            CHECK(version_of(plan->terms) == 4);  // which nodes of before do not know
        }
        CHECK(plan->budget.rounds == 35);
        CHECK(plan->terms.theta.scale == 0.5);
        const auto book = MassBook::make(*plan, {});
        REQUIRE(book);
        const bool directed =
            name == std::string("pars-push") || name == std::string("sgp") || name == std::string("push-pull");
        CHECK(undirected(book->graph()).has_value() == !directed);
        const auto policy =
            plan_job("kind = \"fleet-navigation\"\n" + objective + "[aggregation]\n" + words, "a.toml", 4);
        REQUIRE(policy);
        CHECK(policy->terms.aggregation == machine);
        CHECK(policy->terms.learn_until == 600);
        CHECK(policy->budget.rounds == 900);
    }
}

TEST_CASE("SPDB's digits run on real nodes, whose layers are at home and whose rounds are its iterations") {
    const std::string document =
        "kind = \"decentralised\"\n[data]\nrows = 300\n[model]\nhidden = [6]\n[method]\niterations = 8\nstep = "
        "0.5\n";
    const auto plan = plan_job(document, "a.toml", 5);
    INFO((plan ? "" : plan.error().text));
    REQUIRE(plan);
    CHECK(plan->terms.aggregation == Aggregation::spd);
    CHECK(plan->terms.theta.scale == 0.5);
    CHECK(plan->budget.rounds == 8);
    CHECK(plan->terms.learn_until == 8);
    CHECK(plan->first.size() == 64 * 6 + 6);
    const auto book = MassBook::make(*plan, {});
    REQUIRE(book);
    CHECK(book->graph().nodes() == 5);
    auto task = make_node_task(plan->member_terms(1));
    INFO((task ? "" : task.error().text));
    REQUIRE(task);
    CHECK((*task)->kept().size() == 6 * 10 + 10);
    CHECK((*task)->measure(plan->first)[0].name == "accuracy_own");
    const auto refusal = [&](const std::string& more) {
        return plan_job(document + more, "a.toml", 5).error().text;
    };
    CHECK_THAT(refusal("mixing = \"metropolis\"\n"), Contains("method.mixing"));
    CHECK_THAT(refusal("[fleet]\nupdates = 5\n"), Contains("method.iterations"));
}

TEST_CASE("classification runs on real nodes, with samples as weights where asked") {
    const auto plan = plan_job(
        "kind = \"classification\"\n[data]\nrows = 500\n[federated]\nmethod = \"fedavg\"\n"
        "weigh_by_samples = true\n[fleet]\nupdates = 5\nencoding = \"int8\"\n",
        "b.toml", 2);
    REQUIRE(plan);
    CHECK(std::holds_alternative<FedAvgRule>(plan->server.rule));
    CHECK(plan->terms.encoding == Encoding::int8);
    CHECK(plan->samples.size() == 2);
    CHECK(plan->samples[0] > 1.0f);
    auto task = make_node_task(plan->member_terms(1));
    INFO((task ? "" : task.error().text));
    REQUIRE(task);
    CHECK((*task)->measure(plan->first)[0].name == "accuracy");
}

TEST_CASE("every server's rule becomes a job of that rule, and its nodes are told what they correct steps by") {
    for (std::size_t a = 0; a < aggregation_count; ++a) {
        const auto name = static_cast<AggregationName>(a);
        if (!has_server(name)) continue;
        INFO(name_of(name));
        const auto plan = plan_job("kind = \"classification\"\n[data]\nrows = 500\n[aggregation]\nname = \"" +
                                       std::string(name_of(name)) + "\"\n[federated]\nbuffer_size = 2\n",
                                   "b.toml", 2);
        INFO((plan ? "" : plan.error().text));
        REQUIRE(plan);
        CHECK(plan->server.rule.index() == a);
        CHECK((plan->terms.payload == Payload::model) == (name == AggregationName::fedasync));
        CHECK((plan->terms.payload == Payload::corrected) == (name == AggregationName::scaffold));
        CHECK(version_of(plan->terms) == (name == AggregationName::scaffold ? 3 : 1));
    }
}

TEST_CASE("classification without a server is as many rounds as its updates have steps") {
    const auto planned = [](const std::string& more) {
        return plan_job(
            "kind = \"classification\"\n[data]\nrows = 500\n[federated]\nmethod = \"pars-push-maml\"\n"
            "local_steps = 7\n[fleet]\nupdates = 5\n" +
                more,
            "b.toml", 6);
    };
    const auto plan = planned("");
    REQUIRE(plan);
    CHECK(plan->terms.aggregation == Aggregation::push_sum);
    CHECK(plan->terms.objective == Objective::maml);
    CHECK(plan->budget.rounds == 35);
    CHECK(plan->graph.kind == "exponential");
    CHECK(plan->terms.weight_floor == 0.25f / 4);  // 3 out-neighbours each
    // Any member of a random graph may hear all others in the next epoch.
    const auto random = planned("[push]\ngraph = \"erdos-renyi\"\nprobability = 0.5\n");
    REQUIRE(random);
    CHECK(random->terms.weight_floor == 0.25f / 6);
    CHECK_THAT(planned("[push]\nweight_floor = 0.2\n").error().text, Contains("push.weight_floor = 0.2"));
    CHECK_THAT(planned("[push]\ngraph = \"web\"\n").error().text, Contains("push.graph: web"));
}

TEST_CASE("layers that stay with nodes are in no job's model, and each node's task has its own") {
    const std::string layers = "[model]\nhidden = [5]\npersonal_layers = [\"last\"]\n";
    const std::string plain = "kind = \"classification\"\n[model]\nhidden = [5]\n[objective]\nname = ";
    const std::vector<std::string> all{"kind = \"classification\"\n" + layers,
                                       "kind = \"ranking\"\n" + layers,
                                       "kind = \"characters\"\n" + layers,
                                       "kind = \"fleet-point-navigation\"\n" + layers,
                                       plain + "\"bilevel\"\n",
                                       plain + "\"ditto\"\n"};
    for (const std::string& toml : all) {
        INFO(toml);
        const auto plan = plan_job(toml, "a.toml", 2);
        INFO((plan ? "" : plan.error().text));
        REQUIRE(plan);
        auto settings = read_deployed(plan->experiment, "a.toml");
        REQUIRE(settings);
        const auto model = deployed_model(*settings, plan->first);
        REQUIRE(model);
        const bool whole = plan->first.size() == model->parameters.size();
        CHECK(whole == (toml.find("ditto") != std::string::npos));
        auto task = make_node_task(plan->member_terms(1));
        REQUIRE(task);
        const std::vector<float> first = (*task)->kept();
        CHECK(first.size() == model->parameters.size() - (whole ? 0 : plan->first.size()));
        std::vector<float> gradient(plan->first.size());
        Stream random(1, 1, Purpose::samples);
        const auto learn = [&] {
            Stream same = random;
            (*task)->learner().given(plan->first, same);
            (*task)->learner().gradient(plan->first, same, gradient);
            return (*task)->kept();
        };
        const std::vector<float> learned = learn();
        CHECK(learned != first);
        CHECK(learn() != learned);
        (*task)->put_kept(first);
        CHECK(learn() == learned);
        // A measurement changes nothing, and is of the model with what is the node's own in it.
        CHECK_FALSE((*task)->measure(plan->first).empty());
        CHECK((*task)->kept() == learned);
    }
}

TEST_CASE("what real nodes cannot run is refused with what to do") {
    CHECK_THAT(plan_job("kind = \"pdbo\"\n", "c.toml", 2).error().text,
               Contains("c.toml") && Contains("dunlin train"));
    CHECK_THAT(plan_job("kind = \"ranking\"\n[federated]\nmethod = \"global\"\n", "c.toml", 2).error().text,
               Contains("everybody in one place"));
    CHECK_THAT(plan_job("kind = \"ranking\"\n[federated]\nmethod = \"gnsd\"\n[fleet]\naudit = true\n", "c.toml", 2)
                   .error()
                   .text,
               Contains("fleet.audit") && Contains("no mass"));
    for (const char* file : {"kind = \"fleet-navigation\"\n[network]\ngraph = \"file\"\n",
                             "kind = \"ranking\"\n[federated]\nmethod = \"pars-push\"\n[push]\ngraph = \"file\"\n"})
        CHECK_THAT(plan_job(file, "c.toml", 2).error().text, Contains("graph = \"file\""));
    CHECK_THAT(plan_job("kind = \"fleet-navigation\"\n[fleet]\nupdates = 3\n", "c.toml", 2).error().text,
               Contains("method.rounds"));
    CHECK_THAT(plan_job("kind = \"ranking\"\n", "c.toml", 100000).error().text, Contains("has data for"));
    CHECK_THAT(plan_job("kind = \"ranking\"\nnonsense = 1\n", "c.toml", 2).error().text, Contains("nonsense"));
}

TEST_CASE("who learns alone has no neighbours, and steps of its own") {
    const auto plan =
        plan_job("kind = \"ranking\"\n[federated]\nmethod = \"local\"\n[baseline]\nsteps = 9\n", "a.toml", 3);
    REQUIRE(plan);
    CHECK(plan->graph.kind == alone_graph);
    CHECK(plan->budget.rounds == 9u);
    const auto drawn = build_graph(plan->graph, 1);
    REQUIRE(drawn);
    CHECK(drawn->nodes() == 3u);
    CHECK(drawn->edges() == 0u);
    // Those whose length is in rounds.
    const auto regression = plan_job("kind = \"regression\"\n[method]\nname = \"local\"\n", "b.toml", 3);
    REQUIRE(regression);
    CHECK(regression->graph.kind == alone_graph);
    CHECK(regression->terms.theta.scale > 0.0);
    CHECK(regression->budget.rounds > 0u);
}

TEST_CASE("a job's text says nothing of a trace unless one is asked for") {
    for (const char* kind : {"fleet-navigation", "classification", "ranking"}) {
        auto settings = read_deployed("kind = \"" + std::string(kind) + "\"\n", "test");
        REQUIRE(settings);
        CHECK_THAT(write_deployed(*settings), !Catch::Contains("trace = ") && !Catch::Contains("tick_ms = 50"));
        REQUIRE(settings->list().set("network.trace=/somewhere/rtt-ms.txt"));
        CHECK_THAT(write_deployed(*settings), Catch::Contains("trace = \"/somewhere/rtt-ms.txt\""));
    }
}

TEST_CASE("a regression is planned for as many agents as there are nodes, with steps by their curvature") {
    const std::string ring = "kind = \"regression\"\n[network]\ngraph = \"directed-ring\"\n";
    const auto plan = plan_job(ring + "[objective]\nname = \"moreau\"\n", "a.toml", 4);
    REQUIRE(plan);
    CHECK(plan->terms.objective == Objective::moreau);
    CHECK(plan->terms.theta.scale > 0.0);
    CHECK(plan->terms.theta.offset > 0.0);
    CHECK(plan->budget.rounds == 6000u);
    CHECK(plan->graph.nodes == 4u);
    const auto served = plan_job(ring + "[method]\nname = \"persafl-maml\"\nrounds = 7\n", "b.toml", 3);
    REQUIRE(served);
    CHECK(served->budget.updates == 21u);
    CHECK(served->terms.local_rate > 0.0f);
}
