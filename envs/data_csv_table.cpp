// SPDX-License-Identifier: Apache-2.0
// A table as comma-separated values: once over the rows to see what each column holds, then once to take them.
#include "envs/data_csv.hpp"
#include "envs/table_rows.hpp"

#include <algorithm>

namespace dunlin {
namespace {

using Kind = TableAttribute::Kind;
using Role = TableAttribute::Role;

constexpr std::size_t value_limit = 256;                  ///< values of a feature that is text
constexpr std::size_t name_limit = std::size_t{1} << 20;  ///< of a column of labels or users

enum class Cell : std::uint8_t { number, wrong_number, text, missing };

/// What a number could be made of that this is not: dates, times, decimal commas.
bool is_wrong_number(std::string_view field) {
    for (std::string_view name : {"inf", "+inf", "-inf", "infinity", "+infinity", "-infinity"}) {
        if (same_but_case(field, name)) return true;
    }
    return field.find_first_of("0123456789") != field.npos &&
           field.find_first_not_of("0123456789+-.,:/%eETZ _'") == field.npos;
}

Cell kind_of(std::string_view field) {
    if (parse_number(field)) return Cell::number;
    for (std::string_view name : {"", "?", "NA", "N/A", "NaN", "-NaN", "+NaN", "null"}) {
        if (same_but_case(field, name)) return Cell::missing;
    }
    return is_wrong_number(field) ? Cell::wrong_number : Cell::text;
}

/// Of comma, semicolon and tab the first, in this order, that stands in the first record outside quotes.
char separator_of(std::string_view text) {
    constexpr std::string_view separators = ",;\t";
    std::size_t first = separators.size();
    bool quoted = false, blank = true;
    for (const char c : text) {
        if (c == '"') quoted = !quoted;
        if (quoted) continue;
        if (c == '\n' && !blank) break;
        first = std::min(first, separators.find(c));
        blank = blank && (c == '\n' || c == '\r' || c == ' ');
    }
    return separators[first < separators.size() ? first : 0];
}

/// Where a column has something for the first time.
struct Seen {
    std::int64_t line = 0;  ///< 0: nowhere
    std::string text{};
    void see(std::int64_t at, std::string_view what) {
        if (line != 0) return;
        line = at;
        text = what;
    }
};

class CsvTable {
public:
    CsvTable(std::string_view text, const TableChoice& choice)
        : text_(without_mark(text)), separator_(separator_of(text_)), choice_(choice) {}

    FileResult<DataTable> read(CsvTitles titles) {
        if (auto named = name_columns(titles); !named) return tl::unexpected(named.error());
        if (auto surveyed = survey(); !surveyed) return tl::unexpected(surveyed.error());
        leave_out_nameless();
        for (std::size_t k = 0; k < columns_.size(); ++k)
            header_.attributes[k].kind =
                columns_[k].number.line != 0 && columns_[k].text.line == 0 ? Kind::numeric : Kind::nominal;
        if (auto chosen = header_.choose(choice_with_nameless_); !chosen) return tl::unexpected(chosen.error());
        for (std::size_t k = 0; k < columns_.size(); ++k) {
            if (auto settled = settle(k); !settled) return tl::unexpected(settled.error());
        }
        if (auto laid = header_.lay_out(title_line_); !laid) return tl::unexpected(laid.error());
        return take_rows();
    }

private:
    struct Column {
        Seen number, wrong_number, text;
        Names values;  ///< that are no numbers; of a feature no more than are needed to refuse it
        bool too_many = false;
    };

    /// The first record, whether it names the columns or not.
    FileResult<void> name_columns(CsvTitles titles) {
        CsvReader csv(text_, separator_);
        const FileResult<bool> more = csv.next();
        if (!more) return tl::unexpected(more.error());
        if (!*more) return refuse_text({Code::file_truncated, 0, 1}, "the file is empty; expected titles and rows");
        title_line_ = csv.line();
        const bool has_number = std::ranges::any_of(
            csv.fields(), [](std::string_view field) { return kind_of(field) == Cell::number; });
        has_titles_ = titles == CsvTitles::yes || (titles == CsvTitles::automatic && !has_number);
        if (csv.fields().size() > TableHeader::column_limit)
            return refuse_line(Code::file_too_large, title_line_, TableHeader::column_limit, csv.fields().size(),
                               " columns, of at most ", TableHeader::column_limit);
        for (const std::string_view field : csv.fields()) {
            TableAttribute attribute;
            const std::string number = std::to_string(header_.attributes.size() + 1);
            attribute.name = has_titles_ ? std::string(field) : number;
            attribute.line = title_line_;
            if (attribute.name.empty()) {
                attribute.name = "column " + number;
                nameless_.push_back(attribute.name);
            }
            header_.attributes.push_back(std::move(attribute));
        }
        if (!has_titles_ && titles == CsvTitles::automatic)
            header_.notes.push_back({"", 0,
                                     sentence("line ", title_line_,
                                              " has numbers, so it was taken for a row and not for titles; columns "
                                              "are called 1 to ",
                                              header_.attributes.size(), " (data.header = yes says otherwise)")});
        columns_.resize(header_.attributes.size());
        return {};
    }

    /// As pandas writes the numbers of rows.
    void leave_out_nameless() {
        choice_with_nameless_ = choice_;
        if (nameless_.empty()) return;
        choice_with_nameless_.ignored.insert(choice_with_nameless_.ignored.end(), nameless_.begin(),
                                             nameless_.end());
        header_.notes.push_back({"columns_without_title", std::ssize(nameless_),
                                 sentence(nameless_.size(), nameless_.size() == 1 ? " column" : " columns",
                                          " without a title left out: ", quoted_list(nameless_))});
    }

