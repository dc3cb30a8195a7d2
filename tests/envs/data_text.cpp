// SPDX-License-Identifier: Apache-2.0
#include "envs/data_text.hpp"

#include <cmath>

#include <catch2/catch.hpp>

using namespace dunlin;

TEST_CASE("a text is read by speaker, in order, without case and with one blank for all else") {
    const Speech speech = *parse_speech(
        "FIRST CITIZEN: Before we proceed\n  any further, hear me speak.\r\n\nAll: Speak, speak!\n"
        "First Citizen: no\nFIRST CITIZEN: You--are\n");
    REQUIRE(speech.speakers == std::vector<std::string>{"FIRST CITIZEN", "All", "First Citizen"});
    CHECK(speech.texts[0] == "before we proceed any further hear me speak you are ");
    CHECK(speech.texts[1] == "speak speak ");
    CHECK(speech.texts[2] == "no ");
}

TEST_CASE("a text without speakers, or in which nobody speaks, is refused") {
    CHECK(parse_speech("\nonce upon a time\nA: b\n").error().error == Error{Code::file_syntax, 2, 1});
    CHECK(parse_speech("").error().error.code == Code::file_truncated);
    CHECK(parse_speech("A:\nB: ...\n").error().error.code == Code::file_truncated);
    CHECK(load_speech("/nowhere/at all.txt").error().error.code == Code::file_missing);
}

TEST_CASE("a row is a character and, newest first, those before it") {
    const Speech speech{{"a", "b"}, {"abc d", "xyzzy"}};
    const DataTable table = *character_rows(speech, 1, 2, 100);
    REQUIRE(table.rows() == 3);
    CHECK(table.labels == std::vector<std::uint8_t>{3, 0, 4});  // c, blank, d
    CHECK(table.features == 54);
    const auto ones = [&](std::size_t row) {
        std::vector<std::size_t> at;
        for (std::size_t k = 0; k < 54; ++k) {
            if (table.values[row * 54 + k] != 0.0f) at.push_back(k);
        }
        return at;
    };
    CHECK(ones(0) == std::vector<std::size_t>{2, 27 + 1});  // b, then a
    CHECK(ones(2) == std::vector<std::size_t>{0, 27 + 3});  // blank, then c
    CHECK(character_rows(speech, 2, 2, 2)->rows() == 4);
    CHECK(character_rows(speech, 3, 2, 2).error() == Error{Code::too_few_speakers, 2, 3});
    CHECK(character_rows(speech, 1, 0, 2).error() == Error{Code::bad_setting, 1});
}

TEST_CASE("rows shared out in order are trained on first and tested on last") {
    const Speech speech{{"a", "b"}, {"abcdefghijk", "lmnopq"}};
    const DataTable table = *character_rows(speech, 2, 1, 100);
    const std::vector<NodeRows> nodes = *split_in_order(table, 0.2f);
    REQUIRE(nodes.size() == 2);
    CHECK(nodes[0].train == std::vector<std::uint32_t>{0, 1, 2, 3, 4, 5, 6, 7});
    CHECK(nodes[0].test == std::vector<std::uint32_t>{8, 9});
    CHECK(nodes[1].train == std::vector<std::uint32_t>{10, 11, 12, 13});
    CHECK(nodes[1].test == std::vector<std::uint32_t>{14});
    const DataTable tiny = *character_rows({{"a", "b"}, {"abc", "x"}}, 2, 1, 100);
    CHECK(split_in_order(tiny, 0.2f).error() == Error{Code::too_few_rows, 1, 0});
}

TEST_CASE("generated speakers follow their own mixture of the dialects, the same for the same seed") {
    const DialectSettings settings{.speakers = 4, .dialects = 2, .characters = 20000};
    const Speech speech = *draw_speech(settings, 5);
    CHECK(speech.texts == draw_speech(settings, 5)->texts);
    CHECK(speech.texts != draw_speech(settings, 6)->texts);
    const auto pairs = [](const std::string& text) {
        std::vector<double> share(speech_symbols * speech_symbols);
        const auto number = [](char c) { return c == ' ' ? 0 : c - 'a' + 1; };
        for (std::size_t k = 1; k < text.size(); ++k) {
            const int at = number(text[k - 1]) * speech_symbols + number(text[k]);
            share[static_cast<std::size_t>(at)] += 1.0 / static_cast<double>(text.size());
        }
        return share;
    };
    const auto distance = [](const std::vector<double>& a, const std::vector<double>& b) {
        double sum = 0;
        for (std::size_t k = 0; k < a.size(); ++k) sum += std::abs(a[k] - b[k]) / 2;
        return sum;
    };
    const auto halves = [&](std::size_t speaker) {
        const std::string& text = speech.texts[speaker];
        return distance(pairs(text.substr(0, 10000)), pairs(text.substr(10000)));
    };
    double between = 0, within = 0;
    for (std::size_t k = 1; k < 4; ++k) {
        between = std::max(between, distance(pairs(speech.texts[0]), pairs(speech.texts[k])));
        within = std::max(within, halves(k));
    }
    CHECK(within < 0.12);
    CHECK(between > 3 * within);
    CHECK(draw_speech({.speakers = 0}, 1).error() == Error{Code::bad_setting, 0});
    CHECK(draw_speech({.dialects = 0}, 1).error() == Error{Code::bad_setting, 1});
}

