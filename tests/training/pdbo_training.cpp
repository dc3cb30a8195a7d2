// SPDX-License-Identifier: Apache-2.0
#include "training/runs/pdbo_training.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include <catch2/catch.hpp>

using namespace dunlin;

namespace {

/// A quarter of a second at most.
PdboSettings small_world() {
    PdboSettings s;
    s.agents = 8;
    s.rows = 400;
    s.digits.side = 6;
    s.hidden = {6};
    s.mixture.predictors = 2;
    s.mixture.batch = 16;
    s.inner_steps = 24;
    s.outer_steps = 2;
    s.neumann_steps = 5;
    return s;
}

PdboOutcome run(const PdboSettings& settings, const PdboHooks& hooks = {}, int threads = 1) {
    auto training = PdboTraining::make(settings, threads);
    REQUIRE(training);
    auto outcome = (*training)->run(hooks);
    REQUIRE(outcome);
    CHECK(outcome->failure == "");
    return *std::move(outcome);
}

std::string refused(const PdboSettings& settings) {
    auto training = PdboTraining::make(settings, 1);
    REQUIRE_FALSE(training);
    return training.error().text;
}

bool holds(std::span<const std::byte> bytes, float number) {
    std::byte word[sizeof number];
    std::memcpy(word, &number, sizeof number);
    return std::search(bytes.begin(), bytes.end(), std::begin(word), std::end(word)) != bytes.end();
}

}  // namespace

TEST_CASE("PDBO gives the same run for any number of threads, and another for another seed [invariant 11]") {
    const PdboSettings s = small_world();
    const PdboOutcome one = run(s), three = run(s, {}, 3);
    CHECK(one.trace == three.trace);
    CHECK(one.weights == three.weights);
    CHECK(one.accuracy_by_agent == three.accuracy_by_agent);
    CHECK(one.complete);
    PdboSettings other = s;
    other.seed = 2;
    CHECK(run(other).trace != one.trace);
}

TEST_CASE("personal weights enter no message of PDBO [invariant 10]") {
    const PdboSettings s = small_world();
    const std::size_t inner = 2 * MlpShape::make(36, s.hidden, 10)->parameters();
    std::vector<std::vector<std::byte>> messages;
    PdboHooks hooks;
    hooks.tap = [&](std::uint32_t, std::span<const std::byte> bytes) {
        // Nothing but the shared parameters and a push-sum weight, or a derivative by them.
        CHECK((bytes.size() == (inner + 1) * sizeof(Mass) || bytes.size() == inner * sizeof(float)));
        messages.emplace_back(bytes.begin(), bytes.end());
    };
    const PdboOutcome outcome = run(s, hooks);
    REQUIRE(messages.size() > 8u * 72u);
    std::size_t found = 0;
    for (const float weight : outcome.weights) {
        CHECK(weight != 0.5f);  // they have moved
        for (const auto& message : messages) found += holds(message, weight) ? 1 : 0;
    }
    CHECK(found == 0);
    // The search would find what is there: the last derivative that an agent sent.
    float sent{};
    std::memcpy(&sent, messages.back().data(), sizeof sent);
    CHECK(holds(messages.back(), sent));
}

TEST_CASE("methods have the same inner steps, or the same gradients") {
    PdboSettings s = small_world();
    const PdboOutcome pdbo = run(s);
    CHECK(pdbo.inner_steps_per_stage == 24);
    CHECK(pdbo.counters.rounds == 3 * 24);
    CHECK(pdbo.counters.hyper_rounds == 2 * 5);
    for (const PdboMethod method : {PdboMethod::pdbo_mtl_local, PdboMethod::sgp, PdboMethod::local}) {
        s.method = method;
        s.budget = PdboBudget::inner_steps;
        CHECK(run(s).counters.rounds == 3 * 24);
        s.budget = PdboBudget::gradients;
        CHECK(run(s).history.back().gradients == Approx(pdbo.history.back().gradients).margin(3.0));
    }
    s = small_world();
    s.one_sample = false;
    CHECK(run(s).counters.hyper_rounds == 2 * 2 * 5);
}

