// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/comparison.hpp"

#include "apps/dunlin/interrupt.hpp"
#include "apps/dunlin/progress.hpp"
#include "apps/dunlin/run_directory.hpp"
#include "apps/output.hpp"
#include "apps/report/run_files.hpp"
#include "training/host/shell_text.hpp"
#include "training/host/text_values.hpp"
#include "training/host/workers.hpp"
#include "training/settings/settings.hpp"

#include <algorithm>
#include <chrono>
#include <exception>
#include <map>
#include <mutex>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

namespace dunlin::app {
namespace {

using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

constexpr std::size_t run_limit = 100'000;

Outcome<void> write(const std::filesystem::path& path, std::string_view text) {
    return report::write_file(path, text).map_error([&](const Error& error) {
        return describe(error, path.string());
    });
}

std::string plan_json(const ComparisonPlan& plan) {
    Json json{{"version", 1},
              {"command", plan.command},
              {"experiment", plan.base.experiment},
              {"first_seed", plan.first_seed()},
              {"seeds", plan.seeds},
              {"axes", Json::array()}};
    for (const VariedSetting& axis : plan.axes)
        json["axes"].push_back({{"key", axis.key}, {"values", axis.values}});
    return json.dump(2) + "\n";
}

/// Completes a plan by what its directory says.
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
        for (const Json& axis : json.at("axes")) {
            plan.axes.push_back(
                {axis.at("key").get<std::string>(), axis.at("values").get<std::vector<std::string>>()});
        }
    } catch (const Json::exception& error) {
        return refuse(fmt::format("{}: {}; start anew in another directory", path.string(), error.what()));
    }
    plan.base.config = (plan.base.directory / "config.toml").string();
    return {};
}

/// The resolved settings of every combination, for the first seed. Error: the first that cannot run.
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

/// What the axes say is theirs alone, and seeds are no setting here.
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

/// A new directory with the plan, or what is wrong with it.
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

/// A run, in a thread that nothing may be thrown out of.
Outcome<TrialResult> tried(const Kind& kind, const TrainRequest& request) {
    try {
        return kind.trial(request, interrupted);
    } catch (const std::exception& unforeseen) {  // out of memory, say
        return TrialResult{.failure = unforeseen.what()};
    }
}

/// A run as one rank asks another for it.
std::string question_of(const TrainRequest& request) {
    Json json{{"experiment", request.experiment},
              {"config", request.config},
              {"assignments", request.assignments},
              {"seed", *request.seed}};
    if (request.config_text) json["text"] = *request.config_text;
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);  // a path may be any bytes
}

/// What came of it; empty when it was interrupted.
std::string answer_to(const std::string& question) {
    const Json json = Json::parse(question);
    TrainRequest request;
    request.experiment = json.at("experiment");
    request.config = json.at("config");
    request.assignments = json.at("assignments").get<std::vector<std::string>>();
    request.seed = json.at("seed").get<std::uint64_t>();
    if (json.contains("text")) request.config_text = json.at("text").get<std::string>();
    Outcome<TrialResult> result =
        kind_of(request).and_then([&](const Kind* kind) { return tried(*kind, request); });
    if (!result) result = TrialResult{.failure = result.error().text};
    return result->complete ? result->json("") : std::string();
}

/// Runs a plan's combinations and seeds, several at a time.
class Trials {
public:
    Trials(Comparison& comparison, const Kind& kind, const std::vector<std::string>& settings, Ranks& ranks)
        : comparison_(comparison),
          kind_(kind),
          settings_(settings),
          ranks_(ranks),
          progress_(comparison.plan.base.quiet) {}

    /// Takes over what an earlier program kept; what cannot be read is run again.
    void load() {
        for (std::size_t c = 0; c < plan().combinations(); ++c) {
            for (std::size_t k = 0; k < seeds(); ++k) {
                const Outcome<std::string> text = read_text(file(c, k));
                if (!text) continue;
                Outcome<TrialResult> result = TrialResult::parse(*text, settings_[c]);
                if (result && result->seed == seed(k)) comparison_.results[c][k] = *std::move(result);
            }
        }
    }

