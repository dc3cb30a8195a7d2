// SPDX-License-Identifier: Apache-2.0
#include "transport/graph.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>

namespace dunlin {
namespace {

constexpr std::int64_t file_limit_bytes = std::int64_t{512} << 20;

/// What is left of one line while it is read from left to right.
class Line {
public:
    explicit Line(std::string_view text) : text_(text.substr(0, text.find('#'))) {}

    bool at_end() {
        place_ = std::min(text_.find_first_not_of(" \t\r", place_), text_.size());
        return place_ == text_.size();
    }

    /// A number that ends at a blank or at the end of the line.
    std::optional<std::uint32_t> number() {
        if (at_end()) return std::nullopt;
        std::uint32_t value = 0;
        const char* end = text_.data() + text_.size();
        const auto [stop, problem] = std::from_chars(text_.data() + place_, end, value);
        if (problem != std::errc{} || (stop != end && *stop != ' ' && *stop != '\t' && *stop != '\r'))
            return std::nullopt;
        place_ = static_cast<std::size_t>(stop - text_.data());
        return value;
    }

    std::int64_t column() const { return static_cast<std::int64_t>(place_) + 1; }

private:
    std::string_view text_;
    std::size_t place_ = 0;
};

}  // namespace

Result<Graph> parse_graph(std::string_view text) {
    std::vector<Edge> edges;
    std::vector<std::int64_t> line_of;
    std::uint32_t nodes = 0;
    for (std::int64_t number = 1; !text.empty(); ++number) {
        Line line(text.substr(0, text.find('\n')));
        text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1);
        if (line.at_end()) continue;
        const auto from = line.number();
        const auto to = from ? line.number() : std::nullopt;
        if (!to || !line.at_end()) return fail(Code::file_syntax, number, line.column());
        const std::uint32_t largest = std::max(*from, *to);
        if (largest >= Graph::node_limit) return fail(Code::graph_node, number, largest);
        if (edges.size() == Graph::edge_limit)
            return fail(Code::graph_too_dense, std::ssize(edges) + 1, Graph::edge_limit);
        nodes = std::max(nodes, largest + 1);
        edges.push_back({*from, *to});
        line_of.push_back(number);
    }
    auto graph = Graph::from_edges(nodes, std::move(edges));
    if (graph || graph.error().code == Code::graph_size) return graph;
    Error error = graph.error();
    error.first = line_of[static_cast<std::size_t>(error.first)];
    return tl::unexpected(error);
}

Result<Graph> load_graph(const std::string& path) {
    std::ifstream file(path, std::ios::binary | std::ios::ate);
    const std::int64_t size = file ? static_cast<std::int64_t>(file.tellg()) : -1;
    if (size < 0) return fail(Code::file_missing);
    if (size > file_limit_bytes) return fail(Code::file_too_large, size, file_limit_bytes);
    std::string text(static_cast<std::size_t>(size), '\0');
    if (!file.seekg(0).read(text.data(), static_cast<std::streamsize>(size)))
        return fail(Code::file_truncated, file.gcount(), size);
    return parse_graph(text);
}

}  // namespace dunlin
