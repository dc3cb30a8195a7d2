// SPDX-License-Identifier: Apache-2.0
#include "training/settings/settings.hpp"

#include "training/settings/settings_reader.hpp"
#include "transport/wire/limits.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

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

std::string section_of(std::string_view key) {
    const std::size_t dot = key.rfind('.');
    return dot == std::string_view::npos ? std::string() : std::string(key.substr(0, dot));
}

}  // namespace

Settings::Added Settings::add(std::string key, bool& place, std::string help) {
    return insert({std::move(key), std::move(help), &place, {}, nullptr, {}});
}
Settings::Added Settings::add(std::string key, int& place, std::string help, Range range) {
    range.low = std::max(range.low, static_cast<double>(std::numeric_limits<int>::min()));
    range.high = std::min(range.high, static_cast<double>(std::numeric_limits<int>::max()));
    return insert({std::move(key), std::move(help), &place, range, nullptr, {}});
}
Settings::Added Settings::add(std::string key, std::uint64_t& place, std::string help) {
    return insert({std::move(key), std::move(help), &place, {}, nullptr, {}});
}
Settings::Added Settings::add(std::string key, float& place, std::string help, Range range) {
    return insert({std::move(key), std::move(help), &place, range, nullptr, {}});
}
Settings::Added Settings::add(std::string key, std::string& place, std::string help) {
    return insert({std::move(key), std::move(help), &place, {}, nullptr, {}});
}
Settings::Added Settings::add_path(std::string key, std::string& place, std::string help,
                                   bool (*is_name)(std::string_view)) {
    return insert({std::move(key), std::move(help), Path{&place, is_name}, {}, nullptr, {}});
}
Settings::Added Settings::add(std::string key, std::vector<int>& place, std::string help, Range range) {
    return insert({std::move(key), std::move(help), &place, range, nullptr, {}});
}
Settings::Added Settings::add(std::string key, std::vector<float>& place, std::string help, Range range) {
    return insert({std::move(key), std::move(help), &place, range, nullptr, {}});
}
Settings::Added Settings::add(std::string key, std::vector<std::string>& place, std::string help,
                              bool (*is_path)(std::string_view)) {
    return insert({std::move(key), std::move(help), &place, {}, is_path, {}});
}

Outcome<void> Settings::read(std::string_view document, std::string_view where) {
    toml::parse_result parsed = toml::parse(document);
    if (!parsed) {
        return refusal(
            fmt::format("{}:{}: {}", where, parsed.error().source().begin.line, parsed.error().description()));
    }
    parsed.table().erase("methods");  // each method's own: method_settings.hpp
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

std::vector<std::string> Settings::choices(std::string_view key) const {
    const Entry* entry = find(key);
    const Choice* choice = entry == nullptr ? nullptr : std::get_if<Choice>(&entry->place);
    return choice == nullptr ? std::vector<std::string>{} : choice->names;
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
            } else if constexpr (std::is_same_v<Place, std::vector<float>*>) {
                std::vector<std::string> numbers;
                for (const float value : *place) numbers.push_back(decimal(value));
                return fmt::format("[{}]", fmt::join(numbers, ", "));
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
            if constexpr (std::is_same_v<Place, std::vector<float>*>)
                return "a list of numbers" + (bounds().empty() ? "" : ", each" + bounds());
            if constexpr (std::is_same_v<Place, std::vector<std::string>*>)
                return "a list of strings, each of one line";
            if constexpr (std::is_same_v<Place, Path>) return "a path (a string)";
            return "a string of one line, without control characters";
        },
        entry.place);
}

Outcome<void> Settings::set(std::span<const std::string> assignments) {
    for (const bool presets : {true, false}) {
        for (const std::string& assignment : assignments) {
            const Entry* entry = find(std::string_view(assignment).substr(0, assignment.find('=')));
            if ((entry != nullptr && entry->is_preset()) != presets) continue;
            if (Outcome<void> done = set(std::string_view(assignment)); !done) return done;
        }
    }
    return {};
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

Settings::Added Settings::insert(Entry entry) {
    const std::string own = section_of(entry.key), key = entry.key;
    const auto last = std::find_if(entries_.rbegin(), entries_.rend(),
                                   [&](const Entry& other) { return section_of(other.key) == own; });
    entries_.insert(last == entries_.rend() && !own.empty() ? entries_.end() : last.base(), std::move(entry));
    return {*this, key};
}

void Settings::let_change(std::string_view key) {
    std::ranges::find(entries_, key, &Entry::key)->may_change = true;
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
