// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/trial.hpp"

#include <cmath>
#include <limits>

#include <nlohmann/json.hpp>

namespace dunlin::app {
namespace {

using Json = nlohmann::ordered_json;

Json numbers(const std::vector<double>& values) {
    Json list = Json::array();
    for (double value : values) {
        if (std::isfinite(value))
            list.push_back(value);
        else
            list.push_back(nullptr);  // JSON has no NaN
    }
    return list;
}

double number(const Json& json) {
    return json.is_number() ? json.get<double>() : std::numeric_limits<double>::quiet_NaN();
}

std::vector<double> numbers_of(const Json& json) {
    std::vector<double> values;
    for (const Json& value : json) values.push_back(number(value));
    return values;
}

}  // namespace

std::string TrialResult::json(std::string_view settings) const {
    Json out{{"version", 1}, {"seed", seed}, {"settings", settings}, {"failure", failure}};
    out["measures"] = Json::array();
    for (const Measure& measure : measures) {
        out["measures"].push_back({{"key", measure.key},
                                   {"title", measure.title},
                                   {"meaning", measure.meaning},
                                   {"value", numbers({measure.value}).front()},
                                   {"show", static_cast<int>(measure.show)},
                                   {"drawn", measure.drawn}});
    }
    out["curves"] = Json::array();
    for (const Curve& curve : curves) {
        out["curves"].push_back({{"key", curve.key},
                                 {"title", curve.title},
                                 {"x_title", curve.x_title},
                                 {"y_title", curve.y_title},
                                 {"x", numbers(curve.x)},
                                 {"y", numbers(curve.y)}});
    }
    out["notes"] = Json::array();
    for (const DataNote& note : notes)
        out["notes"].push_back({{"key", note.key}, {"count", note.count}, {"text", note.text}});
    return out.dump(1) + "\n";
}

Outcome<TrialResult> TrialResult::parse(std::string_view text, std::string_view settings) {
    try {
        const Json json = Json::parse(text);
        if (json.at("version") != 1) return refuse("of another version");
        if (json.at("settings") != settings) return refuse("of other settings");
        TrialResult result;
        result.seed = json.at("seed").get<std::uint64_t>();
        result.failure = json.at("failure").get<std::string>();
        for (const Json& measure : json.at("measures")) {
            const int show = measure.at("show").get<int>();
            if (show < 0 || show > static_cast<int>(Measure::Show::file)) return refuse("an unknown measure");
            result.measures.push_back({measure.at("key").get<std::string>(), measure.at("title").get<std::string>(),
                                       number(measure.at("value")), static_cast<Measure::Show>(show),
                                       measure.at("drawn").get<bool>(), measure.at("meaning").get<std::string>()});
        }
        for (const Json& curve : json.at("curves")) {
            result.curves.push_back({curve.at("key").get<std::string>(), curve.at("title").get<std::string>(),
                                     curve.at("x_title").get<std::string>(), curve.at("y_title").get<std::string>(),
                                     numbers_of(curve.at("x")), numbers_of(curve.at("y"))});
        }
        for (const Json& note : json.value("notes", Json::array())) {  // a run of an older Dunlin has none
            result.notes.push_back({note.at("key").get<std::string>(), note.at("count").get<std::int64_t>(),
                                    note.at("text").get<std::string>()});
        }
        return result;
    } catch (const Json::exception& error) {
        return refuse(error.what());
    }
}

}  // namespace dunlin::app
