// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/checksum.hpp"
#include "core/network/network_shape.hpp"

#include <cstdint>

namespace dunlin {

/// CRC-32 of what the parameters of a network mean to a program that runs it, as the perceptrons' (core/model_signature.hpp):
/// what comes in, every layer, and whether the outputs are means of numbers. What is left out in training does not count.
/// Never 0, which stands for "not said".
constexpr std::uint32_t model_signature(const NetworkShape& shape, bool gaussian) {
    std::uint32_t crc = ~0u;
    const auto add = [&crc](auto... numbers) {
        for (const int number : {static_cast<int>(numbers)...}) {
            for (int shift = 0; shift < 32; shift += 8)
                crc = crc32_byte(static_cast<std::uint8_t>(static_cast<std::uint32_t>(number) >> shift), crc);
        }
    };
    add(-1);  // no perceptron, whose first number is a count
    add(shape.input.height, shape.input.width, shape.input.channels, shape.tokens, shape.layers, gaussian);
    for (int l = 0; l < shape.layers; ++l) {
        const LayerSpec& spec = shape.layer(l).spec;
        add(spec.kind, spec.activation, spec.outputs, spec.kernel_height, spec.kernel_width, spec.stride_height,
            spec.stride_width, spec.pad_height, spec.pad_width, spec.groups, spec.back, spec.every_step,
            spec.both_ways, spec.flat && spec.kind != LayerKind::dense);
    }
    return ~crc == 0 ? 1 : ~crc;
}

}  // namespace dunlin
