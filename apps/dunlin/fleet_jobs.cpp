// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/command_options.hpp"
#include "apps/dunlin/experiments.hpp"
#include "apps/dunlin/fleet_commands.hpp"
#include "apps/dunlin/interrupt.hpp"
#include "apps/dunlin/run_directory.hpp"
#include "apps/dunlin/saved_model.hpp"
#include "apps/output.hpp"
#include "apps/report/run_files.hpp"
#include "apps/report/table.hpp"
#include "fleet/coordinator/control_socket.hpp"
#include "fleet/jobs/experiments.hpp"
#include "training/host/plain_text.hpp"
#include "training/host/shell_text.hpp"
#include "training/host/text_values.hpp"
#include "training/problems/navigation_fleet.hpp"

#include <memory>
#include <optional>
#include <tuple>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace dunlin::app {
namespace {

struct RunOptions {
    FleetOptions fleet;
    std::string experiment, policy, token;
    std::vector<std::string> assignments, nodes;
    std::optional<std::uint64_t> seed;
};

/// A ready-made experiment, or a file.
Outcome<std::string> experiment_text(const std::string& name) {
    if (const Experiment* known = find_experiment(name)) return std::string(known->toml);
    std::error_code ignored;
    if (std::filesystem::exists(name, ignored)) return read_text(name);
    return refuse(shown(name, false) + ": no ready-made experiment (`dunlin list` shows them), and no file");
}

/// Starts a job; `numbers` are those of a policy that is pushed.
Outcome<int> start(const RunOptions& options, ProblemExperiment& settings, Json request,
                   const std::vector<float>& numbers) {
    request["command"] = "run";
    request["experiment"] = write_deployed(settings);
    request["where"] = options.experiment;
    request["nodes"] = options.nodes;
    request["token"] = options.token;
    const auto reply = ask_fleet(options.fleet.store, request, numbers);
    if (!reply) return tl::unexpected(reply.error());
    const auto job = reply->json["job"].get<std::uint64_t>();
    say("{}\n", options.fleet.json ? reply->json.dump() : std::to_string(job));
    const bool made = reply->json.value("made", true);
    hint(options.fleet,
         fmt::format(
             "job {} {}\nnext: {}", job, made ? "is stored" : "has this token: it was started before",
             is_served(options.fleet.store)
                 ? fmt::format("dunlin fleet watch {}, or dunlin fleet wait --for=finished --job {}", job, job)
                 : "dunlin fleet serve, for nobody serves this fleet now"));
    return succeeded;
}

/// An experiment's settings, with what the options change.
Outcome<ProblemExperiment> changed(std::string_view toml, const RunOptions& options) {
    auto settings = read_deployed(toml, options.experiment);
    if (!settings) return settings;
    std::vector<std::string> assignments = options.assignments;
    if (options.seed) assignments.push_back(fmt::format("seed={}", *options.seed));
    if (auto done = settings->list().set(assignments); !done) return tl::unexpected(done.error());
    return settings;
}

Outcome<int> start_experiment(const RunOptions& options) {
    const auto toml = experiment_text(options.experiment);
    if (!toml) return tl::unexpected(toml.error());
    auto settings = changed(*toml, options);
    if (!settings) return tl::unexpected(settings.error());
    return start(options, *settings, Json::object(), {});
}

/// A fleet's navigation with this policy's network instead of its own.
void take_network(FleetNavigationSettings& settings, const TrainedModel& policy) {
    const MlpShape& shape = policy.shape;
    settings.hidden.assign(shape.widths.begin(), shape.widths.begin() + shape.layers - 1);
    if (shape.layers > 1) settings.activation = shape.hidden;
    settings.input = shape.one_hot ? PolicyInput::one_hot : PolicyInput::coordinates;
}

/// What the nodes are to run: what the policy says of itself, or else `options.experiment` with its network.
Outcome<ProblemExperiment> pushed_settings(RunOptions& options, const SavedModel& saved) {
    const TrainedModel& policy = saved.model;
    if (options.experiment.empty() && saved.kind != nullptr && saved.kind->name == "navigation") {
        const auto own = navigation_settings_of(saved);
        if (!own) return tl::unexpected(own.error());
        FleetNavigationSettings served;
        served.federated.method = preset::persafl_me;
        auto fleet = on_a_fleet(*own, served);
        if (!fleet) return tl::unexpected(fleet.error());
        options.experiment = options.policy;
        ProblemExperiment experiment(*find_problem(fleet->kind));
        *experiment.as<FleetNavigationSettings>() = *std::move(fleet);
        return experiment;
    }
    if (options.experiment.empty() && saved.kind != nullptr) {
        options.experiment = options.policy;
        return read_deployed(saved.config, options.policy);
    }
    const bool assumed = options.experiment.empty();
    if (assumed) options.experiment = "fleet-navigation-server";
    const auto text = experiment_text(options.experiment);
    if (!text) return tl::unexpected(text.error());
    auto settings = read_deployed(*text, options.experiment);
    if (!settings) return settings;
    if (auto* navigation = settings->as<FleetNavigationSettings>()) {
        if (policy.network)
            return refuse(options.policy + ": no perceptron, and nodes that navigate have one as their policy");
        take_network(*navigation, policy);
    }
    if (assumed) {
        note(
            "dunlin: {}: written by an older Dunlin, it says nothing of its map, horizon and inner loop; taken "
            "from {}; name another with --experiment\n",
            options.policy, options.experiment);
    }
    return settings;
}

/// The settings that make the network are the model's own: another one of as many parameters would be judged by them.
Outcome<void> check_model(ProblemExperiment& pushed, const SavedModel& saved) {
    if (saved.kind == nullptr || saved.kind->name != pushed.kind().name) return {};
    ProblemExperiment own(pushed.kind());
    Settings was = own.list(), is = pushed.list();
    if (auto read = was.read(saved.config, saved.file.string()); !read) return read;
    for (const char* key :
         {"model.hidden", "model.activation", "model.layers", "model.input", "model.personal_layers"}) {
        if (was.value(key) != is.value(key))
            return refuse(fmt::format("{} = {}, but the model was trained with {}; leave it as it is", key,
                                      is.value(key), was.value(key)));
    }
    return {};
}

/// A push hands a whole model out, and what stays with nodes is in none.
Outcome<void> check_shared(ProblemExperiment& pushed) {
    const std::string layers = pushed.list().value("model.personal_layers");
    const bool kept = traits_of(pushed.settings().federated.objective()).kept != Kept::nothing;
    if (!kept && (layers.empty() || layers == "[]")) return {};
    return refuse(
        "a part of this model stays with its nodes, and a push hands whole models out; have them learn it");
}

/// What nodes that bring their data are to have, where the settings leave it to the model.
Outcome<void> take_data_terms(ProblemExperiment& pushed, const TrainedModel& model) {
    if (!pushed.nodes_bring_data()) return {};
    Settings list = pushed.list();
    const auto take = [&](const std::string& key, const auto& values, const auto& text) -> Outcome<void> {
        if (list.value(key) != "[]" || values.empty()) return {};
        std::vector<std::string> parts;
        for (const auto& value : values) parts.push_back(text(value));
        return list.set(fmt::format("{}=[{}]", key, fmt::join(parts, ",")));
    };
    const auto number = [](float value) { return fmt::format("{}", value); };
    return take("data.features", model.input_names, toml_string)
        .and_then([&] { return take("data.classes", model.output_names, toml_string); })
        .and_then([&] { return take("data.centre", model.centre, number); })
        .and_then([&] { return take("data.scale", model.scale, number); });
}

Outcome<int> push(RunOptions options) {
    const auto saved = open_model(options.policy);
    if (!saved) return tl::unexpected(saved.error());
    const TrainedModel& policy = saved->model;
    if (policy.frozen > 0)
        return refuse(fmt::format(
            "{}: {} of its layers are frozen, and nodes of a fleet move all; import it without --freeze, "
            "or adapt it here with: dunlin adapt {}",
            options.policy, policy.frozen, options.policy));
    if (policy.gaussian())
        return refuse(
            fmt::format("{}: a policy of the point world, and real nodes navigate on a grid", options.policy));
    auto settings = pushed_settings(options, *saved);
    if (!settings) return tl::unexpected(settings.error());
    if (auto done = settings->list().set(options.assignments); !done) return tl::unexpected(done.error());
    if (settings->as<FleetNavigationSettings>() == nullptr) {
        if (auto own = check_model(*settings, *saved); !own) return tl::unexpected(own.error());
        if (auto shared = check_shared(*settings); !shared) return tl::unexpected(shared.error());
        if (auto taken = take_data_terms(*settings, policy); !taken) return tl::unexpected(taken.error());
    }
    // The settings again from their text: what a node reads must be in range there too.
    settings = read_deployed(write_deployed(*settings), options.experiment);
    if (!settings) return tl::unexpected(settings.error());
    if (const auto* navigation = settings->as<FleetNavigationSettings>()) {
        if (auto fits = check_network(*navigation, policy); !fits)
            return refuse(fmt::format("{}: {}", options.policy, fits.error().text));
    }
    return start(options, *settings, {{"push", true}}, policy.parameters);
}

struct JobOptions {
    FleetOptions fleet;
    std::uint64_t job = 0;  ///< 0: the newest
    bool now = false;
    std::string out;
    std::vector<std::string> nodes;
};

Outcome<int> jobs(const FleetOptions& options) {
    const auto reply = ask_fleet(options.store, {{"command", "jobs"}});
    if (!reply) return tl::unexpected(reply.error());
    if (options.json) {
        say("{}\n", reply->json.dump());
        return succeeded;
    }
    report::Table table{
        {"job", "experiment", "state", "how", "members", "here", "updates", "version", "epoch", "s"}, {}, ""};
    for (const Json& job : reply->json["jobs"]) {
        const bool serverless = job["aggregation"] != "federated";
        table.rows.push_back({job["job"].dump(), job["name"], job["state"],
                              job["push"] ? "push" : job["aggregation"].get<std::string>(), job["members"].dump(),
                              job["here"].dump(), serverless ? "" : job["updates"].dump(), job["version"].dump(),
                              serverless ? job["epoch"].dump() : "",
                              fmt::format("{:.0f}", job["elapsed_s"].get<double>())});
    }
    say("{}", report::text_table(table));
    hint(options, table.rows.empty() ? "next: dunlin fleet run EXPERIMENT" : "next: dunlin fleet status --job JOB");
    return succeeded;
}

Outcome<int> change(const JobOptions& options, const std::string& command) {
    const auto reply =
        ask_fleet(options.fleet.store, {{"command", command}, {"job", options.job}, {"now", options.now}});
    if (!reply) return tl::unexpected(reply.error());
    if (options.fleet.json) say("{}\n", reply->json.dump());
    const std::string job = reply->json["job"].dump();
    const std::string state = reply->json["state"];
    hint(options.fleet, fmt::format("job {}: {}\nnext: {}", job, state,
                                    state == "paused"   ? "dunlin fleet resume --job " + job
                                    : state == "ending" ? "dunlin fleet wait --for=ended --job " + job
                                    : command == "stop" ? "dunlin fleet pull " + job
                                                        : "dunlin fleet watch"));
    return succeeded;
}

/// Adds nodes to a job that runs, or removes them.
Outcome<int> change_members(const JobOptions& options, const std::string& command) {
    const auto reply =
        ask_fleet(options.fleet.store,
                  {{"command", command}, {"job", options.job}, {"nodes", options.nodes}, {"now", options.now}});
    if (!reply) return tl::unexpected(reply.error());
    const std::string list = command == "add" ? "added" : "removed", job = reply->json["job"].dump();
    if (options.fleet.json) say("{}\n", reply->json.dump());
    for (const Json& node : reply->json[list]) {
        const std::string name = node["name"];
        hint(options.fleet, fmt::format("job {}: {} is {}, member {}", job, name, list, node["member"].dump()));
    }
    hint(options.fleet, "next: dunlin fleet status --job " + job);
    return succeeded;
}

/// The model as a file, with all that is needed to run it.
Outcome<TrainedModel> pulled_model(const Reply& reply) {
    const std::string experiment = reply.json["experiment"];
    auto settings = read_deployed(experiment, "the job's experiment");
    if (!settings) return tl::unexpected(settings.error());
    Outcome<TrainedModel> model = deployed_model(*settings, reply.numbers);
    if (!model) return model;
    model->updates = reply.json["version"].get<std::int64_t>();
    model->shared_is = fmt::format("model of job {} after {} updates", reply.json["job"].dump(), model->updates);
    return model;
}

Outcome<int> pull(JobOptions options) {
    std::error_code ignored;
    if (std::filesystem::is_directory(options.out, ignored)) options.out += "/policy.dunlin";
    const auto reply = ask_fleet(options.fleet.store, {{"command", "pull"}, {"job", options.job}});
    if (!reply) return tl::unexpected(reply.error());
    const Outcome<TrainedModel> model = pulled_model(*reply);
    if (!model) return tl::unexpected(model.error());
    if (auto written = report::write_file(options.out, model->bytes()); !written)
        return refuse(written.error(), options.out);
    if (options.fleet.json) {
        say("{}\n", Json{{"job", reply->json["job"]},
                         {"version", reply->json["version"]},
                         {"learned", reply->json.value("learned", true)},
                         {"parameters", reply->numbers.size()},
                         {"file", options.out},
                         {"warnings", reply->json.value("warnings", Json::array())}}
                        .dump());
    } else {
        say("{}\n", options.out);
    }
    for (const Json& warning : reply->json.value("warnings", Json::array()))
        note("warning: {}\n", warning.get<std::string>());
    if (!reply->json.value("learned", true)) {
        note(
            "dunlin: job {} has not learned: no node's update is in this model; it is what the job began "
            "with{}\n",
            reply->json["job"].dump(), reply->json["push"].get<bool>() ? ", the model that was pushed" : "");
    }
    hint(options.fleet,
         fmt::format("version {} of job {}\nnext: dunlin fleet push {}", reply->json["version"].dump(),
                     reply->json["job"].dump(), shell_path(options.out)));
    return succeeded;
}

}  // namespace

