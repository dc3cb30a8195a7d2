// SPDX-License-Identifier: Apache-2.0
#include "training/settings/method_settings.hpp"

#include "training/host/toml.hpp"

#include <algorithm>
#include <sstream>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace dunlin {
namespace {

Outcome<void> collect(const toml::table& table, const std::string& method, const std::string& prefix,
                      std::string_view where, std::vector<MethodSetting>& out) {
    for (const auto& [name, node] : table) {
        const std::string key = prefix.empty() ? std::string(name.str()) : prefix + "." + std::string(name.str());
        if (const toml::table* inner = node.as_table()) {
            if (method.empty()) {
                if (auto done = collect(*inner, key, "", where, out); !done) return done;
            } else if (auto done = collect(*inner, method, key, where, out); !done) {
                return done;
            }
            continue;
        }
        if (method.empty())
            return refuse(
                fmt::format("{}: [methods] {}: expected a section of a method, [methods.NAME]", where, key));
        std::ostringstream value;
        node.visit([&value](const auto& concrete) { value << concrete; });
        out.push_back({method, key + "=" + value.str()});
    }
    return {};
}

}  // namespace

Outcome<std::vector<MethodSetting>> method_settings(std::string_view text, std::string_view where) {
    const toml::parse_result parsed = toml::parse(text);
    if (!parsed)
        return refuse(
            fmt::format("{}:{}: {}", where, parsed.error().source().begin.line, parsed.error().description()));
    std::vector<MethodSetting> all;
    const toml::table* methods = parsed.table()["methods"].as_table();
    if (methods == nullptr) return all;
    if (auto done = collect(*methods, "", "", where, all); !done) return tl::unexpected(done.error());
    return all;
}

MethodSetting split_method(std::string_view assignment) {
    const std::size_t colon = assignment.find(':'), equals = assignment.find('=');
    if (colon == std::string_view::npos || colon == 0 || colon > equals) return {"", std::string(assignment)};
    return {std::string(assignment.substr(0, colon)), std::string(assignment.substr(colon + 1))};
}

std::vector<std::string> keys_of(std::string_view text) {
    std::vector<std::string> keys;
    const toml::parse_result parsed = toml::parse(text);
    if (!parsed) return keys;
    for (const auto& [name, node] : parsed.table()) {
        const toml::table* const section = node.as_table();
        if (section == nullptr) keys.emplace_back(name.str());
        if (section == nullptr) continue;
        for (const auto& [key, value] : *section) keys.push_back(fmt::format("{}.{}", name.str(), key.str()));
    }
    return keys;
}

Outcome<std::string> whole_key(const Settings& settings, std::string_view method_key, const MethodSetting& one) {
    std::vector<std::string> keys;
    for (const auto& [key, value] : settings.values()) keys.push_back(key);
    return whole_key(keys, method_key, one);
}

Outcome<std::string> whole_key(const std::vector<std::string>& keys, std::string_view method_key,
                               const MethodSetting& one) {
    const std::size_t equals = one.assignment.find('=');
    std::string key = one.assignment.substr(0, equals);
    const std::string value = equals == std::string::npos ? "" : one.assignment.substr(equals);
    if (std::ranges::find(keys, key) != keys.end()) return one.assignment;
    constexpr std::string_view objective = "objective.";
    if (key.starts_with(objective)) key.erase(0, objective.size());
    std::vector<std::string> found;
    for (const std::string& known : keys) {
        if (known.substr(known.rfind('.') + 1) == key) found.push_back(known);
    }
    if (found.size() == 1) return found.front() + value;
    const std::string_view of_methods = method_key.substr(0, method_key.find('.'));
    // "maml" is the section of maml, fomaml and imaml, and of those that are MAMLs by another name.
    const bool is_maml = one.method == "anil" || one.method == "meta-sgd";
    for (const bool own : {true, false}) {
        for (const std::string& known : found) {
            const std::string section = known.substr(0, known.find('.'));
            const bool its_own = one.method.ends_with(section) || (is_maml && section == "maml");
            if (own ? section != of_methods && its_own : section == of_methods) return known + value;
        }
    }
    if (found.empty())
        return refuse(fmt::format("{}: no setting {}; see `dunlin train EXPERIMENT --help`", one.text(), key));
    return refuse(fmt::format("{}: which of {}?", one.text(), fmt::join(found, ", ")));
}

}  // namespace dunlin
