// SPDX-License-Identifier: Apache-2.0
// Any text as a public key: refused, or one that is written as it was read.
#include "fuzz.hpp"
#include "transport/zeromq/link.hpp"

using namespace dunlin;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text = fuzz::text(data, size);
    (void)is_loopback(text);
    const auto key = parse_public_key(text);
    if (!key) return 0;
    fuzz::require(parse_public_key(to_hex(*key)) == *key);
    fuzz::require(parse_public_key(to_z85(*key)) == *key);
    fuzz::require(text.size() == 64 || text == to_z85(*key));
    return 0;
}
