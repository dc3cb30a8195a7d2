// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/run_directory.hpp"

#include "apps/report/run_files.hpp"
#include "training/host/shell_text.hpp"
#include "training/navigation/checkpoint_file.hpp"

#include <fmt/format.h>

namespace dunlin::app {

Outcome<std::string> read_text(const std::filesystem::path& path) {
    return report::read_file(path).map_error([&](const Error& error) { return describe(error, path.string()); });
}

Outcome<void> read_settings(const TrainRequest& request, std::string_view method_key, Settings& list) {
    if (!request.resume) return request.apply(list, method_key);
    const std::filesystem::path path = request.directory / "config.toml";
    const Outcome<std::string> text = read_text(path);
    if (!text) return tl::unexpected(text.error());
    if (Outcome<void> read = list.read(*text, path.string()); !read) return read;
    // Without a checkpoint nothing was done yet that could be told from what is to come.
    std::map<std::string, std::string> before = list.values();
    std::error_code ignored;
    if (const auto checkpoint = checkpoint_path(request); std::filesystem::exists(checkpoint, ignored)) {
        const auto config = checkpoint_config(checkpoint);
        if (!config) return unreadable_checkpoint(checkpoint, config.error());
        if (!config->empty()) {
            if (Outcome<void> read = list.read(*config, checkpoint.string()); !read) return read;
            before = list.values();
            if (Outcome<void> read = list.read(*text, path.string()); !read) return read;
        }
    }
    if (Outcome<void> set = list.set(request.assignments); !set) return set;
    return list.check_resumed(before, request.assignments);
}

std::filesystem::path checkpoint_path(const TrainRequest& request) {
    return request.directory / "checkpoint.dunlin";
}

tl::unexpected<Failure> unreadable_checkpoint(const std::filesystem::path& path, const Error& error) {
    const bool older = error.code == Code::file_version && error.first < error.second;
    return refuse(
        fmt::format("{}; without that file the run begins again from its seed",
                    older ? path.string() + ": written by an older Dunlin, which alone can go on with this run"
                          : describe(error, path.string()).text));
}

Outcome<void> prepare_run(const TrainRequest& request, std::string_view config) {
    if (request.resume || !request.ranks->leads()) return {};
    std::error_code ignored;
    if (std::filesystem::exists(request.directory / "config.toml", ignored)) {
        return refuse(fmt::format("{}: holds a run already; go on with it by --resume {}, or choose another --out",
                                  request.directory.string(), shell_path(request.directory)));
    }
    return write_run_file(request, "config.toml", config);
}

Outcome<void> keep_config(const TrainRequest& request, std::string_view config) {
    if (!request.resume) return {};
    const Outcome<std::string> before = read_text(request.directory / "config.toml");
    return before && *before == config ? Outcome<void>{} : write_run_file(request, "config.toml", config);
}

Outcome<void> write_model(const TrainRequest& request, const TrainedModel& model) {
    return write_run_file(request, model.navigates() ? "policy.dunlin" : "model.dunlin", model.bytes());
}

Outcome<void> write_run_file(const TrainRequest& request, const std::string& name, std::string_view text) {
    if (!request.ranks->leads()) return {};
    const std::filesystem::path path = request.directory / name;
    return report::write_file(path, text).map_error([&](const Error& error) {
        return describe(error, path.string());
    });
}

}  // namespace dunlin::app
