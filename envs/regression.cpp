// SPDX-License-Identifier: Apache-2.0
#include "envs/regression.hpp"

// As in core/kernels/generic.cpp: where there is an instruction for fma, take it; the bits are the same.
#if defined(__x86_64__) && defined(__gnu_linux__) && !defined(__clang__)
#define DUNLIN_FUSED [[gnu::target_clones("arch=x86-64-v3", "default"), gnu::flatten]]
#else
#define DUNLIN_FUSED
#endif

namespace dunlin {
namespace {

/// Fills the first `batch` columns of d rows of features, and as many targets.
template <class S>
DUNLIN_FUSED void draw_samples(const RegressionAgent& agent, int batch, Columns<S> features, S* targets,
                               Stream& random) {
    const auto d = static_cast<int>(agent.beta.size());
    auto next = [&, pair = std::array<float, 2>{}, second = true]() mutable {
        second = !second;
        if (!second) pair = random.normal_pair();
        return S(pair[second]);
    };
    for (int q = 0; q < batch; ++q) {
        S sum = 0;
        for (int k = 0; k < d; ++k) {
            const S x = S(agent.feature_scale) * next();
            features.row(k)[q] = x;
            sum = portable::fma(x, S(agent.beta[static_cast<std::size_t>(k)]), sum);
        }
        targets[q] = sum + S(agent.noise) * next();
    }
}

}  // namespace

Result<void> check(const RegressionSettings& s) {
    if (s.agents < 1 || s.agents > regression_agent_limit)
        return fail(Code::out_of_range, s.agents, regression_agent_limit);
    if (s.dimension < 1 || s.dimension > regression_dimension_limit)
        return fail(Code::out_of_range, s.dimension, regression_dimension_limit);
    if (s.batch < 1 || s.batch > regression_batch_limit)
        return fail(Code::out_of_range, s.batch, regression_batch_limit);
    const float deviations[] = {s.noise, s.spread, s.group_shift, s.feature_scale[0], s.feature_scale[1]};
    for (std::int64_t k = 0; k < 5; ++k) {
        if (!(deviations[k] >= 0.0f && deviations[k] <= 1e3f)) return fail(Code::bad_setting, 3 + k);
    }
    return {};
}

RegressionAgent draw_agent(const RegressionSettings& settings, std::uint64_t seed, int agent,
                           std::span<float> beta) {
    constexpr std::uint32_t common = (1u << 24) - 1;  // the stream that belongs to no agent
    const Stream shared(seed, common, Purpose::data);
    Stream centre = shared.lane(0), shift = shared.lane(1);
    Stream own(seed, static_cast<std::uint32_t>(agent), Purpose::data);
    const int group = agent < settings.agents / 2 ? 0 : 1;
    const float sign = group == 0 ? settings.group_shift : -settings.group_shift;
    for (float& b : beta) b = centre.normal() + settings.spread * own.normal() + sign * shift.normal();
    return {beta, settings.feature_scale[group], settings.noise, 1.0f / static_cast<float>(settings.agents)};
}

template <class S>
void LinearRegression<S>::draw(int slot, ConstVector<S> /*w*/, Stream& random) {
    random.next_epoch();
    draw_samples(agent, batch_, features(slot), targets(slot), random);
}

template <class S>
void LinearRegression<S>::residual(int slot, ConstVector<S> w) {
    S* r = residual();
    const S* b = targets(slot);
    for (std::ptrdiff_t q = 0; q < stride_; ++q) r[q] = -b[q];
    kernels->accumulate(w.data(), features(slot), {r, stride_}, dimension_, 1, static_cast<int>(stride_));
}

template <class S>
S LinearRegression<S>::value(int slot, ConstVector<S> w) {
    residual(slot, w);
    const ConstVector<S> r(residual(), static_cast<std::size_t>(batch_));
    return dot(r, r) / S(batch_) + S(agent.ridge) / S(2) * dot(w, w);
}

template <class S>
void LinearRegression<S>::gradient(int slot, ConstVector<S> w, Vector<S> out) {
    residual(slot, w);
    for (std::size_t k = 0; k < out.size(); ++k) out[k] = S(batch_) * S(agent.ridge) / S(2) * w[k];
    kernels->weight_gradient(features(slot), {residual(), stride_}, out.data(), nullptr, dimension_, 1,
                             static_cast<int>(stride_));
    for (S& g : out) g *= S(2) / S(batch_);
}

template <class S>
void LinearRegression<S>::hessian_vector(int slot, ConstVector<S> /*w*/, ConstVector<S> v, Vector<S> out) {
    S* r = residual();
    for (std::ptrdiff_t q = 0; q < stride_; ++q) r[q] = S(0);
    kernels->accumulate(v.data(), features(slot), {r, stride_}, dimension_, 1, static_cast<int>(stride_));
    for (std::size_t k = 0; k < out.size(); ++k) out[k] = S(batch_) * S(agent.ridge) / S(2) * v[k];
    kernels->weight_gradient(features(slot), {r, stride_}, out.data(), nullptr, dimension_, 1,
                             static_cast<int>(stride_));
    for (S& g : out) g *= S(2) / S(batch_);
}

template class LinearRegression<float>;
template class LinearRegression<double>;

}  // namespace dunlin
