// SPDX-License-Identifier: Apache-2.0
#include "training/privacy/privacy_loss.hpp"

#include "training/privacy/renyi.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <complex>
#include <cstdint>
#include <vector>

#include <unsupported/Eigen/FFT>

namespace dunlin {
namespace {

enum class Direction { remove, add };

/// A standard normal's chance to be above x.
double above(double x) {
    return 0.5 * std::erfc(x / M_SQRT2);
}

/// The privacy loss of one step: log(P/Q) of a draw from P where a unit is removed, log(Q/P) of one from Q where one is
/// added (P and Q as SampledGaussian::log_moment has them).
class StepLoss {
public:
    StepLoss(const SampledGaussian& mechanism, Direction direction)
        : mechanism_(mechanism), direction_(direction), variance_(mechanism.noise * mechanism.noise) {}

    /// log of E exp(slope * loss).
    double log_moment(double slope) const {
        return mechanism_.log_moment(direction_ == Direction::remove ? slope + 1 : -slope);
    }

    /// The chance that the loss is within (from, to], without cancellation in either tail.
    double chance(double from, double to) const {
        return upper_half(from) ? survival(from) - survival(to) : distribution(to) - distribution(from);
    }
    double beyond(double limit) const { return survival(limit) + distribution(-limit); }

    double mean() const {
        const double width = std::min(mechanism_.noise / 50, variance_ / 5);
        double sum = 0;
        for (double z = -40 * mechanism_.noise; z <= 1 + 40 * mechanism_.noise; z += width) {
            const double removed = direction_ == Direction::remove
                                       ? (1 - mechanism_.rate) * density(z) + mechanism_.rate * density(z - 1)
                                       : density(z);
            sum += removed * ratio(z);
        }
        return (direction_ == Direction::remove ? sum : -sum) * width;
    }

private:
    double density(double z) const {
        return std::exp(-z * z / (2 * variance_)) / (mechanism_.noise * std::sqrt(2 * M_PI));
    }
    /// log(P/Q) at z, which rises with z; its inverse is `place`.
    double ratio(double z) const {
        const double exponent = (2 * z - 1) / (2 * variance_);
        const double small = std::log1p(mechanism_.rate * std::expm1(exponent));
        return std::isfinite(small) ? small : std::log(mechanism_.rate) + exponent;
    }
    /// In units of sigma; minus infinity where no z has so small a ratio.
    double place(double loss) const {
        const double odds = (std::expm1(loss) + mechanism_.rate) / mechanism_.rate;
        if (!(odds > 0)) return -HUGE_VAL;
        const double log_odds = std::isfinite(odds) ? std::log(odds) : loss - std::log(mechanism_.rate);
        return (variance_ * log_odds + 0.5) / mechanism_.noise;
    }
    bool upper_half(double loss) const {
        return direction_ == Direction::remove ? place(loss) > 0 : place(-loss) < 0;
    }
    /// The chance to be above, and to be at most, the loss.
    double survival(double loss) const {
        if (direction_ == Direction::add) return above(-place(-loss));
        const double at = place(loss), shifted = at - 1 / mechanism_.noise;
        return (1 - mechanism_.rate) * above(at) + mechanism_.rate * above(shifted);
    }
    double distribution(double loss) const {
        if (direction_ == Direction::add) return above(place(-loss));
        const double at = place(loss), shifted = at - 1 / mechanism_.noise;
        return (1 - mechanism_.rate) * above(-at) + mechanism_.rate * above(-shifted);
    }

    SampledGaussian mechanism_;
    Direction direction_;
    double variance_;
};

/// A limit that the sum of all steps' losses passes, on either side, with chance `chance` at most: Chernoff's bound.
double limit_of_sum(const StepLoss& loss, std::int64_t steps, double chance) {
    std::array<double, 2> limits{HUGE_VAL, HUGE_VAL};
    for (double slope = 1e-3; slope < 200; slope *= 1.5) {
        for (int side = 0; side < 2; ++side) {
            const double moment = loss.log_moment(side == 0 ? slope : -slope);
            limits[static_cast<std::size_t>(side)] =
                std::min(limits[static_cast<std::size_t>(side)],
                         (static_cast<double>(steps) * moment - std::log(chance)) / slope);
        }
    }
    return std::max(limits[0], limits[1]);
}

/// Of the sum of all steps' losses: chances[m] that it is first + m * width.
struct SumOfLosses {
    double first, width;
    std::vector<double> chances;

