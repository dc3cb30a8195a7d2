// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "envs/regression.hpp"

#include <span>
#include <vector>

namespace dunlin {

/// What linear regression on Gaussian features gives in closed form, in double, for hosts.
///
/// F^(u)(z) = E f(z_u) after u steps z_{r+1} = z_r - alpha df(z_r, D_r) on fresh batches of b samples. Write
/// x_r = z_r - beta, s for the feature scale, H = 2/b A'A + rho I, M = I - alpha H, e = 2/b A'zeta. A step is
///
///     x_{r+1} = M x_r - alpha rho beta + alpha e
///
/// where M and e are new in every step, E[e | A] = 0, and A'A is Wishart, so that E[A'A] = b s^2 I and
/// E[(A'A)^2] = s^4 b (b + d + 1) I. Hence both moments of a step are multiples of the identity:
///
///     E[M]    = mu I,   mu = 1 - alpha (2 s^2 + rho)
///     E[M^2]  = nu I,   nu = (1 - alpha rho)^2 - 4 alpha (1 - alpha rho) s^2 + 4 alpha^2 s^4 (b + d + 1)/b
///     E|e|^2  = 4 sigma^2 s^2 d/b
///
/// and E x_r = mu^r x - k_r beta, E|x_r|^2 = nu^r |x|^2 + l_r x'beta + c_r with k_0 = l_0 = c_0 = 0 and
///
///     k_{r+1} = mu k_r + alpha rho,   l_{r+1} = nu l_r - 2 alpha rho mu mu^r
///     c_{r+1} = nu c_r + (2 alpha rho mu k_r + alpha^2 rho^2) |beta|^2 + alpha^2 E|e|^2
///
/// Since f(z) = s^2 |z - beta|^2 + sigma^2 + rho/2 |z|^2, F^(u) is the quadratic
///
///     F^(u)(z) = (s^2 + rho/2) E|x_u|^2 + rho (E x_u)'beta + rho/2 |beta|^2 + sigma^2
struct RegressionObjective {
    int steps = 0;             ///< u >= 0
    double inner_rate = 0.08;  ///< alpha
    int batch = 20;            ///< b

    /// F_i^(u)(z) of one agent; u = 0 is its plain expected loss f_i(z).
    double value(const RegressionAgent& agent, std::span<const double> z) const;

    /// The gradient of F_i^(u).
    std::vector<double> gradient(const RegressionAgent& agent, std::span<const double> z) const;

    /// The minimiser of the sum of F_i^(u) over `agents`, which is not empty.
    std::vector<double> minimiser(std::span<const RegressionAgent> agents) const;

private:
    struct Moments {
        double square, linear, constant;  ///< E|x_u|^2 = square |x|^2 + linear x'beta + constant
        double contraction, pull;         ///< E x_u = contraction x - pull beta
    };
    Moments moments(const RegressionAgent& agent) const;
    /// The gradient is first (z - beta) + second beta.
    struct Slope {
        double first, second;
    };
    Slope slope(const RegressionAgent& agent) const;
};

/// The largest |z_i - optimum| / |optimum| over nodes: `models` holds one z after the other.
double worst_relative_error(std::span<const float> models, std::span<const double> optimum);

}  // namespace dunlin
