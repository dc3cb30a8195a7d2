// SPDX-License-Identifier: Apache-2.0
#include "envs/data_split.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

namespace dunlin {
namespace {

using Rows = std::vector<std::uint32_t>;

template <class T>
void shuffle(std::vector<T>& list, Stream& random) {
    for (std::size_t k = list.size(); k > 1; --k)
        std::swap(list[k - 1], list[random.below(static_cast<std::uint32_t>(k))]);
}

Rows shuffled_rows(const DataTable& table, Stream& random) {
    Rows rows(table.rows());
    std::iota(rows.begin(), rows.end(), 0u);
    shuffle(rows, random);
    return rows;
}

std::vector<Rows> rows_by_label(const DataTable& table, Stream& random) {
    std::vector<Rows> by_label(static_cast<std::size_t>(table.classes));
    for (std::uint32_t row : shuffled_rows(table, random)) by_label[table.labels[row]].push_back(row);
    return by_label;
}

std::vector<Rows> split_uniform(const DataTable& table, std::size_t count, Stream& random) {
    std::vector<Rows> nodes(count);
    const Rows rows = shuffled_rows(table, random);
    for (std::size_t k = 0; k < rows.size(); ++k) nodes[k % count].push_back(rows[k]);
    return nodes;
}

/// Each node in turn takes the labels that the fewest others hold, so that every label finds holders.
std::vector<Rows> split_labels(const DataTable& table, std::size_t count, int labels_per_node, Stream& random) {
    std::vector<Rows> holders(static_cast<std::size_t>(table.classes));
    std::vector<std::size_t> labels(holders.size());
    std::iota(labels.begin(), labels.end(), std::size_t{0});
    for (std::size_t node = 0; node < count; ++node) {
        shuffle(labels, random);
        std::stable_sort(labels.begin(), labels.end(),
                         [&](std::size_t a, std::size_t b) { return holders[a].size() < holders[b].size(); });
        for (int k = 0; k < labels_per_node; ++k)
            holders[labels[static_cast<std::size_t>(k)]].push_back(static_cast<std::uint32_t>(node));
    }
    std::vector<Rows> nodes(count);
    const std::vector<Rows> by_label = rows_by_label(table, random);
    for (std::size_t label = 0; label < by_label.size(); ++label) {
        const Rows& takers = holders[label];
        for (std::size_t k = 0; k < by_label[label].size() && !takers.empty(); ++k)
            nodes[takers[k % takers.size()]].push_back(by_label[label][k]);
    }
    return nodes;
}

std::vector<Rows> split_skewed(const DataTable& table, std::size_t count, const SplitSettings& s, Stream& random) {
    std::size_t each = table.rows() / count;
    if (s.train_limit > 0) {
        const float wanted = std::ceil(static_cast<float>(s.train_limit) / (1.0f - s.test_fraction));
        each = std::min(each, static_cast<std::size_t>(wanted));
    }
    const auto main_part = static_cast<std::size_t>(std::lround(s.skew * static_cast<float>(each)));
    std::vector<Rows> nodes(count), by_label = rows_by_label(table, random);
    for (std::size_t node = 0; node < count; ++node) {
        Rows& pool = by_label[node % by_label.size()];
        const std::size_t taken = std::min(main_part, pool.size());
        nodes[node].assign(pool.end() - static_cast<std::ptrdiff_t>(taken), pool.end());
        pool.resize(pool.size() - taken);
    }
    Rows rest;
    for (const Rows& pool : by_label) rest.insert(rest.end(), pool.begin(), pool.end());
    shuffle(rest, random);
    for (Rows& node : nodes) {
        for (; node.size() < each; rest.pop_back()) node.push_back(rest.back());
    }
    return nodes;
}

/// Gamma(shape, 1) by rejection (Marsaglia and Tsang 2000).
double draw_gamma(double shape, Stream& random) {
    if (shape < 1.0) {
        const double larger = draw_gamma(shape + 1.0, random);  // draws first, with any compiler
        return larger * std::pow(1.0 - random.uniform_double(), 1.0 / shape);
    }
    const double d = shape - 1.0 / 3.0, c = 1.0 / std::sqrt(9.0 * d);
    for (;;) {
        const double x = random.normal(), v = std::pow(1.0 + c * x, 3);
        if (v > 0.0 && std::log(1.0 - random.uniform_double()) < 0.5 * x * x + d - d * v + d * std::log(v))
            return d * v;
    }
}

std::vector<Rows> split_dirichlet(const DataTable& table, std::size_t count, double alpha, Stream& random) {
    std::vector<Rows> nodes(count);
    for (const Rows& rows : rows_by_label(table, random)) {
        std::vector<double> parts(count);
        for (double& part : parts) part = draw_gamma(alpha, random);
        const double total = std::accumulate(parts.begin(), parts.end(), 1e-300);
        double sum = 0.0;
        std::size_t at = 0;
        for (std::size_t node = 0; node < count; ++node) {
            sum += parts[node];
            const auto end = static_cast<std::size_t>(std::lround(sum / total * static_cast<double>(rows.size())));
            for (; at < end; ++at) nodes[node].push_back(rows[at]);
        }
    }
    return nodes;
}

std::vector<Rows> split_users(const DataTable& table) {
    std::vector<Rows> nodes(static_cast<std::size_t>(*std::max_element(table.users.begin(), table.users.end())) +
                            1);
    for (std::size_t row = 0; row < table.rows(); ++row)
        nodes[static_cast<std::size_t>(table.users[row])].push_back(static_cast<std::uint32_t>(row));
    return nodes;
}

/// Those with the most rows, in the order of the users.
void keep_largest(std::vector<Rows>& nodes, std::size_t count) {
    if (count == 0 || count >= nodes.size()) return;
    std::vector<std::size_t> sizes;
    for (const Rows& rows : nodes) sizes.push_back(rows.size());
    std::sort(sizes.begin(), sizes.end(), std::greater{});
    const std::size_t least = sizes[count - 1];
    auto equals = std::count(sizes.begin(), sizes.begin() + static_cast<std::ptrdiff_t>(count), least);
    std::erase_if(nodes,
                  [&](const Rows& rows) { return rows.size() < least || (rows.size() == least && equals-- <= 0); });
}

/// Moves the rows that the table wants to be tested on to the front, and out what it wants nobody to use.
std::size_t put_tests_first(Rows& rows, const DataTable& table) {
    std::erase_if(rows, [&](std::uint32_t row) { return table.uses[row] == RowUse::none; });
    const auto boundary = std::stable_partition(rows.begin(), rows.end(),
                                                [&](std::uint32_t row) { return table.uses[row] == RowUse::test; });
    return static_cast<std::size_t>(boundary - rows.begin());
}

std::size_t test_rows(const Rows& rows, const SplitSettings& s) {
    return static_cast<std::size_t>(std::ceil(s.test_fraction * static_cast<float>(rows.size())));
}

bool nobody_starves(const std::vector<Rows>& nodes, const SplitSettings& s) {
    return std::all_of(nodes.begin(), nodes.end(), [&](const Rows& r) { return r.size() > test_rows(r, s); });
}

}  // namespace

Result<std::vector<NodeRows>> split_rows(const DataTable& table, const SplitSettings& s, std::uint64_t seed) {
    if (s.kind == Split::users && table.users.empty()) return fail(Code::bad_setting, 0);
    const bool good[] = {s.nodes >= 1 && s.nodes < 1 << 24,
                         s.labels_per_node >= 1 && s.labels_per_node <= table.classes,
                         s.skew >= 0.0f && s.skew <= 1.0f,
                         s.alpha > 0.0f && s.alpha <= 1e6f,
                         s.test_fraction >= 0.0f && s.test_fraction < 1.0f,
                         s.train_limit >= 0};
    for (std::int64_t k = 0; k < std::ssize(good); ++k) {
        if (!good[k]) return fail(Code::bad_setting, k + 1);
    }
    constexpr std::uint32_t everyone = (1u << 24) - 1;  // the stream that belongs to no node
    Stream random(seed, everyone, Purpose::data);
    const auto count = static_cast<std::size_t>(s.nodes);
    std::vector<Rows> rows;
    switch (s.kind) {
        case Split::uniform:
            rows = split_uniform(table, count, random);
            break;
        case Split::labels:
            rows = split_labels(table, count, s.labels_per_node, random);
            break;
        case Split::skew:
            rows = split_skewed(table, count, s, random);
            break;
        case Split::dirichlet:  // a small alpha starves nodes: drawn anew
            for (int attempt = 0; attempt < 100 && (rows.empty() || !nobody_starves(rows, s)); ++attempt)
                rows = split_dirichlet(table, count, s.alpha, random);
            break;
        case Split::users:
            rows = split_users(table);
            std::erase_if(rows, [&](const Rows& own) {
                if (table.uses.empty()) return own.size() <= test_rows(own, s);
                const auto of_use = [&](RowUse use) {
                    return std::ranges::count(own, use, [&](std::uint32_t row) { return table.uses[row]; });
                };
                return of_use(RowUse::train) == 0 || of_use(RowUse::test) == 0;
            });
            if (rows.empty()) return fail(Code::too_few_rows, 0, 1);
            keep_largest(rows, static_cast<std::size_t>(std::max(0, s.largest_users)));
    }

    std::vector<NodeRows> nodes(rows.size());
    for (std::size_t k = 0; k < nodes.size(); ++k) {
        Stream own(seed, static_cast<std::uint32_t>(k), Purpose::data);
        Rows& all = rows[k];
        shuffle(all, own);
        const std::size_t test = table.uses.empty() ? test_rows(all, s) : put_tests_first(all, table);
        if (all.size() <= test) return fail(Code::too_few_rows, static_cast<std::int64_t>(k), std::ssize(all));
        const auto limit = s.train_limit > 0 ? static_cast<std::size_t>(s.train_limit) : all.size();
        const auto boundary = all.begin() + static_cast<std::ptrdiff_t>(test);
        nodes[k].test.assign(all.begin(), boundary);
        nodes[k].train.assign(boundary, boundary + static_cast<std::ptrdiff_t>(std::min(limit, all.size() - test)));
        if (!s.conflicting) continue;
        nodes[k].relabel.resize(static_cast<std::size_t>(table.classes));
        std::iota(nodes[k].relabel.begin(), nodes[k].relabel.end(), std::uint8_t{0});
        shuffle(nodes[k].relabel, own);
    }
    return nodes;
}

void NodeRows::flip(int classes) {
    if (relabel.empty()) {
        relabel.resize(static_cast<std::size_t>(classes));
        std::iota(relabel.begin(), relabel.end(), std::uint8_t{0});
    }
    for (std::uint8_t& label : relabel) label = static_cast<std::uint8_t>(classes - 1 - label);
}

std::vector<std::uint32_t> training_rows(std::span<const NodeRows> nodes) {
    Rows all;
    for (const NodeRows& node : nodes) all.insert(all.end(), node.train.begin(), node.train.end());
    return all;
}

DataNotes split_notes(const DataTable& table, const SplitSettings& s, std::span<const NodeRows> nodes) {
    DataNotes notes;
    const auto note = [&notes](std::string_view key, std::int64_t count, std::string_view one,
                               std::string_view many, const auto&... rest) {
        if (count > 0)
            notes.push_back({std::string(key), count, sentence(count, " ", count == 1 ? one : many, rest...)});
    };
    std::vector<bool> present(static_cast<std::size_t>(table.classes)), trained = present, tested = present;
    for (const std::uint8_t label : table.labels) present[label] = true;
    std::int64_t used = 0, held_out = 0;
    for (const NodeRows& node : nodes) {
        used += std::ssize(node.train) + std::ssize(node.test);
        held_out += std::ssize(node.test);
        for (const std::uint32_t row : node.train) trained[table.labels[row]] = true;
        for (const std::uint32_t row : node.test) tested[table.labels[row]] = true;
    }
    const bool fewer_wanted = s.kind == Split::users && s.largest_users > 0 && s.largest_users == std::ssize(nodes);
    if (s.kind == Split::users) {
        const std::int64_t users = 1 + *std::max_element(table.users.begin(), table.users.end());
        note("unused_users", std::max(users, std::int64_t{std::ssize(table.user_names)}) - std::ssize(nodes),
             "user", "users", " left out: too few rows to train on and to hold out");
        if (fewer_wanted && !notes.empty()) notes.back().text.clear();
    }
    note("unused_rows", std::ssize(table.labels) - used, "row", "rows", " of ", table.rows(), " given to nobody");
    if ((fewer_wanted || s.train_limit > 0) && !notes.empty() && notes.back().key == "unused_rows")
        notes.back().text.clear();
    const auto lacking = [&](const std::vector<bool>& some) { return std::count(some.begin(), some.end(), false); };
    note("classes_without_rows", lacking(present), "class", "classes", " of ", table.classes, " without any row");
    note("classes_without_training", lacking(trained) - lacking(present), "class", "classes", " of ", table.classes,
         " that nobody trains on");
    if (held_out > 0)
        note("classes_without_test", lacking(tested) - lacking(present), "class", "classes", " of ", table.classes,
             " without a row to test on");
    return notes;
}

}  // namespace dunlin
