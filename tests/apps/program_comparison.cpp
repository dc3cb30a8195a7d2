// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/comparison.hpp"
#include "program.hpp"
#include "xml_check.hpp"

#include <csignal>
#include <cstring>

#include <catch2/catch.hpp>

using namespace dunlin;
using namespace dunlin::program;

namespace {

std::filesystem::file_time_type written(const Folder& folder, const std::string& name) {
    return std::filesystem::last_write_time(folder / name);
}

/// Numbers of a NumPy file of this shape, as it is described in its header.
template <class Number>
std::vector<Number> npy(const std::filesystem::path& path, const std::string& type, const std::string& shape) {
    const std::string bytes = read(path);
    REQUIRE(bytes.rfind("\x93NUMPY", 0) == 0);
    const std::size_t header =
        10 + static_cast<unsigned char>(bytes[8]) + 256u * static_cast<unsigned char>(bytes[9]);
    INFO(bytes.substr(10, header - 10));
    CHECK(bytes.find("'descr': '" + type + "'") < header);
    CHECK(bytes.find("'shape': " + shape) < header);
    std::vector<Number> values((bytes.size() - header) / sizeof(Number));
    std::memcpy(values.data(), bytes.data() + header, values.size() * sizeof(Number));
    return values;
}

}  // namespace

TEST_CASE("compare runs every method for every seed and writes table, plots and report") {
    const Folder folder;
    const Ended ended =
        run(folder, small_run("compare", {"--methods", "memrl,fomaml,scratch", "--seeds", "2", "--out", "both"}));
    INFO(ended.err);
    REQUIRE(ended.code == 0);
    for (const char* method : {"memrl", "fomaml", "scratch"}) CHECK(ended.out.find(method) != std::string::npos);

    const auto rows = csv(read(folder / "both/comparison.csv"));
    REQUIRE(rows.size() == 7);
    const auto& header = rows[0];
    const auto column = [&](const std::string& name) {
        const auto found = std::find(header.begin(), header.end(), name);
        REQUIRE(found != header.end());
        return static_cast<std::size_t>(found - header.begin());
    };
    CHECK(rows[1][column("rl.method")] == "memrl");
    CHECK(rows[2][column("seed")] == "2");
    CHECK(rows[6][column("rl.method")] == "scratch");
    CHECK(rows[6][column("env_steps")] == "0");
    for (std::size_t k = 1; k < rows.size(); ++k) {
        const double worst = std::stod(rows[k][column("worst_return_ratio")]);
        CHECK(worst > 0);
        CHECK(worst <= 1 + 1e-6);
        for (const char* task : {"task1_return_ratio", "task2_return_ratio", "task3_return_ratio"})
            CHECK(std::stod(rows[k][column(task)]) >= worst);
    }
    const nlohmann::json summary = read_json(folder / "both/summary.json");
    CHECK(summary.at("complete") == true);
    CHECK(summary.at("results").size() == 3);
    for (const char* picture : {"returns.svg", "worst_return_ratio.svg", "env_steps.svg"})
        CHECK(test::xml_problem(read(folder / "both" / picture)) == "");
    CHECK(read(folder / "both/report.html").find("--methods memrl,fomaml,scratch") != std::string::npos);
}

TEST_CASE("a run of a comparison is the run that train makes with the same settings and seed") {
    const Folder folder;
    REQUIRE(run(folder,
                small_run("compare", {"--methods", "reptile", "--seeds", "3", "--by-iterations", "--out", "both"}))
                .code == 0);
    REQUIRE(run(folder, small_run("train", {"--method", "reptile", "--seed", "3", "--out", "one"})).code == 0);
    const nlohmann::json measures = read_json(folder / "both/summary.json").at("results")[0].at("measures");
    const nlohmann::json summary = read_json(folder / "one/summary.json");
    CHECK(measures.at("env_steps").at("values")[2] == summary.at("env_steps"));
    CHECK(measures.at("task2_return_ratio").at("values")[2] == summary.at("tasks")[1].at("return_ratio"));
}