void add_fleet_jobs(CLI::App& fleet, Command& run) {
    auto started = std::make_shared<RunOptions>();
    CLI::App* command = fleet.add_subcommand("run", "Start an experiment on nodes, as a job");
    add_fleet_options(*command, started->fleet);
    command->add_option("experiment", started->experiment, "a ready-made one (`dunlin list`), or a TOML file")
        ->required();
    command->add_option("--nodes", started->nodes, "names or labels; default: all on the roster");
    command->add_option("--set", started->assignments, "KEY=VALUE over the experiment; may be given many times")
        ->allow_extra_args(false)
        ->take_all();
    command->add_option_function<std::uint64_t>(
        "--seed", [started](std::uint64_t seed) { started->seed = seed; }, "all randomness comes from it");
    command->add_option("--token", started->token, "a word for this job: given again, it is the same job");
    command->footer([started] {
        return settings_help("fleet run", started->experiment, started->experiment) +
               "Prints the job's number.\nExample:\n  dunlin fleet run fleet-navigation --nodes arm --token "
               "monday\n";
    });
    command->callback([started, &run] { run = [started] { return start_experiment(*started); }; });

    auto pushed = std::make_shared<RunOptions>();
    command =
        fleet.add_subcommand("push", "Hand a policy out: every node makes it its own and says how good it is");
    add_fleet_options(*command, pushed->fleet);
    command
        ->add_option("policy", pushed->policy,
                     "policy.dunlin or model.dunlin, or the run directory that it lies in")
        ->required();
    command->add_option("--experiment", pushed->experiment, "what it is for; default: what it was trained on");
    command->add_option("--nodes", pushed->nodes, "names or labels; default: all on the roster");
    command->add_option("--set", pushed->assignments, "KEY=VALUE over the experiment")
        ->allow_extra_args(false)
        ->take_all();
    command->add_option("--token", pushed->token, "a word for this job: given again, it is the same job");
    command->footer("Example:\n  dunlin fleet push policy.dunlin --nodes kitchen\n");
    command->callback([pushed, &run] { run = [pushed] { return push(*pushed); }; });

    auto listed = std::make_shared<FleetOptions>();
    command = fleet.add_subcommand("jobs", "List all jobs");
    add_fleet_options(*command, *listed);
    command->footer("Example:\n  dunlin fleet jobs\n");
    command->callback([listed, &run] { run = [listed] { return jobs(*listed); }; });

    const std::pair<const char*, const char*> changes[] = {
        {"pause", "Let a job's nodes hold still"},
        {"resume", "Let them go on"},
        {"stop", "End a job; without a server, its nodes say first what they hold, which makes the model"}};
    for (const auto& [name, help] : changes) {
        auto options = std::make_shared<JobOptions>();
        command = fleet.add_subcommand(name, help);
        add_fleet_options(*command, options->fleet);
        command->add_option("job,--job", options->job, "its number; default: the newest");
        if (name == std::string_view("stop"))
            command->add_flag("--now", options->now,
                              "do not wait for nodes that are away; without a server, no model");
        command->footer(fmt::format("Example:\n  dunlin fleet {} 3\n", name));
        command->callback([options, name = std::string(name), &run] {
            run = [options, name] { return change(*options, name); };
        });
    }

    const std::tuple<const char*, const char*, const char*> members[] = {
        {"add", "Let nodes take part in a job that runs",
         "With a server they begin at once, by rounds with the next one, and without a server with the next epoch "
         "of the "
         "graph, at the mean of the others. A node that was in the job gets its number, and its data, back. The "
         "job's "
         "budget stays as it is.\nExample:\n  dunlin fleet add kitchen --job 3\n"},
        {"remove", "Take nodes out of a job that runs; they stay on the roster",
         "Without a server a node hands its mass to the others first, when it is here; --now takes it out at once, "
         "and "
         "`dunlin fleet ledger` says what went with it.\nExample:\n  dunlin fleet remove kitchen --job 3\n"}};
    for (const auto& [name, help, footer] : members) {
        auto options = std::make_shared<JobOptions>();
        command = fleet.add_subcommand(name, help);
        add_fleet_options(*command, options->fleet);
        command->add_option("nodes,--nodes", options->nodes, "names or labels")->required();
        command->add_option("--job", options->job, "its number; default: the newest");
        if (name == std::string_view("remove"))
            command->add_flag("--now", options->now, "do not wait for what it holds");
        command->footer(footer);
        command->callback([options, name = std::string(name), &run] {
            run = [options, name] { return change_members(*options, name); };
        });
    }

    auto pulled = std::make_shared<JobOptions>();
    pulled->out = "policy.dunlin";
    command = fleet.add_subcommand("pull", "Write a job's model to a file");
    add_fleet_options(*command, pulled->fleet);
    command->add_option("job,--job", pulled->job, "its number; default: the newest");
    command->add_option("--out", pulled->out, "the file")->capture_default_str();
    command->footer("Example:\n  dunlin fleet pull 3 --out policy.dunlin\n");
    command->callback([pulled, &run] { run = [pulled] { return pull(*pulled); }; });
}

}  // namespace dunlin::app