    /// Calls `with` for every record behind the titles.
    template <class With>
    FileResult<void> each_row(With with) const {
        CsvReader csv(text_, separator_);
        bool first = has_titles_;
        for (;;) {
            const FileResult<bool> more = csv.next();
            if (!more) return tl::unexpected(more.error());
            if (!*more) return {};
            if (std::exchange(first, false)) continue;
            if (csv.fields().size() != columns_.size())
                return refuse_line(Code::column_count, csv.line(), std::ssize(csv.fields()), csv.fields().size(),
                                   csv.fields().size() == 1 ? " field" : " fields", "; line ", title_line_, " has ",
                                   columns_.size(), ", parted by ", separator_name());
            if (FileResult<void> done = with(csv); !done) return done;
        }
    }

    std::string_view separator_name() const {
        return separator_ == ',' ? "commas" : separator_ == ';' ? "semicolons" : "tabs";
    }

    FileResult<void> survey() {
        std::int64_t rows = 0;
        auto done = each_row([&](const CsvReader& csv) -> FileResult<void> {
            ++rows;
            for (std::size_t k = 0; k < columns_.size(); ++k) {
                Column& column = columns_[k];
                const std::string_view field = csv.fields()[k];
                switch (kind_of(field)) {
                    case Cell::number:
                        column.number.see(csv.line(), field);
                        break;
                    case Cell::wrong_number:
                        column.wrong_number.see(csv.line(), field);
                        [[fallthrough]];
                    case Cell::text:
                        column.text.see(csv.line(), field);
                        break;
                    case Cell::missing:
                        continue;
                }
                if (column.values.size() >= name_limit)
                    column.too_many = true;
                else if (column.text.line != 0)
                    column.values.number(std::string(field));
            }
            return {};
        });
        if (done && rows == 0)
            return refuse_text({Code::file_truncated, title_line_, 1}, "no row behind the titles in line ",
                               title_line_, "; expected one at least");
        return done;
    }

    /// What the column is, now that its role is known.
    FileResult<void> settle(std::size_t k) {
        TableAttribute& attribute = header_.attributes[k];
        const Column& column = columns_[k];
        if (attribute.role == Role::ignored) return {};
        const auto refuse = [&](Code code, const Seen& where, const auto&... rest) {
            return refuse_line(code, where.line, static_cast<std::int64_t>(k) + 1, Quoted(where.text),
                               " stands in column ", k + 1, " (", Quoted(attribute.name), ")", rest...);
        };
        constexpr std::string_view leave_out = "; correct it, or leave the column out with data.ignored";
        if (attribute.role != Role::feature) {
            // Labels and users are names, whatever they look like.
            if (attribute.kind == Kind::nominal) attribute.kind = Kind::text;
            if (column.too_many)
                return refuse(Code::file_too_large, column.text, ", which has more than ", name_limit, " names");
            return {};
        }
        if (column.wrong_number.line != 0)
            return refuse(Code::bad_number, column.wrong_number,
                          "; expected a finite number with a decimal point, or words", leave_out);
        if (column.number.line != 0 && column.text.line != 0) {
            const bool number_first = column.number.line < column.text.line;
            const Seen& odd = number_first ? column.text : column.number;
            const Seen& usual = number_first ? column.number : column.text;
            return refuse(Code::bad_number, odd, ", but ", Quoted(usual.text), " in line ", usual.line,
                          "; expected numbers alone or words alone", leave_out);
        }
        if (attribute.kind == Kind::numeric) return {};
        if (column.values.size() > value_limit)
            return refuse(Code::file_syntax, column.text, ", which has ", column.values.size(),
                          " different words, of at most ", value_limit, " in a feature",
                          "; leave it out with data.ignored");
        std::vector<std::int32_t> none;
        attribute.values = column.values.sort(none);
        for (std::size_t place = 0; place < attribute.values.size(); ++place)
            attribute.places.emplace(attribute.values[place], place);
        return {};
    }

    FileResult<DataTable> take_rows() {
        TableRows rows(header_, choice_);
        std::string text;
        auto done = each_row([&](const CsvReader& csv) -> FileResult<void> {
            rows.begin(csv.line());
            for (std::size_t k = 0; k < columns_.size(); ++k) {
                const TableAttribute& attribute = header_.attributes[k];
                if (attribute.role == Role::ignored) continue;
                if (kind_of(csv.fields()[k]) == Cell::missing)
                    return refuse_line(Code::bad_number, csv.line(), static_cast<std::int64_t>(k) + 1,
                                       Quoted(csv.fields()[k]), " stands in column ", k + 1, " (",
                                       Quoted(attribute.name),
                                       "), so the value is missing; fill it in, remove the row, or leave the "
                                       "column out with data.ignored");
                text = csv.fields()[k];
                if (auto taken = rows.take(k, {text}); !taken) return taken;
            }
            return rows.end();
        });
        if (!done) return tl::unexpected(done.error());
        return rows.finish(header_.notes);
    }

    std::string_view text_;
    char separator_;
    const TableChoice& choice_;
    TableChoice choice_with_nameless_;
    TableHeader header_;
    std::vector<Column> columns_;
    std::vector<std::string> nameless_;
    std::int64_t title_line_ = 0;
    bool has_titles_ = false;
};

}  // namespace

FileResult<DataTable> parse_csv(std::string_view text, const TableChoice& choice, CsvTitles titles) {
    return CsvTable(text, choice).read(titles);
}

FileResult<DataTable> load_csv(const std::string& path, const TableChoice& choice, CsvTitles titles) {
    return load_file(path, [&](std::string_view text) { return parse_csv(text, choice, titles); });
}

}  // namespace dunlin
