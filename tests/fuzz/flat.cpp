// SPDX-License-Identifier: Apache-2.0
// Any bytes as a message of a serial line: refused, or a message that can be sent again and reads the same.
#include "fuzz.hpp"
#include "transport/wire/flat_codec.hpp"

#include <algorithm>

using namespace dunlin;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static std::vector<Metric> metrics(WireLimits::metrics);
    static std::vector<PeerAddress> peers(WireLimits::neighbours);
    const fuzz::Aligned input(data, size);
    const auto message = decode_flat(input.bytes(), {metrics, peers});
    if (!message) return 0;
    std::vector<std::byte> first(flat_bytes(*message)), second(first.size());
    const auto once = encode_flat(*message, first);
    fuzz::require(once.has_value());
    const auto again = decode_flat(*once, {metrics, peers});
    fuzz::require(again.has_value() && again->body.index() == message->body.index());
    const auto twice = encode_flat(*again, second);
    fuzz::require(twice && std::ranges::equal(*once, *twice));
    return 0;
}
