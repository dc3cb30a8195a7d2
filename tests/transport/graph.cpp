// SPDX-License-Identifier: Apache-2.0
#include "transport/graph.hpp"

#include <cmath>
#include <cstdio>
#include <fstream>
#include <functional>
#include <string>

using namespace dunlin;

namespace {

/// Strong connectivity by the definition: every node reaches every other along a matrix of paths.
bool connected_by_definition(const Graph& graph) {
    const std::uint32_t n = graph.nodes();
    std::vector<std::vector<bool>> path(n, std::vector<bool>(n));
    for (std::uint32_t k = 0; k < graph.edges(); ++k) path[graph.source(k)][graph.target(k)] = true;
    for (std::uint32_t k = 0; k < n; ++k) {
        for (std::uint32_t i = 0; i < n; ++i) {
            for (std::uint32_t j = 0; j < n; ++j) path[i][j] = path[i][j] || (path[i][k] && path[k][j]);
        }
    }
    for (std::uint32_t i = 0; i < n; ++i) {
        for (std::uint32_t j = 0; j < n; ++j) {
            if (i != j && !path[i][j]) return false;
        }
    }
    return true;
}

std::vector<Edge> edges_of(const Graph& graph) {
    std::vector<Edge> edges;
    for (std::uint32_t k = 0; k < graph.edges(); ++k) edges.push_back({graph.source(k), graph.target(k)});
    return edges;
}

}  // namespace

TEST_CASE("out- and in-neighbours, edge numbers and find agree with the list of edges") {
    const auto graph = Graph::from_edges(4, {{3, 1}, {0, 2}, {0, 1}, {2, 3}, {1, 0}});
    REQUIRE(graph);
    CHECK(edges_of(*graph) == std::vector<Edge>{{0, 1}, {0, 2}, {1, 0}, {2, 3}, {3, 1}});
    for (std::uint32_t i = 0; i < 4; ++i) {
        for (std::uint32_t k = 0; k < graph->out(i).size(); ++k) {
            const std::uint32_t edge = graph->first_out(i) + k;
            CHECK(graph->source(edge) == i);
            CHECK(graph->target(edge) == graph->out(i)[k]);
            CHECK(graph->find(i, graph->out(i)[k]) == edge);
        }
        for (std::size_t k = 0; k < graph->in(i).size(); ++k) {
            CHECK(graph->target(graph->in_edges(i)[k]) == i);
            CHECK(graph->source(graph->in_edges(i)[k]) == graph->in(i)[k]);
        }
    }
    CHECK(graph->in(1).size() == 2);
    CHECK(!graph->find(2, 0));
    CHECK(!graph->find(9, 0));
}

TEST_CASE("a list of edges that is no graph is refused with its place") {
    const auto error = [](std::uint32_t nodes, std::vector<Edge> edges) {
        return Graph::from_edges(nodes, std::move(edges)).error();
    };
    CHECK(error(0, {}) == Error{Code::graph_size, 0, Graph::node_limit});
    CHECK(error(Graph::node_limit + 1, {}).code == Code::graph_size);
    CHECK(error(3, {{0, 1}, {1, 3}}) == Error{Code::graph_node, 1, 3});
    CHECK(error(3, {{0, 1}, {2, 2}}) == Error{Code::graph_loop, 1, 2});
    CHECK(error(3, {{2, 1}, {0, 1}, {2, 1}}) == Error{Code::graph_repeated_edge, 2, 0});
    CHECK(error(3, {{0, 1}, {0, 1}, {2, 1}}) == Error{Code::graph_repeated_edge, 1, 0});
}

TEST_CASE("the named graphs have their degrees and are strongly connected, from one node on") {
    struct Named {
        Result<Graph> (*make)(std::uint32_t);
        std::function<std::size_t(std::uint32_t)> edges;
        bool both_ways;
    };
    const std::vector<Named> all = {
        {ring, [](auto n) { return n < 3 ? 2 * (n - 1) : 2 * n; }, true},
        {directed_ring, [](auto n) { return n < 2 ? 0 : n; }, false},
        {exponential_graph,
         [](auto n) { return n * static_cast<std::size_t>(std::ceil(std::log2(static_cast<double>(n)))); }, false},
        {complete_graph, [](auto n) { return n * (n - 1); }, true},
        {star, [](auto n) { return 2 * (n - 1); }, true},
    };
    for (const Named& named : all) {
        for (const std::uint32_t nodes : {1u, 2u, 3u, 7u, 16u, 33u}) {
            const auto graph = named.make(nodes);
            REQUIRE(graph);
            CHECK(graph->nodes() == nodes);
            CHECK(graph->edges() == named.edges(nodes));
            CHECK(strongly_connected(*graph));
            CHECK(connected_by_definition(*graph));
            if (named.both_ways || nodes < 3)
                CHECK(undirected(*graph));
            else if (nodes > 3)
                CHECK(!undirected(*graph));
        }
        CHECK(named.make(0).error().code == Code::graph_size);
    }
    CHECK(complete_graph(Graph::node_limit).error().code == Code::graph_too_dense);
}

