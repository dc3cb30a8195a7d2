// SPDX-License-Identifier: Apache-2.0
#include "pdbo_runs.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

using namespace dunlin;
using namespace dunlin::testing;

namespace {

bool holds(std::span<const std::byte> bytes, float number) {
    std::byte word[sizeof number];
    std::memcpy(word, &number, sizeof number);
    return std::search(bytes.begin(), bytes.end(), std::begin(word), std::end(word)) != bytes.end();
}

}  // namespace

TEST_CASE("PDBO gives the same run for any number of threads, and another for another seed [invariant 11]") {
    const PdboSettings s = small_world();
    const Ran one = run(s);
    check_same(one, run(s, {}, 3));
    CHECK(one.result.complete);
    CHECK(one.rows_kept == 3);
    PdboSettings other = s;
    other.seed = 2;
    CHECK(run(other).result.trace != one.result.trace);
}

TEST_CASE("personal weights enter no message of PDBO [invariant 10]") {
    const PdboSettings s = small_world();
    const std::size_t inner = 2 * MlpShape::make(36, s.hidden, 10)->parameters();
    const auto made = pdbo_kind().make(s, 1);
    REQUIRE(made);
    PdboAgents& agents = static_cast<PdboAgents&>(**made);
    std::vector<float> first(agents.dimension());
    agents.initialise(first);
    PersonalLayers layers(agents.split(), agents.nodes(), first);
    Workers workers(1);
    const auto fleet = make_pdbo_fleet(s, agents, layers, workers);
    REQUIRE(fleet);
    std::vector<std::vector<std::byte>> messages;
    (*fleet)->set_tap([&](std::uint32_t, std::uint32_t, std::span<const std::byte> bytes) {
        // Nothing but the shared parameters and a push-sum weight, or a derivative by them.
        CHECK((bytes.size() == (inner + 1) * sizeof(Mass) || bytes.size() == inner * sizeof(float)));
        if (messages.empty() || !std::ranges::equal(messages.back(), bytes))
            messages.emplace_back(bytes.begin(), bytes.end());
    });
    REQUIRE((*fleet)->run(3 * 24 - 1, {}));
    REQUIRE(messages.size() > 8u * 72u);
    CHECK((*fleet)->now() == 3 * 24 - 1);
    std::size_t found = 0;
    for (std::uint32_t i = 0; i < 8; ++i) {
        for (const float logit : layers.of(i)) {
            CHECK(logit != 0.0f);  // they have moved
            for (const auto& message : messages) found += holds(message, logit) ? 1 : 0;
        }
    }
    CHECK(found == 0);
    // The search would find what is there: the last derivative that an agent sent.
    float sent{};
    std::memcpy(&sent, messages.back().data(), sizeof sent);
    CHECK(holds(messages.back(), sent));
}

TEST_CASE("methods have the same inner steps, or the same gradients") {
    PdboSettings s = small_world();
    const Ran pdbo = run(s);
    CHECK(stage_steps(s, pdbo.agents()) == 24);
    CHECK(pdbo.counters().rounds == 3 * 24);
    CHECK(pdbo.counters().hyper_rounds == 2 * 5);
    const auto gradients = [](const Ran& ran) {
        return ran.result.history.back().personal[PdboAgents::task_gradients];
    };
    for (const PdboMethod method : {PdboMethod::pdbo_mtl_local, PdboMethod::sgp, PdboMethod::local}) {
        s.method = method;
        s.budget = PdboBudget::inner_steps;
        CHECK(run(s).counters().rounds == 3 * 24);
        s.budget = PdboBudget::gradients;
        CHECK(gradients(run(s)) == Approx(gradients(pdbo)).margin(3.0));
    }
    s = small_world();
    s.one_sample = false;
    CHECK(run(s).counters().hyper_rounds == 2 * 2 * 5);
}

TEST_CASE("bytes are counted as messages times what a message holds") {
    const PdboSettings s = small_world();
    const Ran ran = run(s);
    const BilevelCounters& counters = ran.counters();
    const std::size_t parameters = ran.problem->split().shared_size();
    CHECK(counters.push_bytes == counters.push_messages * (parameters + 1) * 8);
    CHECK(counters.hyper_bytes == counters.hyper_messages * parameters * 4);
    CHECK(ran.result.messages.sent == counters.push_messages + counters.hyper_messages);
    CHECK(ran.result.messages.sent_bytes == counters.push_bytes + counters.hyper_bytes);
    // Each of seven others hears an agent with probability 0.6 on average.
    CHECK(counters.push_bytes_per_round(8) ==
          Approx(0.6 * 7 * static_cast<double>(parameters + 1) * 8).epsilon(0.1));
    PdboSettings alone = s;
    alone.method = PdboMethod::local;
    CHECK(run(alone).counters().push_bytes == 0);
}

