// SPDX-License-Identifier: Apache-2.0
// The ARFF format (Weka, "ARFF (stable version)" and "Sparse ARFF files"): a header, then a row a line, dense
// "1,2,red" or sparse "{0 1, 2 red}", where what is left out is 0 or the first value of the list.
#include "envs/arff_header.hpp"
#include "envs/arff_text.hpp"
#include "envs/table_rows.hpp"

#include <algorithm>

namespace dunlin {
namespace {

using Kind = TableAttribute::Kind;
using Role = TableAttribute::Role;

/// Takes the lines behind @data.
class ArffReader {
public:
    ArffReader(Lines& lines, const TableHeader& header, const TableChoice& choice)
        : lines_(lines), header_(header), rows_(header, choice, ", or '?' where it is missing") {}

    FileResult<DataTable> read() {
        const std::int64_t data_line = lines_.number();
        while (lines_.next()) {
            std::string_view line = trimmed(lines_.line());
            if (ArffScanner(line).at_end()) continue;
            rows_.begin(lines_.number());
            if (auto read = line.front() == '{' ? read_sparse(line) : read_dense(line); !read)
                return tl::unexpected(read.error());
            if (auto kept = rows_.end(); !kept) return tl::unexpected(kept.error());
        }
        if (rows_.rows() == 0)
            return refuse_text({Code::file_truncated, lines_.number(), data_line},
                               "no row with a label behind @data (line ", data_line, " of ", lines_.number(),
                               rows_.left_out_any() ? "; rows have '?' for the class or the user" : "",
                               "); expected one at least");
        DataTable table = rows_.finish(header_.notes);
        if (weights_ > 0)
            table.notes.push_back({"instance_weights", weights_,
                                   sentence(weights_, weights_ == 1 ? " row" : " rows",
                                            " had an instance weight, which is not used")});
        return table;
    }

private:
    FileResult<void> read_dense(std::string_view line) {
        if (line.ends_with(';')) line.remove_suffix(1);
        const std::size_t expected = header_.attributes.size();
        std::size_t count = 0;
        if (const auto wrong = split_arff_row(line, expected, values_, count))
            return refuse_line(Code::file_syntax, lines_.number(), static_cast<std::int64_t>(wrong->value),
                               "value ", wrong->value, ": ", wrong->text);
        if (count == expected + 1 && values_[expected].text.starts_with('{')) {
            ++weights_;
        } else if (count != expected && !(count == expected + 1 && values_[expected].text.empty())) {
            return refuse_line(Code::column_count, lines_.number(), static_cast<std::int64_t>(count), Quoted(line),
                               " has ", count, count == 1 ? " value" : " values", "; the header declares ",
                               expected, " columns");
        }
        for (std::size_t k = 0; k < expected; ++k) {
            if (auto taken = take(k, values_[k]); !taken) return taken;
        }
        return {};
    }

    FileResult<void> read_sparse(std::string_view line) {
        const auto wrong = [&](std::string_view rest) {
            return refuse_line(Code::file_syntax, lines_.number(), line.size() - rest.size() + 1,
                               "a sparse row goes on with ", Quoted(rest), "; expected {INDEX VALUE, INDEX VALUE}");
        };
        ArffScanner scanner(line.substr(1));
        const std::size_t columns = header_.attributes.size();
        given_.assign(columns, false);
        ArffValue index, value;
        for (bool more = !scanner.take('}'); more;) {
            const std::string_view here = scanner.rest();
            if (!scanner.value(" \t,}", index) || scanner.at_end() || !scanner.value(",}", value))
                return wrong(here);
            const auto k = parse_integer(index.text);
            if (!k || *k < 0 || *k >= static_cast<std::int64_t>(columns))
                return refuse_line(Code::file_syntax, lines_.number(), 1, Quoted(index.text),
                                   " is no column; a sparse row names columns from 0 to ", columns - 1);
            const auto column = static_cast<std::size_t>(*k);
            if (given_[column])
                return refuse_line(Code::file_syntax, lines_.number(), *k + 1, "column ", *k,
                                   " stands there twice");
            given_[column] = true;
            if (auto taken = take(column, value); !taken) return taken;
            const std::string_view behind = scanner.rest();
            more = scanner.take(',');
            if (!more && !scanner.take('}')) return wrong(behind);
        }
        if (scanner.take(',') && scanner.take('{'))
            ++weights_;
        else if (!scanner.at_end())
            return wrong(scanner.rest());
        for (std::size_t k = 0; k < columns; ++k) {
            const TableAttribute& attribute = header_.attributes[k];
            if (given_[k] || attribute.role == Role::ignored) continue;
            if (attribute.kind == Kind::nominal && !attribute.values.empty()) {
                value = {attribute.values.front(), true};
            } else if (attribute.kind == Kind::numeric) {
                value = {"0", false};
            } else if (attribute.kind == Kind::date) {
                rows_.leave_out_date(k);
                continue;
            } else {
                return refuse_line(Code::file_syntax, lines_.number(), static_cast<std::int64_t>(k) + 1,
                                   "a sparse row without column ", k, " (", Quoted(attribute.name),
                                   "), which is text and so has no value to leave out");
            }
            if (auto taken = take(k, value); !taken) return taken;
        }
        return {};
    }

    /// One value of the row at hand.
    FileResult<void> take(std::size_t k, const ArffValue& value) {
        if (value.text.empty() && !value.quoted && header_.attributes[k].role != Role::ignored)
            return refuse_line(Code::bad_number, lines_.number(), static_cast<std::int64_t>(k) + 1,
                               Quoted(value.text), " stands in column ", k + 1, " (",
                               Quoted(header_.attributes[k].name),
                               "); expected a value, or '?' where it is missing");
        return rows_.take(k, {value.text, value.missing()});
    }

    Lines& lines_;
    const TableHeader& header_;
    TableRows rows_;
    std::int64_t weights_ = 0;
    // of the row at hand
    std::vector<ArffValue> values_;
    std::vector<bool> given_;
};

}  // namespace

FileResult<DataTable> parse_arff(std::string_view text, const TableChoice& choice) {
    Lines lines(text);
    const FileResult<TableHeader> header = read_arff_header(lines, choice);
    if (!header) return tl::unexpected(header.error());
    return ArffReader(lines, *header, choice).read();
}

FileResult<DataTable> load_arff(const std::string& path, const TableChoice& choice) {
    return load_file(path, [&](std::string_view text) { return parse_arff(text, choice); });
}

bool looks_like_arff(std::string_view text) {
    for (Lines lines(text); lines.next();) {
        ArffScanner scanner(lines.line());
        ArffValue word;
        if (scanner.at_end()) continue;
        return scanner.value(" \t", word) && same_but_case(word.text, "@relation");
    }
    return false;
}

}  // namespace dunlin
