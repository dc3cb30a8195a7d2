// SPDX-License-Identifier: Apache-2.0
#include "program.hpp"
#include "training/host/archive.hpp"
#include "training/host/array_file.hpp"
#include "training/models/model_file.hpp"
#include "training/navigation/checkpoint_file.hpp"
#include "xml_check.hpp"

#include <cmath>
#include <csignal>
#include <cstring>
#include <optional>
#include <set>

#include <catch2/catch.hpp>
#include <sys/inotify.h>
#include <unistd.h>

using namespace dunlin;
using namespace dunlin::program;

namespace {

/// What two runs of the same seed must share: all but the clock and the threads.
nlohmann::json timeless(nlohmann::json summary) {
    for (const char* key : {"seconds", "env_steps_per_second", "threads"}) summary.erase(key);
    return summary;
}

/// metrics.csv without its fourth column, the seconds.
std::vector<std::vector<std::string>> timeless_metrics(const std::filesystem::path& directory) {
    auto rows = csv(read(directory / "metrics.csv"));
    for (auto& row : rows) row.erase(row.begin() + 3);
    return rows;
}

/// Sets rl.iterations of a run that goes on.
void set_iterations(const Folder& folder, std::int64_t iterations) {
    std::string config = read(folder / "run/config.toml");
    const std::size_t key = config.find("\niterations = ");
    REQUIRE(key != std::string::npos);
    const std::size_t value = key + std::strlen("\niterations = ");
    config.replace(value, config.find_first_of(" \n", value) - value, std::to_string(iterations));
    folder.file("run/config.toml", config);
}

/// The interrupted run in run/ goes on to `iterations`; a new one does all of them at once; both are the same.
void goes_on_like_uninterrupted(const Folder& folder, std::int64_t iterations) {
    set_iterations(folder, iterations);
    const Ended resumed = run(folder, {"train", "--resume", "run"});
    INFO(resumed.err);
    REQUIRE(resumed.code == 0);
    const Ended whole =
        run(folder, small_run("train", {"--out", "whole", "--set", "rl.iterations=" + std::to_string(iterations)}));
    REQUIRE(whole.code == 0);
    CHECK(read(folder / "run/policy.dunlin") == read(folder / "whole/policy.dunlin"));
    CHECK(read(folder / "run/navigation-end.svg") == read(folder / "whole/navigation-end.svg"));
    CHECK(timeless_metrics(folder / "run") == timeless_metrics(folder / "whole"));
    CHECK(timeless(read_json(folder / "run/summary.json")) == timeless(read_json(folder / "whole/summary.json")));
}

/// What a checkpoint says of the trainer, which comes first in it.
std::optional<MetaTrainerState> trainer_in(const std::filesystem::path& checkpoint) {
    const Result<RunCheckpoint> kept = read_run_checkpoint(checkpoint);
    if (!kept) return {};
    Loader loader(kept->state);
    MetaTrainerState state;
    loader(state);
    return loader.ok() ? std::optional(std::move(state)) : std::nullopt;
}

const std::vector<std::string> endless{"--out", "run", "--set", "rl.iterations=100000000"};

}  // namespace

TEST_CASE("train writes the whole run directory") {
    const Folder folder;
    const Ended ended = run(folder, small_run("train", {"--out", "run", "--seed", "7"}));
    INFO(ended.err);
    REQUIRE(ended.code == 0);
    CHECK(ended.out.find("task 1: goal") != std::string::npos);
    CHECK(ended.err.find("iteration 4/4") != std::string::npos);

    const nlohmann::json summary = read_json(folder / "run/summary.json");
    CHECK(summary.at("experiment") == "navigation");
    CHECK(summary.at("method") == "memrl");
    CHECK(summary.at("seed") == 7);
    CHECK(summary.at("iterations") == 4);
    CHECK(summary.at("env_steps").get<int>() > 4 * 3 * 3 * 10);
    CHECK(summary.at("env_steps").get<int>() <= 4 * 3 * 3 * 10 * 10);
    CHECK(summary.at("seconds").get<double>() > 0);
    CHECK(summary.at("env_steps_per_second").get<double>() > 0);
    REQUIRE(summary.at("tasks").size() == 3);
    for (const auto& task : summary.at("tasks")) {
        const double ratio = task.at("return_ratio");
        CHECK(ratio == Approx(task.at("return").get<double>() / task.at("optimal_return").get<double>()));
        CHECK(ratio > 0);
        CHECK(ratio <= 1 + 1e-6);
        CHECK(task.at("success").get<double>() <= 1 + 1e-6);
    }
    const auto metrics = csv(read(folder / "run/metrics.csv"));
    REQUIRE(metrics.size() == 6);  // the header, and iterations 0 to 4
    CHECK(metrics.back()[0] == "4");
    CHECK(metrics.back()[1] == std::to_string(summary.at("env_steps").get<int>()));
    for (const char* picture : {"navigation-start.svg", "navigation-end.svg", "returns.svg"}) {
        CHECK(test::xml_problem(read(folder / "run" / picture)) == "");
    }
    CHECK(read(folder / "run/report.html").find("dunlin train navigation") != std::string::npos);
    CHECK(TrainedModel::read(folder / "run/policy.dunlin"));
}

