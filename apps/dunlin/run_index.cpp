// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/run_index.hpp"

#include "apps/dunlin/run_directory.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

namespace dunlin::app {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using Pairs = std::vector<std::pair<std::string, std::string>>;

/// Nanoseconds since 1970; 0: no such file.
std::int64_t changed_ns(const fs::path& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) return 0;
    return static_cast<std::int64_t>(status.st_mtim.tv_sec) * 1'000'000'000 + status.st_mtim.tv_nsec;
}

/// Does a process write there? The lock of directory_lock.hpp; asking for it takes nobody's.
bool in_use(const fs::path& directory) {
    const int descriptor = ::open((directory / ".in-use").c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return false;
    const bool held = ::flock(descriptor, LOCK_SH | LOCK_NB) != 0;
    ::close(descriptor);
    return held;
}

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r'))
        text.remove_suffix(1);
    return text;
}

/// A value without the comment behind it.
std::string_view without_comment(std::string_view text) {
    bool quoted = false;
    for (std::size_t k = 0; k < text.size(); ++k) {
        if (text[k] == '\\' && quoted)
            ++k;
        else if (text[k] == '"')
            quoted = !quoted;
        else if (text[k] == '#' && !quoted)
            return trimmed(text.substr(0, k));
    }
    return trimmed(text);
}

bool shown(const Json& value) {
    return value.is_number() || value.is_string() || value.is_boolean();
}

std::string dumped(const Json& value) {
    return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

/// Of a list of objects, each number that all of them may have.
void add_list(const std::string& key, const Json& list, Pairs& out) {
    std::vector<std::pair<std::string, std::vector<double>>> columns;
    for (const Json& one : list) {
        if (!one.is_object()) return;
        for (const auto& [name, value] : one.items()) {
            if (!value.is_number()) continue;
            auto at = std::ranges::find(columns, name, &std::pair<std::string, std::vector<double>>::first);
            if (at == columns.end()) at = columns.insert(columns.end(), {name, {}});
            at->second.push_back(value.get<double>());
        }
    }
    for (const auto& [name, values] : columns) {
        double sum = 0.0;
        for (const double value : values) sum += value;
        out.emplace_back(key + " " + name + " (mean)", dumped(sum / static_cast<double>(values.size())));
        out.emplace_back(key + " " + name + " (least)", dumped(*std::ranges::min_element(values)));
    }
}

void add_results(const std::string& before, const Json& object, Pairs& out) {
    constexpr std::size_t most = 200;
    for (const auto& [name, value] : object.items()) {
        if (out.size() > most) return;
        const std::string key = before + name;
        if (shown(value))
            out.emplace_back(key, dumped(value));
        else if (value.is_object())
            add_results(key + ".", value, out);
        else if (value.is_array())
            add_list(key, value, out);
    }
}

}  // namespace

Pairs settings_of_document(std::string_view toml) {
    Pairs all;
    std::string section;
    while (!toml.empty()) {
        const std::size_t end = std::min(toml.find('\n'), toml.size());
        std::string_view line = trimmed(toml.substr(0, end));
        toml.remove_prefix(std::min(end + 1, toml.size()));
        if (line.empty() || line.front() == '#') continue;
        if (line.front() == '[') {
            section = std::string(trimmed(line.substr(1, line.find(']') - 1))) + ".";
            continue;
        }
        const std::size_t equals = line.find('=');
        if (equals == std::string_view::npos) continue;
        std::string_view value = without_comment(line.substr(equals + 1));
        if (value.size() >= 2 && value.front() == '"' && value.back() == '"')
            value = value.substr(1, value.size() - 2);
        all.emplace_back(section + std::string(trimmed(line.substr(0, equals))), value);
    }
    return all;
}

Pairs results_of_summary(const std::string& json) {
    Pairs all;
    const Json summary = Json::parse(json, nullptr, false);
    if (summary.is_object()) add_results("", summary, all);
    return all;
}

void RunIndex::refresh() {
    std::map<std::string, IndexedRun> found;
    truncated_ = false;
    look(root_, "", 0, found);
    bool same = found.size() == runs_.size();
    for (const auto& [name, run] : found) {
        const auto before = runs_.find(name);
        same = same && before != runs_.end() && before->second.state == run.state &&
               before->second.changed_ns == run.changed_ns;
    }
    runs_ = std::move(found);
    if (!same || version_ == 0) ++version_;
}

void RunIndex::look(const fs::path& directory, const std::string& name, int depth,
                    std::map<std::string, IndexedRun>& found) {
    if (found.size() >= run_limit) {
        truncated_ = true;
        return;
    }
    // Of a comparison config.toml is no run's.
    if (const std::int64_t config = changed_ns(directory / "config.toml");
        config != 0 && changed_ns(directory / "plan.json") == 0) {
        IndexedRun run{.name = name.empty() ? "." : name, .state = {}};
        const std::int64_t summary = changed_ns(directory / "summary.json");
        run.changed_ns = std::max({config, summary, changed_ns(directory / "metrics.csv")});
        const auto before = runs_.find(run.name);
        const std::int64_t read_ns = std::max(config, summary);
        if (before != runs_.end() && before->second.read_ns == read_ns) {
            run.settings = before->second.settings;
            run.results = before->second.results;
            run.state = before->second.state;
        } else {
            read(run, directory);
        }
        run.read_ns = read_ns;
        if (run.state != "complete") run.state = in_use(directory) ? "running" : "stopped";
        found.emplace(run.name, std::move(run));
        return;
    }
    if (depth == depth_limit) return;
    std::error_code error;
    for (fs::directory_iterator at(directory, error), end; !error && at != end; at.increment(error)) {
        std::error_code ignored;
        if (at->is_symlink(ignored) || !at->is_directory(ignored)) continue;
        const std::string own = at->path().filename().string();
        look(at->path(), name.empty() ? own : name + "/" + own, depth + 1, found);
    }
}

void RunIndex::read(IndexedRun& run, const fs::path& directory) const {
    if (const auto config = read_text(directory / "config.toml")) run.settings = settings_of_document(*config);
    if (const auto summary = read_text(directory / "summary.json")) {
        run.results = results_of_summary(*summary);
        for (const auto& [key, value] : run.results) {
            if (key == "complete" && value == "true") run.state = "complete";
        }
    }
}

std::string RunIndex::json() const {
    std::map<std::string, std::set<std::string>> values;
    std::map<std::string, std::size_t> counts;
    for (const auto& [name, run] : runs_) {
        for (const auto& [key, value] : run.settings) {
            values[key].insert(value);
            ++counts[key];
        }
    }
    const auto common = [&](const std::string& key) {
        return runs_.size() > 1 && values[key].size() == 1 && counts[key] == runs_.size();
    };
    Json json{{"root", root_.string()}, {"truncated", truncated_}, {"common", Json::object()}};
    Json& all = json["runs"] = Json::array();
    for (const auto& [name, run] : runs_) {
        Json settings = Json::object(), results = Json::object();
        for (const auto& [key, value] : run.settings) (common(key) ? json["common"] : settings)[key] = value;
        for (const auto& [key, value] : run.results) results[key] = Json::parse(value, nullptr, false);
        all.push_back({{"name", name},
                       {"state", run.state},
                       {"changed", run.changed_ns / 1'000'000},
                       {"settings", std::move(settings)},
                       {"results", std::move(results)}});
    }
    return dumped(json);
}

fs::path RunIndex::directory(const std::string& name) const {
    if (!runs_.contains(name)) return {};
    return name == "." ? root_ : root_ / name;
}

}  // namespace dunlin::app
