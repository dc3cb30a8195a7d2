// SPDX-License-Identifier: Apache-2.0
#include "rl/baseline.hpp"

#include <Eigen/Cholesky>

namespace dunlin {

template <class S>
void subtract_leave_one_out(Rollout<S>& rollout) {
    for (int h = 0; h < rollout.length(); ++h) {
        const int n = rollout.active(h), first = rollout.first(h);
        if (n < 2) continue;
        S sum = 0;
        for (int c = first; c < first + n; ++c) sum += rollout.weight(c);
        for (int c = first; c < first + n; ++c) {
            rollout.weight(c) -= (sum - rollout.weight(c)) / S(n - 1);
        }
    }
}

template <class S>
void subtract_linear_fit(Rollout<S>& rollout, const S* observations, int size) {
    constexpr int limit = 2 * linear_baseline_limit + 4;  // sizes known here keep Eigen off the heap
    using Square = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, 0, limit, limit>;
    using Column = Eigen::Matrix<double, Eigen::Dynamic, 1, 0, limit, 1>;
    const int n = 2 * size + 4;

    const auto features = [&](int h, int column) {
        const S* matrix = observations + static_cast<std::ptrdiff_t>(size) * rollout.first(h);
        const double t = static_cast<double>(h) / rollout.horizon();
        Column x(n);
        for (int k = 0; k < size; ++k) {
            const double o =
                static_cast<double>(matrix[static_cast<std::ptrdiff_t>(k) * rollout.width(h) + column]);
            x[2 * k] = o;
            x[2 * k + 1] = o * o;
        }
        x.tail(4) << t, t * t, t * t * t, 1.0;
        return x;
    };

    Square normal = Square::Zero(n, n);
    Column moment = Column::Zero(n);
    for (int h = 0; h < rollout.length(); ++h) {
        for (int c = 0; c < rollout.active(h); ++c) {
            const Column x = features(h, c);
            for (int k = 0; k < n; ++k) normal.col(k) += x * x[k];
            moment += x * static_cast<double>(rollout.weight(rollout.first(h) + c));
        }
    }
    // The ridge keeps features that never vary from breaking the factorisation.
    normal.diagonal().array() += 1e-5 * static_cast<double>(rollout.steps());
    const Column fit = normal.llt().solve(moment);
    for (int h = 0; h < rollout.length(); ++h) {
        for (int c = 0; c < rollout.active(h); ++c) {
            rollout.weight(rollout.first(h) + c) -= static_cast<S>(fit.dot(features(h, c)));
        }
    }
}

template void subtract_leave_one_out(Rollout<float>&);
template void subtract_leave_one_out(Rollout<double>&);
template void subtract_linear_fit(Rollout<float>&, const float*, int);
template void subtract_linear_fit(Rollout<double>&, const double*, int);

}  // namespace dunlin
