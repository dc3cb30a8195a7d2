// SPDX-License-Identifier: Apache-2.0
#include "training/axes/robust_settings.hpp"

#include "core/random.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

namespace dunlin {
namespace {

constexpr std::pair<std::string_view, AttackName> attack_names[] = {
    {"none", AttackName::none},
    {"absent", AttackName::left_out},
    {"sign-flip", AttackName::sign_flip},
    {"label-flip", AttackName::label_flip},
    {"gaussian", AttackName::gaussian},
    {"infinity", AttackName::infinity},
    {"inner-product", AttackName::inner_product},
    {"inner-product-optimised", AttackName::inner_product_optimised},
    {"alie", AttackName::alie},
    {"alie-optimised", AttackName::alie_optimised},
    {"mimic", AttackName::mimic}};

constexpr std::pair<std::string_view, RobustSum> defence_names[] = {
    {"none", RobustSum::mean},
    {"median", RobustSum::median},
    {"trimmed-mean", RobustSum::trimmed_mean},
    {"geometric-median", RobustSum::geometric_median},
    {"krum", RobustSum::krum},
    {"multi-krum", RobustSum::multi_krum},
    {"centred-clipping", RobustSum::centred_clipping}};

template <class Names, class Value>
std::string_view named(const Names& names, Value value) {
    return std::ranges::find(names, value, [](const auto& pair) { return pair.second; })->first;
}

}  // namespace

std::string_view name_of(AttackName name) {
    return named(attack_names, name);
}
std::string_view name_of(RobustSum sum) {
    return named(defence_names, sum);
}

std::vector<std::uint32_t> AttackSettings::liars(std::uint32_t members, std::uint64_t seed) const {
    if (!attacks()) return {};
    std::vector<std::uint32_t> all(members);
    std::iota(all.begin(), all.end(), 0u);
    const auto count = std::clamp<std::uint32_t>(
        static_cast<std::uint32_t>(std::lround(share * static_cast<float>(members))), 1, members - 1);
    Stream random(seed, 0, Purpose::liars);
    for (std::uint32_t i = 0; i < count; ++i) std::swap(all[i], all[i + random.below(members - i)]);
    all.resize(count);
    std::ranges::sort(all);
    return all;
}

void add_robust_settings(Settings& list, AttackSettings& attack, Defence& defence) {
    using Range = Settings::Range;
    list.add("attack.name", attack.name,
             "what members that lie send in a simulated fleet; they know the honest ones' updates and the defence; "
             "absent: nothing, to compare with",
             std::span<const std::pair<std::string_view, AttackName>>(attack_names));
    list.add("attack.share", attack.share, "of the members, that lie", Range{0, 0.9, true});
    list.add("attack.strength", attack.strength,
             "factor of sign-flip and inner-product, standard deviation of gaussian", Range{0, 1e6});
    list.add("defence.name", defence.sum, "how a server sums up what members send that may lie",
             std::span<const std::pair<std::string_view, RobustSum>>(defence_names));
    list.add(
        "defence.mixing", defence.mixing, "of updates, before: with the nearest ones, or in random buckets",
        {{"none", RobustMixing::none}, {"nearest", RobustMixing::nearest}, {"bucketing", RobustMixing::bucketing}});
    list.add("defence.adaptive_clipping", defence.adaptive_clipping,
             "scale the largest updates down to the norm of the next one, before all that");
    list.add("defence.share", defence.liars_share, "of the members, that may lie without harm; one at least",
             Range{0, 0.49});
    list.add("defence.momentum", defence.momentum, "of each member's updates, which leaves less noise to hide in",
             Range{0, 0.99});
    list.add("defence.radius", defence.radius, "tau of centred-clipping; 0: the median distance", Range{0, 1e6});
    list.add("defence.bucket", defence.bucket, "members in a bucket", Range{2, 100});
}

Outcome<void> check_robust(const AttackSettings& attack, const Defence& defence, AggregationName aggregation,
                           std::uint32_t members, std::uint32_t gathered) {
    using enum AggregationName;
    const bool sums =
        aggregation == fedavg || aggregation == fedprox || aggregation == fedbuff || aggregation == fedadam;
    if (attack.attacks() && !sums && aggregation != persafl) {
        return refuse(fmt::format(
            "attack.name = {}: not there for {}; for persafl, fedbuff, fedavg, fedprox and fedadam it is",
            name_of(attack.name), traits_of(aggregation).name));
    }
    if (attack.attacks() && members < 2)
        return refuse(
            fmt::format("attack.name = {}: of {} members none would be honest", name_of(attack.name), members));
    if (!defence.defends()) return {};
    if (!sums) {
        return refuse(
            fmt::format("defence.name = {}: {} has no sum of several updates; fedavg, fedprox, fedbuff "
                        "and fedadam have",
                        name_of(defence.sum), traits_of(aggregation).name));
    }
    if (members > Defence::member_limit) {
        return refuse(fmt::format("defence.name = {}: compares members with each other, at most {}, not {}",
                                  name_of(defence.sum), Defence::member_limit, members));
    }
    if (!defence.holds_for(gathered)) {
        return refuse(
            fmt::format("defence.name = {}: {} updates are too few to bear {} that lie; more members, a "
                        "smaller defence.share, or another defence",
                        name_of(defence.sum), gathered, defence.liars(gathered)));
    }
    return {};
}

Outcome<void> check_robust_run(const AttackSettings& attack, const Defence& defence, bool own_rounds, bool labels) {
    if (own_rounds && attack.attacks())
        return refuse(
            fmt::format("attack.name = {}: not there in this experiment; classification and ranking have it",
                        name_of(attack.name)));
    if (own_rounds && defence.defends())
        return refuse(
            fmt::format("defence.name = {}: not there in this experiment; classification and ranking have it",
                        name_of(defence.sum)));
    if (attack.name == AttackName::label_flip && !labels)
        return refuse("attack.name = label-flip: there are no labels here; choose another attack");
    return {};
}

Outcome<void> check_defence_memory(const Defence& defence, std::size_t members, std::size_t dimension) {
    constexpr std::uint64_t limit = std::uint64_t{1} << 32;
    const std::uint64_t bytes = 3 * sizeof(float) * std::uint64_t{members} * dimension;
    if (!defence.defends() || bytes <= limit) return {};
    return refuse(
        fmt::format("defence.name = {}: keeps the updates and histories of {} members of {} numbers, {} MB, "
                    "above {}; fewer members, or no defence",
                    name_of(defence.sum), members, dimension, bytes >> 20, limit >> 20));
}

}  // namespace dunlin