TEST_CASE("a run is shown beside the untrained policy under the same adaptation, on held-out tasks too") {
    const Folder folder;
    const Ended ended = run(
        folder, small_run("train", {"--out", "run", "--set=environment.tasks=sampled", "--set=rl.iterations=6",
                                    "--set=environment.training_tasks=4", "--set=environment.held_out_tasks=3",
                                    "--set=report.adaptation_steps=2", "--set=environment.permute_actions=true"}));
    INFO(ended.err);
    REQUIRE(ended.code == 0);
    CHECK(ended.out.find("untrained") != std::string::npos);
    CHECK(ended.out.find("3 held-out tasks after 2 inner steps: success ") != std::string::npos);
    const nlohmann::json summary = read_json(folder / "run/summary.json");
    for (const auto& task : summary.at("tasks")) {
        const double trained = task.at("return"), untrained = task.at("untrained_return"),
                     optimum = task.at("optimal_return");
        CHECK(task.at("untrained_return_ratio").get<double>() == Approx(untrained / optimum));
        CHECK(task.at("normalised_gain").get<double>() == Approx((trained - untrained) / (optimum - untrained)));
        CHECK(task.at("single_policy_return_ratio").get<double>() <= 1 + 1e-6);
    }
    const nlohmann::json held_out = summary.at("held_out");
    CHECK(held_out.at("distinct_tasks") == 3);
    double success = 0, untrained = 0;
    for (const auto& task : held_out.at("tasks")) {
        success += task.at("success").get<double>() / 3;
        untrained += task.at("untrained_success").get<double>() / 3;
    }
    CHECK(held_out.at("success").get<double>() == Approx(success));
    CHECK(held_out.at("untrained_success").get<double>() == Approx(untrained));
    // A learning curve of held-out tasks, which a resumed run goes on with.
    const auto metrics = csv(read(folder / "run/metrics.csv"));
    CHECK(metrics[0].back() == "held_out_success");
    REQUIRE(metrics.size() == 8);
    const std::string whole = read(folder / "run/metrics.csv");
    CHECK(run(folder, {"train", "--resume", "run", "--quiet"}).code == 0);
    CHECK(read(folder / "run/metrics.csv") == whole);
    CHECK(test::xml_problem(read(folder / "run/held-out.svg")) == "");

    // Nothing learned is no gain and no harm; what was learned for other goals can be one.
    const auto train = [&](const std::string& out, const std::vector<std::string>& more) {
        std::vector<std::string> options{"--out=" + out, "--json", "--set=rl.iterations=60"};
        options.insert(options.end(), more.begin(), more.end());
        const Ended made = run(folder, small_run("train", options));
        REQUIRE(made.code == 0);
        return made;
    };
    const Ended scratch = train("scratch", {"--method=scratch"});
    CHECK(nlohmann::json::parse(scratch.out).at("harms").empty());
    CHECK(nlohmann::json::parse(scratch.out).at("tasks")[0].at("normalised_gain") == 0.0);
    train("corner", {"--set=environment.goals=[\"0,0\"]", "--set=rl.task_batch=1", "--set=rl.inner_rate=4",
                     "--set=rl.interpolation=1"});
    const Ended harmed = run(folder, {"adapt", "corner", "--task=goal=3,3", "--steps=2", "--no-plot"});
    INFO(harmed.err);
    CHECK(harmed.err.find("warning: meta-training harms") != std::string::npos);
}

TEST_CASE("train --json prints summary.json and nothing else on stdout") {
    const Folder folder;
    const Ended ended = run(folder, small_run("train", {"--out", "run", "--json", "--quiet"}));
    REQUIRE(ended.code == 0);
    CHECK(ended.out == read(folder / "run/summary.json"));
    CHECK(ended.err.find("iteration") == std::string::npos);
}

TEST_CASE("the resolved config.toml of a run gives the same run again") {
    const Folder folder;
    REQUIRE(run(folder, small_run("train", {"--out", "first", "--seed", "3"})).code == 0);
    REQUIRE(run(folder, {"train", "navigation", "--config", "first/config.toml", "--out", "second"}).code == 0);
    CHECK(read(folder / "first/config.toml") == read(folder / "second/config.toml"));
    CHECK(read(folder / "first/policy.dunlin") == read(folder / "second/policy.dunlin"));
}

