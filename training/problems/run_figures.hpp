// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/navigation/task_record.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace dunlin {

/// What a problem adds to the report, the summary and the comparisons of its runs, as data: whoever shows them draws
/// the charts and sets the tables. All text is for people and may hold anything.

/// A number that is not finite, and monostate, stand for none.
using FigureValue = std::variant<std::monostate, bool, double, std::int64_t, std::uint64_t, std::string,
                                 std::vector<double>, std::vector<std::string>>;

struct FigureLine {
    std::string name;
    std::vector<double> x, y;
    std::optional<double> reference = {};     ///< a dashed line at this height
    std::vector<double> low = {}, high = {};  ///< edges of a band around it; empty: none
};

/// Lines; with categories bars, of which a line's y has one for each; with bins histograms of the lines' y.
struct FigureChart {
    std::string file;  ///< "returns.svg"
    std::string title = {}, x_title = {}, y_title = {}, caption = {};
    bool logarithmic = false;  ///< the y axis
    std::optional<double> low = {}, high = {};
    std::string reference_name = {};
    std::vector<FigureLine> lines = {};
    std::vector<std::string> categories = {};
    int bins = 0;
    bool whole = false;          ///< x are whole numbers
    std::string band_name = {};  ///< what bands show
};

/// Where agents went, a panel for each task.
struct FigureMap {
    std::string file, title, caption;
    bool grid = true;  ///< of cells; else the plane
    std::vector<TaskRecord> records = {};
};

struct FigureColumn {
    enum class Show : std::uint8_t { digits3, digits4, percent, plain };
    std::string key;    ///< in the summary; empty: not there
    std::string title;  ///< in tables; empty: not there
    Show show = Show::digits3;
};

/// A table for people that is a list of the summary too, of objects, or of numbers where it is `flat`.
struct FigureTable {
    std::string key;                         ///< of the list, "a.b" is b in a; empty: none
    std::vector<FigureColumn> columns = {};  ///< without any title people do not see it
    std::vector<std::vector<FigureValue>> rows = {};
    std::size_t most_shown = 1'000'000;  ///< rows that people see
    bool flat = false;                   ///< the list has the values of its only column with a key
    std::string caption = {};
};

struct FigureSection {
    std::string heading;
    std::vector<std::string> paragraphs = {};
    std::vector<FigureChart> charts = {};
    std::vector<FigureTable> tables = {};
    std::vector<FigureMap> maps = {};
};

/// A sentence without its full stop, and with a small letter.
struct FigureWarning {
    std::string text;
    bool told = false;  ///< on the terminal too
};

struct FigureNumber {
    std::string text, label;
    bool missed = false;  ///< a target that was not reached
};

/// What a comparison keeps.
struct FigureMeasure {
    enum class Show : std::uint8_t { mean, count, share, file };
    std::string key, title;
    double value = 0;
    Show show = Show::mean;
    bool drawn = false;
    std::string meaning = {};  ///< its plot's heading; empty: the title
};
struct FigureCurve {
    std::string key, title, x_title, y_title;
    std::vector<double> x, y;
};

struct RunFigures {
    std::string subject;  ///< what was done, for the page's second line
    std::vector<FigureNumber> numbers;
    std::vector<FigureSection> sections;  ///< the first one's first table is shown on the terminal
    std::vector<std::pair<std::string, FigureValue>> fields;  ///< of the summary; "a.b" is b in a
    std::vector<FigureMeasure> measures;                      ///< methods are judged by the first
    std::vector<FigureCurve> curves;
    std::string line;                  ///< under the table on the terminal
    std::optional<FigureTable> shown;  ///< the table on the terminal, where it is another one
    std::vector<FigureWarning> warnings;
    bool drawn = true;  ///< charts and maps are looked at: else those that take long to make are left out
};

}  // namespace dunlin
