// SPDX-License-Identifier: Apache-2.0
#include "apps/report/axis.hpp"
#include "apps/report/svg.hpp"
#include "apps/report/svg_plot.hpp"
#include "xml_check.hpp"

#include <cmath>
#include <limits>
#include <random>

#include <catch2/catch.hpp>

using namespace dunlin::report;
using dunlin::test::count;
using dunlin::test::xml_problem;

namespace {

constexpr double missing = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();

LineChart chart_of(std::vector<double> x, std::vector<double> y) {
    LineChart chart;
    chart.title = "a & b";
    chart.series.push_back({"<series>", std::move(x), std::move(y)});
    return chart;
}

/// Every position of the first polyline.
std::vector<Position> first_line(const std::string& svg) {
    std::vector<Position> out;
    const std::size_t begin = svg.find("<polyline points=\"") + 18;
    const std::string points = svg.substr(begin, svg.find('"', begin) - begin);
    const char* at = points.c_str();
    while (*at != '\0') {
        char* end = nullptr;
        const double x = std::strtod(at, &end);
        const double y = std::strtod(end + 1, &end);
        out.push_back({x, y});
        at = *end == ' ' ? end + 1 : end;
    }
    return out;
}

}  // namespace

TEST_CASE("few numbers far out do not flatten the rest, and are named") {
    const auto window = [](std::vector<std::vector<double>> groups) { return focus(groups); };
    CHECK_FALSE(window({{0, 1}, {0.5, 2}, {1, 1.5}}).cut);
    CHECK_FALSE(window({{0.94, 0.99}, {0.95, 0.99}, {0.2, 0.3}}).cut);  // a method that failed is seen to
    CHECK_FALSE(window({{0, 1}, {0, 1000}}).cut);                       // of two nobody knows which is far out
    const Focus methods = window({{-2, -3}, {-2.5, -4}, {-6000, -5900}, {-9, -12}});
    CHECK(methods.cut);
    CHECK(methods.low > -30.0);
    CHECK(methods.high == -2.0);
    std::vector<double> learning(100, -10.0);
    for (std::size_t k = 0; k < learning.size(); ++k) learning[k] -= 0.01 * static_cast<double>(k);
    learning[0] = -6000;
    CHECK(window({learning}).low > -12.0);
    CHECK_FALSE(window({std::vector<double>(50, 3.0)}).cut);
    CHECK(window({{missing}, {}}).low > window({{missing}, {}}).high);

    LineChart chart;
    chart.title = "returns";
    chart.series.push_back({"memrl", {0, 1, 2}, {-2, -3, -2.5}});
    chart.series.push_back({"maml", {0, 1, 2}, {-2, -4, -3}});
    chart.series.push_back({"scratch", {0, 1, 2}, {-6000, -5900, -5950}});
    CHECK(line_chart(chart).find("beyond the axis: scratch down to −6000") != std::string::npos);
    BarChart bars;
    bars.title = "returns";
    bars.categories = {"memrl", "maml", "reptile", "scratch"};
    bars.series = {{"", {-2, -3, -2.5, -6000}}};
    const std::string drawn = bar_chart(bars);
    CHECK(drawn.find("beyond the axis: scratch down to −6000") != std::string::npos);
    CHECK(drawn.find(">−6000<") != std::string::npos);  // its value stands at its end
}

TEST_CASE("the value of a bar stands beyond its end, inside the plot") {
    BarChart chart;
    chart.title = "up and down";
    chart.categories = {"a", "b"};
    chart.series = {{"", {-5, 3}, {-6, 2}, {-4, 4}}};
    const std::string svg = bar_chart(chart);
    const auto height = [&](const char* text) {
        const std::size_t end = svg.find(std::string(">") + text + "</text>");
        REQUIRE(end != std::string::npos);
        const std::size_t y = svg.rfind(" y=\"", end);
        return std::stod(svg.substr(y + 4));
    };
    CHECK(height("3.00") > 36.0);  // below the title
    CHECK(height("−5.00") > height("3.00") + 150.0);
    CHECK(height("−5.00") < 340.0);
}

