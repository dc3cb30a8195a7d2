// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/navigation_metrics.hpp"

#include "apps/dunlin/run_directory.hpp"

#include <charconv>
#include <sstream>

#include <fmt/format.h>

namespace dunlin::app {
namespace {

constexpr const char* held_out_columns[] = {"held_out_return", "held_out_return_ratio", "held_out_success"};

}  // namespace

std::vector<std::string> metrics_header(std::size_t tasks, bool held_out) {
    std::vector<std::string> header{"iteration", "env_steps", "gradients", "seconds"};
    for (std::size_t task = 1; task <= tasks; ++task) {
        for (const char* column : {"return", "sampled_return", "optimal_return", "success"}) {
            header.push_back(fmt::format("task{}_{}", task, column));
        }
    }
    if (held_out) header.insert(header.end(), std::begin(held_out_columns), std::end(held_out_columns));
    return header;
}

std::vector<report::CsvValue> metrics_fields(const MetricsRow& row, bool held_out) {
    std::vector<report::CsvValue> fields{row.iteration, row.environment_steps, row.gradients, row.seconds};
    for (const TaskOutcome& task : row.tasks) {
        for (double value : {task.expected_return, task.sampled_return, task.optimal_return, task.success}) {
            fields.emplace_back(value);
        }
    }
    if (held_out) {
        for (double value : {row.held_out.expected_return, row.held_out.ratio, row.held_out.success})
            fields.emplace_back(value);
    }
    return fields;
}

bool has_held_out(const std::filesystem::path& path) {
    const Outcome<std::string> text = read_text(path);
    return text && text->substr(0, text->find('\n')).find(held_out_columns[0]) != std::string::npos;
}

Outcome<std::vector<MetricsRow>> read_metrics(const std::filesystem::path& path, std::size_t tasks,
                                              std::int64_t last_iteration) {
    Outcome<std::string> text = read_text(path);
    if (!text) return tl::unexpected(text.error());
    const bool held_out = has_held_out(path);
    std::istringstream lines(*text);
    std::string line;
    std::getline(lines, line);
    std::vector<MetricsRow> rows;
    for (int number = 2; std::getline(lines, line) && !lines.eof(); ++number) {
        std::vector<double> values;
        for (const char *at = line.data(), *end = at + line.size(); at < end; ++at) {
            const auto [next, error] = std::from_chars(at, end, values.emplace_back());
            if (error != std::errc())
                return refuse(Error{Code::bad_number, number, std::ssize(values)}, path.string());
            at = next;
        }
        const std::size_t of_tasks = 4 + 4 * tasks;
        if (values.size() != of_tasks + (held_out ? std::size(held_out_columns) : 0))
            return refuse(Error{Code::column_count, number, std::ssize(values)}, path.string());
        if (static_cast<std::int64_t>(values[0]) > last_iteration) break;
        MetricsRow row{static_cast<std::int64_t>(values[0]),
                       static_cast<std::int64_t>(values[1]),
                       static_cast<std::int64_t>(values[2]),
                       values[3],
                       {}};
        for (std::size_t k = 4; k < of_tasks; k += 4) {
            row.tasks.push_back({.expected_return = values[k],
                                 .optimal_return = values[k + 2],
                                 .success = values[k + 3],
                                 .sampled_return = values[k + 1]});
        }
        if (held_out) {
            row.held_out = {.expected_return = values[of_tasks],
                            .ratio = values[of_tasks + 1],
                            .success = values[of_tasks + 2]};
        }
        rows.push_back(std::move(row));
    }
    return rows;
}

}  // namespace dunlin::app
