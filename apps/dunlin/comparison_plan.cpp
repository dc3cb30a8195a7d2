// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/comparison_plan.hpp"

#include "apps/dunlin/run_directory.hpp"
#include "apps/report/run_files.hpp"
#include "training/host/shell_text.hpp"

#include <algorithm>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

namespace dunlin::app {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t run_limit = 100'000;

std::string plan_json(const ComparisonPlan& plan) {
    Json json{{"version", 1},
              {"command", plan.command},
              {"experiment", plan.base.experiment},
              {"first_seed", plan.first_seed()},
              {"seeds", plan.seeds},
              {"axes", Json::array()},
              {"method_settings", plan.method_settings},
              {"by_iterations", plan.by_iterations},
              {"tune", plan.tune}};
    for (const VariedSetting& axis : plan.axes)
        json["axes"].push_back({{"key", axis.key}, {"values", axis.values}});
    return json.dump(2) + "\n";
}

}  // namespace

Outcome<void> read_plan(ComparisonPlan& plan) {
    const std::filesystem::path path = plan.base.directory / "plan.json";
    const Outcome<std::string> text = read_text(path);
    if (!text) {
        return refuse(fmt::format("{}: nothing to go on with (no plan.json); expected what `dunlin {}` wrote",
                                  plan.base.directory.string(), plan.command));
    }
    try {
        const Json json = Json::parse(*text);
        if (json.at("version") != 1)
            return refuse(fmt::format("{}: of a newer version; update Dunlin", path.string()));
        plan.command = json.at("command").get<std::string>();
        plan.base.experiment = json.at("experiment").get<std::string>();
        plan.base.seed = json.at("first_seed").get<std::uint64_t>();
        plan.seeds = json.at("seeds").get<int>();
        plan.method_settings = json.value("method_settings", std::vector<std::string>{});
        plan.by_iterations = json.value("by_iterations", true);  // a plan of before methods were levelled
        plan.tune = json.value("tune", 0);
        for (const Json& axis : json.at("axes")) {
            plan.axes.push_back(
                {axis.at("key").get<std::string>(), axis.at("values").get<std::vector<std::string>>()});
        }
    } catch (const Json::exception& error) {
        return refuse(fmt::format("{}: {}; start anew in another directory", path.string(), error.what()));
    }
    plan.base.config = (plan.base.directory / "config.toml").string();
    plan.base.assignments = plan.method_settings;
    return {};
}

Outcome<std::vector<std::string>> resolve_all(const ComparisonPlan& plan, const Kind& kind) {
    if (plan.seeds < 1 || plan.combinations() == 0 ||
        plan.combinations() > run_limit / static_cast<std::size_t>(plan.seeds)) {
        return refuse(fmt::format("{}: {} combinations for {} seeds; between 1 and {} runs are possible",
                                  plan.command, plan.combinations(), plan.seeds, run_limit));
    }
    if (plan.first_seed() > static_cast<std::uint64_t>(INT64_MAX) - static_cast<std::uint64_t>(plan.seeds)) {
        return refuse(fmt::format("--seed {}: the last of {} seeds is beyond 9223372036854775807",
                                  plan.first_seed(), plan.seeds));
    }
    std::vector<std::string> all;
    std::map<std::string_view, std::size_t> known;
    for (std::size_t combination = 0; combination < plan.combinations(); ++combination) {
        Outcome<std::string> settings = kind.resolve(plan.request(combination, plan.first_seed()));
        if (!settings) return tl::unexpected(settings.error());
        all.push_back(*std::move(settings));
    }
    for (std::size_t combination = 0; combination < all.size(); ++combination) {
        const auto [other, is_new] = known.emplace(all[combination], combination);
        if (is_new) continue;
        return refuse(fmt::format("{}: \"{}\" and \"{}\" are the same run; give each value and each key once",
                                  plan.command, plan.label(other->second), plan.label(combination)));
    }
    return all;
}

