// SPDX-License-Identifier: Apache-2.0
#include "core/random.hpp"

#include <cmath>
#include <set>

#include <Random123/philox.h>

using namespace dunlin;

TEST_CASE("a stream is replayed by copying it, and lanes and epochs never share a number") {
    Stream first(7, 3, Purpose::rollout);
    Stream copy = first;
    for (int k = 0; k < 9; ++k) CHECK(first.bits() == copy.bits());

    std::set<std::uint64_t> seen;
    int drawn = 0;
    for (std::uint32_t node : {0u, 1u, 2u}) {
        for (Purpose purpose : {Purpose::rollout, Purpose::evaluate}) {
            Stream stream(7, node, purpose);
            for (int epoch = 0; epoch < 3; ++epoch, stream.next_epoch()) {
                for (std::uint32_t lane = 0; lane < 4; ++lane) {
                    Stream draws = stream.lane(lane);
                    for (int k = 0; k < 8; ++k, ++drawn) seen.insert(draws.bits64());
                }
            }
        }
    }
    CHECK(seen.size() == static_cast<std::size_t>(drawn));
}

TEST_CASE("epochs are 64 bits wide: no batch of numbers comes back where 32 bits would wrap") {
    std::set<std::uint64_t> seen;
    std::size_t drawn = 0;
    const auto draw = [&](Stream stream) {
        for (std::uint32_t lane = 0; lane < 2; ++lane) {
            Stream draws = stream.lane(lane);
            for (int k = 0; k < 8; ++k, ++drawn) seen.insert(draws.bits64());
        }
    };
    constexpr std::uint64_t wrap = std::uint64_t{1} << 32;
    Stream stream(7, 3, Purpose::rollout);
    for (const std::uint64_t epoch :
         {std::uint64_t{0}, wrap - 1, wrap, wrap + 1, 2 * wrap, 4096 * (wrap / 4096 + 5),
          4096 * std::uint64_t{1'000'000'000}, ~std::uint64_t{0}}) {
        stream.seek_epoch(epoch);
        CHECK(stream.epoch() == epoch);
        draw(stream);
    }
    CHECK(seen.size() == drawn);

    Stream counted(7, 3, Purpose::rollout), sought = counted;
    counted.seek_epoch(wrap - 1);
    counted.next_epoch();
    sought.seek_epoch(wrap);
    CHECK(counted.epoch() == wrap);
    CHECK(counted.bits() == sought.bits());
    // What is drawn for a late epoch of one seed is not what another seed draws.
    Stream other(8, 3, Purpose::rollout);
    other.seek_epoch(wrap);
    draw(other);
    CHECK(seen.size() == drawn);
    // And back: an early epoch draws what it always did.
    sought.seek_epoch(0);
    CHECK(sought.bits() == Stream(7, 3, Purpose::rollout).bits());
}

TEST_CASE("Philox is Random123's") {
    Stream random(9, 0, Purpose::user);
    for (int k = 0; k < 1000; ++k) {
        r123::Philox4x32::ctr_type counter;
        r123::Philox4x32::key_type key;
        for (std::uint32_t& word : counter.v) word = random.bits();
        for (std::uint32_t& word : key.v) word = random.bits();
        const auto ours = philox({counter.v[0], counter.v[1], counter.v[2], counter.v[3]}, {key.v[0], key.v[1]});
        const auto theirs = r123::Philox4x32()(counter, key);
        for (std::size_t w = 0; w < 4; ++w) CHECK(ours[w] == theirs.v[w]);
    }
}

TEST_CASE("draws are pinned, so that every platform can be compared with this one") {
    Stream stream(0x0123456789abcdefull, 5, Purpose::samples);
    CHECK(stream.bits() == 0xcbd631d1u);
    CHECK(stream.normal() == 0x1.c421d4p+0f);
}

TEST_CASE("uniform, integer and normal draws have the moments of their distributions") {
    Stream stream(1, 0, Purpose::user);
    const int count = 200000;
    double uniform = 0, normal = 0, square = 0, fourth = 0;
    int histogram[7] = {};
    for (int k = 0; k < count; ++k) {
        uniform += stream.uniform();
        const double z = stream.normal();
        normal += z;
        square += z * z;
        fourth += z * z * z * z;
        ++histogram[stream.below(7)];
    }
    // five standard errors each
    CHECK(std::abs(uniform / count - 0.5) < 5 * std::sqrt(1.0 / 12 / count));
    CHECK(std::abs(normal / count) < 5 / std::sqrt(count));
    CHECK(std::abs(square / count - 1) < 5 * std::sqrt(2.0 / count));
    CHECK(std::abs(fourth / count - 3) < 5 * std::sqrt(96.0 / count));
    for (int k : histogram) CHECK(std::abs(k - count / 7.0) < 5 * std::sqrt(count * 6.0 / 49));
}