TEST_CASE("a comparison has the same results for one thread and for two") {
    const Folder folder;
    const auto with = [&](const std::string& threads) {
        REQUIRE(run(folder, small_run("compare", {"--methods", "memrl,maml", "--seeds", "2", "--threads", threads,
                                                  "--out", threads}))
                    .code == 0);
        return read(folder / (threads + "/comparison.csv"));
    };
    CHECK(with("1") == with("2"));
}

TEST_CASE(
    "methods are compared after equal environment steps and adaptation, with intervals and paired differences") {
    const Folder folder;
    const Ended ended =
        run(folder, small_run("compare", {"--methods", "memrl,fomaml,reptile,scratch", "--seeds", "3", "--set",
                                          "rl.iterations=30", "--json", "--out", "c"}));
    INFO(ended.err);
    REQUIRE(ended.code == 0);
    const nlohmann::json json = nlohmann::json::parse(ended.out);
    const auto& methods = json.at("methods");
    REQUIRE(methods.size() == 4);
    double before = 1e9;
    const nlohmann::json* first = nullptr;
    for (const auto& method : methods) {
        CHECK(method.at("inner_steps") == 2);
        CHECK(method.at("trajectories") == 10);
        CHECK(method.at("adaptation_env_steps").get<double>() > 0);
        const double mean = method.at("mean");
        CHECK(mean <= before);  // the best first
        CHECK(method.at("interval")[0].get<double>() <= mean);
        CHECK(method.at("interval")[1].get<double>() >= mean);
        before = mean;
        if (method.at("name") == "scratch") {
            CHECK(method.at("env_steps") == 0);
            continue;
        }
        if (first == nullptr) first = &method;
        CHECK(method.at("env_steps").get<double>() == Approx(first->at("env_steps").get<double>()).epsilon(0.02));
    }
    REQUIRE(json.at("pairs").size() == 6);
    // The difference of a pair is the mean over seeds of what the runs' rows say.
    const auto values = [&](const std::string& name) {
        for (const auto& result : json.at("results")) {
            if (result.at("settings").at("rl.method") == name)
                return result.at("measures").at("worst_return_ratio").at("values").get<std::vector<double>>();
        }
        return std::vector<double>{};
    };
    for (const auto& pair : json.at("pairs")) {
        const auto a = values(pair.at("first")), b = values(pair.at("second"));
        REQUIRE(a.size() == 3);
        double difference = 0;
        for (std::size_t k = 0; k < 3; ++k) difference += (a[k] - b[k]) / 3;
        CHECK(pair.at("difference").get<double>() == Approx(difference).margin(1e-12));
        CHECK(pair.at("interval")[0].get<double>() <= difference + 1e-12);
        CHECK(pair.at("probability_of_improvement").get<double>() <= 1);
    }
    CHECK(test::xml_problem(read(folder / "c/profile.svg")) == "");
}

TEST_CASE("a setting can be one method's alone, in a file, on the command line and in a comparison that goes on") {
    const Folder folder;
    folder.file("own.toml", "[methods.fomaml]\ninner_rate = 0.4\n[methods.reptile]\ninner_rate = 0.2\n");
    const auto rate = [&](const std::string& out, const std::string& key) {
        const std::string config = read(folder / (out + "/config.toml"));
        const std::size_t at = config.find("[" + key + "]");
        const std::size_t line = config.find("\ninner_rate = ", at);
        return std::stod(config.substr(line + 14));
    };
    const auto train = [&](const std::string& method, const std::string& out) {
        const Ended ended =
            run(folder, small_run("train", {"--config=own.toml", "--method=" + method, "--out=" + out,
                                            "--set=fomaml:objective.step_clip=0.3"}));
        INFO(ended.err);
        REQUIRE(ended.code == 0);
    };
    train("fomaml", "f");
    CHECK(rate("f", "maml") == Approx(0.4));
    CHECK(read(folder / "f/config.toml").find("step_clip = 0.3") != std::string::npos);
    train("reptile", "r");
    CHECK(rate("r", "rl") == Approx(0.2));
    CHECK(read(folder / "r/config.toml").find("step_clip = 0.3") == std::string::npos);

    const Ended compared =
        run(folder,
            small_run("compare", {"--config=own.toml", "--methods=fomaml,reptile,memrl", "--seeds=2", "--out=c"}));
    INFO(compared.err);
    REQUIRE(compared.code == 0);
    const std::string table = read(folder / "c/comparison.csv");
    const auto kept = written(folder, "c/trials/0001-seed-1.json");
    std::filesystem::remove(folder / "c/trials/0002-seed-1.json");
    REQUIRE(run(folder, {"compare", "--resume", "c"}).code == 0);
    CHECK(read(folder / "c/comparison.csv") == table);
    CHECK(written(folder, "c/trials/0001-seed-1.json") == kept);

    const Ended unknown = run(folder, small_run("train", {"--set=mmaml:inner_rate=1", "--out=x"}));
    CHECK(unknown.code == 2);
    CHECK(unknown.err.find("no method \"mmaml\"") != std::string::npos);
}

