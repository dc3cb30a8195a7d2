// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/checksum.hpp"
#include "core/mlp.hpp"

#include <cstdint>

namespace dunlin {

/// CRC-32 of what a model's parameters mean to a program that runs them: sizes and activations of the network, and
/// whether its outputs are means of numbers. Two models of as many parameters that would run differently differ in
/// it. Never 0, which stands for "not said".
constexpr std::uint32_t model_signature(const MlpShape& shape, bool gaussian) {
    std::uint32_t crc = ~0u;
    const auto add = [&crc](int number) {
        for (int shift = 0; shift < 32; shift += 8)
            crc = crc32_byte(static_cast<std::uint8_t>(static_cast<std::uint32_t>(number) >> shift), crc);
    };
    add(shape.inputs);
    for (int l = 0; l < shape.layers; ++l) {
        add(shape.width(l));
        add(static_cast<int>(shape.activation(l)));
    }
    add(shape.one_hot ? 1 : 0);
    add(shape.bias ? 1 : 0);
    add(gaussian ? 1 : 0);
    return ~crc == 0 ? 1 : ~crc;
}

}  // namespace dunlin