TEST_CASE("strong connectivity agrees with its definition, and the node that it names is cut off") {
    int connected = 0;
    Stream random(11, 0, Purpose::user);
    for (int k = 0; k < 2000; ++k) {
        std::vector<Edge> edges;
        const std::uint32_t nodes = 2 + random.below(6);
        const float density = random.uniform();
        for (std::uint32_t i = 0; i < nodes; ++i) {
            for (std::uint32_t j = 0; j < nodes; ++j) {
                if (i != j && random.uniform() < density) edges.push_back({i, j});
            }
        }
        const auto graph = Graph::from_edges(nodes, edges);
        REQUIRE(graph);
        const auto checked = strongly_connected(*graph);
        REQUIRE(checked.has_value() == connected_by_definition(*graph));
        connected += checked ? 1 : 0;
        if (!checked) REQUIRE(checked.error().code == Code::graph_not_connected);
    }
    CHECK(connected > 200);
    CHECK(connected < 1800);

    // 0 <-> 1 -> 2: node 2 is reached and cannot answer; turned round, it is not reached.
    CHECK(strongly_connected(*Graph::from_edges(3, {{0, 1}, {1, 0}, {1, 2}})).error() ==
          Error{Code::graph_not_connected, 2, 1});
    CHECK(strongly_connected(*Graph::from_edges(3, {{0, 1}, {1, 0}, {2, 1}})).error() ==
          Error{Code::graph_not_connected, 2, 0});
}

TEST_CASE("a path of a million nodes is walked without recursion") {
    const auto graph = directed_ring(Graph::node_limit);
    REQUIRE(graph);
    CHECK(strongly_connected(*graph));
}

TEST_CASE("an edge without its reverse is named") {
    CHECK(undirected(*Graph::from_edges(3, {{0, 1}, {1, 0}, {1, 2}})).error() ==
          Error{Code::graph_not_undirected, 1, 2});
    CHECK(undirected(*Graph::from_edges(3, {{0, 1}, {1, 0}, {2, 1}})).error() ==
          Error{Code::graph_not_undirected, 2, 1});
    CHECK(undirected(*Graph::from_edges(3, {{2, 0}, {0, 1}, {1, 0}})).error() ==
          Error{Code::graph_not_undirected, 2, 0});
}

TEST_CASE("Metropolis weights are symmetric, doubly stochastic and positive at home") {
    Stream random(3, 0, Purpose::graph);
    const auto graph = erdos_renyi(20, {0.25, false, 1000}, random);
    REQUIRE(graph);
    const auto weights = metropolis_weights(*graph);
    REQUIRE(weights);
    std::vector<double> row = weights->self, column = weights->self;
    for (std::uint32_t k = 0; k < graph->edges(); ++k) {
        row[graph->source(k)] += weights->edge[k];
        column[graph->target(k)] += weights->edge[k];
        CHECK(weights->edge[k] == weights->edge[*graph->find(graph->target(k), graph->source(k))]);
    }
    for (std::uint32_t i = 0; i < 20; ++i) {
        CHECK(row[i] == Approx(1.0));
        CHECK(column[i] == Approx(1.0));
        CHECK(weights->self[i] > 0.0);
    }
    CHECK(metropolis_weights(*directed_ring(4)).error().code == Code::graph_not_undirected);
}