TEST_CASE("tuning gives every method equally many runs on seeds of their own, and counts their steps apart") {
    const Folder folder;
    const Ended ended =
        run(folder, small_run("compare", {"--methods=memrl,fomaml", "--seeds=2", "--tune=4", "--json", "--out=c"}));
    INFO(ended.err);
    REQUIRE(ended.code == 0);
    const nlohmann::json json = nlohmann::json::parse(ended.out);
    const auto& methods = json.at("tuning").at("methods");
    REQUIRE(methods.size() == 2);
    for (const auto& method : methods) {
        CHECK(method.at("runs") == 4 + 2 + 1);
        CHECK(method.at("env_steps").get<double>() > 0);
    }
    CHECK(json.at("tuning").at("first_seed").get<int>() > 1000);
    const std::string table = read(folder / "c/comparison.csv");
    std::filesystem::remove(folder / "c/trials/0001-seed-1.json");
    REQUIRE(run(folder, {"compare", "--resume", "c"}).code == 0);
    CHECK(read(folder / "c/comparison.csv") == table);
    CHECK(run(folder, {"compare", "regression", "--tune=4"}).code == 2);
}

TEST_CASE("a sweep runs all combinations, and --resume runs only what is missing") {
    const Folder folder;
    const Ended first =
        run(folder, small_run("sweep", {"--grid", "rl.prox_weight=0.01,0.1,0.3", "--grid",
                                        "policy.hidden=[8],[8, 8]", "--seeds", "2", "--out", "all"}));
    INFO(first.err);
    REQUIRE(first.code == 0);
    CHECK(lines(first.out).size() == 2 + 6);
    const std::string table = read(folder / "all/comparison.csv");
    CHECK(csv(table).size() == 1 + 12);
    CHECK(test::xml_problem(read(folder / "all/worst_return_ratio.svg")) == "");

    std::filesystem::remove(folder / "all/trials/0003-seed-2.json");
    folder.file("all/trials/0004-seed-1.json", read(folder / "all/trials/0004-seed-1.json").substr(0, 100));
    const auto kept = written(folder, "all/trials/0001-seed-1.json");
    const Ended second = run(folder, {"sweep", "--resume", "all"});
    INFO(second.err);
    REQUIRE(second.code == 0);
    CHECK(second.err.find("run 2/2") != std::string::npos);
    CHECK(written(folder, "all/trials/0001-seed-1.json") == kept);
    CHECK(read(folder / "all/comparison.csv") == table);
    CHECK(second.out == first.out);
}

TEST_CASE("Ctrl-C keeps a comparison's finished runs, and --resume completes it") {
    const Folder folder;
    const std::vector<std::string> options{"--methods", "scratch,memrl",
                                           "--seeds",   "2",
                                           "--threads", "1",
                                           "--out",     "both",
                                           "--set",     "rl.iterations=3000",
                                           "--set",     "report.evaluate_every=3000"};
    Running running(folder, small_run("compare", options));
    REQUIRE(running.wait_for_error_text("run 1/4"));
    running.send(SIGINT);
    const Ended ended = running.wait();
    CHECK(ended.code == 130);
    CHECK_FALSE(running.anyone_left());
    CHECK(ended.err.find("dunlin compare --resume both") != std::string::npos);
    const nlohmann::json part = read_json(folder / "both/summary.json");
    CHECK(part.at("complete") == false);
    CHECK(part.at("results")[0].at("runs") == 1);

    const Ended resumed = run(folder, {"compare", "--resume", "both"});
    INFO(resumed.err);
    REQUIRE(resumed.code == 0);
    const nlohmann::json whole = read_json(folder / "both/summary.json");
    CHECK(whole.at("complete") == true);
    CHECK(whole.at("results")[0].at("runs") == 2);
    CHECK(whole.at("results")[0].at("measures").at("env_steps").at("values")[0] == 0);
}

