// SPDX-License-Identifier: Apache-2.0
#include "training/problems/character_data.hpp"

#include "training/settings/reading.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace dunlin {

Outcome<CharacterData> read_characters(const CharacterSettings& s, std::uint64_t seed) {
    const int speakers = s.speech.speakers, most = s.speech.characters;
    Speech speech;
    if (s.path.empty()) {
        DialectSettings drawn = s.speech;
        drawn.characters += s.context;
        auto made = draw_speech(drawn, seed);
        if (!made) return refuse(made.error(), "generated speech");
        speech = *std::move(made);
    } else {
        auto read = load_speech(s.path);
        if (!read) return refuse(read.error());
        speech = *std::move(read);
    }
    const std::string where = s.path.empty() ? "data" : s.path;
    auto table = character_rows(speech, speakers, s.context, most,
                                s.as_tokens ? CharacterForm::tokens : CharacterForm::ones);
    if (!table) return refuse(table.error(), where);
    auto parts = split_in_order(*table, s.test_fraction);
    if (!parts) return refuse(parts.error(), where);
    CharacterData data;
    data.shared.table = *std::move(table);
    data.shared.parts = *std::move(parts);
    DataNotes& notes = data.shared.notes;
    if (const std::int64_t unused = std::ssize(speech.speakers) - speakers; unused > 0)
        notes.push_back({"unused_users", unused,
                         fmt::format("{} of {} speakers left out, those who say least: there are {} agents", unused,
                                     speech.speakers.size(), speakers)});
    std::int64_t unused = 0;
    for (int speaker = 0; speaker < speakers; ++speaker) {
        const std::int64_t said = std::ssize(speech.texts[static_cast<std::size_t>(speaker)]) - s.context;
        unused += std::max<std::int64_t>(0, said - most);
    }
    if (unused > 0)
        notes.push_back({"unused_rows", unused,
                         fmt::format("{} characters beyond the first {} of a speaker are not used", unused, most)});
    if (speech.other_letters > 0)
        notes.push_back({"letters_replaced", speech.other_letters,
                         fmt::format("{} letters other than a to z became blanks", speech.other_letters)});
    if (s.as_tokens)
        data.shared.input = fmt::format(
            "{} characters in the order in which they are said, each a number: 1 to {} for a to z, 0 for all else",
            s.context, speech_symbols - 1);
    data.description = fmt::format(
        "{} characters of {} speakers{}, the next one guessed from {}; in order, the "
        "last ones held out.",
        data.shared.table.rows(), speakers, s.path.empty() ? ", generated" : " of " + s.path, s.context);
    return data;
}

}  // namespace dunlin
