// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/arena.hpp"
#include "core/robust/chacha20.hpp"
#include "core/robust/discrete_gaussian.hpp"
#include "core/robust/rows.hpp"

#include <algorithm>
#include <cassert>
#include <cstdint>

namespace dunlin {

/// What a gathering server (FederatedServer) keeps where its model is to tell little about any one member: a sum of
/// integers. Each update is scaled to a norm of at most C and rounded to units of C / 2^16; what is released is
///
///     (sum of rounded updates + discrete Gaussian noise of standard deviation sigma C) / (q n)
///
/// where q n, the members that a round invites in the mean, is no secret, as the number of those that came would be. One
/// member more or less moves the sum by at most C: the mechanism of `SampledGaussian`. A round that nobody delivered in
/// is noise alone. Source: McMahan, Ramage, Talwar, Zhang 2018, with the noise of Canonne, Kamath, Steinke 2020.
class PrivateSum {
public:
    struct Settings {
        double clip = 1;      ///< C
        double noise = 0;     ///< sigma; 0: none, which tells everything
        double expected = 1;  ///< q n
        double rate = 1;      ///< the rule's server_rate, its coefficient of every update
        /// 64 bits of the operating system's generator; of another one in tests alone. Never of a job's seed, whose giver
        /// could subtract the noise. Null: the noise of each round is drawn from a key (`set_noise_key`).
        std::uint64_t (*random)() = nullptr;
    };
    static constexpr std::uint64_t kind = 3;
    static constexpr bool releases_always = true;
    static constexpr double units = 0x1p16;  ///< in C

    static constexpr std::size_t memory(std::size_t dimension, std::size_t) {
        return Arena::bytes<std::int64_t>(dimension) + Arena::bytes<float>(dimension) +
               Arena::bytes<std::byte>(ChaCha20::key_bytes);
    }
    static constexpr std::size_t scratch(std::size_t, std::size_t) { return 0; }

    PrivateSum(const Settings& settings, std::size_t dimension, std::size_t, Arena& state, Arena&)
        : settings_(settings),
          sum_(state.take<std::int64_t>(dimension)),
          out_(state.take<float>(dimension)),
          key_(state.take<std::byte>(ChaCha20::key_bytes)) {}

    /// 256 bits of the operating system's generator, for one round: a server that keeps them with its log finds the same
    /// noise again when it replays it (invariant 8). Whoever reads that log could subtract the noise; it is as secret as the
    /// updates in it.
    void set_noise_key(std::span<const std::byte, ChaCha20::key_bytes> key) {
        std::copy(key.begin(), key.end(), key_.begin());
    }

    /// Whatever number of samples it claims.
    bool add(std::uint32_t, std::uint64_t, float, float, ConstVector<float> values) {
        const double norm = std::sqrt(squared_norm(values));
        // Rounding moves each component by half a unit at most.
        const double room = units - std::sqrt(static_cast<double>(values.size())) / 2;
        const double wanted = units / settings_.clip;
        const double scale = norm * wanted > room ? std::max(room, 0.0) / norm : wanted;
        for (std::size_t k = 0; k < values.size(); ++k)
            sum_[k] += static_cast<std::int64_t>(std::nearbyint(scale * static_cast<double>(values[k])));
        return true;
    }
    template <class Apply>
    bool take(std::uint64_t, std::uint64_t, double, Apply apply) {
        const double unit = settings_.clip / units * settings_.rate / settings_.expected;
        if (settings_.noise > 0) {
            if (settings_.random != nullptr) {
                add_noise(*settings_.random);
            } else {
                const auto known = [](std::byte part) { return part != std::byte{0}; };
                assert(std::any_of(key_.begin(), key_.end(), known) && "a round without a key for its noise");
                if (!std::any_of(key_.begin(), key_.end(), known)) return false;
                ChaCha20 bits{std::span<const std::byte, ChaCha20::key_bytes>(key_)};
                add_noise(bits);
                std::fill(key_.begin(), key_.end(), std::byte{0});
            }
        }
        for (std::size_t k = 0; k < sum_.size(); ++k) {
            out_[k] = static_cast<float>(unit * static_cast<double>(sum_[k]));
            sum_[k] = 0;
        }
        apply(1.0f, out_);
        return true;
    }
    void continue_from(const PrivateSum& smaller) {
        std::copy(smaller.sum_.begin(), smaller.sum_.end(), sum_.begin());
        std::copy(smaller.key_.begin(), smaller.key_.end(), key_.begin());
    }

private:
    template <class Bits>
    void add_noise(Bits& bits) {
        DiscreteGaussian noise(settings_.noise * units, bits);
        for (std::int64_t& value : sum_) value += noise();
    }

    Settings settings_;
    std::span<std::int64_t> sum_;
    std::span<float> out_;
    std::span<std::byte> key_;
};

}  // namespace dunlin