TEST_CASE("a seed gives the same run for one thread and for two, and another seed another run") {
    const Folder folder;
    const auto with = [&](const std::string& name, const std::string& seed, const std::string& threads) {
        REQUIRE(run(folder, small_run("train", {"--out", name, "--seed", seed, "--threads", threads})).code == 0);
        return timeless(read_json(folder / (name + "/summary.json")));
    };
    const nlohmann::json one = with("one", "5", "1"), two = with("two", "5", "2"), other = with("other", "6", "1");
    CHECK(one == two);
    CHECK(read(folder / "one/policy.dunlin") == read(folder / "two/policy.dunlin"));
    CHECK(timeless_metrics(folder / "one") == timeless_metrics(folder / "two"));
    CHECK(one.at("tasks") != other.at("tasks"));
}

TEST_CASE("Ctrl-C stops with exit code 130, keeps what there is, and --resume ends like an uninterrupted run") {
    const Folder folder;
    Running running(folder, small_run("train", endless));
    REQUIRE(running.wait_for_error_text("iteration 1/"));
    running.send(SIGINT);
    const Ended ended = running.wait();
    CHECK(ended.code == 130);
    CHECK_FALSE(running.anyone_left());
    CHECK(ended.err.find("dunlin train --resume run") != std::string::npos);
    const nlohmann::json summary = read_json(folder / "run/summary.json");
    CHECK(summary.at("complete") == false);
    goes_on_like_uninterrupted(folder, summary.at("iterations").get<std::int64_t>() + 3);
}

TEST_CASE("a killed run goes on from its checkpoint and ends like an uninterrupted one") {
    const Folder folder;
    std::filesystem::create_directory(folder / "run");
    const int watch = ::inotify_init1(IN_CLOEXEC);
    REQUIRE(::inotify_add_watch(watch, (folder / "run").c_str(), IN_MOVED_TO) >= 0);
    Running running(folder, small_run("train", endless));
    const auto checkpoint = folder / "run/checkpoint.dunlin";
    while (!std::filesystem::exists(checkpoint)) {
        alignas(inotify_event) char events[4096];
        REQUIRE(::read(watch, events, sizeof events) > 0);  // a file of the run has its name now
    }
    ::close(watch);
    running.send(SIGKILL);
    REQUIRE(running.wait().signal == SIGKILL);
    const std::optional<MetaTrainerState> state = trainer_in(checkpoint);
    REQUIRE(state);
    REQUIRE(state->iteration > 0);
    goes_on_like_uninterrupted(folder, state->iteration + 3);
}

TEST_CASE(
    "training that runs into NaN stops with the iteration and the cause, and keeps the last good parameters") {
    const Folder folder;
    // Steps of a thousand drive a Gaussian policy's log standard deviation out of exp's range.
    const Ended ended = run(folder, small_run("train", {"--out", "run", "--set", "environment.world=point", "--set",
                                                        "rl.inner_rate=1000", "--set", "rl.step_clip=0", "--set",
                                                        "rl.prox_weight=0", "--set", "rl.iterations=50"}));
    CHECK(ended.code == 1);
    INFO(ended.err);
    CHECK(ended.err.find("stopped in iteration ") != std::string::npos);
    CHECK(ended.err.find("NaN") != std::string::npos);
    CHECK(ended.err.find("checkpoint.dunlin") != std::string::npos);
    CHECK_FALSE(std::filesystem::exists(folder / "run/summary.json"));
    const std::optional<MetaTrainerState> state = trainer_in(folder / "run/checkpoint.dunlin");
    REQUIRE(state);
    for (const float value : state->parameters) REQUIRE(std::isfinite(value));
}

TEST_CASE("the reference kernels give the same policy, to the bit, on every machine") {
    const Folder folder;
    const std::string settings = folder.file("golden.toml", R"(
kernels = "reference"
seed = 11
[environment]
map = "empty-5x5"
[policy]
hidden = [16, 16]
output_gain = 0.01
[rl]
iterations = 3
horizon = 20
discount = 0.95
task_batch = 3
trajectories = 20
prox_weight = 0.03
interpolation = 0.5
outer_step = "own"
inner_rate = 0.7
inner_steps = 8
step_clip = 0.5
accuracy = 0.0
baseline = "leave-one-out"
)");
    REQUIRE(run(folder, {"train", "navigation", "--config", settings, "--out", "run"}).code == 0);
    // Without what later formats add it is the file of format 1, whose bytes this number was taken of.
    auto file = ArrayFile::read(folder / "run/policy.dunlin", "policy");
    REQUIRE(file);
    const std::set<std::string> first{"experiment", "inputs",   "activation", "one_hot",
                                      "bias",       "gaussian", "parameters", "widths"};
    const auto later = [&](const auto& entry) { return !first.contains(entry.first); };
    std::erase_if(file->fields, later);
    std::erase_if(file->arrays, later);
    const std::string policy = file->bytes();
    std::uint32_t checksum = 0;  // the file's last four bytes are the CRC-32 of the rest
    REQUIRE(policy.size() > sizeof checksum);
    std::memcpy(&checksum, policy.data() + policy.size() - sizeof checksum, sizeof checksum);
    CHECK(checksum == 0x151df0a5u);
}
