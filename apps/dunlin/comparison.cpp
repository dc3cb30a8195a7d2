// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/comparison.hpp"

#include "apps/dunlin/comparison_robustness.hpp"
#include "apps/dunlin/comparison_trials.hpp"
#include "apps/dunlin/interrupt.hpp"
#include "apps/dunlin/progress.hpp"
#include "apps/dunlin/run_directory.hpp"
#include "apps/output.hpp"
#include "training/host/shell_text.hpp"
#include "training/host/text_values.hpp"
#include "training/settings/settings.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace dunlin::app {
namespace {

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

/// Equally many environment steps for all methods, as many as the experiment's own takes.
Outcome<void> level(ComparisonPlan& plan, const Kind& kind) {
    if (plan.command != "compare" || plan.by_iterations || kind.level == nullptr) return {};
    TrainRequest own = plan.base;
    const std::vector<std::string> methods = plan.axes.front().values;
    if (methods.size() == 1) own.assignments.push_back(plan.axes.front().key + "=" + methods.front());
    const Outcome<std::vector<std::string>> set = kind.level(own, interrupted);
    if (!set) return tl::unexpected(set.error());
    plan.base.assignments.insert(plan.base.assignments.end(), set->begin(), set->end());
    return {};
}

/// What the experiment is for all methods, as a resolved document.
Outcome<std::string> general_config(const ComparisonPlan& plan, const Kind& kind) {
    TrainRequest general = plan.base;
    general.general = true;
    return kind.resolve(general);
}

/// What is one method's alone, but for what is set for all later.
Outcome<void> keep_method_settings(ComparisonPlan& plan, const Kind& kind) {
    TrainRequest documents = plan.base;
    documents.assignments.clear();
    const auto written = documents.method_settings();
    if (!written) return tl::unexpected(written.error());
    const auto general = general_config(plan, kind);
    if (!general) return tl::unexpected(general.error());
    const std::vector<std::string> keys = keys_of(*general);
    const auto key_of = [&](const MethodSetting& one) {
        const Outcome<std::string> whole = whole_key(keys, kind.method_key, one);
        const std::string& text = whole ? *whole : one.assignment;  // what is no setting is refused where it is set
        return text.substr(0, text.find('='));
    };
    std::vector<MethodSetting> all = *written;
    for (const std::string& assignment : plan.base.assignments) {
        MethodSetting one = split_method(assignment);
        if (one.method.empty())
            std::erase_if(all, [&](const MethodSetting& other) { return key_of(other) == key_of(one); });
        else
            all.push_back(std::move(one));
    }
    for (const MethodSetting& one : all) plan.method_settings.push_back(one.text());
    return {};
}

/// Runs what is missing. False: interrupted.
Outcome<bool> run_all(Comparison& comparison, const Kind& kind, const std::vector<std::string>& settings,
                      Ranks& ranks, bool resume) {
    const ComparisonPlan& plan = comparison.plan;
    std::vector<PlannedTrial> missing;
    for (std::size_t k = 0; k < static_cast<std::size_t>(plan.seeds); ++k) {
        // A seed for all combinations first: half of a comparison is one.
        for (std::size_t c = 0; c < plan.combinations(); ++c) {
            const std::uint64_t seed = plan.first_seed() + k;
            PlannedTrial trial{plan.request(c, seed), fmt::format("{} seed {}", plan.label(c), seed),
                               plan.base.directory / "trials" / fmt::format("{:04}-seed-{}.json", c + 1, seed),
                               settings[c], &comparison.results[c][k]};
            if (resume) load_trial(trial);
            if (!*trial.result) missing.push_back(std::move(trial));
        }
    }
    return run_trials(missing, kind, ranks, plan.threads, plan.base.quiet);
}

void print(const Comparison& comparison) {
    const std::filesystem::path& directory = comparison.plan.base.directory;
    const bool quiet = comparison.plan.base.quiet;
    if (comparison.plan.base.json)
        say("{}", comparison_json(comparison));
    else
        say("{}", report::text_table(varies_robustness(comparison.plan) ? robustness_table(comparison)
                                                                        : comparison_table(comparison)));
    if (const std::string text = tuning_text(comparison.tuning); !text.empty()) tell(quiet, text);
    for (const std::string& failure : comparison_failures(comparison)) note("failed: {}\n", failure);
    if (comparison.complete)
        tell(quiet, fmt::format("report: {}/report.html", directory.string()));
    else
        tell(quiet, fmt::format("stopped; go on with: dunlin {} --resume {}", comparison.plan.command,
                                shell_path(directory)));
}

}  // namespace

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
    if (!plan.base.config.empty() && !plan.base.config_text) {  // once, for all ranks
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
    if (plan.tune > 0 && (*kind)->vary == nullptr)
        return refuse(fmt::format("--tune: no step sizes of {} experiments are looked for; give them by --set",
                                  (*kind)->name));
    if (Outcome<void> fit = check_axes(plan); !fit) return tl::unexpected(fit.error());
    if (!plan.base.seed) {  // the first is the experiment's own
        const Outcome<std::string> own = (*kind)->resolve(plan.base);
        if (!own) return tl::unexpected(own.error());
        if (const auto seed = whole_number(top_level_value(*own, "seed")))
            plan.base.seed = static_cast<std::uint64_t>(*seed);
    }
    catch_interrupts();
    if (!resume) {
        if (Outcome<void> levelled = level(plan, **kind); !levelled) return tl::unexpected(levelled.error());
        if (Outcome<void> own = keep_method_settings(plan, **kind); !own) return tl::unexpected(own.error());
    }
    Outcome<std::vector<std::string>> settings = resolve_all(plan, **kind);
    if (!settings) return tl::unexpected(settings.error());
    // The axes override the file's values of them, so that any combination's settings serve as the base; what is one
    // method's alone is in the plan.
    const Outcome<std::string> config = general_config(plan, **kind);
    if (!config) return tl::unexpected(config.error());
    if (!resume) {
        if (Outcome<void> prepared = prepare(plan, *config); !prepared) return tl::unexpected(prepared.error());
    }

    Comparison comparison{plan, {}, false, {}};
    comparison.results.assign(plan.combinations(),
                              std::vector<std::optional<TrialResult>>(static_cast<std::size_t>(plan.seeds)));
    Outcome<bool> done = true;
    if (plan.tune > 0) {
        done = tune(plan, **kind, ranks, comparison.tuning);
        comparison.plan = plan;
        if (done && *done) {
            settings = resolve_all(plan, **kind);
            if (!settings) return tl::unexpected(settings.error());
        }
    }
    if (done && *done) done = run_all(comparison, **kind, *settings, ranks, resume);
    if (done) {
        comparison.complete = *done;
        if (Outcome<void> written = write_report(comparison, *config); !written)
            done = tl::unexpected(written.error());
    }
    if (!done) {
        note("dunlin: {}\n", done.error().text);
        return failed;
    }
    print(comparison);
    if (!comparison.complete) return stopped;
    return comparison_failures(comparison).empty() ? succeeded : failed;
}

}  // namespace dunlin::app
