// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/web_requests.hpp"

#include "apps/dunlin/experiments.hpp"
#include "apps/dunlin/pushed_model.hpp"
#include "apps/report/run_files.hpp"
#include "fleet/coordinator/secrets.hpp"
#include "fleet/jobs/asked_experiment.hpp"
#include "training/host/plain_text.hpp"

#include <cstdlib>
#include <filesystem>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace dunlin::app {
namespace {

using Json = nlohmann::ordered_json;

std::string text_of(const Json& asked, const char* key) {
    const auto found = asked.find(key);
    return found != asked.end() && found->is_string() ? found->get<std::string>() : std::string();
}

/// Error: not a list of texts.
Outcome<std::vector<std::string>> assignments_of(const Json& asked) {
    const auto found = asked.find("set");
    if (found == asked.end()) return std::vector<std::string>{};
    const auto is_text = [](const Json& value) { return value.is_string(); };
    if (!found->is_array() || !std::all_of(found->begin(), found->end(), is_text))
        return refuse("\"set\": expected a list of \"KEY=VALUE\"");
    return found->get<std::vector<std::string>>();
}

Letter letter_of(Json asked, ProblemExperiment& settings, const std::string& where, std::vector<float> numbers) {
    asked.erase("set");
    asked.erase("policy");
    asked["command"] = "run";
    asked["experiment"] = write_deployed(settings);
    asked["where"] = where;
    return {asked.dump(-1, ' ', false, Json::error_handler_t::replace), std::move(numbers)};
}

/// A file in a folder of its own that others cannot enter, gone with this.
class Draft {
public:
    explicit Draft(const std::string& bytes) {
        std::error_code none;
        std::string name = (std::filesystem::temp_directory_path(none) / "dunlin-push-XXXXXX").string();
        if (none || ::mkdtemp(name.data()) == nullptr) return;
        folder_ = name;
        path_ = name + "/model";
        written_ = report::write_file(path_, bytes).has_value();
    }
    ~Draft() {
        std::error_code ignored;
        if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
    }
    Draft(const Draft&) = delete;
    const std::string& path() const { return path_; }
    bool written() const { return written_; }

private:
    std::string folder_, path_;
    bool written_ = false;
};

}  // namespace

Outcome<Letter> run_request(const std::string& json) {
    const Json asked = Json::parse(json, nullptr, false);
    const std::string given = text_of(asked, "experiment");
    const Experiment* known = find_experiment(given);
    if (known == nullptr && given.find('\n') == std::string::npos)
        return refuse(
            fmt::format("there is no ready-made experiment '{}'; `dunlin list` names them, or send the text of a "
                        "TOML file",
                        shown(given, false)));
    const std::string where = known != nullptr ? given : "the experiment";
    const auto assignments = assignments_of(asked);
    if (!assignments) return tl::unexpected(assignments.error());
    auto settings = asked_experiment(known != nullptr ? known->toml : std::string_view(given), where, *assignments);
    if (!settings) return tl::unexpected(settings.error());
    if (auto none = check_names_no_file(*settings); !none) return tl::unexpected(none.error());
    return letter_of(asked, *settings, where, {});
}

Outcome<Letter> push_request(const std::string& json) {
    Json asked = Json::parse(json, nullptr, false);
    const auto bytes = from_base64(text_of(asked, "policy"));
    if (!bytes || bytes->empty()) return refuse("\"policy\": expected a model's file in base64");
    const Draft file(*bytes);
    if (!file.written()) return unable("the policy cannot be kept for a moment: is the disk full?");
    const auto saved = open_model(file.path());
    if (!saved) return refuse("the policy: this is no model's file, or it is damaged");
    const auto assignments = assignments_of(asked);
    if (!assignments) return tl::unexpected(assignments.error());
    std::string experiment = text_of(asked, "experiment");
    if (!experiment.empty() && find_experiment(experiment) == nullptr)
        return refuse(fmt::format("there is no ready-made experiment '{}'", shown(experiment, false)));
    auto settings = settings_of_push("the policy", *saved, experiment, *assignments, false);
    if (!settings) return tl::unexpected(settings.error());
    asked["push"] = true;
    return letter_of(std::move(asked), *settings, experiment, saved->model.parameters);
}

Outcome<std::string> pulled_answer(const Letter& told) {
    Json answer = Json::parse(told.json);
    const Outcome<TrainedModel> model = pulled_model(answer, told.numbers);
    if (!model) return tl::unexpected(model.error());
    answer.erase("experiment");
    answer["policy"] = to_base64(model->bytes());
    return answer.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string experiments_json() {
    Json all = Json::array();
    for (const Experiment& experiment : experiments()) {
        auto settings = read_deployed(experiment.toml, experiment.name);
        if (!settings || !check_names_no_file(*settings)) continue;  // for one machine, or of files
        all.push_back({{"name", experiment.name}, {"summary", experiment.summary()}, {"toml", experiment.toml}});
    }
    return Json{{"ok", true}, {"experiments", all}}.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace dunlin::app