TEST_CASE(
    "alone an agent's weights stay equal, and with a hyper-gradient of no terms PDBO-MTL is its local variant") {
    PdboSettings s = small_world();
    s.method = PdboMethod::sgp;
    for (const float logit : run(s).logits()) CHECK(logit == 0.0f);
    s.method = PdboMethod::pdbo_mtl_local;
    const std::vector<float> local = run(s).logits();
    s.method = PdboMethod::pdbo_mtl;
    const std::vector<float> with_series = run(s).logits();
    s.neumann_steps = 0;
    CHECK(run(s).logits() == local);
    CHECK(with_series != local);
}

TEST_CASE("the chosen stage is the best one on validation rows, and the decile is that of its agents") {
    const Ran ran = run(small_world());
    REQUIRE(ran.result.history.size() == 3);
    for (const FederatedRow& row : ran.result.history)
        CHECK(row.personal[PdboAgents::validation_accuracy] <= ran.best(PdboAgents::validation_accuracy));
    CHECK(ran.best(PdboAgents::decile) == bottom_decile(ran.result.personal_by_node));
    double mean = 0;
    for (const double accuracy : ran.result.personal_by_node) mean += accuracy / 8;
    CHECK(ran.best(PdboAgents::test_accuracy) == Approx(mean));
    CHECK(bottom_decile({3, 1, 2, 0, 4, 5, 6, 7, 8, 9, 10}) == 1.0);
    CHECK(bottom_decile({7}) == 7.0);
    CHECK(bottom_decile({0, 1}) == Approx(0.1));
    // The models are those of that stage.
    double sum = 0;
    for (std::uint32_t i = 0; i < 8; ++i) {
        const std::size_t d = ran.problem->dimension();
        sum +=
            ran.problem
                ->node_metrics(i, ran.problem->judge(i, std::span(ran.result.personal_models).subspan(i * d, d), 0))
                .front()
                .value;
    }
    CHECK(sum / 8 == Approx(ran.best(PdboAgents::test_accuracy)));
}

TEST_CASE("an agent's learner moves what is shared, and the bilevel one its weights first") {
    const PdboSettings s = small_world();
    const auto made = pdbo_kind().make(s, 2);
    REQUIRE(made);
    PdboAgents& agents = static_cast<PdboAgents&>(**made);
    const std::size_t d = agents.dimension(), shared = agents.split().shared_size();
    CHECK(d == shared + 2);
    std::vector<float> w(d), out(d), again(d);
    agents.initialise(w);
    w[d - 2] = 0.3f;
    Stream random(1, 3, Purpose::samples), same = random;
    CHECK(agents.learner(3, 0).dimension() == d);
    CHECK(agents.learner(3, 0).gradient(w, random, out) == 1);
    CHECK(out[d - 1] == 0.0f);
    CHECK(out[d - 2] == 0.0f);
    CHECK(dot<float>(out, out) > 0.0f);
    std::vector<float> moved = w;
    CHECK(agents.bilevel_gradient(3, 1, moved, same, again) > 1);
    CHECK(std::equal(w.begin(), w.end() - 2, moved.begin()));
    CHECK(moved[d - 1] != w[d - 1]);
    same = Stream(1, 3, Purpose::samples);
    CHECK(agents.learner(3, 0).gradient(moved, same, out) == 1);
    CHECK(out == again);
    // The product is the learner's derivative along a direction of x, on the same batch.
    constexpr float h = 1e-2f;
    std::vector<float> direction(d), ahead = w, behind = w, product(d), before(d);
    for (std::size_t k = 0; k < shared; ++k) direction[k] = 0.1f * out[k];
    for (std::size_t k = 0; k < d; ++k) {
        ahead[k] += h * direction[k];
        behind[k] -= h * direction[k];
    }
    const auto at = [&](ConstVector<float> where, std::vector<float>& gradient) {
        Stream batch(1, 3, Purpose::samples);
        agents.learner(3, 0).gradient(where, batch, gradient);
    };
    at(ahead, out);
    at(behind, before);
    same = Stream(1, 3, Purpose::samples);
    CHECK(agents.hessian_product(3, 0, w, direction, same, product) == 2);
    double error = 0, size = 0;
    for (std::size_t k = 0; k < shared; ++k) {
        const double slope = static_cast<double>(out[k] - before[k]) / (2 * static_cast<double>(h));
        error += std::pow(slope - static_cast<double>(product[k]), 2);
        size += slope * slope;
    }
    CHECK(size > 0);
    CHECK(error < 0.01 * size);
    CHECK(product[d - 1] != 0.0f);
}

