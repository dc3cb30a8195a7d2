// SPDX-License-Identifier: Apache-2.0
// What sums that hide their parts are made of: ChaCha20, shared secrets, numbers of a ring.
#include "core/random.hpp"
#include "core/robust/chacha20.hpp"
#include "core/robust/ring_values.hpp"
#include "core/robust/secret_sharing.hpp"

#include <cstring>
#include <limits>
#include <vector>

#include <catch2/catch.hpp>

using namespace dunlin;

namespace {

std::array<std::byte, 32> counted_key() {
    std::array<std::byte, 32> key;
    for (std::size_t k = 0; k < key.size(); ++k) key[k] = static_cast<std::byte>(k);
    return key;
}

}  // namespace

TEST_CASE("ChaCha20 gives the blocks of RFC 8439") {
    // Section 2.3.2, whose block is numbered 1.
    ChaCha20 first(counted_key(), 1, {0x09000000, 0x4a000000, 0});
    CHECK(first.block() == ChaCha20::Block{0xe4e7f110, 0x15593bd1, 0x1fdd0f50, 0xc47120a3, 0xc7f4d1c7, 0x0368c033,
                                           0x9aaa2204, 0x4e6cd4c3, 0x466482d2, 0x09aa9f07, 0x05d7c214, 0xa2028bd9,
                                           0xd19c12b5, 0xb94e16de, 0xe883d0cb, 0x4e3c50a2});
    // Appendix A.1, test vectors 1 and 2: the next block of the same stream.
    ChaCha20 zeros(std::array<std::byte, 32>{});
    const ChaCha20::Block block = zeros.block();
    CHECK(block[0] == 0xade0b876);
    CHECK(block[15] == 0x8665eeb2);
    CHECK(zeros.block()[0] == 0xbee7079f);
}

TEST_CASE("64 bits of ChaCha20 are two numbers of its blocks") {
    ChaCha20 blocks(counted_key()), numbers(counted_key());
    for (int k = 0; k < 3; ++k) {
        const ChaCha20::Block block = blocks.block();
        for (std::size_t at = 0; at < block.size(); at += 2)
            CHECK(numbers() == (std::uint64_t{block[at + 1]} << 32 | block[at]));
    }
}

TEST_CASE("every element of the field but 0 has an inverse, and products are those of the field") {
    for (unsigned a = 1; a < 256; ++a)
        REQUIRE(secret_sharing::product(static_cast<std::uint8_t>(a),
                                        secret_sharing::inverse(static_cast<std::uint8_t>(a))) == 1);
    CHECK(secret_sharing::product(0x57, 0x83) == 0xc1);  // FIPS 197, section 4.2
    CHECK(secret_sharing::product(0x57, 0x13) == 0xfe);
}

TEST_CASE("any t shares give the secret, and t - 1 fit every secret alike") {
    constexpr std::size_t size = 32;
    Stream random(5, 0, Purpose::tasks);
    for (const std::size_t threshold : {1u, 2u, 4u, 12u, 86u}) {
        const std::size_t members = threshold * 3 / 2 + 1;
        std::vector<std::uint8_t> coefficients(threshold * size);
        for (std::uint8_t& byte : coefficients) byte = static_cast<std::uint8_t>(random.bits64());
        std::vector<std::vector<std::uint8_t>> shares(members, std::vector<std::uint8_t>(size));
        for (std::size_t i = 0; i < members; ++i)
            secret_sharing::share(coefficients, static_cast<std::uint8_t>(i + 1), shares[i]);
        for (int draw = 0; draw < 5; ++draw) {
            std::vector<std::uint8_t> xs;
            for (std::size_t i = 0; i < members; ++i) xs.push_back(static_cast<std::uint8_t>(i + 1));
            while (xs.size() > threshold)
                xs.erase(xs.begin() + random.below(static_cast<std::uint32_t>(xs.size())));
            std::vector<std::uint8_t> secret(size);
            for (std::size_t k = 0; k < xs.size(); ++k)
                secret_sharing::add(shares[xs[k] - 1], secret_sharing::weight(xs, k), secret);
            CHECK(std::equal(secret.begin(), secret.end(), coefficients.begin()));
        }
        if (threshold == 1) continue;
        // With one share fewer, each value of the missing share gives another secret: all are possible.
        std::vector<std::uint8_t> xs;
        for (std::size_t i = 0; i < threshold; ++i) xs.push_back(static_cast<std::uint8_t>(i + 1));
        std::vector<bool> seen(256);
        for (unsigned guess = 0; guess < 256; ++guess) {
            std::uint8_t secret = 0;
            for (std::size_t k = 0; k < xs.size(); ++k) {
                const std::uint8_t share = k + 1 == xs.size() ? static_cast<std::uint8_t>(guess) : shares[k][0];
                secret_sharing::add({&share, 1}, secret_sharing::weight(xs, k), {&secret, 1});
            }
            seen[secret] = true;
        }
        CHECK(std::find(seen.begin(), seen.end(), false) == seen.end());
    }
}

TEST_CASE("numbers go to a ring and back, and what is beyond the range is clipped and counted") {
    RingValues values;
    values.value_bits = 10;
    values.range = 2.0f;
    const std::vector<float> x{0.0f, 1.0f, -2.0f, 3.0f, std::numeric_limits<float>::quiet_NaN(), 0.003f};
    std::vector<std::uint64_t> ring(x.size());
    CHECK(values.to_ring(x, 3, ring) == 2);
    const double unit = 2.0 / 512;
    const double expected[] = {0, 256, -512, 512, 0, 1};
    for (const std::uint32_t bits : {32u, 64u}) {
        values.ring_bits = bits;
        for (std::size_t k = 0; k < x.size(); ++k)
            CHECK(static_cast<double>(values.from_ring(ring[k])) == 3 * expected[k]);
    }
    CHECK(values.unit() == unit);
    CHECK(RingValues{.value_bits = 20}.ring_for(17) == 32);
    CHECK(RingValues{.value_bits = 20, .largest_weight = 1000}.ring_for(17) == 64);
    CHECK(RingValues{.value_bits = 30, .largest_weight = ~0u}.ring_for(~0u) == 0);
}
