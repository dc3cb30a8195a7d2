// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/mlp.hpp"
#include "core/vector.hpp"

#include <array>
#include <cstddef>
#include <span>

namespace dunlin {

/// Which parameters of a network a fleet shares and which stay with their node, layer by layer: two views of one
/// flat vector w = (x, y), each some ranges of it. x, the shared part, is what aggregations and messages see; y,
/// the personal part, is what a node adapts and keeps (invariant 10).
///
///     LayerSplit split = *LayerSplit::make(shape, personal_layers);
///     split.put_shared(x, w);   split.put_personal(y, w);    // w from its parts, and back with take_...
///
/// A plain value without memory of its own. Parts keep the order that they have in w.
class LayerSplit {
public:
    struct Range {
        std::size_t first = 0;
        std::size_t count = 0;
    };
    static constexpr int layer_limit = 32;  ///< of any shape

    /// Nothing to split: everything is shared.
    explicit constexpr LayerSplit(std::size_t dimension = 0) { shared_.add({0, dimension}); }

    /// `personal` lists the layers of a perceptron or network that have parameters, from 0; -1 is the last one, -2 the
    /// one before. Errors: no_such_layer; nothing_shared, where no layer is left over. `behind` numbers that follow the
    /// network's are shared: the deviations of a Gaussian policy.
    template <class Shape>
    static constexpr Result<LayerSplit> make(const Shape& shape, std::span<const int> personal,
                                             std::size_t behind = 0) {
        std::array<Range, layer_limit> all{};
        int layers = 0;
        for (int layer = 0; layer < shape.layers; ++layer) {
            const Range range{shape.weights_at(layer), shape.weights_at(layer + 1) - shape.weights_at(layer)};
            if (range.count > 0) all[static_cast<std::size_t>(layers++)] = range;
        }
        std::array<bool, layer_limit> own{};
        for (const int layer : personal) {
            const int from_front = layer < 0 ? layer + layers : layer;
            if (from_front < 0 || from_front >= layers) return fail(Code::no_such_layer, layer, layers);
            own[static_cast<std::size_t>(from_front)] = true;
        }
        LayerSplit split;
        split.shared_ = {};
        for (int layer = 0; layer < layers; ++layer) {
            const auto at = static_cast<std::size_t>(layer);
            (own[at] ? split.personal_ : split.shared_).add(all[at]);
        }
        if (split.shared_.size == 0) return fail(Code::nothing_shared, layers);
        if (behind > 0) split.shared_.add({shape.parameters(), behind});
        return split;
    }

    constexpr std::size_t dimension() const { return shared_.size + personal_.size; }
    constexpr std::size_t shared_size() const { return shared_.size; }
    constexpr std::size_t personal_size() const { return personal_.size; }
    constexpr bool has_personal() const { return personal_.size > 0; }

    constexpr std::span<const Range> shared() const { return shared_.view(); }
    constexpr std::span<const Range> personal() const { return personal_.view(); }

    template <class S>
    void take_shared(ConstVector<S> w, Vector<S> x) const {
        take(shared_, w, x);
    }
    template <class S>
    void take_personal(ConstVector<S> w, Vector<S> y) const {
        take(personal_, w, y);
    }
    template <class S>
    void put_shared(ConstVector<S> x, Vector<S> w) const {
        put(shared_, x, w);
    }
    template <class S>
    void put_personal(ConstVector<S> y, Vector<S> w) const {
        put(personal_, y, w);
    }

    /// Sets what is shared to zero: a direction that moves y alone.
    template <class S>
    void clear_shared(Vector<S> v) const {
        for (const Range& range : shared()) {
            for (S& value : v.subspan(range.first, range.count)) value = S(0);
        }
    }

    /// body(k) for every index k of y in w.
    template <class Body>
    void each_personal(Body&& body) const {
        for (const Range& range : personal()) {
            for (std::size_t k = range.first; k < range.first + range.count; ++k) body(k);
        }
    }

private:
    struct Part {
        std::array<Range, layer_limit + 1> ranges{};
        int used = 0;
        std::size_t size = 0;

        constexpr std::span<const Range> view() const { return {ranges.data(), static_cast<std::size_t>(used)}; }
        constexpr void add(const Range& range) {
            size += range.count;
            Range* last = used > 0 ? &ranges[static_cast<std::size_t>(used - 1)] : nullptr;
            if (last != nullptr && last->first + last->count == range.first) {
                last->count += range.count;
            } else {
                ranges[static_cast<std::size_t>(used++)] = range;
            }
        }
    };

    template <class S>
    static void take(const Part& part, ConstVector<S> w, Vector<S> out) {
        std::size_t at = 0;
        for (const Range& range : part.view()) {
            for (std::size_t k = 0; k < range.count; ++k) out[at + k] = w[range.first + k];
            at += range.count;
        }
    }
    template <class S>
    static void put(const Part& part, ConstVector<S> values, Vector<S> w) {
        std::size_t at = 0;
        for (const Range& range : part.view()) {
            for (std::size_t k = 0; k < range.count; ++k) w[range.first + k] = values[at + k];
            at += range.count;
        }
    }

    Part shared_, personal_;
};

}  // namespace dunlin
