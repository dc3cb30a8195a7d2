// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "apps/report/table.hpp"

#include <string>
#include <vector>

namespace dunlin::report {

/// One of the few numbers that a reader looks for first.
struct KeyNumber {
    std::string value;    ///< "0.97"
    std::string label;    ///< "of the optimum, worst task"
    bool missed = false;  ///< marks a target that was not reached
};

struct Figure {
    std::string svg;  ///< as line_chart and its like return it; the only text that is not escaped
    std::string caption{};
};

struct Section {
    std::string heading;
    std::vector<std::string> paragraphs{};
    std::vector<Figure> figures{};
    std::vector<Table> tables{};
    bool folded = false;  ///< closed until clicked
};

struct HtmlReport {
    std::string title;
    std::string subtitle{};  ///< such as the method, the seed and the date
    std::vector<KeyNumber> key_numbers{};
    std::vector<std::string> warnings{};  ///< what to know before trusting the numbers
    std::vector<Section> sections{};
    std::string settings{};   ///< config.toml as it was resolved, shown folded
    std::string reproduce{};  ///< the command that gives this run again
};

/// A page that stands alone: it loads nothing, runs no script, and prints.
std::string html_report(const HtmlReport& report);

}  // namespace dunlin::report