TEST_CASE("agents learn together what none learns alone") {
    PdboSettings s = small_world();
    s.rows = 400;
    s.agents = 16;
    s.alpha = 1000.0f;  // all see all labels, but few rows
    s.clusters = 1;
    s.hidden = {12};
    s.inner_steps = 100;
    s.method = PdboMethod::sgp;
    const double together = run(s).best(PdboAgents::test_accuracy);
    s.method = PdboMethod::pdbo_mtl;
    const double personal = run(s).best(PdboAgents::test_accuracy);
    s.method = PdboMethod::local;
    const double alone = run(s).best(PdboAgents::test_accuracy);
    CHECK(together > alone + 0.1);
    CHECK(personal > alone + 0.1);
}

TEST_CASE("steps that are too large end a PDBO run with the agent and the round") {
    PdboSettings s = small_world();
    s.inner_rate = 900.0f;
    s.largest_value = 50.0f;
    const auto ran = try_run(s);
    REQUIRE(ran);
    CHECK_FALSE(ran->result.complete);
    CHECK(ran->result.failure.find("node ") == 0);
    CHECK(ran->result.failure.find("too large") != std::string::npos);
    CHECK(ran->result.history.size() == 1);
}

TEST_CASE("characters: generated speakers are learned from, and too few speakers are refused") {
    PdboSettings s = small_world();
    s.task = PdboTask::characters;
    s.speech.characters = 200;
    s.speech.sharpness = 4.0f;
    s.context = 1;
    s.inner_steps = 60;
    const Ran ran = run(s);
    const PdboData& data = ran.agents().data();
    CHECK(data.table.rows() == 8 * 200);
    for (std::uint32_t agent = 0; agent < 8; ++agent) {
        CHECK(data.parts[agent].train.size() == 120);
        CHECK(data.validation[agent].size() == 40);
        CHECK(data.parts[agent].test.size() == 40);
        CHECK(data.parts[agent].train.back() < data.validation[agent].front());
        CHECK(data.validation[agent].back() < data.parts[agent].test.front());
    }
    CHECK(ran.best(PdboAgents::test_accuracy) > 2.0 / speech_symbols);
    s.path = "/nowhere.txt";
    CHECK(refused(s).find("/nowhere.txt: cannot be opened") == 0);
}

TEST_CASE("every cluster of agents sees its own pixels, and names labels its own way where asked to") {
    PdboSettings s = small_world();
    s.clusters = 2;
    s.cluster_labels = true;
    const PdboData data = *make_pdbo_data(s);
    const auto mean = [&](std::size_t agent) {
        double sum = 0;
        const LabelledRows rows = data.train(static_cast<std::uint32_t>(agent));
        for (const std::uint32_t row : rows.rows) {
            for (int k = 0; k < rows.features; ++k) sum += static_cast<double>(rows.row(row)[k]);
        }
        return sum / static_cast<double>(rows.rows.size() * static_cast<std::size_t>(rows.features));
    };
    CHECK(std::abs(mean(0) - mean(2)) < 0.1);
    CHECK(std::abs(mean(0) - mean(1)) > 0.1);
    CHECK(data.parts[0].relabel == data.parts[2].relabel);
    CHECK(data.parts[0].relabel != data.parts[1].relabel);
}

TEST_CASE("PDBO refuses settings that do not fit each other, the data or the machine") {
    PdboSettings s = small_world();
    s.probability_low = 0.9f;
    CHECK(refused(s).find("network.probability_low = 0.9") == 0);
    s = small_world();
    s.path = "/nowhere";
    CHECK(refused(s).find("/nowhere/train-images-idx3-ubyte") == 0);
    s = small_world();
    s.rows = 10;
    CHECK(refused(s).find("data.agents, data.alpha") == 0);
    s = small_world();
    s.fraction_bits = 60;
    CHECK(refused(s).find("network.fraction_bits") == 0);
    s = small_world();
    s.rows = 2000;
    s.agents = 40;
    s.hidden = {4096, 4096, 4096};
    s.mixture.predictors = 64;
    CHECK(refused(s).find("model.predictors = 64") == 0);
}
