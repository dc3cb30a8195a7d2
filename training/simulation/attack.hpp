// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/axes/robust_settings.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace dunlin {

/// What the members that lie send in place of their updates (differences). They act together: they know what the honest
/// ones of the same round send, and how the server sums up, but not what it remembers of earlier rounds (the last sum
/// of centred clipping, members' momentum). Source of the list: the benchmark ByzFL.
class Attack {
public:
    Attack(const AttackSettings& settings, const Defence& defence, std::uint32_t members, std::uint64_t seed);

    bool lies(std::uint32_t member) const { return lies_[member]; }
    /// To be told before `craft`: what honest members of a round send, and how many others there are. Takes
    /// no ownership; the views must last until the round's last `craft`.
    void see(std::vector<ConstVector<float>> honest, std::size_t liars);
    /// What a liar sends who learned `own`.
    void craft(ConstVector<float> own, Stream& random, Vector<float> out) const;

private:
    void take_statistics();
    /// Of `factors`, with which mean + factor * `direction` moves the defended sum furthest from the honest mean.
    float strongest(std::span<const float> direction, float sign) const;
    double moved(std::span<const float> direction, float factor) const;

    AttackSettings settings_;
    Defence defence_;
    std::vector<bool> lies_;
    std::vector<ConstVector<float>> honest_;
    std::size_t liars_ = 0;
    std::vector<float> mean_, deviation_, common_;  ///< of the honest; what all liars send
};

}  // namespace dunlin