TEST_CASE("nice ticks are round, equidistant, few, and cover the range") {
    std::mt19937 random(1);
    std::uniform_real_distribution<double> exponent(-30.0, 30.0), unit(-1.0, 1.0);
    for (int trial = 0; trial < 2000; ++trial) {
        const double size = std::pow(10.0, exponent(random));
        const double low = size * unit(random), high = low + size * (0.001 + std::abs(unit(random)));
        const std::vector<double> ticks = nice_ticks(low, high, 6);
        REQUIRE(ticks.size() >= 2);
        REQUIRE(ticks.size() <= 12);
        const double step = ticks[1] - ticks[0], slack = 1e-6 * step;
        CHECK(ticks.front() <= low + slack);
        CHECK(ticks.back() >= high - slack);
        const double digit = step / std::pow(10.0, std::floor(std::log10(step) + 1e-9));
        CHECK(std::min({std::abs(digit - 1), std::abs(digit - 2), std::abs(digit - 5), std::abs(digit - 10)}) <
              1e-6);
        for (std::size_t k = 1; k < ticks.size(); ++k) CHECK(std::abs(ticks[k] - ticks[k - 1] - step) < slack);
    }
    CHECK(nice_ticks(0.0, 1.0, 5) == std::vector<double>{0.0, 0.2, 0.4, 0.6, 0.8, 1.0});
}

TEST_CASE("ticks on a logarithmic axis lie inside it and are at least two") {
    for (const auto& [low, high] :
         {std::pair{1e-9, 1e9}, std::pair{0.5, 300.0}, std::pair{3.0, 4.0}, std::pair{30.0, 1e5}}) {
        const std::vector<double> ticks = logarithmic_ticks(low, high, 7);
        CHECK(ticks.size() >= 2);
        CHECK(ticks.size() <= 12);
        for (const double tick : ticks) CHECK((tick >= 0.999999 * low && tick <= 1.000001 * high));
    }
}

TEST_CASE("tick labels are short, distinct and carry their unit") {
    CHECK(tick_labels({0.0, 0.5, 1.0}, false) == std::vector<std::string>{"0", "0.5", "1.0"});
    CHECK(tick_labels({-2.0, 0.0, 2.0}, false) == std::vector<std::string>{"−2", "0", "2"});
    CHECK(tick_labels({0.0, 5e5, 1e6}, false) == std::vector<std::string>{"0", "0.5M", "1.0M"});
    CHECK(tick_labels({0.0, 2e-6, 4e-6}, false) == std::vector<std::string>{"0", "2×10⁻⁶", "4×10⁻⁶"});
    CHECK(tick_labels({0.01, 0.1, 1.0, 10.0}, true) == std::vector<std::string>{"0.01", "0.1", "1", "10"});
    CHECK(tick_labels({1e-5, 1e-3}, true) == std::vector<std::string>{"10⁻⁵", "10⁻³"});
}

TEST_CASE("short numbers keep three digits and say what is not a number") {
    CHECK(short_number(0.0) == "0");
    CHECK(short_number(0.9731) == "0.973");
    CHECK(short_number(123.4) == "123");
    CHECK(short_number(1'234'567.0) == "1.23M");
    CHECK(short_number(-4.0e-7) == "−4.00×10⁻⁷");
    CHECK(short_number(missing) == "–");
}

TEST_CASE("what means something in XML is escaped") {
    CHECK(escape("<a href=\"x\">&'\x01</a>") == "&lt;a href=&quot;x&quot;&gt;&amp;&#39;&lt;/a&gt;");
    const std::string svg = line_chart(chart_of({1, 2}, {1, 2}));
    CHECK(xml_problem(svg) == "");
    CHECK(svg.find("a &amp; b") != std::string::npos);
    CHECK(svg.find("&lt;series&gt;") != std::string::npos);
}

TEST_CASE("a line chart is well-formed whatever the data") {
    const std::vector<std::pair<std::vector<double>, std::vector<double>>> data{
        {{}, {}},
        {{3}, {5}},
        {{1, 2, 3}, {7, 7, 7}},
        {{0, 0, 0}, {0, 0, 0}},
        {{1, 2, 3}, {missing, missing, missing}},
        {{1, 2, 3}, {-infinity, infinity, 1}},
        {{1, 2, 3}, {-1e308, 0, 1e308}},
        {{1e-308, 2e-308}, {1e-320, 4e-320}},
        {{1e15, 1e15 + 1}, {1.0, 1.0 + 1e-15}},
        {{3, 1, 2}, {1, 2}},
    };
    for (const auto& [x, y] : data) {
        for (const bool logarithmic : {false, true}) {
            for (const bool joined : {false, true}) {
                LineChart chart = chart_of(x, y);
                chart.x.logarithmic = chart.y.logarithmic = logarithmic;
                chart.series[0].joined = joined;
                chart.series[0].low = chart.series[0].high = y;
                chart.series[0].reference = 1.0;
                const std::string svg = line_chart(chart);
                CHECK(xml_problem(svg) == "");
                CHECK(svg.find("nan") == std::string::npos);
                CHECK(svg.find("inf") == std::string::npos);
            }
        }
    }
    CHECK(line_chart(LineChart{}).find("no data") != std::string::npos);
}

