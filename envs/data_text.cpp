// SPDX-License-Identifier: Apache-2.0
#include "envs/data_text.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

namespace dunlin {
namespace {

constexpr auto symbols = static_cast<std::size_t>(speech_symbols);

char symbol_of(char c) {
    if (c >= 'A' && c <= 'Z') return static_cast<char>(c - 'A' + 'a');
    return c >= 'a' && c <= 'z' ? c : ' ';
}
std::size_t number_of(char symbol) {
    return symbol == ' ' ? 0 : static_cast<std::size_t>(symbol - 'a') + 1;
}

void append(std::string& text, std::string_view words) {
    const auto add = [&text](char symbol) {
        if (symbol != ' ' || (!text.empty() && text.back() != ' ')) text.push_back(symbol);
    };
    for (const char c : words) add(symbol_of(c));
    add(' ');
}

/// Positive numbers that sum to one.
std::vector<double> draw_shares(std::size_t count, float spread, Stream& random) {
    std::vector<double> shares(count);
    for (double& share : shares) share = std::exp(static_cast<double>(spread * random.normal()));
    const double total = std::accumulate(shares.begin(), shares.end(), 0.0);
    for (double& share : shares) share /= total;
    return shares;
}

}  // namespace

FileResult<Speech> parse_speech(std::string_view text) {
    constexpr std::size_t longest_name = 40;
    std::map<std::string, std::size_t, std::less<>> places;
    std::vector<std::pair<std::string, std::string>> all;
    std::size_t speaker = 0;
    std::int64_t other_letters = 0;
    for (Lines lines(text); lines.next();) {
        std::string_view words = trimmed(lines.line());
        if (words.empty()) continue;
        const std::size_t colon = words.find(':');
        if (colon != std::string_view::npos && colon > 0 && colon <= longest_name) {
            const std::string name(trimmed(words.substr(0, colon)));
            const auto [place, is_new] = places.emplace(name, all.size());
            if (is_new) all.emplace_back(name, "");
            speaker = place->second;
            words.remove_prefix(colon + 1);
        }
        if (all.empty())
            return refuse_text({Code::file_syntax, lines.number(), 1}, "line ", lines.number(),
                               ", column 1: ", Quoted(words),
                               " stands before the first speaker; expected NAME: what is said");
        other_letters += std::count_if(words.begin(), words.end(), [](char c) {
            return static_cast<unsigned char>(c) >= 0xc0;  // the first byte of a letter beyond ASCII
        });
        append(all[speaker].second, words);
    }
    std::stable_sort(all.begin(), all.end(),
                     [](const auto& a, const auto& b) { return a.second.size() > b.second.size(); });
    if (all.empty() || all.front().second.empty())
        return refuse_text({Code::file_truncated, std::ssize(text), 1},
                           "nobody says anything; expected lines NAME: what is said");
    Speech speech;
    speech.other_letters = other_letters;
    for (auto& [name, said] : all) {
        speech.speakers.push_back(std::move(name));
        speech.texts.push_back(std::move(said));
    }
    return speech;
}

FileResult<Speech> load_speech(const std::string& path) {
    return load_file(path, parse_speech);
}

Result<Speech> draw_speech(const DialectSettings& s, std::uint64_t seed) {
    const bool good[] = {s.speakers >= 1 && s.speakers < 1 << 20, s.dialects >= 1 && s.dialects <= 1000,
                         s.characters >= 1 && s.characters <= 1 << 24, s.sharpness >= 0.0f && s.sharpness <= 20.0f,
                         s.spread >= 0.0f && s.spread <= 20.0f};
    for (std::int64_t k = 0; k < std::ssize(good); ++k) {
        if (!good[k]) return fail(Code::bad_setting, k);
    }
    constexpr std::uint32_t everyone = (1u << 24) - 1;
    Stream common(seed, everyone, Purpose::data);
    std::vector<std::vector<double>> chains;  // of each dialect, a row for each symbol
    for (std::size_t k = 0; k < static_cast<std::size_t>(s.dialects) * symbols; ++k) {
        chains.push_back(draw_shares(symbols, s.sharpness, common));
    }
    Speech speech;
    for (int speaker = 0; speaker < s.speakers; ++speaker) {
        Stream random(seed, static_cast<std::uint32_t>(speaker), Purpose::data);
        const std::vector<double> weights = draw_shares(static_cast<std::size_t>(s.dialects), s.spread, random);
        std::vector<double> own(symbols * symbols);
        for (std::size_t at = 0; at < chains.size() * symbols; ++at) {
            own[at % own.size()] += weights[at / own.size()] * chains[at / symbols][at % symbols];
        }
        std::string text;
        std::size_t symbol = 0;
        while (std::ssize(text) < s.characters) {
            double chance = random.uniform_double();
            const double* row = own.data() + symbol * symbols;
            symbol = 0;
            while (symbol + 1 < symbols && chance >= row[symbol]) chance -= row[symbol++];
            text.push_back(symbol == 0 ? ' ' : static_cast<char>('a' + static_cast<int>(symbol) - 1));
        }
        speech.speakers.push_back("speaker " + std::to_string(speaker));
        speech.texts.push_back(std::move(text));
    }
    return speech;
}

Result<DataTable> character_rows(const Speech& speech, int speakers, int context, int characters,
                                 CharacterForm form) {
    if (std::ssize(speech.texts) < speakers) {
        return fail(Code::too_few_speakers, std::ssize(speech.texts), speakers);
    }
    if (context < 1 || context > 64) return fail(Code::bad_setting, 1);
    if (characters < 1) return fail(Code::bad_setting, 2);
    DataTable table;
    const bool as_tokens = form == CharacterForm::tokens;
    table.features = context * (as_tokens ? 1 : speech_symbols);
    table.classes = speech_symbols;
    if (as_tokens) table.tokens = speech_symbols;
    const auto length = static_cast<std::size_t>(context), width = static_cast<std::size_t>(table.features);
    for (int speaker = 0; speaker < speakers; ++speaker) {
        const std::string& text = speech.texts[static_cast<std::size_t>(speaker)];
        table.user_names.push_back(speech.speakers[static_cast<std::size_t>(speaker)]);
        const std::size_t end = std::min(text.size(), length + static_cast<std::size_t>(characters));
        for (std::size_t at = length; at < end; ++at) {
            table.values.resize(table.values.size() + width);
            float* row = table.values.data() + table.values.size() - width;
            for (std::size_t back = 0; back < length; ++back) {
                const std::size_t number = number_of(text[at - 1 - back]);
                if (as_tokens) {
                    row[length - 1 - back] = static_cast<float>(number);
                } else {
                    row[back * symbols + number] = 1.0f;
                }
            }
            table.labels.push_back(static_cast<std::uint8_t>(number_of(text[at])));
            table.users.push_back(speaker);
        }
    }
    return table;
}

Result<std::vector<NodeRows>> split_in_order(const DataTable& table, float test_fraction) {
    if (!(test_fraction >= 0.0f && test_fraction < 1.0f)) return fail(Code::bad_setting, 5);
    if (table.users.size() != table.rows() || table.user_names.empty()) return fail(Code::bad_setting, 0);
    std::vector<NodeRows> nodes(table.user_names.size());
    for (std::uint32_t row = 0; row < table.rows(); ++row) {
        nodes[static_cast<std::size_t>(table.users[row])].train.push_back(row);
    }
    for (std::size_t k = 0; k < nodes.size(); ++k) {
        std::vector<std::uint32_t>& rows = nodes[k].train;
        const auto test = static_cast<std::ptrdiff_t>(std::ceil(test_fraction * static_cast<float>(rows.size())));
        if (std::ssize(rows) <= test)
            return fail(Code::too_few_rows, static_cast<std::int64_t>(k), std::ssize(rows));
        nodes[k].test.assign(rows.end() - test, rows.end());
        rows.resize(rows.size() - static_cast<std::size_t>(test));
    }
    return nodes;
}

}  // namespace dunlin
