// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "envs/data_text.hpp"
#include "training/problems/classification_data.hpp"

#include <cstdint>
#include <string>

namespace dunlin {

/// What speakers say, to guess the next character from those before it.
struct CharacterSettings {
    std::string path{};  ///< as load_speech; empty: generated
    int context = 3;     ///< characters that the next is guessed from
    float test_fraction = 0.2f;
    DialectSettings speech{};  ///< how many speakers, and how much of each; the rest is of generated speech
    bool as_tokens = false;    ///< CharacterForm::tokens
    Alphabet alphabet = Alphabet::letters;  ///< of a text; what is generated has letters
    bool every_step =
        false;      ///< `context` characters are read, and the next one guessed at each of them (step_rows)
    int lead = 16;  ///< of StepSettings
};

struct CharacterData {
    SharedData shared;        ///< speaker by speaker; the last rows of each are held out
    std::string description;  ///< a sentence
};

/// Reads or draws it. Errors: of the file, of the settings.
Outcome<CharacterData> read_characters(const CharacterSettings& settings, std::uint64_t seed);

}  // namespace dunlin
