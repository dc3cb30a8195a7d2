// SPDX-License-Identifier: Apache-2.0
#include "apps/dunlin/data_report.hpp"

#include "apps/output.hpp"

#include <algorithm>
#include <mutex>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace dunlin::app {
namespace {

/// What several runs say of one thing.
struct SharedNote {
    DataNote first;
    std::int64_t least = 0, most = 0;
    std::size_t runs = 0;
};

std::vector<SharedNote> gather(std::span<const DataNotes> all) {
    std::vector<SharedNote> gathered;
    for (const DataNotes& run : all) {
        for (const DataNote& note : run) {
            const auto known = std::ranges::find_if(gathered, [&](const SharedNote& other) {
                return note.key.empty() ? other.first.text == note.text : other.first.key == note.key;
            });
            if (known == gathered.end()) {
                gathered.push_back({note, note.count, note.count, 1});
                continue;
            }
            known->least = std::min(known->least, note.count);
            known->most = std::max(known->most, note.count);
            ++known->runs;
        }
    }
    for (SharedNote& note : gathered) {
        if (note.runs < all.size()) note.least = std::min<std::int64_t>(note.least, 0);
    }
    return gathered;
}

/// The notes as sentences of all runs.
DataNotes sentences(std::span<const DataNotes> all) {
    DataNotes notes;
    for (SharedNote& note : gather(all)) {
        if (note.first.text.empty()) continue;
        if (note.runs < all.size())
            note.first.text += fmt::format(" (in {} of {} runs)", note.runs, all.size());
        else if (note.least < note.most)
            note.first.text += fmt::format(" (from {} to {} in the {} runs)", note.least, note.most, all.size());
        notes.push_back(std::move(note.first));
    }
    return notes;
}

}  // namespace

nlohmann::ordered_json data_json(std::span<const DataNotes> runs) {
    nlohmann::ordered_json json = data_json(sentences(runs));
    nlohmann::ordered_json texts = std::move(json["notes"]);
    json = nlohmann::ordered_json::object();
    for (const SharedNote& note : gather(runs)) {
        if (note.first.key.empty()) continue;
        if (note.least == note.most)
            json[note.first.key] = note.most;
        else
            json[note.first.key] = {note.least, note.most};
    }
    json["notes"] = std::move(texts);
    return json;
}

std::string notes_text(std::span<const DataNotes> runs) {
    return notes_text(sentences(runs));
}

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
