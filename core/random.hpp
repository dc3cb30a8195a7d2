// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/math.hpp"

#include <array>
#include <cassert>
#include <cmath>
#include <cstdint>

namespace dunlin {

/// Philox 4x32-10 (Salmon et al. 2011): a block cipher of 128 bits, cut down to ten rounds that still pass
/// BigCrush. The same numbers as Random123's, which a test compares; its header is not used here because it brings
/// iostream's static initialisers and exceptions along.
constexpr std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 4> counter,
                                              std::array<std::uint32_t, 2> key) {
    for (int round = 0; round < 10; ++round) {
        const std::uint64_t a = std::uint64_t{0xd2511f53} * counter[0];
        const std::uint64_t b = std::uint64_t{0xcd9e8d57} * counter[2];
        counter = {static_cast<std::uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(b),
                   static_cast<std::uint32_t>(a >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(a)};
        key[0] += 0x9e3779b9;
        key[1] += 0xbb67ae85;
    }
    return counter;
}

/// What a stream is drawn for. Two streams with different purposes never share a number, so that (for example)
/// evaluating more often does not change how training goes on.
enum class Purpose : std::uint8_t {
    initialise,  ///< first parameters
    tasks,       ///< which tasks exist and which are drawn
    rollout,     ///< trajectories of training
    evaluate,    ///< trajectories of evaluation and of pictures
    samples,     ///< batches of supervised data
    data,        ///< generated data sets
    links,       ///< latency, loss, duplication
    lives,       ///< speeds, sleep, crashes of simulated nodes
    graph,       ///< random graphs
    user,        ///< for code outside Dunlin
    liars,       ///< which members of a simulated fleet lie, and how
    defence      ///< buckets of a sum that bears them
};

/// Counter-based random numbers: the key is the seed and the counter says what
/// the number is for:
///
///     counter = (block, lane, epoch mod 2^32, node * 256 + purpose)
///
/// Epochs are 64 bits wide and never wrap. From 2^32 on the key is one that the cipher makes of the seed and of the
/// upper half of the epoch, under a counter whose purpose no stream has.
///
/// A stream is a plain value of 48 bytes: copying it replays it, and the draws are the same for any number of
/// threads and on every platform. A task draws batch after batch with `next_epoch`; inside a batch each trajectory
/// has a lane.
class Stream {
public:
    Stream() = default;
    /// `node` (a node, or a task where there are no nodes) is below 2^24.
    Stream(std::uint64_t seed, std::uint32_t node, Purpose purpose)
        : key_{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)},
          counter_{0, 0, 0, node << 8 | static_cast<std::uint32_t>(purpose)} {
        assert(node >> 24 == 0);
    }

    /// Starts the next batch of draws: block and lane from zero, numbers never seen before.
    void next_epoch() { seek_epoch(epoch() + 1); }
    std::uint64_t epoch() const { return std::uint64_t{epoch_high_} << 32 | counter_[2]; }
    /// Goes to a batch by its number, as a resumed run does.
    void seek_epoch(std::uint64_t epoch) {
        counter_[2] = static_cast<std::uint32_t>(epoch);
        epoch_high_ = static_cast<std::uint32_t>(epoch >> 32);
        counter_[1] = counter_[0] = 0;
        left_ = 0;
    }

    /// The stream of one trajectory, sample or link within this batch; `lane` below 2^32 - 1.
    Stream lane(std::uint32_t lane) const {
        Stream other = *this;
        other.counter_[1] = lane + 1;
        other.counter_[0] = 0;
        other.left_ = 0;
        return other;
    }

    /// At most 2^34 of them in a lane of a batch.
    std::uint32_t bits() {
        if (left_ == 0) {
            block_ = philox(counter_, epoch_high_ == 0 ? key_ : late_key());
            ++counter_[0];
            assert(counter_[0] != 0);  // 2^34 numbers of one lane in one batch
            left_ = 4;
        }
        return block_[4 - left_--];
    }

    std::uint64_t bits64() {
        const std::uint64_t high = bits();
        return high << 32 | bits();
    }

    /// In [0, 1), a multiple of 2^-24.
    float uniform() { return static_cast<float>(bits() >> 8) * 0x1p-24f; }
    double uniform_double() { return static_cast<double>(bits64() >> 11) * 0x1p-53; }

    /// In {0, ..., bound - 1}, bound >= 1; Lemire's multiplication without rejection: bias below bound * 2^-32.
    std::uint32_t below(std::uint32_t bound) {
        return static_cast<std::uint32_t>(static_cast<std::uint64_t>(bits()) * bound >> 32);
    }

    /// Standard normal (Box and Muller), the same bits on every platform; magnitude below 6.7.
    float normal() { return normal_pair()[0]; }

    /// Two independent ones for little more than the price of one; the first is what `normal` gives.
    std::array<float, 2> normal_pair() {
        const float u = (static_cast<float>(bits() >> 8) + 0.5f) * 0x1p-24f;
        const float angle = static_cast<float>(bits() >> 8) * 0x1p-24f;
        const float radius = portable::sqrt(-2.0f * portable::log(u));
        const portable::SineCosine turn = portable::turn(angle);
        return {radius * turn.cosine, radius * turn.sine};
    }

private:
    std::array<std::uint32_t, 2> late_key() const {
        const auto made = philox({epoch_high_, 0, 0, 0xff}, key_);
        return {made[0], made[1]};
    }

    std::array<std::uint32_t, 2> key_{};
    std::array<std::uint32_t, 4> counter_{};
    std::array<std::uint32_t, 4> block_{};
    std::uint32_t left_ = 0;
    std::uint32_t epoch_high_ = 0;
};
static_assert(sizeof(Stream) == 48);

}  // namespace dunlin