TEST_CASE("a seed that runs into NaN is shown and does not stop the others") {
    const Folder folder;
    const Ended ended =
        run(folder, small_run("sweep", {"--grid", "rl.inner_rate=0.01,1000", "--seeds", "2", "--out", "all",
                                        "--set", "environment.world=point", "--set", "rl.step_clip=0", "--set",
                                        "rl.prox_weight=0", "--set", "rl.iterations=50"}));
    INFO(ended.err);
    REQUIRE(ended.code == 1);
    CHECK(ended.err.find("failed: inner_rate=1000 seed 1: ") != std::string::npos);
    CHECK(ended.err.find("NaN") != std::string::npos);
    CHECK(ended.out.find("2 failed") != std::string::npos);
    CHECK(read(folder / "all/report.html").find("NaN") != std::string::npos);
    const nlohmann::json summary = read_json(folder / "all/summary.json");
    CHECK(summary.at("results")[0].at("failures").empty());
    CHECK(summary.at("results")[1].at("failures").size() == 2);
}

TEST_CASE("adapt shows the return after each inner step and draws it") {
    const Folder folder;
    REQUIRE(run(folder, small_run("train", {"--out", "run", "--set", "rl.iterations=40"})).code == 0);
    const Ended table =
        run(folder, {"adapt", "run", "--task", "goal=3,3", "--task", "goal=0,1;slip=0.1", "--steps", "4"});
    INFO(table.err);
    REQUIRE(table.code == 0);
    CHECK(lines(table.out).size() == 2 + 2 * 5);
    CHECK(test::xml_problem(read(folder / "run/adapt.svg")) == "");

    const Ended json = run(folder, {"adapt", "run", "--json", "--no-plot", "--steps", "2"});
    REQUIRE(json.code == 0);
    const nlohmann::json tasks = nlohmann::json::parse(json.out).at("tasks");
    REQUIRE(tasks.size() == 3);  // without --task and held-out ones: the training tasks
    double before = 0, after = 0;
    for (const auto& task : tasks) {
        REQUIRE(task.at("steps").size() == 3);
        before += task.at("steps")[0].at("return_ratio").get<double>();
        after += task.at("steps")[2].at("return_ratio").get<double>();
    }
    CHECK(after > before);
    CHECK(run(folder, {"adapt", "run", "--json", "--no-plot", "--steps", "2", "--threads", "2"}).out == json.out);
}

TEST_CASE("exported trajectories are whole, and padded where NumPy needs equal lengths") {
    const Folder folder;
    REQUIRE(run(folder, small_run("train", {"--out", "run"})).code == 0);
    const Ended ended = run(folder, {"export", "run", "--trajectories", "--count", "5", "--out", "files"});
    INFO(ended.err);
    REQUIRE(ended.code == 0);
    const auto lengths = npy<std::int32_t>(folder / "files/lengths.npy", "<i4", "(15,)");
    const auto tasks = npy<std::int32_t>(folder / "files/tasks.npy", "<i4", "(15,)");
    REQUIRE(lengths.size() == 15);
    const auto longest = static_cast<std::size_t>(*std::max_element(lengths.begin(), lengths.end()));
    const std::string steps = std::to_string(longest);
    const auto positions =
        npy<float>(folder / "files/positions.npy", "<f4", "(15, " + std::to_string(longest + 1) + ", 2)");
    const auto actions = npy<std::int32_t>(folder / "files/actions.npy", "<i4", "(15, " + steps + ")");
    const auto rewards = npy<float>(folder / "files/rewards.npy", "<f4", "(15, " + steps + ")");
    std::size_t rows = 1;  // the header
    for (std::size_t t = 0; t < 15; ++t) {
        const auto length = static_cast<std::size_t>(lengths[t]);
        CHECK(tasks[t] == static_cast<std::int32_t>(t / 5));
        CHECK(length >= 1);
        CHECK(length <= 10);
        rows += length + 1;
        for (std::size_t h = 0; h < longest; ++h) {
            const std::int32_t action = actions[t * longest + h];
            CHECK((h < length ? action >= 0 && action < 5 : action == -1));
            if (h + 1 != length) CHECK(rewards[t * longest + h] == 0);  // sparse: only the last step can have one
            const float* here = positions.data() + 2 * (t * (longest + 1) + h);
            const float moved = std::abs(here[2] - here[0]) + std::abs(here[3] - here[1]);
            CHECK(moved <= (h < length ? 2.0f : 0.0f));  // a move, and the wind
        }
    }
    std::string text = read(folder / "files/trajectories.csv");
    CHECK(lines(text).size() == rows);
    CHECK(lines(text)[0] == "task,trajectory,step,row,column,action,reward");
}

