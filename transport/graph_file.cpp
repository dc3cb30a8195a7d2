// SPDX-License-Identifier: Apache-2.0
#include "core/quoted.hpp"
#include "transport/graph.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <optional>
#include <unordered_map>
#include <utility>

namespace dunlin {
namespace {

constexpr std::int64_t file_limit_bytes = std::int64_t{512} << 20;

constexpr std::string_view blanks = " \t\r,;";

/// What is left of one line while it is read from left to right.
class Line {
public:
    explicit Line(std::string_view text) : text_(text.substr(0, text.find_first_of("#%"))) {}

    bool at_end() {
        place_ = std::min(text_.find_first_not_of(blanks, place_), text_.size());
        return place_ == text_.size();
    }
    /// Up to the next separator; empty at the end.
    std::string_view word() {
        if (at_end()) return {};
        const std::string_view word = text_.substr(place_, text_.find_first_of(blanks, place_) - place_);
        place_ += word.size();
        return word;
    }
    bool braces() { return !at_end() && text_[place_] == '{'; }
    std::int64_t column() const { return static_cast<std::int64_t>(place_) + 1; }

private:
    std::string_view text_;
    std::size_t place_ = 0;
};

template <class Number>
std::optional<Number> number_of(std::string_view word) {
    Number value = 0;
    const auto [stop, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (error != std::errc{} || stop != word.data() + word.size()) return std::nullopt;
    return value;
}

class Reader {
public:
    explicit Reader(GraphRemarks& remarks) : remarks_(remarks) {}

    Result<Graph> read(std::string_view text) {
        if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
        while (!text.empty()) {
            const std::string_view line = text.substr(0, text.find('\n'));
            text.remove_prefix(std::min(line.size() + 1, text.size()));
            ++line_;
            if (Result<void> taken = take(line); !taken) return tl::unexpected(taken.error());
        }
        if (titles_line_ > 0) {
            if (Result<void> added = add_titles(); !added) return tl::unexpected(added.error());
        }
        if (edges_.empty()) {
            remarks_.wrong = "the file has no edge; expected lines FROM TO";
            return fail(Code::graph_size, 0, Graph::node_limit);
        }
        if (!remarks_.named && least_ == 1) {
            remarks_.from_one = true;
            for (Edge& edge : edges_) edge = {edge.from - 1, edge.to - 1};
            --largest_;
        }
        auto graph = Graph::from_edges(largest_ + 1, std::move(edges_));
        if (graph || graph.error().code == Code::graph_size) return graph;
        Error error = graph.error();
        error.first = line_of_[static_cast<std::size_t>(error.first)];
        if (remarks_.from_one && error.code == Code::graph_loop) ++error.second;
        return tl::unexpected(error);
    }

private:
    tl::unexpected<Error> refuse(Error error, std::string_view found, std::string_view expected) {
        remarks_.wrong = "line " + std::to_string(error.first) + ": ";
        remarks_.wrong += Quoted(found).view();
        remarks_.wrong += expected;
        return tl::unexpected(error);
    }

    Result<void> take(std::string_view text) {
        Line line(text);
        if (line.at_end()) return {};
        const auto syntax = [this](const Line& at) { return Error{Code::file_syntax, line_, at.column()}; };
        const Line begin = line;
        const std::string_view from = line.word();
        line.at_end();
        const Line middle = line;
        const std::string_view to = line.word();
        if (to.empty()) return refuse(syntax(middle), from, " stands alone; expected two nodes, FROM TO");
        const auto first = number_of<std::uint32_t>(from), second = number_of<std::uint32_t>(to);
        const bool data = !line.at_end();
        if (titles_line_ > 0) {  // the line before was titles, if nodes are numbers, or else an edge
            if (first && second) {
                remarks_.header = true;
                titles_line_ = 0;
            } else if (Result<void> added = add_titles(); !added) {
                return added;
            }
        } else if (edges_.empty() && !remarks_.header && !number_of<double>(from) && !number_of<double>(to)) {
            titles_ = {std::string(from), std::string(to)};
            titles_line_ = line_;
            titles_data_ = data;
            return {};
        }
        if (remarks_.named) return add_named(from, to, line_, data);
        constexpr std::string_view expected = " is no node; expected a whole number from 0";
        if (!first) return refuse(syntax(begin), from, expected);
        if (!second) return refuse(syntax(middle), to, expected);
        while (!line.at_end() && !line.braces()) {
            const Line here = line;
            const std::string_view word = line.word();
            if (!number_of<double>(word))
                return refuse(syntax(here), word,
                              " stands behind an edge; expected a weight, data in {}, or nothing");
        }
        if (std::max(*first, *second) >= Graph::node_limit)
            return refuse({Code::graph_node, line_, std::max(*first, *second)}, *first > *second ? from : to,
                          " is too large a node number; a graph has at most 1000000 nodes");
        return add({*first, *second}, line_, data);
    }

    Result<void> add_titles() {
        remarks_.named = true;
        return add_named(titles_.first, titles_.second, std::exchange(titles_line_, 0), titles_data_);
    }

    Result<void> add_named(std::string_view from, std::string_view to, std::int64_t line, bool data) {
        const auto number = [this](std::string_view name) {
            return names_.emplace(name, static_cast<std::uint32_t>(names_.size())).first->second;
        };
        const std::uint32_t first = number(from), second = number(to);
        if (std::max(first, second) >= Graph::node_limit)
            return refuse({Code::graph_node, line, std::max(first, second)}, to,
                          " is one node too many; a graph has at most 1000000");
        return add({first, second}, line, data);
    }

    Result<void> add(Edge edge, std::int64_t line, bool data) {
        if (edges_.size() == Graph::edge_limit)
            return fail(Code::graph_too_dense, std::ssize(edges_) + 1, Graph::edge_limit);
        remarks_.weights += data ? 1 : 0;
        least_ = std::min({least_, edge.from, edge.to});
        largest_ = std::max({largest_, edge.from, edge.to});
        edges_.push_back(edge);
        line_of_.push_back(line);
        return {};
    }

    GraphRemarks& remarks_;
    std::int64_t line_ = 0;
    std::pair<std::string, std::string> titles_;  ///< of the first line, which may be titles
    std::int64_t titles_line_ = 0;
    bool titles_data_ = false;
    std::unordered_map<std::string, std::uint32_t> names_;
    std::vector<Edge> edges_;
    std::vector<std::int64_t> line_of_;
    std::uint32_t least_ = Graph::node_limit, largest_ = 0;
};

}  // namespace

Result<Graph> parse_graph(std::string_view text, GraphRemarks* remarks) {
    GraphRemarks unread;
    return Reader(remarks != nullptr ? *remarks : unread).read(text);
}

Result<Graph> load_graph(const std::string& path, GraphRemarks* remarks) {
    std::ifstream file(path, std::ios::binary | std::ios::ate);
    const std::int64_t size = file ? static_cast<std::int64_t>(file.tellg()) : -1;
    if (size < 0) return fail(Code::file_missing);
    if (size > file_limit_bytes) return fail(Code::file_too_large, size, file_limit_bytes);
    std::string text(static_cast<std::size_t>(size), '\0');
    if (!file.seekg(0).read(text.data(), static_cast<std::streamsize>(size)))
        return fail(Code::file_truncated, file.gcount(), size);
    return parse_graph(text, remarks);
}

}  // namespace dunlin
