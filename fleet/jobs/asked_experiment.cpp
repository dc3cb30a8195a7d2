// SPDX-License-Identifier: Apache-2.0
#include "fleet/jobs/asked_experiment.hpp"

#include "training/settings/method_settings.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace dunlin {

Outcome<ProblemExperiment> asked_experiment(std::string_view toml, std::string_view where,
                                            std::span<const std::string> assignments) {
    std::vector<MethodSetting> own;
    std::string chosen;
    const auto read = [&]() -> Outcome<ProblemExperiment> {
        auto experiment = read_deployed(toml, where);
        if (!experiment) return experiment;
        Settings list = experiment->list();
        for (const MethodSetting& one : own) {
            if (one.method != chosen) continue;
            const Outcome<void> set =
                whole_key(list, experiment->kind().method_key, one).and_then([&](const std::string& whole) {
                    return list.set(whole);
                });
            if (!set) return tl::unexpected(set.error());
        }
        if (auto set = list.set(assignments); !set) return tl::unexpected(set.error());
        return experiment;
    };
    // First what holds for all methods, which says what the method is; then again with its own between.
    auto experiment = read();
    if (!experiment) return experiment;
    auto written = method_settings(toml, where);
    if (!written) return tl::unexpected(written.error());
    own = *std::move(written);
    if (own.empty()) return experiment;
    const std::string& method_key = experiment->kind().method_key;
    const std::vector<std::string> methods = experiment->list().choices(method_key);
    for (const MethodSetting& one : own) {
        if (std::ranges::find(methods, one.method) == methods.end())
            return refuse(fmt::format("{}: [methods.{}]: no method is called so here; there are {}", where,
                                      one.method, fmt::join(methods, ", ")));
    }
    const std::string quoted = experiment->list().value(method_key);
    if (quoted.size() <= 2) return experiment;
    chosen = quoted.substr(1, quoted.size() - 2);
    return read();
}

}  // namespace dunlin