TEST_CASE("bytes are counted as messages times what a message holds") {
    const PdboSettings s = small_world();
    const PdboOutcome outcome = run(s);
    const BilevelCounters& counters = outcome.counters;
    CHECK(counters.push_bytes == counters.push_messages * (outcome.parameters + 1) * 8);
    CHECK(counters.hyper_bytes == counters.hyper_messages * outcome.parameters * 4);
    // Each of seven others hears an agent with probability 0.6 on average.
    CHECK(counters.push_bytes_per_round(8) ==
          Approx(0.6 * 7 * static_cast<double>(outcome.parameters + 1) * 8).epsilon(0.1));
    PdboSettings alone = s;
    alone.method = PdboMethod::local;
    CHECK(run(alone).counters.push_bytes == 0);
}

TEST_CASE(
    "alone an agent's weights stay equal, and with a hyper-gradient of no terms PDBO-MTL is its local variant") {
    PdboSettings s = small_world();
    s.method = PdboMethod::sgp;
    for (const float weight : run(s).weights) CHECK(weight == 0.5f);
    s.method = PdboMethod::pdbo_mtl_local;
    const PdboOutcome local = run(s);
    s.method = PdboMethod::pdbo_mtl;
    const PdboOutcome with_series = run(s);
    s.neumann_steps = 0;
    const PdboOutcome without = run(s);
    CHECK(without.weights == local.weights);
    CHECK(with_series.weights != local.weights);
}

TEST_CASE("the chosen stage is the best one on validation rows, and the decile is that of its agents") {
    const PdboOutcome outcome = run(small_world());
    REQUIRE(outcome.history.size() == 3);
    for (const PdboRow& row : outcome.history) CHECK(row.validation_accuracy <= outcome.best().validation_accuracy);
    CHECK(outcome.best().bottom_decile == bottom_decile(outcome.accuracy_by_agent));
    double mean = 0;
    for (const double accuracy : outcome.accuracy_by_agent) mean += accuracy / 8;
    CHECK(outcome.best().test_accuracy == Approx(mean));
    CHECK(bottom_decile({3, 1, 2, 0, 4, 5, 6, 7, 8, 9, 10}) == 1.0);
    CHECK(bottom_decile({7}) == 7.0);
    CHECK(bottom_decile({0, 1}) == Approx(0.1));
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
    const double together = run(s).best().test_accuracy;
    s.method = PdboMethod::pdbo_mtl;
    const double personal = run(s).best().test_accuracy;
    s.method = PdboMethod::local;
    const double alone = run(s).best().test_accuracy;
    CHECK(together > alone + 0.1);
    CHECK(personal > alone + 0.1);
}

TEST_CASE("steps that are too large end a PDBO run with the agent and the round") {
    PdboSettings s = small_world();
    s.inner_rate = 900.0f;
    s.largest_value = 50.0f;
    auto training = PdboTraining::make(s, 1);
    REQUIRE(training);
    const auto outcome = (*training)->run({});
    REQUIRE(outcome);
    CHECK_FALSE(outcome->complete);
    CHECK(outcome->failure.find("node ") == 0);
    CHECK(outcome->failure.find("too large") != std::string::npos);
    CHECK(outcome->history.size() == 1);
}

TEST_CASE("a PDBO run that is stopped says so and has its numbers so far") {
    PdboHooks hooks;
    int asked = 0;
    hooks.stop = [&] { return ++asked > 30; };
    auto training = PdboTraining::make(small_world(), 1);
    REQUIRE(training);
    const auto outcome = (*training)->run(hooks);
    REQUIRE(outcome);
    CHECK_FALSE(outcome->complete);
    CHECK(outcome->history.size() == 1);
}

TEST_CASE("characters: generated speakers are learned from, and too few speakers are refused") {
    PdboSettings s = small_world();
    s.task = PdboTask::characters;
    s.speech.characters = 200;
    s.speech.sharpness = 4.0f;
    s.context = 1;
    s.inner_steps = 60;
    auto training = PdboTraining::make(s, 1);
    REQUIRE(training);
    const PdboData& data = (*training)->data();
    CHECK(data.table.rows() == 8 * 200);
    for (std::uint32_t agent = 0; agent < 8; ++agent) {
        CHECK(data.parts[agent].train.size() == 120);
        CHECK(data.validation[agent].size() == 40);
        CHECK(data.parts[agent].test.size() == 40);
        CHECK(data.parts[agent].train.back() < data.validation[agent].front());
        CHECK(data.validation[agent].back() < data.parts[agent].test.front());
    }
    const auto outcome = (*training)->run({});
    REQUIRE(outcome);
    CHECK(outcome->best().test_accuracy > 2.0 / speech_symbols);
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
