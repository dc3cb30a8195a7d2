// SPDX-License-Identifier: Apache-2.0
#include "envs/episodes.hpp"

#include <array>

namespace dunlin {
namespace {

constexpr int most_chosen = 256;

/// `count` different numbers below `bound`, in random order (Floyd's sampling, then Fisher and Yates).
void choose(std::uint32_t count, std::uint32_t bound, Stream& random, std::span<std::uint32_t> out) {
    for (std::uint32_t k = 0; k < count; ++k) {
        const std::uint32_t last = bound - count + k;
        std::uint32_t pick = random.below(last + 1);
        for (std::uint32_t j = 0; j < k; ++j) {
            if (out[j] == pick) pick = last;
        }
        out[k] = pick;
    }
    for (std::uint32_t k = count; k > 1; --k) std::swap(out[k - 1], out[random.below(k)]);
}

}  // namespace

template <class S, class Net>
Result<EpisodeClassification<S, Net>> EpisodeClassification<S, Net>::make(const Shape& shape,
                                                                          const Kernels<S>& kernels,
                                                                          const EpisodeSettings& s, int slots,
                                                                          Arena& arena) {
    if (s.ways < 1 || s.ways != shape.outputs()) return fail(Code::out_of_range, s.ways, shape.outputs());
    if (s.shots < 1 || s.queries < 1 || s.shots + s.queries > most_chosen)
        return fail(Code::out_of_range, s.shots + s.queries, most_chosen);
    const auto inner = Inner::make(shape, kernels, batch(s, slots), slots, arena);
    if (!inner) return tl::unexpected(inner.error());
    const auto pictures = static_cast<std::size_t>(s.ways * (s.shots + s.queries));
    const auto values = arena.take<float>(pictures * static_cast<std::size_t>(Net::inputs(shape)));
    const auto names = arena.take<std::uint8_t>(pictures);
    const auto rows = arena.take<std::uint32_t>(pictures);
    for (std::size_t k = 0; k < pictures; ++k) {
        rows[k] = static_cast<std::uint32_t>(k);
        const std::size_t shots = static_cast<std::size_t>(s.ways * s.shots);
        const std::size_t each = static_cast<std::size_t>(k < shots ? s.shots : s.queries);
        names[k] = static_cast<std::uint8_t>((k < shots ? k : k - shots) / each);
    }
    return EpisodeClassification(*inner, s, values, names, rows, arena.take<S>(2 * shape.parameters()));
}

template <class S, class Net>
void EpisodeClassification<S, Net>::copy_picture(const float* picture, int turn, float* to) const {
    const int side = from.side, last = side - 1;
    if (turn == 0) return (void)std::copy_n(picture, from.features, to);
    for (int y = 0; y < side; ++y) {
        for (int x = 0; x < side; ++x) {
            const int from_y = turn == 1 ? x : turn == 2 ? last - y : last - x;
            const int from_x = turn == 1 ? last - y : turn == 2 ? last - x : y;
            to[y * side + x] = picture[from_y * side + from_x];
        }
    }
}

template <class S, class Net>
void EpisodeClassification<S, Net>::draw_episode(Stream& random) {
    std::array<std::uint32_t, most_chosen> classes{}, pictures{};
    const auto ways = static_cast<std::uint32_t>(settings_.ways);
    const auto shots = static_cast<std::uint32_t>(settings_.shots),
               queries = static_cast<std::uint32_t>(settings_.queries);
    choose(ways, from.classes(), random, classes);
    const auto width = static_cast<std::size_t>(from.features);
    for (std::uint32_t k = 0; k < ways; ++k) {
        const std::uint32_t begin = from.first[classes[k]], end = from.first[classes[k] + 1];
        const int turn = settings_.turns && from.side > 0 ? static_cast<int>(random.below(4)) : 0;
        choose(shots + queries, end - begin, random, pictures);
        for (std::uint32_t j = 0; j < shots + queries; ++j) {
            const std::size_t place = j < shots ? k * shots + j : ways * shots + k * queries + (j - shots);
            copy_picture(from.values + from.rows[begin + pictures[j]] * width, turn,
                         values_.data() + place * width);
        }
    }
}

template <class S, class Net>
LabelledRows EpisodeClassification<S, Net>::part(bool learnt, bool asked) const {
    const auto shots = static_cast<std::size_t>(settings_.ways * settings_.shots);
    const std::size_t begin = learnt ? 0 : shots, end = asked ? rows_.size() : shots;
    return {values_.data(), names_.data(), from.features, rows_.subspan(begin, end - begin)};
}

template <class S, class Net>
void EpisodeClassification<S, Net>::draw(int slot, ConstVector<S> w, Stream& random) {
    if (slot == 0) {
        random.next_epoch();
        draw_episode(random);
    }
    const bool only = slots() == 1, last = slot + 1 == slots();
    inner_.node = part(only || !last, only || last);
    inner_.draw(slot, w, random);
}

template <class S, class Net>
ClassificationScore EpisodeClassification<S, Net>::judge(ConstVector<S> w, int steps, S rate, Stream& random) {
    random.next_epoch();
    draw_episode(random);
    inner_.node = part(true, false);
    inner_.draw(0, w, random);
    const Vector<S> theta = scratch_.first(w.size()), g = scratch_.subspan(w.size());
    std::copy(w.begin(), w.end(), theta.begin());
    for (int k = 0; k < steps; ++k) {
        inner_.gradient(0, theta, g);
        for (std::size_t i = 0; i < theta.size(); ++i) theta[i] -= rate * g[i];
    }
    return inner_.evaluate(part(false, true), theta);
}

template class EpisodeClassification<float>;
template class EpisodeClassification<float, NetworkDerivatives<float>>;
template class EpisodeClassification<double, NetworkDerivatives<double>>;

}  // namespace dunlin
