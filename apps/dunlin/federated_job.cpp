// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/data_report.hpp"
#include "apps/dunlin/federated_run.hpp"
#include "apps/dunlin/interrupt.hpp"
#include "apps/dunlin/run_directory.hpp"

namespace dunlin::app {
namespace {

constexpr std::string_view methods =
    "persafl-me,persafl-maml,persafl,pfedme,per-fedavg,fedavg,fedprox,fedasync,fedbuff,pars-push,pars-push-maml,"
    "pars-push-me,local,global";

using Changes = Outcome<std::vector<std::string>>;

Outcome<ProblemExperiment> settings_of(const RegisteredProblem& kind, const TrainRequest& request) {
    ProblemExperiment experiment(kind);
    Settings list = experiment.list();
    if (auto applied = request.apply(list, kind.method_key); !applied) return tl::unexpected(applied.error());
    return experiment;
}

Outcome<FederatedJob> requested(const RegisteredProblem& kind, const TrainRequest& request, int threads) {
    ProblemExperiment experiment(kind);
    Settings list = experiment.list();
    if (auto read = read_settings(request, kind.method_key, list); !read) return tl::unexpected(read.error());
    std::string config = list.write();
    return job_of(std::move(experiment), std::move(config), threads, *request.ranks);
}

}  // namespace

Outcome<FederatedJob> job_of(ProblemExperiment experiment, std::string config, int threads, RankGroup& ranks) {
    FederatedJob job{.experiment = std::move(experiment), .config = std::move(config)};
    const RegisteredProblem& kind = job.experiment.kind();
    if (kind.alone) {
        auto course = kind.alone(job.experiment.settings(), threads);
        if (!course) return tl::unexpected(course.error());
        job.alone = *std::move(course);
        job.config = job.alone->config();
        job.data = job.alone->about();
        job.run = FederatedRun::alone(*job.alone);
        return job;
    }
    auto problem = job.experiment.make(threads);
    if (!problem) return tl::unexpected(problem.error());
    job.problem = *std::move(problem);
    job.data = job.experiment.about(*job.problem);
    job.settings = job.experiment.learning();
    if (job.experiment.by_rounds()) {
        auto rounds = job.experiment.rounds(*job.problem);
        if (!rounds) return tl::unexpected(rounds.error());
        job.rounds = *std::move(rounds);
    }
    job.workers = std::make_unique<Workers>(threads, ranks);
    FederatedTerms terms{.settings = job.settings,
                         .seed = job.seed(),
                         .rounds = job.rounds,
                         .judging = job.experiment.judging(*job.problem)};
    if (kind.beside) {
        // What they point to stays where it is when the job moves.
        terms.beside = [&kind, settings = &job.experiment.settings(), problem = job.problem.get(),
                        workers = job.workers.get()] { return kind.beside(*settings, *problem, *workers); };
    }
    if (kind.fleet) {
        terms.fleet = [&kind, settings = &job.experiment.settings(), problem = job.problem.get()](
                          PersonalLayers& layers, Workers& own) {
            return kind.fleet(*settings, *problem, layers, own);
        };
    }
    auto run = FederatedRun::make(*job.problem, std::move(terms), *job.workers);
    if (!run) return tl::unexpected(run.error());
    job.run = *std::move(run);
    return job;
}

Kind problem_kind(const RegisteredProblem& kind) {
    Kind shown{
        .name = kind.name,
        .train = [&kind](const TrainRequest& request) -> Outcome<int> {
            auto job = requested(kind, request, request.threads);
            if (!job) return tl::unexpected(job.error());
            return run_federated(request, *job);
        },
        .help = [&kind](std::string_view toml) -> std::string {
            ProblemExperiment experiment(kind);
            Settings list = experiment.list();
            const Outcome<void> read = list.read(toml, "the experiment");
            return read ? list.help() : read.error().text + "\n";
        },
        .method_key = kind.method_key,
        .resolve = [&kind](const TrainRequest& request) -> Outcome<std::string> {
            const auto job = requested(kind, request, 1);
            if (!job) return tl::unexpected(job.error());
            say_notes(job->notes());
            return job->config;
        },
        .trial = [&kind](const TrainRequest& request, const std::function<bool()>& stop) -> Outcome<TrialResult> {
            auto job = requested(kind, request, 1);
            if (!job) return tl::unexpected(job.error());
            return try_federated(*job, stop);
        },
        .methods = kind.methods.empty() ? methods : std::string_view(kind.methods),
        .spreads = !kind.alone};
    if (kind.level) {
        shown.level = [&kind](const TrainRequest& request, const std::function<bool()>& stop) -> Changes {
            RunPauses pauses;
            pauses.stop = stop;
            pauses.give_up = interrupted;
            return settings_of(kind, request).and_then([&](const ProblemExperiment& of) {
                return kind.level(of.settings(), pauses);
            });
        };
    }
    if (kind.vary) {
        shown.vary = [&kind](const TrainRequest& request, int candidate) -> Changes {
            return settings_of(kind, request).and_then([&](const ProblemExperiment& of) {
                return kind.vary(of.settings(), candidate);
            });
        };
    }
    return shown;
}

}  // namespace dunlin::app
