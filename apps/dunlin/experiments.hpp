// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string_view>

namespace dunlin::app {

/// A ready-made experiment: a file of experiments/, embedded when the program is built.
struct Experiment {
    std::string_view name;
    std::string_view toml;

    /// The comment at the top of the file, its first line.
    std::string_view summary() const {
        std::string_view text = toml;
        while (text.starts_with("# SPDX") || text.starts_with("\n")) text.remove_prefix(text.find('\n') + 1);
        if (!text.starts_with("# ")) return {};
        return text.substr(2, text.find('\n') - 2);
    }
};

std::span<const Experiment> experiments();
/// Null when there is none of this name.
const Experiment* find_experiment(std::string_view name);

}  // namespace dunlin::app
