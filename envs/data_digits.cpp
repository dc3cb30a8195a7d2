// SPDX-License-Identifier: Apache-2.0
#include "envs/data_pictures.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace dunlin {
namespace {

struct Point {
    float x, y;
};

/// Ten glyphs, each one line drawn without lifting the pen, in a square of side 1 whose corner is top left.
constexpr int most_points = 12;
struct Glyph {
    int count;
    std::array<Point, most_points> points;
};
constexpr std::array<Glyph, 10> glyphs{{
    {9,
     {{{.50f, .14f},
       {.34f, .22f},
       {.28f, .50f},
       {.34f, .78f},
       {.50f, .86f},
       {.66f, .78f},
       {.72f, .50f},
       {.66f, .22f},
       {.50f, .14f}}}},
    {3, {{{.36f, .30f}, {.54f, .14f}, {.54f, .86f}}}},
    {7, {{{.28f, .30f}, {.38f, .16f}, {.60f, .15f}, {.70f, .30f}, {.62f, .50f}, {.28f, .85f}, {.74f, .85f}}}},
    {9,
     {{{.29f, .20f},
       {.48f, .14f},
       {.67f, .22f},
       {.65f, .40f},
       {.46f, .48f},
       {.68f, .58f},
       {.70f, .76f},
       {.50f, .86f},
       {.28f, .80f}}}},
    {4, {{{.62f, .86f}, {.60f, .14f}, {.24f, .62f}, {.78f, .62f}}}},
    {8,
     {{{.70f, .15f},
       {.36f, .15f},
       {.32f, .46f},
       {.55f, .42f},
       {.70f, .56f},
       {.68f, .76f},
       {.50f, .86f},
       {.28f, .80f}}}},
    {9,
     {{{.64f, .15f},
       {.42f, .30f},
       {.30f, .56f},
       {.34f, .78f},
       {.52f, .86f},
       {.68f, .76f},
       {.68f, .60f},
       {.52f, .50f},
       {.32f, .62f}}}},
    {3, {{{.26f, .16f}, {.74f, .16f}, {.44f, .86f}}}},
    {9,
     {{{.50f, .48f},
       {.33f, .32f},
       {.50f, .14f},
       {.67f, .32f},
       {.50f, .48f},
       {.30f, .68f},
       {.50f, .86f},
       {.70f, .68f},
       {.50f, .48f}}}},
    {9,
     {{{.68f, .38f},
       {.50f, .50f},
       {.33f, .42f},
       {.33f, .24f},
       {.50f, .14f},
       {.66f, .22f},
       {.68f, .38f},
       {.66f, .64f},
       {.54f, .86f}}}},
}};

float distance(Point p, Point a, Point b) {
    const float dx = b.x - a.x, dy = b.y - a.y;
    const float along = ((p.x - a.x) * dx + (p.y - a.y) * dy) / std::max(dx * dx + dy * dy, 1e-9f);
    const float t = std::clamp(along, 0.0f, 1.0f);
    return std::hypot(p.x - a.x - t * dx, p.y - a.y - t * dy);
}

/// The glyph as one hand writes it once.
Glyph write(Glyph glyph, float wobble, Stream& random) {
    const float turn = 0.16f * wobble * random.normal(), shear = 0.16f * wobble * random.normal();
    const float wide = 1.0f + 0.12f * wobble * random.normal(), high = 1.0f + 0.10f * wobble * random.normal();
    const float right = 0.05f * wobble * random.normal(), down = 0.05f * wobble * random.normal();
    const float cosine = std::cos(turn), sine = std::sin(turn);
    for (int k = 0; k < glyph.count; ++k) {
        Point& p = glyph.points[static_cast<std::size_t>(k)];
        const float x = (p.x - 0.5f + 0.03f * wobble * random.normal()) * wide;
        const float y = (p.y - 0.5f + 0.03f * wobble * random.normal()) * high;
        const float leaning = x + shear * y;
        p = {0.5f + right + cosine * leaning - sine * y, 0.5f + down + sine * leaning + cosine * y};
    }
    return glyph;
}

/// Adds the pixels of one picture.
void draw(const Glyph& of, const DigitSettings& s, Stream& random, std::vector<float>& values) {
    const float pixel = 1.0f / static_cast<float>(s.side);
    const Glyph glyph = write(of, s.wobble, random);
    const float pen = std::max(0.02f, 0.05f + 0.015f * s.wobble * random.normal());
    for (int k = 0; k < s.side * s.side; ++k) {
        const Point p{(static_cast<float>(k % s.side) + 0.5f) * pixel,
                      (static_cast<float>(k / s.side) + 0.5f) * pixel};
        float nearest = 2.0f;
        for (std::size_t j = 1; j < static_cast<std::size_t>(glyph.count); ++j)
            nearest = std::min(nearest, distance(p, glyph.points[j - 1], glyph.points[j]));
        const float ink = std::clamp(1.0f - (nearest - pen) / pixel, 0.0f, 1.0f);
        values.push_back(ink + s.noise * random.normal());
    }
}

/// Gives the rows to users, and each user's pixels their own gains and offsets.
void shift_domains(DataTable& table, int domains, float shift, std::uint64_t seed) {
    const auto width = static_cast<std::size_t>(table.features);
    std::vector<float> gains, offsets;
    for (int domain = 0; domain < domains; ++domain) {
        Stream random(seed, static_cast<std::uint32_t>(domain), Purpose::tasks);
        for (std::size_t k = 0; k < width; ++k) {
            gains.push_back(std::exp(shift * random.normal()));
            offsets.push_back(shift * random.normal());
        }
        table.user_names.push_back(std::to_string(domain));
    }
    for (std::size_t row = 0; row < table.rows(); ++row) {
        const std::size_t domain = row / 10 % static_cast<std::size_t>(domains);
        table.users.push_back(static_cast<std::int32_t>(domain));
        for (std::size_t k = 0; k < width; ++k) {
            float& value = table.values[row * width + k];
            value = gains[domain * width + k] * value + offsets[domain * width + k];
        }
    }
}

}  // namespace

