// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/command_options.hpp"
#include "apps/dunlin/comparison.hpp"
#include "apps/dunlin/experiments.hpp"
#include "apps/dunlin/interrupt.hpp"
#include "apps/dunlin/ranks.hpp"
#include "apps/dunlin/run_directory.hpp"
#include "apps/output.hpp"
#include "apps/programs.hpp"
#include "python/native.hpp"

#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <pybind11/stl.h>

namespace dunlin::python {
namespace {

using app::TrainRequest;

/// How a run ended, and what the program would have printed.
struct Ended {
    int code = 0;
    bool interrupted = false;
    std::string directory{}, out{}, notes{};
};

/// The program is made for one run at a time: its output, its interrupts and its registered problems are global.
std::mutex running;

/// Runs as the program would, without Python's lock.
Ended run(const std::function<Outcome<int>()>& work) {
    std::unique_lock alone(running, std::try_to_lock);
    if (!alone) {
        throw Raised(
            Failure{"another run is under way in this process; wait for its end, or use the threads of "
                    "dunlin.sweep and dunlin.compare"});
    }
    app::KeptOutput said;
    Outcome<int> code = 0;
    Ended ended;
    {
        const py::gil_scoped_release release;
        const app::InterruptScope scope;
        app::keep_output(&said);
        try {
            code = work();
        } catch (const std::bad_alloc&) {
            code = unable("out of memory; lower what makes the run large: batches, networks or threads");
        } catch (const std::exception& unforeseen) {
            code = unable(unforeseen.what());
        }
        app::keep_output(nullptr);
        ended.interrupted = app::interrupted();
    }
    raise_kept_exception();
    ended.code = value_of(std::move(code));
    ended.out = std::move(said.out);
    ended.notes = std::move(said.notes);
    return ended;
}

TrainRequest request_of(const std::string& experiment, const std::optional<std::string>& document,
                        const std::vector<std::string>& assignments, const std::string& method,
                        std::optional<std::uint64_t> seed, int threads) {
    TrainRequest request;
    request.experiment = experiment;
    if (document) {
        request.config = "config.toml";  // as the run keeps it
        request.config_text = document;
    }
    request.assignments = assignments;
    request.method = method;
    request.seed = seed;
    request.threads = threads;
    request.quiet = true;
    return request;
}

Ended train(const std::string& experiment, const std::optional<std::string>& document,
            const std::vector<std::string>& assignments, const std::string& method,
            std::optional<std::uint64_t> seed, int threads, const std::string& directory, bool resume) {
    TrainRequest request = request_of(experiment, document, assignments, method, seed, threads);
    request.resume = resume;
    request.directory = directory;
    std::string place;
    Ended ended = run([&]() -> Outcome<int> {
        const Outcome<const app::Kind*> kind = [&]() -> Outcome<const app::Kind*> {
            if (!resume) return app::kind_of(request);
            const std::filesystem::path path = request.directory / "config.toml";
            const Outcome<std::string> text = app::read_text(path);
            if (!text)
                return refuse(directory + ": not a run directory (no config.toml); expected what a run left");
            return app::kind_of(*text, path.string());
        }();
        if (!kind) return tl::unexpected(kind.error());
        const Outcome<app::DirectoryLock> lock = app::run_directory(request, directory);
        if (!lock) return tl::unexpected(lock.error());
        request.directory = lock->path();
        place = lock->path().string();
        return (*kind)->train(request);
    });
    ended.directory = place;
    return ended;
}

/// `axes`: keys and their values; an empty key stands for the method.
Ended compare(const std::string& command, const std::string& experiment, const std::optional<std::string>& document,
              const std::vector<std::string>& assignments, std::optional<std::uint64_t> seed, int threads,
              const std::vector<std::pair<std::string, std::vector<std::string>>>& axes, int seeds,
              bool by_iterations, int tune, const std::string& directory, bool resume) {
    app::ComparisonPlan plan;
    plan.command = command;
    plan.base = request_of(experiment, document, assignments, "", seed, 1);
    plan.base.json = true;
    plan.base.resume = resume;
    plan.seeds = seeds;
    plan.threads = threads;
    plan.by_iterations = by_iterations;
    plan.tune = tune;
    for (const auto& [key, values] : axes) plan.axes.push_back({key, values});
    std::string place;
    Ended ended = run([&]() -> Outcome<int> {
        Outcome<app::Ranks> alone = app::Ranks::join();
        if (!alone) return tl::unexpected(alone.error());
        const Outcome<app::DirectoryLock> lock = app::run_directory(plan.base, directory, command + "-");
        if (!lock) return tl::unexpected(lock.error());
        plan.base.directory = lock->path();
        place = lock->path().string();
        return app::run_comparison(plan, *alone);
    });
    ended.directory = place;
    return ended;
}

/// A command line of the program, in this process.
Ended command(std::vector<std::string> words) {
    words.insert(words.begin(), "dunlin");
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    return run([&]() -> Outcome<int> { return app::run_dunlin(static_cast<int>(words.size()), arguments.data()); });
}

std::vector<std::pair<std::string, std::string>> list_experiments() {
    std::vector<std::pair<std::string, std::string>> all;
    for (const app::Experiment& one : app::experiments()) all.emplace_back(one.name, one.summary());
    return all;
}

}  // namespace

void add_runs(py::module_& module) {
    py::class_<Ended>(module, "Ended")
        .def_readonly("code", &Ended::code)
        .def_readonly("interrupted", &Ended::interrupted)
        .def_readonly("directory", &Ended::directory)
        .def_readonly("out", &Ended::out)
        .def_readonly("notes", &Ended::notes);
    using py::arg;
    module.def("train", train, arg("experiment"), arg("document"), arg("assignments"), arg("method"), arg("seed"),
               arg("threads"), arg("directory"), arg("resume"));
    module.def("compare", compare, arg("command"), arg("experiment"), arg("document"), arg("assignments"),
               arg("seed"), arg("threads"), arg("axes"), arg("seeds"), arg("by_iterations"), arg("tune"),
               arg("directory"), arg("resume"));
    module.def("command", command);
    module.def("experiments", list_experiments);
    module.def("settings_help",
               [](const std::string& experiment) { return app::settings_help("train", experiment, ""); });
}

}  // namespace dunlin::python
