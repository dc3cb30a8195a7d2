// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/run_directory.hpp"

#include "apps/report/run_files.hpp"
#include "training/host/shell_text.hpp"

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
    return list.read(*text, path.string());
}

Outcome<void> prepare_run(const TrainRequest& request, std::string_view config) {
    if (request.resume) return {};
    std::error_code ignored;
    if (std::filesystem::exists(request.directory / "config.toml", ignored)) {
        return problem(fmt::format("{}: holds a run already; go on with it by --resume {}, or choose another --out",
                                   request.directory.string(), shell_path(request.directory)));
    }
    return write_run_file(request, "config.toml", config);
}

Outcome<void> write_model(const TrainRequest& request, const TrainedModel& model) {
    return write_run_file(request, model.navigates() ? "policy.dunlin" : "model.dunlin", model.bytes());
}

Outcome<void> write_run_file(const TrainRequest& request, const std::string& name, std::string_view text) {
    const std::filesystem::path path = request.directory / name;
    return report::write_file(path, text).map_error([&](const Error& error) {
        return describe(error, path.string());
    });
}

}  // namespace dunlin::app
