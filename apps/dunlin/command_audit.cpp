// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/commands.hpp"
#include "apps/dunlin/run_directory.hpp"
#include "apps/output.hpp"
#include "apps/report/table.hpp"
#include "fleet/jobs/experiments.hpp"
#include "training/host/plain_text.hpp"
#include "training/problems/leakage.hpp"

#include <filesystem>
#include <memory>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace dunlin::app {
namespace {

struct AuditOptions {
    std::string directory, model;
    std::vector<std::string> settings;
    bool json = false;
};

Outcome<int> audit(const AuditOptions& options) {
    const std::filesystem::path directory = options.directory;
    const auto text = read_text(directory / "config.toml");
    if (!text)
        return refuse(fmt::format("{}: not a run directory (no config.toml); expected what `dunlin train` wrote",
                                  options.directory));
    const std::string kind = experiment_kind(*text);
    if (kind != "classification")
        return refuse(fmt::format("{}: kind = \"{}\": the audit inverts updates of classification alone",
                                  options.directory, shown(kind, false)));
    ProblemExperiment experiment(*find_problem(kind));
    const ClassificationSettings& settings = *experiment.as<ClassificationSettings>();
    Settings list = experiment.list();
    if (auto read = list.read(*text, (directory / "config.toml").string()); !read)
        return tl::unexpected(read.error());
    if (auto set = list.set(options.settings); !set) return tl::unexpected(set.error());
    std::vector<float> w;
    if (options.model == "last") {
        const auto model = TrainedModel::read(directory / "model.dunlin");
        if (!model) return refuse(model.error(), (directory / "model.dunlin").string());
        w = model->parameters;
    } else {
        const auto problem = make_classification_problem(settings, 1);
        if (!problem) return tl::unexpected(problem.error());
        w.resize((*problem)->dimension());
        (*problem)->initialise(w);
    }
    const Outcome<LeakageAudit> audit = audit_leakage(settings, w);
    if (!audit) return tl::unexpected(audit.error());
    if (options.json) {
        nlohmann::ordered_json json{{"model", options.model},
                                    {"clients", audit->clients},
                                    {"guess_nearest", audit->guess_nearest},
                                    {"guess_labels", audit->guess_labels}};
        for (const Leak& leak : audit->leaks) {
            nlohmann::ordered_json row{{"observer", leak.observer}, {"protection", leak.protection}};
            if (!leak.nothing) {
                row["rows"] = leak.rows;
                row["nearest"] = leak.nearest;
                row["labels"] = leak.labels;
            }
            json["leaks"].push_back(row);
        }
        say("{}\n", json.dump(2));
        return 0;
    }
    const FederatedSettings& how = settings.federated;
    say("What updates of {} local steps on {} rows each tell, from the {} model, of {} clients:\n", how.local_steps,
        how.batch, options.model, audit->clients);
    report::Table table{{"who looks", "protection", "rows recovered", "nearest row", "labels off by"}, {}, ""};
    for (const Leak& leak : audit->leaks) {
        if (leak.nothing)
            table.rows.push_back({leak.observer, leak.protection, "nothing", "", ""});
        else
            table.rows.push_back({leak.observer, leak.protection, fmt::format("{:.1f} %", 100 * leak.rows),
                                  fmt::format("{:.3f}", leak.nearest), fmt::format("{:.3f}", leak.labels)});
    }
    table.rows.push_back({"who guesses", "from other clients", "", fmt::format("{:.3f}", audit->guess_nearest),
                          fmt::format("{:.3f}", audit->guess_labels)});
    say("{}", report::text_table(table));
    say("A row is recovered within {:.0f} % of its length; 0 is exact. Labels: total variation distance.\n"
        "By the first layer's weights and the last one's bias alone: who optimises for rows that explain an "
        "update\n"
        "may find more.\n",
        100 * recovered_within);
    return 0;
}

}  // namespace

void add_audit(CLI::App& program, Command& run) {
    auto options = std::make_shared<AuditOptions>();
    options->model = "first";
    CLI::App* command = program.add_subcommand(
        "audit",
        "Invert the updates of one's own run: what a server, a neighbour or a stranger recovers of the data");
    command->add_option("run", options->directory, "a run directory, of a classification experiment")->required();
    command->add_option("--model", options->model, "from which updates start: the first or the last one")
        ->check(CLI::IsMember({"first", "last"}))
        ->capture_default_str();
    command->add_option("--set", options->settings,
                        "KEY=VALUE: as if the run had been set so, say federated.batch=1");
    command->add_flag("--json", options->json, "print JSON on stdout instead of a table");
    command->footer(
        "Example:\n  dunlin audit runs/classification\n"
        "  dunlin audit runs/classification --set federated.batch=1 --set federated.local_steps=1\n");
    command->callback([options, &run] { run = [options] { return audit(*options); }; });
}

}  // namespace dunlin::app
