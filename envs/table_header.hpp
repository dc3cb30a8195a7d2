// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "envs/data_table.hpp"

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

namespace dunlin {

/// A column of a table that is read from text.
struct TableAttribute {
    enum class Kind : std::uint8_t { numeric, nominal, date, text, untyped };
    enum class Role : std::uint8_t { feature, label, user, ignored };

    std::string name;
    std::int64_t line = 0;  ///< where it is declared
    Kind kind = Kind::untyped;
    Role role = Role::feature;
    std::string format{};               ///< of a date; empty: ISO 8601
    std::vector<std::string> values{};  ///< of a nominal one
    std::unordered_map<std::string, std::size_t> places{};
    std::size_t first = 0;  ///< a feature's first column in the table

    std::size_t columns() const { return kind == Kind::nominal ? values.size() : 1; }
};

/// The columns of such a table and what each is for.
struct TableHeader {
    static constexpr std::size_t column_limit = 1 << 16;

    std::vector<TableAttribute> attributes;
    std::vector<std::size_t> order;  ///< those that are features, in the order of the table
    std::size_t features = 0;        ///< columns of the table
    DataNotes notes;

    /// Gives each column its role. Errors: parse_arff's about columns.
    FileResult<void> choose(const TableChoice& choice);
    /// Gives each feature its place in the table; `line` is where the columns are declared.
    FileResult<void> lay_out(std::int64_t line);
    /// For messages.
    std::string names() const;

private:
    FileResult<void> check_names() const;
    FileResult<std::size_t> find(std::string_view name, std::string_view setting, std::int64_t which,
                                 std::int64_t place) const;
    // `listed`: by column, whether data.features names it
    void choose_label(const std::vector<bool>& listed);
    void choose_user(const std::vector<bool>& listed);
};

/// Numbers before names, numbers by size: users 2, 10, anna.
bool comes_before(const std::string& a, const std::string& b);

}  // namespace dunlin
