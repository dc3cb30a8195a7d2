// SPDX-License-Identifier: Apache-2.0
#include "envs/arff_header.hpp"

#include "envs/arff_text.hpp"

#include <algorithm>

namespace dunlin {
namespace {

using Kind = ArffAttribute::Kind;
using Role = ArffAttribute::Role;

constexpr std::size_t column_limit = 1 << 16;
constexpr std::string_view types = "numeric, real, integer, string, date or a list {a,b,c}";

/// By falling precedence.
constexpr std::string_view label_names[] = {"class", "label", "activity", "target", "category"};
constexpr std::string_view user_names[] = {"user",       "subject",     "user_id", "userid",
                                           "subject_id", "participant", "person",  "volunteer"};

}  // namespace

FileResult<ArffHeader> ArffHeader::read(Lines& lines, const ArffColumns& columns) {
    ArffHeader header;
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
            if (auto chosen = header.choose(columns); !chosen) return tl::unexpected(chosen.error());
            if (auto laid = header.lay_out(lines.number()); !laid) return tl::unexpected(laid.error());
            return header;
        } else if (same_but_case(word.text, "@attribute")) {
            if (auto done = header.declare(scanner.rest(), lines.number()); !done)
                return tl::unexpected(done.error());
        } else {
            return refuse_line(Code::file_syntax, lines.number(), 1, Quoted(word.text),
                               "; expected @attribute NAME TYPE, or @data before the rows");
        }
    }
    return refuse_text({Code::file_magic, lines.number()}, "the file has no ", relation ? "@data" : "@relation",
                       " line in its ", lines.number(), " lines; it is no ARFF file, or only the beginning of one");
}

FileResult<void> ArffHeader::declare(std::string_view declaration, std::int64_t line) {
    ArffScanner scanner(declaration);
    ArffAttribute attribute;
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

std::string ArffHeader::names() const {
    std::vector<std::string> all;
    for (const ArffAttribute& attribute : attributes) all.push_back(attribute.name);
    return quoted_list(all);
}

FileResult<std::size_t> ArffHeader::find(std::string_view name, std::string_view setting,
                                         std::int64_t which) const {
    std::vector<std::size_t> found;
    for (std::size_t k = 0; k < attributes.size(); ++k) {
        if (attributes[k].name == name) return k;
        if (same_but_case(attributes[k].name, name)) found.push_back(k);
    }
    if (found.size() == 1) return found.front();
    return refuse_text({Code::column_missing, which}, setting, " = ", Quoted(name), ": ",
                       found.empty() ? "no" : "more than one", " column is called so; the file has ", names());
}

void ArffHeader::choose_label() {
    for (const std::string_view name : label_names) {
        for (ArffAttribute& attribute : attributes) {
            if (attribute.role != Role::feature || !same_but_case(attribute.name, name)) continue;
            attribute.role = Role::label;
            return;
        }
    }
    const auto last = std::find_if(attributes.rbegin(), attributes.rend(), [](const ArffAttribute& attribute) {
        return attribute.role == Role::feature && attribute.kind == Kind::nominal;
    });
    if (last == attributes.rend()) return;
    last->role = Role::label;
    notes.push_back({"", 0,
                     sentence("the classes are those of the last nominal column, ", Quoted(last->name),
                              ", as none is called class, label, activity, target or category; data.label names "
                              "another")});
}

FileResult<void> ArffHeader::choose(const ArffColumns& columns) {
    std::unordered_map<std::string, std::int64_t> lines;
    for (const ArffAttribute& attribute : attributes) {
        const auto [at, is_new] = lines.emplace(attribute.name, attribute.line);
        if (!is_new)
            return refuse_line(Code::file_syntax, attribute.line, 1, "a second column called ",
                               Quoted(attribute.name), "; the first is declared in line ", at->second);
    }
    for (const std::string& name : columns.ignored) {
        const auto at = find(name, "data.ignored", 3);
        if (!at) return tl::unexpected(at.error());
        attributes[*at].role = Role::ignored;
    }
    const auto assign = [&](const std::string& name, std::string_view setting, std::int64_t which,
                            Role role) -> FileResult<void> {
        const auto at = find(name, setting, which);
        if (!at) return tl::unexpected(at.error());
        if (attributes[*at].role != Role::feature)
            return refuse_text({Code::column_missing, which}, setting, " = ", Quoted(name),
                               ": another setting names this column too");
        attributes[*at].role = role;
        return {};
    };
    if (!columns.label.empty()) {
        if (auto done = assign(columns.label, "data.label", 0, Role::label); !done) return done;
    }
    if (!columns.user.empty()) {
        if (auto done = assign(columns.user, "data.user", 1, Role::user); !done) return done;
    }
    bool user_found = !columns.user.empty();
    for (const std::string_view name : user_names) {
        for (ArffAttribute& attribute : attributes) {
            if (user_found || attribute.role != Role::feature || !same_but_case(attribute.name, name)) continue;
            attribute.role = Role::user;
            user_found = true;
        }
    }
    for (ArffAttribute& attribute : attributes) {
        if (attribute.role == Role::feature && same_but_case(attribute.name, "UNIQUE_ID"))
            attribute.role = Role::ignored;
    }
    if (columns.label.empty()) choose_label();
    if (std::none_of(attributes.begin(), attributes.end(), [](const auto& a) { return a.role == Role::label; }))
        return refuse_text({Code::column_missing, 0},
                           "no column of classes: none is called class, label, activity, target or category, and "
                           "none is nominal; name it with data.label (the file has ",
                           attributes.empty() ? "no columns" : names(), ")");
    return {};
}

FileResult<void> ArffHeader::lay_out(std::int64_t line) {
    std::vector<std::string> nominal, dates;
    for (ArffAttribute& attribute : attributes) {
        if (attribute.role != Role::feature) continue;
        if (attribute.kind == Kind::text || attribute.kind == Kind::untyped)
            return refuse_line(
                Code::file_syntax, attribute.line, 1, "the column ", Quoted(attribute.name),
                attribute.kind == Kind::text ? " is text (string)" : " has no type",
                ", which cannot be a feature; leave it out with data.ignored, or name it in data.label "
                "or data.user");
        attribute.first = features;
        features += attribute.columns();
        if (attribute.kind == Kind::nominal) nominal.push_back(attribute.name);
        if (attribute.kind == Kind::date) dates.push_back(attribute.name);
        if (features > column_limit)
            return refuse_line(Code::file_too_large, attribute.line, column_limit, "with the values of ",
                               Quoted(attribute.name), " there are more than ", column_limit,
                               " features; leave it out with data.ignored");
    }
    if (features == 0)
        return refuse_line(Code::column_missing, line, 2, "no column is left as a feature (the file has ", names(),
                           "); expected one at least besides label, user and what is ignored");
    if (!nominal.empty())
        notes.push_back({"nominal_features", std::ssize(nominal),
                         sentence(nominal.size(), nominal.size() == 1 ? " nominal feature" : " nominal features",
                                  " became a column of 0 and 1 for each value: ", quoted_list(nominal))});
    if (!dates.empty())
        notes.push_back({"date_features", std::ssize(dates),
                         sentence(dates.size(), dates.size() == 1 ? " date" : " dates",
                                  " became seconds since 1970: ", quoted_list(dates))});
    return {};
}

}  // namespace dunlin
