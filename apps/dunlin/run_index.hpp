// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace dunlin::app {

/// A run in a folder of runs, as a table shows it.
struct IndexedRun {
    std::string name;                                             ///< its directory, from the folder on
    std::string state;                                            ///< "complete", "running" or "stopped"
    std::int64_t changed_ns = 0;                                  ///< when one of its files last changed
    std::int64_t read_ns = 0;                                     ///< `changed_ns` of what the maps below are from
    std::vector<std::pair<std::string, std::string>> settings{};  ///< of config.toml, text without quotes
    std::vector<std::pair<std::string, std::string>> results{};   ///< of summary.json, as JSON: numbers and text
};

/// The settings of a document that Dunlin wrote, by whole keys.
std::vector<std::pair<std::string, std::string>> settings_of_document(std::string_view toml);
/// Numbers and text of a summary by their keys, with dots; of a list of objects each number's mean and least, as "tasks
/// return_ratio (mean)".
std::vector<std::pair<std::string, std::string>> results_of_summary(const std::string& json);

/// The runs below a folder: directories with a config.toml. Reads a file again only where it has changed, so that
/// looking at thousands takes little. For one thread.
class RunIndex {
public:
    static constexpr int depth_limit = 3;
    static constexpr std::size_t run_limit = 20'000;  ///< more are left out

    explicit RunIndex(std::filesystem::path root) : root_(std::move(root)) {}

    /// Looks at what is there now.
    void refresh();
    /// Changes with what there is to say.
    std::uint64_t version() const { return version_; }
    /// {"root", "truncated", "runs": [{"name", "state", "changed", "settings", "results"}]}. Settings that are the same
    /// in all runs are in "common" instead.
    std::string json() const;
    /// The directory of a run by its name; empty: no such run.
    std::filesystem::path directory(const std::string& name) const;

private:
    void look(const std::filesystem::path& directory, const std::string& name, int depth,
              std::map<std::string, IndexedRun>& found);
    void read(IndexedRun& run, const std::filesystem::path& directory) const;

    std::filesystem::path root_;
    std::map<std::string, IndexedRun> runs_;
    std::uint64_t version_ = 0;
    bool truncated_ = false;
};

}  // namespace dunlin::app
