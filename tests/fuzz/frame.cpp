// SPDX-License-Identifier: Apache-2.0
// Any bytes as a message between hosts: refused, or a message that can be sent again and reads the same.
#include "fuzz.hpp"
#include "transport/wire/wire_codec.hpp"

#include <algorithm>

using namespace dunlin;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto message = decode_copy(std::as_bytes(std::span(data, size)));
    if (!message) return 0;
    const auto once = encode_frame(message->message());
    fuzz::require(once.has_value());
    const auto again = decode_copy(once->bytes());
    fuzz::require(again && again->message().body.index() == message->message().body.index());
    const auto twice = encode_frame(again->message());
    fuzz::require(twice && std::ranges::equal(once->bytes(), twice->bytes()));
    return 0;
}
