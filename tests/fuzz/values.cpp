// SPDX-License-Identifier: Apache-2.0
// Any bytes as numbers in any encoding, and any numbers through error feedback.
#include "fuzz.hpp"
#include "transport/encoding.hpp"

#include <cmath>

using namespace dunlin;

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) return 0;
    const Encoding encoding = static_cast<Encoding>(data[0] % 4);
    const std::span<const std::byte> bytes = std::as_bytes(std::span(data + 2, size - 2));
    std::vector<float> values(data[1] < 200 ? data[1] : bytes.size() / 4);
    (void)as_floats({encoding, static_cast<std::uint32_t>(values.size()), bytes});
    if (!decode({encoding, static_cast<std::uint32_t>(values.size()), bytes}, values)) {
        values.resize(bytes.size() / 4);
        if (!values.empty()) std::memcpy(values.data(), bytes.data(), values.size() * 4);
    }
    std::vector<float> residual(values.size(), 0.0f);
    ErrorFeedback feedback(residual);
    std::vector<std::byte> out(encoded_bytes(encoding, values.size()));
    for (int round = 0; round < 3; ++round) {
        if (encoding > Encoding::int8 || !feedback.encode(values, encoding, out)) break;
    }
    for (const float value : residual) fuzz::require(std::isfinite(value));
    return 0;
}
