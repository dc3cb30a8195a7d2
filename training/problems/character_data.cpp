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
        auto read = load_speech(s.path, s.alphabet);
        if (!read) return refuse(read.error());
        speech = *std::move(read);
    }
    const std::string where = s.path.empty() ? "data" : s.path;
    CharacterData data;
    std::int64_t unused = 0;
    if (s.every_step) {
        if (!s.as_tokens) return refuse("data.every_step: needs model.layers that begin with an embedding");
        auto rows = step_rows(speech, {speakers, s.context, s.lead, most, s.test_fraction});
        if (!rows) {
            const Error& error = rows.error();
            if (error.code == Code::bad_setting)
                return refuse(error, error.first == 2 ? "data.lead, which is below data.context" : "data.context");
            if (error.code == Code::too_few_rows)
                return refuse(
                    fmt::format("{}: {} says {} characters to train or to test on, and data.context = {} needs "
                                "{}; fewer data.speakers, or a smaller data.context",
                                where, speech.speakers[static_cast<std::size_t>(error.first)], error.second,
                                s.context, s.context + 1));
            return refuse(error, where);
        }
        unused = rows->unused;
        data.shared.table = std::move(rows->table);
        data.shared.parts = std::move(rows->parts);
    } else {
        auto table = character_rows(speech, speakers, s.context, most,
                                    s.as_tokens ? CharacterForm::tokens : CharacterForm::ones);
        if (!table) return refuse(table.error(), where);
        if (!speech.held.empty())
            data.shared.notes.push_back({"", 0,
                                         "data.every_step = false: only lines of the split train are used, and the "
                                         "last of them tested on"});
        auto parts = split_in_order(*table, s.test_fraction);
        if (!parts) return refuse(parts.error(), where);
        data.shared.table = *std::move(table);
        data.shared.parts = *std::move(parts);
    }
    DataNotes& notes = data.shared.notes;
    if (const std::int64_t silent = std::ssize(speech.speakers) - speakers; silent > 0)
        notes.push_back({"unused_users", silent,
                         fmt::format("{} of {} speakers left out, those who say least: there are {} agents", silent,
                                     speech.speakers.size(), speakers)});
    for (int speaker = 0; speaker < speakers && !s.every_step; ++speaker) {
        const std::int64_t said = std::ssize(speech.texts[static_cast<std::size_t>(speaker)]) - s.context;
        unused += std::max<std::int64_t>(0, said - most);
    }
    if (unused > 0)
        notes.push_back({"unused_rows", unused,
                         fmt::format("{} characters beyond the first {} of a speaker are not used", unused, most)});
    if (speech.other_letters > 0)
        notes.push_back({"letters_replaced", speech.other_letters,
                         fmt::format("{} letters other than {} became blanks", speech.other_letters,
                                     s.alphabet == Alphabet::letters ? "a to z" : "those of ASCII")});
    if (s.as_tokens)
        data.shared.input = fmt::format(
            "{} characters in the order in which they are said, each a number: {}", s.context,
            speech.alphabet == Alphabet::letters
                ? "1 to 26 for a to z, 0 for all else"
                : "1 to 95 for the printable characters of ASCII in their order, 0 for the end of a line");
    data.description = fmt::format(
        "{} characters of {} speakers{}, the next one guessed from {}; in order, the "
        "last ones held out.",
        data.shared.table.labels.size(), speakers, s.path.empty() ? ", generated" : " of " + s.path, s.context);
    return data;
}

}  // namespace dunlin