Outcome<void> check_axes(const ComparisonPlan& plan) {
    const auto is_set = [&](const std::string& key) {
        return std::ranges::any_of(plan.base.assignments,
                                   [&](const std::string& one) { return one.substr(0, one.find('=')) == key; });
    };
    if (is_set("seed")) return refuse(plan.command + ": --set seed: give the first seed by --seed");
    for (std::size_t k = 0; k < plan.axes.size(); ++k) {
        const std::string& key = plan.axes[k].key;
        const std::string option = plan.command == "compare" ? "--methods" : "--grid " + key;
        if (key == "seed")
            return refuse(
                "--grid seed: every combination is run for several seeds; say how many by --seeds, and the first "
                "by --seed");
        if (plan.command == "compare") {
            for (const char* axis : {"objective.name", "aggregation.name"}) {
                if (is_set(axis))
                    return refuse(
                        fmt::format("--methods and --set {}: a method says it; compare such settings by "
                                    "`dunlin sweep --grid {}=FIRST,SECOND`",
                                    axis, axis));
            }
        }
        if (is_set(key))
            return refuse(fmt::format("{} and --set {}: a setting is varied or set, not both", option, key));
        for (std::size_t j = 0; j < k; ++j) {
            if (plan.axes[j].key == key)
                return refuse(
                    fmt::format("{} is given twice; put all values into one: --grid {}=FIRST,SECOND", option, key));
        }
    }
    return {};
}

Outcome<void> prepare(const ComparisonPlan& plan, const std::string& config) {
    const std::filesystem::path& directory = plan.base.directory;
    std::error_code ignored;
    for (const char* name : {"plan.json", "config.toml"}) {
        if (std::filesystem::exists(directory / name, ignored)) {
            return refuse(fmt::format(
                "{}: holds results already; go on with `dunlin {} --resume {}`, or choose another --out",
                directory.string(), plan.command, shell_path(directory)));
        }
    }
    if (Result<void> made = report::prepare_directory(directory / "trials"); !made)
        return refuse(made.error(), directory.string());
    if (Outcome<void> written = write(directory / "config.toml", config); !written) return written;
    return write(directory / "plan.json", plan_json(plan));
}

Outcome<void> write(const std::filesystem::path& path, std::string_view text) {
    return report::write_file(path, text).map_error([&](const Error& error) {
        return describe(error, path.string());
    });
}

std::size_t ComparisonPlan::combinations() const {
    std::size_t count = 1;
    for (const VariedSetting& axis : axes) count = std::min(count * axis.values.size(), run_limit + 1);
    return count;
}

std::vector<std::string> ComparisonPlan::values(std::size_t combination) const {
    std::vector<std::string> chosen(axes.size());
    for (std::size_t k = axes.size(); k-- > 0;) {
        chosen[k] = axes[k].values[combination % axes[k].values.size()];
        combination /= axes[k].values.size();
    }
    return chosen;
}

std::string ComparisonPlan::label(std::size_t combination) const {
    const std::vector<std::string> chosen = values(combination);
    if (command == "compare") return chosen.front();
    std::vector<std::string> parts;
    const auto last_part = [](const std::string& key) { return key.substr(key.rfind('.') + 1); };
    for (std::size_t k = 0; k < axes.size(); ++k) {
        const std::string short_name = last_part(axes[k].key);
        const auto sharing = std::ranges::count_if(
            axes, [&](const VariedSetting& axis) { return last_part(axis.key) == short_name; });
        parts.push_back(fmt::format("{}={}", sharing > 1 ? axes[k].key : short_name, chosen[k]));
    }
    return fmt::format("{}", fmt::join(parts, ", "));
}

TrainRequest ComparisonPlan::request(std::size_t combination, std::uint64_t seed) const {
    TrainRequest one = base;
    const std::vector<std::string> chosen = values(combination);
    for (std::size_t k = 0; k < axes.size(); ++k) one.assignments.push_back(axes[k].key + "=" + chosen[k]);
    one.seed = seed;
    return one;
}

std::string ComparisonPlan::command_line() const {
    std::string text = "dunlin " + command + base.arguments();
    for (const VariedSetting& axis : axes) {
        const std::string values = fmt::format("{}", fmt::join(axis.values, ","));
        text += command == "compare" ? " --methods " + shell_word(values)
                                     : " --grid " + shell_word(fmt::format("{}={}", axis.key, values));
    }
    text += fmt::format(" --seeds {}", seeds);
    if (by_iterations && command == "compare") text += " --by-iterations";
    if (tune > 0) text += fmt::format(" --tune {}", tune);
    return base.seed ? text + fmt::format(" --seed {}", *base.seed) : text;
}

}  // namespace dunlin::app
