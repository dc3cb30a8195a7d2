// SPDX-License-Identifier: Apache-2.0
#include "fleet/settings.hpp"

#include "fleet/plain_text.hpp"
#include "fleet/text_values.hpp"
#include "transport/wire/limits.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#define TOML_EXCEPTIONS 0
#define TOML_HEADER_ONLY 1  // the packaged library is built with exceptions
#include <algorithm>
#include <cmath>
#include <sstream>

#include <toml++/toml.h>

namespace dunlin {
namespace {

/// Letters to change, add or drop to make one word of the other.
std::size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> row(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        std::size_t diagonal = row[0];
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t above = row[j];
            row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
            diagonal = above;
        }
    }
    return row[b.size()];
}

/// The shortest decimal that reads back as the same float, always with a point or an exponent.
std::string decimal(float value) {
    std::string text = fmt::format("{}", value);
    if (text.find_first_of(".en") == std::string::npos) text += ".0";
    return text;
}

std::string written_path(const std::string& path, Settings::Paths paths) {
    std::error_code lost;  // the current folder may be gone
    if (paths == Settings::Paths::as_given || path.empty()) return path;
    const std::filesystem::path absolute = std::filesystem::absolute(path, lost);
    return lost ? path : absolute.lexically_normal().string();
}

/// What is refused may be anything: a message about it stays one line, and does nothing to a terminal.
tl::unexpected<Problem> refusal(std::string_view text) {
    return problem(shown(text, false));
}

std::string section_of(std::string_view key) {
    const std::size_t dot = key.rfind('.');
    return dot == std::string_view::npos ? std::string() : std::string(key.substr(0, dot));
}

}  // namespace

/// Walks a parsed document and stores what it finds.
struct Settings::Reader {
    Settings& settings;
    std::string_view where;
    bool presets = false;  ///< stores these, or everything else

    std::string place(const toml::node& node) const {
        return node.source().begin ? fmt::format("{}:{}", where, node.source().begin.line) : std::string(where);
    }

    tl::unexpected<Problem> wrong(const Entry& entry, const toml::node& node, std::string_view wanted) const {
        std::ostringstream value;
        node.visit([&value](const auto& concrete) { value << concrete; });
        return refusal(fmt::format("{}: {} = {}: expected {}", place(node), entry.key, value.str(), wanted));
    }

    Outcome<void> table(const toml::table& table, const std::string& prefix) const {
        for (const auto& [name, node] : table) {
            const std::string key =
                prefix.empty() ? std::string(name.str()) : prefix + "." + std::string(name.str());
            if (const toml::table* inner = node.as_table()) {
                const bool known = std::ranges::any_of(
                    settings.entries_, [&](const Entry& entry) { return entry.key.starts_with(key + "."); });
                if (!known)
                    return refusal(fmt::format("{}: unknown section [{}]; see `dunlin train EXPERIMENT --help`",
                                               place(node), key));
                if (auto done = this->table(*inner, key); !done) return done;
                continue;
            }
            const Entry* entry = settings.find(key);
            if (entry == nullptr) {
                return refusal(
                    fmt::format("{}: unknown key {}; did you mean {}?", place(node), key, settings.nearest(key)));
            }
            if (entry->is_preset() != presets) continue;
            if (auto done = store(*entry, node); !done) return done;
        }
        return {};
    }

    /// One line of text, or a path that may hold even a line break.
    static std::optional<std::string> text_of(const toml::node& node, bool path = false) {
        const auto text = node.value<std::string>();
        return node.is_string() && is_text(*text, path) ? text : std::nullopt;
    }

    bool inside(const Range& range, double value) const {
        return value <= range.high && (range.open_low ? value > range.low : value >= range.low);
    }

    /// Text as it stands, or as a TOML string says it. nullopt: none at all.
    static std::optional<std::string> typed_text(std::string_view typed) {
        if (typed.empty()) return std::nullopt;
        if (typed[0] == '"' || typed[0] == '\'') {
            const toml::parse_result parsed = toml::parse("value = " + std::string(typed));
            if (parsed && parsed.table().size() == 1 && parsed.table()["value"].is_string())
                return parsed.table()["value"].value<std::string>();
        }
        return std::string(typed);
    }