TEST_CASE("a table of lines is read by play and speaker, with what is to test on apart") {
    const char* table =
        "play\tsplit\tspeaker\ttext\n"
        "one\ttrain\tANN\tSo, hold!\n"
        "one\ttest\tANN\tGo.\n"
        "two\ttrain\tANN\tOther plays, other people\n"
        "one\tother\tANN\tnever read\n";
    const Speech speech = *parse_lines(table, Alphabet::ascii);
    REQUIRE(speech.speakers == std::vector<std::string>{"two: ANN", "one: ANN"});
    CHECK(speech.texts[1] == "So, hold!\n");
    CHECK(speech.held[1] == "Go.\n");
    CHECK(speech.held[0].empty());
    CHECK(parse_lines(table)->texts[1] == "so hold ");
    CHECK(symbols_of(Alphabet::ascii) == 96);
    CHECK(number_of(Alphabet::ascii, '\n') == 0);
    CHECK(number_of(Alphabet::ascii, ' ') == 1);
    CHECK(number_of(Alphabet::ascii, '~') == 95);
    CHECK(parse_lines("speaker,words\na,b\n").error().error == Error{Code::column_missing, 1, 1});
    CHECK(parse_lines("speaker,text\na\n").error().error.code == Code::column_count);
    CHECK(parse_lines("speaker,text\n").error().error.code == Code::file_truncated);
    CHECK(parse_lines("speaker,text\nann,caf\xc3\xa9\n", Alphabet::ascii)->other_letters == 1);
}

TEST_CASE(
    "rows with a label at each step guess every character but the first once, behind a lead where they test") {
    Speech speech{{"a"}, {"abcdefghijk"}};
    speech.held = {"lmnopqrst"};
    const StepRows made = *step_rows(speech, {.speakers = 1, .steps = 4, .lead = 2});
    const DataTable& table = made.table;
    CHECK(table.places == 4);
    CHECK(table.tokens == 27);
    REQUIRE(table.rows() == made.parts[0].train.size() + made.parts[0].test.size());
    const auto guessed = [&](const std::vector<std::uint32_t>& rows, const std::string& text) {
        std::string all;
        for (const std::uint32_t row : rows) {
            for (int place = 0; place < 4; ++place) {
                const int label = table.view(rows).label(row, place);
                if (label < 0) continue;
                const char before =
                    static_cast<char>('a' + static_cast<int>(table.values[row * 4 + std::size_t(place)]) - 1);
                const char next = static_cast<char>('a' + label - 1);
                CHECK(text.find({before, next}) != std::string::npos);
                all.push_back(next);
            }
        }
        return all;
    };
    CHECK(guessed(made.parts[0].train, speech.texts[0]) == "bcdefghijk");
    CHECK(guessed(made.parts[0].test, speech.held[0]) == "mnopqrst");
    const std::uint32_t second = made.parts[0].test[1];
    CHECK(table.view({}).label(second, 1) == -1);  // the lead
    CHECK(table.view({}).label(second, 2) > 0);

    speech.held.clear();
    const StepRows cut =
        *step_rows(speech, {.speakers = 1, .steps = 2, .lead = 0, .characters = 4, .test_fraction = 0.4f});
    CHECK(cut.parts[0].train.size() == 2);
    CHECK(cut.unused == 2);
    CHECK(step_rows(speech, {.speakers = 2}).error() == Error{Code::too_few_speakers, 1, 2});
    CHECK(step_rows(speech, {.speakers = 1, .steps = 8}).error() == Error{Code::bad_setting, 2});
    CHECK(step_rows(speech, {.speakers = 1, .steps = 8, .lead = 0}).error() == Error{Code::too_few_rows, 0, 2});
}
