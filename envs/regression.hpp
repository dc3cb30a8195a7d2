// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/arena.hpp"
#include "core/kernels.hpp"
#include "core/task.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace dunlin {

/// How the agents of decentralised linear regression differ. Every agent i has beta_i = beta* + spread N(0, I), and
/// where there are two groups, plus `group_shift` g in the first half of the agents and minus in the second.
///
/// Source: PARS-Push, section 5, where all features have the same scale. Then every F^(u) has the same minimiser;
/// what multi-step MAML is for shows only where feature scales differ, hence the groups.
struct RegressionSettings {
    int agents = 10;                        ///< n
    int dimension = 30;                     ///< d
    int batch = 20;                         ///< b
    float noise = 0.1f;                     ///< sigma, the deviation of zeta
    float spread = 0.5f;                    ///< of beta_i around beta*
    float group_shift = 1.0f;               ///< 0: one group
    float feature_scale[2] = {1.4f, 0.5f};  ///< deviation of every feature in the first half and in the second

    static constexpr RegressionSettings paper() { return {.group_shift = 0.0f, .feature_scale = {1.0f, 1.0f}}; }
};

/// Limits of RegressionSettings' sizes.
inline constexpr int regression_agent_limit = 1 << 20, regression_dimension_limit = 1 << 20,
                     regression_batch_limit = 1 << 16;

/// One agent's distribution: a ~ N(0, feature_scale^2 I), b = a'beta + N(0, noise^2). `beta` belongs to the caller.
struct RegressionAgent {
    std::span<const float> beta;
    float feature_scale = 1.0f;
    float noise = 0.1f;
    float ridge = 0.1f;  ///< rho = 1/n
};

/// Errors: out_of_range (agents, dimension, batch); bad_setting (a deviation or shift not in [0, 1000]).
Result<void> check(const RegressionSettings& settings);

/// Agent `agent` of the fleet that `seed` stands for; fills `beta`, of settings.dimension floats.
RegressionAgent draw_agent(const RegressionSettings& settings, std::uint64_t seed, int agent,
                           std::span<float> beta);

/// Ridge regression on fresh samples:
///
///     f(z, D)  = 1/b sum over D of (b_q - a_q'z)^2 + rho/2 |z|^2
///     df(z, D) = 2/b A'(Az - b) + rho z,   d2f v = 2/b A'(Av) + rho v
///
/// Source: PARS-Push, section 5, eqs. 9-10, rho = 1/n. Any number of agents may share one task object, one after
/// the other: batches stay, `agent` changes.
template <class S>
class LinearRegression {
public:
    RegressionAgent agent;
    const Kernels<S>* kernels = &generic_kernels<S>();

    static constexpr std::size_t bytes(int dimension, int batch, int slots) {
        const auto columns = static_cast<std::size_t>(pad_columns(batch));
        const auto rows = static_cast<std::size_t>(slots) * (static_cast<std::size_t>(dimension) + 1) + 1;
        return Arena::bytes<S>(rows * columns);
    }

    /// Takes bytes(...) of `arena`. All sizes >= 1.
    LinearRegression(int dimension, int batch, int slots, Arena& arena)
        : dimension_(dimension),
          batch_(batch),
          slots_(slots),
          stride_(pad_columns(batch)),
          memory_(arena.take<S>(bytes(dimension, batch, slots) / sizeof(S))) {}

    std::size_t dimension() const { return static_cast<std::size_t>(dimension_); }
    int slots() const { return slots_; }

    void draw(int slot, ConstVector<S> w, Stream& random);
    S value(int slot, ConstVector<S> w);
    void gradient(int slot, ConstVector<S> w, Vector<S> out);
    void hessian_vector(int slot, ConstVector<S> w, ConstVector<S> v, Vector<S> out);

private:
    Columns<S> features(int slot) const {
        return {memory_.data() + static_cast<std::ptrdiff_t>(slot) * (dimension_ + 1) * stride_, stride_};
    }
    S* targets(int slot) const { return features(slot).row(dimension_); }
    S* residual() const { return features(slots_).data; }
    void residual(int slot, ConstVector<S> w);

    int dimension_, batch_, slots_;
    std::ptrdiff_t stride_;
    std::span<S> memory_;  ///< per slot: features, targets; then one row of residuals
};

extern template class LinearRegression<float>;
extern template class LinearRegression<double>;

}  // namespace dunlin