    /// Appends what was typed for this setting. False: it is of another type.
    static bool put(const Entry& entry, std::string_view typed, toml::array& out) {
        return std::visit(
            [&](const auto& place) {
                using Place = std::decay_t<decltype(place)>;
                constexpr bool whole_numbers = std::is_same_v<Place, std::vector<int>*>;
                if constexpr (std::is_same_v<Place, bool*>) {
                    if (typed != "true" && typed != "false") return false;
                    out.push_back(typed == "true");
                } else if constexpr (std::is_same_v<Place, int*> || std::is_same_v<Place, std::uint64_t*>) {
                    const auto number = whole_number(typed);
                    if (!number) return false;
                    out.push_back(*number);
                } else if constexpr (std::is_same_v<Place, float*>) {
                    const auto number = real_number(typed);
                    if (!number) return false;
                    out.push_back(*number);
                } else if constexpr (whole_numbers || std::is_same_v<Place, std::vector<std::string>*>) {
                    if (!typed.starts_with('[') || !typed.ends_with(']') || typed.size() < 2) return false;
                    std::vector<std::string> parts = split_list(typed.substr(1, typed.size() - 2));
                    if (parts.back().empty()) parts.pop_back();  // "[]", and "[1, 2,]" as TOML has it
                    toml::array list;
                    for (const std::string& part : parts) {
                        const auto number = whole_numbers ? whole_number(part) : std::nullopt;
                        const auto text = whole_numbers ? std::nullopt : typed_text(part);
                        if (number) list.push_back(*number);
                        if (text) list.push_back(*text);
                        if (!number && !text) return false;
                    }
                    out.push_back(std::move(list));
                } else {
                    const auto text = typed_text(typed);
                    if (!text) return false;
                    out.push_back(*text);
                }
                return true;
            },
            entry.place);
    }

    Outcome<void> store(const Entry& entry, const toml::node& node) const {
        const auto wrong_type = [&] { return wrong(entry, node, constraint(entry)); };
        return std::visit(
            [&](auto& place) -> Outcome<void> {
                using Place = std::decay_t<decltype(place)>;
                if constexpr (std::is_same_v<Place, bool*>) {
                    if (!node.is_boolean()) return wrong_type();
                    *place = *node.value<bool>();
                } else if constexpr (std::is_same_v<Place, int*>) {
                    if (!node.is_integer() ||
                        !inside(entry.range, static_cast<double>(*node.value<std::int64_t>())))
                        return wrong_type();
                    *place = static_cast<int>(*node.value<std::int64_t>());
                } else if constexpr (std::is_same_v<Place, std::uint64_t*>) {
                    if (!node.is_integer() || *node.value<std::int64_t>() < 0) return wrong_type();
                    *place = static_cast<std::uint64_t>(*node.value<std::int64_t>());
                } else if constexpr (std::is_same_v<Place, float*>) {
                    if (!node.is_number()) return wrong_type();
                    const double value = *node.value<double>();
                    const auto stored = static_cast<float>(value);  // a tiny number becomes 0, a huge one infinity
                    const bool kept = std::isfinite(stored) && (stored != 0.0f || value == 0.0);
                    if (!kept || !inside(entry.range, value)) return wrong_type();
                    *place = stored;
                } else if constexpr (std::is_same_v<Place, std::string*>) {
                    const auto value = text_of(node);
                    if (!value) return wrong_type();
                    *place = *value;
                } else if constexpr (std::is_same_v<Place, Path>) {
                    const auto value = text_of(node, true);
                    if (!value) return wrong_type();
                    *place.place = expand_home(*value);
                } else if constexpr (std::is_same_v<Place, std::vector<int>*>) {
                    const toml::array* array = node.as_array();
                    if (array == nullptr) return wrong_type();
                    std::vector<int> values;
                    for (const toml::node& element : *array) {
                        if (!element.is_integer() ||
                            !inside(entry.range, static_cast<double>(*element.value<std::int64_t>())))
                            return wrong_type();
                        values.push_back(static_cast<int>(*element.value<std::int64_t>()));
                    }
                    *place = std::move(values);
                } else if constexpr (std::is_same_v<Place, std::vector<std::string>*>) {
                    const toml::array* array = node.as_array();
                    if (array == nullptr) return wrong_type();
                    std::vector<std::string> values;
                    for (const toml::node& element : *array) {
                        if (element.is_integer()) {
                            values.push_back(fmt::format("{}", *element.value<std::int64_t>()));
                            continue;
                        }
                        const auto value = text_of(element);
                        if (!value) return wrong_type();
                        const bool is_path = entry.is_path != nullptr && entry.is_path(*value);
                        values.push_back(is_path ? expand_home(*value) : *value);
                    }
                    *place = std::move(values);
                } else {
                    if (!node.is_string()) return wrong_type();
                    const auto found = std::ranges::find(place.names, *node.value<std::string>());
                    if (found == place.names.end()) return wrong_type();
                    place.set(place.values[static_cast<std::size_t>(found - place.names.begin())]);
                }
                return {};
            },
            entry.place);
    }
};

