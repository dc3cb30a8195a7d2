// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/error.hpp"
#include "core/network/convolution.hpp"
#include "core/network/dense.hpp"
#include "core/network/dropout.hpp"
#include "core/network/embedding.hpp"
#include "core/network/gru.hpp"
#include "core/network/lstm.hpp"
#include "core/network/normalise.hpp"
#include "core/network/pooling.hpp"

#include <algorithm>
#include <array>
#include <span>

namespace dunlin {

/// Calls f with the struct that does this kind of layer; `add` has none.
template <class F>
constexpr auto with_layer(LayerKind kind, const F& f) {
    switch (kind) {
        case LayerKind::convolution:
            return f(ConvolutionLayer{});
        case LayerKind::maximum_pool:
            return f(MaximumPoolLayer{});
        case LayerKind::average_pool:
            return f(AveragePoolLayer{});
        case LayerKind::global_pool:
            return f(GlobalPoolLayer{});
        case LayerKind::gru:
            return f(GruLayer{});
        case LayerKind::lstm:
            return f(LstmLayer{});
        case LayerKind::embedding:
            return f(EmbeddingLayer{});
        case LayerKind::normalise:
            return f(NormaliseLayer{});
        case LayerKind::dropout:
            return f(DropoutLayer{});
        default:
            return f(DenseLayer{});
    }
}

/// The shape of a network: what comes in, and layer after layer. Sizes are run-time values that may be constants.
///
/// Parameters lie flat, layer by layer, as each layer says. Activations, derivatives and tangents are matrices whose
/// rows are those of the layers in order: of each its output, then what it keeps for itself.
struct NetworkShape {
    static constexpr int layer_limit = 32;
    static constexpr int width_limit = 65536;   ///< of channels and of a dense layer's outputs
    static constexpr int size_limit = 1 << 24;  ///< of numbers of an extent, and of rows of a matrix
    static constexpr std::size_t parameter_limit = std::size_t{1} << 28;

    struct Layer {
        LayerSpec spec;
        Extent in, out;
        int row = 0;          ///< its first one in a matrix
        std::size_t at = 0;   ///< its first parameter
        bool shared = false;  ///< an `add` further on wants its output, too
    };

    Extent input;
    bool tokens = false;  ///< a token a step comes in, of as many as the input has channels
    int layers = 0;
    std::array<Layer, layer_limit> all{};
    int rows = 0;
    std::size_t count = 0;  ///< of parameters

    /// Errors: no_layers; too_many_layers; bad_layer.
    static constexpr Result<NetworkShape> make(Extent input, bool tokens, std::span<const LayerSpec> specs) {
        if (specs.empty()) return fail(Code::no_layers);
        if (specs.size() > layer_limit)
            return fail(Code::too_many_layers, static_cast<std::int64_t>(specs.size()), layer_limit);
        NetworkShape shape;
        shape.input = input;
        shape.tokens = tokens;
        if (!countable(input)) return fail(Code::bad_layer, 0, static_cast<std::int64_t>(LayerFault::too_large));
        for (const LayerSpec& spec : specs) {
            if (const LayerFault fault = shape.append(spec); fault != LayerFault::none)
                return fail(Code::bad_layer, shape.layers, static_cast<std::int64_t>(fault));
        }
        return shape;
    }

    constexpr const Layer& layer(int l) const { return all[static_cast<std::size_t>(l)]; }
    constexpr const Layer& last() const { return layer(layers - 1); }
    constexpr int outputs() const { return last().out.size(); }
    /// Rows of a matrix.
    constexpr int units() const { return rows; }
    constexpr std::size_t parameters() const { return count; }
    /// The first parameter of a layer; behind the last one, their count.
    constexpr std::size_t weights_at(int l) const { return l < layers ? layer(l).at : count; }
    constexpr std::size_t parameters(int l) const { return weights_at(l + 1) - weights_at(l); }
    /// The layer that an `add` adds.
    constexpr int source(int l) const { return l - 1 - layer(l).spec.back; }

    /// Scalars of work space: twice the weights of one layer.
    constexpr std::size_t scratch_scalars() const {
        std::size_t most = 0;
        for (int l = 0; l < layers; ++l) most = std::max(most, parameters(l));
        return 2 * most;
    }

    friend constexpr bool operator==(const NetworkShape& a, const NetworkShape& b) {
        if (!(a.input == b.input) || a.tokens != b.tokens || a.layers != b.layers) return false;
        for (int l = 0; l < a.layers; ++l) {
            if (!(a.layer(l).spec == b.layer(l).spec)) return false;
        }
        return true;
    }

private:
    static constexpr bool countable(Extent extent) {
        const auto side = [](int n) { return n >= 1 && n <= width_limit; };
        return side(extent.height) && side(extent.width) && side(extent.channels) &&
               static_cast<std::int64_t>(extent.height) * extent.width * extent.channels <= size_limit;
    }

    constexpr LayerFault append(const LayerSpec& spec) {
        Extent in = layers == 0 ? input : last().out;
        if (spec.flat) in = {1, 1, in.size()};
        if (!countable(in)) return LayerFault::too_large;
        Layer next{.spec = spec, .in = in, .out = in, .row = rows, .at = count};
        if (spec.kind == LayerKind::add) {
            const int from = layers - 1 - spec.back;
            if (spec.back < 1 || from < 0 || !(layer(from).out == in)) return LayerFault::back;
            all[static_cast<std::size_t>(from)].shared = true;
        } else {
            // One token is as a one-hot input: any dense layer takes it.
            const bool takes_tokens =
                spec.kind == LayerKind::embedding || (spec.kind == LayerKind::dense && in.places() == 1);
            if ((spec.kind == LayerKind::embedding && (layers > 0 || !tokens)) ||
                (layers == 0 && tokens && !takes_tokens))
                return LayerFault::tokens;
            const bool sized = spec.kind == LayerKind::dense || spec.kind == LayerKind::convolution ||
                               spec.kind == LayerKind::gru || spec.kind == LayerKind::lstm ||
                               spec.kind == LayerKind::embedding;
            if (sized && (spec.outputs < 1 || spec.outputs > width_limit / 2)) return LayerFault::outputs;
            LayerFault fault = LayerFault::none;
            std::int64_t wanted = 0, own_rows = 0;
            with_layer(spec.kind, [&](auto kind) {
                fault = kind.check(spec, in);
                if (fault != LayerFault::none) return;
                next.out = kind.out(spec, in);
                if (!countable(next.out)) {
                    fault = LayerFault::too_large;
                    return;
                }
                wanted = static_cast<std::int64_t>(kind.parameters(spec, in));
                own_rows = kind.extra_rows(spec, in);
            });
            if (fault != LayerFault::none) return fault;
            if (static_cast<std::size_t>(wanted) > parameter_limit || own_rows > size_limit)
                return LayerFault::too_large;
            count += static_cast<std::size_t>(wanted);
            rows += static_cast<int>(own_rows);
        }
        rows += next.out.size();
        if (rows > size_limit || count > parameter_limit) return LayerFault::too_large;
        all[static_cast<std::size_t>(layers++)] = next;
        return LayerFault::none;
    }
};

}  // namespace dunlin
