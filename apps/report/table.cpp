// SPDX-License-Identifier: Apache-2.0
#include "apps/report/table.hpp"

#include <algorithm>

namespace dunlin::report {
namespace {

std::string_view cell_of(const std::vector<std::string>& row, std::size_t column) {
    return column < row.size() ? std::string_view(row[column]) : std::string_view();
}

std::size_t column_count(const Table& table) {
    std::size_t columns = table.header.size();
    for (const auto& row : table.rows) columns = std::max(columns, row.size());
    return columns;
}

/// Characters, not bytes.
std::size_t shown_width(std::string_view text) {
    return static_cast<std::size_t>(std::count_if(
        text.begin(), text.end(), [](char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U; }));
}

bool looks_numeric(std::string_view cell) {
    for (const std::string_view prefix : {"−", "-", "+"}) {
        if (cell.starts_with(prefix)) {
            cell.remove_prefix(prefix.size());
            break;
        }
    }
    return cell.empty() || cell == "–" || cell == "nan" || cell == "∞" || cell == "inf" ||
           (cell.front() >= '0' && cell.front() <= '9') || cell.front() == '.';
}

std::string csv_line(const std::vector<std::string>& cells) {
    std::string line;
    for (std::size_t k = 0; k < cells.size(); ++k) {
        line += k == 0 ? "" : ",";
        line += csv_field(cells[k]);
    }
    return line + '\n';
}

}  // namespace

bool is_numeric_column(const Table& table, std::size_t column) {
    bool filled = false;
    for (const auto& row : table.rows) {
        const std::string_view cell = cell_of(row, column);
        if (!looks_numeric(cell)) return false;
        filled = filled || !cell.empty();
    }
    return filled;
}

std::string text_table(const Table& table) {
    const std::size_t columns = column_count(table);
    std::vector<std::size_t> widths(columns, 0);
    std::vector<bool> numeric(columns);
    for (std::size_t column = 0; column < columns; ++column) {
        numeric[column] = is_numeric_column(table, column);
        widths[column] = shown_width(cell_of(table.header, column));
        for (const auto& row : table.rows)
            widths[column] = std::max(widths[column], shown_width(cell_of(row, column)));
    }
    std::string out;
    const auto add_line = [&](const std::vector<std::string>& cells) {
        std::string line;
        for (std::size_t column = 0; column < columns; ++column) {
            const std::string_view cell = cell_of(cells, column);
            const std::string room(widths[column] - shown_width(cell), ' ');
            line += column == 0 ? "" : "  ";
            line += numeric[column] ? room : "";
            line += cell;
            line += numeric[column] ? "" : room;
        }
        line.erase(line.find_last_not_of(' ') + 1);
        out += line + '\n';
    };
    if (!table.header.empty()) {
        add_line(table.header);
        for (std::size_t column = 0; column < columns; ++column) {
            out += column == 0 ? "" : "  ";
            out.append(widths[column], '-');
        }
        out += '\n';
    }
    for (const auto& row : table.rows) add_line(row);
    return out;
}

std::string csv_table(const Table& table) {
    std::string out = table.header.empty() ? "" : csv_line(table.header);
    for (const auto& row : table.rows) out += csv_line(row);
    return out;
}

std::string csv_field(std::string_view text) {
    if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"') out += '"';
        out += c;
    }
    return out + '"';
}

}  // namespace dunlin::report
