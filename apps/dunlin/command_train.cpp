// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/command_options.hpp"
#include "apps/dunlin/commands.hpp"
#include "apps/dunlin/interrupt.hpp"
#include "apps/dunlin/ranks.hpp"
#include "apps/dunlin/run_directory.hpp"
#include "apps/output.hpp"
#include "training/host/shell_text.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace dunlin::app {
namespace {

std::string spreading_kinds() {
    std::vector<std::string_view> names;
    for (const Kind& kind : kinds()) {
        if (kind.spreads) names.push_back(kind.name);
    }
    return fmt::format("{}", fmt::join(names, ", "));
}

struct TrainOptions {
    TrainRequest request;
    std::string out;
    std::string resume;
};

/// The kind, if its runs can be spread over the ranks that there are.
Outcome<const Kind*> spread(Outcome<const Kind*> kind, const RankGroup& ranks) {
    if (!kind || (*kind)->spreads || !ranks.spread()) return kind;
    return refuse(
        fmt::format("train: started as {} processes, but a run of kind {} is made by one; over several go the "
                    "nodes of kinds {}. `dunlin compare` and `dunlin sweep` spread many runs of any kind",
                    ranks.count(), (*kind)->name, spreading_kinds()));
}

/// What rank 0 answers, its error included, is all ranks'.
template <class T>
Outcome<T> of_first(RankGroup& ranks, const std::function<Outcome<T>()>& make) {
    Outcome<T> made = ranks.leads() ? make() : Outcome<T>(T{});
    // The others have nothing to say of it: they are muted.
    if (!ranks.first_says(made.has_value()) && made) return unable("rank 0 failed");
    return made;
}

Outcome<int> train(const TrainOptions& options, RankGroup& ranks) {
    TrainRequest request = options.request;
    request.ranks = &ranks;
    std::optional<DirectoryLock> locked;
    const auto lock = [&](const std::string& directory) {
        return of_first<int>(ranks, [&]() -> Outcome<int> {
            Outcome<DirectoryLock> made = run_directory(request, directory);
            if (!made) return tl::unexpected(made.error());
            locked.emplace(*std::move(made));
            return 0;
        });
    };
    if (!options.resume.empty()) {
        request.resume = true;
        request.directory = options.resume;
        std::error_code ignored;
        if (std::filesystem::exists(request.directory / "plan.json", ignored)) {
            return refuse(fmt::format("{}: a comparison; go on with it by `dunlin compare --resume {}`",
                                      options.resume, shell_path(request.directory)));
        }
        const std::filesystem::path path = request.directory / "config.toml";
        const Outcome<std::string> text = read_text(path);
        if (!text)
            return refuse(fmt::format(
                "{}: not a run directory (no config.toml); expected what `dunlin train` wrote", options.resume));
        const Outcome<const Kind*> kind = spread(kind_of(*text, path.string()), ranks);
        if (!kind) return tl::unexpected(kind.error());
        if (auto done = lock(options.resume); !done) return done;
        return (*kind)->train(request);
    }
    if (request.experiment.empty() && request.config.empty()) {
        return refuse(
            "train: name an experiment (`dunlin list` shows them), or give --config FILE or --resume DIR");
    }
    if (!request.config.empty() && ranks.spread()) {  // once, for all ranks
        auto read = of_first<std::string>(ranks, [&] { return read_text(request.config); });
        if (!read) return tl::unexpected(read.error());
        std::vector<RankGroup::Bytes> said;
        const auto bytes = std::as_bytes(std::span(*read));
        ranks.tell({bytes.begin(), bytes.end()}, said);
        if (!ranks.leads()) read->assign(reinterpret_cast<const char*>(said[0].data()), said[0].size());
        request.config_text = *std::move(read);
    }
    const Outcome<const Kind*> kind = spread(kind_of(request), ranks);
    if (!kind) return tl::unexpected(kind.error());
    if (auto done = lock(options.out); !done) return done;
    if (locked) request.directory = locked->path();
    return (*kind)->train(request);
}

/// All ranks make the run, and the first tells of it and writes it down.
Outcome<int> train(const TrainOptions& options) {
    Outcome<Ranks> ranks = Ranks::join();
    if (!ranks) return tl::unexpected(ranks.error());
    RankGroup& group = ranks->together();
    mute_output(!group.leads());
    Outcome<int> code = train(options, group);
    if (code) {
        ranks->end(*code, "");
        return code;
    }
    // Said before any rank leaves, for mpirun ends the others with the first that failed.
    note("dunlin: {}\n", code.error().text);
    const int status = code.error().unable ? failed : wrong_input;
    ranks->end(status, code.error().text);
    return status;
}

}  // namespace

void add_train(CLI::App& program, Command& run) {
    auto options = std::make_shared<TrainOptions>();
    TrainRequest& request = options->request;
    CLI::App* command =
        program.add_subcommand("train", "Train an experiment and write a run directory with its report");
    add_request_options(*command, request);
    command->add_option("--method", request.method, "the method to train with");
    command->add_option("--threads", request.threads, "threads; the numbers do not depend on it")
        ->check(CLI::Range(1, 1024));
    command->add_option("--out", options->out, "run directory; default: the next free runs/EXPERIMENT");
    CLI::Option* resume = command->add_option(
        "--resume", options->resume,
        "go on with the run in this directory; ends with the numbers of an uninterrupted run. With "
        "--set a run that has ended becomes longer");
    for (const char* fixed : {"experiment", "--config", "--seed", "--method", "--out"})
        resume->excludes(command->get_option(fixed));
    command->footer([options] {
        return settings_help("train", options->request.experiment, options->request.config) +
               "Example:\n  dunlin train navigation --seed 3 --set rl.prox_weight=0.03 --out runs/third\n";
    });
    command->callback([options, &run] { run = [options] { return train(*options); }; });
}

}  // namespace dunlin::app