TEST_CASE("a NaN breaks the line, and what lies between two has a marker") {
    const std::size_t whole = count(line_chart(chart_of({1, 2, 3, 4, 5}, {1, 2, 3, 4, 5})), "<polyline");
    CHECK(count(line_chart(chart_of({1, 2, 3, 4, 5}, {1, 2, missing, 4, 5})), "<polyline") == whole + 1);
    const std::string lonely = line_chart(chart_of({1, 2, 3}, {missing, 2, missing}));
    CHECK(count(lonely, "<circle") == 2);  // the point, and the legend's sample
}

TEST_CASE("thousands of points are thinned, and their extremes stay") {
    std::vector<double> x, y;
    for (int k = 0; k < 100'000; ++k) {
        x.push_back(k);
        y.push_back(k == 54'321 ? 50.0 : std::sin(0.3 * k));
    }
    LineChart chart = chart_of(x, y);
    chart.series[0].name.clear();
    chart.y.high = 50.0;
    const std::vector<Position> line = first_line(line_chart(chart));
    CHECK(line.size() < 4 * 700);
    CHECK(line.size() > 700);
    double top = 1e9;
    for (const Position& position : line) top = std::min(top, position.y);
    double start = line.front().x, end = line.back().x;
    CHECK(end - start > 500.0);
    CHECK(top < 60.0);  // the single spike reaches the upper edge of the plot
}

TEST_CASE("a larger value stands higher") {
    LineChart chart = chart_of({0, 1, 2}, {1, 3, 2});
    chart.series[0].name.clear();
    const std::vector<Position> line = first_line(line_chart(chart));
    REQUIRE(line.size() == 3);
    CHECK(line[0].x < line[1].x);
    CHECK(line[1].y < line[2].y);
    CHECK(line[2].y < line[0].y);
}

TEST_CASE("reference lines carry the marker of their series when there are several") {
    LineChart chart = chart_of({0, 1}, {0, 1});
    chart.series[0].reference = 1.0;
    chart.reference_name = "optimum";
    CHECK(line_chart(chart).find("optimum") != std::string::npos);
    chart.series.push_back({"other", {0, 1}, {1, 0}});
    const std::size_t without = count(line_chart(chart), series_style(1).colour);
    chart.series[1].reference = 0.5;
    CHECK(count(line_chart(chart), series_style(1).colour) == without + 2);  // the dashed line and its marker
}

TEST_CASE("a bar chart is well-formed whatever the data, and a missing value has no bar") {
    BarChart chart;
    CHECK(xml_problem(bar_chart(chart)) == "");
    chart.categories = {"memrl", "a method whose name is longer than its slot is wide", "<none>"};
    chart.error_name = "range";
    chart.reference = 1.0;
    chart.series = {
        {"first", {1.0, 0.5, 0.25}, {0.9, 0.4, missing}, {1.1, 0.6, missing}, {{0.9, 1.1}, {}, {missing}}},
        {"second", {-1.0, missing}}};
    for (const bool logarithmic : {false, true}) {
        chart.y.logarithmic = logarithmic;
        const std::string svg = bar_chart(chart);
        CHECK(xml_problem(svg) == "");
        CHECK(svg.find("nan") == std::string::npos);
        CHECK(svg.find("0.500") != std::string::npos);
    }
    chart.y.logarithmic = false;
    const std::size_t before = count(bar_chart(chart), "<rect");
    chart.series[1].values = {missing, missing};
    CHECK(count(bar_chart(chart), "<rect") == before - 3);  // white ground, colour, outline
}

TEST_CASE("a histogram gives each whole number its own bin and counts weights") {
    Histogram chart;
    chart.title = "staleness";
    CHECK(histogram(chart).find("no data") != std::string::npos);
    chart.samples = {{"a", {0, 1, 1, 2, missing}}};
    const std::string counted = histogram(chart);
    chart.samples = {{"a", {0, 1, 2}, {10, 20, 10}}};
    CHECK(histogram(chart) == counted);
    CHECK(xml_problem(counted) == "");
    chart.samples[0].weights = {1, 1, 1};
    CHECK(histogram(chart) != counted);
    for (const double value : {5.0, 0.25, 1e300, -1e300}) {
        chart.samples = {{"same", {value, value}}, {"other", {-value, 1e308, -1e308}}};
        chart.logarithmic = true;
        const std::string svg = histogram(chart);
        CHECK(xml_problem(svg) == "");
        CHECK(svg.find("nan") == std::string::npos);
        CHECK(svg.find("inf") == std::string::npos);
        chart.samples.pop_back();
        CHECK(xml_problem(histogram(chart)) == "");
    }
}
