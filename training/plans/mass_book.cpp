// SPDX-License-Identifier: Apache-2.0
#include "training/plans/mass_book.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

namespace dunlin {
namespace {

/// x = w, y = 1, as a node takes it.
Holding beginning(const FixedPoint& format, ConstVector<float> w) {
    Holding holding{0, std::vector<Mass>(w.size())};
    format.to_mass(1.0f, holding.weight);
    for (std::size_t k = 0; k < w.size(); ++k) format.to_mass(w[k], holding.values[k]);
    return holding;
}

}  // namespace

void Holding::add(const Holding& other) {
    weight = add_wrapped(weight, other.weight);
    values.resize(std::max(values.size(), other.values.size()));
    for (std::size_t k = 0; k < other.values.size(); ++k) values[k] = add_wrapped(values[k], other.values[k]);
}

void Holding::subtract(const Holding& other) {
    weight = subtract_wrapped(weight, other.weight);
    values.resize(std::max(values.size(), other.values.size()));
    for (std::size_t k = 0; k < other.values.size(); ++k) values[k] = subtract_wrapped(values[k], other.values[k]);
}

void Holding::shift(int bits) {
    const auto shifted = [bits](Mass value) {
        return static_cast<Mass>(static_cast<std::uint64_t>(value) << bits);
    };
    weight = shifted(weight);
    for (Mass& value : values) value = shifted(value);
}

bool Holding::nothing() const {
    return weight == 0 && std::ranges::all_of(values, [](Mass value) { return value == 0; });
}

Result<MassBook> MassBook::make(const JobPlan& plan, std::span<const float> starts) {
    MassBook book;
    book.statements_.resize(plan.members());
    book.steps_before_.resize(plan.members());
    const std::size_t d = plan.first.size();
    for (std::uint32_t i = 0; i < plan.members(); ++i)
        book.total_.add(beginning(plan.terms.format, starts.empty() ? plan.first : starts.subspan(i * d, d)));
    book.lost_.values.resize(plan.first.size());
    book.mean_ = plan.first;
    std::vector<std::uint32_t> all(plan.members());
    std::iota(all.begin(), all.end(), 0u);
    if (auto drawn = book.draw_graph(plan, all); !drawn) return tl::unexpected(drawn.error());
    return book;
}

/// The plan's kind of graph among `members`; a ring where there is none of that kind and size.
Result<void> MassBook::draw_graph(const JobPlan& plan, std::span<const std::uint32_t> members) {
    const auto count = static_cast<std::uint32_t>(members.size());
    GraphRecipe recipe = plan.graph;
    recipe.nodes = count;
    recipe.both_ways = plan.both_ways();
    auto drawn = build_graph(recipe, plan.terms.seed + epoch_ - 1);
    if (!drawn && epoch_ > 1) drawn = plan.both_ways() ? ring(count) : directed_ring(count);
    if (!drawn) return tl::unexpected(drawn.error());
    from_.clear();
    to_.clear();
    for (std::uint32_t e = 0; e < drawn->edges(); ++e) {
        from_.push_back(members[drawn->source(e)]);
        to_.push_back(members[drawn->target(e)]);
    }
    return link();
}

/// The power of two that brings the mean weight of those who stay nearest to one, as far as nothing overflows: of
/// no member, nor of all. 0 where one of them speaks a wire that cannot say it.
int MassBook::common_shift(const JobPlan& plan, std::span<const std::uint32_t> staying, std::size_t joining,
                           const Holding& granted) const {
    const FixedPoint& format = plan.terms.format;
    Mass one = 0;
    format.to_mass(1.0f, one);
    if (staying.empty() || total_.weight <= 0) return 0;
    constexpr std::uint16_t first_wire_with_shift = 2;
    Mass largest = total_.weight;
    const auto look = [&largest](const Holding& holding) {
        for (const Mass value : holding.values) largest = std::max(largest, value < 0 ? ~value : value);
    };
    look(total_);
    look(granted);
    for (const std::uint32_t member : staying) {
        if (statements_[member].wire < first_wire_with_shift) return 0;
        look(statements_[member].held);
    }
    const double mean =
        static_cast<double>(total_.weight) / static_cast<double>(one) / static_cast<double>(staying.size());
    auto bits = static_cast<int>(std::lround(-std::log2(mean)));
    const double most = static_cast<double>(plan.members() - joining);
    while (bits > 0 && std::ldexp(mean * static_cast<double>(staying.size()), bits) > most) --bits;
    // A quarter of the range is left, as the machine wants it.
    while (bits > 0 && (largest >> (61 - bits)) != 0) --bits;
    return std::max(bits, 0);
}

bool MassBook::fits(std::size_t members, std::size_t dimension) const {
    const auto whole = [dimension](const std::vector<Mass>& values) {
        return values.empty() || values.size() == dimension;
    };
    return statements_.size() == members && steps_before_.size() == members && from_.size() == to_.size() &&
           mean_.size() == dimension && shift_ >= 0 && shift_ < 63 && (!grantee_ || *grantee_ < members) &&
           whole(grant_.values) && std::ranges::all_of(statements_, [&](const MassStatement& statement) {
               return whole(statement.held.values) && whole(statement.steps);
           });
}

Result<void> MassBook::link() {
    std::vector<Edge> edges;
    for (std::size_t e = 0; e < std::min(from_.size(), to_.size()); ++e) edges.push_back({from_[e], to_[e]});
    auto graph = Graph::from_edges(static_cast<std::uint32_t>(statements_.size()), std::move(edges));
    if (!graph) return tl::unexpected(graph.error());
    graph_ = *std::move(graph);
    return {};
}

LedgerEntry MassBook::turn(const JobPlan& plan, std::span<const std::uint32_t> staying,
                           std::span<const std::uint32_t> leaving, std::span<const std::uint32_t> joining,
                           std::span<const std::uint32_t> gone, bool over) {
    LedgerEntry entry{.epoch = epoch_,
                      .gone = {gone.begin(), gone.end()},
                      .left = {leaving.begin(), leaving.end()},
                      .joined = {joining.begin(), joining.end()},
                      .before = total_};
    const bool mass = !says_floats(plan.terms.aggregation);
    Holding steps, handed_on;
    std::vector<std::int64_t> ticks;
    for (const auto& present : {staying, leaving}) {
        for (const std::uint32_t member : present) {
            const MassStatement& statement = statements_[member];
            entry.after.add(statement.held);
            ticks.push_back(statement.tick);
            steps.add({0, statement.steps});
            steps.subtract({0, steps_before_[member]});
        }
    }
    if (!ticks.empty()) {
        std::ranges::sort(ticks);
        const std::int64_t apart = plan.members(), median = ticks[(ticks.size() - 1) / 2];
        std::int64_t furthest = ticks.back() - apart > median ? median + apart : ticks.back();
        // One who is alone is the median.
        if (plan.budget.rounds > 0) furthest = std::min(furthest, static_cast<std::int64_t>(plan.budget.rounds));
        first_round_ = std::max(first_round_, furthest);
    }
    for (const std::uint32_t member : leaving) handed_on.add(statements_[member].held);
    entry.lost = entry.before;
    entry.lost.subtract(entry.after);
    entry.lost.subtract(steps);
    if (!mass) entry.lost = {};
    const bool values_balance =
        !plan.terms.audit || std::ranges::all_of(entry.lost.values, [](Mass value) { return value == 0; });
    entry.balances =
        entry.lost.weight == 0 ? values_balance || !gone.empty() : entry.lost.weight > 0 && !gone.empty();
    if (!entry.balances) ++unbalanced_;
    lost_.weight = add_wrapped(lost_.weight, entry.lost.weight);
    if (plan.terms.audit) {
        lost_.add({0, entry.lost.values});
    } else {
        entry.lost.values.clear();
    }

    total_ = entry.after;
    // Who learns alone begins anew as the job did, not with what others learned.
    if (total_.weight > 0 && (over || plan.graph.kind != alone_graph)) {
        for (std::size_t k = 0; k < mean_.size(); ++k)
            mean_[k] = static_cast<float>(total_.values[k]) / static_cast<float>(total_.weight);
    }
    for (const std::uint32_t member : staying) steps_before_[member] = statements_[member].steps;
    shift_ = entry.shift = over || !mass ? 0 : common_shift(plan, staying, joining.size(), handed_on);
    if (!mass && !over) {
        total_.subtract(handed_on);
        handed_on = {};
    }
    total_.shift(shift_);
    handed_on.shift(shift_);
    for (MassStatement& statement : statements_) statement = {};
    grantee_.reset();
    grant_ = {};
    if (over) return entry;

    epoch_before_ = epoch_;
    epoch_ += 1 + std::exchange(skip_, 0);
    const Holding one = beginning(plan.terms.format, mean_);
    for (const std::uint32_t member : joining) {
        total_.add(one);
        steps_before_[member].clear();
    }
    if (!handed_on.empty() && !staying.empty()) {
        grantee_ = staying[epoch_ % staying.size()];
        grant_ = std::move(handed_on);
    }
    std::vector<std::uint32_t> members(staying.begin(), staying.end());
    members.insert(members.end(), joining.begin(), joining.end());
    // Who is alone learns alone. One with mass has a neighbour in name, who holds nothing and is given nothing.
    if (members.size() == 1 && !mass) {
        from_.clear();
        to_.clear();
        (void)link();
        return entry;
    }
    if (members.size() == 1) members.push_back(members[0] == 0 ? 1 : 0);
    std::ranges::sort(members);
    (void)draw_graph(plan, members);
    return entry;
}

}  // namespace dunlin
