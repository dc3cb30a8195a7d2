// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/command_options.hpp"
#include "apps/dunlin/comparison.hpp"
#include "apps/dunlin/interrupt.hpp"
#include "apps/dunlin/run_directory.hpp"
#include "apps/dunlin/run_index.hpp"
#include "apps/dunlin/view_commands.hpp"
#include "apps/dunlin/view_server.hpp"
#include "apps/output.hpp"
#include "training/host/shell_text.hpp"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <fmt/format.h>

namespace dunlin::app {
namespace {

struct ViewOptions {
    std::string directory = "runs";
    std::uint16_t port = 7711;
};

Outcome<int> view(const ViewOptions& options) {
    std::error_code ignored;
    if (!std::filesystem::is_directory(options.directory, ignored))
        return refuse(fmt::format("{}: no such directory; `dunlin train` makes runs/", options.directory));
    const auto server = ViewServer::open(options.directory, options.port);
    if (!server) return tl::unexpected(server.error());
    catch_interrupts();
    say("{}\n", (*server)->link());
    (void)output_lost();  // at once, for whoever waits for the line
    note("open it in a browser of this machine: it logs in once; Ctrl-C ends it\n");
    (*server)->serve(interrupted, [](const std::string& link) { note("for another browser: {}\n", link); });
    return succeeded;
}

struct ReportOptions {
    std::string directory;
    int threads = 1;
};

/// Has what the directory says come to its end?
bool is_complete(const std::filesystem::path& directory) {
    const auto summary = read_text(directory / "summary.json");
    if (!summary) return false;
    const auto results = results_of_summary(*summary);
    return std::ranges::find(results, std::pair<std::string, std::string>("complete", "true")) != results.end();
}

/// A run that goes on where it has nothing left to do judges its model and writes its files again; one that was
/// stopped is told to stop again at once.
Outcome<int> report_run(const ReportOptions& options) {
    TrainRequest request;
    request.directory = options.directory;
    request.resume = request.quiet = true;
    request.threads = options.threads;
    const std::filesystem::path path = request.directory / "config.toml";
    const Outcome<std::string> text = read_text(path);
    if (!text) {
        return refuse(fmt::format("{}: no run's or comparison's directory (no config.toml, no plan.json)",
                                  options.directory));
    }
    const Outcome<const Kind*> kind = kind_of(*text, path.string());
    if (!kind) return tl::unexpected(kind.error());
    const Outcome<DirectoryLock> lock = run_directory(request, options.directory);
    if (!lock) return tl::unexpected(lock.error());
    const bool complete = is_complete(request.directory);
    if (!complete) ask_to_stop();
    Outcome<int> code = (*kind)->train(request);
    if (code && !complete && *code == stopped) return succeeded;
    return code;
}

Outcome<int> report_comparison(const ReportOptions& options) {
    Outcome<Ranks> alone = Ranks::join();
    if (!alone) return tl::unexpected(alone.error());
    ComparisonPlan plan;
    plan.base.directory = options.directory;
    plan.base.resume = plan.base.quiet = true;
    const Outcome<DirectoryLock> lock = run_directory(plan.base, options.directory);
    if (!lock) return tl::unexpected(lock.error());
    if (!is_complete(plan.base.directory)) ask_to_stop();
    Outcome<int> code = run_comparison(std::move(plan), *alone);
    if (code && *code == stopped) return succeeded;
    return code;
}

Outcome<int> report_again(const ReportOptions& options) {
    std::error_code ignored;
    const std::filesystem::path directory = options.directory;
    KeptOutput kept;
    keep_output(&kept);
    const Outcome<int> code = std::filesystem::exists(directory / "plan.json", ignored) ? report_comparison(options)
                                                                                        : report_run(options);
    keep_output(nullptr);
    if (!code) return code;
    if (*code != succeeded && !kept.notes.empty()) note("{}", kept.notes);
    if (*code == succeeded) say("{}\n", (directory / "report.html").string());
    return code;
}

}  // namespace

void add_view(CLI::App& program, Command& run) {
    auto options = std::make_shared<ViewOptions>();
    CLI::App* command = program.add_subcommand("view", "Look at many runs in a browser: a table, curves, reports");
    command->add_option("runs", options->directory, "a directory with runs in it, or a run")->capture_default_str();
    command->add_option("--port", options->port, "of 127.0.0.1; 0: any free one")->capture_default_str();
    command->footer(
        "Prints a link that opens the page once; when it was used, another. The page is live while runs go on, and "
        "reads "
        "only.\n"
        "Example:\n  dunlin view runs --port 7711\n");
    command->callback([options, &run] { run = [options] { return view(*options); }; });
}

void add_report(CLI::App& program, Command& run) {
    auto options = std::make_shared<ReportOptions>();
    CLI::App* command =
        program.add_subcommand("report", "Make a run's or a comparison's report.html, plots and summary again");
    command->add_option("directory", options->directory, "that `dunlin train`, `compare` or `sweep` wrote")
        ->required();
    command->add_option("--threads", options->threads, "threads; the numbers do not depend on it")
        ->check(CLI::Range(1, 1024));
    command->footer(
        "Prints the page's path. The model is judged again, by the same random numbers. Nothing is trained.\n"
        "Example:\n  dunlin report runs/navigation\n");
    command->callback([options, &run] { run = [options] { return report_again(*options); }; });
}

}  // namespace dunlin::app
