// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "envs/classification.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace dunlin {

/// Square pictures of many classes: class k has the pictures rows[first[k]] ... rows[first[k + 1] - 1] of a table. All
/// memory is the caller's.
struct EpisodeView {
    const float* values = nullptr;  ///< features floats a picture
    int features = 0;
    int side = 0;                          ///< pixels; 0: they are no squares, and are not turned
    std::span<const std::uint32_t> rows;   ///< class by class
    std::span<const std::uint32_t> first;  ///< one more than there are classes

    std::uint32_t classes() const { return static_cast<std::uint32_t>(first.size()) - 1; }
};

struct EpisodeSettings {
    int ways = 5;       ///< classes of an episode
    int shots = 1;      ///< pictures of each to learn from
    int queries = 5;    ///< and to be judged on
    bool turns = true;  ///< each class of an episode is turned by a multiple of 90 degrees, as if it were another
};

/// Learning to tell new classes apart from a few pictures of each. An episode draws `ways` classes, names them 0, 1, ...
/// anew, and `shots` + `queries` pictures of each:
///
///     f(w, D) = -1/|D| sum over D of log softmax(net(w, x))_name
///
/// The batch in slot 0 draws an episode; D is what it learns from in all slots but the last, which has its queries, so
/// that MAML's inner steps learn from the one and its outer gradient is taken on the other. With one slot D is both.
///
/// Source: Vinyals et al. 2016; Finn et al. 2017, section 5.2.
template <class S, class Net = MlpDerivatives<S>>
class EpisodeClassification {
public:
    using Inner = Classification<S, Net>;
    using Shape = typename Net::Shape;

    EpisodeView from;  ///< at least `ways` classes of shots + queries pictures each

    static constexpr int batch(const EpisodeSettings& s, int slots) {
        return s.ways * (slots == 1 ? s.shots + s.queries : s.shots > s.queries ? s.shots : s.queries);
    }
    static constexpr std::size_t bytes(const Shape& shape, const EpisodeSettings& s, int slots) {
        const auto pictures = static_cast<std::size_t>(s.ways * (s.shots + s.queries));
        return Inner::bytes(shape, batch(s, slots), slots) +
               Arena::bytes<float>(pictures * static_cast<std::size_t>(Net::inputs(shape))) +
               Arena::bytes<std::uint8_t>(pictures) + Arena::bytes<std::uint32_t>(pictures) +
               Arena::bytes<S>(2 * shape.parameters());
    }
    /// Takes bytes(...) of `arena`. The shape's outputs are the ways. Errors: Classification's; out_of_range (ways,
    /// shots or queries below 1, or other outputs than ways).
    static Result<EpisodeClassification> make(const Shape& shape, const Kernels<S>& kernels,
                                              const EpisodeSettings& settings, int slots, Arena& arena);

    std::size_t dimension() const { return inner_.dimension(); }
    int slots() const { return inner_.slots(); }
    const Shape& shape() const { return inner_.shape(); }

    void draw(int slot, ConstVector<S> w, Stream& random);
    S value(int slot, ConstVector<S> w) { return inner_.value(slot, w); }
    void gradient(int slot, ConstVector<S> w, Vector<S> out) { inner_.gradient(slot, w, out); }
    void hessian_vector(int slot, ConstVector<S> w, ConstVector<S> v, Vector<S> out) {
        inner_.hessian_vector(slot, w, v, out);
    }

    /// Draws an episode, takes `steps` steps of size `rate` from w on what it learns from, and judges the queries.
    /// Overwrites slot 0.
    ClassificationScore judge(ConstVector<S> w, int steps, S rate, Stream& random);

private:
    EpisodeClassification(const Inner& inner, const EpisodeSettings& settings, std::span<float> values,
                          std::span<std::uint8_t> names, std::span<std::uint32_t> rows, std::span<S> scratch)
        : inner_(inner), settings_(settings), values_(values), names_(names), rows_(rows), scratch_(scratch) {}

    void draw_episode(Stream& random);
    void copy_picture(const float* picture, int turn, float* to) const;
    /// Of the episode's pictures, which lie shots first.
    LabelledRows part(bool learnt, bool asked) const;

    Inner inner_;
    EpisodeSettings settings_;
    std::span<float> values_;
    std::span<std::uint8_t> names_;
    std::span<std::uint32_t> rows_;  ///< 0, 1, 2, ...
    std::span<S> scratch_;
};

extern template class EpisodeClassification<float>;
extern template class EpisodeClassification<float, NetworkDerivatives<float>>;
extern template class EpisodeClassification<double, NetworkDerivatives<double>>;

}  // namespace dunlin