    /// The smallest epsilon with E max(0, 1 - exp(epsilon - loss)) <= delta.
    double epsilon(double delta) const {
        double sum = 0, discounted = 0;  // of chance, and of chance * exp(-loss), over all losses above
        for (std::size_t m = chances.size(); m-- > 0;) {
            const double loss = first + static_cast<double>(m) * width;
            if (loss < 0) break;
            if (sum - std::exp(loss) * discounted > delta) return std::log((sum - delta) / discounted);
            sum += chances[m];
            discounted += chances[m] * std::exp(-loss);
        }
        return sum - discounted > delta ? std::log((sum - delta) / discounted) : 0;
    }
};

/// A grid of 2^n places that covers [-limit, limit] and is as fine as `width` asks, or as memory allows.
SumOfLosses compose(const StepLoss& loss, std::int64_t steps, double limit, double width) {
    constexpr std::size_t most_points = std::size_t{1} << 23;
    std::size_t points = 1024;
    while (points < most_points && static_cast<double>(points) * width < 2 * limit) points *= 2;
    width = 2 * limit / static_cast<double>(points);

    // Place m of the ring is the loss m * width, or that much below zero from its middle on.
    const auto half = static_cast<std::int64_t>(points / 2);
    std::vector<double> ring(points);
    double total = 0, mean = 0;
    for (std::int64_t m = -half; m < half; ++m) {
        const double at = static_cast<double>(m) * width;
        const double chance = std::max(0.0, loss.chance(at - width / 2, at + width / 2));
        ring[static_cast<std::size_t>(m < 0 ? m + 2 * half : m)] = chance;
        total += chance;
        mean += chance * at;
    }
    for (double& chance : ring) chance /= total;
    const double shift = loss.mean() - mean / total;

    Eigen::FFT<double> transform;
    transform.SetFlag(Eigen::FFT<double>::HalfSpectrum);
    std::vector<std::complex<double>> spectrum;
    transform.fwd(spectrum, ring);
    for (std::complex<double>& frequency : spectrum) frequency = std::pow(frequency, static_cast<double>(steps));
    transform.inv(ring, spectrum, static_cast<Eigen::Index>(points));

    // Where the sum is m * width + steps * shift: the representatives of the ring within [-limit, limit].
    const double shifts = static_cast<double>(steps) * shift;
    const auto lowest = static_cast<std::int64_t>(std::ceil((-limit - shifts) / width));
    SumOfLosses sum{static_cast<double>(lowest) * width + shifts, width, std::vector<double>(points)};
    for (std::size_t k = 0; k < points; ++k) {
        const std::int64_t m = (lowest + static_cast<std::int64_t>(k)) % (2 * half);
        sum.chances[k] = std::max(0.0, ring[static_cast<std::size_t>(m < 0 ? m + 2 * half : m)]);
    }
    return sum;
}

double epsilon_of(const SampledGaussian& mechanism, Direction direction, double delta, double accuracy) {
    const StepLoss loss(mechanism, direction);
    // What may go wrong takes a thousandth of delta.
    const double rare = delta * 2.5e-4;
    const double limit = limit_of_sum(loss, mechanism.steps, rare / 2);
    const double walk = std::sqrt(static_cast<double>(mechanism.steps) / 2 * std::log(2 / rare));
    const SumOfLosses sum = compose(loss, mechanism.steps, limit, accuracy / walk);
    const double off_the_grid = static_cast<double>(mechanism.steps) * loss.beyond(limit);
    const double left = delta - 2 * rare - off_the_grid;
    return left > 0 ? sum.epsilon(left) + walk * sum.width : HUGE_VAL;
}

}  // namespace

double epsilon_pld(const SampledGaussian& mechanism, double delta) {
    const double rough = epsilon_rdp(mechanism, delta).epsilon;
    const double accuracy = std::max(2e-3 * rough, 1e-6);
    return std::max(epsilon_of(mechanism, Direction::remove, delta, accuracy),
                    epsilon_of(mechanism, Direction::add, delta, accuracy));
}

}  // namespace dunlin
