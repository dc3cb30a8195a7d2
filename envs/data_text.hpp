// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "envs/data_split.hpp"
#include "envs/data_table.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace dunlin {

/// What each of a few people says, one after another, for predicting the next character.
struct Speech {
    std::vector<std::string> speakers;
    std::vector<std::string> texts;  ///< of symbols: 'a' to 'z' and the blank
    std::int64_t other_letters = 0;  ///< beyond 'a' to 'z', which became blanks
};

/// Symbols of a Speech: letters lose their case, and all else, however much of it, is one blank.
inline constexpr int speech_symbols = 27;

/// A text whose lines read "SPEAKER: what is said"; a line without a speaker (a name of at most 40 characters
/// before the first colon) goes on with the one before. Speakers in the order of how much they say. Errors:
/// file_syntax (line; text before the first speaker); file_truncated (nobody says anything).
FileResult<Speech> parse_speech(std::string_view text);
FileResult<Speech> load_speech(const std::string& path);

/// Speech as a stand-in for a text, without any file. Everybody speaks a mixture of a few dialects, each one a
/// Markov chain over the symbols.
struct DialectSettings {
    int speakers = 100;
    int dialects = 3;
    int characters = 800;    ///< of each speaker
    float sharpness = 2.0f;  ///< of a chain: transitions are as exp(sharpness N(0, 1))
    float spread = 2.0f;     ///< of the speakers: weights of dialects are as exp(spread N(0, 1))
};

/// Errors: bad_setting (position in the struct).
Result<Speech> draw_speech(const DialectSettings& settings, std::uint64_t seed);

/// What a character that another is guessed from looks like.
enum class CharacterForm : std::uint8_t {
    ones,   ///< `speech_symbols` features of which one is 1; the last character first
    tokens  ///< one feature, its number; in the order in which they are said
};

/// Rows for the first `speakers` speakers: a character to guess from the `context` ones before it; at most
/// `characters` rows a speaker, in order. Errors: too_few_speakers; bad_setting (1 context, 2 characters).
Result<DataTable> character_rows(const Speech& speech, int speakers, int context, int characters,
                                 CharacterForm form = CharacterForm::ones);

/// Shares out rows by user in their own order, training first and testing last, as time would. Errors: bad_setting
/// (test_fraction, or a table without users); too_few_rows.
Result<std::vector<NodeRows>> split_in_order(const DataTable& table, float test_fraction);

}  // namespace dunlin
