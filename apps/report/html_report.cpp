// SPDX-License-Identifier: Apache-2.0
#include "apps/report/html_report.hpp"

#include "apps/report/svg.hpp"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>

namespace dunlin::report {
namespace {

constexpr std::size_t longest_open_table = 24;  ///< rows; a longer one is closed until clicked

constexpr std::string_view style = R"css(
:root { color-scheme: light dark; --paper: #ffffff; --ink: #1f2328; --soft: #59636e; --line: #d5dade; --box: #f5f7f9;
  --note: #fff6dd; --note-line: #c99700; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --paper: #14171a; --ink: #e3e7eb; --soft: #9aa5b1; --line: #363d45;
  --box: #1d2227; --note: #2c2612; --bad: #ff8a80; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 64rem; padding: 1.5rem 1.25rem 4rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, "Segoe UI", Helvetica, Arial, sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: .5rem 0 .2rem; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .6rem; border-bottom: 1px solid var(--line); padding-bottom: .25rem; }
p { max-width: 46rem; margin: .6rem 0; }
.subtitle { color: var(--soft); margin: 0 0 1.2rem; }
.numbers { display: flex; flex-wrap: wrap; gap: .75rem; margin: 1.2rem 0; padding: 0; list-style: none; }
.numbers li { background: var(--box); border: 1px solid var(--line); border-radius: 8px; padding: .6rem 1rem;
  min-width: 9rem; }
.numbers b { display: block; font-size: 1.5rem; line-height: 1.3; font-variant-numeric: tabular-nums; }
.numbers span { color: var(--soft); font-size: .88rem; }
.missed b { color: var(--bad); }
.note { background: var(--note); border-left: 4px solid var(--note-line); border-radius: 4px; padding: .5rem 1rem;
  margin: 1.2rem 0; }
.note ul { margin: .3rem 0; padding-left: 1.2rem; }
figure { margin: 1rem 0 1.6rem; }
figure .wide { border: 1px solid var(--line); border-radius: 6px; width: fit-content; max-width: 100%; }
figure svg { display: block; max-width: 100%; min-width: 40rem; height: auto; }
figcaption, caption { color: var(--soft); font-size: .92rem; max-width: 46rem; text-align: left; }
figcaption { margin-top: .4rem; }
caption { caption-side: bottom; padding-top: .4rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: .8rem 0; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .9rem .3rem 0; text-align: left; border-bottom: 1px solid var(--line); }
th { font-weight: 600; border-bottom: 2px solid var(--line); }
td.number, th.number { text-align: right; }
td.number { white-space: nowrap; }
details { margin: 2rem 0 0; border-top: 1px solid var(--line); padding-top: .6rem; }
details.long { margin: .8rem 0; border: 0; padding: 0; }
summary { cursor: pointer; font-weight: 600; }
pre { background: var(--box); border: 1px solid var(--line); border-radius: 6px; padding: .8rem 1rem; overflow-x: auto;
  font: 13px/1.45 ui-monospace, "DejaVu Sans Mono", monospace; }
@media (prefers-color-scheme: dark) { @media screen {
  figure svg [fill="#ffffff"] { fill: var(--paper); } figure svg [stroke="#ffffff"] { stroke: var(--paper); }
  figure svg [fill="#222222"], figure svg [fill="#000000"] { fill: var(--ink); }
  figure svg [stroke="#222222"], figure svg [stroke="#000000"] { stroke: var(--ink); }
  figure svg [fill="#555555"], figure svg [fill="#777777"] { fill: var(--soft); }
  figure svg [stroke="#555555"], figure svg [stroke="#777777"] { stroke: var(--soft); }
  figure svg [stroke="#e4e4e4"], figure svg [stroke="#e8e8e8"], figure svg [stroke="#dcdcdc"] { stroke: var(--line); }
  figure svg [fill="#3a3a3a"] { fill: #7d8894; } figure svg [stroke="#3a3a3a"] { stroke: #7d8894; }
  figure svg [fill="#0072B2"] { fill: #3d9fe0; } figure svg [stroke="#0072B2"] { stroke: #3d9fe0; } } }
@media print { body { max-width: none; padding: 0; } .wide { overflow: visible; }
  figure svg { min-width: 0; width: auto; max-height: 7.5cm; } figure, tr, .numbers li { break-inside: avoid; }
  h2, h2 + p { break-after: avoid; } }
)css";

std::string table_html(const Table& table) {
    std::size_t columns = table.header.size();
    for (const auto& row : table.rows) columns = std::max(columns, row.size());
    std::vector<bool> numeric(columns);
    for (std::size_t column = 0; column < columns; ++column) numeric[column] = is_numeric_column(table, column);
    const auto row_html = [&](const std::vector<std::string>& cells, std::string_view tag) {
        std::string out = "<tr>";
        for (std::size_t column = 0; column < columns; ++column) {
            out += fmt::format("<{0}{1}>{2}</{0}>", tag, numeric[column] ? " class=\"number\"" : "",
                               escape(column < cells.size() ? cells[column] : ""));
        }
        return out + "</tr>\n";
    };
    std::string out = "<div class=\"wide\"><table>\n";
    if (!table.caption.empty()) out += fmt::format("<caption>{}</caption>\n", escape(table.caption));
    if (!table.header.empty()) out += "<thead>" + row_html(table.header, "th") + "</thead>\n";
    out += "<tbody>\n";
    for (const auto& row : table.rows) out += row_html(row, "td");
    return out + "</tbody></table></div>\n";
}

std::string section_html(const Section& section) {
    std::string out;
    out += section.folded ? fmt::format("<details><summary>{}</summary>\n", escape(section.heading))
                          : fmt::format("<section>\n<h2>{}</h2>\n", escape(section.heading));
    for (const std::string& paragraph : section.paragraphs) out += fmt::format("<p>{}</p>\n", escape(paragraph));
    for (const Figure& figure : section.figures) {
        out += fmt::format("<figure>\n<div class=\"wide\">{}</div>\n", figure.svg);
        if (!figure.caption.empty()) out += fmt::format("<figcaption>{}</figcaption>\n", escape(figure.caption));
        out += "</figure>\n";
    }
    for (const Table& table : section.tables) {
        if (section.folded || table.rows.size() <= longest_open_table) {
            out += table_html(table);
            continue;
        }
        out += fmt::format("<details class=\"long\"><summary>{} ({} rows)</summary>\n{}</details>\n",
                           escape(table.header.empty() ? "Table" : "By " + table.header.front()), table.rows.size(),
                           table_html(table));
    }
    return out + (section.folded ? "</details>\n" : "</section>\n");
}

}  // namespace

std::string html_report(const HtmlReport& report) {
    std::string out = fmt::format(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
        "<title>{0}</title>\n<style>{1}</style>\n</head>\n<body>\n<h1>{0}</h1>\n",
        escape(report.title), style);
    if (!report.subtitle.empty()) out += fmt::format("<p class=\"subtitle\">{}</p>\n", escape(report.subtitle));
    if (!report.key_numbers.empty()) {
        out += "<ul class=\"numbers\">\n";
        for (const KeyNumber& number : report.key_numbers) {
            out += fmt::format("<li{}><b>{}</b><span>{}</span></li>\n", number.missed ? " class=\"missed\"" : "",
                               escape(number.value), escape(number.label));
        }
        out += "</ul>\n";
    }
    if (!report.warnings.empty()) {
        out += "<div class=\"note\"><b>What to know</b><ul>\n";
        for (const std::string& warning : report.warnings) out += fmt::format("<li>{}</li>\n", escape(warning));
        out += "</ul></div>\n";
    }
    for (const Section& section : report.sections) out += section_html(section);
    if (!report.reproduce.empty()) {
        out +=
            fmt::format("<section>\n<h2>Run it again</h2>\n<pre>{}</pre>\n</section>\n", escape(report.reproduce));
    }
    if (!report.settings.empty()) {
        out += fmt::format("<details><summary>Settings</summary>\n<pre>{}</pre>\n</details>\n",
                           escape(report.settings));
    }
    return out + "</body>\n</html>\n";
}

}  // namespace dunlin::report
