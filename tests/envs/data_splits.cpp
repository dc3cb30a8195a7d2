// SPDX-License-Identifier: Apache-2.0
#include "envs/data_split.hpp"
#include "task_checks.hpp"

#include <algorithm>
#include <set>
#include <string>

using namespace dunlin;

namespace {

/// Rows with labels 0, 1, 2, ... in turn and seven users.
DataTable table_of(std::size_t rows, int classes = 10) {
    DataTable table;
    table.features = 1;
    table.classes = classes;
    for (std::size_t row = 0; row < rows; ++row) {
        table.values.push_back(static_cast<float>(row));
        table.labels.push_back(static_cast<std::uint8_t>(row % static_cast<std::size_t>(classes)));
        table.users.push_back(static_cast<std::int32_t>(row % 7));
    }
    return table;
}

std::set<int> labels_of(const DataTable& table, const NodeRows& node) {
    std::set<int> labels;
    for (std::uint32_t row : node.train) labels.insert(table.labels[row]);
    for (std::uint32_t row : node.test) labels.insert(table.labels[row]);
    return labels;
}

std::size_t total(const std::vector<NodeRows>& nodes) {
    std::size_t sum = 0;
    for (const NodeRows& node : nodes) sum += node.train.size() + node.test.size();
    return sum;
}

/// The mean over nodes of the largest share that one label has in a node.
double dominance(const DataTable& table, const std::vector<NodeRows>& nodes) {
    double sum = 0;
    for (const NodeRows& node : nodes) {
        std::vector<int> count(static_cast<std::size_t>(table.classes));
        for (std::uint32_t row : node.train) ++count[table.labels[row]];
        sum += static_cast<double>(*std::max_element(count.begin(), count.end())) /
               static_cast<double>(node.train.size());
    }
    return sum / static_cast<double>(nodes.size());
}

}  // namespace

TEST_CASE("every split is a function of its seed and gives no row to two nodes") {
    const DataTable table = table_of(2000);
    for (Split kind : {Split::uniform, Split::labels, Split::skew, Split::dirichlet, Split::users}) {
        const SplitSettings settings{.kind = kind, .nodes = 20};
        const auto one = split_rows(table, settings, 4), same = split_rows(table, settings, 4),
                   other = split_rows(table, settings, 5);
        REQUIRE(one);
        CHECK(one->size() == (kind == Split::users ? 7 : 20));
        CHECK((*one)[3].train == (*same)[3].train);
        CHECK((*one)[3].train != (*other)[3].train);
        std::vector<int> seen(2000);
        for (const NodeRows& node : *one) {
            for (std::uint32_t row : node.train) ++seen[row];
            for (std::uint32_t row : node.test) ++seen[row];
            const double part =
                static_cast<double>(node.test.size()) / static_cast<double>(node.train.size() + node.test.size());
            CHECK(part >= 0.2 - 1e-6);
            CHECK(part < 0.2 + 0.5);
        }
        CHECK(*std::max_element(seen.begin(), seen.end()) == 1);
        CHECK(training_rows(*one).size() + 1 > total(*one) / 2);
    }
}

TEST_CASE("a split by labels gives each node k labels, and every label is used up") {
    const DataTable table = table_of(3000);
    for (int k : {1, 2, 3, 10}) {
        const auto nodes = split_rows(table, {.kind = Split::labels, .nodes = 25, .labels_per_node = k}, 9);
        REQUIRE(nodes);
        for (const NodeRows& node : *nodes) CHECK(labels_of(table, node).size() == static_cast<std::size_t>(k));
        CHECK(total(*nodes) == 3000);
    }
}

TEST_CASE("a skewed split gives each node its label's share, and few samples where few are asked for") {
    const DataTable table = table_of(20000);
    const auto nodes = split_rows(table, {.kind = Split::skew, .nodes = 20, .skew = 0.95f, .train_limit = 128}, 1);
    REQUIRE(nodes);
    for (const NodeRows& node : *nodes) CHECK(node.train.size() == 128);
    CHECK(dominance(table, *nodes) == Approx(0.955).margin(0.02));
    CHECK(labels_of(table, (*nodes)[13]).contains(3));
    const auto even = split_rows(table, {.kind = Split::skew, .nodes = 20, .skew = 0.0f}, 1);
    CHECK(dominance(table, *even) < 0.2);
}

