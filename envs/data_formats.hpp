// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "envs/data_table.hpp"

#include <string>
#include <string_view>

namespace dunlin {

/// A table on a disk, and how its columns and labels are to be read. A format that has no use for a field does not
/// look at it.
struct TableSource {
    std::string path;
    TableChoice choice{};
    CsvTitles titles = CsvTitles::automatic;
    IdxLabels labels{};
};

/// A format that tables come in. A new one is a reader and a line in data_formats.cpp.
struct TableFormat {
    std::string_view name;  ///< for people: "CSV"
    bool (*fits)(const std::string& path);
    /// The rows to learn from.
    FileResult<DataTable> (*load)(const TableSource& source);
    /// Rows to test on, which belong to nobody; null: the format has none.
    FileResult<DataTable> (*load_test)(const TableSource& source) = nullptr;
};

/// The format of what lies there, by its name and whether it is a folder; ARFF for a file of any other name.
const TableFormat& table_format(const std::string& path);

/// Reads a table with its classes in the order of `choice.classes`, where there are any. Errors: of the format;
/// label_out_of_range (row, class) for a label that is not among them.
FileResult<DataTable> load_table(const TableSource& source);

}  // namespace dunlin
