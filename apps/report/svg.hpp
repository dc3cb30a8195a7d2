// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace dunlin::report {

/// `text` with the five characters that mean something in XML and HTML replaced, and control characters, which XML
/// forbids, dropped.
std::string escape(std::string_view text);

/// An estimate, on the safe side, of how wide a line of text is in pixels in the usual sans-serif fonts.
double text_width(std::string_view text, double size_px);

/// `text` broken at spaces into lines of at most `width_px`; a longer word stays whole.
std::vector<std::string> wrap(std::string_view text, double width_px, double size_px);

/// How series number `index` looks: a colour that colour-blind readers tell apart (Okabe and Ito 2008), and for
/// grey print a dash pattern and a marker of its own. Repeats after eight.
struct SeriesStyle {
    std::string_view colour;
    std::string_view dash;  ///< stroke-dasharray; empty for a solid line
    int marker = 0;         ///< for Svg::marker
    int hatch = 0;          ///< for Svg::hatched_box
};
SeriesStyle series_style(std::size_t index);

/// How a shape is drawn. An empty colour draws nothing.
struct Paint {
    std::string_view stroke{};
    double width_px = 1.0;
    std::string_view fill{};
    double opacity = 1.0;
    std::string_view dash{};
};

enum class Anchor { start, middle, end };

struct TextStyle {
    double size_px = 13.0;
    Anchor anchor = Anchor::start;
    bool bold = false;
    double rotation_degrees = 0.0;
    std::string_view colour = "#222222";
    bool halo = false;  ///< a white rim, for text that may lie on lines
};

struct Position {
    double x = 0.0;
    double y = 0.0;
};

/// Writes one SVG picture on white. It uses no ids, so that many pictures can stand in one HTML page.
class Svg {
public:
    void line(Position from, Position to, const Paint& paint);
    void box(double x, double y, double width, double height, const Paint& paint);
    void circle(Position centre, double radius, const Paint& paint);
    /// An open line; fewer than two positions draw nothing.
    void polyline(const std::vector<Position>& positions, const Paint& paint);
    void polygon(const std::vector<Position>& corners, const Paint& paint);
    /// Path data in SVG's own language, for what has very many parts.
    void path(std::string_view data, const Paint& paint);
    void text(Position baseline, std::string_view content, const TextStyle& style);
    /// The marker number `kind` of a series, with a white rim that sets it off from its own line.
    void marker(int kind, Position centre, double radius, std::string_view colour, double opacity = 1.0);
    /// A bar in `colour`, lighter inside, with hatching number `kind`.
    void hatched_box(int kind, double x, double y, double width, double height, std::string_view colour);
    /// What is drawn until `end_clip` is cut off outside the box. Coordinates stay those of the picture.
    void begin_clip(double x, double y, double width, double height);
    void end_clip();
    /// The whole picture. `title` is read aloud by screen readers.
    std::string finish(double width, double height, std::string_view title) const;

private:
    std::string body_;
};

/// A regular polygon, or with `inner_share` < 1 a star, with one corner up.
std::vector<Position> regular_polygon(Position centre, double radius, int corners, double inner_share = 1.0);

/// A coordinate in pixels with at most one decimal, no trailing zero.
std::string pixels(double value);

}  // namespace dunlin::report
