// SPDX-License-Identifier: Apache-2.0
#include "training/host/network_footprint.hpp"

namespace dunlin {
namespace {

bool is(const NetworkShape& shape, LayerKind kind) {
    for (int l = 0; l < shape.layers; ++l) {
        if (shape.layer(l).spec.kind == kind) return true;
    }
    return false;
}

/// Bytes of code that were linked on a Cortex-M4F with GCC 12 (tests/training/network_footprint.cpp has the images).
std::size_t code(const NetworkShape& shape, bool trains) {
    const bool conv = is(shape, LayerKind::convolution), gru = is(shape, LayerKind::gru),
               lstm = is(shape, LayerKind::lstm);
    const bool sums = conv || gru || lstm;  // these share theirs, and all activations with them
    bool curved = false, slopes = false, conv_above = false, walk_above = false, apart = false;
    for (int l = 0; l < shape.layers; ++l) {
        const LayerSpec& spec = shape.layer(l).spec;
        const bool last = l + 1 == shape.layers;
        curved = curved || spec.activation == Activation::tanh || spec.activation == Activation::sigmoid;
        slopes = slopes || (spec.activation != Activation::identity &&
                            (last || shape.layer(l + 1).spec.kind != LayerKind::dense));
        conv_above = conv_above || (l > 0 && spec.kind == LayerKind::convolution);
        walk_above = walk_above || (l > 0 && (spec.kind == LayerKind::gru || spec.kind == LayerKind::lstm));
        apart = apart || (spec.kind == LayerKind::convolution && spec.groups > 1);
    }
    const auto layers = static_cast<std::size_t>(shape.layers);
    std::size_t bytes = 5560 + 200 * layers;
    const auto add = [&bytes](bool there, std::size_t more) { bytes += there ? more : 0; };
    add(curved && !sums, 390);
    add(sums, 1790);
    add(conv, 1790);
    add(gru, 1370);
    add(lstm, 1390);
    add(is(shape, LayerKind::maximum_pool), 300);
    add(is(shape, LayerKind::global_pool), 100);
    add(is(shape, LayerKind::normalise), 380);
    add(is(shape, LayerKind::add), 150);
    if (!trains) return bytes;
    bytes += 100 + 130 * layers;
    add(slopes, sums ? 1050 : 350);
    add(conv, 70);
    add(conv_above, slopes ? 1600 : 2550);
    add(apart, 440);
    add(gru, 1860);
    add(lstm, 1860);
    add(walk_above, 300);
    add(is(shape, LayerKind::maximum_pool), 440);
    add(is(shape, LayerKind::average_pool) || is(shape, LayerKind::global_pool), 110);
    add(is(shape, LayerKind::normalise), 600);
    add(is(shape, LayerKind::add), 150);
    return bytes;
}

}  // namespace

Footprint footprint(const NetworkShape& shape, bool trains) {
    const std::size_t numbers = shape.parameters() * sizeof(float),
                      units = static_cast<std::size_t>(shape.units()) * sizeof(float);
    Footprint result;
    result.flash = {{"code of the layers", code(shape, trains)}, {"parameters", numbers}};
    result.ram = {
        {"what comes in", static_cast<std::size_t>(shape.tokens ? shape.input.width : shape.input.size()) * 4},
        {"activations of one sample", units}};
    if (trains) {
        result.ram.insert(result.ram.end(), {{"their derivatives", units},
                                             {"parameters that change", numbers},
                                             {"gradient", numbers},
                                             {"scratch", shape.scratch_scalars() * sizeof(float)}});
    }
    return result;
}

}  // namespace dunlin
