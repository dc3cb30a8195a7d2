// SPDX-License-Identifier: Apache-2.0
#include "envs/arff_header.hpp"

#include "envs/arff_text.hpp"

#include <algorithm>

namespace dunlin {
namespace {

using Kind = TableAttribute::Kind;

constexpr std::size_t column_limit = TableHeader::column_limit;
constexpr std::string_view types = "numeric, real, integer, string, date or a list {a,b,c}";

/// "name type", behind @attribute.
FileResult<void> declare(std::vector<TableAttribute>& attributes, std::string_view declaration, std::int64_t line) {
    ArffScanner scanner(declaration);
    TableAttribute attribute;
    attribute.line = line;
    ArffValue word;
    if (scanner.at_end() || !scanner.value(" \t{", word) || word.text.empty())
        return refuse_line(Code::file_syntax, line, 1, "@attribute ", Quoted(declaration),
                           "; expected a name, in quotes if it has blanks");
    attribute.name = word.text;
    if (attributes.size() == column_limit)
        return refuse_line(Code::file_too_large, line, column_limit, "more than ", column_limit, " columns");
    const Quoted name(attribute.name);
    if (scanner.take('{')) {
        attribute.kind = Kind::nominal;
        for (bool more = !scanner.take('}'); more;) {
            if (!scanner.value(",}", word) || (word.text.empty() && !word.quoted))
                return refuse_line(Code::file_syntax, line, 1, "the list of values of ", name, " goes on with ",
                                   Quoted(scanner.rest()), "; expected values, commas and a closing brace");
            if (!attribute.places.emplace(word.text, attribute.values.size()).second)
                return refuse_line(Code::file_syntax, line, 1, "the value ", Quoted(word.text), " of ", name,
                                   " stands in its list twice");
            attribute.values.push_back(word.text);
            more = scanner.take(',');
            if (!more && !scanner.take('}'))
                return refuse_line(Code::file_syntax, line, 1, "the list of values of ", name, " goes on with ",
                                   Quoted(scanner.rest()), "; expected a comma or a closing brace");
        }
    } else if (!scanner.at_end()) {
        scanner.value(" \t{[", word);
        if (same_but_case(word.text, "numeric") || same_but_case(word.text, "real") ||
            same_but_case(word.text, "integer")) {
            attribute.kind = Kind::numeric;
        } else if (same_but_case(word.text, "string")) {
            attribute.kind = Kind::text;
        } else if (same_but_case(word.text, "date")) {
            attribute.kind = Kind::date;
            if (!scanner.at_end() && scanner.value(" \t", word)) attribute.format = word.text;
            if (const char letter = unknown_date_letter(attribute.format); letter != 0)
                return refuse_line(Code::file_syntax, line, 1, "the date format ", Quoted(attribute.format), " of ",
                                   name, " has the letter '", letter,
                                   "'; expected y, M, d, H, m, s, S and text in single quotes");
        } else {
            return refuse_line(Code::file_syntax, line, 1, "the column ", name, " is of the type ",
                               Quoted(word.text), "; expected ", types);
        }
    }
    if (!scanner.at_end())
        return refuse_line(Code::file_syntax, line, 1, Quoted(scanner.rest()), " stands behind the declaration of ",
                           name, "; expected the end of the line");
    attributes.push_back(std::move(attribute));
    return {};
}

}  // namespace

FileResult<TableHeader> read_arff_header(Lines& lines, const TableChoice& choice) {
    TableHeader header;
    bool relation = false;
    while (lines.next()) {
        ArffScanner scanner(lines.line());
        if (scanner.at_end()) continue;
        ArffValue word;
        scanner.value(" \t", word);
        if (same_but_case(word.text, "@relation")) {
            relation = true;
        } else if (!relation) {
            return refuse_line(Code::file_magic, lines.number(), 0, Quoted(trimmed(lines.line())),
                               "; an ARFF file begins with @relation NAME");
        } else if (same_but_case(word.text, "@data")) {
            if (auto chosen = header.choose(choice); !chosen) return tl::unexpected(chosen.error());
            if (auto laid = header.lay_out(lines.number()); !laid) return tl::unexpected(laid.error());
            return header;
        } else if (same_but_case(word.text, "@attribute")) {
            if (auto done = declare(header.attributes, scanner.rest(), lines.number()); !done)
                return tl::unexpected(done.error());
        } else {
            return refuse_line(Code::file_syntax, lines.number(), 1, Quoted(word.text),
                               "; expected @attribute NAME TYPE, or @data before the rows");
        }
    }
    return refuse_text({Code::file_magic, lines.number()}, "the file has no ", relation ? "@data" : "@relation",
                       " line in its ", lines.number(), " lines; it is no ARFF file, or only the beginning of one");
}

}  // namespace dunlin
