// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "envs/data_table.hpp"

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

namespace dunlin {

/// A column that an ARFF file declares.
struct ArffAttribute {
    enum class Kind : std::uint8_t { numeric, nominal, date, text, untyped };
    enum class Role : std::uint8_t { feature, label, user, ignored };

    std::string name;
    std::int64_t line = 0;
    Kind kind = Kind::untyped;
    Role role = Role::feature;
    std::string format{};               ///< of a date; empty: ISO 8601
    std::vector<std::string> values{};  ///< of a nominal one
    std::unordered_map<std::string, std::size_t> places{};
    std::size_t first = 0;  ///< a feature's first column in the table

    std::size_t columns() const { return kind == Kind::nominal ? values.size() : 1; }
};

/// "@relation name", "@attribute name type" for each column, "@data".
struct ArffHeader {
    std::vector<ArffAttribute> attributes;
    std::size_t features = 0;  ///< columns of the table
    DataNotes notes;

    /// Takes the lines up to @data. Errors: parse_arff's.
    static FileResult<ArffHeader> read(Lines& lines, const ArffColumns& columns);

private:
    FileResult<void> declare(std::string_view declaration, std::int64_t line);
    FileResult<void> choose(const ArffColumns& columns);
    FileResult<std::size_t> find(std::string_view name, std::string_view setting, std::int64_t which) const;
    void choose_label();
    FileResult<void> lay_out(std::int64_t line);
    std::string names() const;
};

}  // namespace dunlin