Result<DataTable> draw_digits(const DigitSettings& s, std::uint64_t seed) {
    if (s.rows < 1 || s.rows > 10'000'000) return fail(Code::bad_setting, 0);
    if (s.side < 4 || s.side > 64) return fail(Code::bad_setting, 1);
    if (!(s.wobble >= 0.0f && s.wobble <= 10.0f)) return fail(Code::bad_setting, 2);
    if (!(s.noise >= 0.0f && s.noise <= 10.0f)) return fail(Code::bad_setting, 3);

    if (s.domains < 0 || s.domains > s.rows / 10) return fail(Code::bad_setting, 4);
    if (!(s.domain_shift >= 0.0f && s.domain_shift <= 10.0f)) return fail(Code::bad_setting, 5);

    DataTable table;
    table.features = s.side * s.side;
    table.classes = 10;
    table.image_height = table.image_width = s.side;
    table.values.reserve(static_cast<std::size_t>(s.rows) * static_cast<std::size_t>(table.features));
    constexpr std::uint32_t everyone = (1u << 24) - 1;  // the stream that belongs to no node
    const Stream all(seed, everyone, Purpose::data);
    for (int row = 0; row < s.rows; ++row) {
        Stream random = all.lane(static_cast<std::uint32_t>(row));
        const int digit = row % 10;
        table.labels.push_back(static_cast<std::uint8_t>(digit));
        draw(glyphs[static_cast<std::size_t>(digit)], s, random, table.values);
    }
    if (s.domains > 0) shift_domains(table, s.domains, s.domain_shift, seed);
    return table;
}

PictureSet draw_characters(int characters, int drawings, int side, std::uint64_t seed) {
    const DigitSettings s{.side = side, .wobble = 0.6f, .noise = 0.0f};
    PictureSet set;
    DataTable& table = set.pictures;
    table.features = side * side;
    table.image_height = table.image_width = side;
    for (int k = 0; k < characters; ++k) {
        Stream random(seed, static_cast<std::uint32_t>(k), Purpose::data);
        Glyph glyph{.count = 4 + static_cast<int>(random.below(4)), .points = {}};
        for (int j = 0; j < glyph.count; ++j)
            glyph.points[static_cast<std::size_t>(j)] = {0.15f + 0.7f * random.uniform(),
                                                         0.15f + 0.7f * random.uniform()};
        for (int drawing = 0; drawing < drawings; ++drawing) {
            Stream hand = random.lane(static_cast<std::uint32_t>(drawing));
            draw(glyph, s, hand, table.values);
            set.labels.push_back(k);
            table.uses.push_back(k % 4 == 3 ? RowUse::test : RowUse::train);
        }
        set.label_names.push_back(std::to_string(k + 1));
    }
    table.labels.resize(set.labels.size());
    return set;
}

}  // namespace dunlin
