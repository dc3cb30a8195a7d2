// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/error.hpp"
#include "core/kernels/first_order.hpp"
#include "rl/one_body.hpp"
#include "stored_numbers.hpp"

#include <optional>
#include <type_traits>

namespace dunlin::device {

/// A policy that a device adapts with its one real body (rl/one_body.hpp). `Exported` is the struct in the file that
/// `dunlin export RUN --format header --one-body` writes: a policy and the settings of learning, which `settings`
/// may change. All memory is in the object: declare it `constinit` and static, and sizeof tells its RAM.
///
///     learner.start(dunlin_entropy_seed(Policy::seed));
///     for (;;) {
///         const int action = learner.act(observation);
///         ...                                                   // the body does it
///         learner.reward(r, ended);
///         learner.update(2000);                                 // at most so many multiply-adds, then sleep
///     }
template <class Exported, OneBodySettings settings = Exported::body>
class BodyLearner {
public:
    using Policy = std::conditional_t<Exported::gaussian, GaussianPolicy<float>, CategoricalPolicy<float>>;
    static constexpr Policy policy{{Exported::shape, &first_order_kernels}};
    static constexpr std::size_t dimension = policy.parameters();
    static_assert(dimension == Exported::parameters.size());
    /// Bytes beyond parameters, anchor and gradient.
    static constexpr std::size_t workspace_bytes =
        OneBody<Policy>::bytes(policy, settings) + sizeof(OneBody<Policy>);
    /// An update takes at least so many multiply-adds a slice, however few it is given.
    static constexpr std::uint32_t least_slice = OneBody<Policy>::least_slice(policy, settings);

    /// Takes the policy that was stored, or else the exported one. Error: file_checksum (the exported numbers were
    /// damaged in flash).
    Result<void> start(std::uint64_t seed) {
        if (const std::uint32_t found = crc32(std::span<const float>(Exported::parameters));
            found != Exported::checksum)
            return fail(Code::file_checksum, found, Exported::checksum);
        own_.load();
        Arena arena(memory_);
        body_.emplace(policy, settings, Vector<float>(own_.numbers), ConstVector<float>(Exported::parameters),
                      Vector<float>(gradient_), Stream(seed, 0, Purpose::rollout), arena);
        return {};
    }

    /// As OneBody's, of which the rest is reached by `body`.
    auto act(auto&&... arguments) { return body_->act(arguments...); }
    bool reward(float earned, bool ended) { return body_->reward(earned, ended); }
    bool update(std::uint32_t multiply_adds) { return body_->update(multiply_adds); }
    const OneBody<Policy>& body() const { return *body_; }

    ConstVector<float> personal() const { return own_.numbers; }
    /// Keeps the policy across a reset; between two updates.
    bool save() { return own_.save(); }
    /// Forgets what was learned; between two updates.
    void forget() { own_.forget(); }

private:
    StoredNumbers<Exported> own_{};
    std::array<float, dimension> gradient_{};
    alignas(Arena::alignment) std::byte memory_[OneBody<Policy>::bytes(policy, settings)]{};
    std::optional<OneBody<Policy>> body_{};
};

}  // namespace dunlin::device