void Settings::add(std::string key, bool& place, std::string help) {
    insert({std::move(key), std::move(help), &place, {}, nullptr, {}});
}
void Settings::add(std::string key, int& place, std::string help, Range range) {
    range.low = std::max(range.low, static_cast<double>(std::numeric_limits<int>::min()));
    range.high = std::min(range.high, static_cast<double>(std::numeric_limits<int>::max()));
    insert({std::move(key), std::move(help), &place, range, nullptr, {}});
}
void Settings::add(std::string key, std::uint64_t& place, std::string help) {
    insert({std::move(key), std::move(help), &place, {}, nullptr, {}});
}
void Settings::add(std::string key, float& place, std::string help, Range range) {
    insert({std::move(key), std::move(help), &place, range, nullptr, {}});
}
void Settings::add(std::string key, std::string& place, std::string help) {
    insert({std::move(key), std::move(help), &place, {}, nullptr, {}});
}
void Settings::add_path(std::string key, std::string& place, std::string help, bool (*is_name)(std::string_view)) {
    insert({std::move(key), std::move(help), Path{&place, is_name}, {}, nullptr, {}});
}
void Settings::add(std::string key, std::vector<int>& place, std::string help, Range range) {
    insert({std::move(key), std::move(help), &place, range, nullptr, {}});
}
void Settings::add(std::string key, std::vector<std::string>& place, std::string help,
                   bool (*is_path)(std::string_view)) {
    insert({std::move(key), std::move(help), &place, {}, is_path, {}});
}

Outcome<void> Settings::read(std::string_view document, std::string_view where) {
    const toml::parse_result parsed = toml::parse(document);
    if (!parsed) {
        return refusal(
            fmt::format("{}:{}: {}", where, parsed.error().source().begin.line, parsed.error().description()));
    }
    return Reader{*this, where, true}.table(parsed.table(), "").and_then([&] {
        return Reader{*this, where}.table(parsed.table(), "");
    });
}

Outcome<void> Settings::set(std::string_view assignment) {
    const std::size_t equals = assignment.find('=');
    if (equals == std::string_view::npos || equals == 0) {
        return refusal(fmt::format("--set {}: expected KEY=VALUE, for example --set rl.horizon=30", assignment));
    }
    if (!is_text(assignment, true))
        return refusal(fmt::format("--set {}: not UTF-8, or with control characters", assignment));
    const std::string key(assignment.substr(0, equals));
    const std::string_view value = assignment.substr(equals + 1);
    const Entry* entry = find(key);
    if (entry == nullptr)
        return refusal(fmt::format("--set {}: unknown key {}; did you mean {}?", assignment, key, nearest(key)));
    const auto expected = [&] {
        const bool text =
            std::holds_alternative<std::string*>(entry->place) || std::holds_alternative<Path>(entry->place);
        const std::string_view empty = text && value.empty() ? "; an empty one is \"\", quotes and all" : "";
        return refusal(fmt::format("--set {}: expected {}{}", assignment, constraint(*entry), empty));
    };
    toml::array holder;  // of the one value
    if (!Reader::put(*entry, value, holder)) return expected();
    if (!Reader{*this, "--set"}.store(*entry, holder[0])) return expected();
    return {};
}

std::string Settings::text(const Entry& entry, Paths paths) {
    return std::visit(
        [&](const auto& place) -> std::string {
            using Place = std::decay_t<decltype(place)>;
            if constexpr (std::is_same_v<Place, Choice>) {
                const auto found = std::ranges::find(place.values, place.get());
                if (found == place.values.end()) return "by its parts";
                return toml_string(place.names[static_cast<std::size_t>(found - place.values.begin())]);
            } else if constexpr (std::is_same_v<Place, std::string*>) {
                return toml_string(*place);
            } else if constexpr (std::is_same_v<Place, Path>) {
                const bool is_name = place.is_name != nullptr && place.is_name(*place.place);
                return toml_string(is_name ? *place.place : written_path(*place.place, paths));
            } else if constexpr (std::is_same_v<Place, float*>) {
                return decimal(*place);
            } else if constexpr (std::is_same_v<Place, std::vector<std::string>*>) {
                std::vector<std::string> quotes;
                for (const std::string& element : *place) {
                    const bool is_path = entry.is_path != nullptr && entry.is_path(element);
                    quotes.push_back(toml_string(is_path ? written_path(element, paths) : element));
                }
                return fmt::format("[{}]", fmt::join(quotes, ", "));
            } else if constexpr (std::is_same_v<Place, std::vector<int>*>) {
                return fmt::format("[{}]", fmt::join(*place, ", "));
            } else {
                return fmt::format("{}", *place);
            }
        },
        entry.place);
}

