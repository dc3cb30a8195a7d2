// SPDX-License-Identifier: Apache-2.0
#include "training/privacy/sampled_gaussian.hpp"

#include "training/privacy/privacy_loss.hpp"
#include "training/privacy/renyi.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include <fmt/format.h>

namespace dunlin {

Outcome<void> SampledGaussian::check() const {
    if (!(noise >= least_noise && noise <= most_noise))
        return refuse(fmt::format("noise {:g}: a multiple of the clipping norm from {:g} to {:g}", noise,
                                  least_noise, most_noise));
    if (!(rate >= least_rate && rate <= 1))
        return refuse(fmt::format("rate {:g}: the chance to take part, from {:g} to 1", rate, least_rate));
    if (steps < 1 || steps > step_limit) return refuse(fmt::format("steps {}: from 1 to {}", steps, step_limit));
    return {};
}

Outcome<void> check_delta(double delta) {
    if (delta >= SampledGaussian::least_delta && delta < 1) return {};
    return refuse(fmt::format("delta {:g}: from {:g} to below 1", delta, SampledGaussian::least_delta));
}

double SampledGaussian::log_moment(double order) const {
    if (rate == 1) return order * (order - 1) / (2 * noise * noise);
    // The integrand's mass lies around 0 and around the order. It is analytic but at distance pi sigma^2 from the line.
    constexpr double tail = 12;  // beyond it a normal density is below 1e-31 of its peak
    const double first = std::min(0.0, order) - tail * noise, last = std::max(0.0, order) + tail * noise;
    const double width = std::min(noise / 50, noise * noise / 5);
    const auto points = static_cast<std::int64_t>((last - first) / width) + 1;
    double most = -HUGE_VAL;
    std::vector<double> logs(static_cast<std::size_t>(points));
    for (std::int64_t i = 0; i < points; ++i) {
        const double z = first + static_cast<double>(i) * width;
        const double likelihood = std::log1p(rate * std::expm1((2 * z - 1) / (2 * noise * noise)));
        // Where exp overflows, the ratio is q exp(...) to all digits.
        const double ratio =
            std::isfinite(likelihood) ? likelihood : std::log(rate) + (2 * z - 1) / (2 * noise * noise);
        const double log_term = -z * z / (2 * noise * noise) + order * ratio;
        logs[static_cast<std::size_t>(i)] = log_term;
        most = std::max(most, log_term);
    }
    double sum = 0;
    for (double log_term : logs) sum += std::exp(log_term - most);
    return most + std::log(sum * width / (noise * std::sqrt(2 * M_PI)));
}

Outcome<double> noise_for(SampledGaussian mechanism, double epsilon, double delta) {
    mechanism.noise = 1;
    if (auto fits = mechanism.check().and_then([&] { return check_delta(delta); }); !fits)
        return tl::unexpected(fits.error());
    if (!(epsilon > 0)) return refuse(fmt::format("epsilon {:g}: above 0", epsilon));
    const auto spent = [&](double noise) {
        mechanism.noise = noise;
        return std::min(epsilon_pld(mechanism, delta), epsilon_rdp(mechanism, delta).epsilon);
    };
    const auto quick = [&](double noise) {
        mechanism.noise = noise;
        return epsilon_rdp(mechanism, delta).epsilon;
    };
    double low = SampledGaussian::least_noise, high = SampledGaussian::most_noise;
    const auto narrow = [&](const auto& accountant, double ratio) {
        while (high / low > ratio) {
            const double between = std::sqrt(low * high);
            (accountant(between) > epsilon ? low : high) = between;
        }
    };
    if (quick(high) > epsilon && spent(high) > epsilon)
        return refuse(fmt::format("epsilon {:g}: even noise of {:g} gives {:g}; release less often, or allow more",
                                  epsilon, high, spent(high)));
    // The quick accountant first: what suffices by it suffices, and the slow one rarely asks for much less.
    narrow(quick, 1.01);
    for (low = high / 1.2; low > SampledGaussian::least_noise && spent(low) <= epsilon; low /= 1.2) high = low;
    low = std::max(low, SampledGaussian::least_noise);
    if (spent(low) <= epsilon) return low;
    narrow(spent, 1 + 1e-4);
    return high;
}

}  // namespace dunlin
