// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/interrupt.hpp"
#include "apps/dunlin/kinds.hpp"
#include "apps/dunlin/navigation_baselines.hpp"
#include "apps/dunlin/navigation_report.hpp"
#include "apps/dunlin/navigation_run.hpp"
#include "apps/dunlin/progress.hpp"
#include "apps/dunlin/run_directory.hpp"
#include "apps/output.hpp"
#include "training/host/shell_text.hpp"

#include <fmt/format.h>

namespace dunlin::app {

Outcome<int> train_navigation_kind(const TrainRequest& request) {
    const NavigationRun::Options options{request.directory, request.threads, request.quiet, request.command()};
    Outcome<NavigationRun> run = [&]() -> Outcome<NavigationRun> {
        NavigationSettings settings;
        Settings list = navigation_settings(settings);
        if (Outcome<void> read = read_settings(request, "rl.method", list); !read)
            return tl::unexpected(read.error());
        return request.resume ? NavigationRun::resume(settings, options) : NavigationRun::create(settings, options);
    }();
    if (!run) return tl::unexpected(run.error());
    if (!request.quiet) note("{}\n", run->description());
    catch_interrupts();
    const Outcome<int> code = run->train();
    if (!code) {
        note("dunlin: {}\n", code.error().text);
        return failed;
    }
    const NavigationResult& result = run->result();
    if (request.json) {
        say("{}", run->summary_json());
    } else {
        say("{}", report::text_table(worst_tasks(result)));
        if (const std::string held_out = held_out_text(result); !held_out.empty()) say("{}\n", held_out);
        say("{} environment steps in {:.2f} s ({:.2f} million a second, {} kernels)\n", result.environment_steps,
            result.seconds, result.steps_per_second() / 1e6, result.kernels);
    }
    for (const std::string& harm : harms(result)) tell(request.quiet, "warning: " + harm);
    if (*code == stopped) {
        if (result.evaluated_iteration < result.iteration) {
            note("the tasks' numbers are those of iteration {}: there was no time for others\n",
                 result.evaluated_iteration);
        }
        tell(request.quiet, fmt::format("stopped after iteration {}; go on with: dunlin train --resume {}",
                                        result.iteration, shell_path(request.directory)));
    } else {
        tell(request.quiet,
             fmt::format("report: {}/report.html\nnext: dunlin adapt {} shows how it adapts to new tasks",
                         request.directory.string(), shell_path(request.directory)));
    }
    return *code;
}

}  // namespace dunlin::app