std::string Settings::constraint(const Entry& entry) {
    const Range& range = entry.range;
    const auto bounds = [&] {
        const bool low = std::isfinite(range.low) && range.low > -2e9,
                   high = std::isfinite(range.high) && range.high < 2e9;
        if (low && high)
            return fmt::format(" {} {} and at most {}", range.open_low ? "above" : "at least", range.low,
                               range.high);
        if (low) return fmt::format(" {} {}", range.open_low ? "above" : "of at least", range.low);
        return high ? fmt::format(" of at most {}", range.high) : std::string();
    };
    return std::visit(
        [&](const auto& place) -> std::string {
            using Place = std::decay_t<decltype(place)>;
            if constexpr (std::is_same_v<Place, Choice>)
                return fmt::format("one of {}", fmt::join(place.names, ", "));
            if constexpr (std::is_same_v<Place, bool*>) return "true or false";
            if constexpr (std::is_same_v<Place, int*>) return "a whole number" + bounds();
            if constexpr (std::is_same_v<Place, std::uint64_t*>)
                return "a whole number from 0 to 9223372036854775807";
            if constexpr (std::is_same_v<Place, float*>) return "a number" + bounds();
            if constexpr (std::is_same_v<Place, std::vector<int>*>)
                return "a list of whole numbers" + (bounds().empty() ? "" : ", each" + bounds());
            if constexpr (std::is_same_v<Place, std::vector<std::string>*>)
                return "a list of strings, each of one line";
            if constexpr (std::is_same_v<Place, Path>) return "a path (a string)";
            return "a string of one line, without control characters";
        },
        entry.place);
}

bool Settings::Entry::has_name() const {
    return std::get<Choice>(place).get() != unnamed;
}

bool Settings::said_otherwise(const Entry& entry) const {
    if (entry.is_preset()) return !entry.has_name();
    return std::ranges::any_of(entries_, [&](const Entry& other) {
        return other.is_preset() && other.has_name() && std::ranges::count(other.stands_for, entry.key) > 0;
    });
}

void Settings::insert(Entry entry) {
    const std::string own = section_of(entry.key);
    const auto last = std::find_if(entries_.rbegin(), entries_.rend(),
                                   [&](const Entry& other) { return section_of(other.key) == own; });
    entries_.insert(last == entries_.rend() && !own.empty() ? entries_.end() : last.base(), std::move(entry));
}

std::string Settings::write(Paths paths,
                            std::span<const std::pair<std::string_view, std::string_view>> unless) const {
    std::string out, section;
    for (const Entry& entry : entries_) {
        const auto known = std::ranges::find(unless, entry.key, [](const auto& pair) { return pair.first; });
        if (known != unless.end() && known->second == text(entry)) continue;
        if (said_otherwise(entry)) continue;
        const std::string own = section_of(entry.key);
        if (own != section) out += fmt::format("\n[{}]\n", own);
        section = own;
        const std::size_t skip = own.empty() ? 0 : own.size() + 1;
        const std::string line = fmt::format("{} = {}", entry.key.substr(skip), text(entry, paths));
        out += fmt::format("{:<34} # {}\n", line, entry.help);
    }
    return out;
}

std::string Settings::help() const {
    std::string out;
    for (const Entry& entry : entries_) {
        out += fmt::format("  {:<28} {} ({}; now {})\n", entry.key, entry.help, constraint(entry), text(entry));
    }
    return out;
}

std::string Settings::value(std::string_view key) const {
    const Entry* entry = find(key);
    return entry == nullptr ? std::string() : text(*entry);
}

std::string top_level_value(std::string_view document, std::string_view key) {
    const toml::parse_result parsed = toml::parse(document);
    const toml::node* node = parsed ? parsed.table().get(key) : nullptr;
    if (node == nullptr) return {};
    if (node->is_integer()) return fmt::format("{}", *node->value<std::int64_t>());
    return node->value_or(std::string());
}

const Settings::Entry* Settings::find(std::string_view key) const {
    const auto found = std::ranges::find(entries_, key, &Entry::key);
    return found == entries_.end() ? nullptr : &*found;
}

std::string Settings::nearest(std::string_view key) const {
    const auto distance = [key](const Entry& entry) { return edit_distance(key, entry.key); };
    return std::ranges::min_element(entries_, {}, distance)->key;
}

}  // namespace dunlin
