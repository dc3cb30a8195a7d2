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

/// What texts are made of.
enum class Alphabet : std::uint8_t {
    letters,  ///< 27: a to z without their case, and one blank for all else, however much of it
    ascii     ///< 96: the end of a line and all printable characters of ASCII; a blank for each other one
};

/// What each of a few people says, one after another, for predicting the next character.
struct Speech {
    std::vector<std::string> speakers;
    std::vector<std::string> texts;   ///< of symbols of `alphabet`
    std::int64_t other_letters = 0;   ///< beyond the alphabet's, which became blanks
    std::vector<std::string> held{};  ///< by speaker, to test on; empty: the text does not say
    Alphabet alphabet = Alphabet::letters;
};

/// Symbols of a Speech.
inline constexpr int speech_symbols = 27;
int symbols_of(Alphabet alphabet);
/// From 0; of a symbol of the alphabet.
int number_of(Alphabet alphabet, char symbol);

/// A text whose lines read "SPEAKER: what is said"; a line without a speaker (a name of at most 40 characters
/// before the first colon) goes on with the one before. Speakers in the order of how much they say. Errors:
/// file_syntax (line; text before the first speaker); file_truncated (nobody says anything).
FileResult<Speech> parse_speech(std::string_view text, Alphabet alphabet = Alphabet::letters);

/// A table, as CSV or with tabs, of which every row is a line that somebody says: columns `speaker` and `text`; where there is
/// one called `play`, a speaker is one of a play; where there is one called `split`, lines are to train on (`train`) or to
/// test on (`test`), and others are not used. Errors: those of CsvReader; column_missing (0 speaker, 1 text);
/// column_count; file_truncated (nobody says anything to train on).
FileResult<Speech> parse_lines(std::string_view table, Alphabet alphabet = Alphabet::letters);

/// Either, by the file's name: .csv and .tsv (also .gz) are tables. Of a folder its lines.tsv or lines.csv.
FileResult<Speech> load_speech(const std::string& path, Alphabet alphabet = Alphabet::letters);

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

/// Rows of `steps` characters as tokens with a label at each step, the character behind it; every character of a speaker
/// but the first is guessed once. To train on, windows lie side by side, of at most `characters` a speaker; to test on,
/// each begins `lead` characters before those that it is judged on. Without `held` the last `test_fraction` of what
/// each says is held out. A speaker is a user.
struct StepSettings {
    int speakers = 100, steps = 64, lead = 16, characters = 1000000;
    float test_fraction = 0.2f;
};
struct StepRows {
    DataTable table;
    std::vector<NodeRows> parts;
    std::int64_t unused = 0;  ///< characters beyond `characters`
};
/// Errors: too_few_speakers; bad_setting (1 steps, 2 lead, 3 characters, 4 test_fraction); too_few_rows (speaker, and
/// how many characters: fewer than steps + 1 to train or to test on).
Result<StepRows> step_rows(const Speech& speech, const StepSettings& settings);

}  // namespace dunlin
