// SPDX-License-Identifier: Apache-2.0
#include "apps/report/svg.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include <fmt/format.h>

namespace dunlin::report {
namespace {

constexpr std::string_view font = "Helvetica Neue,Helvetica,Arial,DejaVu Sans,sans-serif";

std::string attributes(const Paint& paint) {
    std::string out = fmt::format(" fill=\"{}\"", paint.fill.empty() ? "none" : paint.fill);
    if (!paint.stroke.empty()) {
        out += fmt::format(" stroke=\"{}\" stroke-width=\"{}\"", paint.stroke, paint.width_px);
        if (!paint.dash.empty()) out += fmt::format(" stroke-dasharray=\"{}\"", paint.dash);
    }
    if (paint.opacity < 1.0) out += fmt::format(" opacity=\"{:.2f}\"", paint.opacity);
    return out;
}

std::string joined(const std::vector<Position>& positions) {
    std::string out;
    for (const Position& position : positions) {
        if (!out.empty()) out += ' ';
        out += pixels(position.x) + ',' + pixels(position.y);
    }
    return out;
}

bool starts_character(char byte) {
    return (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U;
}

double width_in_ems(char byte) {
    constexpr std::string_view narrow = "iljtfrI.,:;'|!()[]/ -";
    constexpr std::string_view wide = "mwMW%@";
    if (narrow.find(byte) != std::string_view::npos) return 0.40;
    if (wide.find(byte) != std::string_view::npos) return 0.97;
    if (byte >= 'A' && byte <= 'Z') return 0.72;
    return 0.63;
}

}  // namespace

std::string escape(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (const char c : text) {
        switch (c) {
            case '&':
                out += "&amp;";
                break;
            case '<':
                out += "&lt;";
                break;
            case '>':
                out += "&gt;";
                break;
            case '"':
                out += "&quot;";
                break;
            case '\'':
                out += "&#39;";
                break;
            default:
                if (static_cast<unsigned char>(c) >= 0x20U || c == '\n' || c == '\t') out += c;
        }
    }
    return out;
}

double text_width(std::string_view text, double size_px) {
    double ems = 0.0;
    for (const char c : text) {
        if (starts_character(c)) ems += width_in_ems(c);
    }
    return ems * size_px;
}

std::vector<std::string> wrap(std::string_view text, double width_px, double size_px) {
    std::vector<std::string> lines;
    std::size_t begin = 0;
    while (begin < text.size()) {
        const std::size_t space = std::min(text.find(' ', begin), text.size());
        const std::string word(text.substr(begin, space - begin));
        if (!lines.empty() && text_width(lines.back() + ' ' + word, size_px) <= width_px) {
            lines.back() += ' ' + word;
        } else if (!word.empty()) {
            lines.push_back(word);
        }
        begin = space + 1;
    }
    return lines;
}

SeriesStyle series_style(std::size_t index) {
    constexpr std::array<SeriesStyle, 8> styles{{
        {"#0072B2", "", 0, 0},
        {"#D55E00", "9 3", 1, 1},
        {"#009E73", "3 2.5", 2, 2},
        {"#CC79A7", "10 3 2 3", 3, 3},
        {"#E69F00", "14 4", 4, 4},
        {"#56B4E9", "6 2 2 2 2 2", 5, 5},
        {"#000000", "1.5 3", 6, 6},
        {"#7F6A00", "5 5", 7, 7},
    }};
    return styles[index % styles.size()];
}

std::string pixels(double value) {
    const double rounded = std::round(value * 10.0) / 10.0;
    return fmt::format("{:.6g}", rounded == 0.0 ? 0.0 : rounded);  // no "-0"
}

std::vector<Position> regular_polygon(Position centre, double radius, int corners, double inner_share) {
    const bool star = inner_share < 1.0;
    const int count = star ? 2 * corners : corners;
    std::vector<Position> out;
    for (int k = 0; k < count; ++k) {
        const double angle = 2.0 * std::numbers::pi * k / count - std::numbers::pi / 2.0;
        const double reach = star && k % 2 == 1 ? radius * inner_share : radius;
        out.push_back({centre.x + reach * std::cos(angle), centre.y + reach * std::sin(angle)});
    }
    return out;
}

void Svg::line(Position from, Position to, const Paint& paint) {
    body_ += fmt::format("<line x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"{}/>\n", pixels(from.x), pixels(from.y),
                         pixels(to.x), pixels(to.y), attributes(paint));
}

void Svg::box(double x, double y, double width, double height, const Paint& paint) {
    body_ += fmt::format("<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"{}/>\n", pixels(x), pixels(y),
                         pixels(width), pixels(height), attributes(paint));
}

void Svg::circle(Position centre, double radius, const Paint& paint) {
    body_ += fmt::format("<circle cx=\"{}\" cy=\"{}\" r=\"{}\"{}/>\n", pixels(centre.x), pixels(centre.y),
                         pixels(radius), attributes(paint));
}

void Svg::polyline(const std::vector<Position>& positions, const Paint& paint) {
    if (positions.size() < 2) return;
    body_ += fmt::format("<polyline points=\"{}\" stroke-linejoin=\"round\" stroke-linecap=\"{}\"{}/>\n",
                         joined(positions), paint.dash.empty() ? "round" : "butt", attributes(paint));
}

void Svg::polygon(const std::vector<Position>& corners, const Paint& paint) {
    if (corners.size() < 3) return;
    body_ +=
        fmt::format("<polygon points=\"{}\" stroke-linejoin=\"round\"{}/>\n", joined(corners), attributes(paint));
}

void Svg::path(std::string_view data, const Paint& paint) {
    body_ += fmt::format("<path d=\"{}\"{}/>\n", data, attributes(paint));
}

void Svg::text(Position baseline, std::string_view content, const TextStyle& style) {
    constexpr std::array<std::string_view, 3> anchors{"start", "middle", "end"};
    body_ += fmt::format("<text x=\"{}\" y=\"{}\" font-size=\"{}\" fill=\"{}\"", pixels(baseline.x),
                         pixels(baseline.y), pixels(style.size_px), style.colour);
    if (style.anchor != Anchor::start) {
        body_ += fmt::format(" text-anchor=\"{}\"", anchors[static_cast<std::size_t>(style.anchor)]);
    }
    if (style.bold) body_ += " font-weight=\"bold\"";
    if (style.halo)
        body_ += " paint-order=\"stroke\" stroke=\"#ffffff\" stroke-width=\"3.5\" stroke-linejoin=\"round\"";
    if (style.rotation_degrees != 0.0) {
        body_ += fmt::format(" transform=\"rotate({} {} {})\"", pixels(style.rotation_degrees), pixels(baseline.x),
                             pixels(baseline.y));
    }
    body_ += '>' + escape(content) + "</text>\n";
}

void Svg::marker(int kind, Position centre, double radius, std::string_view colour, double opacity) {
    const Paint paint{"#ffffff", 0.9, colour, opacity, {}};
    const auto [x, y] = centre;
    const double r = radius;
    switch (kind % 8) {
        case 0:
            circle(centre, r, paint);
            break;
        case 1:
            box(x - 0.88 * r, y - 0.88 * r, 1.76 * r, 1.76 * r, paint);
            break;
        case 2:
            polygon(regular_polygon({x, y + 0.2 * r}, 1.2 * r, 3), paint);
            break;
        case 3:
            polygon({{x, y - 1.3 * r}, {x + 1.1 * r, y}, {x, y + 1.3 * r}, {x - 1.1 * r, y}}, paint);
            break;
        case 4:
            polygon({{x - 1.1 * r, y - 0.8 * r}, {x + 1.1 * r, y - 0.8 * r}, {x, y + 1.1 * r}}, paint);
            break;
        case 5:
            polygon(regular_polygon(centre, 1.4 * r, 5, 0.42), paint);
            break;
        case 6:
            for (const Paint& stroke :
                 {Paint{"#ffffff", 4.0, {}, opacity, {}}, Paint{colour, 2.2, {}, opacity, {}}}) {
                line({x - r, y - r}, {x + r, y + r}, stroke);
                line({x - r, y + r}, {x + r, y - r}, stroke);
            }
            break;
        default:
            for (const Paint& stroke :
                 {Paint{"#ffffff", 4.0, {}, opacity, {}}, Paint{colour, 2.2, {}, opacity, {}}}) {
                line({x - 1.2 * r, y}, {x + 1.2 * r, y}, stroke);
                line({x, y - 1.2 * r}, {x, y + 1.2 * r}, stroke);
            }
    }
}

void Svg::hatched_box(int kind, double x, double y, double width, double height, std::string_view colour) {
    box(x, y, width, height, {{}, 0.0, "#ffffff", 1.0, {}});
    box(x, y, width, height, {{}, 0.0, colour, kind == 0 ? 0.85 : 0.45, {}});
    constexpr double gap = 7.0;
    std::string lines;
    const auto add = [&](double x1, double y1, double x2, double y2) {
        lines += fmt::format("M{} {}L{} {}", pixels(x1), pixels(y1), pixels(x2), pixels(y2));
    };
    const auto slanted = [&](bool rising) {  // the part of the line u + v = c inside the box, u from the left
        for (double c = gap; c < width + height; c += gap) {
            const double u1 = std::max(0.0, c - height), u2 = std::min(width, c);
            const double v1 = c - u1, v2 = c - u2;
            if (rising) {
                add(x + u1, y + v1, x + u2, y + v2);
            } else {
                add(x + u1, y + height - v1, x + u2, y + height - v2);
            }
        }
    };
    const bool crossed = kind % 8 == 3, gridded = kind % 8 == 6;
    if (kind % 8 == 1 || crossed) slanted(true);
    if (kind % 8 == 2 || crossed) slanted(false);
    if (kind % 8 == 4 || gridded) {
        for (double v = gap; v < height; v += gap) add(x, y + height - v, x + width, y + height - v);
    }
    if (kind % 8 == 5 || gridded) {
        for (double u = gap; u < width; u += gap) add(x + u, y, x + u, y + height);
    }
    if (!lines.empty()) path(lines, {colour, 1.3, {}, 1.0, {}});
    box(x, y, width, height, {colour, 1.2, {}, 1.0, {}});
}

void Svg::begin_clip(double x, double y, double width, double height) {
    body_ += fmt::format("<svg x=\"{0}\" y=\"{1}\" width=\"{2}\" height=\"{3}\" viewBox=\"{0} {1} {2} {3}\">\n",
                         pixels(x), pixels(y), pixels(width), pixels(height));
}

void Svg::end_clip() {
    body_ += "</svg>\n";
}

std::string Svg::finish(double width, double height, std::string_view title) const {
    return fmt::format(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" "
        "role=\"img\" font-family=\"{2}\">\n<title>{3}</title>\n"
        "<rect width=\"{0}\" height=\"{1}\" fill=\"#ffffff\"/>\n{4}</svg>\n",
        pixels(width), pixels(height), font, escape(title), body_);
}

}  // namespace dunlin::report
