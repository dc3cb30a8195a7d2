// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/data_report.hpp"

#include "apps/output.hpp"

#include <mutex>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace dunlin::app {

nlohmann::ordered_json data_json(const DataNotes& notes) {
    nlohmann::ordered_json json = nlohmann::ordered_json::object();
    nlohmann::ordered_json texts = nlohmann::ordered_json::array();
    for (const DataNote& note : notes) {
        if (!note.key.empty()) json[note.key] = note.count;
        if (!note.text.empty()) texts.push_back(note.text);
    }
    json["notes"] = std::move(texts);
    return json;
}

std::string notes_text(const DataNotes& notes) {
    std::string text;
    for (const DataNote& note : notes) {
        if (!note.text.empty()) text += fmt::format("{}{}.", text.empty() ? " About the data: " : " ", note.text);
    }
    return text;
}

void say_notes(const DataNotes& notes) {
    static std::mutex mutex;
    static std::set<std::string> said;
    const std::lock_guard lock(mutex);
    for (const DataNote& note : notes) {
        if (!note.text.empty() && said.insert(note.text).second) app::note("dunlin: data: {}\n", note.text);
    }
}

}  // namespace dunlin::app
