// SPDX-License-Identifier: Apache-2.0
#include "apps/report/html_report.hpp"
#include "apps/report/navigation_picture.hpp"
#include "apps/report/svg_plot.hpp"
#include "apps/report/table.hpp"
#include "xml_check.hpp"

#include <catch2/catch.hpp>

using namespace dunlin::report;
using dunlin::test::count;
using dunlin::test::xml_problem;

namespace {

NavigationPanel panel() {
    NavigationPanel out{.title = "Task <1>", .subtitle = "return 0.8 & more", .rows = 3, .columns = 4};
    out.walls.assign(12, false);
    out.walls[5] = out.walls[6] = true;
    out.goals = {{2, 3}};
    out.trajectories = {{{{0, 0}, {0, 1}, {0, 1}, {0, 2}}, true}, {{{2, 0}, {2, 1}}, false}};
    return out;
}

}  // namespace

TEST_CASE("a navigation picture shows each panel's goal, starts and failures") {
    const std::string svg = navigation_picture({"Before", {panel(), panel(), panel()}});
    CHECK(xml_problem(svg) == "");
    CHECK(count(svg, "Task &lt;1&gt;") == 3);
    CHECK(count(svg, "#F0C000") == 3 + 1);      // stars, with the legend's
    CHECK(count(svg, "<circle") == 2 * 3 + 1);  // starts
    CHECK(svg.find("end of a failed trajectory") != std::string::npos);
}

TEST_CASE("a picture without failures says nothing of them") {
    NavigationPanel all_reached = panel();
    all_reached.trajectories.pop_back();
    CHECK(navigation_picture({"After", {all_reached}}).find("failed") == std::string::npos);
}

TEST_CASE("equal trajectories are drawn apart") {
    NavigationPanel twice = panel();
    twice.trajectories = {{{{0, 0}, {0, 1}}, true}, {{{0, 0}, {0, 1}}, true}};
    const std::string svg = navigation_picture({"", {twice}});
    const std::size_t first = svg.find("<polyline points=\""), second = svg.find("<polyline points=\"", first + 1);
    CHECK(svg.substr(first, svg.find("\" ", first) - first) !=
          svg.substr(second, svg.find("\" ", second) - second));
}

TEST_CASE("a navigation picture survives empty and foreign input") {
    CHECK(xml_problem(navigation_picture({})) == "");
    NavigationPanel odd;
    odd.trajectories = {{{}, false}, {{{5, 5}}, true}};
    odd.goals = {{-1, 0}};
    CHECK(xml_problem(navigation_picture({"odd", {odd, panel()}})) == "");
    NavigationPanel outside = panel();
    outside.walls.resize(3);
    outside.trajectories = {{{{-4, 0}, {9, 9}, {1, 0}}, false}};
    CHECK(xml_problem(navigation_picture({"", {outside}})) == "");
}

TEST_CASE("a point picture draws each path in the colour of its kind") {
    PointPanel points{.title = "Goal", .goals = {{0.3, 0.4}}};
    points.paths = {{{{0, 0}, {0.1, 0.2}}, 0}, {{{0, 0}, {2.0, -3.0}}, 1}, {{}, 7}};
    const std::string svg = point_picture({"Points", {points}, {"before", "after"}});
    CHECK(xml_problem(svg) == "");
    CHECK(svg.find("before") != std::string::npos);
    CHECK(svg.find("nan") == std::string::npos);
    CHECK(xml_problem(point_picture({})) == "");
    CHECK(svg.find("failed") == std::string::npos);  // in the plane nothing does
    // Before and after training have one scale although one stays nearer.
    PointPanel near = points, far = points;
    near.paths = {{{{0, 0}, {0.2, 0.2}}, 0}};
    far.paths = {{{{0, 0}, {0.5, 0.45}}, 0}};
    const auto frame = [](const std::string& drawn) {
        return drawn.substr(drawn.find("stroke-dasharray") - 120, 120);
    };
    CHECK(frame(point_picture({"Points", {near}, {"after"}})) ==
          frame(point_picture({"Points", {far}, {"after"}})));
}

TEST_CASE("a long table is folded and stands behind the pictures, a short one is open") {
    HtmlReport report;
    Table table{{"client", "accuracy"}, {}, ""};
    for (int k = 0; k < 100; ++k) table.rows.push_back({std::to_string(k), "0.9"});
    report.sections = {{"Results", {}, {{line_chart({}), "curves"}}, {table}}};
    const std::string page = html_report(report);
    const std::size_t fold = page.find("<summary>By client (100 rows)</summary>");
    CHECK(fold != std::string::npos);
    CHECK(page.find("</svg>") < fold);
    report.sections[0].tables[0].rows.resize(10);
    CHECK(html_report(report).find("<details") == std::string::npos);
}

TEST_CASE("what reached its goal is drawn until then, however long it went on") {
    NavigationPanel dense = panel();
    dense.walls.clear();
    dense.goals = {{0, 1}};
    dense.trajectories = {{{{0, 0}, {0, 1}, {1, 1}, {0, 1}, {1, 1}, {0, 1}}, true}};
    NavigationPanel once = dense;
    once.trajectories = {{{{0, 0}, {0, 1}}, true}};
    CHECK(navigation_picture({"", {dense}}) == navigation_picture({"", {once}}));
}

TEST_CASE("a report stands alone, escapes what it is given, and folds the settings") {
    HtmlReport report;
    report.title = "MEMRL <script>alert(1)</script>";
    report.key_numbers = {{"0.97", "of the optimum"}, {"0.4", "missed", true}};
    report.warnings = {"one & only"};
    report.sections = {
        {"Results", {"a < b"}, {{navigation_picture({"", {panel()}}), "a caption"}}, {{{"x"}, {{"<1>"}}, "c"}}},
        {"Folded", {}, {}, {}, true}};
    report.settings = "a = \"<b>\"";
    const std::string page = html_report(report);
    CHECK(page.find("<script") == std::string::npos);
    CHECK(page.find("src=") == std::string::npos);
    CHECK(page.find("href=") == std::string::npos);
    CHECK(page.find("@import") == std::string::npos);
    CHECK(page.find("<pre>a = &quot;&lt;b&gt;&quot;</pre>") != std::string::npos);
    CHECK(count(page, "<details>") == 2);
    const std::size_t body = page.find("<body>");
    CHECK(xml_problem(page.substr(body, page.find("</html>") - body)) == "");
}

TEST_CASE("a text table aligns numbers to the right by characters, not bytes") {
    const Table table{{"method", "return"}, {{"memrl", "0.97"}, {"fomaml", "−12"}, {"x", "–"}}};
    CHECK(text_table(table) ==
          "method  return\n"
          "------  ------\n"
          "memrl     0.97\n"
          "fomaml     −12\n"
          "x            –\n");
    CHECK(is_numeric_column(table, 1));
    CHECK_FALSE(is_numeric_column(table, 0));
    CHECK_FALSE(is_numeric_column(table, 2));
}

TEST_CASE("CSV fields are quoted where they must be") {
    CHECK(csv_table({{"a", "b,c"}, {{"say \"x\"", "two\nlines"}}}) ==
          "a,\"b,c\"\n\"say \"\"x\"\"\",\"two\nlines\"\n");
}
