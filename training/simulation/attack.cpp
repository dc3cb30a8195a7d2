// SPDX-License-Identifier: Apache-2.0
#include "training/simulation/attack.hpp"

#include "training/host/host_memory.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace dunlin {
namespace {

/// The standard normal's quantile, for p in (0, 1).
double normal_quantile(double p) {
    double low = -40, high = 40;
    for (int k = 0; k < 100; ++k) {
        const double between = (low + high) / 2;
        (0.5 * std::erfc(-between / M_SQRT2) < p ? low : high) = between;
    }
    return low;
}

/// How many deviations hide among so many members (Baruch et al. 2019, algorithm 3): as many as let a majority of honest
/// ones lie further out.
float hidden_deviations(std::size_t members, std::size_t liars) {
    const auto n = static_cast<double>(members), f = static_cast<double>(liars);
    const double supporters = std::floor(n / 2 + 1) - f;
    const double share = (n - f - supporters) / (n - f);
    return share > 0 && share < 1 ? static_cast<float>(std::max(0.0, normal_quantile(share))) : 1.0f;
}

}  // namespace

Attack::Attack(const AttackSettings& settings, const Defence& defence, std::uint32_t members, std::uint64_t seed)
    : settings_(settings), defence_(defence), lies_(members) {
    for (const std::uint32_t liar : settings.liars(members, seed)) lies_[liar] = true;
}

void Attack::see(std::vector<ConstVector<float>> honest, std::size_t liars) {
    honest_ = std::move(honest);
    liars_ = liars;
    common_.clear();
    if (honest_.empty()) return;
    take_statistics();
    common_ = mean_;
    const auto move = [&](float factor, const std::vector<float>& direction) {
        for (std::size_t k = 0; k < common_.size(); ++k) common_[k] += factor * direction[k];
    };
    switch (settings_.name) {
        case AttackName::inner_product:
            move(-1 - settings_.strength, mean_);
            break;
        case AttackName::inner_product_optimised:
            move(strongest(mean_, -1), mean_);
            break;
        case AttackName::alie:
            move(-settings_.strength * hidden_deviations(honest_.size() + liars_, liars_), deviation_);
            break;
        case AttackName::alie_optimised:
            move(strongest(deviation_, -1), deviation_);
            break;
        case AttackName::mimic:
            common_.assign(honest_.front().begin(), honest_.front().end());
            break;
        default:
            break;
    }
}

void Attack::take_statistics() {
    const std::size_t d = honest_.front().size();
    mean_.assign(d, 0);
    deviation_.assign(d, 0);
    const auto count = static_cast<double>(honest_.size());
    for (std::size_t k = 0; k < d; ++k) {
        double sum = 0, squares = 0;
        for (const ConstVector<float> one : honest_) sum += static_cast<double>(one[k]);
        for (const ConstVector<float> one : honest_) {
            const double off = static_cast<double>(one[k]) - sum / count;
            squares += off * off;
        }
        mean_[k] = static_cast<float>(sum / count);
        deviation_[k] = static_cast<float>(std::sqrt(squares / count));
    }
}

double Attack::moved(std::span<const float> direction, float factor) const {
    const std::size_t d = mean_.size(), count = honest_.size() + liars_;
    HostMemory memory(Defence::memory(d, count) + Arena::bytes<float>(d * count));
    Arena arena(memory.bytes());
    const Rows rows{arena.take<float>(d * count).data(), count, d};
    for (std::size_t i = 0; i < count; ++i) {
        const Vector<float> row = rows.row(i);
        for (std::size_t k = 0; k < d; ++k)
            row[k] = i < honest_.size() ? honest_[i][k] : mean_[k] + factor * direction[k];
    }
    std::vector<float> sum(mean_);
    Stream random(0, 0, Purpose::liars);
    // A server that cannot defend so few changes nothing; what moves their mean is as good a lie as any.
    const Defence defence = defence_.holds_for(count) ? defence_ : Defence{};
    defence.combine(rows, random, sum, Defence::scratch(d, count, arena));
    return squared_distance(sum, mean_);
}

float Attack::strongest(std::span<const float> direction, float sign) const {
    float best = 0;
    double furthest = -1;
    for (float factor = 0.25f; factor <= 64.0f; factor *= 1.5f) {
        const double distance = moved(direction, sign * factor);
        if (distance > furthest) {
            furthest = distance;
            best = sign * factor;
        }
    }
    return best;
}

void Attack::craft(ConstVector<float> own, Stream& random, Vector<float> out) const {
    switch (settings_.name) {
        case AttackName::sign_flip:
            for (std::size_t k = 0; k < out.size(); ++k) out[k] = -settings_.strength * own[k];
            return;
        case AttackName::gaussian:
            for (float& value : out) value = settings_.strength * random.normal();
            return;
        case AttackName::infinity:
            std::ranges::fill(out, std::numeric_limits<float>::infinity());
            return;
        default:
            // Who sees no honest one does what it learned; those who flip labels always do.
            if (settings_.name == AttackName::label_flip || common_.empty())
                std::ranges::copy(own, out.begin());
            else
                std::ranges::copy(common_, out.begin());
    }
}

}  // namespace dunlin
