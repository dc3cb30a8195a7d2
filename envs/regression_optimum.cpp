// SPDX-License-Identifier: Apache-2.0
#include "envs/regression_optimum.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace dunlin {

RegressionObjective::Moments RegressionObjective::moments(const RegressionAgent& agent) const {
    const double scale = agent.feature_scale, s2 = scale * scale, rho = agent.ridge, alpha = inner_rate;
    const double sigma = agent.noise, d = static_cast<double>(agent.beta.size()), b = batch;
    const double kept = 1.0 - alpha * rho;
    const double mu = kept - 2.0 * alpha * s2;
    const double nu = kept * kept - 4.0 * alpha * kept * s2 + 4.0 * alpha * alpha * s2 * s2 * (b + d + 1.0) / b;
    double beta_square = 0.0;
    for (float x : agent.beta) beta_square += static_cast<double>(x) * x;

    Moments m{1.0, 0.0, 0.0, 1.0, 0.0};
    for (int r = 0; r < steps; ++r) {
        m.constant = nu * m.constant + (2.0 * alpha * rho * mu * m.pull + alpha * alpha * rho * rho) * beta_square +
                     alpha * alpha * 4.0 * sigma * sigma * s2 * d / b;
        m.linear = nu * m.linear - 2.0 * alpha * rho * mu * m.contraction;
        m.square *= nu;
        m.pull = mu * m.pull + alpha * rho;
        m.contraction *= mu;
    }
    return m;
}

RegressionObjective::Slope RegressionObjective::slope(const RegressionAgent& agent) const {
    const Moments m = moments(agent);
    const double scale = agent.feature_scale, curvature = scale * scale + agent.ridge / 2.0;
    return {2.0 * curvature * m.square, curvature * m.linear + agent.ridge * m.contraction};
}

double RegressionObjective::value(const RegressionAgent& agent, std::span<const double> z) const {
    const Moments m = moments(agent);
    const double scale = agent.feature_scale, rho = agent.ridge, sigma = agent.noise;
    double xx = 0.0, xb = 0.0, bb = 0.0;
    for (std::size_t k = 0; k < z.size(); ++k) {
        const double beta = agent.beta[k], x = z[k] - beta;
        xx += x * x;
        xb += x * beta;
        bb += beta * beta;
    }
    return (scale * scale + rho / 2.0) * (m.square * xx + m.linear * xb + m.constant) +
           rho * (m.contraction * xb - m.pull * bb) + rho / 2.0 * bb + sigma * sigma;
}

std::vector<double> RegressionObjective::gradient(const RegressionAgent& agent, std::span<const double> z) const {
    const Slope g = slope(agent);
    std::vector<double> out(z.size());
    for (std::size_t k = 0; k < z.size(); ++k) {
        const double beta = agent.beta[k];
        out[k] = g.first * (z[k] - beta) + g.second * beta;
    }
    return out;
}

std::vector<double> RegressionObjective::minimiser(std::span<const RegressionAgent> agents) const {
    std::vector<double> z(agents.front().beta.size());
    double total = 0.0;
    for (const RegressionAgent& agent : agents) {
        const Slope g = slope(agent);
        total += g.first;
        for (std::size_t k = 0; k < z.size(); ++k) z[k] += (g.first - g.second) * agent.beta[k];
    }
    for (double& x : z) x /= total;
    return z;
}

double worst_relative_error(std::span<const float> models, std::span<const double> optimum) {
    double size = 0.0, worst = 0.0;
    for (double x : optimum) size += x * x;
    for (std::size_t at = 0; at + optimum.size() <= models.size(); at += optimum.size()) {
        double distance = 0.0;
        for (std::size_t k = 0; k < optimum.size(); ++k) {
            const double difference = models[at + k] - optimum[k];
            distance += difference * difference;
        }
        // No comparison is true of NaN, and a model that has left the numbers is not one without an error.
        const double error = distance > 0.0 ? std::sqrt(distance / size) : distance;
        if (!(error <= worst)) worst = std::isfinite(error) ? error : std::numeric_limits<double>::infinity();
    }
    return worst;
}

}  // namespace dunlin
