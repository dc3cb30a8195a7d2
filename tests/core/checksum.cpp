// SPDX-License-Identifier: Apache-2.0
#include "core/checksum.hpp"

#include <array>
#include <cstring>
#include <vector>

#include <catch2/catch.hpp>

using namespace dunlin;

TEST_CASE("the checksum is the CRC-32 of zlib and Ethernet") {
    constexpr std::array<std::uint8_t, 9> digits = {'1', '2', '3', '4', '5', '6', '7', '8', '9'};
    STATIC_REQUIRE(crc32(std::span<const std::uint8_t>(digits)) == 0xcbf43926u);
    CHECK(crc32(std::span<const std::uint8_t>()) == 0u);
}

TEST_CASE("a checksum in parts is that of the whole, and numbers count as their bytes") {
    const std::vector<float> numbers = {1.5f, -0.0f, 3e-42f, 7.25f};
    std::vector<std::uint8_t> bytes(numbers.size() * sizeof(float));
    std::memcpy(bytes.data(), numbers.data(), bytes.size());
    const std::uint32_t whole = crc32(std::span<const std::uint8_t>(bytes));
    CHECK(crc32(std::span<const float>(numbers)) == whole);
    for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
        const std::span<const std::uint8_t> all(bytes);
        CHECK(crc32(all.subspan(cut), crc32(all.first(cut))) == whole);
    }
}
