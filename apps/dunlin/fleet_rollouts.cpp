// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/fleet_commands.hpp"
#include "apps/dunlin/interrupt.hpp"
#include "apps/dunlin/pushed_model.hpp"
#include "apps/output.hpp"
#include "apps/report/run_files.hpp"
#include "apps/report/table.hpp"
#include "fleet/jobs/experiments.hpp"
#include "training/host/shell_text.hpp"

#include <chrono>
#include <filesystem>
#include <memory>
#include <thread>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <fmt/format.h>

namespace dunlin::app {
namespace {

struct RolloutOptions {
    FleetOptions fleet;
    std::string policy, name, experiment, batch = "10%", watch, against, back_to, out = "policy.dunlin", other;
    std::vector<std::string> nodes, assignments, rules;
    std::uint64_t number = 0;  ///< 0: the newest
    std::uint64_t canary = 1;
    double patience_min = 10, timeout_s = 0;
    bool lower_is_better = false;
};

std::string version_text(const Json& told, const char* number = "version") {
    const std::string name = told.value("name", "");
    return fmt::format("v{}{}", told[number].dump(), name.empty() ? "" : " (" + name + ")");
}

std::string number_text(const Json& value) {
    return value.is_number() ? fmt::format("{:.4g}", value.get<double>()) : "";
}

std::string metrics_text(const Json& metrics) {
    std::string text;
    for (const auto& [name, value] : metrics.items())
        text += fmt::format("{}{} {}", text.empty() ? "" : ", ", name, number_text(value));
    return text;
}

std::string counts_text(const Json& counts) {
    std::string text;
    for (const auto& [word, count] : counts.items())
        text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count.dump(), word);
    return text;
}

/// What goes with a request about POLICY: a file or run directory, or else a version that the fleet keeps.
struct Policy {
    Json request = Json::object();
    std::vector<float> numbers;
};
Outcome<Policy> policy_of(const RolloutOptions& options) {
    std::error_code ignored;
    if (!std::filesystem::exists(options.policy, ignored)) {
        if (!options.experiment.empty() || !options.assignments.empty())
            return refuse(options.policy + ": no file; and a version that is kept has its experiment already");
        return Policy{{{"model", options.policy}, {"name", options.name}}, {}};
    }
    const auto saved = open_model(options.policy);
    if (!saved) return tl::unexpected(saved.error());
    std::string experiment = options.experiment;
    auto settings = settings_of_push(options.policy, *saved, experiment, options.assignments);
    if (!settings) return tl::unexpected(settings.error());
    return Policy{{{"experiment", write_deployed(*settings)},
                   {"where", experiment},
                   {"name", options.name},
                   {"origin", std::filesystem::path(options.policy).filename().string()}},
                  saved->model.parameters};
}

void show(const Json& told) {
    say("roll-out {}: {} {}; wave {}; {}\n", told["rollout"].dump(), version_text(told),
        told["state"].get<std::string>(), told["wave"].dump(), counts_text(told["counts"]));
    if (const std::string reason = told["reason"]; !reason.empty()) say("why: {}\n", reason);
    report::Table table{{"node", "state", "wave", "before", "now", "better by", "note"}, {}, ""};
    for (const Json& device : told["devices"]) {
        std::string text = device.value("refusal", "");
        if (device.contains("busy_with_job")) text = "is in job " + device["busy_with_job"].dump();
        if (device.contains("back")) text = "back: " + metrics_text(device["back"]);
        table.rows.push_back({device["name"], device["state"], device["wave"] == 0 ? "" : device["wave"].dump(),
                              number_text(device["baseline"]), number_text(device["value"]),
                              number_text(device["gain"]), text});
    }
    say("{}", report::text_table(table));
}

std::string next_of(const Json& told) {
    const std::string number = told["rollout"].dump(), state = told["state"];
    if (state == "halted" || state == "paused")
        return fmt::format("next: dunlin fleet rollout resume {0}, rollback {0} or abort {0}", number);
    if (state == "finished" || state == "rolled-back" || state == "aborted") return "next: dunlin fleet models";
    return fmt::format("next: dunlin fleet rollout wait {0}, or show {0}", number);
}

Outcome<int> start(const RolloutOptions& options) {
    auto policy = policy_of(options);
    if (!policy) return tl::unexpected(policy.error());
    Json& request = policy->request;
    request["command"] = "rollout-start";
    request["nodes"] = options.nodes;
    request["canary"] = options.canary;
    request["batch"] = options.batch;
    request["watch"] = options.watch;
    request["lower_is_better"] = options.lower_is_better;
    request["against"] = options.against;
    request["rollback_if"] = options.rules;
    request["back_to"] = options.back_to;
    request["patience_s"] = static_cast<std::uint64_t>(std::max(1.0, options.patience_min * 60));
    const auto reply = ask_fleet(options.fleet.store, request, policy->numbers);
    if (!reply) return tl::unexpected(reply.error());
    say("{}\n", options.fleet.json ? reply->json.dump() : reply->json["rollout"].dump());
    hint(
        options.fleet,
        fmt::format("roll-out {} of {} to {} nodes is stored{}\n{}", reply->json["rollout"].dump(),
                    version_text(reply->json), reply->json["nodes"].dump(),
                    reply->json["before"] == 0 ? "; they have no version before it that they could go back to" : "",
                    next_of(reply->json)));
    return succeeded;
}

Outcome<int> list(const RolloutOptions& options) {
    const auto reply = ask_fleet(options.fleet.store, {{"command", "rollouts"}});
    if (!reply) return tl::unexpected(reply.error());
    if (options.fleet.json) {
        say("{}\n", reply->json.dump());
        return succeeded;
    }
    report::Table table{{"roll-out", "version", "state", "wave", "nodes", "", "why"}, {}, ""};
    for (const Json& told : reply->json["rollouts"])
        table.rows.push_back({told["rollout"].dump(), version_text(told), told["state"], told["wave"].dump(),
                              told["nodes"].dump(), counts_text(told["counts"]), told["reason"]});
    say("{}", report::text_table(table));
    hint(options.fleet, table.rows.empty() ? "next: dunlin fleet rollout POLICY --to LABEL"
                                           : "next: dunlin fleet rollout show ROLLOUT");
    return succeeded;
}

/// `command` about one roll-out; then what has become of it.
Outcome<int> about(const RolloutOptions& options, const std::string& command) {
    const auto reply = ask_fleet(options.fleet.store, {{"command", command}, {"rollout", options.number}});
    if (!reply) return tl::unexpected(reply.error());
    if (options.fleet.json)
        say("{}\n", reply->json.dump());
    else
        show(reply->json);
    hint(options.fleet, next_of(reply->json));
    return succeeded;
}

Outcome<int> wait(const RolloutOptions& options) {
    constexpr int not_in_time = 3;
    catch_interrupts();
    const std::int64_t begin = steady_now_ms();
    for (;;) {
        const auto reply = ask_fleet(options.fleet.store, {{"command", "rollout"}, {"rollout", options.number}});
        if (!reply) return tl::unexpected(reply.error());
        const Json& told = reply->json;
        const bool late =
            options.timeout_s > 0 && static_cast<double>(steady_now_ms() - begin) >= options.timeout_s * 1000;
        const std::string state = told["state"];
        const bool stays = told["ended"].get<bool>() || state == "halted" || state == "paused";
        if (stays || late || interrupted()) {
            if (options.fleet.json)
                say("{}\n", told.dump());
            else
                show(told);
            if (interrupted()) return stopped;
            if (!stays) {
                note("dunlin: roll-out {} goes on: {}\n", told["rollout"].dump(), counts_text(told["counts"]));
                return not_in_time;
            }
            hint(options.fleet, next_of(told));
            return state == "finished" ? succeeded : failed;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
}

Outcome<int> history(const RolloutOptions& options) {
    const auto reply = ask_fleet(options.fleet.store, {{"command", "rollout-history"}, {"name", options.other}});
    if (!reply) return tl::unexpected(reply.error());
    if (options.fleet.json) {
        say("{}\n", reply->json.dump());
        return succeeded;
    }
    report::Table table{{"time (UTC)", "version", "roll-out", "metrics"}, {}, ""};
    for (const Json& row : reply->json["history"])
        table.rows.push_back(
            {time_text(row["time_ms"]), version_text(row), row["rollout"].dump(), metrics_text(row["metrics"])});
    say("{}", report::text_table(table));
    return succeeded;
}

Outcome<int> models(const RolloutOptions& options) {
    const auto reply = ask_fleet(options.fleet.store, {{"command", "models"}});
    if (!reply) return tl::unexpected(reply.error());
    if (options.fleet.json) {
        say("{}\n", reply->json.dump());
        return succeeded;
    }
    report::Table table{{"version", "from", "kept (UTC)", "parameters", "nodes", "their mean"}, {}, ""};
    for (const Json& model : reply->json["models"])
        table.rows.push_back({version_text(model), model["origin"], time_text(model["time_ms"]),
                              model["parameters"].dump(), model["nodes"].dump(), metrics_text(model["means"])});
    say("{}", report::text_table(table));
    hint(options.fleet, table.rows.empty() ? "next: dunlin fleet models keep POLICY --name NAME"
                                           : "next: dunlin fleet rollout VERSION --to LABEL");
    return succeeded;
}

Outcome<int> keep(const RolloutOptions& options) {
    auto policy = policy_of(options);
    if (!policy) return tl::unexpected(policy.error());
    policy->request["command"] = "keep-model";
    const auto reply = ask_fleet(options.fleet.store, policy->request, policy->numbers);
    if (!reply) return tl::unexpected(reply.error());
    say("{}\n", options.fleet.json ? reply->json.dump() : version_text(reply->json));
    hint(options.fleet, fmt::format("next: dunlin fleet rollout v{} --to LABEL", reply->json["version"].dump()));
    return succeeded;
}

Outcome<int> pull_version(const RolloutOptions& options) {
    const auto reply = ask_fleet(options.fleet.store, {{"command", "model"}, {"model", options.policy}});
    if (!reply) return tl::unexpected(reply.error());
    auto settings = read_deployed(reply->json["experiment"].get<std::string>(), "the version's experiment");
    if (!settings) return tl::unexpected(settings.error());
    auto model = deployed_model(*settings, reply->numbers);
    if (!model) return tl::unexpected(model.error());
    if (auto written = report::write_file(options.out, model->bytes()); !written)
        return refuse(written.error(), options.out);
    if (options.fleet.json)
        say("{}\n", Json{{"version", reply->json["version"]}, {"file", options.out}}.dump());
    else
        say("{}\n", options.out);
    return succeeded;
}

Outcome<int> compare_versions(const RolloutOptions& options) {
    Json told[2];
    for (const int k : {0, 1}) {
        const auto reply = ask_fleet(options.fleet.store,
                                     {{"command", "model"}, {"model", k == 0 ? options.policy : options.other}});
        if (!reply) return tl::unexpected(reply.error());
        told[k] = reply->json;
    }
    Json rows = Json::array();
    for (const Json& one : told[0]["reports"]) {
        for (const Json& two : told[1]["reports"]) {
            if (one["name"] != two["name"]) continue;
            for (const auto& [metric, value] : one["metrics"].items()) {
                if (two["metrics"].contains(metric))
                    rows.push_back({{"node", one["name"]},
                                    {"metric", metric},
                                    {"first", value},
                                    {"second", two["metrics"][metric]}});
            }
        }
    }
    if (options.fleet.json) {
        say("{}\n", Json{{"first", told[0]["version"]}, {"second", told[1]["version"]}, {"nodes", rows}}.dump());
        return succeeded;
    }
    report::Table table{{"node", "metric", version_text(told[0]), version_text(told[1]), "difference"}, {}, ""};
    for (const Json& row : rows) {
        const bool known = row["first"].is_number() && row["second"].is_number();
        table.rows.push_back(
            {row["node"], row["metric"], number_text(row["first"]), number_text(row["second"]),
             known ? fmt::format("{:+.4g}", row["second"].get<double>() - row["first"].get<double>()) : ""});
    }
    say("{}", report::text_table(table));
    if (rows.empty()) hint(options.fleet, "no node has had both of them");
    return succeeded;
}

/// Where a policy comes from: a file, with what it is for, or a version that is kept.
void add_policy(CLI::App& command, RolloutOptions& options) {
    command.add_option("policy", options.policy,
                       "policy.dunlin or model.dunlin, or the run directory that it lies in; or a version that is "
                       "kept: v3, or its name");
    command.add_option("--name", options.name, "a name for this version");
    command.add_option("--experiment", options.experiment, "what it is for; default: what it was trained on");
    command.add_option("--set", options.assignments, "KEY=VALUE over the experiment")
        ->allow_extra_args(false)
        ->take_all();
}

using Options = std::shared_ptr<RolloutOptions>;
template <class Action>
CLI::App* add_verb(CLI::App& group, Command& run, const char* name, const char* help, const Options& options,
                   Action action) {
    CLI::App* command = group.add_subcommand(name, help);
    add_fleet_options(*command, options->fleet);
    command->callback([options, action, &run] { run = [options, action] { return action(*options); }; });
    return command;
}

}  // namespace

void add_fleet_rollouts(CLI::App& fleet, Command& run) {
    auto options = std::make_shared<RolloutOptions>();
    CLI::App* command = fleet.add_subcommand(
        "rollout", "Hand a version of a policy out in stages, and take it back where it is worse");
    add_fleet_options(*command, options->fleet);
    add_policy(*command, *options);
    command->add_option("--to,--nodes", options->nodes,
                        "names, labels, or expressions of them such as gpu,!lab; default: all on the roster");
    command->add_option("--canary", options->canary, "nodes that get it first")->capture_default_str();
    command->add_option("--batch", options->batch, "nodes of each wave after that, or a share of all: 5, 10%")
        ->capture_default_str();
    command->add_option("--watch", options->watch, "the metric of the nodes' reports that decides: return_ratio");
    command->add_flag("--lower-is-better", options->lower_is_better, "of that metric: a loss, say");
    command->add_option("--against", options->against,
                        "what it is held against: baseline (what each node said of the version that it has), or a "
                        "number; default: baseline");
    command
        ->add_option("--rollback-if", options->rules,
                     "worse-than=X: back where a wave's mean is worse by more than X; node-worse-than=X: where "
                     "one node's figure is. May be given twice")
        ->allow_extra_args(false)
        ->take_all();
    command->add_option("--back-to", options->back_to, "the version to go back to; default: the one they have");
    command
        ->add_option("--patience", options->patience_min,
                     "minutes until a node that is here and says nothing is not waited for")
        ->check(CLI::Range(0.01, 1440.0))
        ->capture_default_str();
    command->footer(
        "Nodes that are away are pending and get it when they are back. Where no version was there before, nothing "
        "can be gone back to: the roll-out stops instead.\nExample:\n  dunlin fleet rollout policy.dunlin --to "
        "kitchen --batch 10% --watch return_ratio --against baseline --rollback-if worse-than=0.05\n");
    command->callback([options, command, &run] {
        if (!command->get_subcommands().empty()) return;
        if (options->policy.empty()) throw CLI::RequiredError("policy");
        run = [options] { return start(*options); };
    });

    add_verb(*command, run, "list", "List all roll-outs", std::make_shared<RolloutOptions>(), list);
    const std::tuple<const char*, const char*, const char*> verbs[] = {
        {"show", "Show one, device by device", "rollout"},
        {"pause", "Let no further nodes have it", "rollout-pause"},
        {"resume", "Let it go on", "rollout-resume"},
        {"retry", "Offer it again to nodes that refused it", "rollout-retry"},
        {"abort", "End it as it is: who has the new version keeps it", "rollout-abort"},
        {"rollback", "Take it back: who may have the new version gets the old one", "rollout-rollback"}};
    for (const auto& [name, help, asked] : verbs) {
        auto one = std::make_shared<RolloutOptions>();
        add_verb(*command, run, name, help, one, [word = std::string(asked)](const RolloutOptions& chosen) {
            return about(chosen, word);
        })->add_option("rollout", one->number, "its number; default: the newest");
    }
    auto waited = std::make_shared<RolloutOptions>();
    CLI::App* waiting = add_verb(*command, run, "wait", "Wait until it has ended or stopped", waited, wait);
    waiting->add_option("rollout", waited->number, "its number; default: the newest");
    waiting->add_option("--timeout", waited->timeout_s, "seconds; 0: for ever")->capture_default_str();
    waiting->footer("Exit codes: 0 all nodes have it, 1 it was taken back, aborted or stopped, 3 not in time.\n");
    auto node = std::make_shared<RolloutOptions>();
    add_verb(*command, run, "history", "Show which versions a node has had", node, history)
        ->add_option("node", node->other, "its name")
        ->required();

    auto listed = std::make_shared<RolloutOptions>();
    CLI::App* kept = fleet.add_subcommand("models", "List the versions of models that are kept");
    add_fleet_options(*kept, listed->fleet);
    kept->footer("Example:\n  dunlin fleet models\n  dunlin fleet models compare v1 v2\n");
    kept->callback([listed, kept, &run] {
        if (kept->get_subcommands().empty()) run = [listed] { return models(*listed); };
    });
    auto added = std::make_shared<RolloutOptions>();
    CLI::App* keeping = add_verb(*kept, run, "keep", "Keep a policy as a version, or name one", added, keep);
    add_policy(*keeping, *added);
    keeping->get_option("policy")->required();
    auto pulled = std::make_shared<RolloutOptions>();
    CLI::App* pulling = add_verb(*kept, run, "pull", "Write a version to a file", pulled, pull_version);
    pulling->add_option("version", pulled->policy, "v3, or its name")->required();
    pulling->add_option("--out", pulled->out, "the file")->capture_default_str();
    auto both = std::make_shared<RolloutOptions>();
    CLI::App* comparing =
        add_verb(*kept, run, "compare", "Compare what the same nodes said of two versions", both, compare_versions);
    comparing->add_option("first", both->policy, "v3, or its name")->required();
    comparing->add_option("second", both->other, "v3, or its name")->required();
}

}  // namespace dunlin::app