    /// Runs what is missing until all is done or interrupted. Error: a result that cannot be kept.
    Outcome<void> run() {
        std::vector<std::pair<std::size_t, std::size_t>> missing;
        for (std::size_t k = 0; k < seeds();
             ++k) {  // a seed for all combinations first: half of a comparison is one
            for (std::size_t c = 0; c < plan().combinations(); ++c) {
                if (!comparison_.results[c][k]) missing.emplace_back(c, k);
            }
        }
        start_ = Clock::now();
        total_ = missing.size();
        // A worker for each run that can be made at a time, here or by another rank.
        const int places = plan().threads * ranks_.count();
        Workers workers(std::max(1, std::min(places, static_cast<int>(missing.size()))));
        workers.run(static_cast<int>(missing.size()), [&](int piece, int worker) {
            const auto [c, k] = missing[static_cast<std::size_t>(piece)];
            if (!interrupted() && !has_failed()) run_one(c, k, worker);
        });
        progress_.finish();
        comparison_.complete = done_ == total_;
        if (failure_) return tl::unexpected(*failure_);
        return {};
    }

private:
    const ComparisonPlan& plan() const { return comparison_.plan; }
    std::size_t seeds() const { return static_cast<std::size_t>(plan().seeds); }
    std::uint64_t seed(std::size_t k) const { return plan().first_seed() + k; }
    std::filesystem::path file(std::size_t c, std::size_t k) const {
        return plan().base.directory / "trials" / fmt::format("{:04}-seed-{}.json", c + 1, seed(k));
    }
    bool has_failed() {
        const std::lock_guard lock(mutex_);
        return failure_.has_value();
    }

    /// What becomes of a run, here or on the rank that the worker stands for.
    Outcome<TrialResult> try_one(const TrainRequest& request, int worker) {
        const int rank = worker / plan().threads, slot = worker % plan().threads;
        if (rank == 0) return tried(kind_, request);
        const std::string answer = ranks_.ask(rank, slot, question_of(request));
        if (answer.empty()) return TrialResult{.complete = false};
        return TrialResult::parse(answer, "");
    }

    void run_one(std::size_t c, std::size_t k, int worker) {
        Outcome<TrialResult> result = try_one(plan().request(c, seed(k)), worker);
        if (!result) result = TrialResult{.failure = result.error().text};
        if (!result->complete) return;
        result->seed = seed(k);
        const Outcome<void> kept = write(file(c, k), result->json(settings_[c]));

        const std::lock_guard lock(mutex_);
        if (!kept) {
            failure_ = kept.error();
            return;
        }
        ++done_;
        failed_ += result->failure.empty() ? 0 : 1;
        comparison_.results[c][k] = *std::move(result);
        if (!progress_.due() && done_ < total_) return;
        const double elapsed_s = std::chrono::duration<double>(Clock::now() - start_).count();
        progress_.show(fmt::format(
            "run {}/{}{}  {} seed {}  {} left", done_, total_,
            failed_ > 0 ? fmt::format(", {} failed", failed_) : "", plan().label(c), seed(k),
            duration_text(elapsed_s / static_cast<double>(done_) * static_cast<double>(total_ - done_))));
    }

    Comparison& comparison_;
    const Kind& kind_;
    const std::vector<std::string>& settings_;
    Ranks& ranks_;
    Progress progress_;
    Clock::time_point start_;
    std::size_t total_ = 0;
    std::mutex mutex_;  // guards what follows, the progress line and the results
    std::size_t done_ = 0, failed_ = 0;
    std::optional<Failure> failure_;
};

Outcome<void> write_report(const Comparison& comparison, const std::string& config) {
    const std::filesystem::path& directory = comparison.plan.base.directory;
    std::vector<std::pair<std::string, std::string>> files = comparison_pictures(comparison);
    files.emplace_back("comparison.csv", comparison_csv(comparison));
    files.emplace_back("report.html", comparison_html(comparison, config));
    files.emplace_back("summary.json", comparison_json(comparison));  // last: who finds it finds the rest
    for (const auto& [name, text] : files) {
        if (Outcome<void> written = write(directory / name, text); !written) return written;
    }
    return {};
}

