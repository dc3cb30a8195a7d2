// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "training/host/failure.hpp"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace dunlin {

/// The settings of an experiment: each a key ("rl.horizon"), a place in a struct, a line of help and the values
/// that it may take. One list serves reading TOML, `--set KEY=VALUE`, the resolved config.toml of a run and the
/// help text, so that none of them forgets a setting. Keys that are not in the list are errors.
class Settings {
public:
    /// Whole and real numbers in [low, high]; `open_low` leaves `low` itself out.
    struct Range {
        double low = -std::numeric_limits<double>::infinity();
        double high = std::numeric_limits<double>::infinity();
        bool open_low = false;
    };

    /// The setting that was added, to say more about it.
    class Added {
    public:
        Added(Settings& list, std::string key) : list_(list), key_(std::move(key)) {}
        /// A run may go on with another value: what was done so far does not depend on it. It says how long a run is
        /// (who goes on refuses less than was done), or what is said about it.
        void may_change() const { list_.let_change(key_); }

    private:
        Settings& list_;
        std::string key_;
    };

    Added add(std::string key, bool& place, std::string help);
    Added add(std::string key, int& place, std::string help, Range range);
    Added add(std::string key, std::uint64_t& place, std::string help);
    Added add(std::string key, float& place, std::string help, Range range);
    Added add(std::string key, std::string& place, std::string help);
    /// A file or folder; or, where `is_name` says so, a name that only looks like one. "~/" is expanded when it is
    /// read. In a document that is written for later it is absolute, so that it means the same from any folder.
    Added add_path(std::string key, std::string& place, std::string help,
                   bool (*is_name)(std::string_view) = nullptr);
    Added add(std::string key, std::vector<int>& place, std::string help, Range range);
    Added add(std::string key, std::vector<float>& place, std::string help, Range range);
    /// Elements that `is_path` picks out are paths, as above.
    Added add(std::string key, std::vector<std::string>& place, std::string help,
              bool (*is_path)(std::string_view) = nullptr);
    /// One of named values.
    template <class Enum>
    Added add(std::string key, Enum& place, std::string help,
              std::initializer_list<std::pair<std::string_view, Enum>> names) {
        return add(std::move(key), place, std::move(help), std::span(names.begin(), names.size()));
    }
    template <class Enum>
    Added add(std::string key, Enum& place, std::string help,
              std::span<const std::pair<std::string_view, Enum>> names) {
        Choice choice;
        for (const auto& [name, value] : names) {
            choice.names.emplace_back(name);
            choice.values.push_back(static_cast<int>(value));
        }
        choice.get = [&place] { return static_cast<int>(place); };
        choice.set = [&place](int value) { place = static_cast<Enum>(value); };
        return insert({std::move(key), std::move(help), std::move(choice), {}, nullptr, {}});
    }

    /// Reads a document over what the structs hold; `where` names it in errors. Every key must be known and every
    /// value of its type and range. The section [methods] is left to method_settings.hpp.
    Outcome<void> read(std::string_view toml, std::string_view where);
    /// One "KEY=VALUE". The setting says how VALUE is read, not its looks: numbers are decimal (text_values.hpp),
    /// text is taken as it stands (in quotes as in TOML), lists are in brackets as in TOML, where text needs no
    /// quotes. Errors: an unknown key, an empty value, a value of another type or out of range.
    Outcome<void> set(std::string_view assignment);

    /// A name for what several settings say together: `place` is what they all point into, `stands_for` are their
    /// keys. It is read before everything else of a document, so that the settings themselves may change it, and
    /// written in their stead while `place` has a name.
    template <class Value>
    void add_preset(std::string key, Value& place, std::string help,
                    std::vector<std::pair<std::string_view, Value>> names, std::vector<std::string> stands_for) {
        Choice choice;
        for (std::size_t k = 0; k < names.size(); ++k) {
            choice.names.emplace_back(names[k].first);
            choice.values.push_back(static_cast<int>(k));
        }
        choice.get = [&place, names] {
            const auto found = std::ranges::find(names, place, &std::pair<std::string_view, Value>::second);
            return found == names.end() ? unnamed : static_cast<int>(found - names.begin());
        };
        choice.set = [&place, names](int value) { place = names[static_cast<std::size_t>(value)].second; };
        insert({std::move(key), std::move(help), std::move(choice), {}, nullptr, std::move(stands_for)});
    }

    /// All of them, presets first, wherever they stand, since the settings that they stand for say more.
    Outcome<void> set(std::span<const std::string> assignments);

    enum class Paths : std::uint8_t { absolute, as_given };
    /// All settings as a TOML document with the help as comments; reading it gives the same settings, with absolute
    /// paths from any folder. Keys of `unless` are left out while they have the value (as TOML) that stands beside
    /// them there.
    std::string write(Paths paths = Paths::absolute,
                      std::span<const std::pair<std::string_view, std::string_view>> unless = {}) const;
    /// One line a setting: key, value, help, range or choices.
    std::string help() const;
    /// The value of one setting as TOML; empty when there is no such key.
    std::string value(std::string_view key) const;

    /// The names that a setting may have; none where it is of another type.
    std::vector<std::string> choices(std::string_view key) const;

    /// All values as TOML, by key, with absolute paths.
    std::map<std::string, std::string> values() const;
    /// May a run that began with `before` go on with what the list holds now? Error: names a setting that it may not
    /// change, as `assignments` do where they change it, and says what to do.
    Outcome<void> check_resumed(const std::map<std::string, std::string>& before,
                                std::span<const std::string> assignments) const;

private:
    struct Choice {
        std::vector<std::string> names;
        std::vector<int> values;
        std::function<int()> get;
        std::function<void(int)> set;
    };
    static constexpr int unnamed = -1;  ///< what a preset's choice is while its place has no name
    struct Path {
        std::string* place;
        bool (*is_name)(std::string_view);
    };
    struct Entry {
        std::string key;
        std::string help;
        std::variant<bool*, int*, std::uint64_t*, float*, std::string*, std::vector<int>*, std::vector<float>*,
                     std::vector<std::string>*, Path, Choice>
            place;
        Range range;
        bool (*is_path)(std::string_view) = nullptr;  ///< of a list's elements
        std::vector<std::string> stands_for;          ///< of a preset
        bool may_change = false;

        bool is_preset() const { return !stands_for.empty(); }
        bool has_name() const;  ///< of a preset
    };

    const Entry* find(std::string_view key) const;
    std::string nearest(std::string_view key) const;
    static std::string text(const Entry& entry, Paths paths = Paths::as_given);
    static std::string constraint(const Entry& entry);

    /// Is it left to a preset to say this, or the other way round?
    bool said_otherwise(const Entry& entry) const;

    struct Reader;
    /// Behind the others of its section, since a TOML file may open a section once only.
    Added insert(Entry entry);
    void let_change(std::string_view key);

    std::vector<Entry> entries_;
};

/// What a document says before its first section: the text or number of this key; empty without one, or where the
/// document is no TOML.
std::string top_level_value(std::string_view document, std::string_view key);

}  // namespace dunlin