TEST_CASE("a sweep that would show one run under two labels is refused") {
    const Folder folder;
    const auto refused = [&](const std::vector<std::string>& options, const std::vector<std::string>& parts) {
        const Ended ended = run(folder, small_run("sweep", options));
        INFO(ended.err);
        CHECK(ended.code == 2);
        for (const std::string& part : parts) CHECK(ended.err.find(part) != std::string::npos);
        CHECK(std::filesystem::is_empty(folder.path()));
    };
    refused({"--grid=seed=1,2"}, {"seed", "--seeds"});
    refused({"--grid=rl.prox_weight=0.01", "--grid=rl.prox_weight=0.02"}, {"rl.prox_weight", "twice"});
    refused({"--grid=rl.prox_weight=0.1,0.10"}, {"0.1", "0.10", "same run"});
    refused({"--grid=rl.task_batch=1,01,2"}, {"task_batch=1\"", "task_batch=01\"", "same run"});
    refused({"--grid=rl.horizon=5,6"}, {"--set rl.horizon", "--grid rl.horizon"});
    refused({"--grid=rl.prox_weight=0.1,0.2", "--set=seed=3"}, {"--seed"});
    const Ended methods = run(folder, small_run("compare", {"--methods=memrl,maml,memrl"}));
    CHECK(methods.code == 2);
    CHECK(methods.err.find("same run") != std::string::npos);
    const Ended both = run(folder, small_run("compare", {"--methods=memrl,maml", "--set=rl.method=maml"}));
    CHECK(both.code == 2);
    CHECK(both.err.find("--set rl.method") != std::string::npos);
}

TEST_CASE("axes that end alike are told apart, and seeds begin with the configuration's") {
    const Folder folder;
    folder.file("own.toml", "seed = 42\n");
    const Ended ended =
        run(folder, small_run("sweep", {"--config=own.toml", "--seeds=1", "--out=s", "--grid=rl.inner_rate=0.1,0.2",
                                        "--grid=maml.inner_rate=0.3"}));
    INFO(ended.err);
    REQUIRE(ended.code == 0);
    CHECK(lines(ended.out)[0].starts_with("rl.inner_rate  maml.inner_rate  "));
    const std::string page = read(folder / "s/report.html");
    for (const char* label : {"rl.inner_rate=0.1, maml.inner_rate=0.3", "rl.inner_rate=0.2, maml.inner_rate=0.3"})
        CHECK(page.find(label) != std::string::npos);
    CHECK(std::filesystem::exists(folder / "s/trials/0001-seed-42.json"));
}

TEST_CASE("runs that failed end a comparison with 1 and are named with why") {
    const Folder folder;
    for (const std::string command : {"compare", "sweep"}) {
        std::vector<std::string> arguments{command, "regression", "--seeds=1", "--set=method.step_scale=1e6",
                                           "--out=" + command};
        if (command == "compare")
            arguments.insert(arguments.end(), {"--methods=pars-push,sgp", "--set=method.rounds=300"});
        else
            arguments.insert(arguments.end(), {"--set=method.name=sgp", "--grid=method.rounds=300,400"});
        const Ended ended = run(folder, arguments);
        INFO(ended.err);
        CHECK(ended.code == 1);
        CHECK(ended.err.find("failed: ") != std::string::npos);
        const auto summary = read_json(folder / command / "summary.json").dump();
        CHECK(summary.find("\"failures\":[{") != std::string::npos);
    }
}