void print(const Comparison& comparison) {
    const std::filesystem::path& directory = comparison.plan.base.directory;
    const bool quiet = comparison.plan.base.quiet;
    if (comparison.plan.base.json)
        say("{}", comparison_json(comparison));
    else
        say("{}", report::text_table(comparison_table(comparison)));
    for (const std::string& failure : comparison_failures(comparison)) note("failed: {}\n", failure);
    if (comparison.complete)
        tell(quiet, fmt::format("report: {}/report.html", directory.string()));
    else
        tell(quiet, fmt::format("stopped; go on with: dunlin {} --resume {}", comparison.plan.command,
                                shell_path(directory)));
}

}  // namespace

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
    return base.seed ? text + fmt::format(" --seed {}", *base.seed) : text;
}

Outcome<int> serve_comparison(const ComparisonPlan& plan, Ranks& ranks) {
    catch_interrupts();
    (void)kinds();  // made before several threads ask for it
    ranks.answer(plan.threads, answer_to);
    return succeeded;
}

Outcome<int> run_comparison(ComparisonPlan plan, Ranks& ranks) {
    const bool resume = plan.base.resume;
    plan.base.resume = false;  // each run is a whole one
    if (resume) {
        if (Outcome<void> read = read_plan(plan); !read) return tl::unexpected(read.error());
    }
    if (!plan.base.config.empty()) {  // once, for all ranks
        Outcome<std::string> text = read_text(plan.base.config);
        if (!text) return tl::unexpected(text.error());
        plan.base.config_text = *std::move(text);
    }
    const Outcome<const Kind*> kind = kind_of(plan.base);
    if (!kind) return tl::unexpected(kind.error());
    if ((*kind)->trial == nullptr) {
        return refuse(fmt::format("{}: {} experiments cannot be compared; use `dunlin train`", plan.base.experiment,
                                  (*kind)->name));
    }
    for (VariedSetting& axis : plan.axes) {
        if (!axis.key.empty()) continue;
        axis.key = (*kind)->method_key;
        if (axis.values.empty()) axis.values = split_list((*kind)->methods);
        if (axis.values.front().empty())
            return refuse("compare: name the methods, by comma: --methods FIRST,SECOND");
    }
    if (Outcome<void> fit = check_axes(plan); !fit) return tl::unexpected(fit.error());
    if (!plan.base.seed) {  // the first is the experiment's own
        const Outcome<std::string> own = (*kind)->resolve(plan.base);
        if (!own) return tl::unexpected(own.error());
        if (const auto seed = whole_number(top_level_value(*own, "seed")))
            plan.base.seed = static_cast<std::uint64_t>(*seed);
    }
    const Outcome<std::vector<std::string>> settings = resolve_all(plan, **kind);
    if (!settings) return tl::unexpected(settings.error());
    // The axes override the file's values of them, so that any combination's settings serve as the base.
    const std::string& config = settings->front();
    if (!resume) {
        if (Outcome<void> prepared = prepare(plan, config); !prepared) return tl::unexpected(prepared.error());
    }

    catch_interrupts();
    Comparison comparison{plan, {}, false};
    comparison.results.assign(plan.combinations(),
                              std::vector<std::optional<TrialResult>>(static_cast<std::size_t>(plan.seeds)));
    Trials trials(comparison, **kind, *settings, ranks);
    if (resume) trials.load();
    Outcome<void> done = trials.run();
    if (done) done = write_report(comparison, config);
    if (!done) {
        note("dunlin: {}\n", done.error().text);
        return failed;
    }
    print(comparison);
    if (!comparison.complete) return stopped;
    return comparison_failures(comparison).empty() ? succeeded : failed;
}

}  // namespace dunlin::app
