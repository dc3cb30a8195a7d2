// SPDX-License-Identifier: Apache-2.0
#include "envs/table_header.hpp"

#include "envs/data_file.hpp"

#include <algorithm>

namespace dunlin {
namespace {

using Kind = TableAttribute::Kind;
using Role = TableAttribute::Role;

/// By falling precedence.
constexpr std::string_view label_names[] = {"class", "label", "activity", "target", "category"};
constexpr std::string_view user_names[] = {"user",       "subject",     "user_id", "userid",
                                           "subject_id", "participant", "person",  "volunteer"};

}  // namespace

std::string TableHeader::names() const {
    std::vector<std::string> all;
    for (const TableAttribute& attribute : attributes) all.push_back(attribute.name);
    return quoted_list(all);
}

FileResult<std::size_t> TableHeader::find(std::string_view name, std::string_view setting, std::int64_t which,
                                          std::int64_t place) const {
    std::vector<std::size_t> found;
    for (std::size_t k = 0; k < attributes.size(); ++k) {
        if (attributes[k].name == name) return k;
        if (same_but_case(attributes[k].name, name)) found.push_back(k);
    }
    if (found.size() == 1) return found.front();
    const auto count = std::ssize(attributes);
    if (const auto number = parse_integer(name); found.empty() && number) {
        if (*number >= 1 && *number <= count) return static_cast<std::size_t>(*number - 1);
        if (*number < 0 && *number >= -count) return static_cast<std::size_t>(count + *number);
    }
    return refuse_text({Code::column_missing, which, place}, setting, " = ", Quoted(name), ": ",
                       found.empty() ? "no" : "more than one", " column is called so; the file has ", names());
}

void TableHeader::choose_label(const std::vector<bool>& listed) {
    for (const std::string_view name : label_names) {
        for (std::size_t k = 0; k < attributes.size(); ++k) {
            TableAttribute& attribute = attributes[k];
            if (listed[k] || attribute.role != Role::feature || !same_but_case(attribute.name, name)) continue;
            attribute.role = Role::label;
            return;
        }
    }
    for (std::size_t k = attributes.size(); k-- > 0;) {
        TableAttribute& last = attributes[k];
        if (listed[k] || last.role != Role::feature || last.kind != Kind::nominal) continue;
        last.role = Role::label;
        notes.push_back({"", 0,
                         sentence("the classes are those of the last nominal column, ", Quoted(last.name),
                                  ", as none is called class, label, activity, target or category; data.label "
                                  "names another")});
        return;
    }
}

void TableHeader::choose_user(const std::vector<bool>& listed) {
    for (const std::string_view name : user_names) {
        for (std::size_t k = 0; k < attributes.size(); ++k) {
            TableAttribute& attribute = attributes[k];
            if (listed[k] || attribute.role != Role::feature || !same_but_case(attribute.name, name)) continue;
            attribute.role = Role::user;
            return;
        }
    }
}

FileResult<void> TableHeader::check_names() const {
    std::unordered_map<std::string, std::int64_t> lines;
    for (const TableAttribute& attribute : attributes) {
        const auto [at, is_new] = lines.emplace(attribute.name, attribute.line);
        if (!is_new)
            return refuse_line(Code::file_syntax, attribute.line, 1, "a second column called ",
                               Quoted(attribute.name), "; the first is declared in line ", at->second);
    }
    return {};
}

FileResult<void> TableHeader::choose(const TableChoice& choice) {
    if (auto distinct = check_names(); !distinct) return distinct;
    std::vector<bool> listed(attributes.size());
    const auto take = [&](const std::string& name, std::string_view setting, std::int64_t which,
                          std::int64_t place = 0) -> FileResult<std::size_t> {
        const auto at = find(name, setting, which, place);
        if (at && (attributes[*at].role != Role::feature || listed[*at]))
            return refuse_text({Code::column_missing, which, place}, setting, " = ", Quoted(name),
                               ": another setting names this column too");
        return at;
    };
    const auto assign = [&](const std::string& name, std::string_view setting, std::int64_t which,
                            Role role) -> FileResult<void> {
        const auto at = take(name, setting, which);
        if (!at) return tl::unexpected(at.error());
        attributes[*at].role = role;
        return {};
    };
    for (const std::string& name : choice.ignored) {
        const auto at = find(name, "data.ignored", 3, 0);
        if (!at) return tl::unexpected(at.error());
        attributes[*at].role = Role::ignored;
    }
    if (!choice.label.empty()) {
        if (auto done = assign(choice.label, "data.label", 0, Role::label); !done) return done;
    }
    if (!choice.user.empty()) {
        if (auto done = assign(choice.user, "data.user", 1, Role::user); !done) return done;
    }
    for (std::size_t k = 0; k < choice.features.size(); ++k) {
        const auto at = take(choice.features[k], "data.features", 4, static_cast<std::int64_t>(k));
        if (!at) return tl::unexpected(at.error());
        listed[*at] = true;
        order.push_back(*at);
    }
    if (choice.user.empty()) choose_user(listed);
    for (std::size_t k = 0; k < attributes.size(); ++k) {
        if (!listed[k] && attributes[k].role == Role::feature && same_but_case(attributes[k].name, "UNIQUE_ID"))
            attributes[k].role = Role::ignored;
    }
    if (choice.label.empty()) choose_label(listed);
    if (std::none_of(attributes.begin(), attributes.end(), [](const auto& a) { return a.role == Role::label; }))
        return refuse_text({Code::column_missing, 0},
                           "no column of classes: none is called class, label, activity, target or category, and "
                           "none is nominal; name it with data.label (the file has ",
                           attributes.empty() ? "no columns" : names(), ")");
    for (std::size_t k = 0; k < attributes.size(); ++k) {
        if (attributes[k].role != Role::feature || listed[k]) continue;
        if (choice.features.empty())
            order.push_back(k);
        else
            attributes[k].role = Role::ignored;
    }
    return {};
}

FileResult<void> TableHeader::lay_out(std::int64_t line) {
    std::vector<std::string> nominal, dates;
    for (const std::size_t k : order) {
        TableAttribute& attribute = attributes[k];
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