TEST_CASE("about one directed draw in a hundred with n = 10 and p = 0.15 is strongly connected") {
    const int draws = 20000;
    Stream random(5, 0, Purpose::graph);
    int accepted = 0;
    for (int k = 0; k < draws; ++k) {
        const auto graph = erdos_renyi(10, {0.15, true, 1}, random);
        if (graph) REQUIRE(connected_by_definition(*graph));
        if (!graph) REQUIRE(graph.error() == Error{Code::graph_attempts, 1, 0});
        accepted += graph ? 1 : 0;
    }
    CHECK(accepted > draws * 6 / 1000);
    CHECK(accepted < draws * 16 / 1000);

    const auto graph = build_graph({"erdos-renyi", 10, 0.15, 10'000, {}}, 42);
    REQUIRE(graph);
    CHECK(strongly_connected(*graph));
}

TEST_CASE("every edge of a random graph is there with the same probability") {
    const std::uint32_t nodes = 40;  // with so many edges hardly any draw is rejected, which would be a bias
    const int draws = 1000;
    for (const bool directed : {true, false}) {
        for (const double probability : {0.2, 0.8}) {
            Stream random(9, 0, Purpose::graph);
            std::vector<int> count(nodes * nodes);
            for (int k = 0; k < draws; ++k) {
                const auto graph = erdos_renyi(nodes, {probability, directed, 100}, random);
                REQUIRE(graph);
                for (const auto [from, to] : edges_of(*graph)) ++count[from * nodes + to];
            }
            for (std::uint32_t k = 0; k < count.size(); ++k) {
                const double expected = k % (nodes + 1) == 0 ? 0.0 : probability * draws;
                REQUIRE(std::abs(count[k] - expected) <= 5 * std::sqrt(expected * (1 - probability)));
            }
        }
    }
}

TEST_CASE("sparse random graphs have the expected number of edges, and p = 1 is the complete graph") {
    Stream random(1, 0, Purpose::graph);
    const std::uint32_t nodes = 20000;
    const double probability = 0.001, expected = probability * nodes * (nodes - 1.0);
    const auto directed = erdos_renyi(nodes, {probability, true, 1}, random);
    REQUIRE(directed);
    CHECK(std::abs(directed->edges() - expected) < 5 * std::sqrt(expected));
    const auto both = erdos_renyi(nodes, {probability, false, 1}, random);
    REQUIRE(both);
    CHECK(undirected(*both));
    CHECK(std::abs(both->edges() - expected) < 5 * std::sqrt(2 * expected));

    CHECK(erdos_renyi(9, {1.0, true, 1}, random)->edges() == 72);
    CHECK(erdos_renyi(9, {1.0, false, 1}, random)->edges() == 72);
}

TEST_CASE("the same seed draws the same graph, another seed another") {
    const GraphRecipe recipe{"erdos-renyi", 12, 0.3, 1000, {}};
    CHECK(edges_of(*build_graph(recipe, 1)) == edges_of(*build_graph(recipe, 1)));
    CHECK(edges_of(*build_graph(recipe, 1)) != edges_of(*build_graph(recipe, 2)));
}

TEST_CASE("a random graph that cannot be drawn is an error, not an endless loop") {
    Stream random(1, 0, Purpose::graph);
    CHECK(erdos_renyi(50, {0.001, true, 20}, random).error() == Error{Code::graph_attempts, 20, 0});
    CHECK(erdos_renyi(5, {0.5, true, 20'000}, random).error() == Error{Code::out_of_range, 20'000, 10'000});
    CHECK(erdos_renyi(5, {0.0, true, 20}, random).error().code == Code::bad_probability);
    CHECK(erdos_renyi(5, {1.5, true, 20}, random).error().code == Code::bad_probability);
    CHECK(erdos_renyi(5, {std::nan(""), true, 20}, random).error().code == Code::bad_probability);
    CHECK(erdos_renyi(Graph::node_limit, {1.0, true, 20}, random).error().code == Code::graph_too_dense);
}

TEST_CASE("an edge list with comments, blank lines and carriage returns is read") {
    const auto graph = parse_graph("# a triangle\r\n0 1\r\n\n  1\t2   # back\n2 0");
    REQUIRE(graph);
    CHECK(edges_of(*graph) == std::vector<Edge>{{0, 1}, {1, 2}, {2, 0}});
}

TEST_CASE("an edge list as networkx, spreadsheets and graph collections write it") {
    const std::vector<Edge> triangle{{0, 1}, {1, 2}, {2, 0}};
    struct List {
        std::string_view text;
        std::int64_t weights = 0;
        bool from_one = false, named = false, header = false;
    };
    const List lists[] = {{"0 1\n1 2\n2 0\n"},
                          {"\xef\xbb\xbf"
                           "0 1\n1 2\n2 0"},
                          {"0 1 {}\n1 2 {'weight': 2.5}\n2 0 {}\n", 3},
                          {"0 1 1.0\n1 2 -2e3 17\n2 0\n", 2},
                          {"0,1\n1, 2\n2 ;0\n"},
                          {"% directed\n0\t1\n1 2 % x\n2 0\n"},
                          {"1 2\r\n2 3\r\n3 1\r\n", 0, true},
                          {"source,target,weight\n0,1,3\n1,2,4\n2,0,5\n", 3, false, false, true},
                          {"From To\n1 2\n2 3\n3 1\n", 0, true, false, true},
                          {"anna bert\nbert c\xc3\xa9line\nc\xc3\xa9line anna\n", 0, false, true},
                          {"a b friend\nb 7\n7 a\n", 1, false, true}};
    for (const List& list : lists) {
        INFO(list.text);
        GraphRemarks remarks;
        const auto graph = parse_graph(list.text, &remarks);
        if (!graph) FAIL(remarks.wrong);
        CHECK(edges_of(*graph) == triangle);
        CHECK(remarks.weights == list.weights);
        CHECK(remarks.from_one == list.from_one);
        CHECK(remarks.named == list.named);
        CHECK(remarks.header == list.header);
    }
}

TEST_CASE("a malformed edge list is refused with its line, what stands there and what is expected") {
    struct Wrong {
        std::string_view text;
        Error error;
        std::string_view part = {};
    };
    const Wrong all[] = {
        {"0 1\n1 x\n", {Code::file_syntax, 2, 3}, "line 2: 'x' is no node; expected a whole number"},
        {"0 1\n1\n", {Code::file_syntax, 2, 2}, "line 2: '1' stands alone"},
        {"0 1 x\n", {Code::file_syntax, 1, 5}, "line 1: 'x' stands behind an edge"},
        {"0 -1\n", {Code::file_syntax, 1, 3}, "'-1'"},
        {"0 1.5\n", {Code::file_syntax, 1, 3}, "'1.5'"},
        {"0 99999999999999\n", {Code::file_syntax, 1, 3}, "'99999999999999'"},
        {"0 \x1b[2J\n", {Code::file_syntax, 1, 3}, "'\\x1b[2J'"},
        {"# one\n0 1000000\n", {Code::graph_node, 2, 1000000}, "'1000000' is too large"},
        {"0 1\n\n# x\n1 1\n", {Code::graph_loop, 4, 1}},
        {"1 2\n2 2\n", {Code::graph_loop, 2, 2}},
        {"1 0\n0 1\n# x\n\n1 0\n", {Code::graph_repeated_edge, 5, 0}},
        {"# nothing\n", {Code::graph_size, 0, Graph::node_limit}, "no edge"},
        {"", {Code::graph_size, 0, Graph::node_limit}, "no edge"},
        {std::string_view("0 1\n\0\n", 6), {Code::file_syntax, 2, 2}, "'\\x00' stands alone"}};
    for (const Wrong& wrong : all) {
        INFO(wrong.text);
        GraphRemarks remarks;
        const auto graph = parse_graph(wrong.text, &remarks);
        REQUIRE_FALSE(graph);
        INFO(remarks.wrong);
        CHECK(graph.error() == wrong.error);
        CHECK(remarks.wrong.find(wrong.part) != std::string::npos);
    }
}

TEST_CASE("a graph is built by its name, and a wrong name, file, size or connection is an error") {
    for (const char* kind : {"ring", "directed-ring", "exponential", "complete", "star", "erdos-renyi-undirected"})
        CHECK(build_graph({kind, 8, 0.4, 1000, {}}, 1)->nodes() == 8);
    CHECK(build_graph({"hypercube", 8, 0.4, 1000, {}}, 1).error().code == Code::unknown_graph);
    CHECK(build_graph({"file", 8, 0.4, 1000, "no such file"}, 1).error().code == Code::file_missing);

    const std::string path = "transport_tests_graph.txt";
    std::ofstream(path) << "0 1\n1 0\n1 2\n";
    CHECK(build_graph({"file", 8, 0.4, 1000, path}, 1).error() == Error{Code::graph_mismatch, 3, 8});
    CHECK(build_graph({"file", 3, 0.4, 1000, path}, 1).error() == Error{Code::graph_not_connected, 2, 1});
    std::ofstream(path, std::ios::app) << "2 0\n";
    CHECK(build_graph({"file", 0, 0.4, 1000, path}, 1)->edges() == 4);
    std::remove(path.c_str());
}

TEST_CASE("strong components are who can reach each other both ways, among those that are there") {
    Stream random(31, 0, Purpose::user);
    for (int turn = 0; turn < 200; ++turn) {
        const std::uint32_t nodes = 2 + random.below(9);
        std::vector<Edge> edges;
        for (std::uint32_t i = 0; i < nodes; ++i) {
            for (std::uint32_t j = 0; j < nodes; ++j) {
                if (i != j && random.uniform() < 0.2f) edges.push_back({i, j});
            }
        }
        const Graph graph = Graph::from_edges(nodes, edges).value();
        std::vector<std::uint8_t> present(nodes);
        for (std::uint8_t& is : present) is = random.uniform() < 0.8f;
        std::vector<std::vector<bool>> reaches(nodes, std::vector<bool>(nodes));
        for (std::uint32_t i = 0; i < nodes; ++i) reaches[i][i] = present[i] != 0;
        for (std::uint32_t step = 0; step < nodes; ++step) {
            for (const auto& [from, to] : edges) {
                for (std::uint32_t i = 0; i < nodes; ++i) {
                    if (reaches[i][from] && present[to] != 0) reaches[i][to] = true;
                }
            }
        }
        const auto component = strong_components(graph, present);
        for (std::uint32_t i = 0; i < nodes; ++i) {
            CHECK((component[i] == absent) == (present[i] == 0));
            for (std::uint32_t j = 0; j < nodes; ++j) {
                if (present[i] == 0 || present[j] == 0) continue;
                CHECK((component[i] == component[j]) == (reaches[i][j] && reaches[j][i]));
            }
        }
    }
}
