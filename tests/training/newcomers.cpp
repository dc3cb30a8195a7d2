// SPDX-License-Identifier: Apache-2.0
#include "training/problems/newcomers.hpp"

#include "training/problems/classification_fleet.hpp"

#include <algorithm>
#include <set>

#include <catch2/catch.hpp>

using namespace dunlin;
using Catch::Contains;

namespace {

/// Six users, who see generated digits each in a way of its own.
ClassificationSettings six_users() {
    ClassificationSettings s;
    s.data.digits.domains = 6;
    s.data.rows = 1200;
    s.data.split.kind = Split::users;
    s.data.digits.domain_shift = 0.2f;
    s.hidden = {16};
    s.federated.personal = {.steps = 30, .rate = 0.1f};
    return s;
}

std::set<std::uint32_t> rows_of(const SharedData& data) {
    std::set<std::uint32_t> rows;
    for (const NodeRows& part : data.parts) {
        rows.insert(part.train.begin(), part.train.end());
        rows.insert(part.test.begin(), part.test.end());
    }
    return rows;
}

}  // namespace

TEST_CASE("Newcomers have the rows that nobody else has, and everybody else keeps theirs") {
    ClassificationSettings s = six_users();
    const auto everybody = read_data(s.data, 1);
    REQUIRE(everybody);
    s.data.newcomers.count = 2;
    const auto members = read_data(s.data, 1), newcomers = read_newcomers(s.data, 1);
    REQUIRE(members);
    REQUIRE(newcomers);
    REQUIRE(members->parts.size() == 4);
    REQUIRE(newcomers->parts.size() == 2);
    std::set<std::uint32_t> both = rows_of(*members);
    const std::size_t own = both.size();
    both.merge(rows_of(*newcomers));
    REQUIRE(own + rows_of(*newcomers).size() == both.size());
    REQUIRE(both == rows_of(*everybody));
    const auto noted = std::ranges::find(members->notes, "newcomers", &DataNote::key);
    REQUIRE(noted != members->notes.end());
    REQUIRE(noted->count == 2);
    // What data are standardised by is the members' alone, for either.
    s.data.standardise = true;
    REQUIRE(read_data(s.data, 1)->table.values == read_newcomers(s.data, 1)->table.values);
    REQUIRE(read_data(s.data, 1)->table.values != read_data(six_users().data, 1)->table.values);
}

TEST_CASE("Newcomers are named or drawn by the seed, and somebody is left to learn from") {
    ClassificationSettings s = six_users();
    s.data.newcomers.users = {"4"};
    REQUIRE(read_newcomers(s.data, 1)->parts.size() == 1);
    s.data.newcomers.users = {"4", "seven"};
    REQUIRE_THAT(read_data(s.data, 1).error().text, Contains("newcomers.users") && Contains("seven"));
    s.data.newcomers.users.clear();
    std::set<std::set<std::uint32_t>> drawn;
    for (const int count : {1, 5}) {
        s.data.newcomers.count = count;
        REQUIRE(read_newcomers(s.data, 1)->parts.size() == static_cast<std::size_t>(count));
    }
    for (const int count : {6, 7}) {
        s.data.newcomers.count = count;
        REQUIRE_THAT(read_data(s.data, 1).error().text, Contains("nobody is left to learn from"));
    }
}

TEST_CASE("A newcomer is judged with few rows of its own, beside the model as it is and these rows alone") {
    ClassificationSettings s = six_users();
    s.data.newcomers = {.users = {}, .count = 2, .rows = {1, 8}, .repeats = 2, .own_steps = 200};
    const auto members = make_classification_problem(s, 1);
    REQUIRE(members);
    REQUIRE((*members)->nodes() == 4);
    std::vector<float> w((*members)->dimension()), gradient(w.size());
    (*members)->initialise(w);
    Stream random(1, 0, Purpose::samples);
    for (int step = 0; step < 400; ++step) {
        (*members)->learner(FederatedProblem::everybody, 0).gradient(w, random, gradient);
        for (std::size_t k = 0; k < w.size(); ++k) w[k] -= 0.1f * gradient[k];
    }
    const auto make = [&](SharedData data) { return make_classification_problem(std::move(data), s, s, 1); };
    const auto figures_of = [&] {
        RunFigures figures;
        REQUIRE(report_newcomers(s.data, s.federated.personal, 1, ConstVector<float>(w), make, figures));
        return figures;
    };
    const RunFigures figures = figures_of();
    const auto field = [](const RunFigures& of, std::string_view key) {
        const auto found = std::ranges::find(of.fields, key, &std::pair<std::string, FigureValue>::first);
        REQUIRE(found != of.fields.end());
        return std::get<std::vector<double>>(found->second);
    };
    const auto before = field(figures, "newcomers.before"), adapted = field(figures, "newcomers.adapted"),
               own = field(figures, "newcomers.own");
    REQUIRE(before.size() == 2);
    REQUIRE(before[0] == before[1]);  // it takes no rows
    REQUIRE(adapted[0] > own[0]);
    REQUIRE(own[1] > own[0] + 0.1);
    REQUIRE(adapted[1] > 0.6);
    REQUIRE(field(figures_of(), "newcomers.adapted") == adapted);
    REQUIRE(figures.measures.size() == 2);
    REQUIRE(figures.measures[1].key == "newcomers_8");
    REQUIRE(figures.sections.size() == 1);
    REQUIRE(figures.sections[0].tables[1].rows.size() == 4);  // two newcomers, twice
    REQUIRE_THAT(figures.line, Contains("2 users who were never met, 1 rows a class"));
}

TEST_CASE(
    "A newcomer begins with everybody's first personal layers, or with the members' mean where that is said") {
    ClassificationSettings s = six_users();
    s.personal_layers = {"first"};
    s.data.newcomers = {.users = {"0"}, .rows = {4}, .repeats = 1, .own_steps = 1};
    s.federated.personal.steps = 0;
    const auto members = make_classification_problem(s, 1);
    REQUIRE(members);
    std::vector<float> first((*members)->dimension());
    (*members)->initialise(first);
    std::vector<float> w = first;
    const LayerSplit split = (*members)->split();
    for (const LayerSplit::Range& range : split.personal())
        std::fill_n(w.begin() + static_cast<std::ptrdiff_t>(range.first), range.count, 0.0f);
    const auto make = [&](SharedData data) { return make_classification_problem(std::move(data), s, s, 1); };
    const auto before = [&](const std::vector<float>& from) {
        RunFigures figures;
        REQUIRE(report_newcomers(s.data, s.federated.personal, 1, ConstVector<float>(from), make, figures));
        return std::get<std::vector<double>>(figures.fields[1].second);
    };
    REQUIRE(before(w) == before(first));
    s.data.newcomers.mean_layers = true;
    REQUIRE(before(w) != before(first));
}
