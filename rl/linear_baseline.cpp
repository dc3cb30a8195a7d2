// SPDX-License-Identifier: Apache-2.0
// Apart from the other baselines: it needs Eigen and double precision, and firmware goes without.
#include "core/vector.hpp"
#include "rl/baseline.hpp"

#include <algorithm>

#include <Eigen/Cholesky>

namespace dunlin {

template <class S>
void subtract_linear_fit(Rollout<S>& rollout, const S* observations, int size, S* features) {
    if (size > linear_baseline_limit) __builtin_trap();
    if (rollout.length() == 0) return;
    constexpr int limit = 2 * linear_baseline_limit + 4;  // sizes known here keep Eigen off the heap
    using Square = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, 0, limit, limit>;
    using Column = Eigen::Matrix<double, Eigen::Dynamic, 1, 0, limit, 1>;
    const int n = 2 * size + 4, last = rollout.length() - 1;
    const std::ptrdiff_t columns = rollout.first(last) + rollout.width(last);
    const auto feature = [&](int k) {
        return std::span<S>(features + k * columns, static_cast<std::size_t>(columns));
    };
    const std::span<S> weights(&rollout.weight(0), static_cast<std::size_t>(columns));

    // A row a feature, so that every product below runs along columns. Padding has no features.
    for (int h = 0; h <= last; ++h) {
        const int first = rollout.first(h), active = rollout.active(h), width = rollout.width(h);
        const S* matrix = observations + static_cast<std::ptrdiff_t>(size) * first;
        const S t = S(h) / S(rollout.horizon());
        const S powers[4] = {t, t * t, t * t * t, S(1)};
        for (int k = 0; k < size; ++k) {
            const S* row = matrix + static_cast<std::ptrdiff_t>(k) * width;
            S* linear = &feature(2 * k)[static_cast<std::size_t>(first)];
            S* square = &feature(2 * k + 1)[static_cast<std::size_t>(first)];
            for (int c = 0; c < width; ++c) {
                linear[c] = row[c];
                square[c] = row[c] * row[c];
            }
        }
        for (int k = 0; k < 4; ++k)
            std::fill_n(&feature(n - 4 + k)[static_cast<std::size_t>(first)], active, powers[k]);
        for (int k = 0; k < n; ++k) {
            std::fill_n(feature(k).data() + first + active, width - active, S(0));
        }
    }

    Square normal(n, n);
    Column moment(n);
    for (int i = 0; i < n; ++i) {
        for (int j = 0; j <= i; ++j) {
            normal(i, j) = static_cast<double>(dot<S>(feature(i), feature(j)));
        }
        moment[i] = static_cast<double>(dot<S>(feature(i), weights));
    }
    // The ridge keeps features that never vary from breaking the factorisation, which reads the lower half.
    normal.diagonal().array() += 1e-5 * static_cast<double>(rollout.steps());
    const Column fit = normal.template selfadjointView<Eigen::Lower>().llt().solve(moment);
    for (int k = 0; k < n; ++k) {
        const S slope = static_cast<S>(fit[k]);
        const std::span<const S> row = feature(k);
        for (std::size_t c = 0; c < weights.size(); ++c) weights[c] -= slope * row[c];
    }
}

template void subtract_linear_fit(Rollout<float>&, const float*, int, float*);
template void subtract_linear_fit(Rollout<double>&, const double*, int, double*);

}  // namespace dunlin
