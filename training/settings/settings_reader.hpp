// SPDX-License-Identifier: Apache-2.0
#pragma once

// For training/settings/settings.cpp alone: how values are read from TOML and from a command line.

#include "training/host/plain_text.hpp"
#include "training/host/text_values.hpp"
#include "training/host/toml.hpp"
#include "training/settings/settings.hpp"
#include "transport/wire/limits.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <sstream>

#include <fmt/format.h>

namespace dunlin {

/// What is refused may be anything: a message about it stays one line, and does nothing to a terminal.
inline tl::unexpected<Failure> refusal(std::string_view text) {
    return refuse(shown(text, false));
}

/// Walks a parsed document and stores what it finds.
struct Settings::Reader {
    Settings& settings;
    std::string_view where;
    bool presets = false;  ///< stores these, or everything else

    std::string place(const toml::node& node) const {
        return node.source().begin ? fmt::format("{}:{}", where, node.source().begin.line) : std::string(where);
    }

    tl::unexpected<Failure> wrong(const Entry& entry, const toml::node& node, std::string_view wanted) const {
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
    std::optional<float> float_of(const Entry& entry, const toml::node& node) const {
        if (!node.is_number()) return std::nullopt;
        const double value = *node.value<double>();
        const auto stored = static_cast<float>(value);  // a tiny number becomes 0, a huge one infinity
        const bool kept = std::isfinite(stored) && (stored != 0.0f || value == 0.0);
        return kept && inside(entry.range, value) ? std::optional(stored) : std::nullopt;
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
                constexpr bool numbers = std::is_same_v<Place, std::vector<float>*>;
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
                } else if constexpr (whole_numbers || numbers || std::is_same_v<Place, std::vector<std::string>*>) {
                    if (!typed.starts_with('[') || !typed.ends_with(']') || typed.size() < 2) return false;
                    std::vector<std::string> parts = split_list(typed.substr(1, typed.size() - 2));
                    if (parts.back().empty()) parts.pop_back();  // "[]", and "[1, 2,]" as TOML has it
                    toml::array list;
                    for (const std::string& part : parts) {
                        if constexpr (numbers) {
                            const auto real = real_number(part);
                            if (!real) return false;
                            list.push_back(*real);
                            continue;
                        }
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
                    const auto value = float_of(entry, node);
                    if (!value) return wrong_type();
                    *place = *value;
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
                } else if constexpr (std::is_same_v<Place, std::vector<float>*>) {
                    const toml::array* array = node.as_array();
                    if (array == nullptr) return wrong_type();
                    std::vector<float> values;
                    for (const toml::node& element : *array) {
                        const auto value = float_of(entry, element);
                        if (!value) return wrong_type();
                        values.push_back(*value);
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

}  // namespace dunlin