TEST_CASE("a Dirichlet split goes from a label a node to all alike as alpha grows") {
    const DataTable table = table_of(10000);
    const auto split = [&](float alpha) {
        const auto nodes = split_rows(table, {.kind = Split::dirichlet, .nodes = 20, .alpha = alpha}, 2);
        REQUIRE(nodes);
        CHECK(total(*nodes) == 10000);
        return dominance(table, *nodes);
    };
    const double few = split(0.1f), some = split(1.0f), all = split(1000.0f);
    CHECK(few > 0.55);
    CHECK(some > 0.2);
    CHECK(some < few);
    CHECK(all < 0.15);
}

TEST_CASE("a split by users keeps each user's rows together") {
    const DataTable table = table_of(700);
    const auto nodes = split_rows(table, {.kind = Split::users}, 2);
    REQUIRE(nodes->size() == 7);
    for (std::size_t user = 0; user < 7; ++user) {
        for (std::uint32_t row : (*nodes)[user].train) CHECK(row % 7 == user);
        CHECK((*nodes)[user].train.size() == 80);
    }
}

TEST_CASE("a split by users leaves out who has too few rows, and counts what nobody has") {
    DataTable table = table_of(70);
    table.users.back() = 7;
    const SplitSettings settings{.kind = Split::users};
    const auto nodes = split_rows(table, settings, 2);
    REQUIRE(nodes->size() == 7);
    const auto count = [&](std::string_view key) {
        for (const DataNote& note : split_notes(table, settings, *nodes)) {
            if (note.key == key) return note.count;
        }
        return std::int64_t{0};
    };
    CHECK(count("unused_users") == 1);
    CHECK(count("unused_rows") == 1);
    CHECK(count("classes_without_training") == 0);

    const SplitSettings few{.kind = Split::labels, .nodes = 2, .labels_per_node = 2};
    const DataNotes notes = split_notes(table, few, *split_rows(table, few, 2));
    REQUIRE(notes.size() >= 2);
    CHECK(notes[0].key == "unused_rows");
    CHECK(notes[0].text.find("given to nobody") != std::string::npos);
    CHECK(notes[1].key == "classes_without_training");
    CHECK(notes[1].count == 6);
}

TEST_CASE("conflicting nodes have permutations of their own") {
    const DataTable table = table_of(1000);
    const auto nodes = split_rows(table, {.kind = Split::uniform, .nodes = 10, .conflicting = true}, 2);
    std::set<std::string> seen;
    for (const NodeRows& node : *nodes) {
        std::vector<std::uint8_t> sorted = node.relabel;
        std::sort(sorted.begin(), sorted.end());
        for (std::uint8_t k = 0; k < 10; ++k) CHECK(sorted[k] == k);
        seen.emplace(node.relabel.begin(), node.relabel.end());
        CHECK(node.train_view(table).label(node.train[0]) == node.relabel[table.labels[node.train[0]]]);
    }
    CHECK(seen.size() > 8);
    const auto agreed = split_rows(table, {.kind = Split::uniform, .nodes = 10}, 2);
    CHECK(agreed->front().train_view(table).label(13) == 3);
}

TEST_CASE("a split that cannot be is refused") {
    DataTable table = table_of(30);
    const auto refused = [&](const SplitSettings& settings) { return split_rows(table, settings, 1).error(); };
    CHECK(refused({.kind = Split::uniform, .nodes = 40}).code == Code::too_few_rows);
    CHECK(refused({.kind = Split::uniform, .nodes = 30}).code == Code::too_few_rows);
    CHECK(refused({.nodes = 0}) == Error{Code::bad_setting, 1, 0});
    CHECK(refused({.labels_per_node = 11}) == Error{Code::bad_setting, 2, 0});
    CHECK(refused({.skew = 1.5f}) == Error{Code::bad_setting, 3, 0});
    CHECK(refused({.alpha = 0.0f}) == Error{Code::bad_setting, 4, 0});
    CHECK(refused({.test_fraction = 1.0f}) == Error{Code::bad_setting, 5, 0});
    table.users.clear();
    CHECK(refused({.kind = Split::users}) == Error{Code::bad_setting, 0, 0});
}
